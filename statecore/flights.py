"""Calls in flight: each attempt from its dispatch to the turn that takes its outcome, and receivers that are asked what
became of one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from statecore.call import Call
from statecore.dispatch import Dispatcher, Outcome
from statecore.errors import BadInput, StatecoreError
from statecore.failures import NotDone, Rejected, told
from statecore.held import Held
from statecore.messages import Completed, Failed, Input
from statecore.versions import name_of
from statecore.workflow import Machine

if TYPE_CHECKING:
    from statecore.core import Core

YIELD = 16
"""Turns that one run takes in a row before it lets the others in: a log in memory makes nobody wait."""


class Flights:
    def __init__(self, core: "Core") -> None:
        self._core = core
        self.dispatcher = Dispatcher(str(core.log.home or ""), core.clock.now)

    def begin(self, held: Held, machine: Machine, call: Call, onward: list[Call] | None) -> "asyncio.Task[None]":
        """The flight of a call: the one that has just landed, where there is one and it was not stopped; else a new
        one.
        """
        task = asyncio.current_task()
        if task is None or onward is None or onward or task.cancelling():
            task = self._core.runs.spawn(held, partial(self._fly, held, machine, call))
        else:
            onward.append(call)
        self.dispatcher.watch(task)
        return task

    async def _fly(self, held: Held, machine: Machine, call: Call) -> None:
        """One attempt after the other, each from its dispatch to its turn, as long as one turn starts the next. Only
        the work itself can be stopped; the turn is taken whole.
        """
        onward, landed = [call], 0
        while onward:
            call = onward.pop()
            try:
                await self._attempt(held, machine, call, onward)
            finally:
                held.flights.pop(call.flight, None)
            landed += 1
            if onward and landed % YIELD == 0:
                await asyncio.sleep(0)

    async def _attempt(self, held: Held, machine: Machine, call: Call, onward: list[Call]) -> None:
        work = machine.chart.work(call)
        specialist = work.specialists[call.rank]
        request = specialist.takes.unpack(call.request)
        outcome = await self.dispatcher.run(specialist, request, call, work.timeout, self.late)
        if outcome is not None:
            await self.land(held, outcome, onward)

    async def land(self, held: Held, outcome: Outcome, onward: list[Call] | None = None) -> None:
        """Take the turn of an outcome. An output that is too large for the log is a rejected one."""
        try:
            await self._core.turns.take(held, outcome, onward)
        except BadInput as fault:
            rejected = Rejected("the log", (told(fault),))
            failed = Failed(rejected, outcome.call, outcome.attempt, outcome.at, rank=outcome.rank)
            await self._core.turns.take(held, failed, onward)

    def late(self, run: str, outcome: Outcome) -> None:
        """What becomes of the outcome of work that could not be stopped: nothing, but it is recorded."""
        if not self._core.closing and self._core.broken is None:
            self._core.tasks.track(self._note(run, attrs.evolve(outcome, at=self._core.clock.now())))

    async def _note(self, run: str, outcome: Outcome) -> None:
        with suppress(StatecoreError):
            await self._core.turns.hear(run, lambda _: outcome)

    def reconcile(self, held: Held, call: str) -> None:
        """Ask the receiver of a parked call what became of it, where its specialist knows how."""
        found = held.run.calls.get(call)
        if found is None or held.machine is None or found.copied:
            return
        ask = held.specialist(found).reconcile
        if ask is not None and not self._core.closing:
            limit = held.machine.chart.work(found).timeout
            self._core.runs.spawn(held, partial(self._ask_receiver, held, found, ask, limit))

    async def _ask_receiver(
        self, held: Held, call: Call, reconcile: Callable[[Call], Awaitable[Any]], limit: float
    ) -> None:
        """A receiver that cannot be asked, does not know, or gives what is no result, leaves the call to a person."""
        at, by, why = self._core.clock.now, "reconcile", "the receiver was asked by the call's key"
        try:
            async with asyncio.timeout(limit):
                found = await reconcile(attrs.evolve(call, home=self.dispatcher.home))
            if found is None or held.machine is None:
                return
            held.settling(call, name_of(type(found))).pack(found)
            settled: Input = Completed(found, call.id, at=at(), by=by, why=why)
        except NotDone as failure:
            settled = Failed(failure, call.id, at=at(), by=by, why=why)
        except Exception:
            return
        await self._core.turns.take(held, settled)
