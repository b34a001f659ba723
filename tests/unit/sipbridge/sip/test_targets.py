from __future__ import annotations

import pytest

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Response
from tuner_sipbridge.sip.records import by_priority_and_weight
from tuner_sipbridge.sip.targets import DEFAULT_PENALTY_S, LONGEST_PENALTY_S, Penalties, Trunk, penalty_of
from tuner_sipbridge.sip.uri import Uri


class TestPenalties:
    def test_put_a_target_behind_the_others_until_their_time_is_over(self):
        penalties = Penalties[str]()
        penalties.note("a", "no response", now=0, for_s=10)
        assert penalties.sort(["a", "b", "c"], now=9.9) == ["b", "c", "a"]
        assert penalties.standing(now=9.9) == {"a": "no response"}
        assert penalties.sort(["a", "b", "c"], now=10) == ["a", "b", "c"]
        assert penalties.standing(now=10) == {}

    def test_leave_a_target_to_try_when_all_failed(self):
        penalties = Penalties[str]()
        penalties.note("a", "503", now=0, for_s=30)
        penalties.note("b", "503", now=0, for_s=10)
        assert penalties.sort(["a", "b"], now=5) == ["b", "a"]

    def test_are_lifted_when_the_target_works(self):
        penalties = Penalties[str]()
        penalties.note("a", "503", now=0)
        penalties.lift("a")
        penalties.lift("never")
        assert penalties.sort(["a", "b"], now=1) == ["a", "b"]

    def test_have_an_end(self):
        penalties = Penalties[str]()
        penalties.note("a", "503", now=0, for_s=1e9)
        assert penalties.standing(now=LONGEST_PENALTY_S) == {}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("18000;duration=3600", 18000),
        ("5 (in a meeting)", 5),
        ("0", 0),
        (None, DEFAULT_PENALTY_S),
        ("soon", DEFAULT_PENALTY_S),
        ("949302838503028349304023988", DEFAULT_PENALTY_S),
    ],
)
def test_a_503_says_how_long_to_stay_away(value: str | None, seconds: float):
    headers = Headers([("Retry-After", value)] if value is not None else [])
    assert penalty_of(Response(503, "Service Unavailable", headers)) == seconds


@pytest.mark.parametrize(
    ("text", "priority", "weight"),
    [
        ("sip:gw.example;transport=tcp", 0, 1),
        ("sip:gw.example;transport=tcp,10", 10, 1),
        ("sip:gw.example;transport=tcp, 10, 60", 10, 60),
    ],
)
def test_a_trunk_is_read(text: str, priority: int, weight: int):
    trunk = Trunk.parse(text)
    assert str(trunk.uri) == "sip:gw.example;transport=tcp"
    assert (trunk.priority, trunk.weight) == (priority, weight)


@pytest.mark.parametrize(
    "text", ["", "gw.example", "tel:+1555", "sip:gw.example,x", "sip:gw.example,1,99999"]
)
def test_what_is_no_trunk_is_refused(text: str):
    with pytest.raises(LocalProtocolError):
        Trunk.parse(text)


def test_trunks_are_tried_by_priority_and_weight():
    trunks = [
        Trunk(Uri.parse(f"sip:{name}.example"), *rank)
        for name, *rank in [("b", 2, 5), ("a", 1, 0), ("c", 2, 0)]
    ]
    found = by_priority_and_weight(trunks, lambda most: most)
    assert [trunk.uri.host for trunk in found] == ["a.example", "b.example", "c.example"]
