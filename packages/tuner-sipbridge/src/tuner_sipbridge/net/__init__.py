"""The only part that touches sockets, clocks, randomness and processes."""
