"""Commands in JSON that start a stream with the identity beside it: Telnyx, jambonz, Vonage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tuner_core.identity.forwarding.parameters import fitting, forwarded_parameters
from tuner_core.identity.model import SipIdentity

VONAGE_MAX_BYTES = 512
"""Size of `headers` as JSON that Vonage allows (developer.vonage.com, Voice API, WebSockets)."""


def streaming_start(
    identity: SipIdentity, url: str, *, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Body of Telnyx' `POST /v2/calls/{call_control_id}/actions/streaming_start`.

    The parameters arrive as `start.custom_parameters`. The command `answer` refuses them with 422: answer first,
    then start the stream.

    Args:
        identity: what `resolve` found in `call.initiated`.
        url: the `wss://` address of the agent.
        options: fields to add or to change, such as `stream_track`.
    """
    parameters = [{"name": name, "value": value} for name, value in forwarded_parameters(identity).items()]
    body: dict[str, Any] = {"stream_url": url, "stream_bidirectional_mode": "rtp", **(options or {})}
    return {**body, "custom_parameters": [*body.get("custom_parameters", []), *parameters]}


def listen(
    identity: SipIdentity, url: str, *, options: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """An application for jambonz: one `listen` verb with the identity as `metadata`.

    jambonz merges the metadata into the first text frame on the websocket, beside `callSid` and the like.

    Args:
        identity: what `resolve` found in the call hook.
        url: the `wss://` address of the agent.
        options: properties of the verb to add or to change; jambonz asks for an `actionHook`.
    """
    verb: dict[str, Any] = {
        "verb": "listen",
        "url": url,
        "bidirectionalAudio": {"enabled": True, "streaming": True},
        **(options or {}),
    }
    return [{**verb, "metadata": {**verb.get("metadata", {}), **forwarded_parameters(identity)}}]


def connect_websocket(
    identity: SipIdentity, url: str, *, options: Mapping[str, Any] | None = None
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Vonage's NCCO: connect to a websocket with the identity as `headers`, and what did not fit.

    The headers stand at the top level of the first message, `websocket:connected`.

    Args:
        identity: what `resolve` found in the answer webhook.
        url: the `wss://` address of the agent.
        options: fields of the endpoint to add or to change, such as `content-type`.
    """
    endpoint: dict[str, Any] = {
        "type": "websocket",
        "uri": url,
        "content-type": "audio/l16;rate=16000",
        **(options or {}),
    }
    own: Mapping[str, Any] = endpoint.get("headers", {})

    def fits(chosen: Mapping[str, str]) -> bool:
        return len(json.dumps({**own, **chosen}).encode()) <= VONAGE_MAX_BYTES

    kept, left_out = fitting(forwarded_parameters(identity), fits)
    return [{"action": "connect", "endpoint": [{**endpoint, "headers": {**own, **kept}}]}], left_out
