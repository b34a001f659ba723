"""What holds for all calls of one dialer through LiveKit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TrunkTerms:
    """How LiveKit is to call.

    Attributes:
        trunk_id: id of an outbound trunk (`ST_…`); empty: the SIP URI that is dialled names the far end.
        number: caller's number, in From; the trunk's own when empty. Needed without a stored trunk.
        username: for the far end's challenge, of calls without a stored trunk: LiveKit keeps a stored one's.
        password: the same.
        room: room to speak in; one of our making for each call when empty.
        dtmf: digits that LiveKit sends after the answer, `w` for half a second of waiting.
        attributes: attributes of the callee's participant.
        wait_until_answered: the request stays open until the callee picks up; without it the status that the
            participant shows is followed.
        max_call_duration_s: LiveKit ends the call after so long; its own limit when None.
    """

    trunk_id: str = ""
    number: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    room: str = ""
    dtmf: str = field(default="", repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    wait_until_answered: bool = True
    max_call_duration_s: float | None = None
