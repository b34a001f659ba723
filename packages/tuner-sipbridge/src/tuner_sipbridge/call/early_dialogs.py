"""What provisional responses tell of a call that is not answered yet (RFC 3261 §12.1, §13.2.2.1)."""

from __future__ import annotations

from tuner_sipbridge.call.events import CallEvent, EarlyMedia, Ringing
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.errors import NegotiationFailed
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.message import Response


class EarlyDialogs:
    """The early dialogs of one INVITE by the far end's tag, with the first answer that each of them gave."""

    def __init__(self, offer: SessionDescription) -> None:
        """Begin with none; `offer` is what they answer."""
        self._offer = offer
        self._answers: dict[str, bytes] = {}
        self._last_status = 100

    def __contains__(self, tag: str) -> bool:
        return tag in self._answers

    def answer_of(self, tag: str) -> bytes:
        """The session description that a provisional response of this dialog carried, empty without one."""
        return self._answers.get(tag, b"")

    def take(self, response: Response) -> list[CallEvent]:
        """Take a provisional response above 100: what is new in it."""
        events: list[CallEvent] = []
        if response.status != self._last_status:
            self._last_status = response.status
            events.append(Ringing(response.status))
        tag = response.to.tag or ""
        if self._answers.setdefault(tag, b"") or not response.body:
            return events
        session = OfferAnswer(self._offer)
        try:
            negotiated = session.take_answer(response.body)
        except NegotiationFailed:
            # Nothing is lost yet: what counts is the answer in the 2xx.
            return events
        self._answers[tag] = response.body
        events.append(EarlyMedia(response.status, negotiated))
        return events
