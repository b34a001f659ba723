"""What INFO requests carry: DTMF digits, as gateways relay them (RFC 6086 for the method itself)."""

from __future__ import annotations

import re

from tuner_sipbridge.call.events import DigitByInfo
from tuner_sipbridge.call.replies import OK, Reply
from tuner_sipbridge.sip.message import Request

DTMF_RELAY = "application/dtmf-relay"
"""The body of lines `Signal=5` and `Duration=160` that gateways agreed on; no RFC has it."""

_PLAIN = "application/dtmf"
_LINE = re.compile(r"^[ \t]*(signal|duration)[ \t]*=[ \t]*(\S+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_BY_NUMBER = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D", "16": "!"}
_DIGITS = frozenset("0123456789*#ABCD!")


def take_info(request: Request) -> tuple[Reply, DigitByInfo | None]:
    """The answer to an INFO of a dialog, and the digit it brought.

    A package of RFC 6086 is refused, as none was offered; a body that is not understood is not.
    """
    if request.headers.get("Info-Package") is not None:
        return Reply(469, (("Recv-Info", ""),)), None
    kind = request.content_type
    if kind not in (DTMF_RELAY, _PLAIN):
        return OK, None
    text = request.body.decode("ascii", "replace")
    fields = {name.lower(): value for name, value in _LINE.findall(text)}
    signal = fields.get("signal", "" if fields else text.strip())
    digit = _BY_NUMBER.get(signal, signal.upper())
    if digit not in _DIGITS:
        return Reply(400, reason="Bad Request: no DTMF digit"), None
    duration = fields.get("duration", "")
    known = duration.isascii() and duration.isdigit() and len(duration) < 7
    return OK, DigitByInfo(digit, int(duration) if known else None)


def digit_body(digit: str, duration_ms: int) -> bytes:
    """The body of an INFO that relays one digit."""
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode("ascii")
