"""Locating SIP servers with dnsmasq, a real name server, as the only one that is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tuner_sipbridge.errors import LocalProtocolError, NetworkError
from tuner_sipbridge.net.resolver import Resolver, read_name_server
from tuner_sipbridge.sip.uri import Uri

Serve = Callable[..., Awaitable[tuple[str, int]]]

DOMAIN = (
    "naptr-record=far.example,20,10,s,SIP+D2U,,_sip._udp.far.example",
    "naptr-record=far.example,10,10,s,SIP+D2T,,_sip._tcp.far.example",
    "naptr-record=far.example,5,10,s,SIPS+D2T,,_sips._tcp.far.example",
    "srv-host=_sip._udp.far.example,two.far.example,5062,20,10",
    "srv-host=_sip._udp.far.example,one.far.example,5061,10,10",
    "srv-host=_sip._tcp.far.example,one.far.example,5071,10,10",
    "srv-host=_sips._tcp.far.example,one.far.example,5081,10,10",
    "host-record=one.far.example,127.0.0.1,::1",
    "host-record=two.far.example,127.0.0.2",
    "host-record=plain.example,127.0.0.3",
    "cname=alias.example,plain.example",
    "srv-host=_sip._udp.denied.example",
    "host-record=denied.example,127.0.0.5",
)


def shown(targets: object) -> list[str]:
    return [str(target) for target in targets]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("uri", "targets"),
    [
        (
            "sip:agent@far.example",
            [
                "tls 127.0.0.1:5081",
                "tls [::1]:5081",
                "tcp 127.0.0.1:5071",
                "tcp [::1]:5071",
                "udp 127.0.0.1:5061",
                "udp [::1]:5061",
                "udp 127.0.0.2:5062",
            ],
        ),
        ("sips:agent@far.example", ["tls 127.0.0.1:5081", "tls [::1]:5081"]),
        (
            "sip:far.example;transport=udp",
            ["udp 127.0.0.1:5061", "udp [::1]:5061", "udp 127.0.0.2:5062"],
        ),
        ("sip:agent@two.far.example:5099", ["udp 127.0.0.2:5099"]),
        ("sip:agent@plain.example", ["udp 127.0.0.3:5060"]),
        ("sip:agent@ALIAS.example.;transport=tls", ["tls 127.0.0.3:5061"]),
    ],
)
async def test_targets_of_a_domain(name_server: Serve, uri: str, targets: list[str]):
    resolver = Resolver(name_server=await name_server(*DOMAIN))
    located = await resolver.locate(Uri.parse(uri))
    assert shown(located.targets) == targets
    assert {target.name for target in located.targets} == {Uri.parse(uri).host}


async def test_what_leads_nowhere_is_told(name_server: Serve):
    resolver = Resolver(name_server=await name_server(*DOMAIN))
    with pytest.raises(NetworkError, match=r"cannot resolve nowhere\.example: no such name"):
        await resolver.address("nowhere.example", 5060)
    located = await resolver.locate(Uri.parse("sip:denied.example;transport=udp"))
    assert "no such service" in located.problem


async def test_an_answer_is_kept_for_the_time_the_name_server_says(name_server: Serve):
    server = await name_server("host-record=plain.example,127.0.0.1,7")
    resolver = Resolver(name_server=server, families=("ipv4",))
    ((question, _),) = (await resolver.locate(Uri.parse("sip:plain.example:5060"))).asked
    assert str(question) == "A plain.example"
    assert resolver.known()[question].ttl_s == 7


async def test_a_name_server_that_is_not_there_is_told_and_waited_for_once():
    resolver = Resolver(name_server=("127.0.0.1", 9), timeout_s=0.2)
    located = await resolver.locate(Uri.parse("sip:far.example"))
    assert located.targets == ()
    assert "cannot resolve far.example: the name server" in located.problem


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("9.9.9.9", ("9.9.9.9", 53)),
        ("::1", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_a_name_server_is_read(text: str, server: tuple[str, int]):
    assert read_name_server(text) == server


@pytest.mark.parametrize("text", ["", "dns.example", "127.0.0.1:0", "127.0.0.1:x", "1.2.3"])
def test_what_is_no_name_server_is_refused(text: str):
    with pytest.raises(LocalProtocolError, match="not an IP address"):
        read_name_server(text)
