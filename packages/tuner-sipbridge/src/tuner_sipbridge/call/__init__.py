"""One call as a pure machine: the UAC half, the UAS half, and what happens to them."""
