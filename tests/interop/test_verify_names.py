"""Verifying a URI whose host a real name server leads on, to a first target that is dead."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.verify.run import Access, verify

Serve = Callable[..., Awaitable[tuple[str, int]]]


async def test_records_and_a_dead_first_target_are_told(name_server: Serve):
    with socket.socket() as taken:  # bound, and nobody accepts there
        taken.bind(("127.0.0.1", 0))
        dead = taken.getsockname()[1]
        async with Answerer(echo, port=0, transport="tcp") as answerer:
            host, port = await name_server(
                "naptr-record=edge.example,10,10,s,SIP+D2T,,_sip._tcp.edge.example",
                f"srv-host=_sip._tcp.edge.example,gw.edge.example,{dead},10,10",
                f"srv-host=_sip._tcp.edge.example,gw.edge.example,{answerer.local[1]},20,10",
                "host-record=gw.edge.example,127.0.0.1",
            )
            access = Access(name_server=f"{host}:{port}")
            found = await verify("sip:agent@edge.example", access, listen_s=0.3)
            lost = await verify("sip:agent@nobody.example", access)
    steps = {one.name: one for one in found.steps}
    assert found.passed, found.steps
    asked = "NAPTR edge.example → SRV _sip._tcp.edge.example → A gw.edge.example"
    assert steps["dns"].detail == f"{asked}: tcp 127.0.0.1:{dead}, tcp 127.0.0.1:{answerer.local[1]}"
    assert steps["connection"].verdict == "warning"
    assert "connection refused" in steps["connection"].detail
    assert steps["invite"].verdict == "ok"
    assert [one.name for one in lost.steps if one.verdict == "failed"] == ["dns"]
    assert "no such name" in next(one.detail for one in lost.steps if one.name == "dns")
