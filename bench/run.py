"""One run: a far end, a dialer, and a look at both over the steady middle."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.pacing import pacing_of
from bench.processes import MachineTime, cpu_seconds, on_cores, split_cores, tree
from bench.subjects import Place, Subject

ROOT = Path(__file__).parent.parent
WARM_S = 1.2
_STAND_S = 12.0
_END_S = 25.0
_LOG, _SAID, _ERRORS = "arrivals", "said", "errors"


class RunFailed(Exception):
    """A run gave no figures; the message says why in a line."""


@dataclass(frozen=True, slots=True)
class Run:
    """Figures of one run.

    Attributes:
        calls: calls that sent audio.
        cpu_us: CPU microseconds of the dialing side for one second of one call.
        p50_ms: pacing error at the receiver, median.
        p99_ms: 99th percentile.
        max_ms: maximum.
        loss: share of packets lost.
        rate: packets a second of the median call.
        hung_up: calls that were ended with BYE.
        others: share of the machine that went to processes other than dialer and far end.
    """

    calls: int
    cpu_us: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    loss: float
    rate: float
    hung_up: int
    others: float


class _FarEnd:
    """The far end's process."""

    def __init__(self, subject: Subject, log: Path) -> None:
        # A loopback address of this bench alone, for the peer that insists on the usual port.
        host = (
            f"127.60.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}" if subject.tcp_port else "127.0.0.1"
        )
        command = [sys.executable, "-m", "bench.far_end", "--calls", str(subject.calls), "--log", str(log)]
        command += ["--tcp", f"{host}:{subject.tcp_port}"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._text = b""
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _end(self._process)

    def says(self, timeout_s: float) -> dict[str, Any]:
        """The next thing it says; empty when it says nothing in time."""
        stdout, until = self._process.stdout, time.monotonic() + timeout_s
        assert stdout is not None
        while b"\n" not in self._text:
            if not select.select([stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return {}
            piece = os.read(stdout.fileno(), 4096)
            if not piece:
                return {}
            self._text += piece
        line, _, self._text = self._text.partition(b"\n")
        return json.loads(line)

    def finish(self) -> dict[str, Any]:
        """Let it write its log; gives its counts."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None
        said = self.says(_END_S)
        return said if "calls" in said else self.says(_END_S)


def run_once(subject: Subject, *, seconds: float, pinned: bool = False) -> Run:
    """Measure one subject over so many seconds.

    Args:
        subject: what to run.
        seconds: length of the measured middle.
        pinned: keep the far end on a core of its own and the dialer off it.

    Raises:
        RunFailed: it did not start, or none of its calls sent audio.
    """
    dialers_cores, far_ends_core = split_cores(pinned=pinned)
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as name:
        folder = Path(name)
        with on_cores(far_ends_core):
            far_end = _FarEnd(subject, folder / _LOG)
        with far_end:
            listening = far_end.says(10)
            if not listening:
                raise RunFailed("the far end does not start")
            place = Place(listening["udp"], listening["tcp"], folder, WARM_S + seconds)
            assert subject.command is not None
            with on_cores(dialers_cores):
                dialer = _start(subject.command(place), folder)
            return _watch(subject, dialer, far_end, folder, seconds)


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / _SAID).open("wb") as said, (folder / _ERRORS).open("wb") as errors:
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=said, stderr=errors)


def _watch(
    subject: Subject, dialer: subprocess.Popen[bytes], far_end: _FarEnd, folder: Path, seconds: float
) -> Run:
    try:
        far_end.says(_STAND_S)
        _must_live(dialer, folder)
        time.sleep(WARM_S)
        before, since_ns = _Spent.so_far(dialer, far_end, folder), time.time_ns()
        time.sleep(seconds)
        after, until_ns = _Spent.so_far(dialer, far_end, folder), time.time_ns()
        _must_live(dialer, folder)
    finally:
        _end(dialer)
    counts = far_end.finish()
    pacing = pacing_of(folder / _LOG, since_ns=since_ns, until_ns=until_ns)
    if pacing is None:
        raise RunFailed(f"no call sent audio ({counts.get('invite', 0)} INVITE, {counts.get('ack', 0)} ACK)")
    call_seconds = pacing.calls * (until_ns - since_ns) / 1e9
    return Run(
        calls=pacing.calls,
        cpu_us=(after.dialer - before.dialer) / call_seconds * 1e6,
        p50_ms=pacing.p50_ms,
        p99_ms=pacing.p99_ms,
        max_ms=pacing.max_ms,
        loss=pacing.loss,
        rate=pacing.rate,
        hung_up=counts.get("bye", 0),
        others=max(0.0, after.others - before.others) / (after.machine.all - before.machine.all),
    )


@dataclass(frozen=True, slots=True)
class _Spent:
    """CPU seconds so far: of the dialer, of the application that shares its process, of the far end, of all."""

    dialer: float
    application: float
    far_end: float
    machine: MachineTime

    @classmethod
    def so_far(cls, dialer: subprocess.Popen[bytes], far_end: _FarEnd, folder: Path) -> _Spent:
        processes, application = tree(dialer.pid), _application_thread(folder)
        own = cpu_seconds(processes, without_threads=application)
        together = cpu_seconds(processes) if application else own
        return cls(own, max(0.0, together - own), cpu_seconds([far_end.pid]), MachineTime.now())

    @property
    def others(self) -> float:
        return self.machine.busy - self.dialer - self.application - self.far_end


def _application_thread(folder: Path) -> list[int]:
    """The thread that the dialer's script says is not the dialer's."""
    said = (folder / _SAID).read_bytes().partition(b"\n")[0]
    return [json.loads(said)["application_thread"]] if said.startswith(b'{"application_thread"') else []


def _must_live(dialer: subprocess.Popen[bytes], folder: Path) -> None:
    if dialer.poll() is not None:
        lines = (folder / _ERRORS).read_text(errors="replace").strip().splitlines()
        raise RunFailed(f"ended with {dialer.returncode}: {lines[-1] if lines else 'nothing said'}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close a process's standard input and wait for it; kill it when it does not go."""
    try:
        process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
