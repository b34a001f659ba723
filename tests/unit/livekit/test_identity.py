"""The caller among a room's participants, and its SIP identity as the attributes arrive."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from tuner_livekit._identity import CallerWatch

KIND = rtc.ParticipantKind
CALL_ID = "2jf9wCCXfwgxKkTOfLcEsA5LD6f"
CORRELATION = "0123456789abcdef0123456789abcdef"


def _participant(identity: str = "sip_1", kind: Any = KIND.PARTICIPANT_KIND_SIP, **attributes: str) -> Any:
    return SimpleNamespace(
        identity=identity,
        kind=kind,
        attributes={name.replace("__", "."): value for name, value in attributes.items()},
        disconnect_reason=None,
        joined_at=None,
    )


def test_attributes_fill_each_gap_once_and_the_correlation_id_may_come_after_the_call_id():
    watch, caller = CallerWatch(), _participant(sip__callID="SCL_x")
    watch.saw(caller, now=1.0)
    assert (watch.identity.sip_call_id, watch.identity.provider_call_id) == (None, "SCL_x")
    caller.attributes["sip.callIDFull"] = CALL_ID
    watch.saw(caller, now=2.0)
    caller.attributes |= {"sip.h.x-correlation-id": CORRELATION, "sip.callIDFull": "another-leg"}
    watch.saw(caller, now=3.0)
    assert (watch.identity.sip_call_id, watch.identity.correlation_id) == (CALL_ID, CORRELATION)


def test_livekits_own_id_is_never_the_call_id():
    watch = CallerWatch()
    watch.saw(_participant(sip__callID="SCL_abc"), now=1.0)
    assert watch.identity.sip_call_id is None
    assert watch.identity.warnings


def test_the_leg_of_a_transfer_does_not_replace_the_caller():
    watch = CallerWatch()
    watch.saw(_participant("sip_1", sip__callIDFull="first"), now=1.0)
    watch.saw(_participant("sip_2", sip__callIDFull="second"), now=2.0)
    watch.left(_participant("sip_2", sip__callIDFull="second"), now=3.0)
    assert watch.identity.sip_call_id == "first"
    assert watch.caller is not None
    assert watch.caller.left is None


def test_a_sip_caller_takes_the_place_of_one_who_is_not():
    watch = CallerWatch()
    watch.saw(_participant("web", KIND.PARTICIPANT_KIND_STANDARD), now=1.0)
    assert not watch.has_sip_caller
    watch.saw(_participant("sip_1", sip__ruleID="SDR_1"), now=2.0)
    assert watch.has_sip_caller


def test_a_leg_that_the_agent_dials_into_a_web_call_is_not_its_caller():
    watch = CallerWatch()
    watch.saw(_participant("web", KIND.PARTICIPANT_KIND_STANDARD), now=1.0)
    watch.saw(_participant("sip_1", sip__callStatus="dialing"), now=2.0)
    assert not watch.has_sip_caller


@pytest.mark.parametrize("kind", [KIND.PARTICIPANT_KIND_AGENT, KIND.PARTICIPANT_KIND_EGRESS])
def test_machines_are_no_callers(kind: Any):
    watch = CallerWatch()
    watch.saw(_participant("machine", kind), now=1.0)
    assert watch.caller is None


def test_an_avatar_that_speaks_for_the_agent_is_no_caller():
    watch = CallerWatch()
    watch.saw(_participant("avatar", KIND.PARTICIPANT_KIND_STANDARD, lk__publish_on_behalf="agent"), now=1.0)
    assert watch.caller is None


def test_the_caller_may_be_named():
    watch = CallerWatch(participant_identity="sip_2")
    watch.saw(_participant("sip_1"), now=1.0)
    watch.saw(_participant("sip_2", sip__callIDFull=CALL_ID), now=2.0)
    assert watch.identity.sip_call_id == CALL_ID


def test_an_inbound_call_is_answered_when_its_participant_joins():
    watch, caller = CallerWatch(), _participant(sip__ruleID="SDR_1", sip__callStatus="active")
    caller.joined_at = datetime.fromtimestamp(1000.0, UTC)
    watch.scan([caller], now=1003.0)
    assert watch.caller is not None
    assert watch.caller.answered_at == 1000.0


def test_an_outbound_call_is_answered_when_it_becomes_active():
    watch, caller = CallerWatch(), _participant(sip__callStatus="ringing")
    caller.joined_at = datetime.fromtimestamp(1000.0, UTC)
    watch.scan([caller], now=1001.0)
    assert watch.caller is not None
    assert watch.caller.answered_at is None
    caller.attributes["sip.callStatus"] = "active"
    watch.saw(caller, now=1009.0)
    assert watch.caller.answered_at == 1009.0


@pytest.mark.parametrize(
    "joined_at", [None, datetime.fromtimestamp(5.0, UTC), datetime.fromtimestamp(9e9, UTC), "odd"]
)
def test_a_join_that_the_clocks_cannot_agree_on_counts_as_now(joined_at: Any):
    watch, caller = CallerWatch(), _participant()
    caller.joined_at = joined_at
    watch.scan([caller], now=1000.0)
    assert watch.caller is not None
    assert watch.caller.answered_at == 1000.0


def test_odd_attributes_of_a_stand_in_are_ignored():
    watch, caller = CallerWatch(), _participant()
    caller.attributes = object()
    watch.saw(caller, now=1.0)
    assert watch.identity.sip_call_id is None
