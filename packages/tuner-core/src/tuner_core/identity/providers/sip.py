"""SIP itself: an INVITE as text, or its headers as a mapping, as pairs, as `{"name", "value"}` objects.

Documented: RFC 3261 §20.8 (`Call-ID`), §7.3.3 (its compact form `i`). `X-CID` is no standard: jambonz and Tuner's
caller put the Call-ID there so that it survives hops that make a new one.
"""

from __future__ import annotations

from tuner_core.identity.description import Provider, Shape

_HEADERS = ("=From", "=To", "=Via", "=CSeq", "=Contact", "=Max-Forwards")

PROVIDER = Provider(
    name="sip",
    shapes=(
        Shape("headers", {"=Call-ID": ""}, also=_HEADERS),
        Shape("headers", {"=i": "", "=CSeq": ""}, also=_HEADERS),
        Shape("headers", {"=i": "", "=f": "", "=t": ""}),
        Shape("headers", {"=CSeq": r"\d+ [A-Z]+"}, also=_HEADERS),
        Shape("headers", {"=X-CID": ""}, also=_HEADERS),
        Shape("headers", {"=X-Correlation-Id": ""}, also=_HEADERS),
    ),
    fix="pass on Call-ID or X-CID of the INVITE",
    call_id=("=Call-ID", "=i"),
    headers=("*",),
)
