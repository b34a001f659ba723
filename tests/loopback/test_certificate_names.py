"""Which certificate is trusted, by the SIP domain or the host name in it (RFC 5922)."""

from __future__ import annotations

import asyncio

import pytest

from tuner_sipbridge import TlsSettings
from tuner_sipbridge.net.reach import reach
from tuner_sipbridge.net.transports import Transports
from tuner_sipbridge.sip.headers import Headers
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.routing import Hop
from tuner_sipbridge.sip.uri import Uri

from ..certificates import Authority

FIELDS = [
    ("Via", "SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK-1"),
    ("From", "<sip:caller@127.0.0.1>;tag=a"),
    ("To", "<sip:far.example>"),
    ("Call-ID", "c1"),
    ("CSeq", "1 OPTIONS"),
]


class End:
    """One user agent's sockets; keeps what comes, or why a request is lost."""

    def __init__(self, tls: TlsSettings) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.transports = Transports(
            receive=lambda message, source: self.told.put_nowait(message.start_line),
            unreachable=lambda hop, why, again: self.told.put_nowait(why),
            is_live=lambda call_id: False,
            tls=tls,
        )


@pytest.mark.parametrize(
    ("served", "uris", "name", "why"),
    [
        ("edge.example", ["sip:far.example"], "far.example", ""),
        ("edge.example", ["sip:far.example"], "edge.example", "another name than edge.example"),
        ("*.far.example", [], "edge.far.example", ""),
        ("far.example", ["sip:user@far.example"], "far.example", ""),
    ],
)
async def test_the_domain_that_was_dialled_is_what_the_certificate_must_be_for(
    authority: Authority, served: str, uris: list[str], name: str, why: str
):
    issued, trusting = authority.issue(served, uris=uris), TlsSettings(ca_file=authority.file)
    far, near = End(TlsSettings(certificate=issued.certificate, key=issued.key)), End(trusting)
    await far.transports.open(host="127.0.0.1", listen=["tls"])
    await near.transports.open(host="127.0.0.1")
    hop = Hop("tls", "127.0.0.1", far.transports.local[1], name=name)
    try:
        near.transports.send(Request("OPTIONS", Uri.parse("sip:far.example"), Headers(FIELDS)), hop)
        async with asyncio.timeout(5):
            told = await (near if why else far).told.get()
            reached = await reach(hop, trusting)
    finally:
        await near.transports.close()
        await far.transports.close()
    if why:
        assert why in told
        assert why in reached.problem
    else:
        assert told.startswith("OPTIONS ")
        assert reached.problem == ""
