"""The pages of the local Tuner: server-rendered HTML, nothing loaded from elsewhere."""
