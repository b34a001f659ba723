"""Offer and answer for one audio stream with telephone-events (RFC 3264, RFC 3551, RFC 4733, RFC 7587)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner_sipbridge.errors import LocalProtocolError, NegotiationFailed
from tuner_sipbridge.sdp import crypto
from tuner_sipbridge.sdp.codecs import CODECS, DEFAULT_CLOCK_RATE, EVENTS, check_codecs, name_of, numbered
from tuner_sipbridge.sdp.crypto import PLAIN, Srtp, SrtpKeys
from tuner_sipbridge.sdp.describe import DEFAULT_PTIME_MS, audio_stream, refused, session_of
from tuner_sipbridge.sdp.refusals import listed, quoted
from tuner_sipbridge.sdp.session import Direction, MediaDescription, RtpMap, SessionDescription

_PROFILES = frozenset({"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"})
_LONGEST_ADDRESS = 64
"""Characters of an IPv6 address with the name of a link behind it."""
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What offer and answer agreed on, seen from our side.

    Attributes:
        remote: host and port that our packets go to; the host is an IP address or, rarely, a name.
        codec: a name of `CODECS`.
        payload_type: number of the codec in our packets.
        telephone_event: number of telephone-events in our packets, None when the far end takes none.
        send: whether the far end wants to hear us; False while it holds the call.
        receive: whether the far end means to send.
        ptime_ms: length of packet the far end would like to get.
        events_received: number of telephone-events in the far end's packets, which is the one we described.
        rtcp: host and port that RTCP of ours would go to.
        rtcp_mux: whether RTP and RTCP share one port (RFC 5761).
        srtp: the keys, None for packets in the clear.
        event_clock_rate: clock of the events in Hz, in which their durations are counted.
        received: codecs that the far end may send, by their numbers in its packets, which are ours.
    """

    remote: tuple[str, int]
    codec: str
    payload_type: int
    telephone_event: int | None
    send: bool
    receive: bool
    ptime_ms: int
    events_received: int | None = None
    rtcp: tuple[str, int] | None = None
    rtcp_mux: bool = False
    srtp: SrtpKeys | None = None
    event_clock_rate: int = DEFAULT_CLOCK_RATE
    received: Mapping[int, str] = field(default_factory=dict[int, str])


def make_offer(
    address: str,
    port: int,
    session_id: int,
    codecs: Sequence[str] = ("PCMU", "PCMA"),
    dtmf: int | None = 101,
    *,
    version: int = 1,
    direction: Direction = "sendrecv",
    srtp: Srtp = PLAIN,
) -> SessionDescription:
    """Describe our audio stream as an offer.

    Args:
        address: IP address that media is to come to.
        port: UDP port that media is to come to.
        session_id: unique to the session, below 2**63.
        codecs: names out of `CODECS`, best first.
        dtmf: payload type for telephone-events at 8000 Hz, None for no events.
        version: version of the description, one higher in each new offer of a session that differs.
        direction: what we mean to do.
        srtp: what to offer of SRTP: keys under RTP/AVP when it is optional, RTP/SAVP when it is required.

    Raises:
        LocalProtocolError: a codec is not known, address, port or payload type is none, or SRTP has no keys.
    """
    check_codecs(codecs)
    if dtmf is not None and not 96 <= dtmf <= 127:
        raise LocalProtocolError(f"payload type {dtmf} for telephone-events is not from 96 to 127")
    if srtp.policy != "off" and not srtp.ours:
        raise LocalProtocolError("SRTP is to be offered, and there is no key for it")
    profile = "RTP/SAVP" if srtp.policy == "required" else "RTP/AVP"
    keys = [] if srtp.policy == "off" else crypto.lines_of(srtp.ours)
    stream = audio_stream(port, profile, numbered(codecs, dtmf), direction, crypto=keys)
    return session_of(address, session_id, version, (stream,))


def answer(
    offer: SessionDescription,
    address: str,
    port: int,
    session_id: int,
    codecs: Sequence[str] = ("PCMU", "PCMA"),
    *,
    version: int = 1,
    direction: Direction = "sendrecv",
    srtp: Srtp = PLAIN,
) -> tuple[SessionDescription, Negotiated]:
    """Answer an offer: one audio stream with a codec of ours is taken, all others are refused in their places.

    The first such stream is taken, one with SRTP before one without when we have keys. Of the codecs in common the
    offerer's first is chosen, and it alone is answered: both ends then know what they will get (RFC 3264 §6.1).

    Args:
        offer: the far end's description.
        address: IP address that media is to come to.
        port: UDP port that media is to come to.
        session_id: unique to the session; the same in every description we give in a dialog.
        codecs: names of what we speak.
        version: version of our description, one higher than in our last one of this dialog when this differs.
        direction: what we would do if the far end let us: `sendonly` or `inactive` while we hold the call.
        srtp: our policy and keys.

    Returns:
        The answer, and what it settles.

    Raises:
        NegotiationFailed: no stream can be taken; the text says why for each. A 488 is the reply.
        LocalProtocolError: our own address or port is none.
    """
    wanted = {CODECS[codec].key for codec in codecs}
    refusals: list[str] = []
    for place in _in_order(offer, srtp):
        media = offer.media[place]
        try:
            codec = _choose(media, wanted)
            key, keys = crypto.choose(media, srtp)
            remote = _remote_of(offer, media)
        except NegotiationFailed as error:
            refusals.append(str(error))
            continue
        events = _telephone_event(media, codec.clock_rate)
        ours = _answering(_meant(offer, media), direction)
        streams = [refused(other) for other in offer.media]
        streams[place] = audio_stream(
            port,
            media.protocol,
            [codec] if events is None else [codec, events],
            ours,
            crypto=[key.line] if key else (),
            rtcp_mux=media.rtcp_mux,
        )
        times = tuple(value for letter, value in offer.lines if letter == "t") or ("0 0",)
        description = session_of(address, session_id, version, streams, times=times)
        agreed = _settle(
            offer, media, codec, remote, ours=ours, events=(events, events), received=(codec,), srtp=keys
        )
        return description, agreed
    raise NegotiationFailed(listed(refusals, "; ") or "the offer has no media stream")


def accept_answer(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """What the far end's answer to our offer settles.

    Args:
        offer: our offer, as `make_offer` made it, or one of it with further streams that are refused.
        answer: the far end's description, in a 2xx, a reliable or early provisional response, or an ACK.

    Raises:
        NegotiationFailed: the stream is refused, or the answer has no codec, no key or no address that fits.
    """
    place = place_of_audio(offer)
    ours = offer.media[place]
    if len(answer.media) <= place:
        raise NegotiationFailed("the answer leaves out the audio stream that was offered")
    media = answer.media[place]
    codec = _choose(media, {one.key for one in ours.codecs if one.encoding.lower() != EVENTS})
    keys = crypto.settle(ours, media)
    remote = _remote_of(answer, media)
    offered = {one.key: one for one in ours.codecs}
    events = _telephone_event(media, codec.clock_rate)
    taken = {one.key for one in media.codecs}
    return _settle(
        answer,
        media,
        codec,
        remote,
        ours=offer.direction_of(ours),
        events=(events, offered.get(events.key)) if events and events.key in offered else (None, None),
        received=[one for one in ours.codecs if one.key in taken],
        srtp=keys,
    )


def place_of_audio(description: SessionDescription) -> int:
    """Where in a description of ours its audio stream is: the one that is not refused.

    Raises:
        NegotiationFailed: there is none.
    """
    places = [place for place, media in enumerate(description.media) if media.media == "audio" and media.port]
    if not places:
        raise NegotiationFailed("our own description has no audio stream")
    return places[0]


def sends(direction: Direction) -> bool:
    """Whether who describes this direction means to send."""
    return direction in ("sendrecv", "sendonly")


def receives(direction: Direction) -> bool:
    """Whether who describes this direction wants to be sent something."""
    return direction in ("sendrecv", "recvonly")


def is_nowhere(host: str) -> bool:
    """Whether a media address is none: zeros, as RFC 2543 held a call (RFC 3264 §8.4), or a name under `.invalid`.

    The name is what third-party call control writes where IPv6 has no such zeros (RFC 3725 §5).
    """
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host.rstrip(".").lower().rpartition(".")[2] == "invalid"


def _in_order(offer: SessionDescription, srtp: Srtp) -> list[int]:
    """The places of the offer's streams in the order in which they are tried."""
    places = list(range(len(offer.media)))
    if srtp.policy != "off":
        places.sort(key=lambda place: not crypto.is_secure(offer.media[place]))
    return places


def _meant(offer: SessionDescription, media: MediaDescription) -> Direction:
    """What the far end would do with a stream: nothing is to be sent to an address that is none."""
    direction = offer.direction_of(media)
    if is_nowhere(offer.address_of(media) or ""):
        return "sendonly" if sends(direction) else "inactive"
    return direction


def _answering(theirs: Direction, wish: Direction) -> Direction:
    """The direction of an answer: each way runs only when both ends want it (RFC 3264 §6.1)."""
    receiving = receives(wish) and sends(theirs)
    if sends(wish) and receives(theirs):
        return "sendrecv" if receiving else "sendonly"
    return "recvonly" if receiving else "inactive"


def _settle(
    theirs: SessionDescription,
    media: MediaDescription,
    codec: RtpMap,
    remote: tuple[str, int],
    *,
    ours: Direction,
    events: tuple[RtpMap | None, RtpMap | None],
    received: Sequence[RtpMap],
    srtp: SrtpKeys | None,
) -> Negotiated:
    direction = theirs.direction_of(media)
    events_sent, events_received = events
    port, host = media.rtcp or (media.port + 1, None)
    return Negotiated(
        remote=remote,
        codec=name_of(codec) or codec.encoding,
        payload_type=codec.payload_type,
        telephone_event=events_sent.payload_type if events_sent else None,
        send=sends(ours) and receives(direction) and not is_nowhere(remote[0]),
        receive=receives(ours) and sends(direction),
        ptime_ms=media.ptime_ms or DEFAULT_PTIME_MS,
        events_received=events_received.payload_type if events_received else None,
        rtcp=remote if media.rtcp_mux else (host or remote[0], port),
        rtcp_mux=media.rtcp_mux,
        srtp=srtp,
        event_clock_rate=events_sent.clock_rate if events_sent else DEFAULT_CLOCK_RATE,
        received={one.payload_type: name for one in received if (name := name_of(one)) is not None},
    )


def _choose(media: MediaDescription, wanted: set[tuple[str, int, int]]) -> RtpMap:
    if media.media != "audio":
        raise NegotiationFailed(f"the {quoted(media.media)} stream is not audio")
    if media.port == 0:
        raise NegotiationFailed("the far end refuses the audio stream (its port is 0)")
    if media.protocol.upper() not in _PROFILES:
        secure = (
            ": it wants SRTP by DTLS, which is not spoken here" if "TLS" in media.protocol.upper() else ""
        )
        raise NegotiationFailed(
            f"the far end's audio stream is {quoted(media.protocol)}, not RTP/AVP{secure}"
        )
    if (media.maxptime_ms or DEFAULT_PTIME_MS) < DEFAULT_PTIME_MS:
        raise NegotiationFailed(
            f"the far end takes packets of at most {media.maxptime_ms} ms; ours are of {DEFAULT_PTIME_MS} ms"
        )
    for codec in media.codecs:
        if codec.key in wanted:
            return codec
    spoken = dict.fromkeys(codec.encoding for codec in media.codecs if codec.encoding.lower() != EVENTS)
    theirs = listed([quoted(encoding) for encoding in spoken]) or "none that is known"
    ours = ", ".join(sorted(name for name, one in CODECS.items() if one.key in wanted))
    raise NegotiationFailed(f"no codec in common: the far end has {theirs}; here there is {ours}")


def _remote_of(description: SessionDescription, media: MediaDescription) -> tuple[str, int]:
    address = description.address_of(media)
    if address is None:
        raise NegotiationFailed("the far end's description has no address (no c= line)")
    try:
        # No address is longer; a text of kilobytes is not read anew for each of a thousand streams.
        multicast = ipaddress.ip_address(address if len(address) <= _LONGEST_ADDRESS else "").is_multicast
    except ValueError:
        # RFC 8866 §5.7 allows a name; who opens the socket looks it up.
        if not _HOST_NAME.fullmatch(address):
            raise NegotiationFailed(
                f'the far end\'s media address "{quoted(address)}" is neither an IP address nor a host name'
            ) from None
        return address, media.port
    if multicast:
        raise NegotiationFailed(f"the far end's media address {address} is a multicast group")
    return address, media.port


def _telephone_event(media: MediaDescription, clock_rate: int) -> RtpMap | None:
    """The events at the codec's clock: a stream has them once for each clock rate (RFC 4733 §2.1, RFC 7587).

    Far ends that know events at 8000 Hz alone mean them for Opus too; better those than none.
    """
    events = {one.clock_rate: one for one in reversed(media.codecs) if one.encoding.lower() == EVENTS}
    return events.get(clock_rate) or events.get(DEFAULT_CLOCK_RATE)
