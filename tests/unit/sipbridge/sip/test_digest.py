from __future__ import annotations

import hashlib
from functools import partial

import pytest

from tuner_sipbridge.errors import LocalProtocolError, RemoteProtocolError
from tuner_sipbridge.sip.digest import (
    Challenge,
    authorization,
    authorization_fields,
    challenges_of,
    header_for,
    make_challenge,
    strongest,
    verify,
)
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Response

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def refusal(*fields: tuple[str, str]) -> Response:
    return Response(401, "Unauthorized", Headers(fields))


def test_the_example_of_rfc_2617():
    challenge = Challenge.parse(
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    credentials = authorization(
        challenge,
        username="Mufasa",
        password="Circle Of Life",
        method="GET",
        uri="/dir/index.html",
        cnonce="0a4f113b",
        nc=1,
    )
    assert credentials == (
        'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'uri="/dir/index.html", response="6629fae49393a05397450978507c4ef1", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41", cnonce="0a4f113b", qop=auth, nc=00000001'
    )


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_3_9_1(algorithm: str, response: str):
    credentials = authorization(
        Challenge.parse(RFC_7616.format(algorithm)),
        username="Mufasa",
        password="Circle of Life",
        method="GET",
        uri="/dir/index.html",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nc=1,
    )
    fields = authorization_fields(credentials)
    assert fields["response"] == response
    assert (fields["qop"], fields["nc"], fields["algorithm"]) == ("auth", "00000001", algorithm)


def test_the_example_of_rfc_7616_3_9_2_as_its_erratum_4897_has_it():
    challenge = Challenge.parse(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    fields = authorization_fields(
        authorization(
            challenge,
            username="Jäsøn Doe",
            password="Secret, or not?",
            method="GET",
            uri="/doe.json",
            cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
            nc=1,
        )
    )
    assert fields["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert fields["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    assert fields["userhash"] == "true"


def answer(challenge: Challenge, *, nc: int = 1, body: bytes = b"") -> dict[str, str]:
    return authorization_fields(
        authorization(
            challenge,
            username="u",
            password="p",
            method="INVITE",
            uri="sip:agent@h",
            cnonce="cn",
            nc=nc,
            body=body,
        )
    )


def hashed(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def test_auth_int_alone_is_answered_as_auth_int():
    fields = answer(Challenge("r", "n", qop=("auth-int",)), body=b"v=0\r\n")
    second = hashed("INVITE", "sip:agent@h", hashed("v=0\r\n"))
    assert fields["qop"] == "auth-int"
    assert fields["response"] == hashed(hashed("u", "r", "p"), "n", "00000001", "cn", "auth-int", second)


def test_without_qop_the_answer_is_that_of_rfc_2069():
    fields = answer(Challenge("r", "n"))
    assert fields["response"] == hashed(hashed("u", "r", "p"), "n", hashed("INVITE", "sip:agent@h"))
    assert {"qop", "nc", "cnonce", "algorithm", "opaque"}.isdisjoint(fields)


def test_a_session_hash_takes_both_nonces_in():
    fields = answer(Challenge("r", "n", algorithm="MD5-sess"))
    first = hashed(hashed("u", "r", "p"), "n", "cn")
    assert fields["response"] == hashed(first, "n", hashed("INVITE", "sip:agent@h"))
    assert fields["cnonce"] == "cn"
    assert fields["algorithm"] == "MD5-sess"


def test_a_nonce_used_again_counts_up():
    assert answer(Challenge("r", "n", qop=("auth",)), nc=27)["nc"] == "0000001b"


def test_a_challenge_with_commas_in_quotes():
    challenge = Challenge.parse('Digest realm="a,b", nonce="x", qop="auth,auth-int", algorithm=SHA-256')
    assert (challenge.realm, challenge.qop, challenge.algorithm) == ("a,b", ("auth", "auth-int"), "SHA-256")
    assert Challenge.parse(str(challenge)) == challenge
    assert 'realm="a,b"' in authorization(
        challenge, username="u", password="p", method="INVITE", uri="sip:h", cnonce="c", nc=1
    )


def test_a_challenge_written_loosely():
    challenge = Challenge.parse(
        'DIGEST  Realm = "r" ,NONCE="n",Stale=TRUE, qop=auth, algorithm="md5", opaque=""'
    )
    assert challenge == Challenge("r", "n", "md5", ("auth",), opaque="", stale=True)
    assert answer(challenge)["opaque"] == ""
    assert Challenge.parse(str(challenge)) == challenge


def test_escapes_go_back_as_they_came():
    challenge = Challenge.parse(r'Digest realm="a \"b\", c", nonce="n"')
    fields = answer(challenge)
    assert fields["realm"] == r"a \"b\", c"
    assert fields["response"] == hashed(hashed("u", r"a \"b\", c", "p"), "n", hashed("INVITE", "sip:agent@h"))


@pytest.mark.parametrize(
    "text", ["", "Digest", 'Basic realm="r"', 'Digest realm="r"', 'Digest nonce="n"', 'Digest realm="r, nonce="n"',
             'Digest realm="r", realm="s", nonce="n"', 'Digest realm="r",, nonce="n"']
)  # fmt: skip
def test_what_is_no_challenge_is_refused(text: str):
    with pytest.raises(RemoteProtocolError):
        Challenge.parse(text)


def test_of_several_challenges_the_strongest_that_is_known_is_answered():
    response = refusal(
        ("WWW-Authenticate", 'Digest realm="r", nonce="1", algorithm=SHA-1, qop="auth"'),
        ("WWW-Authenticate", 'Digest realm="r", nonce="2", algorithm=MD5, qop="auth"'),
        ("WWW-Authenticate", 'Bearer realm="r"'),
        ("WWW-Authenticate", 'Digest realm="r", nonce="3", algorithm=SHA-256, qop="auth"'),
        ("WWW-Authenticate", 'Digest realm="r", nonce="4", algorithm=SHA-256, qop="auth"'),
        ("WWW-Authenticate", 'Digest realm="r", nonce="5", algorithm=SHA-512-256, qop="token"'),
    )
    challenges = challenges_of(response)
    assert [challenge.nonce for challenge in challenges] == ["1", "2", "3", "4", "5"]
    best = strongest(challenges)
    assert best is not None
    assert best.nonce == "3"
    assert strongest(challenges[:1]) is None
    with pytest.raises(LocalProtocolError):
        answer(challenges[0])


def test_challenges_that_share_a_line_are_told_apart():
    response = refusal(
        (
            "Proxy-Authenticate",
            'Digest realm="a, Digest realm=b", nonce="1", qop="auth", Digest nonce="2",realm="c"',
        )
    )
    assert [(one.realm, one.nonce, one.proxy) for one in challenges_of(response)] == [
        ("a, Digest realm=b", "1", True),
        ("c", "2", True),
    ]


def test_a_broken_challenge_does_not_hide_a_good_one():
    response = refusal(
        ("WWW-Authenticate", 'Digest realm="never closed'),
        ("WWW-Authenticate", 'Digest realm="r", nonce="1"'),
    )
    assert [one.nonce for one in challenges_of(response)] == ["1"]


def test_a_proxy_is_answered_in_its_own_header():
    assert header_for(Challenge("r", "n", proxy=True)) == "Proxy-Authorization"
    assert header_for(Challenge("r", "n")) == "Authorization"


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256"])
@pytest.mark.parametrize("username", ["probe", 'Jäsøn "x" \\'])
def test_what_we_answer_we_accept(algorithm: str, username: str):
    challenge = Challenge.parse(make_challenge("tuner", "n1", algorithm))
    credentials = authorization(
        challenge, username=username, password="p,ß", method="INVITE", uri="sip:h", cnonce="c", nc=1
    )
    check = partial(verify, username=username, password="p,ß", method="INVITE", nonce="n1")
    assert check(credentials)
    assert check(credentials, realm="tuner", algorithms=(algorithm,))
    assert not check(credentials, username="x")
    assert not check(credentials, password="p")
    assert not check(credentials, method="BYE")
    assert not check(credentials, nonce="n2")
    assert not check(credentials, realm="other")
    assert not check(credentials, algorithms=())
    assert not check(credentials.replace("nc=00000001", "nc=00000002"))
    assert not check(credentials.replace('uri="sip:h"', 'uri="sip:g"'))


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "Basic dXNlcjpwYXNz",
        "Digest",
        'Digest username="u',
        'Digest username="u", realm="r", nonce="n1", uri="sip:h", response=""',
        'Digest username="u", realm="r", nonce="n1", uri="sip:h", response="\udcff", cnonce="c", nc=1, qop=auth',
        'Digest username="u", realm="r", nonce="n1", uri="sip:h", response="x", cnonce="c", nc=1, qop=auth-int',
        'Digest username="u", realm="r", nonce="n1", uri="sip:h", response="x", cnonce="c", nc=1,qop=auth,algorithm=X',
    ],
)
def test_credentials_that_cannot_be_read_are_refused_and_nothing_more(credentials: str):
    assert not verify(credentials, username="u", password="p", method="INVITE", nonce="n1")


def test_a_challenge_of_ours():
    assert make_challenge("tuner", "n1", stale=True) == (
        'Digest realm="tuner", nonce="n1", stale=true, algorithm=SHA-256, qop="auth"'
    )
    for realm, nonce, algorithm in [('a"b', "n", "MD5"), ("r", "n\\", "MD5"), ("r", "n", "SHA-1")]:
        with pytest.raises(LocalProtocolError):
            make_challenge(realm, nonce, algorithm)
