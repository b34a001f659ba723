from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import Answered, AuthenticationRefused
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sip.digest import authorization_fields, verify

Dial = Callable[..., Any]
GOOD = Credentials("probe", "s3cret")


def challenge(nonce: str = "n1", *, realm: str = "edge", algorithm: str = "MD5", extra: str = "") -> str:
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"{extra}'


def proof(request: Any, *, proxy: bool = True) -> dict[str, str]:
    return authorization_fields(request.headers.get("Proxy-Authorization" if proxy else "Authorization"))


def test_the_credentials_are_right(dial: Dial):
    bench = dial(credentials=GOOD)
    bench.reply(407, ("Proxy-Authenticate", challenge()))
    value = bench.invite.headers.get("Proxy-Authorization")
    assert verify(value, username="probe", password="s3cret", method="INVITE", nonce="n1", realm="edge")
    assert proof(bench.invite)["uri"] == "sip:agent@far.example"


def test_the_strongest_of_several_challenges_is_answered(dial: Dial):
    bench = dial(credentials=GOOD)
    bench.reply(
        401,
        ("WWW-Authenticate", challenge("weak")),
        ("WWW-Authenticate", challenge("strong", algorithm="SHA-256")),
        ("WWW-Authenticate", challenge("odd", algorithm="NEW-512")),
    )
    assert bench.invite.headers.get_all("Authorization") == [bench.invite.headers.get("Authorization")]
    assert proof(bench.invite, proxy=False)["nonce"] == "strong"


def test_a_proxy_and_the_far_end_each_get_their_own_credentials(dial: Dial):
    bench = dial(credentials=GOOD)
    bench.reply(407, ("Proxy-Authenticate", challenge("p", realm="proxy")))
    bench.reply(401, ("WWW-Authenticate", challenge("f", realm="far")))
    third = bench.invite
    assert str(third.cseq) == "3 INVITE"
    assert proof(third, proxy=False)["realm"] == "far"
    assert (proof(third)["realm"], proof(third)["nc"]) == ("proxy", "00000002")
    bench.answer()
    assert isinstance(bench.happened[-1], Answered)
    ack = bench.requests[-1]
    for name in ("Authorization", "Proxy-Authorization"):
        assert ack.headers.get(name) == third.headers.get(name)


def test_a_stale_nonce_is_replaced(dial: Dial):
    bench = dial(credentials=GOOD)
    bench.reply(407, ("Proxy-Authenticate", challenge("old")))
    bench.reply(407, ("Proxy-Authenticate", challenge("new", extra=", stale=true")))
    assert (proof(bench.invite)["nonce"], proof(bench.invite)["nc"]) == ("new", "00000001")


def test_a_far_end_that_calls_everything_stale_is_left(dial: Dial):
    bench = dial(credentials=GOOD)
    for number in range(10):
        bench.reply(407, ("Proxy-Authenticate", challenge(f"n{number}", extra=", stale=TRUE")))
    assert bench.names.count("INVITE") == 5
    assert isinstance(bench.happened[-1], AuthenticationRefused)
    bench.assert_at_rest()


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ([("Proxy-Authenticate", challenge("n", algorithm="NEW-512"))], "algorithm that is not known"),
        ([("Proxy-Authenticate", "Basic realm=x")], "without a digest challenge"),
        ([], "without a digest challenge"),
    ],
)
def test_a_challenge_that_cannot_be_answered_says_why(dial: Dial, headers: list[tuple[str, str]], text: str):
    bench = dial(credentials=GOOD)
    bench.reply(407, *headers)
    [event] = bench.happened
    assert isinstance(event, AuthenticationRefused)
    assert text in event.text
    bench.assert_at_rest()


def test_a_challenged_bye_is_sent_again_and_the_nonce_counts_up(dial: Dial):
    bench = dial(credentials=GOOD)
    bench.reply(407, ("Proxy-Authenticate", challenge("n1")))
    bench.answer()
    bench.call.hang_up(now=1.0)
    bench.collect()
    first = bench.requests[-1]
    assert "Proxy-Authorization" not in first.headers
    bench.reply(407, ("Proxy-Authenticate", challenge("n1")), to=first)
    second = bench.requests[-1]
    assert (first.method, second.method) == ("BYE", "BYE")
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    assert proof(second)["nc"] == "00000002"
    value = second.headers.get("Proxy-Authorization")
    assert verify(value, username="probe", password="s3cret", method="BYE", nonce="n1")
    bench.reply(407, ("Proxy-Authenticate", challenge("n2")), to=second)
    assert bench.requests[-1] is second
    bench.assert_at_rest()


def test_nothing_shows_the_password():
    assert repr(GOOD) == "Credentials()"
