"""tuner_livekit."""
