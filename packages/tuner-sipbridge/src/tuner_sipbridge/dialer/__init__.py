"""Placing calls: `Dialer`, the answered call, and the run that is left of it."""
