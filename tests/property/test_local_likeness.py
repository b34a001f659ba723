"""Guessing which call belongs to a simulation gives the same with and without shortcuts."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tuner_core.local.likeness import overlap, pair_calls
from tuner_core.local.reasons import near_keys, near_miss
from tuner_core.local.rows import PostedCall, Simulation

ids = st.sampled_from([None, "a1", "A1", "<a1>", "Call-ID: a1", "a1@x", "a1@y", "0af3", "0AF3 ", "b2@x", ""])
uris = st.sampled_from([None, "sip:sim@a", "sip:sim@b;x=1", "SIP:SIM", "tel:sim", "sip:other@a"])
times = st.integers(0, 60).map(float)


@st.composite
def simulations(draw: st.DrawFn) -> list[Simulation]:
    rows: list[Simulation] = []
    for number in range(draw(st.integers(0, 6))):
        started = draw(times)
        rows.append(
            Simulation(
                sip_call_id=(draw(ids) or "s") + str(number) * draw(st.integers(0, 1)) or "s",
                started_at=started,
                correlation_id=draw(ids),
                recipient=draw(uris),
                agent=draw(st.sampled_from(["", "x"])),
                ended_at=draw(
                    st.none() | st.integers(0, 30).map(lambda length, begun=started: begun + length)
                ),
                outcome=draw(st.sampled_from([None, "success", "upstream_error"])),
            )
        )
    return list({row.sip_call_id: row for row in rows}.values())


@st.composite
def calls(draw: st.DrawFn) -> list[PostedCall]:
    rows: list[PostedCall] = []
    for number in range(draw(st.integers(0, 8))):
        started = draw(times)
        length = draw(st.integers(0, 50))
        rows.append(
            PostedCall(
                id=number,
                call_id=f"c-{number}",
                agent=draw(st.sampled_from(["", "x"])),
                received_at=started + length,
                started_at=started,
                ended_at=started + length,
                sip_call_id=draw(ids),
                correlation_id=draw(ids),
                recipient=draw(uris),
            )
        )
    return rows


def compared_with_each(rows: Sequence[Simulation], posted: Sequence[PostedCall]) -> dict[str, PostedCall]:
    scored: list[tuple[float, int, str, PostedCall]] = []
    for simulation in rows:
        for call in posted:
            score = 10.0 if near_miss(simulation, call) else overlap(simulation, call)
            if score > 0:
                score /= 10 if simulation.outcome == "upstream_error" else 1
                score += 0.1 if simulation.agent and simulation.agent == call.agent else 0
                scored.append((-score, call.id, simulation.sip_call_id, call))
    scored.sort(key=lambda item: item[:2])
    pairs: dict[str, PostedCall] = {}
    for _, _, name, call in scored:
        if name not in pairs and call not in pairs.values():
            pairs[name] = call
    return pairs


@given(simulations(), calls())
def test_the_shortcuts_find_what_comparing_each_with_each_finds(
    rows: list[Simulation], posted: list[PostedCall]
) -> None:
    assert pair_calls(rows, posted) == compared_with_each(rows, posted)


@given(simulations(), calls())
def test_whatever_nearly_matches_has_a_key_in_common(
    rows: list[Simulation], posted: list[PostedCall]
) -> None:
    for simulation in rows:
        for call in posted:
            if near_miss(simulation, call):
                assert near_keys(simulation) & near_keys(call)
