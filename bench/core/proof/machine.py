"""One machine on which processes come, hand over records, send what others left, and are killed at random."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import selectors
import signal
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.core.proof.account import Auditor
from bench.core.proof.figures import Figures
from bench.core.proof.life import Work, live, said_in
from tuner_core.testing import UnreliableTuner

FAULTS = (
    "408:0.03,429=0.2:0.02,500:0.04,503:0.03,reset:0.03,take-and-reset:0.03,hang:0.01,slow=2:0.01,half:0.03"
)
"""Nearly a quarter of the requests; `slow` answers after the sender gave up, 429 asks for 0.2 s."""

_PRELOADED = [
    "bench.core.proof.machine",
    "tuner_core.client",
    "tuner_core.recordings.send",
    "httpcore",
    "certifi",
    "anyio._backends._asyncio",
]
"""A life is a fork of a process that has loaded them: it begins in milliseconds."""

_AT_ONCE = 4
_CALLS = (0, 0, 1, 2)
_DOOMED = 0.9
_START_S, _LONGEST_S = 0.3, 5.0
_KILLED = 0.75
"""Of all lives, so many are killed in the end: some get everything done before their time has come."""

_CHECK_EVERY_S = 0.1
_STUCK_S = 60.0
"""Nothing delivered for so long: what is left then is a breach."""


def prove(*, records: int, kills: int, faults: str, seed: int) -> Figures:
    """Run the proof.

    Args:
        records: to hand over.
        kills: processes to kill at least; 0 for killing none.
        faults: of the API, in the words of `tuner local --fault`.
        seed: of faults and kills.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tuner-proof-") as folder,
        UnreliableTuner(faults, seed=seed) as tuner,
    ):
        machine = Machine(tuner, Path(folder) / "outbox.sqlite3", records=records, kills=kills, seed=seed)
        return machine.run()


@dataclass(slots=True)
class _Life:
    """A process and what the parent knows of it."""

    work: Work
    process: Any
    ear: Connection
    unacknowledged: set[str]
    kill_at: float = math.inf
    kill_after_stored: float = math.inf
    kill_after_sent: float = math.inf
    heard: bytes = b""


@dataclass(slots=True)
class _Told:
    """Ids of the calls of which something was acknowledged."""

    stored: set[str] = field(default_factory=set[str])
    open: set[str] = field(default_factory=set[str])
    whole: set[str] = field(default_factory=set[str])
    late: int = 0
    refused: int = 0


class Machine:
    """Keeps `_AT_ONCE` processes alive until everything is handed over, killed often enough, and delivered.

    Args:
        tuner: the API, running.
        outbox: the file that all processes share.
        records: how many to hand over.
        kills: how many processes to kill at least.
        seed: of what happens when.
    """

    def __init__(self, tuner: UnreliableTuner, outbox: Path, *, records: int, kills: int, seed: int) -> None:
        self._tuner = tuner
        self._outbox = outbox
        self._kills = kills
        self._largest_batch = math.ceil(records / max(kills, _AT_ONCE))
        self._dice = random.Random(seed)
        self._waiting = deque(f"record-{number}" for number in range(records))
        self._made = set(self._waiting)
        self._told = _Told()
        self._lives = self._calls = 0
        self._killed: dict[str, float] = {}
        self._running: dict[int, _Life] = {}
        self._selector = selectors.DefaultSelector()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        told = self._told
        self._auditor = Auditor(outbox, lambda: len(told.stored) + len(told.whole), lambda: len(tuner.calls))

    def run(self) -> Figures:
        """Run until nothing is left; what was found."""
        begin = moved_at = check_at = time.monotonic()
        left, arrived = 0, -1
        while self._busy or left or self._running:
            while len(self._running) < _AT_ONCE and (self._busy or left):
                self._start()
            self._listen(0.01)
            self._kill_who_is_due()
            if time.monotonic() < check_at and self._running:
                continue
            status = self._auditor.check()
            left = status.accepted - status.delivered
            check_at = time.monotonic() + _CHECK_EVERY_S
            if len(self._tuner.calls) != arrived:
                arrived, moved_at = len(self._tuner.calls), time.monotonic()
            elif time.monotonic() - moved_at > _STUCK_S:
                break
        seconds = time.monotonic() - begin
        self._auditor.check_rows()
        figures = self._figures(left, seconds)
        for life in self._running.values():
            life.process.kill()
        self._auditor.close()
        return figures

    @property
    def _busy(self) -> bool:
        """Whether there is more to hand over or to kill."""
        return bool(self._waiting) or len(self._killed) < self._kills

    def _start(self) -> None:
        self._lives += 1
        to_come = max(_AT_ONCE - len(self._running), (self._kills - len(self._killed)) / _KILLED, 1)
        batch = min(math.ceil(len(self._waiting) / to_come), self._largest_batch)
        records = tuple(self._waiting.popleft() for _ in range(batch))
        count = self._dice.choice(_CALLS) if self._kills else 0
        calls = tuple(f"open-{number}" for number in range(self._calls, self._calls + count))
        self._calls += count
        self._made.update(calls)
        work = Work(
            key=f"life-{self._lives}",
            base_url=self._tuner.base_url,
            outbox=self._outbox,
            records=records,
            calls=calls,
            asynchronous=self._dice.random() < 0.5,
        )
        ear, mouth = self._context.Pipe(duplex=False)
        process = self._context.Process(target=live, args=(work, mouth), daemon=True)
        process.start()
        mouth.close()
        life = _Life(work, process, ear, set(records))
        # As long as there is something to hand over, also when there were kills enough.
        if self._kills and self._busy and self._dice.random() < _DOOMED:
            self._doom(life)
        self._running[ear.fileno()] = life
        self._selector.register(ear, selectors.EVENT_READ, life)

    def _doom(self, life: _Life) -> None:
        """Choose when it dies: while it starts, while it hands over, or while it sends."""
        moment, count, now = self._dice.random(), len(life.work.records), time.monotonic()
        if moment < 0.15 or not count:
            life.kill_at = now + self._dice.uniform(0.0, _START_S)
            return
        # On a slow machine it may not get that far.
        life.kill_at = now + self._dice.uniform(_START_S, _LONGEST_S)
        if moment < 0.4:
            life.kill_after_stored = self._dice.randint(1, count)
        else:
            life.kill_after_sent = self._dice.randint(1, 2 * count)

    def _kill_who_is_due(self) -> None:
        now = time.monotonic()
        for life in self._running.values():
            due = (
                now >= life.kill_at
                or len(life.work.records) - len(life.unacknowledged) >= life.kill_after_stored
                or self._tuner.senders[life.work.key] >= life.kill_after_sent
            )
            if due and life.work.key not in self._killed:
                self._killed[life.work.key] = time.time()
                os.kill(life.process.pid, signal.SIGKILL)

    def _listen(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            life: _Life = key.data
            piece = os.read(life.ear.fileno(), 65536)
            *lines, life.heard = (life.heard + piece).split(b"\n")
            for line in lines:
                self._hear(life, line.decode())
            if not piece:
                self._bury(life)

    def _hear(self, life: _Life, line: str) -> None:
        what, _, call_id = line.partition(" ")
        if what == "late":
            self._told.late += 1
            return
        if what == "refused":
            self._told.refused += 1
        else:
            {"stored": self._told.stored, "open": self._told.open, "whole": self._told.whole}[what].add(
                call_id
            )
        life.unacknowledged.discard(call_id)

    def _bury(self, life: _Life) -> None:
        self._selector.unregister(life.ear)
        del self._running[life.ear.fileno()]
        life.ear.close()
        life.process.join()
        life.process.close()
        # Nobody told this application that they are on disk, so it hands them over again.
        self._waiting.extend(sorted(life.unacknowledged))
        if life.work.key in self._killed:
            self._auditor.check_rows()

    def _figures(self, left: int, seconds: float) -> Figures:
        told, calls = self._told, self._tuner.calls
        expected = told.stored | told.open | told.whole
        cut_short = {call_id for call_id in told.open if _is_cut_short(calls.get(call_id, {}))}
        overlaps = self._tuner.overlaps
        excused = [
            overlap
            for overlap in overlaps
            if overlap.earlier != overlap.later and self._killed.get(overlap.earlier, overlap.at) < overlap.at
        ]
        return Figures(
            records=len(told.stored),
            open_calls=len(told.open),
            cut_short=len(cut_short),
            kills=len(self._killed),
            processes=self._lives,
            lost=len(expected - calls.keys()),
            stored_twice=len(calls.keys() - self._made),
            altered=sum(said_in(call_id) not in json.dumps(body) for call_id, body in calls.items()),
            sent_at_once=len(overlaps) - len(excused),
            taken_over=len(excused),
            overwritten=len(cut_short & told.whole),
            refused=told.refused,
            late=told.late,
            checks=self._auditor.checks,
            breaches=self._auditor.breaches,
            left=left,
            answers=dict(self._tuner.answers),
            duplicates=self._tuner.duplicates,
            seconds=seconds,
        )


def _is_cut_short(body: dict[str, Any]) -> bool:
    return "recovered" in ((body.get("general_meta_data_raw") or {}).get("tuner_sdk") or {})
