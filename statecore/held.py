"""The runs that an engine holds in memory: taken up from the log when somebody asks for them, told of when they are at
rest, and let go of.

A run is at rest where nothing of it is under way: it is finished, parked, or waits for what is not this engine's to do.
What is not in memory is in the log, whole.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from statecore.call import Call, CallState, Flight
from statecore.checkpoint import Mark
from statecore.child import waiting
from statecore.contract import Contract
from statecore.errors import LogError, NotPossible, UnknownCall, UnknownWorkflow
from statecore.failpoint import Point, failpoint
from statecore.family import ancestors
from statecore.messages import Cancel, Elapsed, Interrupted
from statecore.replay import rebuild, recall
from statecore.run import Run
from statecore.specialist import Specialist
from statecore.standing import held_up
from statecore.workflow import Machine

if TYPE_CHECKING:
    from statecore.core import Core

RESTING = 64
"""Runs at rest that stay in memory, those that were touched last: who spoke to one tends to speak again soon. However
many more there are, they are taken up from the log when somebody asks for them.
"""


@attrs.define(eq=False)
class Held:
    """A run in memory. `parked`: why nothing can be done with it here. `ready`: what a crash cut is decided about,
    calls may start. `users`: tasks that are about to take a turn of it, or are taking one. `flights`: dispatched
    calls, each attempt with its task. `timers`: by call and wake. `first`: the cancellation that was decided before
    anything else of it was taken up. `mark`: how far its checkpoints reach. `children`: the child runs that are seen to.
    """

    run: Run
    machine: Machine | None
    parked: str = ""
    ready: bool = True
    users: int = 0
    first: Cancel | None = None
    mark: Mark = Mark()
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    flights: dict[Flight, asyncio.Task[None]] = attrs.field(factory=dict)
    timers: dict[tuple[str, float], asyncio.TimerHandle] = attrs.field(factory=dict)
    waiters: list[asyncio.Future[None]] = attrs.field(factory=list)
    children: set[str] = attrs.field(factory=set)

    def loaded(self) -> Machine:
        """Raises UnknownWorkflow where nothing can be done with the run here."""
        if self.machine is None:
            raise UnknownWorkflow(self.parked)
        return self.machine

    def specialist(self, call: Call) -> Specialist[Any, Any]:
        return self.loaded().chart.specialist(call)

    def settling(self, call: Call, name: str) -> Contract[Any]:
        """The contract that a settled result must fit, before it could count as an attempt that failed."""
        specialist = self.specialist(call)
        return specialist.gives_named(name) or specialist.gives[0]

    def answerable(self, name: str) -> Call:
        """The open call, or that of the state, which somebody may answer or settle. Raises UnknownCall, NotPossible."""
        calls = self.run.calls
        named = [call for call in calls.values() if call.state == name]
        if name not in calls and len(named) > 1:
            raise UnknownCall(
                f"{name} of {self.run.id} has {len(named)} open calls, which could each be meant: name one of"
                f" {', '.join(call.id for call in named)}"
            )
        found = calls.get(name) or (named[0] if named else None)
        if found is None:
            raise UnknownCall(f"{self.run.id} has no open call {name} (open: {', '.join(calls) or 'none'})")
        asked = found.kind == "person" and found.status is CallState.STARTED
        if not asked and found.status is not CallState.UNKNOWN:
            raise NotPossible(
                f"{found.id} of {self.run.id} is {found.status.value}: only a question to a person is answered, or a"
                " parked call settled, by hand"
            )
        return found

    def tell(self, error: Exception | None) -> None:
        """Whoever waits for it hears that it is at rest, or of the log that failed."""
        for waiter in self.waiters:
            if not waiter.done():
                if error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)
        self.waiters.clear()


class HeldRuns:
    """`held`: those in memory, by id. `taking_up`: those that are being read, and whoever wants one waits. `starting`:
    those whose first turn is being appended.
    """

    def __init__(self, core: "Core") -> None:
        self._core = core
        self.held: dict[str, Held] = {}
        self.taking_up: dict[str, asyncio.Future[None]] = {}
        self.starting: dict[str, asyncio.Event] = {}
        self._resting: dict[str, Held] = {}
        self._followers: dict[str, list[asyncio.Future[None]]] = {}
        self._users = 0

    # -- taking up

    @asynccontextmanager
    async def holding(self, run: str, first: Cancel | None = None) -> AsyncIterator[Held]:
        """A run in memory, taken up from its log where it was not, and kept there as long as somebody needs it.

        `first`: what is decided before anything else where it is taken up here. Raises UnknownRun.
        """
        while (held := self.held.get(run)) is None or not held.ready:
            if beginning := self.starting.get(run):
                await beginning.wait()
                continue
            if run not in self.taking_up:
                task = self.taking_up[run] = self._core.tasks.track(self._take_up(run, first))
                task.add_done_callback(lambda _: self.taking_up.pop(run))
            await asyncio.shield(self.taking_up[run])
        self.use(held)
        try:
            yield held
        finally:
            self.release(held)

    async def state(self, run: str) -> Run:
        """The run as it is now. Raises UnknownRun, Unreadable."""
        held = self.held.get(run)
        return held.run if held and held.run.seq else await rebuild(self._core.log, run)

    async def take_up(self, run: str) -> None:
        """Hold a run once, so that what its log says is done. Raises UnknownRun."""
        async with self.holding(run):
            pass

    async def _take_up(self, name: str, first: Cancel | None) -> None:
        """Load a run as its log left it. What was in flight then was cut, and is decided about before anything is
        dispatched.
        """
        held, moves = await self._load(name), self._core.acts.moves
        self.held[name], held.ready = held, False
        waited = waiting(held.run)
        try:
            first = first or await self._core.children.orphaned(held.run)
            if first is not None and held.machine is not None and not held.run.outcome:
                await self._end_with(held, first)
            for call in list(held.run.calls.values()) if held.machine else ():
                failpoint(Point.DURING_RESUME)
                await self._take_up_call(held, call)
        except Exception as error:
            if error is self._core.broken:
                raise
            self.park(held, error)
        held.ready = True
        held.children.update(waited)  # those that it went on without meanwhile are ended, the others seen to
        held.children -= waiting(held.run).keys()
        self._core.acts.act(held, max(self._core.clock.now(), held.run.at), taken_up=True)
        if self._core.acts.moves != moves:
            self._core.acts.ask_soon()

    async def _end_with(self, held: Held, cancel: Cancel) -> None:
        """What a crash cut and must not be repeated is on record as unknown before the run ends; the rest just ends."""
        for call in list(held.run.calls.values()):
            if call.effect == "once" and call.status is CallState.STARTED:
                await self._take_up_call(held, call)
        if not held.run.outcome:
            held.first = cancel
            await self._core.turns.take(held, cancel)

    async def _take_up_call(self, held: Held, call: Call) -> None:
        """A deferred call without a wake is asked for at once: what it waited for may have ended with the process."""
        take, now = self._core.turns.take, self._core.clock.now
        if call.copied or (call.status is CallState.STARTED and not call.kind):
            await take(held, Interrupted(call.id, now()))
        elif call.status is CallState.DEFERRED and call.wake is None:
            await take(held, Elapsed(call=call.id, at=now()))
        elif call.status is CallState.UNKNOWN:
            self._core.flights.reconcile(held, call.id)

    async def _load(self, name: str) -> Held:
        try:
            run, mark = await recall(self._core.log, name)
        except LogError as error:
            return Held(Run(id=name), None, str(error))
        try:
            machine = self._core.registry.of(run)
            why = held_up(machine, run)
            return Held(run, None if why else machine, why, mark=mark)
        except UnknownWorkflow as error:
            return Held(run, None, str(error))

    def forget_unloaded(self, run: str) -> None:
        """What could not be taken up is looked at anew: its workflow may be loaded by now."""
        held = self.held.get(run)
        if held is not None and held.machine is None and self.at_rest(held):
            del self.held[run]

    # -- rest

    def use(self, held: Held) -> None:
        held.users += 1
        self._users += 1
        self._resting.pop(held.run.id, None)
        if self._followers:
            self._stir(held.run.id)

    def release(self, held: Held) -> None:
        held.users -= 1
        self._users -= 1
        self._settle(held)
        if self._core.acts.deferred and not self._moving():
            for paused in list(self._core.acts.deferred.values()):
                if paused.waiters or paused.run.parent:
                    self._settle(paused, moving=False)

    async def rest(self, run: str) -> Run:
        """A run as soon as it is at rest. Raises UnknownRun, and LogError where the log failed meanwhile."""
        if self._core.broken is not None:
            raise self._core.broken
        held = self.held.get(run)
        if held is None:
            return await self.state(run)
        if not self.at_rest(held):
            done = asyncio.get_running_loop().create_future()
            held.waiters.append(done)
            try:
                await done
            finally:
                held.waiters = [waiter for waiter in held.waiters if waiter is not done]
        return held.run

    async def stirring(self, run: str) -> bool:
        """Wait until something is under way with a run that is at rest, or with one below it. False where the engine is
        closed first, which reads no log any more.
        """
        if not (self.working(run) or self._core.closing):
            following = asyncio.get_running_loop().create_future()
            self._followers.setdefault(run, []).append(following)
            try:
                await following
            finally:
                self._left(run, following)
        return not self._core.closing

    def _left(self, run: str, following: asyncio.Future[None]) -> None:
        """Whoever followed may have gone away."""
        left = [other for other in self._followers.pop(run, ()) if other is not following]
        if left:
            self._followers[run] = left

    def _stir(self, run: str) -> None:
        for name in (run, *ancestors(run, self._followers)):
            for following in self._followers.pop(name, ()):
                if not following.done():
                    following.set_result(None)

    def stir_all(self) -> None:
        for run in list(self._followers):
            self._stir(run)

    def at_rest(self, held: Held, moving: bool | None = None) -> bool:
        """`moving`: whether anything is, where that is known."""
        if held.users or held.flights or held.timers or not held.ready:
            return False
        if held.machine is not None and held.run.condition == "paused":
            moving = self._moving() if moving is None else moving
            if moving:
                return False
        below = (self.held.get(name) for name in held.children)
        return not any(child and not self.at_rest(child, moving) for child in below)

    def _moving(self) -> bool:
        """Whether anything is under way that may let a call start which a guard holds."""
        return bool(self._users or self.taking_up or self._core.acts.asking) or any(
            held.timers for held in self.held.values()
        )

    def working(self, run: str) -> bool:
        held = self.held.get(run)
        return run in self.starting or (held is not None and not self.at_rest(held))

    def busy(self) -> str | None:
        """A run that is not at rest."""
        return next((run for run, held in self.held.items() if not self.at_rest(held)), None)

    def _settle(self, held: Held, moving: bool | None = None) -> None:
        """Tell whoever waits for a run at rest, and let go of it: the log has it."""
        if self.at_rest(held, moving):
            held.tell(self._core.broken)
            if self.held.get(held.run.id) is held:
                if held.run.outcome:
                    del self.held[held.run.id]
                elif _asleep(held):
                    self._keep_resting(held)
            if parent := self.held.get(held.run.parent):
                self._settle(parent)

    def _keep_resting(self, held: Held) -> None:
        self._resting[held.run.id] = held
        if len(self._resting) > RESTING:
            oldest = self._resting.pop(next(iter(self._resting)))
            if self.at_rest(oldest) and self.held.get(oldest.run.id) is oldest:
                del self.held[oldest.run.id]

    @contextmanager
    def aside(self, names: list[str]) -> Iterator[None]:
        """Runs at rest are let go of, and whoever wants one waits until their logs say something else. Raises
        NotPossible where one is worked on.
        """
        if busy := [name for name in names if name in self.taking_up or self.working(name)]:
            raise NotPossible(f"{', '.join(busy)}: worked on here: migrate what is at rest, or before it is taken up")
        done = asyncio.get_running_loop().create_future()
        self.taking_up |= dict.fromkeys(names, done)
        try:
            for name in names:
                if self.held.pop(name, None) is not None:
                    self._core.acts.deferred.pop(name, None)
                    self._resting.pop(name, None)
            yield
        finally:
            for name in names:
                self.taking_up.pop(name, None)
            done.set_result(None)

    def tell_all(self) -> None:
        for held in self.held.values():
            held.tell(self._core.broken)
        self.stir_all()

    # -- work for a run

    def spawn(self, held: Held, work: Callable[[], Awaitable[Any]]) -> "asyncio.Task[None]":
        """A task that works for a run, which is not at rest until it is over."""
        self.use(held)
        task = self._core.tasks.track(self.quietly(held, work))
        task.add_done_callback(partial(self._spent, held))
        return task

    def _spent(self, held: Held, task: "asyncio.Task[Any]") -> None:
        self._core.flights.dispatcher.forget(task)
        self.release(held)

    async def quietly(self, held: Held | None, work: Callable[[], Awaitable[Any]]) -> None:
        """Nobody waits for this turn: a log that failed has told everyone already, and any other fault parks this
        run and no other.
        """
        try:
            await work()
        except Exception as error:
            if held is not None:
                self.park(held, error)

    def park(self, held: Held, error: Exception) -> None:
        """Here and now nothing more can be done with a run; its log is as it was, and a later `resume` tries again."""
        if error is self._core.broken or held.machine is None:
            return
        held.parked, held.machine = f"{type(error).__name__}: {error}", None
        self._core.acts.leave(held)
        self._core.acts.ask_again_soon()


def _asleep(held: Held) -> bool:
    """Whether to take the run up again would be to read it, and nothing else: it waits for a signal or a person."""

    def asleep(call: Call) -> bool:
        if call.status is CallState.UNKNOWN:
            return held.specialist(call).reconcile is None
        return call.status is CallState.STARTED and call.kind == "person"

    return held.machine is not None and all(asleep(call) for call in held.run.calls.values())
