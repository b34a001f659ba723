"""The closing event of a call that was refused, or that nobody answered."""

from __future__ import annotations

from tuner_sipbridge.call.authentication import Authentication, Unanswerable
from tuner_sipbridge.call.causes import cause_of, failure_of
from tuner_sipbridge.call.events import AuthenticationRefused, Rejected, TimedOut
from tuner_sipbridge.sip.message import Response


def rejected(response: Response, *, authentication: Authentication | None = None) -> Rejected:
    """The call was refused; `authentication` tells whether credentials were sent before."""
    text = cause_of(response, after_credentials=authentication is not None and authentication.used)
    return Rejected(response.status, response.reason, text, failure_of(response))


def refused_credentials(response: Response, unanswerable: Unanswerable) -> AuthenticationRefused:
    """A challenge that cannot be answered, or not any more, ended the call."""
    return AuthenticationRefused(
        response.status,
        unanswerable.realm,
        unanswerable.text,
        response.reason,
        unanswerable.problem,
        failure_of(response),
    )


def timed_out(waited_s: float, *, heard: bool, credentials_sent: bool) -> TimedOut:
    """Nobody answered.

    Args:
        waited_s: how long was waited.
        heard: a provisional response came, and the call was cancelled.
        credentials_sent: the INVITE that nobody answered had credentials.
    """
    waited = f"in {waited_s:g} s"
    if heard:
        return TimedOut("ringing", f"nobody answered {waited}, and the call was cancelled")
    text = f"no response came {waited}; check host, port and transport, and that a firewall lets it through"
    if credentials_sent:
        text = (
            f"no response came {waited} to the INVITE with credentials, though the far end had asked for them:"
            " some edges drop a caller whose user name or password is wrong"
        )
    return TimedOut("no response", text)
