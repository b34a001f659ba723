"""RTP as values and pure machines: packets, sequence numbers, statistics, telephone events, jitter buffer."""
