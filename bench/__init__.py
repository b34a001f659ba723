"""The bench: what calls cost, ours and the peers' side by side. ``make bench`` runs it and prints the tables.

What a dialled call costs in CPU, and how evenly its packets arrive: every dialer places real calls over SIP to one far
end, which answers each with its own RTP port, streams a packet every 20 ms back, and stamps what arrives with the
kernel's clock.

What the core costs (``bench.core``): import, the record of a call of an hour, the application's event loop, time to
durable and to delivered, against one API on loopback; ours and the published package in turn.
"""
