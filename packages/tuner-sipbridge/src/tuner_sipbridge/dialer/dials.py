"""What plays the calls of a batch, whichever way they go out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.sdp.crypto import SrtpPolicy


class Dials(Protocol):
    """An open `Dialer`, or what makes calls in another way."""

    async def render(self, scenario: Scenario) -> dict[int, Utterance]:
        """What the caller will say, by index of the step.

        Raises:
            SpeechError: a sentence cannot be rendered.
        """
        ...

    async def run(
        self,
        target: str,
        scenario: Scenario,
        *,
        agent: str = "",
        ring_timeout: float = ...,
        sip_call_id: str | None = None,
        correlation_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        username: str | None = None,
        password: str | None = None,
        srtp: SrtpPolicy | None = None,
        utterances: Mapping[int, Utterance] | None = None,
        stop: asyncio.Event | None = None,
    ) -> CallRun:
        """Dial, play, hang up; see `Dialer.run`. A call that fails is a run with its outcome, never an exception."""
        ...
