"""What the transaction layer tells who uses it (RFC 3261 §17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tuner_sipbridge.sip.message import Request, Response


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A new request, or the ACK to a 2xx. All but ACK wait for `respond`."""

    request: Request


@dataclass(frozen=True, slots=True)
class ResponseArrived:
    """A response to a request of ours."""

    request: Request
    response: Response


@dataclass(frozen=True, slots=True)
class NoResponse:
    """A request of ours was not answered in time (Timer B or F)."""

    request: Request


@dataclass(frozen=True, slots=True)
class NotSent:
    """A request of ours did not reach the far end, as the transport says (RFC 3261 §17.1.4)."""

    request: Request
    why: str


@dataclass(frozen=True, slots=True)
class NoAck:
    """Our final response to an INVITE was not acknowledged in time (Timer H)."""

    request: Request


LayerEvent: TypeAlias = RequestArrived | ResponseArrived | NoResponse | NotSent | NoAck
