"""The callback handler: LangChain tells it what runs, it tells the call's timeline."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult

from tuner_core.events import CallEvent, NodeChanged
from tuner_core.guard import Guard
from tuner_core.langchain.results import error_text, outcome_of
from tuner_core.langchain.runs import RunTranslator
from tuner_core.langchain.usage import TokenCount
from tuner_core.timeline import CallTimeline

logger = logging.getLogger("tuner_core.langchain")


class TunerCallbackHandler(BaseCallbackHandler):
    """Puts LangGraph's node transitions and LangChain's tool calls into a call's record.

    One handler for a call, given with each run of it: `graph.ainvoke(state, config={"callbacks": [handler]})`. It
    adds events and touches no others, so tools that the voice framework calls itself stay in the record. Sync and
    async runs, streaming, nested graphs (`billing/lookup`), parallel branches and threads are fine.

    A tool that raised, or told the model of an error, is recorded with it; one that was cut off when its run ended
    is recorded as cancelled; one that waits for a human (`interrupt`) stays open until the run goes on, at the
    latest until `close`.

    Nothing that happens in here reaches the chain: failures are logged once, counted in `failures` and told to
    `on_error`.

    Args:
        sink: the call's `CallTimeline`, or a function that takes each event, called in the thread of the run.
        tool_inputs: record the arguments of tools.
        tool_outputs: record their results and the messages of their errors.
        nodes: record node transitions.
        usage: record the model's name and its tokens; for chains whose model the voice framework does not see.
        clock: gives Unix seconds.
        on_error: told every failure that was kept away from the chain.
        strict: raise failures instead, for tests.
    """

    run_inline = True
    """Events keep their order: LangChain would otherwise call from a pool of threads in async runs."""

    def __init__(
        self,
        sink: CallTimeline | Callable[[CallEvent], None],
        *,
        tool_inputs: bool = True,
        tool_outputs: bool = True,
        nodes: bool = True,
        usage: bool = False,
        clock: Callable[[], float] = time.time,
        on_error: Callable[[Exception], None] | None = None,
        strict: bool = False,
    ) -> None:
        self._guard = Guard(logger, on_error=on_error, strict=strict)
        self._clock = clock
        self._tool_inputs = tool_inputs
        self._tool_outputs = tool_outputs
        self._nodes = nodes
        self._tokens = TokenCount() if usage else None
        self._emit = sink.apply if isinstance(sink, CallTimeline) else sink
        self._translator = RunTranslator(self._tell)
        # Nodes and tools of parallel branches report from threads of their own.
        self._lock = threading.RLock()
        self.raise_error = strict

    def __repr__(self) -> str:
        return f"<TunerCallbackHandler, {self.failures} failures>"

    @property
    def failures(self) -> int:
        """How many failures of the handler were kept away from the chain."""
        return self._guard.failures

    @property
    def ignore_llm(self) -> bool:
        """Models are listened to for their tokens only."""
        return self._tokens is None

    @property
    def ignore_chat_model(self) -> bool:
        """The begin of a model's run says nothing that is recorded."""
        return True

    @property
    def ignore_retriever(self) -> bool:
        """Retrievers are not recorded."""
        return True

    @property
    def ignore_custom_event(self) -> bool:
        """Events of the application's own are not recorded."""
        return True

    def close(self) -> None:
        """The call is over: record tools that never answered as cancelled. Never raises."""
        with self._kept_away("close"):
            self._translator.close(at=self._clock())

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A graph, a node or another chain begins; called by LangChain, like all that follow."""
        with self._kept_away("on_chain_start"):
            name = str(kwargs.get("name") or "")
            at = self._clock()
            self._translator.chain_started(run_id, parent_run_id, name, tags or (), at=at)

    def on_chain_end(self, outputs: dict[str, Any], *, run_id: UUID, **kwargs: Any) -> None:
        """A chain is over."""
        with self._kept_away("on_chain_end"):
            self._translator.chain_ended(run_id, at=self._clock())

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A chain failed, was cancelled, or stops for a human."""
        with self._kept_away("on_chain_error"):
            self._translator.chain_ended(run_id, at=self._clock(), cancelled=type(error).__name__)

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A tool is called."""
        with self._kept_away("on_tool_start"):
            name = str((serialized or {}).get("name") or kwargs.get("name") or "tool")
            params = (inputs if inputs is not None else input_str) if self._tool_inputs else None
            call_id = kwargs.get("tool_call_id")
            self._translator.tool_started(
                run_id, parent_run_id, name, str(call_id) if call_id else None, params, at=self._clock()
            )

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool gave its result."""
        with self._kept_away("on_tool_end"):
            outcome = outcome_of(output, with_values=self._tool_outputs)
            self._translator.tool_ended(run_id, outcome, at=self._clock())

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool raised."""
        with self._kept_away("on_tool_error"):
            said = error_text(error, with_values=self._tool_outputs)
            call_id = kwargs.get("tool_call_id")
            self._translator.tool_failed(
                run_id, error, said, str(call_id) if call_id else None, at=self._clock()
            )

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has answered."""
        with self._kept_away("on_llm_end"):
            if self._tokens is not None and self._tokens.add(response):
                self._emit(self._tokens.report())

    def _tell(self, event: CallEvent) -> None:
        if self._nodes or not isinstance(event, NodeChanged):
            self._emit(event)

    @contextmanager
    def _kept_away(self, where: str) -> Generator[None]:
        try:
            with self._lock:
                yield
        except Exception as error:
            self._guard.failed(error, where)
