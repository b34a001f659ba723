"""Dial one call, play a scenario, read the measures. Runs offline: the agent is an echo on loopback."""

from __future__ import annotations

import asyncio

from tuner_sipbridge import Answerer, Dialer, Scenario
from tuner_sipbridge.agents.echo import echo

SCENARIO = Scenario.model_validate(
    {"name": "hello", "persona": {"voice": "tone"}, "steps": [{"say": "one two three"}, {"pause_s": 0.5}]}
)


async def main() -> None:
    async with Answerer(echo, port=0, username="probe", password="s3cret") as answerer:
        host, port = answerer.local
        async with Dialer(username="probe", password="s3cret") as dialer:
            async with dialer.dial(f"sip:echo@{host}:{port}", ring_timeout=20) as call:
                run = await call.play(SCENARIO)
    setup = run.measures.signalling.setup_time_s or 0.0
    print(f"{run.outcome.detail}; set up in {setup * 1000:.0f} ms; {run.statistics.received} packets heard")


if __name__ == "__main__":
    asyncio.run(main())
