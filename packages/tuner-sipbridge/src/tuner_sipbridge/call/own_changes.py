"""What we change of a session that stands: hold, resume, refresh (RFC 3261 §14.1, RFC 3311 §5.1).

One change is under way at a time. What was asked for meanwhile waits, and the last wish wins.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuner_sipbridge.call.dialog_requests import DialogRequests
from tuner_sipbridge.call.events import CallEvent, ChangeRefused, Renegotiated
from tuner_sipbridge.call.ids import Ids
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.requests import SDP
from tuner_sipbridge.call.session_timer import SessionTimer
from tuner_sipbridge.errors import NegotiationFailed
from tuner_sipbridge.sdp.session import Direction
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.grammar import decimal
from tuner_sipbridge.sip.message import REASONS, Request, Response

_MOST_TRIES = 8
_LONGEST_WAIT_S = 32
_TRY_LATER = frozenset({480, 500, 503, 600})
"""With Retry-After these ask for another try (RFC 5057 §5.1)."""


class OwnChanges:
    """Sends re-INVITE and UPDATE, and waits as the standard asks when both ends change at once."""

    def __init__(
        self,
        dialog: Dialog,
        requests: DialogRequests,
        *,
        session: OfferAnswer,
        timer: SessionTimer,
        headers: Sequence[tuple[str, str]],
        ids: Ids,
        owns_call_id: bool,
    ) -> None:
        """Begin with no wish.

        Args:
            dialog: the dialog.
            requests: sends within it.
            session: offer and answer so far.
            timer: the session timer, which each change starts again.
            headers: Contact, Allow and Supported of ours.
            ids: source of the share of the wait after 491.
            owns_call_id: True for the side that made the call: it waits longer after 491 (§14.1).
        """
        self._dialog = dialog
        self._requests = requests
        self._session = session
        self._timer = timer
        self._headers = headers
        self._ids = ids
        self._owns_call_id = owns_call_id
        self._direction: Direction | None = None
        self._refresh = False
        self._tries = 0
        self._sent: Request | None = None
        self._not_before: float | None = None
        self._events: list[CallEvent] = []
        self.peer_takes_update = False
        """Whether UPDATE stands in the far end's Allow."""

    @property
    def inviting(self) -> bool:
        """True while a re-INVITE of ours has no final response."""
        return self._sent is not None and self._sent.method == "INVITE"

    @property
    def offering(self) -> bool:
        """True while an offer of ours has no answer."""
        return self._sent is not None and bool(self._sent.body)

    def change(self, direction: Direction) -> None:
        """Wish for another direction of the media; sent by `go`."""
        self._direction, self._tries = direction, 0

    def refresh(self) -> None:
        """Wish for a refresh of the session that changes nothing (RFC 4028 §10); sent by `go`."""
        self._refresh, self._tries = True, 0

    def events(self) -> list[CallEvent]:
        """What came of it; drained."""
        events, self._events = self._events, []
        return events

    def go(self, *, now: float) -> None:
        """Send what is wished for, unless something is under way or a wait is not over."""
        if self._sent is not None or not (self._direction or self._refresh):
            return
        if self._not_before is not None and now < self._not_before:
            return
        self._not_before = None
        self._tries += 1
        direction, self._direction, self._refresh = self._direction, None, False
        by_update = direction is None and self.peer_takes_update
        body = b"" if by_update else self._session.offer_again(direction)
        self._sent = self._requests.send(
            "UPDATE" if by_update else "INVITE",
            now=now,
            then=lambda response, now: self._take(response, direction, now),
            headers=[*self._headers, *self._timer.request_headers()],
            body=body,
            content_type=SDP if body else None,
        )

    def abandon(self, *, now: float) -> None:
        """The call is over: wish for nothing, and wait no longer for an answer."""
        self._direction, self._refresh, self._not_before = None, False, None
        if self._sent is not None:
            self._requests.abandon(self._sent, now=now)
            self._sent = None

    def next_deadline(self) -> float | None:
        """When `go` must run next."""
        return self._not_before if self._sent is None else None

    def _take(self, response: Response | None, direction: Direction | None, now: float) -> None:
        sent, self._sent = self._sent, None
        assert sent is not None
        if response is not None and response.status < 300:
            self._succeed(sent, response, now)
            return
        if sent.body:
            self._session.withdraw()
        if response is None:
            return
        status = response.status
        if sent.method == "UPDATE" and status in (405, 501):
            self.peer_takes_update = False
            self._again(direction, now, after_s=0.0)
        elif status == 491:
            self._again(direction, now, after_s=self._wait_after_glare())
        elif status == 422 and self._timer.raised_by(response):
            self._again(direction, now, after_s=0.0)
        elif status in _TRY_LATER and (
            wait := decimal(_word(response, "Retry-After"), below=_LONGEST_WAIT_S)
        ):
            self._again(direction, now, after_s=float(wait))
        else:
            self._refuse(response, direction, now)

    def _succeed(self, sent: Request, response: Response, now: float) -> None:
        self._timer.take_answer(response, now=now)
        if not sent.body:
            return
        before = self._session.agreed
        try:
            negotiated = self._session.take_answer(response.body)
        except NegotiationFailed as problem:
            self._session.withdraw()
            self._events.append(
                ChangeRefused(response.status, f"the answer to our offer does not fit: {problem}")
            )
            return
        if negotiated != before:
            self._events.append(Renegotiated(negotiated))

    def _again(self, direction: Direction | None, now: float, *, after_s: float) -> None:
        if self._tries >= _MOST_TRIES:
            self._events.append(ChangeRefused(0, f"the far end let us try {self._tries} times in vain"))
            return
        self._direction = self._direction or direction
        self._refresh = self._refresh or direction is None
        self._not_before = now + after_s

    def _refuse(self, response: Response, direction: Direction | None, now: float) -> None:
        if direction is None:
            # The session lives on until its interval is over (RFC 4028 §10).
            self._timer.try_again(now=now)
            return
        phrase = response.reason or REASONS.get(response.status, "")
        text = f"{response.status} {phrase}: the far end did not take the change, and the session stays as it was"
        self._events.append(ChangeRefused(response.status, text))

    def _wait_after_glare(self) -> float:
        """The wait after a 491, in steps of 10 ms: 2.1 to 4 s for who made the Call-ID, else 0 to 2 s (§14.1)."""
        share = self._ids.share()
        return round(2.1 + 1.9 * share if self._owns_call_id else 2.0 * share, 2)


def _word(response: Response, name: str) -> str:
    """The first word of a header: Retry-After may have a comment and parameters behind it."""
    return (response.headers.get(name) or "").partition(";")[0].partition("(")[0].strip(" \t")
