"""tuner_pipecat."""
