"""`verify`: whether a SIP URI can be called, step by step, with what to change where it cannot."""
