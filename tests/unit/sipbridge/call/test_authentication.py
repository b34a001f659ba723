from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tuner_sipbridge.call.events import Answered, AuthenticationRefused
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sip.digest import authorization_fields, verify
from tuner_sipbridge.sip.uri import Uri

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


@pytest.fixture
def known(dial: Dial) -> Any:
    """An answered call whose INVITE was challenged with the nonce n1."""
    bench = dial(credentials=GOOD)
    bench.reply(407, ("Proxy-Authenticate", challenge("n1")))
    bench.answer()
    return bench


def hang_up(bench: Any) -> Any:
    bench.call.hang_up(now=1.0)
    bench.collect()
    return bench.requests[-1]


def test_later_requests_of_the_call_carry_credentials_and_the_nonce_counts_up(known: Any):
    bye = hang_up(known)
    assert (bye.method, proof(bye)["nonce"], proof(bye)["nc"]) == ("BYE", "n1", "00000002")
    value = bye.headers.get("Proxy-Authorization")
    assert verify(value, username="probe", password="s3cret", method="BYE", nonce="n1")


def test_a_challenge_to_a_later_request_is_answered_once_more_and_then_left(known: Any):
    first = hang_up(known)
    known.reply(407, ("Proxy-Authenticate", challenge("n2")), to=first)
    second = known.requests[-1]
    assert (first.method, second.method) == ("BYE", "BYE")
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    assert (proof(second)["nonce"], proof(second)["nc"]) == ("n2", "00000001")
    known.reply(407, ("Proxy-Authenticate", challenge("n3")), to=second)
    assert known.requests[-1] is second
    known.assert_at_rest()


def test_a_bye_is_challenged_though_the_invite_was_not(dial: Dial):
    bench = dial(credentials=GOOD)
    bench.answer()
    first = hang_up(bench)
    assert "Proxy-Authorization" not in first.headers
    bench.reply(407, ("Proxy-Authenticate", challenge("n1")), to=first)
    assert proof(bench.requests[-1])["nonce"] == "n1"
    bench.reply(200, to=bench.requests[-1])
    bench.assert_at_rest()


def test_the_next_nonce_is_used_from_its_first_count(dial: Dial):
    bench = dial(credentials=GOOD)
    bench.reply(407, ("Proxy-Authenticate", challenge("n1")))
    bench.answer(("Proxy-Authentication-Info", 'nextnonce="n2", qop=auth, rspauth="x"'))
    bye = hang_up(bench)
    assert (proof(bye)["nonce"], proof(bye)["nc"]) == ("n2", "00000001")


def test_a_next_nonce_that_cannot_be_read_changes_nothing(dial: Dial):
    bench = dial(credentials=GOOD)
    bench.reply(407, ("Proxy-Authenticate", challenge("n1")))
    bench.answer(("Proxy-Authentication-Info", "nextnonce"), ("Authentication-Info", 'nextnonce="other"'))
    assert proof(hang_up(bench))["nonce"] == "n1"


@pytest.mark.parametrize(
    ("action", "method"),
    [
        (lambda call: call.hold(now=1.0), "INVITE"),
        (lambda call: call.refresh(now=1.0), "UPDATE"),
        (lambda call: call.transfer(Uri.parse("sip:third@x.example"), now=1.0), "REFER"),
        (lambda call: call.send_digit_by_info("5", now=1.0), "INFO"),
    ],
)
def test_every_request_within_the_call_answers_a_challenge(dial: Dial, action: Any, method: str):
    bench = dial(credentials=GOOD)
    bench.answer(("Allow", "INVITE, UPDATE"))
    action(bench.call)
    bench.collect()
    first = bench.requests[-1]
    assert first.method == method
    bench.reply(401, ("WWW-Authenticate", challenge("n1")), to=first)
    second = [request for request in bench.requests if request.method == method][-1]
    assert second is not first
    assert second.body == first.body
    value = second.headers.get("Authorization")
    assert verify(value, username="probe", password="s3cret", method=method, nonce="n1")


class TestWhatWasWrong:
    def test_no_credentials(self, dial: Dial):
        bench = dial()
        bench.reply(407, ("Proxy-Authenticate", challenge()))
        assert bench.happened[-1].problem == "no credentials"

    def test_wrong_credentials(self, dial: Dial):
        bench = dial(credentials=GOOD)
        bench.reply(407, ("Proxy-Authenticate", challenge("n1")))
        bench.reply(407, ("Proxy-Authenticate", challenge("n2")))
        assert bench.happened[-1].problem == "wrong credentials"
        assert bench.names.count("INVITE") == 2

    def test_a_403_after_credentials_may_mean_a_wrong_password(self, dial: Dial):
        bench, without = dial(credentials=GOOD), dial(credentials=GOOD)
        bench.reply(407, ("Proxy-Authenticate", challenge("n1")))
        bench.reply(403)
        without.reply(403)
        assert "user name or password" in bench.happened[-1].text
        assert "user name or password" not in without.happened[-1].text

    def test_silence_after_credentials_is_told_from_silence_at_first(self, dial: Dial):
        bench, silent = dial(credentials=GOOD), dial(credentials=GOOD)
        bench.reply(407, ("Proxy-Authenticate", challenge("n1")))
        bench.wait(40.0)
        silent.wait(40.0)
        assert "to the INVITE with credentials" in bench.happened[-1].text
        assert "credentials" not in silent.happened[-1].text


def test_nothing_shows_the_password():
    assert repr(GOOD) == "Credentials()"
