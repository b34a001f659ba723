"""What provisional responses tell of a call that is not answered yet (RFC 3261 §12.1, §13.2.2.1, RFC 3262 §4)."""

from __future__ import annotations

from tuner_sipbridge.call.events import CallEvent, EarlyMedia, Ringing
from tuner_sipbridge.call.events import NegotiationFailed as NoSession
from tuner_sipbridge.call.invite_usage import InviteUsage
from tuner_sipbridge.call.offer_answer import OfferAnswer
from tuner_sipbridge.call.requests import SDP
from tuner_sipbridge.errors import NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.sdp.negotiation import Negotiated
from tuner_sipbridge.sdp.session import SessionDescription
from tuner_sipbridge.sip.grammar import decimal
from tuner_sipbridge.sip.message import Response


class EarlyDialogs:
    """The early dialogs of one INVITE by the far end's tag, with the first answer that each of them gave."""

    def __init__(self, offer: SessionDescription, *, reliable: bool, late_offer: bool = False) -> None:
        """Begin with none.

        Args:
            offer: what they answer.
            reliable: whether reliable provisional responses are acknowledged; no far end sends any unasked.
            late_offer: the INVITE had no offer: the first reliable response of each dialog may bring the far end's
                (RFC 3262 §5), else the 2xx does.
        """
        self._offer = offer
        self._reliable = reliable
        self._late_offer = late_offer
        self._answers: dict[str, bytes] = {}
        self._numbers: dict[str, int] = {}
        self._last_status = 100

    def settle(self, response: Response, session: OfferAnswer) -> tuple[bytes, Negotiated]:
        """Settle the session of a 2xx: what the ACK is to carry, and what is agreed on.

        Raises:
            NegotiationFailed: there is no session description, it cannot be read, or it does not fit.
        """
        if not session.pending and session.agreed is not None:
            return b"", session.agreed
        if self._late_offer:
            return session.answer(response.body)
        return b"", session.take_answer(response.body or self._answers.get(response.to.tag or "", b""))

    def take(self, response: Response, usage: InviteUsage, *, now: float) -> list[CallEvent]:
        """Take a provisional response above 100 of an early dialog: what is new in it.

        `NegotiationFailed` among it says that the far end's offer cannot be taken: the call is to be given up.
        """
        events: list[CallEvent] = []
        number = _reliable_number(response) if self._reliable else None
        if number is not None and not self._is_next(response.to.tag or "", number):
            return events
        if response.status != self._last_status:
            self._last_status = response.status
            events.append(Ringing(response.status))
        answer = b""
        if response.body and not self._late_offer:
            events += self._take_answer(response, usage, final=number is not None)
        elif response.body and number is not None and usage.session.agreed is None:
            answer, event = self._answer_offer(response, usage.session)
            events.append(event)
        if number is not None:
            self._acknowledge(response, number, usage, answer, now)
        return events

    def forget(self) -> None:
        """The INVITE is sent anew: its early dialogs are over (§8.1.3.5)."""
        self._answers.clear()
        self._numbers.clear()

    def _take_answer(self, response: Response, usage: InviteUsage, *, final: bool) -> list[CallEvent]:
        """The first answer of a dialog is told. A reliable one stands (RFC 3262 §5), any other may be given anew."""
        tag = response.to.tag or ""
        told = bool(self._answers.get(tag))
        settles = final and usage.session.pending
        if told and not settles:
            return []
        session = usage.session if settles else OfferAnswer(self._offer)
        try:
            negotiated = session.take_answer(response.body)
        except NegotiationFailed:
            # Nothing is lost yet: what counts is the answer in the 2xx.
            return []
        self._answers[tag] = response.body
        return [] if told else [EarlyMedia(response.status, negotiated)]

    def _answer_offer(self, response: Response, session: OfferAnswer) -> tuple[bytes, CallEvent]:
        """Answer the offer of a reliable response: what the PRACK is to carry. One we cannot take is declined."""
        try:
            answer, negotiated = session.answer(response.body)
        except NegotiationFailed as problem:
            return session.decline(response.body), NoSession(str(problem))
        return answer, EarlyMedia(response.status, negotiated)

    def _is_next(self, tag: str, number: int) -> bool:
        """Whether a reliable response is the next of its dialog; not so for repeats and those behind a gap.

        A repeat is not acknowledged again: the PRACK repeats itself until it is answered. What came too early
        comes once more (RFC 3262 §4).
        """
        last = self._numbers.get(tag)
        if last is not None and number != last + 1:
            return False
        self._numbers[tag] = number
        return True

    def _acknowledge(
        self, response: Response, number: int, usage: InviteUsage, answer: bytes, now: float
    ) -> None:
        cseq = response.cseq
        usage.requests.send(
            "PRACK",
            now=now,
            headers=[("RAck", f"{number} {cseq.number} {cseq.method}")],
            body=answer,
            content_type=SDP if answer else None,
        )


def _reliable_number(response: Response) -> int | None:
    """RSeq of a response that requires a PRACK; None for one that does not."""
    try:
        required = response.headers.elements("Require")
    except RemoteProtocolError:
        return None
    if not any(tag.lower() == "100rel" for tag in required):
        return None
    return decimal(response.headers.get("RSeq") or "", below=2**32)
