"""Runs our signalling and SIPp's in turn, each against a fresh far end of SIPp, and gathers what they say."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.run import Samples, WorkerFailed
from bench.peers import NotInstalled, sipp
from bench.processes import PROC, MachineTime

HERE = Path(__file__).parent
BUDGET_S = 36.0
"""No round begins that would not be over within the budget; the first always runs."""
AT_ONCE = 32
_WORKER_S = 40.0
_STARTING_S = 5.0
_POLL_S = 0.02
_BUFFER = ["-buff_size", "4194304"]
"""As much as the kernel gives: SIPp's own 64 kB lose most of a burst."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        fast: our cycles as fast as they go.
        peers_fast: the same of SIPp, which needs more of them to be measured.
        paced: cycles begun at a fixed rate.
        rate: of them, begun a second.
        held: calls that stand at once.
    """

    fast: int = 800
    peers_fast: int = 4000
    paced: int = 150
    rate: int = 100
    held: int = 2000


QUICK = Sizes(fast=300, peers_fast=1000, paced=50)


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured.

    Attributes:
        ours: of this tree.
        peer: of SIPp.
        version: of SIPp.
        sizes: how much.
        rounds: how often.
        others: share of the machine that went to processes other than the bench's.
    """

    ours: Samples
    peer: Samples
    version: str
    sizes: Sizes
    rounds: int
    others: float


def measure(directory: Path, *, sizes: Sizes, rounds: int, say: Callable[[str], None]) -> Measured:
    """Run everything in turn, ours and SIPp alternating.

    Args:
        directory: for what SIPp writes.
        sizes: how much.
        rounds: how often, if the time allows.
        say: told what is being done.

    Raises:
        WorkerFailed: there is no SIPp, which is the far end too, or a run gave no figures.
    """
    try:
        path, version = sipp()
    except NotInstalled as error:
        raise WorkerFailed(f"SIPp, the far end of both, is {error}") from error
    ours, peer = Samples(), Samples()
    machine, own = MachineTime.now(), _own_s()
    begin, done = time.monotonic(), 0
    work = Work(path, directory, sizes)
    while done < rounds:
        spent = time.monotonic() - begin
        if done and spent + spent / done > BUDGET_S:
            break
        done += 1
        for task in ("fast", "paced", "held"):
            say(f"signalling, round {done} of {rounds}: {task}")
            ours.add(task, work.ours(task))
            peer.add(task, work.peers(task))
    after = MachineTime.now()
    others = max(0.0, after.busy - machine.busy - (_own_s() - own)) / (after.all - machine.all)
    return Measured(ours, peer, version, sizes, done, others)


@dataclass(frozen=True, slots=True)
class Work:
    """One task at a time, of either.

    Attributes:
        sipp: path of SIPp.
        directory: for what SIPp writes.
        sizes: how much.
    """

    sipp: str
    directory: Path
    sizes: Sizes

    def ours(self, task: str) -> dict[str, Any]:
        """What our signalling says of one task."""
        sizes = self.sizes
        with self._far_end() as target:
            asked = {"target": f"sip:agent@{target}", "fast": sizes.fast, "paced": sizes.paced}
            asked |= {"rate": sizes.rate, "held": sizes.held}
            command = [sys.executable, str(HERE / "caller.py"), task, json.dumps(asked)]
            return _said(task, command)

    def peers(self, task: str) -> dict[str, Any]:
        """What SIPp's caller did for the same task."""
        sizes = self.sizes
        with self._far_end() as target:
            # One call tells what the program itself needs.
            bare = self._caller(target, calls=1, rate=1000, lasts_s=0.2)
            if task == "fast":
                run = self._caller(target, calls=sizes.peers_fast, at_once=AT_ONCE, rate=20000)
            elif task == "paced":
                run = self._caller(target, calls=sizes.paced, rate=sizes.rate, timed=True)
            else:
                run = self._caller(target, calls=sizes.held, rate=sizes.held, lasts_s=2.0)
        whole = max(run.calls - run.failed, 1)
        return {
            "cycles": whole,
            "cpu_s": run.cpu_s - bare.cpu_s,
            "took_s": run.took_s,
            "set_up_s": run.set_up_s,
            "failed": run.failed,
            "call_octets": (run.peak_octets - bare.peak_octets) / run.calls,
        }

    def _caller(
        self,
        target: str,
        *,
        calls: int,
        rate: int,
        at_once: int = 0,
        lasts_s: float = 0.0,
        timed: bool = False,
    ) -> _Ran:
        command = [self.sipp, "-sf", str(HERE / "sipp_caller.xml"), "-au", "bench", "-ap", "secret"]
        command += ["-s", "agent", "-m", str(calls), "-l", str(at_once or calls), "-r", str(rate)]
        command += ["-d", str(round(lasts_s * 1000)), "-i", "127.0.0.1", "-nostdin", *_BUFFER]
        counts = self.directory / "counts.csv"
        command += ["-trace_stat", "-stf", str(counts)]
        if timed:
            command += ["-trace_rtt", "-rtt_freq", "1"]
        begin = time.monotonic()
        with _quiet([*command, target], self.directory) as process:
            cpu_s, peak = _watched(process)
        took_s = time.monotonic() - begin
        try:
            failed = _failed_of(counts.read_text())
            times = self.directory / f"sipp_caller_{process.pid}_rtt.csv"
            set_up_s = _times_of(times.read_text()) if timed else []
        except (OSError, ValueError, IndexError) as error:
            raise WorkerFailed(f"SIPp gave no figures: {type(error).__name__}") from error
        return _Ran(calls, failed, cpu_s, took_s, peak, set_up_s)

    @contextmanager
    def _far_end(self) -> Iterator[str]:
        """A far end with no calls behind it; gives its address."""
        port = _free_port()
        command = [self.sipp, "-sf", str(HERE / "sipp_far_end.xml"), "-i", "127.0.0.1", "-p", str(port)]
        with _quiet([*command, "-nostdin", *_BUFFER], self.directory) as process:
            begin = time.monotonic()
            while not _is_bound(port):
                if process.poll() is not None or time.monotonic() - begin > _STARTING_S:
                    raise WorkerFailed("SIPp, the far end, does not start")
                time.sleep(_POLL_S)
            yield f"127.0.0.1:{port}"


@dataclass(frozen=True, slots=True)
class _Ran:
    """What one run of SIPp's caller came to."""

    calls: int
    failed: int
    cpu_s: float
    took_s: float
    peak_octets: int
    set_up_s: list[float]


def _said(task: str, command: list[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_WORKER_S, cwd=HERE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WorkerFailed(f"{task}: no figures: {type(error).__name__}") from error
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        lines = done.stderr.strip().splitlines()
        raise WorkerFailed(f"{task}: no figures: {lines[-1] if lines else 'nothing said'}") from error


@contextmanager
def _quiet(command: list[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=directory, stdin=nothing, stdout=nothing, stderr=nothing)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def _watched(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """CPU seconds and most octets of memory of a process, which is waited for."""
    until, peak = time.monotonic() + _WORKER_S, 0
    while time.monotonic() < until:
        peak = max(peak, _resident(process.pid))
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime, peak
        time.sleep(_POLL_S)
    raise WorkerFailed("SIPp's caller does not end")


def _resident(process: int) -> int:
    try:
        return int((PROC / str(process) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_bound(port: int) -> bool:
    """Whether somebody has the port, asked without taking it."""
    lines = (PROC / "net" / "udp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines)


def _failed_of(counts: str) -> int:
    """Failed calls, from the file that SIPp writes its counts to."""
    names, *lines = counts.strip().splitlines()
    return int(lines[-1].split(";")[names.split(";").index("FailedCall(C)")])


def _times_of(times: str) -> list[float]:
    """Seconds that each call took to stand, from the file that SIPp writes them to."""
    return [float(line.split(";")[1]) / 1e3 for line in times.splitlines()[1:]]


def _own_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime + time.process_time()
