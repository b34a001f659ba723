"""Which posted call belongs to which simulation, and the reason when none does."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tuner_core.identity.carrier_ids import recognise
from tuner_core.local.linking import Link, link_all
from tuner_core.local.reasons import remedy_for
from tuner_core.local.rows import PostedCall, Refusal, Simulation

CALL_ID = "2jf9wCCXmNoPqRsTuVwXyZabcd1"
CORRELATION = "0af3" * 8
TWILIO = "CA0123456789abcdef0123456789abcdef"


def simulation(sip_call_id: str = CALL_ID, **changes: Any) -> Simulation:
    return replace(Simulation(sip_call_id, started_at=100.0, ended_at=140.0), **changes)


def call(number: int = 1, **changes: Any) -> PostedCall:
    row = PostedCall(number, f"c-{number}", "frontdesk", received_at=142.0, started_at=101.0, ended_at=140.0)
    return replace(row, **changes)


def link(row: Simulation, *calls: PostedCall, refusals: tuple[Refusal, ...] = ()) -> Link:
    (result,) = link_all([row], calls, refusals)
    return result


@pytest.mark.parametrize(
    ("row", "posted", "by", "reason"),
    [
        (simulation(), call(sip_call_id=CALL_ID), "sip_call_id", "linked by Call-ID"),
        (
            simulation(correlation_id=CORRELATION),
            call(correlation_id=CORRELATION),
            "correlation_id",
            "linked by X-Correlation-Id",
        ),
        (
            simulation(recipient="sip:sim-abc@sip.example"),
            call(recipient="sip:sim-abc@sip.example"),
            "recipient",
            "linked by recipient",
        ),
    ],
)
def test_links_by_each_of_the_three_values(row: Simulation, posted: PostedCall, by: str, reason: str) -> None:
    result = link(row, posted)
    assert (result.linked, result.by, result.reason) == (True, by, reason)
    assert result.call is posted


def test_links_a_call_posted_long_after_and_with_a_wrong_clock() -> None:
    late = call(sip_call_id=CALL_ID, received_at=9e6, started_at=5.0, ended_at=6.0)
    assert link(simulation(), late).linked


def test_the_call_id_wins_over_a_correlation_id_that_names_another() -> None:
    first = simulation("first", correlation_id="one")
    second = simulation("second", correlation_id="two")
    crossed = call(sip_call_id="first", correlation_id="two")
    one, two = link_all([second, first], [crossed])
    assert (one.linked, two.by) == (False, "sip_call_id")


def test_each_call_is_linked_once() -> None:
    rows = [
        simulation("first", recipient="sip:r"),
        simulation("second", recipient="sip:r", started_at=500.0, ended_at=540.0),
    ]
    posted = call(recipient="sip:r", started_at=501.0, ended_at=540.0)
    links = link_all(rows, [posted])
    assert [result.linked for result in links] == [False, True]


def test_of_several_calls_to_one_recipient_each_simulation_gets_the_one_of_its_time() -> None:
    rows = [
        simulation(f"s{n}", recipient="sip:r", started_at=n * 100.0, ended_at=n * 100.0 + 40)
        for n in (1, 2, 3)
    ]
    calls = [call(n, recipient="sip:r", started_at=n * 100.0 + 1, ended_at=n * 100.0 + 40) for n in (3, 1, 2)]
    assert [result.call.call_id for result in link_all(rows, calls) if result.call] == ["c-1", "c-2", "c-3"]


def test_warns_when_two_calls_carry_one_call_id() -> None:
    result = link(simulation(), call(1, sip_call_id=CALL_ID), call(2, sip_call_id=CALL_ID))
    assert result.call is not None
    assert result.call.call_id == "c-1"
    assert "2 calls carry this Call-ID (c-2 too)" in result.warning


def test_warns_when_only_the_correlation_id_saved_the_link() -> None:
    row = simulation(correlation_id=CORRELATION)
    assert link(row, call(correlation_id=CORRELATION)).warning == "sip_call_id was not posted"
    result = link(row, call(correlation_id=CORRELATION, sip_call_id=TWILIO))
    assert result.linked
    assert "Twilio's CallSid" in result.warning


NOT_LINKED = {
    "nothing came": (simulation(), [], "no call was posted after this simulation"),
    "no ids": (
        simulation(),
        [call()],
        "the agent's call c-1 came without sip_call_id and without X-Correlation-Id",
    ),
    "a carrier's id": (
        simulation(),
        [call(sip_call_id=TWILIO)],
        f"the posted sip_call_id {TWILIO} is Twilio's CallSid, a provider's own id, not the SIP Call-ID; "
        "send SipCallId",
    ),
    "LiveKit's own id": (
        simulation(),
        [call(sip_call_id="SCL_a8dF3kd9")],
        "send the participant attribute sip.callIDFull",
    ),
    "another Call-ID": (
        simulation(),
        [call(sip_call_id="b2bua-7")],
        f"sip_call_id b2bua-7 is not this simulation's Call-ID {CALL_ID}; if a hop on the way gives",
    ),
    "the correlation id as Call-ID": (
        simulation(correlation_id=CORRELATION),
        [call(sip_call_id=CORRELATION)],
        "its sip_call_id is this simulation's X-Correlation-Id",
    ),
    "the Call-ID as correlation id": (
        simulation(correlation_id=CORRELATION),
        [call(correlation_id=CALL_ID)],
        "its X-Correlation-Id is this simulation's Call-ID",
    ),
    "lower case": (
        simulation(),
        [call(sip_call_id=CALL_ID.lower())],
        "differs from the Call-ID only in upper and lower case",
    ),
    "the header's name": (simulation(), [call(sip_call_id=f"Call-ID: {CALL_ID}")], "brackets or header name"),
    "no host part": (
        simulation("abc@10.0.0.9"),
        [call(sip_call_id="abc")],
        "differs from the Call-ID abc@10.0.0.9 in what follows the @",
    ),
    "another correlation id": (
        simulation(correlation_id=CORRELATION),
        [call(correlation_id="beef")],
        f"came without sip_call_id, and its X-Correlation-Id beef is not this simulation's {CORRELATION}",
    ),
    "no recipient": (
        simulation(recipient="sip:sim-abc@sip.example"),
        [call()],
        "came without sip_call_id and without recipient; send recipient sip:sim-abc@sip.example",
    ),
    "a changed recipient": (
        simulation(recipient="sip:sim-abc@sip.example"),
        [call(recipient="sim-abc")],
        "its recipient sim-abc is not quite sip:sim-abc@sip.example; send it exactly as it was given",
    ),
    "another recipient": (
        simulation(recipient="sip:sim-abc@sip.example"),
        [call(recipient="sip:other@sip.example")],
        "its recipient sip:other@sip.example is not sip:sim-abc@sip.example",
    ),
    "a call of another time": (
        simulation(),
        [call(started_at=900.0, ended_at=940.0, received_at=950.0)],
        "the one call posted since that belongs to no simulation neither names it nor overlaps it in time",
    ),
    "calls of another time": (
        simulation(),
        [call(n, started_at=900.0, ended_at=940.0, received_at=950.0) for n in (1, 2)],
        "none of the 2 calls posted since",
    ),
    "busy": (
        simulation(outcome="upstream_error", detail="486 Busy Here"),
        [],
        "the simulation did not succeed (upstream_error: 486 Busy Here), and no call was posted",
    ),
}


@pytest.mark.parametrize("name", NOT_LINKED)
def test_says_why_a_simulation_is_not_linked(name: str) -> None:
    row, calls, words = NOT_LINKED[name]
    result = link(row, *calls)
    assert not result.linked
    assert result.call is None
    assert result.reason.startswith("not linked: ")
    assert words in result.reason


def test_names_for_each_simulation_the_call_of_its_own_time() -> None:
    rows = [simulation(f"s{n}", started_at=n * 10.0, ended_at=n * 10.0 + 40) for n in range(4)]
    calls = [call(n + 1, started_at=n * 10.0 + 1, ended_at=n * 10.0 + 40) for n in (2, 0, 3, 1)]
    candidates = [result.candidate.call_id for result in link_all(rows, calls) if result.candidate]
    assert candidates == ["c-1", "c-2", "c-3", "c-4"]


def test_a_call_linked_elsewhere_is_nobodys_candidate() -> None:
    linked, lonely = link_all([simulation("first"), simulation("second")], [call(sip_call_id="first")])
    assert linked.linked
    assert lonely.reason == "not linked: no call was posted after this simulation"


def test_the_call_of_an_answered_simulation_is_not_blamed_on_an_unanswered_one() -> None:
    busy = simulation("busy", outcome="upstream_error", detail="486 Busy Here")
    answered = simulation("answered", started_at=90.0, ended_at=150.0, outcome="success")
    first, second = link_all([busy, answered], [call()])
    assert first.candidate is None
    assert second.candidate is not None


def refusal(**changes: Any) -> Refusal:
    return replace(Refusal(received_at=142.0, status=422, problem="call_type: Field required"), **changes)


def test_a_refused_post_that_names_the_simulation_is_the_reason() -> None:
    result = link(simulation(), call(), refusals=(refusal(call_id="c-9", sip_call_id=CALL_ID),))
    assert (
        result.reason == "not linked: the post of call c-9 was refused with 422 (call_type: Field required)"
    )


def test_a_refused_post_without_ids_is_likely_the_reason_for_one_simulation() -> None:
    rows = [
        simulation("early", started_at=10.0, ended_at=50.0),
        simulation("late", started_at=100.0, ended_at=140.0),
    ]
    early, late = link_all(rows, [], [refusal(call_id="c-9"), refusal(call_id="c-9", received_at=150.0)])
    assert early.reason == "not linked: no call was posted after this simulation"
    assert "a post was refused with 422 (call_type: Field required), likely that of call c-9" in late.reason


def test_a_refused_post_with_a_carriers_id_is_likely_the_reason_too() -> None:
    result = link(simulation(), refusals=(refusal(call_id="c-9", sip_call_id=TWILIO),))
    assert "a post was refused with 422 (call_type: Field required), likely that of call c-9" in result.reason


def test_a_refused_post_that_names_a_linked_simulation_explains_no_other() -> None:
    rows = [simulation(), simulation("other")]
    links = link_all(rows, [call(sip_call_id=CALL_ID)], [refusal(call_id="c-9", sip_call_id=CALL_ID)])
    assert links[1].reason == "not linked: no call was posted after this simulation"


def test_a_refused_post_is_forgotten_when_its_call_was_accepted_later() -> None:
    assert link(simulation(), call(sip_call_id=CALL_ID), refusals=(refusal(call_id="c-1"),)).linked
    other = simulation("other", started_at=130.0, ended_at=141.0)
    links = link_all([simulation(), other], [call(sip_call_id=CALL_ID)], [refusal(call_id="c-1")])
    assert links[1].reason == "not linked: no call was posted after this simulation"


def test_a_refused_post_before_the_simulation_has_nothing_to_do_with_it() -> None:
    assert "refused" not in link(simulation(), refusals=(refusal(received_at=50.0),)).reason


def test_thousands_left_over_are_explained_without_comparing_each_with_each() -> None:
    simulations = [
        Simulation(f"sim-{number}", float(number), ended_at=number + 30.0) for number in range(3000)
    ]
    calls = [
        PostedCall(number, f"c-{number}", "a", number + 31.0, number, number + 30.0, f"other-{number}")
        for number in range(3000)
    ]
    refusals = [Refusal(number + 31.0, 401, "no key", call_id=f"r-{number}") for number in range(3000)]
    began = time.perf_counter()
    links = link_all(simulations, calls, refusals)
    assert time.perf_counter() - began < 10
    assert [link.candidate and link.candidate.id for link in links] == list(range(3000))


@pytest.mark.parametrize(
    "value",
    [
        TWILIO,
        "AJ_x8Yq",
        "SCL_abc123",
        "v3:" + "a" * 30,
        "call_" + "0f" * 12,
        f"CON-{'0' * 8}-0000-0000-0000-{'0' * 12}",
    ],
)
def test_a_providers_own_id_comes_with_what_to_set_up_and_a_page_that_exists(value: str) -> None:
    assert recognise(value) is not None
    remedy = remedy_for(None, "c-81", value)
    assert remedy.fix.endswith(".")
    assert (Path(__file__).parents[4] / remedy.howto).is_file()


def test_an_unlinked_call_tells_its_provider_by_its_call_id_too() -> None:
    simulation = Simulation("a1", 100.0, ended_at=130.0)
    call = PostedCall(1, TWILIO, "a", 131.0, 100.0, 130.0)
    (link,) = link_all([simulation], [call])
    assert "came without sip_call_id" in link.reason
    assert link.howto == "docs/howto/twilio.md"
    (linked,) = link_all([simulation], [replace(call, sip_call_id="a1")])
    assert (linked.fix, linked.howto) == ("", "")
