"""Answers calls by a plan until there were enough, the time is up, or somebody says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from tuner_sipbridge.answered_line import Serve
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.reception import Reception, render_plan
from tuner_sipbridge.answering.registered import RegisteredCaller
from tuner_sipbridge.answering.results import Results
from tuner_sipbridge.answering.transfers import Transfers
from tuner_sipbridge.call.registrar import Registered, Removed, Terms
from tuner_sipbridge.caller.answering_plan import AnsweringPlan
from tuner_sipbridge.net import clock
from tuner_sipbridge.report.result import RunResult

MakeAnswerer = Callable[..., Answerer]
"""`Answerer` with everything given but `reception`, `registrations` and `on_registration`."""


async def answer_by_plan(
    plan: AnsweringPlan,
    make: MakeAnswerer,
    results: Results,
    *,
    agents: Mapping[str, Serve],
    until: Awaitable[object],
    calls: int | None = None,
    for_s: float | None = None,
    on_ready: Callable[[Answerer], None] = lambda answerer: None,
    transfers: Transfers | None = None,
) -> RunResult:
    """Answer calls as a plan says. A call that fails is a result; only what concerns the whole run raises.

    Args:
        plan: the rules.
        make: opens the answering side; given `reception`, `registrations` and `on_registration`.
        results: where calls that are over go.
        agents: those that rules host, by name.
        until: completes when somebody wants the run to end.
        calls: end after so many calls.
        for_s: end after so many seconds.
        on_ready: told when calls can come.
        transfers: for plans that follow transfers; closed at the end. Of our making when not given.

    Raises:
        SpeechError: a sentence cannot be rendered; no call was taken.
        NetworkError: the address cannot be bound, or the local Tuner is gone.
    """
    speech = await render_plan(plan)
    if transfers is None and plan.settings.transfers == "follow":
        transfers = Transfers()
    reception = Reception(plan, results, speech=speech, agents=agents, calls=calls, transfers=transfers)
    wanted = plan.settings.registrations
    terms = None if wanted is None else Terms(wanted.min_expires_s, wanted.max_expires_s)
    started_at = clock.now()
    async with AsyncExitStack() as stack:
        if transfers is not None:
            stack.push_async_callback(transfers.close)

        def ignore(change: Registered | Removed) -> None:
            """Registrations count only where contacts are called."""

        on_registration = ignore
        caller = None
        if plan.on_registration is not None:
            caller = RegisteredCaller(plan, reception, results)
            on_registration = caller.on_registration
        answerer = await stack.enter_async_context(
            make(reception=reception, registrations=terms, on_registration=on_registration)
        )
        if caller is not None:
            stack.push_async_callback(caller.close)
            caller.call_through(answerer)
        on_ready(answerer)
        asked = asyncio.ensure_future(until)
        stack.callback(asked.cancel)
        await asyncio.wait({reception.done, asked}, timeout=for_s, return_when=asyncio.FIRST_COMPLETED)
        reception.hang_up()
    if reception.done.done():
        reception.done.result()
    return RunResult(
        name=plan.name,
        started_at=started_at,
        ended_at=clock.now(),
        calls=results.calls,
        refused=dict(answerer.refused),
    )
