"""The answer for a provider's webhook, by the provider's name."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from tuner_core.errors import ConfigError
from tuner_core.identity.forwarding.commands import connect_websocket, listen, streaming_start
from tuner_core.identity.forwarding.exotel import stream_url
from tuner_core.identity.forwarding.parameters import Forwarded
from tuner_core.identity.forwarding.plivo import stream_with_headers
from tuner_core.identity.forwarding.twiml import stream_document
from tuner_core.identity.model import SipIdentity

_logger = logging.getLogger("tuner_core.identity")

_XML = "application/xml"
_JSON = "application/json"


def forward(
    identity: SipIdentity,
    *,
    url: str,
    provider: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Forwarded:
    """What makes `identity` arrive at the websocket `url`: answer the webhook with it.

    Two providers differ: Telnyx' Call Control wants the body at its API (`streaming_start`), while its TeXML
    applications, provider `texml`, want it as the answer; Exotel's applet asks for a URL and gets it as JSON.

    Args:
        identity: what `resolve` found in the webhook. An empty one connects the call all the same.
        url: the `wss://` address of the agent.
        provider: who asks; by default who showed the identity.
        options: further attributes (XML) or fields (JSON) of the stream, as the provider names them.

    Raises:
        ConfigError: nothing can be forwarded at this provider; the message says what works instead.
    """
    name = (provider or identity.provider).lower()
    writer = _WRITERS.get(name)
    if writer is None:
        raise ConfigError(
            f"provider {name or '(none)'!r} forwards nothing to a websocket; those that do: "
            f"{', '.join(sorted(_WRITERS))}. For others put the identity into PendingCalls at the webhook and "
            "take it at the websocket"
        )
    forwarded = writer(identity, url, options or {})
    if forwarded.left_out:
        _logger.warning(
            "%s does not fit what %s forwards: bridge this call with PendingCalls",
            " and ".join(forwarded.left_out),
            name,
        )
    return forwarded


def _twiml(identity: SipIdentity, url: str, options: Mapping[str, Any]) -> Forwarded:
    return Forwarded(stream_document(identity, url, attributes=options), _XML)


def _texml(identity: SipIdentity, url: str, options: Mapping[str, Any]) -> Forwarded:
    attributes = {"bidirectionalMode": "rtp", **options}
    return Forwarded(stream_document(identity, url, attributes=attributes), _XML)


def _plivo(identity: SipIdentity, url: str, options: Mapping[str, Any]) -> Forwarded:
    body, left_out = stream_with_headers(identity, url, attributes=options)
    return Forwarded(body, _XML, left_out)


def _telnyx(identity: SipIdentity, url: str, options: Mapping[str, Any]) -> Forwarded:
    return Forwarded(json.dumps(streaming_start(identity, url, options=options)), _JSON)


def _exotel(identity: SipIdentity, url: str, options: Mapping[str, Any]) -> Forwarded:
    asked, left_out = stream_url(identity, url)
    return Forwarded(json.dumps({**options, "url": asked}), _JSON, left_out)


def _jambonz(identity: SipIdentity, url: str, options: Mapping[str, Any]) -> Forwarded:
    return Forwarded(json.dumps(listen(identity, url, options=options)), _JSON)


def _vonage(identity: SipIdentity, url: str, options: Mapping[str, Any]) -> Forwarded:
    ncco, left_out = connect_websocket(identity, url, options=options)
    return Forwarded(json.dumps(ncco), _JSON, left_out)


_WRITERS: dict[str, Callable[[SipIdentity, str, Mapping[str, Any]], Forwarded]] = {
    "cloudonix": _twiml,
    "exotel": _exotel,
    "jambonz": _jambonz,
    "plivo": _plivo,
    "telnyx": _telnyx,
    "texml": _texml,
    "twilio": _twiml,
    "vobiz": _plivo,
    "vonage": _vonage,
}
