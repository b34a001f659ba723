"""What a refusal within a dialog is the end of: the request, or the call (RFC 5057 §5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from tuner_sipbridge.call.causes import NO_FAILURE, Failure, failure_of
from tuner_sipbridge.sip.message import Response

_CHANGES = frozenset({"INVITE", "UPDATE"})
_OF_THE_CALL = _CHANGES | {"INFO"}
"""Methods of the INVITE's own usage; NOTIFY and REFER belong to a subscription beside it."""

_NO_SUCH_TARGET = frozenset({404, 410, 416, 484, 485, 604})
"""The Request-URI, which is the far end's own Contact, is refused: nothing more will reach it."""

_BROKEN_ROUTE = frozenset({482, 483, 502})
"""The recorded route leads in a circle or nowhere."""

_WITHOUT_EFFECT = frozenset({"PRACK", "BYE"})
"""Before the answer the INVITE's own final response decides, after BYE the call is over in any case."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Why the far end has no such call.

    Attributes:
        text: in plain words.
        status: of the response that says so, 0 when there was none.
        by_peer: True where the far end itself says so, False where somebody on the way does.
        failure: what that response says beyond its status.
    """

    text: str
    status: int = 0
    by_peer: bool = False
    failure: Failure = NO_FAILURE


def end_of_call(method: str, response: Response) -> Gone | None:
    """Why this refusal of a request within the dialog ends the call; None where it ends but the request.

    Three readings of the table are ours. 404, 410, 416, 484, 485 and 604 to REFER are taken to speak of Refer-To, as
    deployed servers mean them. 405 and 501 end the call only for INVITE: to UPDATE and INFO they say that the far end
    does not know the method (RFC 3311 §5.1). And 480 with Retry-After asks for patience.
    """
    status = response.status
    why, by_peer = "", False
    if method in _WITHOUT_EFFECT:
        return None
    if status in _NO_SUCH_TARGET and method != "REFER":
        why = "what it gave as its Contact leads nowhere"
    elif status in _BROKEN_ROUTE:
        why = "the route of the call is broken"
    elif status == 408 and method in _CHANGES:
        why = "somebody on the way waited for it in vain"
    elif status == 481 and method in _OF_THE_CALL:
        why, by_peer = "it knows nothing of the call", True
    elif status == 480 and method in _OF_THE_CALL and "Retry-After" not in response.headers:
        why, by_peer = "it is not there any more", True
    elif status in (405, 501) and method == "INVITE":
        why, by_peer = "it takes no requests for this call any more", True
    if not why:
        return None
    return Gone(f"the far end answered {method} with {status}: {why}", status, by_peer, failure_of(response))
