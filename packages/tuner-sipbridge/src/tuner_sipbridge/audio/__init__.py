"""Audio at 8000 Hz: the G.711 laws, G.722 and Opus, resampling, WAV files, tones and speech activity."""
