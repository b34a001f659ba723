"""The answer to a request that cannot be read (RFC 3261 §8.2.6, §16.3; RFC 4475 §3.1.2).

A sender that gets no answer repeats its request for half a minute and then knows nothing. So as much as an answer
needs is read of the broken request, and given back as it came.
"""

from __future__ import annotations

import re

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.grammar import WHITESPACE, is_token
from tuner_sipbridge.sip.header_names import COMPACT_NAMES
from tuner_sipbridge.sip.headers import Headers, Via
from tuner_sipbridge.sip.message import REASONS, Response

_FOLD = re.compile(r"\r?\n[ \t]+")
_HAS_TAG = re.compile(r";[ \t]*tag[ \t]*=", re.IGNORECASE)
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]+")
_COPIED = ("via", "from", "to", "call-id", "cseq")
_MOST_FIELDS = 64
_MOST_OCTETS = 8192
_LONGEST_REASON = 160


def refusal_of(
    data: bytes, fault: RemoteProtocolError, *, source: tuple[str, int], to_tag: str
) -> Response | None:
    """Say no to octets that `parse_datagram` refused.

    Args:
        data: what came.
        fault: why it was refused; the answer has its status and words.
        source: address and port it came from, written into the topmost Via where that can be read.
        to_tag: tag for a To that has none.

    Returns:
        None when no answer is due: a response, an ACK, something that is no request, or one without a Via.
    """
    head = data[:_MOST_OCTETS].lstrip(b"\r\n").decode("utf-8", "surrogateescape")
    start_line, *lines = (line.removesuffix("\r") for line in _FOLD.sub(" ", head).split("\n"))
    method = start_line.partition(" ")[0]
    if method in ("", "ACK") or method[:4].upper() == "SIP/" or not is_token(method):
        return None
    found = _copied(lines)
    if not found["via"]:
        return None
    answer = Headers()
    for place, text in enumerate(found["via"]):
        answer.add("Via", text if place else _noted(text, source))
    for name in ("From", "To", "Call-ID", "CSeq"):
        for text in found[name.lower()][:1]:
            tagged = name != "To" or _HAS_TAG.search(text)
            answer.add(name, text if tagged else f"{text};tag={to_tag}")
    words = _NOT_PLAIN.sub("?", str(fault))[:_LONGEST_REASON]
    return Response(fault.status, f"{REASONS[fault.status]}: {words}", answer)


def way_back_of(refusal: Response, source: tuple[str, int]) -> tuple[str, int]:
    """Where a refusal goes over UDP: to the address the request came from, whatever the rest of its Via says.

    The port is that of the Via (RFC 3261 §18.2.2, RFC 3581 §4) where it can be read.
    """
    try:
        return source[0], refusal.via.response_address[1]
    except RemoteProtocolError:
        return source


def _copied(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in _COPIED}
    for line in lines[:_MOST_FIELDS]:
        name, colon, value = line.partition(":")
        name = name.strip(WHITESPACE).lower()
        name = COMPACT_NAMES.get(name, name).lower()
        if not line:
            break
        if colon and name in found and "\r" not in value:
            found[name].append(value.strip(WHITESPACE))
    return found


def _noted(text: str, source: tuple[str, int]) -> str:
    first, comma, rest = text.partition(",")
    try:
        return f"{Via.parse(first).received_from(*source)}{comma}{rest}"
    except (RemoteProtocolError, LocalProtocolError):
        return text
