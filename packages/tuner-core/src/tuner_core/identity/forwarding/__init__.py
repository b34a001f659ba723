"""What a webhook answers so that the SIP identity arrives at the websocket."""

from __future__ import annotations

from tuner_core.identity.forwarding.alphanumeric import decode_alphanumeric, encode_alphanumeric
from tuner_core.identity.forwarding.commands import connect_websocket, listen, streaming_start
from tuner_core.identity.forwarding.exotel import stream_url
from tuner_core.identity.forwarding.forward import forward
from tuner_core.identity.forwarding.parameters import Forwarded, forwarded_parameters
from tuner_core.identity.forwarding.plivo import extra_headers, stream_with_headers
from tuner_core.identity.forwarding.twiml import stream_document, stream_parameters

__all__ = [
    "Forwarded",
    "connect_websocket",
    "decode_alphanumeric",
    "encode_alphanumeric",
    "extra_headers",
    "forward",
    "forwarded_parameters",
    "listen",
    "stream_document",
    "stream_parameters",
    "stream_url",
    "stream_with_headers",
    "streaming_start",
]
