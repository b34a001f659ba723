"""Measures: pure functions of a trace and a recording, to be run again on last month's calls."""
