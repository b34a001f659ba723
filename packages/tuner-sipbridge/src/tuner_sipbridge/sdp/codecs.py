"""The codecs that can be described here, and the numbers they go by in a description of ours (RFC 3551, RFC 7587)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sdp.session import RtpMap

EVENTS = "telephone-event"
DEFAULT_CLOCK_RATE = 8000
"""Clock of G.711, and of G.722 although it samples at 16 kHz (RFC 3551 §4.5.2)."""

CODECS: Mapping[str, RtpMap] = MappingProxyType(
    {
        one.encoding: one
        for one in (
            RtpMap(0, "PCMU", DEFAULT_CLOCK_RATE),
            RtpMap(8, "PCMA", DEFAULT_CLOCK_RATE),
            RtpMap(9, "G722", DEFAULT_CLOCK_RATE),
            RtpMap(111, "opus", 48000, 2),  # always 48000 and 2, whatever is sent (RFC 7587 §4.1, §7)
        )
    }
)
"""By name: static payload types of RFC 3551 §6, and for Opus the number that is offered."""

_NAMES = {one.key: name for name, one in CODECS.items()}
_PARAMETERS = {
    "opus": "maxplaybackrate=8000;sprop-maxcapturerate=8000;stereo=0;useinbandfec=0",
    EVENTS: "0-15",
}
"""`fmtp` of what we describe: for Opus the telephone bandwidth (RFC 7587 §6.1), for events the keys (RFC 4733 §2.4)."""

_DYNAMIC = range(96, 128)


def name_of(codec: RtpMap) -> str | None:
    """Our name of a codec that is spoken here; None for any other."""
    return _NAMES.get(codec.key)


def parameters_of(codec: RtpMap) -> str | None:
    """What we say in `fmtp` of a codec or of events, None for nothing."""
    return _PARAMETERS.get(name_of(codec) or codec.encoding.lower())


def check_codecs(codecs: Sequence[str]) -> None:
    """Refuse a list of codecs that nobody could speak here.

    Raises:
        LocalProtocolError: it is empty, or names a codec that is not in `CODECS`.
    """
    unknown = [codec for codec in codecs if codec not in CODECS]
    if unknown or not codecs:
        raise LocalProtocolError(
            f"no such codec: {', '.join(unknown) or 'none given'} (known: {', '.join(CODECS)})"
        )


def numbered(codecs: Sequence[str], dtmf: int | None) -> list[RtpMap]:
    """The payload types of an offer: codecs best first, then events at each clock rate.

    Events at 8000 Hz are there even when no codec has that clock, for far ends that know no others.

    Args:
        codecs: names of `CODECS`.
        dtmf: number of the events at 8000 Hz, None for no events.
    """
    taken = {dtmf} if dtmf is not None else set[int]()
    maps: list[RtpMap] = []
    for codec in dict.fromkeys(codecs):
        known = CODECS[codec]
        maps.append(_moved(known, taken) if known.payload_type in taken else known)
        taken.add(maps[-1].payload_type)
    if dtmf is not None:
        rates = {one.clock_rate for one in maps} - {DEFAULT_CLOCK_RATE}
        maps.append(RtpMap(dtmf, EVENTS, DEFAULT_CLOCK_RATE))
        for rate in sorted(rates):
            maps.append(_moved(RtpMap(dtmf, EVENTS, rate), taken))
            taken.add(maps[-1].payload_type)
    return maps


def continued(maps: Sequence[RtpMap], before: Iterable[RtpMap]) -> dict[int, int]:
    """How payload types have to be renumbered so that a session keeps the ones it has had (RFC 3264 §8.3.2).

    Args:
        maps: what is about to be described.
        before: what was described before in the session.

    Returns:
        For each payload type of `maps` the one to use.
    """
    kept = {one.key: one.payload_type for one in before}
    taken = set(kept.values())
    numbers: dict[int, int] = {}
    for one in maps:
        number = kept.get(one.key)
        if number is None:
            number = _moved(one, taken).payload_type if one.payload_type in taken else one.payload_type
            taken.add(number)
        numbers[one.payload_type] = number
    return numbers


def _moved(codec: RtpMap, taken: set[int]) -> RtpMap:
    """The codec with the next dynamic number that is free, from its own on."""
    start = max(codec.payload_type, _DYNAMIC.start)
    order = (*range(start, _DYNAMIC.stop), *range(_DYNAMIC.start, start))
    number = next(number for number in order if number not in taken)
    return RtpMap(number, codec.encoding, codec.clock_rate, codec.channels)
