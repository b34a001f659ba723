"""SIPp scenarios in few words: what SIPp waits for and what it says, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

KEPT = {"via": "Via:", "from": "From:", "to": "To:", "cseq": "CSeq:"}
CONTACT = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>"
OURS = "sip:agent@[remote_ip]:[remote_port]"
"""The address that SIPp calls."""
NEXT = "[next_url]"
"""The Contact of the far end, where `expect` or `await_status` kept the route."""
QUICK_MS = 100
"""Between repeats of what SIPp sends, so that what is lost on purpose is soon there."""


@dataclass(frozen=True)
class Flow:
    """A scenario; `name` is that of its logs."""

    name: str
    steps: tuple[str, ...]

    def write(self, folder: Path) -> Path:
        """The scenario as SIPp reads it."""
        file = folder / f"{self.name}.xml"
        body = "\n".join(self.steps)
        file.write_text(
            f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{self.name}">\n{body}\n</scenario>\n'
        )
        return file


def flow(name: str, *steps: str | tuple[str, ...]) -> Flow:
    """Steps in order; a tuple stands for several."""
    return Flow(name, tuple(each for step in steps for each in ((step,) if isinstance(step, str) else step)))


def sdp(direction: str = "sendrecv", *, version: int = 1) -> str:
    """A session description of SIPp's."""
    return "\n".join(
        (
            f"v=0\no=sipp 5365 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0",
            f"m=audio [media_port] RTP/AVP 0\na=rtpmap:0 PCMU/8000\na={direction}",
        )
    )


def pause(milliseconds: int) -> str:
    return f'<pause milliseconds="{milliseconds}" />'


def expect(
    method: str,
    keep: str | None = None,
    *,
    has: Mapping[str, str] | None = None,
    body: str = "",
    routed: bool = False,
    optional: bool = False,
    lost: int | None = None,
) -> str:
    """Wait for a request and keep what a response to it needs.

    Args:
        method: of the request.
        keep: under what name, by default the method in lower case.
        has: regular expressions that headers match.
        body: a regular expression that the body matches.
        routed: keep the sender's Contact for requests of ours.
        optional: it may come or not.
        lost: share that is dropped, in percent.
    """
    name = keep or method.lower()
    actions = [_kept(f"{name}_{part}", ".*", header) for part, header in KEPT.items()]
    actions += [
        _kept(f"{name}_has{number}", wanted, f"{header}:", check=True)
        for number, (header, wanted) in enumerate((has or {}).items())
    ]
    if body:
        actions.append(_kept(f"{name}_body", body, None, check=True))
    return _received(f'request="{method}"', actions, routed=routed, optional=optional, lost=lost)


def await_status(
    status: int,
    *,
    has: Mapping[str, str] | None = None,
    body: str = "",
    routed: bool = False,
    optional: bool = False,
    auth: bool = False,
    lost: int | None = None,
) -> str:
    """Wait for a response; see `expect`. With `auth` its challenge is kept for `[authentication]`."""
    mark = f"r{status}_{abs(hash((status, body, *(has or {}).items()))) % 10**6}"
    actions = [
        _kept(f"{mark}_{number}", wanted, f"{header}:", check=True)
        for number, (header, wanted) in enumerate((has or {}).items())
    ]
    if body:
        actions.append(_kept(f"{mark}_body", body, None, check=True))
    return _received(
        f'response="{status}"{" auth=" + chr(34) + "true" + chr(34) if auth else ""}',
        actions,
        routed=routed,
        optional=optional,
        lost=lost,
    )


def maybe(*statuses: int) -> tuple[str, ...]:
    """Provisional responses that may come."""
    return tuple(f'<recv response="{status}" optional="true" />' for status in statuses)


def reply(
    status: str,
    *headers: str,
    to: str = "invite",
    tag: str = "a",
    body: str = "",
    contact: str = CONTACT,
    proxied: bool = False,
    lost: int | None = None,
) -> str:
    """Answer the request kept under `to`; `tag` is added where its To has none (that of an INVITE).

    With `proxied` every Via of the last message that came goes back, not the first of that request alone.
    """
    outside = to.startswith(("invite", "register", "cancel", "options"))
    lines = [
        f"SIP/2.0 {status}",
        "[last_Via:]" if proxied else f"Via:[${to}_via]",
        f"From:[${to}_from]",
        f"To:[${to}_to]" + (f";tag={tag}" if outside and tag else ""),
        "Call-ID: [call_id]",
        f"CSeq:[${to}_cseq]",
        contact,
        *headers,
    ]
    repeated = to.startswith("invite") and int(status[:3]) >= 200
    return _sent(lines, body, repeated=repeated, lost=lost)


Side = Literal["agent", "caller", "outside"]
"""Whose requests they are: of a call that SIPp took, of one that it makes, or of none yet."""
_PARTIES = {
    "agent": ("From:[$invite_to];tag=a", "To:[$invite_from]"),
    "caller": (
        "From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]c[call_number]",
        "To: <sip:agent@[remote_ip]:[remote_port]>[peer_tag_param]",
    ),
    "outside": (
        "From: <sip:sipp@[local_ip]:[local_port]>;tag=[pid]c[call_number]",
        "To: <sip:agent@[remote_ip]:[remote_port]>",
    ),
}


def ask(
    side: Side,
    method: str,
    number: int,
    *headers: str,
    uri: str | None = None,
    body: str = "",
    kind: str = "application/sdp",
    lost: int | None = None,
) -> str:
    """A request of SIPp's; `number` stands in CSeq and names the transaction, for its ACK or CANCEL."""
    uri = uri or (OURS if side == "outside" else NEXT)
    own = method == "ACK" and "refused" not in headers
    lines = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port]"
        f";branch=z9hG4bK[pid]x[call_number]x{number}{'a' if own else ''}",
        *_PARTIES[side],
        "Call-ID: [call_id]",
        f"CSeq: {number} {method}",
        "Max-Forwards: 70",
        CONTACT,
        *(header for header in headers if header != "refused"),
    ]
    return _sent(lines, body, kind=kind, repeated=method not in ("ACK", "CANCEL"), lost=lost)


def _sent(
    lines: list[str],
    body: str,
    *,
    kind: str = "application/sdp",
    repeated: bool = False,
    lost: int | None = None,
) -> str:
    more = [f"Content-Type: {kind}", "Content-Length: [len]", "", *body.split("\n"), ""]
    whole = [*lines, *(more if body else ["Content-Length: 0", ""])]
    options = f' retrans="{QUICK_MS}"' if repeated else ""
    options += f' lost="{lost}"' if lost is not None else ""
    text = "\n".join(f"      {line}" if line else "" for line in whole)
    return f"<send{options}><![CDATA[\n\n{text}\n]]></send>"


def _kept(name: str, wanted: str, header: str | None, *, check: bool = False) -> str:
    wanted = wanted.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    where = 'search_in="body"' if header is None else f'search_in="hdr" header="{header}"'
    checked = ' check_it="true"' if check else ""
    return f'<ereg regexp="{wanted}" {where}{checked} assign_to="{name}" />'


def _received(what: str, actions: list[str], *, routed: bool, optional: bool, lost: int | None) -> str:
    options = ' rrs="true"' if routed else ""
    options += ' optional="true"' if optional else ""
    options += f' lost="{lost}"' if lost is not None else ""
    if not actions:
        return f"<recv {what}{options} />"
    names = ",".join(action.rpartition('assign_to="')[2].partition('"')[0] for action in actions)
    inside = "".join(actions)
    return f'<recv {what}{options}><action>{inside}</action></recv><Reference variables="{names}" />'
