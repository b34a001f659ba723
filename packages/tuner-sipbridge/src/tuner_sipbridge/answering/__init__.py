"""Simulated humans that an agent calls: reception by rules, results, progress."""
