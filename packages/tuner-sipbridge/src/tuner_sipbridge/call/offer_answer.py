"""Offer and answer over the life of one dialog (RFC 3264)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tuner_sipbridge.errors import NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.sdp.negotiation import PAYLOAD_TYPES, Negotiated, accept_answer, answer, make_offer
from tuner_sipbridge.sdp.session import Direction, SessionDescription

_SENDING: dict[tuple[bool, bool], Direction] = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}


class OfferAnswer:
    """Our side of a session: one RTP port, and the description that the far end has of it."""

    def __init__(self, ability: SessionDescription, *, session_id: int | None = None) -> None:
        """Begin without any description on the wire.

        Args:
            ability: all that we can do at our port, in the form of an offer of ours.
            session_id: for a far end that offers first; None takes the one of `ability`.
        """
        audio = next((media for media in ability.media if media.media == "audio"), None)
        if audio is None:
            raise NegotiationFailed("our own description has no audio stream")
        self._ability = ability
        self._port = audio.port
        self._address = ability.address_of(audio) or ""
        self._codecs = tuple(
            one for codec in audio.codecs if (one := codec.encoding.upper()) in PAYLOAD_TYPES
        )
        self._session_id = session_id or _session_id_of(ability)
        self._told: SessionDescription | None = None
        self._offered = ability
        self._before: Direction = "sendrecv"
        self._wanted: Direction = "sendrecv"
        self.agreed: Negotiated | None = None
        """What the last answer settled."""
        self.pending = False
        """True when the far end has an offer of ours and has not answered it."""

    @classmethod
    def at(cls, address: str, port: int, *, session_id: int, codecs: Sequence[str]) -> OfferAnswer:
        """Our side at an RTP port that speaks these codecs, best first."""
        return cls(make_offer(address, port, session_id, codecs), session_id=session_id)

    @property
    def told(self) -> bytes:
        """Our last description as the far end has it, empty before the first."""
        return self._told.to_bytes() if self._told is not None else b""

    def offer(self) -> bytes:
        """An offer of all that we can do: the body of an INVITE, or of a 2xx to an INVITE without one."""
        self.pending = True
        self._offered = directed(self._ability, self._wanted)
        return self._tell(self._offered)

    def offer_again(self, direction: Direction | None = None) -> bytes:
        """The description that the far end has of us as a new offer: a re-INVITE in mid-call.

        Args:
            direction: what we mean to do from now on, `sendonly` or `inactive` for hold; None changes nothing.
        """
        self._before = self._wanted
        self._wanted = direction or self._wanted
        self.pending = True
        told = self._told or self._ability
        self._offered = told if direction is None else directed(told, direction)
        return self._tell(self._offered)

    def withdraw(self) -> None:
        """Our last offer was refused: what was agreed on before stays (RFC 3261 §14.1)."""
        self.pending = False
        self._wanted = self._before

    def take_answer(self, body: bytes) -> Negotiated:
        """Take the far end's answer to our offer.

        Raises:
            NegotiationFailed: there is none, it cannot be read, or it does not fit the offer.
        """
        description = read_description(body)
        if description is None:
            raise NegotiationFailed("the far end answered without a session description")
        negotiated = accept_answer(self._offered, description)
        self.pending = False
        self.agreed = negotiated
        return negotiated

    def answer(self, body: bytes) -> tuple[bytes, Negotiated]:
        """Answer an offer of the far end: the body to send, and what is agreed on.

        Raises:
            NegotiationFailed: it cannot be read, or has nothing for us; the session stays as it was.
        """
        offer = read_description(body)
        if offer is None:
            raise NegotiationFailed("the offer has no session description")
        description, negotiated = answer(offer, self._address, self._port, self._session_id, self._codecs)
        if self._wanted != "sendrecv":
            # A call that we hold stays held, whatever the far end offers (RFC 3264 §8.4).
            description, negotiated = _kept_on_hold(description, negotiated, self._wanted)
        self.agreed = negotiated
        return self._tell(description), negotiated

    def _tell(self, description: SessionDescription) -> bytes:
        """A description as the far end gets it: its version counts the changes (RFC 3264 §8)."""
        if self._told is not None:
            same = description.with_version(self._told.version or 0)
            description = same if same == self._told else same.with_version((self._told.version or 0) + 1)
        self._told = description
        return description.to_bytes()


def directed(description: SessionDescription, direction: Direction) -> SessionDescription:
    """The same description with this direction on its audio streams that are not refused."""
    media = tuple(
        replace(
            one,
            lines=(
                *(line for line in one.lines if line[0] != "a" or line[1].strip() not in _SENDING.values()),
                ("a", direction),
            ),
        )
        if one.media == "audio" and one.port
        else one
        for one in description.media
    )
    return replace(description, media=media)


def _kept_on_hold(
    answer: SessionDescription, negotiated: Negotiated, wanted: Direction
) -> tuple[SessionDescription, Negotiated]:
    """An answer in which we do no more than we want to."""
    send = negotiated.send and wanted in ("sendrecv", "sendonly")
    receive = negotiated.receive and wanted in ("sendrecv", "recvonly")
    return directed(answer, _SENDING[send, receive]), replace(negotiated, send=send, receive=receive)


def read_description(body: bytes) -> SessionDescription | None:
    """The session description in a body, None when the body is empty.

    Raises:
        NegotiationFailed: it cannot be read.
    """
    if not body:
        return None
    try:
        return SessionDescription.parse(body)
    except RemoteProtocolError as error:
        raise NegotiationFailed(str(error)) from None


def _session_id_of(description: SessionDescription) -> int:
    origin = next((value for letter, value in description.lines if letter == "o"), "").split()
    return int(origin[1]) if len(origin) > 1 and origin[1].isdecimal() else 0
