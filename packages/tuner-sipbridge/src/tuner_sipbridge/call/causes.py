"""Why a call was refused, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from tuner_sipbridge.sip.message import REASONS, Message, Response
from tuner_sipbridge.sip.reason import Reason, Warning, reasons_of, warnings_of

_CAUSES = {
    400: "the far end could not read our INVITE",
    401: "the far end asks for credentials again and again",
    402: "the far end wants payment first",
    403: "the far end does not let this caller in, whatever the credentials",
    404: "the far end does not know this user or number",
    405: "the far end takes no INVITE at this address",
    406: "the far end cannot give an answer that we accept",
    407: "a proxy on the way asks for credentials again and again",
    408: "a server on the way waited in vain for the far end",
    410: "this user or number exists no longer",
    413: "the INVITE is too large for the far end",
    414: "the URI is too long for the far end",
    415: "the far end does not take SDP in an INVITE",
    416: "the far end does not know the scheme of this URI",
    420: "the far end does not know an extension that we require",
    421: "the far end requires an extension that we do not have",
    422: "the far end wants a longer session interval",
    480: "the far end is known but cannot be reached now",
    481: "the far end knows nothing of this call",
    482: "the INVITE went round in a loop",
    483: "the INVITE went over too many hops",
    484: "the number is incomplete",
    485: "the far end cannot tell who is meant",
    486: "the far end is busy",
    487: "the call was cancelled before it was answered",
    488: "the far end does not accept this session: codecs or transport do not suit it",
    491: "the far end is in the middle of another change of this session",
    493: "the far end cannot decrypt the INVITE",
    500: "the far end failed inside",
    501: "the far end does not know INVITE",
    502: "a gateway on the way got a bad answer",
    503: "the far end is overloaded or down",
    504: "a gateway on the way got no answer in time",
    505: "the far end does not know SIP/2.0",
    513: "the INVITE is too large for the far end",
    600: "the far end is busy everywhere",
    603: "the far end declined the call",
    604: "this user or number does not exist anywhere",
    606: "the far end does not accept this session: codecs or transport do not suit it",
    607: "the far end does not want this caller",
    608: "an intermediary rejected the call as unwanted",
}

_CLASSES = {
    3: "the far end sent us elsewhere, and there was no new address to try",
    4: "the far end refused the request",
    5: "a server failed",
    6: "the far end refused the call everywhere",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What a final response, or a BYE, says of itself beyond its status.

    Attributes:
        reasons: its Reason headers (RFC 3326).
        warnings: its Warning headers (RFC 3261 §20.43).
        said_by: the Server header, User-Agent of a BYE: which element of the path it was.
        retry_after_s: when to come again, None when it does not say.
    """

    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Warning, ...] = ()
    said_by: str = ""
    retry_after_s: int | None = None

    @property
    def q850(self) -> int | None:
        """The cause of the telephone network (ITU-T Q.850), None when it gave none."""
        causes = (one.cause for one in self.reasons if one.protocol.upper() == "Q.850")
        return next((cause for cause in causes if cause is not None), None)


NO_FAILURE = Failure()


def failure_of(message: Message) -> Failure:
    """Reason, Warning, Server and Retry-After of a final response or of a BYE."""
    headers = message.headers
    wait = (headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip(" \t")
    return Failure(
        reasons_of(headers),
        warnings_of(headers),
        headers.get("Server" if isinstance(message, Response) else "User-Agent") or "",
        int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 10 else None,
    )


def cause_of(response: Response, *, after_credentials: bool = False) -> str:
    """What a final response of 300 or above means: status, phrase and cause, with the far end's own words.

    Args:
        response: the refusal.
        after_credentials: it came to a request with credentials: a 403 may then be a wrong password.
    """
    status, failure = response.status, failure_of(response)
    phrase = response.reason or REASONS.get(status, "")
    text = f"{status} {phrase}: {_CAUSES.get(status) or _CLASSES[status // 100]}"
    if status == 403 and after_credentials:
        text = (
            f"{status} {phrase}: the far end refused the call after credentials were sent: user name or password"
            " are wrong, or this account may not call there"
        )
    said = [one.words for one in failure.warnings] + [one.words for one in failure.reasons]
    if failure.retry_after_s is not None:
        said.append(f"Retry-After: {failure.retry_after_s}")
    return f"{text} ({'; '.join(said)})" if said else text
