"""The dialers of the bench: each places N calls to the far end and holds them until it is ended."""
