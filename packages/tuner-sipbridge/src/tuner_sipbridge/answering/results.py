"""Collects the results of answered calls: each is linked, written and measured when it ends, then forgotten."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tuner_sipbridge.batch import write_call
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.link import LinkDesk, LinkResult, unknown
from tuner_sipbridge.report.collect import call_result
from tuner_sipbridge.report.pcap import PcapFile
from tuner_sipbridge.report.result import CallResult


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of an answered call.

    Attributes:
        stage: what was reached.
        number: of the call, from 1.
        rule: name of the rule that decided.
        result: how it went, at `ended`.
    """

    stage: Literal["came", "ended", "registered"]
    number: int
    rule: str
    result: CallResult | None = None


class Results:
    """What is known of the calls that are over."""

    def __init__(
        self,
        *,
        desk: LinkDesk | None = None,
        link_wait_s: float = 15.0,
        out: Path | None = None,
        capture: PcapFile | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Begin without calls.

        Args:
            desk: registers the calls with a local Tuner and asks for their links.
            link_wait_s: how long after the end of a call to wait for the agent's post.
            out: the directory `result.json` will lie in; each call is written below its `calls`.
            capture: gets the SIP messages of each call when it ends.
            on_progress: told of every step, in the event loop.
        """
        self._capture = capture
        self._desk, self._link_wait_s, self._out = desk, link_wait_s, out
        self.tell = on_progress
        self._calls: dict[int, CallResult] = {}

    @property
    def calls(self) -> list[CallResult]:
        """In the order in which they came."""
        return [self._calls[number] for number in sorted(self._calls)]

    async def expect(
        self, sip_call_id: str, *, correlation_id: str, agent: str, scenario: str, target: str, at: float
    ) -> None:
        """Tell the local Tuner, where there is one, that a call has come.

        Raises:
            NetworkError: the local Tuner is gone.
        """
        if self._desk is not None:
            await self._desk.register(
                sip_call_id,
                correlation_id=correlation_id,
                agent=agent,
                scenario=scenario,
                target=target,
                started_at=at,
            )

    async def settle(self, run: CallRun, *, number: int, rule: str, agent: str, ask: bool = True) -> None:
        """Link, measure and write a call that is over; `ask`: whether the local Tuner was told of it.

        Raises:
            NetworkError: the local Tuner is gone.
            FileError: the capture cannot be written.
        """
        link = await self._link(run) if ask else unknown(run.sip_call_id)
        if self._capture is not None:
            self._capture.add(run.trace)
        result = await asyncio.to_thread(self._finish, run, link, number, rule, agent)
        self._calls[number] = result
        self.tell(Progress("ended", number, rule, result))

    async def _link(self, run: CallRun) -> LinkResult:
        desk, call_id = self._desk, run.sip_call_id
        if desk is None:
            return unknown(call_id)
        ended = run.trace.events[-1].at if run.trace.events else 0.0
        await desk.settle(call_id, outcome=run.outcome.kind, detail=run.outcome.detail, ended_at=ended)
        answered = run.trace.first("call.answered") is not None
        return (await desk.links({call_id}, wait_s=self._link_wait_s if answered else 0.0))[call_id]

    def _finish(self, run: CallRun, link: LinkResult, number: int, rule: str, agent: str) -> CallResult:
        directory = None
        if self._out is not None:
            safe = re.sub(r"[^A-Za-z0-9_.-]", "-", agent)
            directory = self._out / "calls" / f"{number:03d}-{safe}-{rule}"
            write_call(run, link, directory)
        return call_result(run, link, agent=agent, directory=directory, out=self._out)
