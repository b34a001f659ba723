"""The whole loop on this machine: a local Tuner, two agents behind SIP, simulated calls, links, a report."""
