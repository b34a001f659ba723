"""Capture files as Wireshark reads them (`tshark`, its command line)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner_sipbridge.cli import app
from tuner_sipbridge.report.pcap import pcap_of
from tuner_sipbridge.trace import Trace

FIELDS = (
    "frame.time_epoch", "ip.src", "ipv6.src", "udp.srcport", "tcp.srcport", "udp.dstport", "tcp.dstport",
    "sip.Method", "sip.Status-Code", "sip.Call-ID", "sdp.media.port",
)  # fmt: skip
SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def message(first: str, *, via: str = "UDP 192.0.2.1:5080", body: str = "", method: str = "INVITE") -> str:
    lines = (
        first,
        f"Via: SIP/2.0/{via};branch=z9hG4bK1",
        "From: <sip:a@192.0.2.1>;tag=1",
        "To: <sip:b@192.0.2.7>",
        "Call-ID: c-1",
        f"CSeq: 1 {method}",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
        "",
        body,
    )
    return "\r\n".join(lines)


def call(*, via: str = "UDP 192.0.2.1:5080", peer: str = "192.0.2.7:5060", body: str = SDP) -> Trace:
    trace = Trace()
    for at, kind, first in (
        (1_790_000_000.25, "sip.sent", "INVITE sip:b@192.0.2.7 SIP/2.0"),
        (1_790_000_000.5, "sip.received", "SIP/2.0 200 OK"),
    ):
        text, transport = message(first, via=via, body=body), via.split(maxsplit=1)[0].lower()
        trace.note(kind, at=at, summary=first, message=text, peer=peer, transport=transport)
    return trace


def read(path: Path, *options: str) -> list[list[str]]:
    fields = [argument for name in FIELDS for argument in ("-e", name)]
    checked = [option for name in ("ip", "udp", "tcp") for option in ("-o", f"{name}.check_checksum:TRUE")]
    printed = subprocess.run(
        ["tshark", "-r", str(path), *checked, *options, "-T", "fields", *fields],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [line.split("\t") for line in printed.stdout.splitlines()]


@pytest.fixture
def opened(tmp_path: Path):
    def opened(*traces: Trace, options: tuple[str, ...] = ()) -> list[list[str]]:
        path = tmp_path / "calls.pcap"
        path.write_bytes(pcap_of(traces))
        return read(path, *options)

    return opened


def test_messages_have_their_times_addresses_and_content(opened) -> None:
    invite, answer = opened(call())
    assert invite[:2] == ["1790000000.250000000", "192.0.2.1"]
    assert invite[2:] == ["", "5080", "", "5060", "", "INVITE", "", "c-1", "4000"]
    assert answer[1:] == ["192.0.2.7", "", "5060", "", "5080", "", "", "200", "c-1", "4000"]


def test_tcp_goes_on_where_the_last_message_ended_and_long_ones_are_put_together(opened) -> None:
    long = SDP + "a=x-note:" + "long" * 20_000 + "\r\n"
    rows = opened(call(via="TCP 192.0.2.1:5080", body=long))
    assert [row[7:9] for row in rows if row[9]] == [["INVITE", ""], ["", "200"]]
    assert {row[4] for row in rows} == {"5080", "5060"}
    assert opened(call(via="TCP 192.0.2.1:5080"), options=("-Y", "tcp.analysis.flags")) == []


def test_ipv6(opened) -> None:
    invite, answer = opened(call(via="UDP [2001:db8::1]:5080", peer="2001:db8::7:5060"))
    assert (invite[2], answer[2], answer[8]) == ("2001:db8::1", "2001:db8::7", "200")


def test_checksums_hold(opened) -> None:
    wrong = "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0"
    calls = (call(), call(via="TCP 192.0.2.1:5080"), call(via="UDP [2001:db8::1]", peer="2001:db8::7:5060"))
    assert opened(*calls, options=("-Y", wrong)) == []


def test_a_name_that_was_never_resolved_and_a_call_without_messages_harm_nothing(opened) -> None:
    (invite, _) = opened(call(peer="edge.example:5060"))
    assert invite[7] == "INVITE"
    assert opened(Trace()) == []


def test_the_trace_command_prints_ladders_and_writes_the_capture(tmp_path: Path) -> None:
    for name in ("001", "002"):
        (tmp_path / name).mkdir()
        call().write(tmp_path / name / "trace.jsonl")
    pcap = tmp_path / "captures" / "calls.pcap"
    told = CliRunner().invoke(app, ["trace", str(tmp_path), "--pcap", str(pcap)])
    assert (told.exit_code, told.output.count("├─ INVITE"), len(read(pcap))) == (0, 2, 4)
    for wrong, word in ((tmp_path / "none", "no such file"), (tmp_path / "captures", "no trace.jsonl")):
        told = CliRunner().invoke(app, ["trace", str(wrong)])
        assert (told.exit_code, word in told.output) == (2, True)
