"""Whatever a far end says in whatever order, a call raises nothing, closes once and comes to rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import CLOSING_EVENTS, Incoming
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sip.client_transaction import cancel_of

GOOD = Credentials("probe", "s3cret")
CHALLENGES = [
    ("Proxy-Authenticate", 'Digest realm="r", nonce="n1", qop="auth"'),
    ("Proxy-Authenticate", 'Digest realm="r", nonce="n2", qop="auth", stale=true'),
    ("WWW-Authenticate", 'Digest realm="s", nonce="n3", algorithm=SHA-256, qop="auth-int"'),
    ("Contact", "<sip:agent@elsewhere.example>"),
    ("Record-Route", "<sip:strict.example>"),
]
METHODS = ["INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "OPTIONS", "INFO", "NONSENSE"]
BODIES = ["", "sdp", "hold", "rubbish"]
TAGS = ["far", "fork", "third"]

responses = st.tuples(
    st.just("reply"),
    st.sampled_from([100, 180, 183, 200, 202, 302, 401, 407, 481, 486, 503, 603]),
    st.sampled_from(TAGS),
    st.sampled_from(BODIES),
    st.sampled_from(CHALLENGES),
)
requests = st.tuples(
    st.just("ask"),
    st.sampled_from(METHODS),
    st.sampled_from(TAGS),
    st.sampled_from(BODIES),
    st.integers(1, 9),
)
waits = st.tuples(st.just("wait"), st.sampled_from([0.01, 0.6, 5.0, 33.0]))
ours = st.tuples(st.just("do"), st.sampled_from(["hang_up", "cancel", "ring", "accept", "reject"]))
courses = st.lists(st.one_of(responses, requests, waits, ours), max_size=14)
quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def body_of(name: str, their_sdp: Callable[..., bytes]) -> bytes:
    if name in ("sdp", "hold"):
        return their_sdp(hold=name == "hold")
    return name.encode()


def assert_closed_once(bench: Any) -> None:
    bench.assert_at_rest()
    closings = [event for event in bench.happened if isinstance(event, CLOSING_EVENTS)]
    assert len(closings) == 1
    assert bench.happened[-1] is closings[0]


@quick
@given(course=courses)
def test_outbound(dial: Callable[..., Any], their_sdp: Callable[..., bytes], course: list[tuple[Any, ...]]):
    bench = dial(credentials=GOOD)
    for step, *details in course:
        if step == "reply":
            status, tag, body, header = details
            bench.reply(status, header, to=bench.requests[-1], tag=tag, body=body_of(body, their_sdp))
        elif step == "ask":
            method, tag, body, number = details
            bench.ask(method, tag=tag, number=number, body=body_of(body, their_sdp))
        elif step == "wait":
            bench.wait(details[0])
        elif details[0] in ("hang_up", "cancel"):
            getattr(bench.call, details[0])(now=bench.now)
            bench.collect()
    bench.call.hang_up(now=bench.now)
    bench.collect()
    assert_closed_once(bench)


@quick
@given(course=courses, asked=st.booleans(), offer=st.sampled_from(BODIES))
def test_inbound(
    receive: Callable[..., Any],
    invite: Callable[..., Any],
    their_sdp: Callable[..., bytes],
    course: list[tuple[Any, ...]],
    asked: bool,
    offer: str,
):
    first = invite(body=body_of(offer, their_sdp))
    bench = receive(first, challenger=Challenger(GOOD, realm="r") if asked else None)
    for step, *details in course:
        if step == "ask" and details[0] == "CANCEL":
            bench.hear(cancel_of(bench.call.invite))
        elif step == "ask" and bench.responses and any(response.to.tag for response in bench.responses):
            method, _, body, number = details
            bench.ask(method, number=number, body=body_of(body, their_sdp))
        elif step == "reply" and bench.requests:
            status, tag, _, header = details
            answer = bench.answer_to(bench.requests[-1], status, tag, header)
            bench.hear(answer)
        elif step == "wait":
            bench.wait(details[0])
        elif step == "do":
            act(bench, details[0])
    bench.call.hang_up(now=bench.now)
    bench.collect()
    if any(isinstance(event, Incoming) for event in bench.happened):
        assert_closed_once(bench)
    else:
        bench.assert_at_rest()
        assert bench.happened == []


def act(bench: Any, what: str) -> None:
    call, now = bench.call, bench.now
    if what == "accept":
        call.accept(now=now, address="10.0.0.1", port=40000)
    elif what == "reject":
        call.reject(486, now=now)
    elif what == "ring":
        call.ring(now=now)
    else:
        call.hang_up(now=now)
    bench.collect()
