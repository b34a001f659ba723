"""Names of SIP headers and fields as payloads spell them, and what they mean.

One header arrives under many names: `X-CID`, `x_cid`, `SipHeader_X-CID` (Twilio's and Vonage's webhooks),
`X-PH-XCID` (Plivo), `sip.h.x-cid` (LiveKit), `variable_sip_h_X-CID` (FreeSWITCH), `PJSIP_HEADER(read,X-CID)`
(Asterisk), `$hdr(X-CID)` (Kamailio), or `cid` where a platform strips the `X-`.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

_NOISE = str.maketrans("", "", "-_ ${}")
_HEADER_PREFIX = re.compile(r"(?:dialsipheader|(?:variable)?siph(?:eader)?|sip\.h\.|xph|xvh)+(?=[a-z])")
_HEADER_FUNCTION = re.compile(r"(?:(?:pj)?sipheader|hdr)\((?:read,)?([^,)]+)(?:,[^)]*)?\)?")
_CARRIER_MARK = re.compile(
    r"(?:sip\.|x)?(twilio|telnyx|plivo|vobiz|vonage|nexmo|exotel|bandwidth|amazon|amzn|signalwire|cloudonix)"
)


class Meaning(Enum):
    """What a name promises of its value."""

    CALLERS_OWN = "the Call-ID that the caller made, carried end to end in X-CID"
    CALL_ID = "a SIP Call-ID"
    CORRELATION = "the simulation's X-Correlation-Id"


_EXPLICIT = {
    "xcid": Meaning.CALLERS_OWN,
    "sipcallid": Meaning.CALL_ID,
    "xsipcallid": Meaning.CALL_ID,
    "xcorrelationid": Meaning.CORRELATION,
}
_AMONG_HEADERS = {
    **_EXPLICIT,
    "cid": Meaning.CALLERS_OWN,
    "callid": Meaning.CALL_ID,
    "correlationid": Meaning.CORRELATION,
}


@lru_cache(maxsize=4096)
def normal(name: str) -> str:
    """`name` without what payloads spell differently: case, hyphens, underscores; dots stay."""
    return name.lower().translate(_NOISE)


def header_name(name: str) -> str | None:
    """The header in a normal name that says it is one (`sipheaderxcid`: `xcid`); None for other names."""
    function = _HEADER_FUNCTION.fullmatch(name)
    if function:
        return function[1]
    prefix = _HEADER_PREFIX.match(name)
    return name[prefix.end() :] if prefix else None


def meaning(name: str, *, among_headers: bool) -> Meaning | None:
    """What a normal name means, None when it is of no interest here.

    Args:
        name: as `normal` gives it.
        among_headers: True where only SIP headers stand, so that `call-id` and a stripped `cid` mean the header.
    """
    header = header_name(name)
    if header is not None:
        return _AMONG_HEADERS.get(header)
    if name.startswith("variable"):
        name = name.removeprefix("variable")
    return (_AMONG_HEADERS if among_headers else _EXPLICIT).get(name)


def carrier_in(name: str, *, among_headers: bool) -> str | None:
    """The carrier whose mark a header's normal name is (`X-Twilio-CallSid`: `twilio`), otherwise None."""
    header = header_name(name)
    marked = _CARRIER_MARK.match(header or name)
    if marked is None:
        return None
    is_header = among_headers or header is not None or name.startswith(("sip.", "x"))
    return marked[1] if is_header else None
