"""Provisional responses of the answering side: 100 in time, and those above plain or reliable (RFC 3262 §3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tuner_sipbridge.call import replies
from tuner_sipbridge.call.extensions import Reliability
from tuner_sipbridge.call.requests import SDP
from tuner_sipbridge.errors import RemoteProtocolError
from tuner_sipbridge.sip.grammar import decimal
from tuner_sipbridge.sip.message import Request, Response, response_to
from tuner_sipbridge.sip.timers import Timers, earliest
from tuner_sipbridge.sip.transaction_layer import TransactionLayer

TRYING_AFTER_S = 0.2
"""How long an INVITE may go unanswered before 100 is due (RFC 3261 §17.2.1)."""
SAID_AGAIN_AFTER_S = 60.0
"""Proxies give a call up that nothing is heard of for three minutes, and may lose a word (RFC 3261 §13.3.1.1)."""
RELIABLY_SAID_AGAIN_AFTER_S = 150.0
"""The same where no word is lost (RFC 3262 §3)."""


class Provisionals:
    """What is sent before the final response to one INVITE; one reliable response at a time waits for its PRACK."""

    def __init__(
        self,
        invite: Request,
        layer: TransactionLayer,
        *,
        tag: str,
        timers: Timers,
        reliable: Reliability,
        first_number: int,
        now: float,
    ) -> None:
        """The INVITE was let in at `now`; `first_number` is the RSeq of the first reliable response."""
        self._invite = invite
        self._layer = layer
        self._tag = tag
        self._timers = timers
        speaks, demands = _speaks_100rel(invite)
        self._spoken = reliable != "no" and (speaks or demands)
        self._always = demands or reliable == "required"
        self._number = first_number
        self._trying_at: float | None = now + TRYING_AFTER_S
        self._unacknowledged: Response | None = None
        self._queue: deque[Response] = deque()
        self._interval = timers.t1
        self._repeat_at: float | None = None
        self._give_up_at: float | None = None
        self._said: tuple[int, Sequence[tuple[str, str]], bytes] | None = None
        self._say_again_at: float | None = None
        self._left_behind: Response | None = None
        self.session_acknowledged = False
        """True when a reliable response with a session description was acknowledged."""

    @property
    def reliable(self) -> bool:
        """Whether responses with a session description go out reliably: only those may bring an offer (§5)."""
        return self._spoken

    @property
    def awaits_prack(self) -> bool:
        """True when a 2xx was sent before the PRACK to a reliable response came: it is still taken (§3)."""
        return self._left_behind is not None

    @property
    def holds_the_answer(self) -> bool:
        """True while a reliable response with a session description waits: a 2xx must wait too (§3)."""
        waiting = [one for one in (self._unacknowledged, *self._queue) if one is not None]
        return any(one.body for one in waiting)

    def send(self, status: int, *, now: float, headers: Sequence[tuple[str, str]], body: bytes = b"") -> None:
        """Send a provisional response; reliably when the caller demands that, or it has a session description."""
        self._trying_at = None
        fields = list(headers)
        self._said = (status, headers, body)
        self._say_again_at = now + SAID_AGAIN_AFTER_S
        if not (self._spoken and (body or self._always)):
            self._layer.respond(self._response(status, fields, body), now=now)
            return
        if self._always:
            self._said = (status, headers, b"")
            self._say_again_at = now + RELIABLY_SAID_AGAIN_AFTER_S
        elif self._spoken:
            # Its session description is known: what is said again says that it rings on.
            self._said = (180, headers, b"")
        fields += [("Require", "100rel"), ("RSeq", str(self._number))]
        self._number += 1
        self._queue.append(self._response(status, fields, body))
        self._next(now)

    def take_prack(self, prack: Request, *, now: float) -> bool:
        """Take a PRACK; False when it acknowledges nothing that waits: it is then answered with 481 (§3)."""
        waiting = self._unacknowledged or self._left_behind
        words = (prack.headers.get("RAck") or "").split()
        if waiting is None or len(words) != 3:
            return False
        number = decimal(words[0], below=2**32)
        cseq = decimal(words[1], below=2**31)
        mine = (decimal(waiting.headers.get("RSeq") or "", below=2**32), waiting.cseq.number, "INVITE")
        if (number, cseq, words[2]) != mine:
            return False
        self.session_acknowledged = self.session_acknowledged or bool(waiting.body)
        self._unacknowledged = self._left_behind = self._repeat_at = self._give_up_at = None
        self._next(now)
        return True

    def settle(self, *, accepted: bool = False) -> None:
        """A final response was sent: nothing more is. After a 2xx the PRACK that is missing is still taken (§3)."""
        self._trying_at = self._repeat_at = self._give_up_at = self._say_again_at = None
        self._left_behind = self._unacknowledged if accepted else None
        self._unacknowledged = None
        self._queue.clear()

    def handle_timer(self, *, now: float) -> bool:
        """Send 100 or repeat what is not acknowledged; True when its PRACK is not waited for any longer."""
        if self._trying_at is not None and now >= self._trying_at:
            self._trying_at = None
            self._layer.respond(replies.Reply(100).to(self._invite), now=now)
        if self._give_up_at is not None and now >= self._give_up_at:
            return True
        if self._said is not None and self._say_again_at is not None and now >= self._say_again_at:
            status, headers, body = self._said
            self.send(status, now=now, headers=headers, body=body)
        if self._unacknowledged is not None and self._repeat_at is not None and now >= self._repeat_at:
            # It doubles without a ceiling, unlike a final response (§3).
            self._interval *= 2
            self._repeat_at = now + self._interval
            self._layer.respond(self._unacknowledged, now=now)
        return False

    def next_deadline(self) -> float | None:
        """When `handle_timer` must run next."""
        return earliest((self._trying_at, self._repeat_at, self._give_up_at, self._say_again_at))

    def _next(self, now: float) -> None:
        if self._unacknowledged is None and self._queue:
            self._unacknowledged = self._queue.popleft()
            self._interval = self._timers.t1
            self._repeat_at, self._give_up_at = now + self._timers.t1, now + self._timers.patience
            self._layer.respond(self._unacknowledged, now=now)

    def _response(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> Response:
        return response_to(
            self._invite,
            status,
            to_tag=self._tag,
            headers=headers,
            body=body,
            content_type=SDP if body else None,
        )


def _speaks_100rel(invite: Request) -> tuple[bool, bool]:
    """Whether the caller knows 100rel, and whether it demands it."""
    try:
        knows, demands = (
            any(tag.lower() == "100rel" for tag in invite.headers.elements(name))
            for name in ("Supported", "Require")
        )
    except RemoteProtocolError:
        return False, False
    return knows, demands
