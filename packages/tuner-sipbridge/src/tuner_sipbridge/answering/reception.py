"""Takes incoming calls as the rules of a plan say, and plays the human whom an agent has called."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from tuner_sipbridge.answered_line import AnsweredLine, Serve
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.hosted import HostedCall
from tuner_sipbridge.answering.results import Progress, Results
from tuner_sipbridge.answering.transfers import Transfers
from tuner_sipbridge.caller.answering_plan import AnsweringPlan, AnsweringRule
from tuner_sipbridge.caller.answering_rules import UNNAMED, IncomingCall, NoAnswer, Reject, Rule
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.caller.speech import render_scenario
from tuner_sipbridge.caller.tone import with_beep
from tuner_sipbridge.caller.utterance import Utterance
from tuner_sipbridge.dialer.outcome import Outcome
from tuner_sipbridge.dialer.picked_up_call import PickedUpCall
from tuner_sipbridge.dialer.play import play
from tuner_sipbridge.dialer.run import CallRun
from tuner_sipbridge.errors import CallError, MediaError
from tuner_sipbridge.net import clock

logger = logging.getLogger("tuner_sipbridge.answering")

NO_RULE = AnsweringRule(
    Rule(reject=Reject(status=404, reason="Not Found: no rule answers this call")), "no-rule"
)
"""What becomes of a call for which the plan has no rule."""
STAYS_AFTER_REFUSAL_S = 0.5
"""How long the ACK to a refusal is waited for, so that the trace has it."""


class Reception:
    """Answers by a plan: the `reception` of an `Answerer`."""

    def __init__(
        self,
        plan: AnsweringPlan,
        results: Results,
        *,
        speech: Mapping[int, Mapping[int, Utterance]],
        agents: Mapping[str, Serve],
        calls: int | None = None,
        transfers: Transfers | None = None,
    ) -> None:
        """Prepare.

        Args:
            plan: the rules.
            results: where calls that are over go.
            speech: what simulated humans say, as `render_plan` gives it.
            agents: those that rules host, by name.
            calls: how many calls are taken; later ones get 503. None: any number.
            transfers: calls whom agents transfer simulated humans to; without them transfers are declined.
        """
        self._plan, self._results, self._speech, self._agents = plan, results, speech, agents
        self._most, self._taken, self._over = calls, 0, 0
        self._transfers = transfers
        self._standing: set[PickedUpCall | AnsweredLine] = set()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Completes when so many calls are over, or with the error that leaves no sense in more of them."""

    @property
    def taken(self) -> int:
        """Calls that came and were not turned away for being too many."""
        return self._taken

    def next_number(self) -> int | None:
        """The number of one more call, None when there were enough."""
        if self._most is not None and self._taken >= self._most:
            return None
        self._taken += 1
        return self._taken

    async def __call__(self, line: AnsweredLine, answerer: Answerer) -> None:
        """Take one call from its INVITE to its result."""
        number = self.next_number()
        if number is None:
            line.reject(503, "Service Unavailable: no more calls are expected")
            return
        try:
            await self._take(line, answerer, number)
        except Exception as error:
            self.fail(error)
        finally:
            self.one_over()

    def hang_up(self) -> None:
        """End all calls."""
        for call in self._standing:
            call.hang_up()

    def one_over(self) -> None:
        """Count a call that is over."""
        self._over += 1
        if self._over == self._most and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """End it all: `done` raises the error."""
        if self.done.done():
            logger.error("a call failed after the end of the run", exc_info=error)
        else:
            self.done.set_exception(error)

    async def _take(self, line: AnsweredLine, answerer: Answerer, number: int) -> None:
        uri, caller = line.machine.invite.uri, line.machine.invite.from_.uri
        asked = IncomingCall(
            uri.unescaped_user or uri.host,
            caller.unescaped_user or caller.host,
            line.headers,
            line.source.host,
        )
        chosen = self._plan.rule_for(asked) or NO_RULE
        self._results.tell(Progress("came", number, chosen.name))
        if chosen.rule.host is not None:
            self._standing.add(line)
            try:
                await self._host(line, answerer, chosen, chosen.rule.host, number)
            finally:
                self._standing.discard(line)
            return
        try:
            offered = await answerer.open_media(line, record=True)
        except MediaError:
            line.reject(503)
            raise
        follow = self._transfers.of(line, offered) if self._transfers is not None else None
        call = PickedUpCall(line, offered, follow=follow)
        self._standing.add(call)
        try:
            await self._lead(call, chosen, number)
        finally:
            self._standing.discard(call)
            await call.close()

    async def _host(
        self, line: AnsweredLine, answerer: Answerer, chosen: AnsweringRule, host: str, number: int
    ) -> None:
        agent = chosen.rule.agent if chosen.rule.agent != UNNAMED else host
        call = HostedCall(line, scenario=chosen.name, agent=agent)
        line.ring()
        try:
            async with asyncio.timeout(chosen.rule.ring_s):
                await line.ended()
        except TimeoutError:
            run = await call.serve(answerer, self._agents[host])
        else:
            run = call.run(None)
        # Who calls a hosted agent has told Tuner of the call, not we.
        await self._results.settle(run, number=number, rule=chosen.name, agent=agent, ask=False)

    async def _lead(self, call: PickedUpCall, chosen: AnsweringRule, number: int) -> None:
        rule = chosen.rule
        call.take(scenario=chosen.name, agent=rule.agent)
        await self._results.expect(
            call.sip_call_id,
            correlation_id=call.correlation_id,
            agent=rule.agent,
            scenario=chosen.name,
            target=call.target,
            at=clock.now(),
        )
        completed = False
        if not await _ring(call, rule):
            if chosen.scenario is not None:
                completed = await self._play(call, chosen.scenario, self._speech[id(chosen)])
            else:
                await _refuse(call, rule)
        await call.close()
        outcome = outcome_for(call, rule, completed=completed)
        run = CallRun.of(call, scenario=chosen.name, outcome=outcome)
        await self._results.settle(run, number=number, rule=chosen.name, agent=rule.agent)

    async def _play(
        self, call: PickedUpCall, scenario: Scenario, utterances: Mapping[int, Utterance]
    ) -> bool:
        try:
            await call.pick_up()
        except CallError:
            return False  # the closing event says the same, and the outcome is made from it
        return await play(call, scenario, utterances)


async def render_plan(plan: AnsweringPlan) -> dict[int, Mapping[int, Utterance]]:
    """What the simulated humans of a plan say, by `id` of the rule: two rules may have one name.

    Raises:
        SpeechError: a sentence cannot be rendered.
    """
    speech: dict[int, Mapping[int, Utterance]] = {}
    for each in plan.rules:
        if each.scenario is None:
            continue
        spoken = await asyncio.to_thread(render_scenario, each.scenario)
        mail = each.rule.voicemail
        speech[id(each)] = {0: with_beep(spoken[0])} if mail is not None and mail.beep else spoken
    return speech


def outcome_for(call: PickedUpCall, rule: Rule, *, completed: bool) -> Outcome:
    """How a call went, seen from what the rule wanted: a call that was to be refused and was has passed."""
    answered = call.trace.first("call.answered") is not None
    refused = call.trace.first("call.rejected")
    if rule is NO_RULE.rule:
        return Outcome("agent_error", "the agent called somebody for whom the plan has no rule: 404 was sent")
    if rule.no_answer is not None and (call.cancelled or refused is not None):
        ended = "the agent gave up" if call.cancelled else "480 was sent"
        return Outcome("success", f"nobody answered, as planned; {ended}")
    if rule.scenario is None and rule.voicemail is None and refused is not None:
        return Outcome("success", f"refused with {refused.fields['status']}, as planned")
    outcome = call.outcome(completed=completed)
    if rule.voicemail is None or not answered or outcome.kind not in ("agent_error", "success"):
        return outcome
    heard = call.trace.first("agent.speech_started") is not None
    return Outcome("success", f"voicemail: {'a message was left' if heard else 'no message was left'}")


async def _ring(call: PickedUpCall, rule: Rule) -> bool:
    """Ring, and send early media, for as long as the rule says; True when the call is over before."""
    if rule.ring_s > 0 or rule.no_answer is not None:
        call.ring()
        if rule.ring_s > 0 and await call.over_within(rule.ring_s):
            return True
    if rule.early_media is None:
        return False
    early = rule.early_media
    call.begin_media(ring_back_s=early.for_s if early.sound == "ring_back" else 0.0)
    return await call.over_within(early.for_s)


async def _refuse(call: PickedUpCall, rule: Rule) -> None:
    match rule:
        case Rule(no_answer=NoAnswer(give_up_s=give_up_s)):
            if await call.over_within(give_up_s):
                return
            call.refuse(480)
        case Rule(reject=Reject(status=status, reason=reason, headers=headers)):
            call.refuse(status, reason, list(headers.items()))
        case _:
            call.refuse(486)
    await call.acknowledged_within(STAYS_AFTER_REFUSAL_S)
