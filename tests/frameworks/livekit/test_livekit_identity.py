"""Which SIP identity a record carries, with a real session: participants come early, attributes late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit import rtc

from tuner_core.errors import ConfigError

CALL_ID = "2jf9wCCXfwgxKkTOfLcEsA5LD6f"
CORRELATION = "0123456789abcdef0123456789abcdef"


async def test_a_caller_who_was_there_first_and_is_gone_at_the_end_is_linked(call: Any):
    call.joins()
    call.shows_the_rest()
    await call.start()
    await call.writes("hello")
    await call.hangs_up()
    await call.shutdown()
    payload = call.payload
    assert payload["sip_call_id"] == CALL_ID
    assert payload["sip_headers"] == {"X-Correlation-Id": CORRELATION}
    assert (payload["call_type"], payload["caller_phone_number"]) == ("phone_call", "+15550100")


async def test_attributes_that_arrive_after_the_start_are_taken(call: Any):
    call.joins()
    await call.start()
    call.shows_the_rest()
    await call.shutdown()
    assert call.payload["sip_call_id"] == CALL_ID
    assert call.payload["sip_headers"] == {"X-Correlation-Id": CORRELATION}


async def test_the_correlation_id_is_filled_in_when_the_call_id_is_known_already(call: Any):
    call.joins(**{"sip.callIDFull": CALL_ID})
    await call.start()
    call.room.caller_shows({"sip.h.x-correlation-id": CORRELATION})
    await call.shutdown()
    assert call.payload["sip_call_id"] == CALL_ID
    assert call.payload["sip_headers"] == {"X-Correlation-Id": CORRELATION}


async def test_a_caller_who_joins_after_the_start_is_found(call: Any):
    await call.start()
    call.joins()
    call.shows_the_rest()
    await call.shutdown()
    assert call.payload["sip_call_id"] == CALL_ID


async def test_a_caller_whom_connecting_brings_without_an_event_is_found(call: Any):
    call.make()
    participant = _quietly_present(call)
    await call.session.start(call.agent, record=False)
    await call.shutdown()
    assert call.payload["sip_call_id"] == participant.attributes["sip.callIDFull"]


def _quietly_present(call: Any) -> rtc.RemoteParticipant:
    """What `Room.connect` does with those who are in the room already: no event."""
    room = call.room
    emit, room.emit = room.emit, lambda *_: None
    call.joins(**{"sip.callIDFull": CALL_ID})
    room.emit = emit
    (participant,) = room.remote_participants.values()
    return participant


@pytest.mark.parametrize("name", ["sip_call_id", "sip_correlation_id"])
async def test_both_names_of_the_argument_work_and_win_over_the_room(call: Any, name: str):
    call.joins()
    call.shows_the_rest()
    await call.start(**{name: "given-by-the-application"})
    await call.shutdown()
    assert call.payload["sip_call_id"] == "given-by-the-application"
    assert call.payload["sip_headers"] == {"X-Correlation-Id": CORRELATION}


async def test_the_same_value_under_both_names_is_fine_and_different_ones_are_not(call: Any):
    call.make(sip_call_id="a", sip_correlation_id="a")
    assert call.plugin.identity.sip_call_id == "a"
    with pytest.raises(ConfigError, match="sip_correlation_id"):
        call.make(sip_call_id="a", sip_correlation_id="b")


async def test_livekits_own_id_is_not_posted_as_the_call_id(call: Any):
    call.joins()
    await call.start()
    await call.shutdown()
    assert "sip_call_id" not in call.payload
    notes = call.payload["general_meta_data_raw"]["tuner_sdk"]["sip_identity"]
    assert notes["provider_call_id"] == "SCL_x1"
    assert notes["warnings"]


async def test_without_a_sip_participant_it_is_a_web_call(call: Any):
    await call.start()
    await call.shutdown()
    assert call.payload["call_type"] == "web_call"
    assert "sip_call_id" not in call.payload


async def test_an_outbound_simulation_is_linked_by_its_recipient(call: Any):
    await call.start(recipient="sip:sim-abc123@sip.usetuner.ai")
    await call.shutdown()
    assert call.payload["recipient"] == "sip:sim-abc123@sip.usetuner.ai"


async def test_the_call_starts_when_the_caller_joins_not_when_the_plugin_is_made(call: Any):
    await call.start()
    await asyncio.sleep(0.3)
    call.joins()
    await call.hangs_up()
    await call.shutdown()
    assert call.payload["duration_ms"] < 250
