"""What the core costs, and the proof that its delivery loses nothing."""
