"""Which class an outcome is of: whose fault it is, as far as the line can tell."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tuner_sipbridge.call.causes import Failure
from tuner_sipbridge.call.events import Problem
from tuner_sipbridge.errors import LocalProtocolError, NotLocated, NotRegistered, SipBridgeError

OutcomeClass: TypeAlias = Literal["success", "client_error", "upstream_error", "agent_error", "indeterminate"]

_AGENT_STATUSES = frozenset({480, 486, 600, 603, 607})
"""The called party itself is busy, away or unwilling (RFC 3261 §21.4.18, §21.4.24, §21.6; RFC 8197)."""

_UPSTREAM_STATUSES = frozenset({408, 481, 482, 483, 487, 491, 608})
"""Somebody on the way: it waited in vain, lost the call, routes in a circle, gave up by itself, or rejects calls in
place of the called party (RFC 3261 §21.4.9, §21.4.19 to §21.4.25; RFC 8688)."""

_AGENT_CAUSES = frozenset({17, 18, 19, 20, 21})
"""Busy, not responding, not answering, absent, rejecting (ITU-T Q.850)."""

_NETWORK_CAUSES = frozenset({3, 27, 34, 38, 41, 42, 44, 47, 102, 111, 127})
"""No route, out of order, no circuit, a failure or congestion of the network, interworking (ITU-T Q.850)."""

_OUR_PROBLEMS = frozenset({"no credentials", "wrong credentials"})
"""What the user can mend of a challenge; the others are the far end's way of asking."""


def class_of_refusal(status: int, failure: Failure) -> OutcomeClass:
    """Class of a final response of 300 or above to an INVITE.

    Where the telephone network gives its cause, that goes before a status that is often but its translation.
    """
    if status in (480, 486, 500, 503, 600, 603, 607, 608):
        if failure.q850 in _NETWORK_CAUSES:
            return "upstream_error"
        if failure.q850 in _AGENT_CAUSES:
            return "agent_error"
    if status in _AGENT_STATUSES:
        return "agent_error"
    if status in _UPSTREAM_STATUSES or status < 400 or 500 <= status < 600:
        return "upstream_error"
    return "client_error"


def class_of_challenge(problem: Problem) -> OutcomeClass:
    """Class of a challenge that ended the call."""
    return "client_error" if problem in _OUR_PROBLEMS else "upstream_error"


def class_of_end(failure: Failure) -> OutcomeClass:
    """Class of a BYE that came too early: the agent's doing, unless its Reason says that the network failed."""
    if failure.q850 in _NETWORK_CAUSES:
        return "upstream_error"
    statuses = [one.cause for one in failure.reasons if one.protocol.upper() == "SIP" and one.cause]
    return "upstream_error" if any(500 <= one < 600 or one == 408 for one in statuses) else "agent_error"


def class_of_error(error: SipBridgeError) -> OutcomeClass:
    """Class of an error that came before the INVITE was sent."""
    match error:
        case NotRegistered(credentials=ours):
            return "client_error" if ours else "upstream_error"
        case NotLocated(unknown=unknown):
            return "client_error" if unknown else "upstream_error"
        case LocalProtocolError():
            return "client_error"
        case _:
            return "indeterminate"
