"""The whole loop: local Tuner, two agents behind SIP, calls into both, links, report.

It is put together out of what a user runs by hand: `tuner local`, `tuner-sipbridge answer` twice, and a batch.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from enum import StrEnum
from importlib import resources
from pathlib import Path

from tuner_sipbridge.agents.faults import Fault as PostFault
from tuner_sipbridge.batch import Progress, run_batch
from tuner_sipbridge.caller.plan import BatchPlan, Target
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.demo.children import Child
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.link import LinkDesk
from tuner_sipbridge.report.collect import report_on
from tuner_sipbridge.report.html import REPORT_FILE
from tuner_sipbridge.report.result import RESULT_FILE, RunResult

AGENTS = ("pipecat", "livekit")
SCENARIOS = ("order_status", "barge_in", "keypad", "early_hangup")
FAULT_SCENARIO = "early_hangup"
"""The shortest: what breaks does not depend on what is said."""
AT_ONCE = 4
USERNAME = "caller"
CALLER = "+15550100"
"""Whom the agents see calling: a number that is kept free for fiction."""
WORKSPACE_ID = 1
LINK_WAIT_S = 12.0
"""How long to wait for missing posts: more than the agents' own deadline for delivery."""
NO_ANSWER_RING_S = 4.0
"""Ring time-out of the fault `no-answer`."""

_TUNER = "from tuner_core.cli import main; main()"
_TUNER_READY = "Local Tuner at "
_BRIDGE = "from tuner_sipbridge.cli import main; main()"
_PASSWORD_ENV = "DEMO_SIP_PASSWORD"


class DemoFault(StrEnum):
    """What is broken on purpose."""

    no_call_id = "no-call-id"
    carrier_id = "carrier-id"
    no_post = "no-post"
    wrong_password = "wrong-password"
    no_answer = "no-answer"
    busy = "busy"


async def run_demo(
    out: Path,
    *,
    fault: DemoFault | None = None,
    say: Callable[[str], None],
    on_progress: Callable[[Progress], None],
) -> RunResult:
    """Run the loop and write `result.json`, `report.html` and each call's files below `out`.

    Args:
        out: directory; what an earlier demo left there is replaced.
        fault: break one thing; then each agent gets one call.
        say: told what is being started.
        on_progress: told of each call's steps.

    Raises:
        SipBridgeError: a part of the loop could not be started.
    """
    state, logs = _fresh(out)
    password, api_key = secrets.token_urlsafe(12), f"tr_api_{secrets.token_urlsafe(12)}"
    async with AsyncExitStack() as stack:
        say("starting a local Tuner")
        tuner = await stack.enter_async_context(_local_tuner(api_key, state, logs))
        base_url = tuner.line.removeprefix(_TUNER_READY).split()[0]
        say("starting the agents: pipecat and livekit load their voices and recognisers")
        environment = {
            "TUNER_BASE_URL": base_url,
            "TUNER_API_KEY": api_key,
            "TUNER_WORKSPACE_ID": str(WORKSPACE_ID),
            "TUNER_SIP_USERNAME": USERNAME,
            "TUNER_SIP_PASSWORD": password,
        }
        uris = await _start_agents(stack, environment, fault, state, logs)
        dialer = await stack.enter_async_context(Dialer(at_once=AT_ONCE, from_user=CALLER))
        desk = await stack.enter_async_context(LinkDesk(base_url))
        wrong = fault is DemoFault.wrong_password
        batch = await run_batch(
            _plan(uris, fault),
            dialer,
            environ={_PASSWORD_ENV: "not-" + password if wrong else password},
            desk=desk,
            link_wait_s=LINK_WAIT_S,
            out=out / "calls",
            on_progress=on_progress,
        )
    return report_on(batch, out=out)


def planned_calls(fault: DemoFault | None) -> int:
    """How many calls the demo makes."""
    return len(AGENTS) * (1 if fault else len(SCENARIOS))


def _local_tuner(api_key: str, state: Path, logs: Path) -> Child:
    """`tuner local` on a free port; its ready line holds its address."""
    options = [f"--db={state / 'tuner.db'}", f"--workspace-id={WORKSPACE_ID}", f"--api-key={api_key}"]
    return Child(
        "the local Tuner", _TUNER, ["local", "--port=0", *options], ready=_TUNER_READY, log=logs / "tuner.log"
    )


async def _start_agents(
    stack: AsyncExitStack, environment: Mapping[str, str], fault: DemoFault | None, state: Path, logs: Path
) -> dict[str, str]:
    """Start both agents and give their URIs; at once, for most of it is importing and loading models."""
    agents = {name: _agent(name, environment, fault, state, logs) for name in AGENTS}
    async with asyncio.TaskGroup() as group:
        for agent in agents.values():
            group.create_task(stack.enter_async_context(agent))
    return {name: agent.line.split()[-1] for name, agent in agents.items()}


def _agent(
    name: str, environment: Mapping[str, str], fault: DemoFault | None, state: Path, logs: Path
) -> Child:
    """One agent behind SIP; its ready line ends with its URI."""
    arguments = ["answer", f"--agent={name}", "--port=0"]
    if fault in {DemoFault.no_answer, DemoFault.busy}:
        arguments.append(f"--pick={'ring' if fault is DemoFault.no_answer else 'busy'}")
    elif fault is not None and fault.value in {kind.value for kind in PostFault}:
        arguments.append(f"--fault={fault.value}")
    own = {"TUNER_AGENT_ID": f"demo-{name}", "TUNER_OUTBOX": str(state / f"outbox-{name}.sqlite3")}
    return Child(
        f"the agent {name}",
        _BRIDGE,
        arguments,
        environment={**environment, **own},
        ready=f"Answering as {name} at ",
        log=logs / f"{name}.log",
    )


def _plan(uris: dict[str, str], fault: DemoFault | None) -> BatchPlan:
    ring = NO_ANSWER_RING_S if fault is DemoFault.no_answer else 20.0
    targets = [
        Target(agent=name, uri=uri, username=USERNAME, password_env=_PASSWORD_ENV, ring_timeout_s=ring)
        for name, uri in uris.items()
    ]
    names = (FAULT_SCENARIO,) if fault else SCENARIOS
    return BatchPlan.of(targets, [(_scenario(name), 1) for name in names], name="demo", at_once=AT_ONCE)


def _scenario(name: str) -> Scenario:
    with resources.as_file(resources.files("tuner_sipbridge.demo") / "scenarios" / f"{name}.yaml") as path:
        return Scenario.load(path)


def _fresh(out: Path) -> tuple[Path, Path]:
    """Remove what an earlier demo wrote, nothing else; give the directories for state and logs."""
    for name in ("calls", "state", "logs"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (RESULT_FILE, REPORT_FILE):
        (out / name).unlink(missing_ok=True)
    for name in ("calls", "state", "logs"):
        (out / name).mkdir(parents=True)
    return out / "state", out / "logs"
