"""tuner_sipbridge."""
