"""A second way to dial: LiveKit makes the call, the caller speaks in a room. Needs the extra `livekit`."""
