"""What is measured: our dialer, quiet and beside a busy thread, and each peer that can be had."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers import NotInstalled, PeerEnvironment, sipp

CALLERS = Path(__file__).parent / "callers"
AGENT_TRANSPORT, AIOSIPUA, AIORTP = "0.2.2", "0.7.1", "0.8.0"
SENDING_ONLY = "3.6."
"""SIPp before 3.7 uses one RTP port for all calls and does not read it."""
SOUND = bytes(number * 37 % 256 for number in range(64000))
"""Eight seconds of G.711 that SIPp plays."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run takes place.

    Attributes:
        udp: address of the far end for SIP over UDP.
        tcp: the same over TCP.
        folder: a directory of this run.
        lasts_s: how long calls must stand at least.
    """

    udp: str
    tcp: str
    folder: Path
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Subject:
    """One row of the table.

    Attributes:
        key: what it is called in bench.json and by `--only`.
        name: what it is called in the table.
        calls: calls at once.
        work: what it does with the audio.
        command: what to start; None when it cannot be had.
        absent: why not.
        tcp_port: fixed port that it expects the far end to listen on with TCP, 0 for any.
    """

    key: str
    name: str
    calls: int
    work: str
    command: Callable[[Place], list[str]] | None = None
    absent: str = ""
    tcp_port: int = 0

    @property
    def ours(self) -> bool:
        """Whether it is our dialer."""
        return self.key.startswith("tuner")


def all_subjects(
    counts: Sequence[int], environment: PeerEnvironment, *, only: Sequence[str] = ()
) -> Iterator[Subject]:
    """The rows, in the order of the table; installs the peers that they need on the way.

    Args:
        counts: calls at once. The peers that cannot take many get the smallest only.
        environment: where to install peers.
        only: keys of the rows wanted; empty for all.
    """
    families = {
        "tuner": lambda: _our_dialer(counts),
        "agent-transport": lambda: _agent_transport(counts, environment),
        "aiosipua": lambda: _aiosipua(min(counts), environment),
        "sipp": lambda: _sipp(counts),
    }
    for family, subjects in families.items():
        if not only or any(key.startswith(family) for key in only):
            yield from (subject for subject in subjects() if not only or subject.key in only)


def _our_dialer(counts: Sequence[int]) -> Iterator[Subject]:
    script = str(CALLERS / "our_dialer.py")
    work = "plays scenarios; jitter, loss, arrival times; detects speech; records both sides"
    for key, name, options in (
        ("tuner", "tuner-sipbridge", ()),
        ("tuner-busy", "tuner-sipbridge, busy application", ("--busy",)),
    ):
        for calls in counts:

            def command(place: Place, calls: int = calls, options: tuple[str, ...] = options) -> list[str]:
                return [sys.executable, script, str(calls), place.udp, *options]

            yield Subject(key, name, calls, work, command)


def _agent_transport(counts: Sequence[int], environment: PeerEnvironment) -> Iterator[Subject]:
    script = str(CALLERS / "agent_transport_caller.py")
    absent = _try_to_install(environment, f"agent-transport=={AGENT_TRANSPORT}")
    name = f"agent-transport {AGENT_TRANSPORT}"
    for calls in counts:

        def command(place: Place, calls: int = calls) -> list[str]:
            return [str(environment.python), script, str(calls), place.tcp]

        work = "sends what it is handed; what it hears waits in its queue"
        yield Subject("agent-transport", name, calls, work, command, absent, tcp_port=5060)

    def recording(place: Place) -> list[str]:
        return [str(environment.python), script, str(min(counts)), place.tcp, "--record", str(place.folder)]

    work = "the same, and records both sides"
    yield Subject(
        "agent-transport-recording", f"{name}, recording", min(counts), work, recording, absent, tcp_port=5060
    )


def _aiosipua(calls: int, environment: PeerEnvironment) -> Iterator[Subject]:
    absent = _try_to_install(environment, f"aiosipua=={AIOSIPUA}", f"aiortp=={AIORTP}")

    def command(place: Place) -> list[str]:
        return [str(environment.python), str(CALLERS / "aiosipua_caller.py"), str(calls), place.udp]

    name = f"aiosipua {AIOSIPUA} + aiortp {AIORTP}"
    yield Subject(
        "aiosipua", name, calls, "sends coded frames; decodes and keeps what it hears", command, absent
    )


def _sipp(counts: Sequence[int]) -> Iterator[Subject]:
    path = version = absent = ""
    try:
        path, version = sipp()
    except NotInstalled as error:
        absent = str(error)
    name, work = f"SIPp {version}".strip(), "plays a file; reads and drops what it hears"
    if version.startswith(SENDING_ONLY):
        name, work = f"{name}, sending only", "plays a file; never reads what it is sent"
    for calls in counts:

        def command(place: Place, calls: int = calls) -> list[str]:
            (place.folder / "sound.ul").write_bytes(SOUND)
            many = ["-m", str(calls), "-l", str(calls), "-r", str(calls)]
            length = ["-d", str(round((place.lasts_s + 2.5) * 1000))]
            local = ["-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin"]
            return [path, "-sf", str(CALLERS / "sipp_caller.xml"), *many, *length, *local, place.udp]

        yield Subject("sipp", name, calls, work, command, absent)


def _try_to_install(environment: PeerEnvironment, *requirements: str) -> str:
    try:
        environment.install(*requirements)
    except NotInstalled as error:
        return str(error)
    return ""
