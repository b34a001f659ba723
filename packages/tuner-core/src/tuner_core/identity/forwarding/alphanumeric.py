"""Any text through a channel that carries letters and digits only, and back.

Plivo's `extraHeaders` allow `[A-Za-z0-9]` and nothing else, while a Call-ID may hold `@ . - :` and more
(RFC 3261 §25.1, `callid`). A text of letters and digits goes as it is, so that it stays readable on the way;
any other goes as the marker `b32x` and its UTF-8 bytes in base32 (RFC 4648 §6) without padding. A plain text
that begins with the marker is encoded too, so decoding what was encoded always gives the text back.
"""

from __future__ import annotations

import base64
import re

MARKER = "b32x"
"""What an encoded value begins with; compared without regard to case, as base32 itself is."""

_PLAIN = re.compile(r"[A-Za-z0-9]*")


def encode_alphanumeric(text: str) -> str:
    """`text` in letters and digits: itself where it has nothing else, otherwise marked base32.

    The encoded form takes 4 + 1.6 characters for each byte.
    """
    if _PLAIN.fullmatch(text) and not text.lower().startswith(MARKER):
        return text
    return MARKER + base64.b32encode(text.encode("utf-8")).decode("ascii").rstrip("=")


def decode_alphanumeric(value: str) -> str:
    """The text that `encode_alphanumeric` was given; a value that it did not make comes back unchanged."""
    if not value.lower().startswith(MARKER):
        return value
    digits = value[len(MARKER) :].upper()
    try:
        return base64.b32decode(digits + "=" * (-len(digits) % 8)).decode("utf-8")
    except ValueError:
        return value
