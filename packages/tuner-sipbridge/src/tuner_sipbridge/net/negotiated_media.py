"""From what offer and answer agreed on to what the media engine is told."""

from __future__ import annotations

from tuner_sipbridge.media.engine import MediaParameters
from tuner_sipbridge.sdp.negotiation import Negotiated


def parameters_of(negotiated: Negotiated) -> MediaParameters:
    """The media parameters of a negotiated session."""
    return MediaParameters(
        remote=negotiated.remote,
        codec="PCMA" if negotiated.codec == "PCMA" else "PCMU",
        payload_type=negotiated.payload_type,
        telephone_event=negotiated.telephone_event,
        send=negotiated.send,
    )
