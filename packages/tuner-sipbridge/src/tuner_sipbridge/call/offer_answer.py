"""Offer and answer over the life of one dialog (RFC 3264)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuner_sipbridge.errors import NegotiationFailed, RemoteProtocolError
from tuner_sipbridge.sdp import crypto
from tuner_sipbridge.sdp.codecs import continued, name_of
from tuner_sipbridge.sdp.crypto import PLAIN, Srtp
from tuner_sipbridge.sdp.describe import refused, session_of
from tuner_sipbridge.sdp.negotiation import (
    Negotiated,
    accept_answer,
    answer,
    make_offer,
    place_of_audio,
    receives,
    sends,
)
from tuner_sipbridge.sdp.session import Direction, MediaDescription, SessionDescription


class OfferAnswer:
    """Our side of a session: one RTP port, and the description that the far end has of it.

    Every description that goes out keeps the streams of the one before in their places (RFC 3264 §8), the origin but
    for its version, the keys, and the numbers of the payload types.
    """

    def __init__(self, ability: SessionDescription, *, session_id: int | None = None) -> None:
        """Begin without any description on the wire.

        Args:
            ability: all that we can do at our port, in the form of an offer of ours, keys for SRTP included.
            session_id: for a far end that offers first; None takes the one of `ability`.
        """
        audio = ability.media[place_of_audio(ability)]
        self._ability = ability
        self._port = audio.port
        self._address = ability.address_of(audio) or ""
        self._codecs = tuple(name for codec in audio.codecs if (name := name_of(codec)) is not None)
        self._srtp = crypto.offered_in(audio)
        self._direction: Direction = ability.direction_of(audio)
        self._direction_before: Direction = self._direction
        self._session_id = session_id or _session_id_of(ability)
        self._ours: SessionDescription | None = None
        self._told: SessionDescription | None = None
        self.agreed: Negotiated | None = None
        """What the last answer settled."""
        self.pending = False
        """True when the far end has an offer of ours and has not answered it."""

    @classmethod
    def at(
        cls, address: str, port: int, *, session_id: int, codecs: Sequence[str], srtp: Srtp = PLAIN
    ) -> OfferAnswer:
        """Our side at an RTP port that speaks these codecs, best first."""
        return cls(make_offer(address, port, session_id, codecs, srtp=srtp), session_id=session_id)

    @property
    def told(self) -> bytes:
        """The description that the far end has of us, empty before the first."""
        return b"" if self._told is None else self._told.to_bytes()

    @property
    def direction(self) -> Direction:
        """What we mean to do: `sendonly` or `inactive` while we hold the call."""
        return self._direction

    def offer(self) -> bytes:
        """An offer of all that we can do: the body of an INVITE, or of a 2xx to an INVITE without one."""
        self.pending = True
        self._direction_before = self._direction
        return self._tell(self._with_streams(_directed(self._ability, self._direction)))

    def offer_again(self, direction: Direction | None = None, *, by_address: bool = False) -> bytes:
        """The description that the far end has of us as a new offer: the body of a re-INVITE in mid-call.

        Args:
            direction: what we mean to do from now on: `sendonly` or `inactive` to hold the call, `sendrecv` to
                resume it; None leaves it as it was. Ours alone counts: a call that the far end holds stays held by it.
            by_address: hold as RFC 2543 did, by an address of zeros, for far ends that know nothing else.
        """
        self.pending = True
        self._direction_before = self._direction
        if direction is not None:
            self._direction = direction
        offer = _directed(self._ours or self._ability, self._direction)
        return self._tell(offer, by_address=by_address)

    def withdraw(self) -> None:
        """Our offer was refused: the session stays as it was (RFC 3261 §14.1)."""
        self.pending = False
        self._direction = self._direction_before

    def take_answer(self, body: bytes) -> Negotiated:
        """Take the far end's answer to our offer.

        Raises:
            NegotiationFailed: there is none, it cannot be read, or it does not fit the offer.
        """
        description = read_description(body)
        if description is None:
            raise NegotiationFailed("the far end answered without a session description")
        negotiated = accept_answer(self._told or self._ability, description)
        # A hold by address says nothing of directions, and is meant all the same.
        negotiated = replace(
            negotiated,
            send=negotiated.send and sends(self._direction),
            receive=negotiated.receive and receives(self._direction),
        )
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
        description, negotiated = answer(
            offer,
            self._address,
            self._port,
            self._session_id,
            self._codecs,
            direction=self._direction,
            srtp=self._srtp,
        )
        self.agreed = negotiated
        return self._tell(description), negotiated

    def decline(self, body: bytes) -> bytes:
        """An answer that takes nothing of an offer, for an ACK that must bring one (RFC 3261 §13.2.2.4).

        Empty when the offer is none or cannot be read.
        """
        try:
            offer = read_description(body)
        except NegotiationFailed:
            return b""
        if offer is None:
            return b""
        streams = [refused(media) for media in offer.media]
        return session_of(self._address, self._session_id, 1, streams).to_bytes()

    def _with_streams(self, offer: SessionDescription) -> SessionDescription:
        """Our offer with the streams that the session has had already: their number never shrinks."""
        if self._ours is None:
            return offer
        place = place_of_audio(self._ours)
        before = self._ours.media[place]
        streams = [refused(other) for other in self._ours.media]
        streams[place] = _continued(offer.media[place_of_audio(offer)], before)
        return replace(offer, media=tuple(streams))

    def _tell(self, description: SessionDescription, *, by_address: bool = False) -> bytes:
        """A description as the far end gets it: its version counts the changes (RFC 3264 §8)."""
        self._ours = description
        if by_address:
            description = _without_address(description)
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


def _directed(ours: SessionDescription, direction: Direction) -> SessionDescription:
    """A description of ours with this direction of the audio stream."""
    place = place_of_audio(ours)
    audio = ours.media[place]
    if audio.direction == direction:
        return ours
    lines = tuple(("a", direction) if line == ("a", audio.direction) else line for line in audio.lines)
    return _with_audio(ours, place, replace(audio, lines=lines))


def _with_audio(ours: SessionDescription, place: int, audio: MediaDescription) -> SessionDescription:
    return replace(ours, media=(*ours.media[:place], audio, *ours.media[place + 1 :]))


def _continued(audio: MediaDescription, before: MediaDescription) -> MediaDescription:
    """Our stream as it goes on from how it was described: same profile, keys, payload types and RTCP port."""
    lines = [line for line in audio.lines if not line[1].startswith("crypto:")]
    at = next(index for index, line in enumerate(lines) if line[1].startswith("ptime:"))
    lines[at:at] = [line for line in before.lines if line[1].startswith("crypto:")]
    if before.rtcp_mux:
        lines.insert(len(lines) - 1, ("a", "rtcp-mux"))
    numbers = {str(old): str(new) for old, new in continued(audio.codecs, before.codecs).items()}
    lines = [(letter, _renumbered(value, numbers)) for letter, value in lines]
    formats = tuple(numbers.get(word, word) for word in audio.formats)
    return replace(audio, protocol=before.protocol, formats=formats, lines=tuple(lines))


def _renumbered(value: str, numbers: Mapping[str, str]) -> str:
    """An attribute with its payload type, where it is of one, replaced."""
    name, _, rest = value.partition(":")
    number, _, parameters = rest.partition(" ")
    if name not in ("rtpmap", "fmtp") or number not in numbers:
        return value
    return f"{name}:{numbers[number]} {parameters}"


def _without_address(offer: SessionDescription) -> SessionDescription:
    """The offer with an address of zeros, which says hold, and no direction, which its reader would not know."""
    lines = tuple(
        (letter, "IN IP6 ::" if " IP6 " in value else "IN IP4 0.0.0.0") if letter == "c" else (letter, value)
        for letter, value in offer.lines
    )
    place = place_of_audio(offer)
    audio = offer.media[place]
    kept = tuple(line for line in audio.lines if line != ("a", audio.direction))
    return _with_audio(replace(offer, lines=lines), place, replace(audio, lines=kept))
