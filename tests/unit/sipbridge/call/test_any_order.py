"""Whatever a far end says in whatever order, a call raises nothing, closes once and comes to rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner_sipbridge.call.challenge import Challenger
from tuner_sipbridge.call.events import CLOSING_EVENTS, Incoming, Parted
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.client_transaction import cancel_of
from tuner_sipbridge.sip.uri import Uri

GOOD = Credentials("probe", "s3cret")
CHALLENGES = [
    ("Proxy-Authenticate", 'Digest realm="r", nonce="n1", qop="auth"'),
    ("Proxy-Authenticate", 'Digest realm="r", nonce="n2", qop="auth", stale=true'),
    ("WWW-Authenticate", 'Digest realm="s", nonce="n3", algorithm=SHA-256, qop="auth-int"'),
    ("Contact", "<sip:agent@elsewhere.example>"),
    ("Record-Route", "<sip:strict.example>"),
    ("Require", "100rel"),
    ("Session-Expires", "90;refresher=uac"),
    ("Min-SE", "2000"),
    ("Proxy-Authentication-Info", 'nextnonce="n9"'),
]
ASKS = [
    "X: y",
    "Refer-To: <sip:third@x.example>",
    "RAck: 1 1 INVITE",
    "Event: refer",
    "Supported: timer",
    "Session-Expires: 90;refresher=uas",
]
METHODS = [
    *("INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "OPTIONS", "INFO", "PRACK", "REFER", "NOTIFY", "NONSENSE"),
]
BODIES = ["", "sdp", "hold", "rubbish"]
TAGS = ["far", "fork", "third"]

responses = st.tuples(
    st.just("reply"),
    st.sampled_from([100, 180, 183, 200, 202, 302, 401, 407, 422, 481, 486, 491, 503, 603]),
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
    st.sampled_from(ASKS),
)
waits = st.tuples(st.just("wait"), st.sampled_from([0.01, 0.6, 5.0, 33.0]))
ours = st.tuples(
    st.just("do"),
    st.sampled_from(
        [
            *(
                "hang_up",
                "cancel",
                "ring",
                "begin_media",
                "accept",
                "reject",
                "hold",
                "resume",
                "refresh",
                "transfer",
            ),
        ]
    ),
)
courses = st.lists(st.one_of(responses, requests, waits, ours), max_size=14)
EXTRA = st.lists(
    st.sampled_from(["Supported: 100rel, timer", "Require: 100rel", "Session-Expires: 90"]), max_size=2
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def body_of(name: str, their_sdp: Callable[..., bytes]) -> bytes:
    if name in ("sdp", "hold"):
        return their_sdp(hold=name == "hold")
    return name.encode()


def assert_closed_once(bench: Any) -> None:
    bench.assert_at_rest()
    closings = [event for event in bench.happened if isinstance(event, CLOSING_EVENTS)]
    assert len(closings) == 1
    assert [event for event in bench.happened if not isinstance(event, Parted)][-1] is closings[0]


@quick
@given(course=courses)
def test_outbound(dial: Callable[..., Any], their_sdp: Callable[..., bytes], course: list[tuple[Any, ...]]):
    bench = dial(credentials=GOOD)
    for step, *details in course:
        if step == "reply":
            status, tag, body, header = details
            number = ("RSeq", str(len(bench.requests)))
            bench.reply(status, header, number, to=bench.requests[-1], tag=tag, body=body_of(body, their_sdp))
        elif step == "ask":
            method, tag, body, number, header = details
            bench.ask(method, header, tag=tag, number=number, body=body_of(body, their_sdp))
        elif step == "wait":
            bench.wait(details[0])
        elif details[0] in ("hang_up", "cancel", "hold", "resume", "refresh", "transfer"):
            act(bench, details[0])
    bench.call.hang_up(now=bench.now)
    bench.collect()
    assert_closed_once(bench)


@quick
@given(course=courses, asked=st.booleans(), offer=st.sampled_from(BODIES), extra=EXTRA)
def test_inbound(
    receive: Callable[..., Any],
    invite: Callable[..., Any],
    their_sdp: Callable[..., bytes],
    course: list[tuple[Any, ...]],
    asked: bool,
    offer: str,
    extra: list[str],
):
    first = invite(*extra, body=body_of(offer, their_sdp))
    bench = receive(first, challenger=Challenger(GOOD, realm="r") if asked else None)
    for step, *details in course:
        if step == "ask" and details[0] == "CANCEL":
            bench.hear(cancel_of(bench.call.invite))
        elif step == "ask" and bench.responses and any(response.to.tag for response in bench.responses):
            method, _, body, number, header = details
            bench.ask(method, header, number=number, body=body_of(body, their_sdp))
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
    if what in ("accept", "begin_media"):
        getattr(call, what)(now=now, address="10.0.0.1", port=40000)
    elif what == "transfer":
        with contextlib.suppress(LocalProtocolError):
            call.transfer(Uri.parse("sip:third@x.example"), now=now)
    elif what == "reject":
        call.reject(486, now=now)
    elif what == "ring":
        call.ring(now=now)
    elif what in ("hold", "resume", "refresh") or hasattr(call, what):
        getattr(call, what)(now=now)
    else:
        call.hang_up(now=now)
    bench.collect()
