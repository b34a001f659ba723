"""The far end: answers every call on a port of its own, talks back, and notes what arrives and when."""
