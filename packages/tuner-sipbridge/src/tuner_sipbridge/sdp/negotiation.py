"""Offer and answer for one audio stream of G.711 with telephone-events (RFC 3264, RFC 3551, RFC 4733)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from tuner_sipbridge.errors import LocalProtocolError, NegotiationFailed
from tuner_sipbridge.sdp.session import Direction, Line, MediaDescription, RtpMap, SessionDescription

PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8}
"""Codecs spoken here, with their static payload types (RFC 3551 §6)."""

CLOCK_RATE = 8000
DEFAULT_PTIME_MS = 20
_PROFILES = frozenset({"RTP/AVP", "RTP/AVPF"})
_REVERSED: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What offer and answer agreed on, seen from our side.

    Attributes:
        remote: IP address and port that our packets go to.
        codec: `"PCMU"` or `"PCMA"`.
        payload_type: number of the codec in our packets.
        telephone_event: number of telephone-events in our packets, None when the far end takes none.
        send: whether the far end wants to hear us; False while it holds the call.
        receive: whether the far end means to send.
        ptime_ms: length of packet the far end would like to get.
    """

    remote: tuple[str, int]
    codec: str
    payload_type: int
    telephone_event: int | None
    send: bool
    receive: bool
    ptime_ms: int


def make_offer(
    address: str,
    port: int,
    session_id: int,
    codecs: Sequence[str] = ("PCMU", "PCMA"),
    dtmf: int | None = 101,
    *,
    version: int = 1,
    direction: Direction = "sendrecv",
) -> SessionDescription:
    """Describe our audio stream as an offer.

    Args:
        address: IP address that media is to come to.
        port: UDP port that media is to come to.
        session_id: unique to the session, below 2**63.
        codecs: names out of `PAYLOAD_TYPES`, best first.
        dtmf: payload type for telephone-events, None for no events.
        version: version of the description, one higher in each new offer of a session that differs.
        direction: what we mean to do.

    Raises:
        LocalProtocolError: a codec is not known, or address, port or payload type is none.
    """
    unknown = [codec for codec in codecs if codec not in PAYLOAD_TYPES]
    if unknown or not codecs:
        raise LocalProtocolError(f"no such codec: {', '.join(unknown) or 'none given'}")
    if dtmf is not None and not 96 <= dtmf <= 127:
        raise LocalProtocolError(f"payload type {dtmf} for telephone-events is not from 96 to 127")
    maps = [RtpMap(PAYLOAD_TYPES[codec], codec, CLOCK_RATE) for codec in dict.fromkeys(codecs)]
    if dtmf is not None:
        maps.append(RtpMap(dtmf, "telephone-event", CLOCK_RATE))
    return _describe(address, session_id, version, ("0 0",), (_audio(port, "RTP/AVP", maps, direction),))


def answer(
    offer: SessionDescription,
    address: str,
    port: int,
    session_id: int,
    codecs: Sequence[str] = ("PCMU", "PCMA"),
    *,
    version: int = 1,
) -> tuple[SessionDescription, Negotiated]:
    """Answer an offer: the first audio stream with a codec of ours is taken, all others are refused.

    Of the codecs in common the offerer's first is chosen, and it alone is answered: both ends then know what they
    will get (RFC 3264 §6.1).

    Args:
        offer: the far end's description.
        address: IP address that media is to come to.
        port: UDP port that media is to come to.
        session_id: unique to the session; the same in every description we give in a dialog.
        codecs: names of what we speak.
        version: version of our description, one higher than in our last one of this dialog when this differs.

    Returns:
        The answer, and what it settles.

    Raises:
        NegotiationFailed: no stream can be taken; the text says why for each. A 488 is the reply.
        LocalProtocolError: our own address or port is none.
    """
    wanted = {(codec.upper(), CLOCK_RATE, 1) for codec in codecs}
    refusals: list[str] = []
    for place, media in enumerate(offer.media):
        try:
            codec = _choose(media, wanted)
            remote = _remote_of(offer, media)
        except NegotiationFailed as error:
            refusals.append(str(error))
            continue
        events = _telephone_event(media)
        direction = _REVERSED[offer.direction_of(media)]
        maps = [codec] if events is None else [codec, events]
        streams = [_refused(other) for other in offer.media]
        streams[place] = _audio(port, media.protocol, maps, direction)
        times = tuple(value for letter, value in offer.lines if letter == "t") or ("0 0",)
        description = _describe(address, session_id, version, times, tuple(streams))
        return description, _settle(offer, media, codec, events, remote, ours=direction)
    raise NegotiationFailed("; ".join(refusals) or "the offer has no media stream")


def accept_answer(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """What the far end's answer to our offer settles.

    Args:
        offer: our offer, as `make_offer` made it.
        answer: the far end's description, in a 2xx, a reliable or early provisional response, or an ACK.

    Raises:
        NegotiationFailed: the stream is refused, or the answer has no codec of the offer or no address.
    """
    place, ours = next(
        ((place, media) for place, media in enumerate(offer.media) if media.media == "audio"), (0, None)
    )
    if ours is None:
        raise NegotiationFailed("our offer has no audio stream")
    if len(answer.media) <= place:
        raise NegotiationFailed("the answer leaves out the audio stream that was offered")
    media = answer.media[place]
    codec = _choose(media, {one.key for one in ours.codecs if one.encoding != "telephone-event"})
    remote = _remote_of(answer, media)
    events = _telephone_event(media) if _telephone_event(ours) else None
    return _settle(answer, media, codec, events, remote, ours=offer.direction_of(ours))


def _settle(
    theirs: SessionDescription,
    media: MediaDescription,
    codec: RtpMap,
    events: RtpMap | None,
    remote: tuple[str, int],
    *,
    ours: Direction,
) -> Negotiated:
    direction = theirs.direction_of(media)
    # An address of zeros is how RFC 2543 held a call; some still do (RFC 3264 §8.4).
    silenced = ipaddress.ip_address(remote[0]).is_unspecified
    return Negotiated(
        remote=remote,
        codec=codec.encoding.upper(),
        payload_type=codec.payload_type,
        telephone_event=events.payload_type if events else None,
        send=ours in ("sendrecv", "sendonly") and direction in ("sendrecv", "recvonly") and not silenced,
        receive=ours in ("sendrecv", "recvonly") and direction in ("sendrecv", "sendonly"),
        ptime_ms=media.ptime_ms or DEFAULT_PTIME_MS,
    )


def _choose(media: MediaDescription, wanted: set[tuple[str, int, int]]) -> RtpMap:
    if media.media != "audio":
        raise NegotiationFailed(f"the {media.media} stream is not audio")
    if media.port == 0:
        raise NegotiationFailed("the far end refuses the audio stream (its port is 0)")
    if media.protocol.upper() not in _PROFILES:
        secure = ": it wants SRTP, which is not spoken here" if "SAVP" in media.protocol.upper() else ""
        raise NegotiationFailed(f"the far end's audio stream is {media.protocol}, not RTP/AVP{secure}")
    for codec in media.codecs:
        if codec.key in wanted:
            return codec
    theirs = ", ".join(codec.encoding for codec in media.codecs) or "none that is known"
    ours = ", ".join(sorted(name for name, _, _ in wanted))
    raise NegotiationFailed(f"no codec in common: the far end has {theirs}; here there is {ours}")


def _remote_of(description: SessionDescription, media: MediaDescription) -> tuple[str, int]:
    address = description.address_of(media)
    if address is None:
        raise NegotiationFailed("the far end's description has no address (no c= line)")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise NegotiationFailed(f'the far end\'s media address "{address}" is no IP address') from None
    return address, media.port


def _telephone_event(media: MediaDescription) -> RtpMap | None:
    # Agents with Opus offer events at 48000 Hz too; those of G.711 have its clock (RFC 4733 §2.1).
    return next((one for one in media.codecs if one.key == ("TELEPHONE-EVENT", CLOCK_RATE, 1)), None)


def _refused(media: MediaDescription) -> MediaDescription:
    return MediaDescription(media.media, 0, media.protocol, media.formats)


def _audio(port: int, protocol: str, maps: list[RtpMap], direction: Direction) -> MediaDescription:
    if not 0 < port < 65536:
        raise LocalProtocolError(f"port {port} is not from 1 to 65535")
    lines: list[Line] = []
    for one in maps:
        lines.append(("a", f"rtpmap:{one.payload_type} {one.encoding}/{one.clock_rate}"))
        if one.encoding.lower() == "telephone-event":
            lines.append(("a", f"fmtp:{one.payload_type} 0-15"))
    lines += [("a", f"ptime:{DEFAULT_PTIME_MS}"), ("a", direction)]
    return MediaDescription(
        "audio", port, protocol, tuple(str(one.payload_type) for one in maps), tuple(lines)
    )


def _describe(
    address: str, session_id: int, version: int, times: tuple[str, ...], media: tuple[MediaDescription, ...]
) -> SessionDescription:
    try:
        family = f"IN IP{ipaddress.ip_address(address).version} {address}"
    except ValueError:
        raise LocalProtocolError(f'media address "{address}" is not an IP address') from None
    origin = ("o", f"- {session_id} {version} {family}")
    head: tuple[Line, ...] = (origin, ("s", "-"), ("c", family), *(("t", time) for time in times))
    return SessionDescription(head, media)
