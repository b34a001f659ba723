"""LangChain's runs in, events of a call out. Pure: no LangChain, no clock.

A run is anything LangChain does: a graph, a node of it, a tool, a model; each has an id and the id of the run it is
part of. LangGraph marks the run of a node with the tag `graph:step:<n>`; other runs inside a node (its model, the
function that picks the next one) bear the node's name in their metadata too, but not that tag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tuner_core.events import CallEvent, NodeChanged, ToolCalled, ToolReturned
from tuner_core.langchain.results import ToolOutcome, is_pause

START = "__start__"
"""Where a conversation comes from before its first node; LangGraph's own name for it."""

_STEP_TAG = "graph:step:"


@dataclass(slots=True)
class _Graph:
    """Where a graph's run is: its step, where that step came from, whom it entered, who ended last."""

    came_from: str
    step: str = ""
    entered: set[str] = field(default_factory=set[str])
    last_ended: str = ""


@dataclass(slots=True)
class _Run:
    parent: UUID | None
    root: UUID
    node: str = ""
    """Path of the node that this run is; "" for other runs."""
    graph: _Graph | None = None
    """Where the graph is that this run has nodes of."""


@dataclass(slots=True)
class _OpenTool:
    request_id: str
    name: str
    root: UUID


class RunTranslator:
    """Turns runs into `NodeChanged`, `ToolCalled` and `ToolReturned`.

    Args:
        emit: takes each event.
    """

    def __init__(self, emit: Callable[[CallEvent], None]) -> None:
        self._emit = emit
        self._runs: dict[UUID, _Run] = {}
        self._open: dict[UUID, _OpenTool] = {}
        self._paused: dict[str, _OpenTool] = {}
        self._calls: dict[str, int] = {}
        self._last_node = ""

    def chain_started(
        self, run_id: UUID, parent_id: UUID | None, name: str, tags: Sequence[str], *, at: float
    ) -> None:
        """A graph, a node or another chain begins.

        Args:
            run_id: its id.
            parent_id: of the run it is part of.
            name: of the node, when it is one.
            tags: of the run.
            at: Unix seconds.
        """
        if run_id in self._runs:
            return
        run = self._note(run_id, parent_id)
        step = next((tag for tag in tags if tag.startswith(_STEP_TAG)), "")
        if step and name:
            self._enter(run, name, step, at=at)

    def chain_ended(self, run_id: UUID, *, at: float, cancelled: str = "") -> None:
        """A graph, a node or another chain is over.

        When it is the outermost, tools of it that never answered are closed as cancelled.

        Args:
            run_id: its id.
            at: Unix seconds.
            cancelled: why it stopped short, "" when it did not.
        """
        run = self._runs.get(run_id)
        if run is None:
            return
        if run.node:
            graph = self._graph_around(run)
            if graph is not None:
                graph.last_ended = run.node
            if "/" not in run.node:
                self._last_node = run.node
        if run.root == run_id:
            self._end_root(run_id, cancelled or "the run ended before the tool did", at=at)
        else:
            del self._runs[run_id]

    def tool_started(
        self, run_id: UUID, parent_id: UUID | None, name: str, call_id: str | None, params: Any, *, at: float
    ) -> None:
        """A tool is called.

        Args:
            run_id: its id.
            parent_id: of the run it is part of.
            name: of the tool.
            call_id: the model's id of the call, None for a tool called without a model.
            params: its arguments.
            at: Unix seconds.
        """
        if run_id in self._runs:
            return
        root = self._note(run_id, parent_id).root
        resumed = self._paused.pop(call_id, None) if call_id else None
        if resumed is not None:
            resumed.root = root
            self._open[run_id] = resumed
            return
        tool = self._open[run_id] = _OpenTool(self._request_id(call_id or str(run_id)), name, root)
        self._emit(ToolCalled(at, tool.request_id, name, params))

    def tool_ended(self, run_id: UUID, outcome: ToolOutcome, *, at: float) -> None:
        """A tool gave its result, which may be an error it told the model."""
        tool = self._take(run_id)
        if tool is not None:
            self._emit(
                ToolReturned(
                    at, tool.request_id, tool.name, outcome.result, outcome.is_error, outcome.error or None
                )
            )

    def tool_failed(
        self, run_id: UUID, error: BaseException, said: str, call_id: str | None, *, at: float
    ) -> None:
        """A tool raised; a pause until somebody answers is no failure, and its call stays open.

        Args:
            run_id: its id.
            error: what it raised.
            said: the error in words.
            call_id: the model's id of the call.
            at: Unix seconds.
        """
        tool = self._take(run_id)
        if tool is None:
            return
        if is_pause(error) and call_id:
            self._paused[call_id] = tool
        else:
            self._emit(ToolReturned(at, tool.request_id, tool.name, is_error=True, error=said))

    def close(self, *, at: float) -> None:
        """The call is over: close what is open as cancelled."""
        for tool in [*self._open.values(), *self._paused.values()]:
            self._cancel(tool, "the call ended before the tool did", at=at)
        self._open.clear()
        self._paused.clear()
        self._runs.clear()

    def _note(self, run_id: UUID, parent_id: UUID | None) -> _Run:
        parent = self._runs.get(parent_id) if parent_id is not None else None
        root = parent.root if parent is not None else run_id
        run = self._runs[run_id] = _Run(parent_id if parent is not None else None, root)
        return run

    def _enter(self, run: _Run, name: str, step: str, *, at: float) -> None:
        around = next((above.node for above in self._above(run) if above.node), "")
        run.node = f"{around}/{name}" if around else name
        graph = self._graph_around(run)
        if graph is None:
            graph = _Graph(around or self._last_node or START)
            if run.parent is not None:
                self._runs[run.parent].graph = graph
        if graph.step != step:
            graph.came_from = graph.last_ended or graph.came_from
            graph.step = step
            graph.entered.clear()
        if run.node in graph.entered:
            return
        graph.entered.add(run.node)
        if run.node != graph.came_from:
            self._emit(NodeChanged(at, graph.came_from, run.node))

    def _graph_around(self, run: _Run) -> _Graph | None:
        parent = self._runs.get(run.parent) if run.parent is not None else None
        return parent.graph if parent is not None else None

    def _above(self, run: _Run) -> Iterator[_Run]:
        above = self._runs.get(run.parent) if run.parent is not None else None
        while above is not None:
            yield above
            above = self._runs.get(above.parent) if above.parent is not None else None

    def _take(self, run_id: UUID) -> _OpenTool | None:
        run = self._runs.get(run_id)
        if run is not None and run.root != run_id:
            del self._runs[run_id]
        tool = self._open.pop(run_id, None)
        if run is not None and run.root == run_id:
            self._runs = {key: known for key, known in self._runs.items() if known.root != run_id}
        return tool

    def _request_id(self, call_id: str) -> str:
        """The model's id for the first try, and one of its own for every retry of the same call."""
        tries = self._calls[call_id] = self._calls.get(call_id, 0) + 1
        return call_id if tries == 1 else f"{call_id}#{tries}"

    def _end_root(self, root: UUID, why: str, *, at: float) -> None:
        self._runs = {key: run for key, run in self._runs.items() if run.root != root}
        for run_id, tool in list(self._open.items()):
            if tool.root == root:
                del self._open[run_id]
                self._cancel(tool, why, at=at)

    def _cancel(self, tool: _OpenTool, why: str, *, at: float) -> None:
        self._emit(ToolReturned(at, tool.request_id, tool.name, is_error=True, error=f"cancelled: {why}"))
