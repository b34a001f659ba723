"""Calls contacts that have registered: an agent platform that logs in at our registrar is called there."""

from __future__ import annotations

import asyncio

from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.answering.reception import Reception
from tuner_sipbridge.answering.results import Progress, Results
from tuner_sipbridge.call.bindings import Binding
from tuner_sipbridge.call.registrar import Registered, Removed
from tuner_sipbridge.caller.answering_plan import AnsweringPlan, Registrations
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.flow import FlowDialer
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.ids import new_correlation_id, new_sip_call_id


class RegisteredCaller:
    """Plays the plan's scenario to each contact, once, when it registers."""

    def __init__(self, plan: AnsweringPlan, reception: Reception, results: Results) -> None:
        self._scenario = plan.on_registration
        self._settings = plan.settings.registrations or Registrations()
        self._reception, self._results = reception, results
        self._answerer: asyncio.Future[Answerer] = asyncio.get_running_loop().create_future()
        self._calling: set[asyncio.Task[None]] = set()

    def call_through(self, answerer: Answerer) -> None:
        """Where contacts register; calls wait until this is known."""
        self._answerer.set_result(answerer)

    def on_registration(self, change: Registered | Removed) -> None:
        """Call a contact that is bound for the first time."""
        if isinstance(change, Registered) and not change.refreshed:
            number = self._reception.next_number()
            if number is not None:
                task = asyncio.get_running_loop().create_task(self._call(change.binding, number))
                self._calling.add(task)
                task.add_done_callback(self._calling.discard)

    async def close(self) -> None:
        """End the calls that stand."""
        for task in self._calling:
            task.cancel()
        await asyncio.gather(*self._calling, return_exceptions=True)

    async def _call(self, binding: Binding, number: int) -> None:
        try:
            await asyncio.sleep(self._settings.after_s)
            await self._dial(binding, number)
        except Exception as error:
            self._reception.fail(error)
        finally:
            self._reception.one_over()

    async def _dial(self, binding: Binding, number: int) -> None:
        scenario, agent, target = self._scenario, self._settings.agent, str(binding.contact)
        if scenario is None:
            return
        self._results.tell(Progress("registered", number, scenario.name))
        call_id, correlation_id = new_sip_call_id(), new_correlation_id()
        await self._results.expect(
            call_id,
            correlation_id=correlation_id,
            agent=agent,
            scenario=scenario.name,
            target=target,
            at=clock.now(),
        )
        async with _dialer_to(binding, await self._answerer) as dialer:
            run = await dialer.run(
                target, scenario, agent=agent, sip_call_id=call_id, correlation_id=correlation_id
            )
        await self._results.settle(run, number=number, rule=scenario.name, agent=agent)


def _dialer_to(binding: Binding, answerer: Answerer) -> Dialer:
    """What calls a contact: over the flow of its registration as long as there is one, else where it says."""
    flow = binding.flow
    if flow is not None and answerer.driver.has_flow(flow):
        return FlowDialer(answerer.driver, flow, engine=answerer.engine)
    return Dialer(engine=answerer.engine)
