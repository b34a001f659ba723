"""`<Stream extraHeaders="…">`: Plivo, and Vobiz, which follows it.

Both allow letters and digits only in the pairs of `extraHeaders`, and 512 bytes for all of them together
(docs.plivo.com and docs.vobiz.ai, XML `<Stream>`). They arrive as `extra_headers` of the `start` message.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from tuner_core.identity.forwarding.alphanumeric import encode_alphanumeric
from tuner_core.identity.forwarding.parameters import ALPHANUMERIC_NAMES, fitting, linking_values
from tuner_core.identity.forwarding.twiml import DECLARATION
from tuner_core.identity.model import SipIdentity

MAX_BYTES = 512

STREAM_ATTRIBUTES = {"bidirectional": "true", "keepCallAlive": "true"}
"""What an agent needs: it speaks too, and the call lasts as long as the stream."""


def extra_headers(identity: SipIdentity) -> tuple[str, tuple[str, ...]]:
    """The attribute's value, `SipCallId=…,XCorrelationId=…`, and the names of what did not fit."""
    kept, left_out = fitting(linking_values(identity), lambda chosen: len(_join(chosen)) <= MAX_BYTES)
    return _join(kept), left_out


def stream_with_headers(
    identity: SipIdentity, url: str, *, attributes: Mapping[str, str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """The whole answer of an answer URL, and the names of what did not fit into `extraHeaders`.

    Args:
        identity: what `resolve` found in the webhook.
        url: the `wss://` address of the agent.
        attributes: attributes of `<Stream>` to add or to change, such as `contentType`.
    """
    headers, left_out = extra_headers(identity)
    response = Element("Response")
    stream = SubElement(response, "Stream", {**STREAM_ATTRIBUTES, **(attributes or {})})
    if headers:
        stream.set("extraHeaders", headers)
    stream.text = url
    return DECLARATION + tostring(response, encoding="unicode"), left_out


def _join(parameters: Mapping[str, str]) -> str:
    return ",".join(
        f"{ALPHANUMERIC_NAMES[name]}={encode_alphanumeric(value)}" for name, value in parameters.items()
    )
