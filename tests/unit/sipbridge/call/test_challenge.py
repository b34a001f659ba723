from __future__ import annotations

from typing import Literal

import pytest

from tuner_sipbridge.call.challenge import Challenged, Challenger, Refused, Verified
from tuner_sipbridge.call.ids import Credentials
from tuner_sipbridge.sip.digest import Challenge, authorization
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.uri import Uri

GOOD = Credentials("probe", "s3cret")
TARGET = Uri.parse("sip:agent@here.example")


def invite(*headers: tuple[str, str]) -> Request:
    return Request("INVITE", TARGET, Headers(headers))


def answered(
    verdict: object, *, nc: int = 1, username: str = "probe", password: str = "s3cret"
) -> tuple[str, str]:
    assert isinstance(verdict, Challenged)
    name, value = verdict.header
    proof = authorization(
        Challenge.parse(value),
        username=username,
        password=password,
        method="INVITE",
        uri=str(TARGET),
        cnonce="c",
        nc=nc,
    )
    return name.replace("Authenticate", "Authorization").replace("WWW-", ""), proof


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("status", [401, 407])
def test_challenge_then_verified(algorithm: Literal["MD5", "SHA-256"], status: Literal[401, 407]):
    challenger = Challenger(GOOD, realm="agents", algorithm=algorithm, status=status)
    first = challenger.judge(invite(), nonce="n1")
    assert isinstance(first, Challenged)
    assert first.status == status
    assert f"algorithm={algorithm}" in first.header[1]
    assert isinstance(challenger.judge(invite(answered(first)), nonce="n2"), Verified)


def test_an_answer_by_another_algorithm_than_was_asked_for_is_wrong():
    challenger = Challenger(GOOD, realm="agents", attempts=1)
    first = challenger.judge(invite(), nonce="n1")
    assert isinstance(first, Challenged)
    weaker = Challenged(407, (first.header[0], first.header[1].replace("SHA-256", "MD5")))
    assert challenger.judge(invite(answered(weaker)), nonce="n2") == Refused(403, "Forbidden")


def test_an_answer_counts_once():
    challenger = Challenger(GOOD, realm="agents")
    first = challenger.judge(invite(), nonce="n1")
    challenger.judge(invite(answered(first)), nonce="n2")
    replayed = challenger.judge(invite(answered(first)), nonce="n3")
    assert isinstance(replayed, Challenged)
    assert "stale=true" in replayed.header[1]
    assert isinstance(challenger.judge(invite(answered(first, nc=2)), nonce="n4"), Verified)


@pytest.mark.parametrize(("username", "password"), [("other", "s3cret"), ("probe", "guess")])
def test_the_last_attempt_is_refused(username: str, password: str):
    challenger = Challenger(GOOD, realm="agents", attempts=3)
    verdict = challenger.judge(invite(), nonce="n0")
    for number in (1, 2):
        verdict = challenger.judge(
            invite(answered(verdict, username=username, password=password)), nonce=f"n{number}"
        )
        assert isinstance(verdict, Challenged)
        assert "stale" not in verdict.header[1]
    assert challenger.judge(
        invite(answered(verdict, username=username, password=password)), nonce="n3"
    ) == Refused(403, "Forbidden")


def test_credentials_of_another_realm_or_scheme_count_as_none():
    challenger = Challenger(GOOD, realm="agents", attempts=1)
    other = Challenger(GOOD, realm="others").judge(invite(), nonce="n1")
    for header in (answered(other), ("Proxy-Authorization", "Basic eA=="), ("Proxy-Authorization", "Digest")):
        assert isinstance(challenger.judge(invite(header), nonce="n2"), Challenged)
