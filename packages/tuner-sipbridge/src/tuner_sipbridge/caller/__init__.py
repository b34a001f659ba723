"""The simulated human: what happens (scenario), who speaks (persona), when (turns), in which voice."""
