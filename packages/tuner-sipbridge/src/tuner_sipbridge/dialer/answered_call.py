"""The call that `dialer.dial` gives once it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.speech import SpeechSource, render_scenario
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.dialer.placed_call import PlacedCall
from tuner_sipbridge.dialer.play import play
from tuner_sipbridge.dialer.run import CallRun


class AnsweredCall:
    """A call that stands: what `async with dialer.dial(…) as call` gives."""

    def __init__(self, call: PlacedCall, *, speech: SpeechSource | None) -> None:
        self._call, self._speech = call, speech

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the INVITE: what the agent must post for the call to be linked."""
        return self._call.sip_call_id

    @property
    def correlation_id(self) -> str:
        """Value of the X-Correlation-Id header."""
        return self._call.correlation_id

    async def play(self, scenario: Scenario, *, utterances: Mapping[int, Utterance] | None = None) -> CallRun:
        """Play a scenario to its end, hang up, and give back what happened.

        Args:
            scenario: what to play.
            utterances: its speech by index of the step; rendered when not given.

        Raises:
            SpeechError: a sentence cannot be rendered.
        """
        if utterances is None:
            utterances = await asyncio.to_thread(render_scenario, scenario, self._speech)
        completed = await play(self._call, scenario, utterances)
        await self._call.close()
        return CallRun.of(self._call, scenario=scenario.name, outcome=self._call.outcome(completed=completed))

    def hang_up(self) -> None:
        """Send BYE."""
        self._call.hang_up()

    def hold(self) -> None:
        """Put the agent on hold (re-INVITE with `sendonly`); the trace tells what came of it."""
        self._call.hold()

    def resume(self) -> None:
        """End the hold."""
        self._call.resume()

    async def ended(self) -> None:
        """Wait until the call is over, whoever ended it."""
        await self._call.ended()
