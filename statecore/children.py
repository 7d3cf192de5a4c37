"""Child runs, as the engine sees to them: begun with their parent's turn, reported to it at their end, ended where it
does without them.

A call of a child workflow and the first turn of its run are one batch, so neither is there without the other. All else
is a turn of one run, and what a crash left half done between two runs is found again from their logs: an end that was
not reported yet when the parent is taken up, a child that nobody waits for when the child is.

Locks are taken by one run at a time, so no two runs wait for each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import attrs

from statecore.admission import Admission
from statecore.call import Call
from statecore.child import outcome, waiting
from statecore.decider import step
from statecore.envelope import DERIVED
from statecore.errors import LogError, StatecoreError, UnknownRun
from statecore.events import CallStarted, Event
from statecore.failures import TimedOut
from statecore.log import Append
from statecore.messages import Cancel, Failed, Start
from statecore.replay import rebuild
from statecore.run import Run
from statecore.workflow import Machine

if TYPE_CHECKING:
    from statecore.core import Core
    from statecore.held import Held


@attrs.frozen
class Begun:
    """A run as its first turn leaves it, and that turn."""

    machine: Machine
    run: Run
    append: Append


class Children:
    """`reports`: of children that are finished, to parents that are not in memory yet."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._reading: dict[str, asyncio.Task[Run]] = {}
        self.reports: set[asyncio.Task[None]] = set()

    # -- beginnings

    def begun(
        self, machine: Machine, run: Run, events: Sequence[Event], at: float, admission: Admission
    ) -> Iterator[Begun]:
        """The first turns of the runs that a turn calls for, and of those that these call for at once."""
        if not machine.chart.composed:
            return
        started = {event.call for event in events if isinstance(event, CallStarted) and event.kind == "workflow"}
        for call in waiting(run).values() if started else ():
            if call.id in started:
                yield from self._born(machine, run, call, at, admission)

    def _born(self, machine: Machine, parent: Run, call: Call, at: float, admission: Admission) -> Iterator[Begun]:
        declared = machine.chart.specialist(call).machine
        assert declared is not None
        child = declared()
        value = child.takes.unpack(call.request)
        trusted = DERIVED if all(parent.values[id].trusted for id in call.reads) else ""
        start = Start(call.child, value, at, parent.tenant, parent.root, trusted, parent.id, parent.depth + 1)
        events, run = step(child, Run(id=call.child), start, admission)
        yield Begun(child, run, Append(run.id, 0, events, at, "Start", run.label))
        yield from self.begun(child, run, events, at, admission)

    # -- after each turn of a parent

    def act(self, held: "Held") -> None:
        """See to the children that its calls wait for, and end those that none does any more."""
        if held.machine is None or not held.machine.chart.composed:
            return
        wanted = waiting(held.run)
        for name in sorted(held.children - wanted.keys()):
            self._core.runs.spawn(held, partial(self._end, held.run, name))
        for name, call in wanted.items():
            if name not in held.children and name not in self._core.runs.held:
                self._core.runs.spawn(held, partial(self._tend, held, call))
        held.children = set(wanted)

    def limits(self, held: "Held") -> Iterator[tuple[Call, float, float]]:
        """The calls that have only so long: until when, and how many seconds that were."""
        if held.machine is None or not held.machine.chart.composed:
            return
        for call in waiting(held.run).values():
            state = held.machine.chart.work(call)
            if state.limited:
                yield call, call.since + state.timeout, state.timeout

    def overdue(self, held: "Held", call: Call, limit: float) -> None:
        held.timers.pop((call.id, call.since + limit), None)
        if not self._core.closing:
            self._core.runs.spawn(held, partial(self._time_out, held, call, limit))

    async def _time_out(self, held: "Held", call: Call, limit: float) -> None:
        if call.child in waiting(held.run):
            at = max(self._core.clock.now(), call.since + limit)
            failure = TimedOut(f"no outcome after {limit:g} s", limit)
            late = Failed(failure, call.id, call.attempt, at, rank=call.rank, child=call.child)
            await self._core.turns.take(held, late)

    async def _tend(self, held: "Held", call: Call) -> None:
        """The child of a call as the log has it: not there yet, at work, or at its end."""
        try:
            child = await self._core.runs.state(call.child)
        except UnknownRun:
            await self._begin(held, call)
            return
        if child.outcome:
            await self._deliver(child)
        else:
            await self._core.runs.take_up(call.child)

    async def _begin(self, held: "Held", call: Call) -> None:
        """One that was never begun: of a parent that was copied without it, by a fork or an import."""
        turns = self._core.turns
        admission = await turns.configured()  # it may be the first turn that this engine takes
        async with held.lock:
            if held.machine is None or self._core.closing or call.child not in waiting(held.run):
                return
            begun = list(self._born(held.machine, held.run, call, self._core.clock.now(), admission))
            with turns.beginning(*(each.run.id for each in begun)):
                await turns.append(*(each.append for each in begun))
                turns.hold(begun)

    # -- endings

    def report(self, child: Run) -> None:
        """Tell a parent that its child is finished. Until then the parent is not at rest."""
        parent = self._core.runs.held.get(child.parent)
        work = partial(self._deliver, child)
        if parent is None:
            task = self._core.tasks.track(self._quietly(work))
            self.reports.add(task)
            task.add_done_callback(self.reports.discard)
        else:
            self._core.runs.spawn(parent, work)

    @staticmethod
    async def _quietly(work: Callable[[], Awaitable[None]]) -> None:
        with suppress(StatecoreError):
            await work()

    async def _deliver(self, child: Run) -> None:
        """The outcome of the call, once: a call that has one is not open any more."""
        try:
            async with self._core.runs.holding(child.parent) as held:
                call = waiting(held.run).get(child.id)
                if call is None or held.machine is None:
                    return
                found = outcome(call, held.machine.chart.specialist(call), child)
                await self._core.flights.land(held, attrs.evolve(found, at=self._core.clock.now()))
        except UnknownRun:
            return  # it was exported without its parent

    async def _end(self, parent: Run, child: str) -> None:
        """A child that is finished, or cannot be taken up here, stays as it is."""
        with suppress(StatecoreError):
            await self._core.turns.cancel(child, self._cancel(parent))

    def _cancel(self, parent: Run) -> Cancel:
        if parent.outcome == "cancelled":
            by, why = parent.by, _with(parent.id)
        else:
            by, why = "", f"its parent {parent.id} went on without it"
        return Cancel(self._core.clock.now(), by or f"run {parent.id}", why)

    async def orphaned(self, child: Run) -> Cancel | None:
        """What ends a child that is taken up, where its parent does not wait for it any more, or nobody for its parent."""
        above = child
        while above.parent and not child.outcome:
            try:
                parent = await self._parent(above.parent)
            except (UnknownRun, LogError):
                return None  # nothing is known of it: it was exported without its parent, or that cannot be read
            if above.id not in waiting(parent):
                cancel = self._cancel(parent)
                return cancel if above is child else attrs.evolve(cancel, why=_with(child.parent))
            above = parent
        return None

    async def _parent(self, run: str) -> Run:
        """Read once for all its children, and without waiting until it is taken up, which may wait for them."""
        held = self._core.runs.held.get(run)
        if held is not None and held.run.seq:
            return held.run
        if run not in self._reading:
            task = self._reading[run] = self._core.tasks.track(rebuild(self._core.log, run))
            task.add_done_callback(lambda _: self._reading.pop(run))
        return await asyncio.shield(self._reading[run])


def _with(parent: str) -> str:
    return f"cancelled with its parent {parent}"
