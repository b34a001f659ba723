"""The bench: what a dialled call costs in CPU, and how evenly its packets arrive, for our dialer and its peers.

Every dialer places real calls over SIP to one far end, which answers each with its own RTP port, streams a packet
every 20 ms back, and stamps what arrives with the kernel's clock. ``make bench`` runs it and prints the table.
"""
