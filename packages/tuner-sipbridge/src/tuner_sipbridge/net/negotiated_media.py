"""From what offer and answer agreed on to what the media engine is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from tuner_sipbridge.audio.codecs import Codec
from tuner_sipbridge.media.engine import MediaParameters
from tuner_sipbridge.sdp.negotiation import Negotiated, is_nowhere


def parameters_of(negotiated: Negotiated) -> MediaParameters:
    """The media parameters of a negotiated session."""
    host, port = negotiated.remote
    return MediaParameters(
        remote=("0.0.0.0", port) if is_nowhere(host) else (host, port),
        codec=cast(Codec, negotiated.codec),
        payload_type=negotiated.payload_type,
        telephone_event=negotiated.telephone_event,
        send=negotiated.send,
        events_received=negotiated.events_received,
        srtp=negotiated.srtp,
        event_clock_rate=negotiated.event_clock_rate,
        received=cast(Mapping[int, Codec], negotiated.received),
    )
