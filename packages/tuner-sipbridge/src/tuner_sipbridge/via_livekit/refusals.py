"""What a request that LiveKit refused means for the call: class, cause in words, and the row of the trace.

A failed call comes back as a Twirp error. Where the far end sent a final response, its status is in the error's
metadata (`sip_status_code`, `sip_status`); everything else is LiveKit's own doing, told by the Twirp code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tuner_sipbridge.call import events as signalling
from tuner_sipbridge.call.causes import cause_of
from tuner_sipbridge.dialer.outcome import Outcome, outcome_of
from tuner_sipbridge.dialer.outcome_class import OutcomeClass
from tuner_sipbridge.sip.message import REASONS, Response
from tuner_sipbridge.trace import Trace

_ENUM_PREFIX = "SIP_STATUS_"
_NO_RESPONSE = re.compile(r"failed to complete \(0 ")
_CODES: Mapping[str, tuple[OutcomeClass, str]] = {
    "unauthenticated": (
        "client_error",
        "LiveKit does not accept the API key: check LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
    ),
    "permission_denied": ("client_error", "LiveKit does not let this API key make calls"),
    "not_found": ("client_error", "LiveKit does not know what the request names: check the trunk's id"),
    "invalid_argument": ("client_error", "LiveKit does not accept the request"),
    "malformed": ("client_error", "LiveKit could not read the request"),
    "out_of_range": ("client_error", "LiveKit does not accept a value of the request"),
    "failed_precondition": ("client_error", "LiveKit and the far end did not come to a session"),
    "already_exists": ("client_error", "the room has a participant of that name already"),
    "bad_route": ("client_error", "there is no LiveKit SIP API at LIVEKIT_URL"),
    "unimplemented": ("client_error", "this LiveKit server has no SIP API"),
    "resource_exhausted": ("upstream_error", "a limit of the LiveKit project is reached"),
    "aborted": ("upstream_error", "LiveKit broke the call off"),
    "unavailable": ("upstream_error", "LiveKit's SIP service cannot be reached from its server"),
    "internal": ("upstream_error", "LiveKit failed inside"),
    "dataloss": ("upstream_error", "LiveKit failed inside"),
    "unknown": ("upstream_error", "LiveKit could not place the call"),
}
"""Codes of the Twirp specification that say nothing of time."""
_OF_HTTP = {401: "unauthenticated", 403: "permission_denied", 404: "bad_route", 503: "unavailable"}
"""An answer that is no Twirp error, such as that of a proxy or of the check of the token, has only its status."""


class TwirpFailure(Exception):
    """A request that was answered with an error.

    Attributes:
        code: the Twirp code, `unknown` where the body was no Twirp error.
        text: LiveKit's own words.
        http_status: status of the HTTP response.
        metadata: of the error.
    """

    def __init__(
        self, code: str, text: str, *, http_status: int, metadata: Mapping[str, str] | None = None
    ) -> None:
        self.code, self.text, self.http_status = code, text, http_status
        self.metadata = dict(metadata or {})
        super().__init__(f"{http_status} {code}")


@dataclass(frozen=True, slots=True)
class Refused:
    """What became of a call that LiveKit did not make.

    Attributes:
        event: how the trace tells it.
        outcome: class and words.
    """

    event: signalling.CallEvent = field(repr=False)
    outcome: Outcome


def refused(failure: TwirpFailure, *, ring_timeout_s: float) -> Refused:
    """Read a Twirp error.

    Args:
        failure: what LiveKit answered.
        ring_timeout_s: how long the callee was to ring.
    """
    status = failure.metadata.get("sip_status_code", "")
    if status.isascii() and status.isdigit() and 300 <= int(status) <= 699:
        return by_status(int(status), failure.metadata.get("sip_status", ""))
    if "auth retry" in failure.text or "required auth" in failure.text:
        return by_status(407, "")
    code = failure.code
    if code == "unknown" and not failure.text:
        code = _OF_HTTP.get(failure.http_status, code)
    if code in {"deadline_exceeded", "canceled"}:
        return _out_of_time(failure, ring_timeout_s)
    kind, words = _CODES.get(code, _CODES["unknown"])
    said = f": {failure.text}" if failure.text else f" (HTTP {failure.http_status})"
    text = f"{words}{said}"
    return Refused(signalling.Unreachable(text), Outcome(kind, text))


def by_status(status: int, phrase: str) -> Refused:
    """Read the final response of the far end.

    Args:
        status: 300 to 699.
        phrase: its reason phrase, or LiveKit's name of the status; may be empty.
    """
    if not phrase or phrase.startswith(_ENUM_PREFIX):
        phrase = REASONS.get(status, "")
    phrase = re.sub(r"[\r\n]+", " ", phrase)
    if status in {401, 407}:
        text = (
            f"{status} {phrase}: the far end wants credentials, and those that LiveKit has for the trunk are missing"
            " or wrong"
        )
        event = signalling.AuthenticationRefused(status, "", text, phrase)
        return Refused(event, Outcome("client_error", text, status))
    event = signalling.Rejected(status, phrase, cause_of(Response(status, phrase)))
    return Refused(event, outcome_of(event, Trace(), completed=False))


def unanswered(ring_timeout_s: float) -> Refused:
    """Nobody picked up in time."""
    text = f"nobody picked up within {ring_timeout_s:g} s; LiveKit ended the call"
    event = signalling.TimedOut("ringing", text)
    return Refused(event, outcome_of(event, Trace(), completed=False))


def unreachable(text: str) -> Refused:
    """LiveKit itself was not reached."""
    event = signalling.Unreachable(text)
    return Refused(event, outcome_of(event, Trace(), completed=False))


def _out_of_time(failure: TwirpFailure, ring_timeout_s: float) -> Refused:
    if _NO_RESPONSE.search(failure.text):
        text = f"the trunk's far end did not respond to LiveKit's INVITE at all: {failure.text}"
        event = signalling.TimedOut("no response", text)
        return Refused(event, outcome_of(event, Trace(), completed=False))
    return unanswered(ring_timeout_s)
