"""The agents that come with the package, by name, ready to serve."""

from __future__ import annotations

import functools
from typing import Literal

from tuner_sipbridge.agents.faults import Fault, faulty_sink
from tuner_sipbridge.agents.line import Agent
from tuner_sipbridge.errors import SipBridgeError

AgentName = Literal["pipecat", "livekit", "echo"]


async def load_agent(name: AgentName, *, fault: Fault | None = None) -> Agent:
    """Import an agent, load its ears and voice, and give it.

    Args:
        name: `pipecat`: a Pipecat pipeline. `livekit`: a LiveKit AgentSession. `echo`: what is said comes back.
        fault: a break in the way the agent posts its calls.

    Raises:
        SipBridgeError: the extra it needs is not installed.
        SpeechError: its voice or its recogniser cannot be loaded.
    """
    if name == "echo":
        from tuner_sipbridge.agents.echo import echo

        return echo
    try:
        if name == "pipecat":
            from tuner_sipbridge.agents.pipecat_agent import pipecat_agent as agent
            from tuner_sipbridge.agents.pipecat_agent import warm_up
        else:
            from tuner_sipbridge.agents.livekit_agent import livekit_agent as agent
            from tuner_sipbridge.agents.livekit_agent import warm_up
    except ImportError as error:
        raise SipBridgeError(
            f"the agent {name} needs {error.name}: pip install 'tuner-sipbridge[{name}]'"
        ) from error
    await warm_up()
    return agent if fault is None else functools.partial(agent, sink=faulty_sink(fault))
