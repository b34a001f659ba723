"""What signalling costs: calls set up and ended without media, beside SIPp doing the same."""
