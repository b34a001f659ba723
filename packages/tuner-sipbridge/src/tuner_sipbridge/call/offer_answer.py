"""Offer and answer over the life of one dialog (RFC 3264)."""
