"""What follows a commit: dispatch what was started, stop what was left, wait where a time is set, ask again where a guard
held a call.

All of it is read from the run as it is now, so it may be done again after any turn, and is the same after a restart.
"""

import asyncio
from collections.abc import Container, Iterable
from functools import partial
from typing import TYPE_CHECKING

import attrs

from statecore.alarm import Alarms
from statecore.call import Call, CallState
from statecore.events import CallCompleted, CallFailed, CallUnknown, Cancelled, Event, Moved
from statecore.held import Held
from statecore.messages import Elapsed
from statecore.run import Run

if TYPE_CHECKING:
    from statecore.core import Core

LANDINGS = (CallCompleted, CallFailed, CallUnknown, Cancelled)


def frees(event: Event) -> bool:
    """Whether a guard that holds a call may answer differently after it: a call has ended, or was left in flight."""
    return isinstance(event, LANDINGS) or (isinstance(event, Moved) and bool(event.left))


class Acts:
    """`deferred`: the runs with a call that a guard holds until something moves. `moves`: how often something has."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self.alarms = Alarms(core.clock, self._ring)
        self.deferred: dict[str, Held] = {}
        self.asking = False
        self.moves = 0

    def act(self, held: Held, now: float, onward: list[Call] | None = None, *, taken_up: bool = False) -> None:
        """Do what the log now says. `onward`: as for a turn. `taken_up`: what the log says was begun by another process."""
        machine, core = held.machine, self._core
        if core.stopped or core.broken is not None or machine is None or not held.ready:
            return
        started = [call for call in held.run.calls.values() if call.status is CallState.STARTED and not call.kind]
        wanted = {call.flight: call for call in started}
        for key in [key for key in held.flights if key not in wanted]:
            flight = held.flights.pop(key)
            if flight is not asyncio.current_task():
                core.flights.dispatcher.stop_one(flight)
        for key, call in wanted.items():
            if key not in held.flights:
                held.flights[key] = core.flights.begin(held, machine, call, onward)
        self._set_timers(held, now, taken_up)
        core.children.act(held)
        if any(call.status is CallState.DEFERRED and call.wake is None for call in held.run.calls.values()):
            self.deferred[held.run.id] = held
        else:
            self.deferred.pop(held.run.id, None)

    def leave(self, held: Held) -> None:
        """Wait for nothing of a run any more."""
        stop_timers(held)
        self.alarms.drop(held.run.id)
        self.deferred.pop(held.run.id, None)

    def close(self) -> None:
        """Wait for nothing any more."""
        self.alarms.stop()
        for held in self._core.runs.held.values():
            stop_timers(held)

    # -- calls that a guard holds

    def moved(self, held: Held, events: Iterable[Event], before: int) -> None:
        """After a turn of `held`. `before`: how many moves there had been when it was decided."""
        if any(map(frees, events)):
            self.ask_again_soon()
        elif self.moves != before and held.run.id in self.deferred:  # something moved while this was being written
            self.ask_soon()

    def ask_again_soon(self) -> None:
        """Something moved: what a guard holds may start by now, and what is being written as held, as soon as it is."""
        self.moves += 1
        self.ask_soon()

    def ask_soon(self) -> None:
        if self.deferred and not self.asking:
            self.asking = True
            asyncio.get_running_loop().call_soon(self._ask_again)

    def _ask_again(self) -> None:
        self.asking = False
        for held in list(self.deferred.values()):
            for call in held.run.calls.values():
                if call.status is CallState.DEFERRED and call.wake is None:
                    self._elapsed(held, call)

    # -- times

    def _set_timers(self, held: Held, now: float, taken_up: bool) -> None:
        """A wait counts from the turn that began it, and goes on by the loop's time whatever comes meanwhile: a clock
        that jumps neither cuts it short nor draws it out. What is left of one that another process began, the clock
        says; where it was put back behind that call, all of its time, and what another call began cuts none short.
        """
        core = self._core
        waiting = [call for call in held.run.calls.values() if call.status is not CallState.STARTED]
        wanted = {(call.id, call.wake): partial(self._elapsed, held, call) for call in waiting if call.wake is not None}
        for call, until, limit in core.children.limits(held):
            wanted[call.id, until] = partial(core.children.overdue, held, call, limit)
        stop_timers(held, {} if core.closing else wanted)
        if core.closing:
            return
        loop = asyncio.get_running_loop()
        for key, due in wanted.items():
            if key not in held.timers:
                begun = max(now, held.run.calls[key[0]].since) if taken_up else now
                held.timers[key] = loop.call_later(max(0.0, key[1] - begun), due)

        far = [(due, since) for due, since, _ in _far(held.run)]
        if not far:
            self.alarms.drop(held.run.id)
            return
        first, since = min(far)
        if first <= max(core.clock.now(), since):  # the turn may say a later time: that of a wait by an earlier clock
            core.runs.spawn(held, partial(self._over, held, first))
        else:
            self.alarms.set(held.run.id, first, since)

    def _elapsed(self, held: Held, call: Call) -> None:
        """Never earlier than the wake, by whichever clock the timer ran: a guard would defer to the same wake once
        more.
        """
        core = self._core
        if call.wake is not None:
            held.timers.pop((call.id, call.wake), None)
        if not core.closing:
            elapsed = Elapsed(call=call.id, at=max(core.clock.now(), call.wake or 0.0))
            core.runs.spawn(held, partial(core.turns.take, held, elapsed))

    def _ring(self, run: str, due: float) -> None:
        runs = self._core.runs
        held = runs.held.get(run)
        if held is not None and held.ready:
            runs.spawn(held, partial(self._over, held, due))
        else:
            self._core.tasks.track(runs.quietly(None, partial(runs.take_up, run)))

    async def _over(self, held: Held, due: float) -> None:
        """Take what is due by then, the earliest first."""
        while found := [far for far in _far(held.run) if far[0] <= due]:
            at, _, input = min(found, key=lambda far: far[0])
            if not await self._core.turns.take(held, attrs.evolve(input, at=max(self._core.clock.now(), at))):
                return


def stop_timers(held: Held, wanted: Container[tuple[str, float]] = ()) -> None:
    for key in [key for key in held.timers if key not in wanted]:
        held.timers.pop(key).cancel()


def _far(run: Run) -> list[tuple[float, float, Elapsed]]:
    """The waits and deadlines of a run: when each is over, since when it is set, and the input that says it is over."""
    people = [call for call in run.calls.values() if call.status is CallState.STARTED and call.wake is not None]
    return [
        *((timer.due, timer.since, Elapsed(state=timer.state)) for timer in run.timers.values()),
        *((call.wake or 0.0, call.since, Elapsed(call=call.id)) for call in people),
    ]
