"""tuner_core."""
