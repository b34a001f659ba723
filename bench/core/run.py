"""Runs the workers of both cores in turn and gathers what they print, round by round."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import NotInstalled, PeerEnvironment
from bench.processes import MachineTime

ROOT = Path(__file__).parents[2]
WORKERS = Path(__file__).parent / "workers"
PUBLISHED = "0.1.3"
BUDGET_S = 50.0
"""No round begins that would not be over within the budget; the first always runs."""

_WORKER_S = 60.0
_IMPORTS_A_ROUND = 2

READY = {
    "ours": "import tuner_core.timeline, tuner_core.delivery, tuner_core.client, tuner_core.recordings.send",
    "peer": "import tuner_core",
}
"""What has been loaded by the time a call was delivered. Ours loads most of it in the delivery's thread."""

_IMPORT = """
import json, sys, time
cpu, wall = time.process_time(), time.perf_counter()
{statement}
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(json.dumps(dict(cpu_ms=cpu * 1e3, wall_ms=wall * 1e3, peak_mb=int(peak) / 1e3, modules=len(sys.modules))))
"""


class WorkerFailed(Exception):
    """A worker gave no figures; the message says why in a line."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        turns: of a usual call, three minutes.
        long_turns: of a call of an hour.
        told: calls told turn by turn.
        calls: calls handed over one after another.
        many: calls handed over at once.
        left: calls that an earlier process left.
    """

    turns: int = 60
    long_turns: int = 1200
    told: int = 6
    calls: int = 100
    many: int = 80
    left: int = 400


QUICK = Sizes(told=2, calls=20, many=20, left=100)


@dataclass(slots=True)
class Samples:
    """What the workers of one core said, by task, a document a round; or why there is nothing.

    Attributes:
        said: documents by task.
        absent: why this core could not be had at all.
    """

    said: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    absent: str = ""

    def add(self, task: str, document: dict[str, Any]) -> None:
        """One more."""
        self.said.setdefault(task, []).append(document)


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured.

    Attributes:
        ours: of this tree.
        peer: of the published package.
        sizes: how much.
        rounds: how often.
        others: share of the machine that went to processes other than the bench's.
    """

    ours: Samples
    peer: Samples
    sizes: Sizes
    rounds: int
    others: float


def measure(directory: Path, *, sizes: Sizes, rounds: int, say: Callable[[str], None]) -> Measured:
    """Install the peer, then run everything in turn, ours and the peer alternating.

    Args:
        directory: for the peer's environment and the outboxes, on the disk that is to be measured.
        sizes: how much.
        rounds: how often, if the time allows.
        say: told what is being done.

    Raises:
        WorkerFailed: our own core did not do its work.
    """
    environment = PeerEnvironment(directory / "published")
    cores = {"ours": Samples(), "peer": Samples()}
    say(f"installing tuner-core {PUBLISHED} into a throwaway environment")
    try:
        environment.install(f"tuner-core=={PUBLISHED}")
    except NotInstalled as error:
        cores["peer"].absent = str(error)
    machine, own = MachineTime.now(), _children_s()
    begin, done = time.monotonic(), 0
    with _api() as url:
        while done < rounds:
            spent = time.monotonic() - begin
            if done and spent + spent / done > BUDGET_S:
                break
            done += 1
            with tempfile.TemporaryDirectory(prefix="outbox-", dir=directory) as outbox:
                work = _Round(url, Path(outbox), environment.python, sizes, f"core, round {done} of {rounds}")
                work.run(cores, say)
    after = MachineTime.now()
    others = max(0.0, after.busy - machine.busy - (_children_s() - own)) / (after.all - machine.all)
    return Measured(cores["ours"], cores["peer"], sizes, done, others)


@dataclass(frozen=True, slots=True)
class _Round:
    url: str
    outbox: Path
    peers_python: Path
    sizes: Sizes
    name: str

    def run(self, cores: dict[str, Samples], say: Callable[[str], None]) -> None:
        """Every task once, ours and the peer in turn."""
        for number in range(_IMPORTS_A_ROUND):
            if not number:
                say(f"{self.name}: imports")
            for core in cores:
                self._into(cores, core, "import", lambda core=core: self._import(core, "import tuner_core"))
                self._into(cores, core, "ready", lambda core=core: self._import(core, READY[core]))
        for task in ("build", "loop", "many"):
            say(f"{self.name}: {task}")
            for core in cores:
                self._into(cores, core, task, lambda core=core, task=task: self._work(core, task))
        say(f"{self.name}: drain")
        self._into(cores, "ours", "store", lambda: self._work("ours", "store"))
        self._into(cores, "ours", "drain", lambda: self._work("ours", "drain"))

    def _into(
        self, cores: dict[str, Samples], core: str, task: str, work: Callable[[], dict[str, Any]]
    ) -> None:
        samples = cores[core]
        if samples.absent:
            return
        try:
            samples.add(task, work())
        except WorkerFailed as error:
            if core == "ours":
                raise
            samples.absent = str(error)

    def _import(self, core: str, statement: str) -> dict[str, Any]:
        return _said([*self._python(core), "-c", _IMPORT.format(statement=statement)])

    def _work(self, core: str, task: str) -> dict[str, Any]:
        script = WORKERS / ("ours.py" if core == "ours" else "published.py")
        box = "left" if task in {"store", "drain"} else task
        asked = {
            "url": self.url,
            "outbox": str(self.outbox / f"{box}.sqlite3"),
            # The API of all rounds is one: a call's id is new only once.
            "prefix": f"{core}-{self.outbox.name}",
            "turns": self.sizes.turns,
            "long_turns": self.sizes.long_turns,
            "told": self.sizes.told,
            "calls": self.sizes.calls,
            "many": self.sizes.many,
            "left": self.sizes.left,
        }
        return _said([*self._python(core), str(script), task, json.dumps(asked)])

    def _python(self, core: str) -> list[str]:
        return [sys.executable if core == "ours" else str(self.peers_python)]


def _said(command: list[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_WORKER_S, cwd=WORKERS, check=False
        )
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.TimeoutExpired, OSError) as error:
        raise WorkerFailed(f"no figures: {type(error).__name__}") from error
    except (ValueError, IndexError) as error:
        lines = done.stderr.strip().splitlines()
        raise WorkerFailed(
            f"ended with {done.returncode}: {lines[-1] if lines else 'nothing said'}"
        ) from error


@contextmanager
def _api() -> Iterator[str]:
    command = [sys.executable, "-m", "bench.core.api"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
