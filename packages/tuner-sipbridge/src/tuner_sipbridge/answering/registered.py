"""Calls contacts that have registered: an agent platform that logs in at our registrar is called there."""

from __future__ import annotations

import asyncio

from tuner_sipbridge.answering.reception import Reception
from tuner_sipbridge.answering.results import Progress, Results
from tuner_sipbridge.call.bindings import Binding
from tuner_sipbridge.call.registrar import Registered, Removed
from tuner_sipbridge.caller.answering_plan import AnsweringPlan, Registrations
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.net import clock
from tuner_sipbridge.net.ids import new_correlation_id, new_sip_call_id


class RegisteredCaller:
    """Plays the plan's scenario to each contact, once, when it registers."""

    def __init__(self, plan: AnsweringPlan, reception: Reception, results: Results, dialer: Dialer) -> None:
        self._scenario = plan.on_registration
        self._settings = plan.settings.registrations or Registrations()
        self._reception, self._results, self._dialer = reception, results, dialer
        self._calling: set[asyncio.Task[None]] = set()

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
            await self._dial(str(binding.contact), number)
        except Exception as error:
            self._reception.fail(error)
        finally:
            self._reception.one_over()

    async def _dial(self, target: str, number: int) -> None:
        scenario, agent = self._scenario, self._settings.agent
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
        run = await self._dialer.run(
            target, scenario, agent=agent, sip_call_id=call_id, correlation_id=correlation_id
        )
        await self._results.settle(run, number=number, rule=scenario.name, agent=agent)
