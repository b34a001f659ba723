"""Agents that post wrongly, so that a user sees what Tuner makes of it. Used by `tuner-sipbridge demo --fault`.

Each is a sink that stands where the plugin's own delivery stands, as an agent with an integration of its own might.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import httpx

from tuner_core.config import TunerConfig
from tuner_core.delivery import CallSink, DeliveryOutcome, default_sink
from tuner_core.records import CallRecord
from tuner_core.repair import conform


class Fault(StrEnum):
    """What is wrong with the agent's post."""

    no_call_id = "no-call-id"
    carrier_id = "carrier-id"
    no_post = "no-post"


def faulty_sink(fault: Fault) -> CallSink:
    """A sink with the fault; where it posts, it posts as the environment says.

    Raises:
        ConfigError: a `TUNER_` variable is missing.
    """
    match fault:
        case Fault.no_call_id:
            return _WithoutCallId()
        case Fault.carrier_id:
            return _WithCarrierId(TunerConfig())
        case Fault.no_post:
            return _NeverPosting()


class _WithoutCallId:
    """Posts the call without anything that could link it."""

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        bare = record.model_copy(update={"sip_call_id": None, "sip_headers": None})
        return await default_sink().deliver(bare, deadline_s=deadline_s)


class _WithCarrierId:
    """Posts what Twilio calls CallSid where the SIP Call-ID belongs.

    Our own client would take such a value out; so this one posts by itself, as an agent without our client does.
    """

    def __init__(self, config: TunerConfig) -> None:
        self._config = config

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        body = conform(record).payload
        body.pop("sip_headers", None)
        body["sip_call_id"] = "CA" + hashlib.sha256(record.call_id.encode()).hexdigest()[:32]
        async with httpx.AsyncClient(base_url=self._config.base_url, timeout=deadline_s) as client:
            response = await client.post(
                "/api/v1/public/call",
                params={
                    "workspace_id": self._config.workspace_id,
                    "agent_remote_identifier": self._config.agent_id,
                },
                headers={"Authorization": f"Bearer {self._config.api_key.get_secret_value()}"},
                json=body,
            )
        return DeliveryOutcome(
            "delivered" if response.is_success else "refused", detail=f"HTTP {response.status_code}"
        )


class _NeverPosting:
    """Loses the call, as an upload does that dies with its process."""

    async def deliver(self, record: CallRecord, *, deadline_s: float = 8.0) -> DeliveryOutcome:
        return DeliveryOutcome("pending", detail="the demo's fault: the post is dropped")
