from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from tuner_sipbridge.errors import LocalProtocolError
from tuner_sipbridge.sip.locating import FAMILIES, TRANSPORTS, Asks, Family, Located, locate
from tuner_sipbridge.sip.records import Answer, AnswerCache, Naptr, Question, Srv, by_priority_and_weight
from tuner_sipbridge.sip.routing import Transport
from tuner_sipbridge.sip.uri import Uri


def least(most: int) -> int:
    return 0


@dataclass
class Zone:
    """A name server with these records; what it was asked is kept, round by round."""

    records: dict[str, Answer]
    rounds: list[list[str]] = field(default_factory=list[list[str]])

    def locate(
        self,
        uri: str,
        *,
        transports: Sequence[Transport] = TRANSPORTS,
        families: Sequence[Family] = FAMILIES,
        draw: Callable[[int], int] = least,
    ) -> Located:
        known: dict[Question, Answer] = {}
        while True:
            step = locate(Uri.parse(uri), known, draw=draw, transports=transports, families=families)
            if isinstance(step, Located):
                return step
            assert isinstance(step, Asks)
            assert step.questions
            self.rounds.append([str(question) for question in step.questions])
            for question in step.questions:
                assert question not in known
                known[question] = self.records.get(str(question), Answer(problem="no such name"))


def srv(*records: tuple[int, int, int, str]) -> Answer:
    return Answer(srv=tuple(Srv(*record) for record in records))


def naptr(*records: tuple[int, int, str, str]) -> Answer:
    return Answer(naptr=tuple(Naptr(order, preference, "s", *rest) for order, preference, *rest in records))


def at(*addresses: str) -> Answer:
    return Answer(addresses=addresses)


def shown(located: Located) -> list[str]:
    return [str(target) for target in located.targets]


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:a@192.0.2.1", "udp 192.0.2.1:5060"),
        ("sip:a@192.0.2.1:5080", "udp 192.0.2.1:5080"),
        ("sip:a@192.0.2.1;transport=TCP", "tcp 192.0.2.1:5060"),
        ("sip:a@192.0.2.1;transport=tls", "tls 192.0.2.1:5061"),
        ("sips:a@192.0.2.1", "tls 192.0.2.1:5061"),
        ("sips:a@192.0.2.1:5080;transport=tcp", "tls 192.0.2.1:5080"),
        ("sip:[2001:db8::9]", "udp [2001:db8::9]:5060"),
        ("sip:a@far.example;maddr=192.0.2.7", "udp 192.0.2.7:5060"),
        ("sip:a@far.example;maddr=[2001:db8::7]", "udp [2001:db8::7]:5060"),
    ],
)
def test_an_address_is_asked_nobody_about(uri: str, target: str):
    zone = Zone({})
    assert shown(zone.locate(uri)) == [target]
    assert zone.rounds == []


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:far.example:5080", "udp 192.0.2.1:5080"),
        ("sip:far.example:5060;transport=tcp", "tcp 192.0.2.1:5060"),
        ("sips:far.example:5080", "tls 192.0.2.1:5080"),
        ("sip:FAR.example.:5080", "udp 192.0.2.1:5080"),
    ],
)
def test_a_name_with_a_port_is_looked_up_for_its_addresses_alone(uri: str, target: str):
    zone = Zone({"A far.example": at("192.0.2.1")})
    assert shown(zone.locate(uri)) == [target]
    assert zone.rounds == [["A far.example", "AAAA far.example"]]


def test_naptr_says_which_transports_and_srv_which_hosts():
    zone = Zone(
        {
            "NAPTR far.example": naptr(
                (20, 10, "SIP+D2U", "_sip._udp.far.example"),
                (10, 20, "SIP+D2T", "_sip._tcp.far.example"),
                (10, 10, "SIPS+D2T", "_sips._tcp.far.example"),
                (5, 5, "SIP+D2S", "_sip._sctp.far.example"),
                (1, 1, "E2U+sip", "x.example"),
            ),
            "SRV _sip._udp.far.example": srv((0, 0, 5060, "u.far.example")),
            "SRV _sip._tcp.far.example": srv((0, 0, 5070, "t.far.example")),
            "SRV _sips._tcp.far.example": srv((0, 0, 5071, "s.far.example")),
            "A u.far.example": at("192.0.2.1"),
            "A t.far.example": at("192.0.2.2"),
            "A s.far.example": at("192.0.2.3"),
            "AAAA s.far.example": at("2001:db8::3"),
        }
    )
    located = zone.locate("sip:agent@far.example")
    assert shown(located) == [
        "tls 192.0.2.3:5071",
        "tls [2001:db8::3]:5071",
        "tcp 192.0.2.2:5070",
        "udp 192.0.2.1:5060",
    ]
    assert {target.name for target in located.targets} == {"far.example"}
    assert [len(questions) for questions in zone.rounds] == [1, 3, 6]
    assert next(str(question) for question, _ in located.asked) == "NAPTR far.example"


def test_a_sips_uri_goes_by_services_of_tls_only():
    zone = Zone(
        {
            "NAPTR far.example": naptr(
                (10, 10, "SIP+D2U", "_sip._udp.far.example"), (20, 10, "SIPS+D2T", "_x._tcp.far.example")
            ),
            "SRV _x._tcp.far.example": srv((0, 0, 5071, "s.far.example")),
            "A s.far.example": at("192.0.2.3"),
        }
    )
    assert shown(zone.locate("sips:agent@far.example")) == ["tls 192.0.2.3:5071"]
    assert "SRV _sip._udp.far.example" not in zone.rounds[1]


def test_without_naptr_the_transports_are_tried_in_the_order_of_preference():
    records = {
        "SRV _sip._udp.far.example": srv((0, 0, 5060, "u.far.example")),
        "SRV _sip._tcp.far.example": srv((0, 0, 5070, "u.far.example")),
        "A u.far.example": at("192.0.2.1"),
    }
    assert shown(Zone(records).locate("sip:far.example")) == ["udp 192.0.2.1:5060", "tcp 192.0.2.1:5070"]
    zone = Zone(records)
    assert shown(zone.locate("sip:far.example", transports=("tcp", "udp"))) == [
        "tcp 192.0.2.1:5070",
        "udp 192.0.2.1:5060",
    ]
    assert zone.rounds[1] == ["SRV _sip._tcp.far.example", "SRV _sip._udp.far.example"]


@pytest.mark.parametrize(
    ("uri", "question", "target"),
    [
        ("sip:far.example;transport=udp", "SRV _sip._udp.far.example", "udp 192.0.2.1:5065"),
        ("sip:far.example;transport=tcp", "SRV _sip._tcp.far.example", "tcp 192.0.2.1:5065"),
        ("sip:far.example;transport=tls", "SRV _sips._tcp.far.example", "tls 192.0.2.1:5065"),
        ("sips:far.example;transport=tcp", "SRV _sips._tcp.far.example", "tls 192.0.2.1:5065"),
    ],
)
def test_a_transport_in_the_uri_goes_straight_to_its_srv_records(uri: str, question: str, target: str):
    zone = Zone({question: srv((0, 0, 5065, "u.far.example")), "A u.far.example": at("192.0.2.1")})
    assert shown(zone.locate(uri)) == [target]
    assert zone.rounds[0] == [question]


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:far.example", "udp 192.0.2.1:5060"),
        ("sips:far.example", "tls 192.0.2.1:5061"),
        ("sip:far.example;transport=tcp", "tcp 192.0.2.1:5060"),
    ],
)
def test_a_name_with_addresses_alone_is_reached_at_the_default_port(uri: str, target: str):
    assert shown(Zone({"A far.example": at("192.0.2.1")}).locate(uri)) == [target]


def test_naptr_without_the_srv_records_it_names_falls_back_to_the_address_by_its_transport():
    zone = Zone(
        {
            "NAPTR far.example": naptr((10, 10, "SIP+D2T", "_sip._tcp.far.example")),
            "A far.example": at("192.0.2.1"),
        }
    )
    assert shown(zone.locate("sip:far.example")) == ["tcp 192.0.2.1:5060"]


def test_a_naptr_record_may_name_a_host():
    zone = Zone(
        {
            "NAPTR far.example": Answer(naptr=(Naptr(1, 1, "A", "SIP+D2T", "gw.far.example"),)),
            "A gw.far.example": at("192.0.2.1"),
        }
    )
    assert shown(zone.locate("sip:far.example")) == ["tcp 192.0.2.1:5060"]


def test_a_service_that_is_denied_is_not_guessed_at():
    zone = Zone({"SRV _sip._udp.far.example": srv((0, 0, 0, ".")), "A far.example": at("192.0.2.1")})
    located = zone.locate("sip:far.example;transport=udp")
    assert located.targets == ()
    assert "no such service" in located.problem


def test_a_name_that_leads_nowhere_is_told_with_what_the_name_server_said():
    located = Zone({}).locate("sip:nowhere.example:5060")
    assert located.targets == ()
    assert located.problem == ("cannot resolve nowhere.example: no such name; check the SIP URI's host")


def test_dead_hosts_of_an_srv_record_are_left_out():
    zone = Zone(
        {
            "SRV _sip._udp.far.example": srv((1, 0, 5060, "gone.example"), (2, 0, 5061, "there.example")),
            "A there.example": at("192.0.2.1", "192.0.2.2"),
        }
    )
    assert shown(zone.locate("sip:far.example;transport=udp")) == [
        "udp 192.0.2.1:5061",
        "udp 192.0.2.2:5061",
    ]


def test_families_are_asked_for_in_the_order_of_preference():
    records = {"A far.example": at("192.0.2.1"), "AAAA far.example": at("2001:db8::1")}
    assert shown(Zone(records).locate("sip:far.example:5060", families=("ipv6", "ipv4"))) == [
        "udp [2001:db8::1]:5060",
        "udp 192.0.2.1:5060",
    ]
    zone = Zone(records)
    assert shown(zone.locate("sip:far.example:5060", families=("ipv4",))) == ["udp 192.0.2.1:5060"]
    assert zone.rounds == [["A far.example"]]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("sips:far.example;transport=udp", "transport=udp cannot carry"),
        ("sip:far.example;transport=sctp", "asks for sctp, and only udp, tcp, tls"),
        ("tel:+15550100", "only sip and sips"),
    ],
)
def test_what_cannot_be_reached_is_refused(uri: str, reason: str):
    with pytest.raises(LocalProtocolError, match=reason):
        locate(Uri.parse(uri), {}, draw=least)


def test_tls_that_is_not_there_is_refused():
    with pytest.raises(LocalProtocolError, match="asks for tls, and only udp"):
        locate(Uri.parse("sips:far.example"), {}, draw=least, transports=("udp",))


def test_a_number_is_drawn_only_once_all_is_known():
    drawn: list[int] = []

    def draw(most: int) -> int:
        drawn.append(most)
        return most

    zone = Zone(
        {
            "SRV _sip._udp.far.example": srv((1, 10, 1, "a.example"), (1, 30, 2, "a.example")),
            "A a.example": at("192.0.2.1"),
        }
    )
    located = zone.locate("sip:far.example;transport=udp", draw=draw)
    assert shown(located) == ["udp 192.0.2.1:2", "udp 192.0.2.1:1"]
    assert drawn == [40]


class TestOrder:
    A, B, C, D = (Srv(1, 0, 1, "a"), Srv(1, 10, 1, "b"), Srv(1, 30, 1, "c"), Srv(0, 1, 1, "d"))

    @pytest.mark.parametrize(
        ("draws", "order"),
        [([0, 0], "dabc"), ([1, 0], "dbac"), ([10, 30], "dbca"), ([11, 0], "dcab"), ([40, 10], "dcba")],
    )
    def test_is_that_of_rfc_2782(self, draws: list[int], order: str):
        numbers = iter(draws)
        found = by_priority_and_weight([self.B, self.A, self.C, self.D], lambda most: next(numbers))
        assert "".join(record.target for record in found) == order

    def test_gives_each_its_share(self):
        total = [
            by_priority_and_weight([self.B, self.C], lambda most, n=n: n)[0].target for n in range(1, 41)
        ]
        assert (total.count("b"), total.count("c")) == (10, 30)


class TestMany:
    def test_of_thousands_of_services_the_first_are_followed(self):
        names = [f"h{number}.example" for number in range(3000)]
        records = srv(*((number // 100, 1, 5060, name) for number, name in enumerate(names)))
        zone = Zone({"SRV _sip._udp.far.example": records})
        zone.locate("sip:far.example;transport=udp")
        assert [len(questions) for questions in zone.rounds] == [1, 128]
        assert "A h0.example" in zone.rounds[1]

    def test_of_thousands_of_ways_the_first_are_followed(self):
        ways = [Naptr(number, 1, "s", "SIP+D2U", f"_sip._udp.h{number}") for number in range(3000)]
        zone = Zone({"NAPTR far.example": Answer(naptr=tuple(reversed(ways)))})
        zone.locate("sip:far.example")
        assert len(zone.rounds[1]) == 64
        assert "SRV _sip._udp.h0" in zone.rounds[1]


class TestCache:
    def test_keeps_an_answer_for_its_time_to_live(self):
        cache, question = AnswerCache(), Question.of("A", "Far.Example.")
        cache.note(question, Answer(addresses=("192.0.2.1",), ttl_s=30), now=100)
        assert cache.known(now=129.9)[Question("A", "far.example")].addresses == ("192.0.2.1",)
        assert cache.known(now=130) == {}
        assert len(cache) == 0

    def test_does_not_keep_what_holds_for_no_time(self):
        cache, question = AnswerCache(), Question.of("A", "far.example")
        cache.note(question, Answer(addresses=("192.0.2.1",), ttl_s=30), now=100)
        cache.note(question, Answer(addresses=("192.0.2.2",), ttl_s=0), now=100)
        assert cache.known(now=100) == {}

    def test_does_not_grow_without_end(self):
        cache = AnswerCache()
        for number in range(6000):
            cache.note(Question("A", f"h{number}.example"), Answer(ttl_s=100), now=0)
        assert len(cache) == 4096
        assert Question("A", "h5999.example") in cache.known(now=0)
