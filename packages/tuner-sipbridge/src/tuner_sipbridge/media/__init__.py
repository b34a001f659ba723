"""One call's media without its socket: what is queued, what is sent, what came in, what was recorded."""
