"""For tests, ours and yours: whole calls in virtual time, over a network as bad as you ask for."""
