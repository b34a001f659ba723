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
from tuner_sipbridge.errors import CallError, LocalProtocolError
from tuner_sipbridge.sip.replaces import Replaces
from tuner_sipbridge.sip.uri import Uri


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

    def refresh(self) -> None:
        """Refresh the session (RFC 4028 §10): a far end that is gone ends the call."""
        self._call.refresh()

    @property
    def as_replaced(self) -> tuple[Uri, Replaces] | None:
        """What somebody needs who takes this call over: the Contact of its far end, and the call as that end knows it.

        None when the call does not stand.
        """
        return self._call.as_replaced

    async def transfer(self, target: str | None = None, *, replaces: AnsweredCall | None = None) -> int:
        """Ask the agent to call somebody else (REFER, RFC 3515), and wait until it says what came of it.

        The call with the agent stands until somebody hangs up.

        Args:
            target: SIP URI to call; by default the Contact of the far end of `replaces`.
            replaces: another call of ours, which the agent's new call takes the place of: an attended transfer.

        Returns:
            Status of the agent's call as it reports it, 200 when it was answered; of the REFER when that was refused;
            0 when the agent reported nothing before the call ended, or within 120 s.

        Raises:
            LocalProtocolError: the target is missing or no SIP URI, or another transfer is under way.
            CallError: one of the calls does not stand.
        """
        other = replaces.as_replaced if replaces is not None else None
        if replaces is not None and other is None:
            raise CallError("the call to be replaced does not stand", sip_call_id=replaces.sip_call_id)
        if target is not None:
            uri = Uri.parse(target, error=LocalProtocolError)
        elif other is not None:
            uri = other[0]
        else:
            raise LocalProtocolError("a transfer needs a target, or a call to be replaced")
        return await self._call.transfer(uri, other[1] if other is not None else None)

    async def ended(self) -> None:
        """Wait until the call is over, whoever ended it."""
        await self._call.ended()
