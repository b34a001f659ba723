"""`answer --plan`: answer calls by rules, as the humans whom an agent calls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from tuner_sipbridge.agents.faults import Fault
from tuner_sipbridge.agents.reference import AgentName, load_agent
from tuner_sipbridge.answered_line import Serve
from tuner_sipbridge.answerer import Answerer, Pick
from tuner_sipbridge.answering.display import AnsweringDisplay
from tuner_sipbridge.answering.results import Results
from tuner_sipbridge.answering.run import MakeAnswerer, answer_by_plan
from tuner_sipbridge.answering.transfers import Transfers
from tuner_sipbridge.call.extensions import Extensions
from tuner_sipbridge.caller.answering_plan import AnsweringFile, AnsweringPlan, AnsweringRule
from tuner_sipbridge.caller.answering_rules import NoAnswer, Rule
from tuner_sipbridge.cli.exits import FAILED
from tuner_sipbridge.link import LinkDesk
from tuner_sipbridge.report.html import write_report
from tuner_sipbridge.report.pcap import PcapFile
from tuner_sipbridge.report.result import RunResult
from tuner_sipbridge.report.terminal import print_results, results_console


@dataclass(frozen=True, slots=True)
class Course:
    """How long a plan is answered by, and where its results go; `fault` breaks the posts of hosted agents."""

    calls: int | None = None
    for_s: float | None = None
    out: Path | None = None
    tuner: str | None = None
    link_wait_s: float = 15.0
    as_json: bool = False
    pcap: Path | None = None
    fault: Fault | None = None
    transfers: Transfers | None = None


def answer_plan(
    plan: AnsweringPlan, make: MakeAnswerer, course: Course, interrupted: Callable[[], Awaitable[None]]
) -> None:
    """Answer, report, and leave with the exit code."""
    result = asyncio.run(_answer(plan, make, course, interrupted))
    if course.out is not None:
        result.write(course.out)
        write_report(result, course.out)
    if course.as_json:
        typer.echo(result.model_dump_json(indent=2))
    elif result.calls or result.refused:
        print_results(result, results_console())
        if course.out is not None:
            typer.echo(f"report: {course.out / 'report.html'}")
    missing = "" if course.as_json else _missing(result, course)
    if missing:
        typer.echo(missing, err=True)
    if not all(call.passed for call in result.calls) or _missing(result, course):
        raise typer.Exit(FAILED)


def _missing(result: RunResult, course: Course) -> str:
    """What did not come although it was waited for."""
    if course.calls is not None and len(result.calls) < course.calls:
        return f"{len(result.calls)} of {course.calls} calls came"
    return "no call came" if course.for_s is not None and not result.calls else ""


async def _answer(
    plan: AnsweringPlan, make: MakeAnswerer, course: Course, interrupted: Callable[[], Awaitable[None]]
) -> RunResult:
    agents: dict[str, Serve] = {}
    for rule in plan.rules:
        if rule.rule.host is not None:
            agents[rule.rule.host] = await load_agent(rule.rule.host, fault=course.fault)
    errors = Console(stderr=True, quiet=course.as_json)

    def ready(answerer: Answerer) -> None:
        # Standard error: standard output is for the result.
        typer.echo(f"Answering by {plan.name} at {answerer.uri}", err=True)

    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(LinkDesk(course.tuner)) if course.tuner is not None else None
        results = Results(
            desk=desk,
            link_wait_s=course.link_wait_s,
            out=course.out,
            capture=PcapFile(course.pcap) if course.pcap is not None else None,
            on_progress=AnsweringDisplay(errors, calls=course.calls),
        )
        return await answer_by_plan(
            plan,
            make,
            results,
            agents=agents,
            until=interrupted(),
            calls=course.calls,
            for_s=course.for_s,
            on_ready=ready,
            transfers=course.transfers,
        )


def terms_of(plan: AnsweringPlan | None) -> Extensions:
    """The extensions that a plan speaks; the usual ones without a plan."""
    return Extensions() if plan is None else Extensions(**plan.settings.extensions.model_dump())


def plan_for_agent(agent: AgentName, pick: Pick) -> AnsweringPlan:
    """The plan of one rule by which one agent has every call, or by which every call is refused or rings."""
    match pick:
        case "busy":
            rule = Rule(busy=True, agent=agent)
        case "ring":
            rule = Rule(no_answer=NoAnswer(), agent=agent)
        case "answer":
            rule = Rule(host=agent, agent=agent)
    name = agent if pick == "answer" else pick
    return AnsweringPlan(agent, (AnsweringRule(rule, name),), AnsweringFile(name=agent, rules=[rule]))


def credentials_of(plan: AnsweringPlan) -> tuple[str, str] | None:
    """User name and password that the plan asks callers for.

    Raises:
        FileError: the variable that it names is not set.
    """
    password = plan.password(os.environ)
    return (plan.settings.username, password) if plan.settings.username and password is not None else None
