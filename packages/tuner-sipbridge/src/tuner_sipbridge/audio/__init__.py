"""Audio at 8000 Hz: the G.711 laws, resampling, WAV files, tones and speech activity."""
