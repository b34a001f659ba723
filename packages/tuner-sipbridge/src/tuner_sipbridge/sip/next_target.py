"""A request of ours on its way from one target of a name to the next (RFC 3263 §4.3)."""

from __future__ import annotations

from dataclasses import replace

from tuner_sipbridge.sip.headers import Via
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Failed, Hop
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S


def set_transport(request: Request, transport: str) -> None:
    """Say in the one Via of a request what it goes by."""
    _set_via(request, replace(request.via, transport=transport.upper()))


def copy_of(request: Request) -> Request:
    """The request as it stands, for a transaction that outlives its change."""
    return Request(request.method, request.uri, request.headers.copy(), request.body)


def set_next_branch(request: Request, tries: int) -> None:
    """Give a request the branch of its next try: that of the first with the number of tries before it."""
    via = request.via
    branch = f"{(via.branch or '').removesuffix(f'.{tries - 1}')}.{tries}"
    params = tuple((name, branch if name.lower() == "branch" else value) for name, value in via.params)
    _set_via(request, replace(via, params=params))


def onwards(name: Hop, hop: Hop, why: str, for_s: float = DEFAULT_PENALTY_S) -> Hop:
    """A name with one more of its targets that failed."""
    assert name.sought is not None
    failed = Failed(replace(hop, flow=None, for_length=False), why, for_s)
    return replace(name, sought=replace(name.sought, failed=(*name.sought.failed, failed)))


def _set_via(request: Request, via: Via) -> None:
    request.headers.set_via(via)
