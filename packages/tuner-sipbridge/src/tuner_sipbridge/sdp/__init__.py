"""Session descriptions, and what offer and answer agree on (RFC 8866, RFC 3264)."""
