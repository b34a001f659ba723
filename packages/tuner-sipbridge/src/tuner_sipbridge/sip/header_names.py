"""Names of header fields: the compact ones, and what names are compared by (RFC 3261 §7.3.1, §7.3.3)."""

from __future__ import annotations

COMPACT_NAMES = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""Compact header names of IANA's registry and what they stand for."""

_OTHER_NAMES = (
    *(
        "Accept",
        "Allow",
        "Authorization",
        "CSeq",
        "Max-Forwards",
        "Proxy-Authenticate",
        "Proxy-Authorization",
    ),
    *("Reason", "Record-Route", "Require", "Route", "Server", "User-Agent", "WWW-Authenticate"),
)
"""Names without a compact form that calls have most: they need no check."""

KEYS = {
    written: long.lower()
    for compact, long in COMPACT_NAMES.items()
    for written in (compact, compact.upper(), long)
} | {name: name.lower() for name in _OTHER_NAMES}
"""Names as they are mostly written, and what they compare by: the long name in lower case."""
