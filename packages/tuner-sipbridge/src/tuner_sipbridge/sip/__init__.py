"""SIP as values and pure machines: messages, digest, transactions, dialogs (RFC 3261 and its kin)."""
