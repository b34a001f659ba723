"""Offer and answer over the life of one dialog (RFC 3264)."""

from __future__ import annotations

from collections.abc import Sequence

from tuner_sipbridge.errors import NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.sdp.negotiation import PAYLOAD_TYPES, Negotiated, accept_answer, answer, make_offer
from tuner_sipbridge.sdp.session import SessionDescription


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
        self.agreed: Negotiated | None = None
        """What the last answer settled."""
        self.pending = False
        """True when the far end has an offer of ours and has not answered it."""

    @classmethod
    def at(cls, address: str, port: int, *, session_id: int, codecs: Sequence[str]) -> OfferAnswer:
        """Our side at an RTP port that speaks these codecs, best first."""
        return cls(make_offer(address, port, session_id, codecs), session_id=session_id)

    def offer(self) -> bytes:
        """An offer of all that we can do: the body of an INVITE, or of a 2xx to an INVITE without one."""
        self.pending = True
        return self._tell(self._ability)

    def take_answer(self, body: bytes) -> Negotiated:
        """Take the far end's answer to our offer.

        Raises:
            NegotiationFailed: there is none, it cannot be read, or it does not fit the offer.
        """
        description = read_description(body)
        if description is None:
            raise NegotiationFailed("the far end answered without a session description")
        negotiated = accept_answer(self._ability, description)
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
        self.agreed = negotiated
        return self._tell(description), negotiated

    def _tell(self, description: SessionDescription) -> bytes:
        """A description as the far end gets it: its version counts the changes (RFC 3264 §8)."""
        if self._told is not None:
            same = description.with_version(self._told.version or 0)
            description = same if same == self._told else same.with_version((self._told.version or 0) + 1)
        self._told = description
        return description.to_bytes()


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
