"""The engine: the only code that waits. It asks the decider what happens next, appends that in one commit, and then does it.

Nothing happens between the decision and the commit, so there is nothing to roll back; a crash after the commit is repaired from the
log alone. Runs are independent; the inputs of one run are taken one after the other. Only an engine appends to a log, and one engine
has a log at a time.

An append that fails leaves the engine broken: it starts nothing more, and whoever waits is told. What is in the log by then is found
by opening it again.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from statecore.call import Call, CallState
from statecore.clock import Clock, SystemClock
from statecore.contract import Contract
from statecore.decider import Guarded, step
from statecore.dispatch import Dispatcher
from statecore.errors import (
    BadInput,
    Conflict,
    LogError,
    LogFailed,
    NotPossible,
    StatecoreError,
    UnknownCall,
    UnknownRun,
    UnknownWorkflow,
)
from statecore.events import CallCompleted, CallFailed, CallUnknown, Cancelled, Event, Moved
from statecore.failpoint import Point, failpoint
from statecore.failures import Failure, NotDone
from statecore.guard import Guard
from statecore.ledger import Ledger
from statecore.log import Append, Batch, Log
from statecore.messages import Cancel, Completed, Elapsed, Failed, Input, Interrupted, Signal, Start
from statecore.registry import Registry
from statecore.run import Run, fold
from statecore.specialist import Specialist
from statecore.workflow import Machine, Workflow

T = TypeVar("T")
R = TypeVar("R")

OPEN = frozenset({"running", "waiting", "paused", "parked"})
"""The conditions of a run that is not finished, and so the labels to look for after a crash."""

GRACE = 2.0
"""Seconds that `close` gives the calls in flight to end by themselves."""

LANDINGS = (CallCompleted, CallFailed, CallUnknown, Moved, Cancelled)
"""Events after which a guard that holds a call may answer differently."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def fresh_id() -> str:
    """Twelve letters and digits, 60 random bits: short enough to type, and a clash is refused by the log."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))


@attrs.define(eq=False)
class _Held:
    """A run in memory. `parked`: why nothing can be done with it here. `ready`: what a crash cut is decided about, calls may start. `flights`: dispatched calls, each with its attempt."""

    run: Run
    machine: Machine | None
    parked: str = ""
    ready: bool = True
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    flights: dict[tuple[str, int, int, int], asyncio.Task[None]] = attrs.field(factory=dict)
    timers: dict[str, asyncio.TimerHandle] = attrs.field(factory=dict)
    waiters: list[asyncio.Future[None]] = attrs.field(factory=list)


def _flight(call: Call) -> tuple[str, int, int, int]:
    return call.id, call.rank, call.attempt, call.cuts


class Engine:
    """Runs workflows on a log. Use it as an async context manager; leaving it stops the work cleanly and closes the log.

    `workflows`: those whose runs it may take up. `guards`: asked for every call, before those of its state. `clock`, `ids`: ports.
    """

    def __init__(
        self,
        log: Log,
        workflows: Iterable[type[Workflow[Any]]] = (),
        *,
        guards: Iterable[Guard[Any]] = (),
        clock: Clock | None = None,
        ids: Callable[[], str] = fresh_id,
    ) -> None:
        self.log, self.registry, self.clock, self.ids = log, Registry(workflows), clock or SystemClock(), ids
        self.ledger = Ledger()
        self._admission = Guarded(self.ledger, tuple(guards))
        self._dispatcher = Dispatcher(str(log.home or ""))
        self._held: dict[str, _Held] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._deferred: dict[str, _Held] = {}
        self._broken: StatecoreError | None = None
        self._closing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    # -- what a user asks for

    async def start(self, workflow: type[Workflow[T]], value: T, *, run: str = "", tenant: str = "") -> str:
        """Begin a run and give its id; the work goes on by itself.

        Raises BadInput where `value` is not what the workflow takes, Conflict where the id is taken, LogError.
        """
        machine = self.registry.add(workflow)
        id = run or self.ids()
        held = _Held(Run(id=id), machine)
        await self._shielded(self._begin(held, Start(id, value, self.clock.now(), tenant)))
        return id

    async def run(self, workflow: type[Workflow[T]], value: T, *, run: str = "", tenant: str = "") -> Run:
        """Begin a run and wait until it is at rest."""
        return await self.wait(await self.start(workflow, value, run=run, tenant=tenant))

    async def wait(self, run: str) -> Run:
        """The run as soon as nothing of it is in flight or timed here: finished, parked, or waiting for the world outside.

        Raises UnknownRun; LogError where the log failed meanwhile.
        """
        held = self._held.get(run)
        if held is None:
            return await self.state(run)
        if not self._at_rest(held):
            done = asyncio.get_running_loop().create_future()
            held.waiters.append(done)
            await done
        return held.run

    async def state(self, run: str) -> Run:
        """The run as it is now. Raises UnknownRun, Unreadable."""
        held = self._held.get(run)
        return held.run if held and held.run.seq else await self._read(run)

    def parked(self, run: str) -> str:
        """Why this engine can do nothing with a run that it holds; "" where it can."""
        held = self._held.get(run)
        return held.parked if held else ""

    async def resume(self, run: str | None = None) -> list[str]:
        """Take up every run that is not finished (or one), as its log left it; their ids, in the order in which they began.

        A run that cannot be taken up here (its workflow is not loaded, a turn cannot be read) is parked with the reason and stops no other.
        """
        names = [run] if run else [info.name for info in await self.log.streams(labels=OPEN)]
        taken = [name for name in names if name not in self._held]
        for name in taken:
            await self._take_up(name)
        return names

    async def _take_up(self, name: str) -> _Held:
        """Load a run as its log left it. What was in flight then was cut, and is decided about before anything is dispatched."""
        held = self._held[name] = await self._load(name)
        held.ready = False
        for call in list(held.run.calls.values()) if held.machine else ():
            failpoint(Point.DURING_RESUME)
            if call.status is CallState.STARTED:
                await self._take(held, Interrupted(call.id, self.clock.now()))
        held.ready = True
        self._act(held)
        return held

    async def answer(self, run: str, call: str, outcome: Any, *, by: str, why: str) -> Run:
        """Settle a call that is parked: with its result, or with NotDone. The run as it is then.

        Raises UnknownRun, UnknownCall, NotPossible where the call is not parked, BadInput where its contract does not admit the result.
        """
        if not by:
            raise BadInput("expected the name of who settles the call, found none: say `by`")
        held = await self._hold(run)
        found = self._parked_call(held, call)
        if isinstance(outcome, Failure):
            settled: Input = Failed(outcome, found.id, at=self.clock.now(), by=by, why=why)
        else:
            specialist = self._specialist(held, found)
            (specialist.gives_named(type(outcome).__name__) or specialist.gives[0]).pack(outcome)
            settled = Completed(outcome, found.id, at=self.clock.now(), by=by, why=why)
        await self._shielded(self._take(held, settled))
        return held.run

    async def gives(self, run: str, call: str) -> tuple[Contract[Any], ...]:
        """The contracts that a parked call may be settled with. Raises as `answer` does."""
        held = await self._hold(run)
        return self._specialist(held, self._parked_call(held, call)).gives

    async def drain(self) -> None:
        """Wait until every run that this engine holds is at rest."""
        while busy := [run for run, held in self._held.items() if not self._at_rest(held)]:
            await self.wait(busy[0])

    async def signal(self, run: str, value: Any, *, by: str = "") -> tuple[Event, ...]:
        """Tell a run something that answers no call; the events that it led to. Raises UnknownRun, BadInput."""
        held = await self._hold(run)
        return await self._shielded(self._take(held, Signal(value, at=self.clock.now(), by=by)))

    async def cancel(self, run: str, *, by: str, why: str) -> Run:
        """End a run as cancelled; its calls in flight are stopped. Raises UnknownRun, NotPossible where it is finished."""
        held = await self._hold(run)
        await self._shielded(self._take(held, Cancel(self.clock.now(), by, why)))
        return held.run

    async def close(self) -> None:
        """Start nothing more, give calls in flight a moment to end, stop the rest, and close the log.

        A call that is stopped leaves its CallStarted in the log: the next `resume` treats it as cut by a crash.
        """
        self._closing = True
        for held in self._held.values():
            for timer in held.timers.values():
                timer.cancel()
        flights = [task for held in self._held.values() for task in held.flights.values()]
        if flights and self._broken is None:
            await asyncio.wait(flights, timeout=GRACE)
        self._dispatcher.stop()
        for task in (*flights, *self._tasks):
            task.cancel()
        await asyncio.gather(*flights, *self._tasks, return_exceptions=True)
        for held in self._held.values():
            self._tell(held)
        await self.log.close()

    # -- turns

    async def _begin(self, held: _Held, input: Start) -> None:
        await self._take(held, input)
        self._held[held.run.id] = held
        self._act(held)

    async def _take(self, held: _Held, input: Input) -> tuple[Event, ...]:
        """One turn: decide, append, fold, act. Between deciding and queueing nothing else of this process can run."""
        async with held.lock:
            if self._broken is not None:
                raise self._broken
            if held.machine is None:
                raise UnknownWorkflow(held.parked)
            events, after = step(held.machine, held.run, input, self._admission)
            if not events:
                return ()
            failpoint(Point.BEFORE_APPEND)
            await self._append(Append(held.run.id, held.run.seq, events, input.at, type(input).__name__, after.condition))
            failpoint(Point.AFTER_APPEND)
            held.run = after
        if held.run.id in self._held:
            self._act(held)
        for event in events:
            if isinstance(event, CallUnknown):
                self._reconcile(held, event.call)
        if self._deferred and any(isinstance(event, LANDINGS) for event in events):
            asyncio.get_running_loop().call_soon(self._ask_again)
        return events

    async def _append(self, append: Append) -> None:
        try:
            await self.log.append(Batch((append,)))
        except Conflict:
            raise
        except LogError as error:
            self._fail(error)
            raise

    def _act(self, held: _Held) -> None:
        """Do what the log now says: dispatch what was started, stop what was left, wait where a time is set."""
        if self._closing or self._broken is not None or not held.ready:
            return
        wanted = {_flight(call): call for call in held.run.calls.values() if call.status is CallState.STARTED}
        for key in [key for key in held.flights if key not in wanted]:
            flight = held.flights.pop(key)
            if flight is not asyncio.current_task():
                self._dispatcher.stop_one(flight)
        for key, call in wanted.items():
            if key not in held.flights and held.machine is not None:
                held.flights[key] = asyncio.create_task(self._fly(held, key, call))
        self._set_timers(held)
        if any(call.status is CallState.DEFERRED and call.wake is None for call in held.run.calls.values()):
            self._deferred[held.run.id] = held
        else:
            self._deferred.pop(held.run.id, None)
        self._settle(held)

    def _ask_again(self) -> None:
        """A call ended: those that a guard holds until something moves are asked for once more."""
        for held in list(self._deferred.values()):
            for call in held.run.calls.values():
                if call.status is CallState.DEFERRED and call.wake is None:
                    self._elapsed(held, call.id)

    def _set_timers(self, held: _Held) -> None:
        for timer in held.timers.values():
            timer.cancel()
        held.timers.clear()
        loop = asyncio.get_running_loop()
        for call in held.run.calls.values():
            if call.wake is not None:
                delay = max(0.0, call.wake - self.clock.now())
                held.timers[call.id] = loop.call_later(delay, self._elapsed, held, call.id)

    def _elapsed(self, held: _Held, call: str) -> None:
        held.timers.pop(call, None)
        self._spawn(held, self._asked_again(held, call))

    async def _asked_again(self, held: _Held, call: str) -> None:
        await self._take(held, Elapsed(call, self.clock.now()))
        self._settle(held)

    async def _fly(self, held: _Held, key: tuple[str, int, int, int], call: Call) -> None:
        """One attempt, from its dispatch to its turn. Only the work itself can be stopped; the turn is taken whole."""
        assert held.machine is not None
        state = held.machine.chart.state(call.state)
        specialist = state.specialists[call.rank]
        request = held.machine.contracts[call.request.contract].unpack(call.request)
        outcome = await self._dispatcher.run(specialist, request, call, state.timeout, self._late(held))
        if outcome is not None:
            await self._quietly(held, self._take(held, attrs.evolve(outcome, at=self.clock.now())))
        held.flights.pop(key, None)
        self._settle(held)

    def _late(self, held: _Held) -> Callable[[Completed[Any] | Failed[Failure]], None]:
        """What becomes of the outcome of work that could not be stopped."""

        def take(outcome: Completed[Any] | Failed[Failure]) -> None:
            if not self._closing and self._broken is None:
                self._spawn(held, self._take(held, attrs.evolve(outcome, at=self.clock.now())))

        return take

    def _reconcile(self, held: _Held, call: str) -> None:
        found = held.run.calls.get(call)
        if found is None or held.machine is None:
            return
        specialist = self._specialist(held, found)
        if specialist.reconcile is not None and not self._closing:
            self._spawn(held, self._ask_receiver(held, found, specialist.reconcile))

    async def _ask_receiver(self, held: _Held, call: Call, reconcile: Callable[[Call], Any]) -> None:
        """A receiver that cannot be asked, or does not know, leaves the call to a person."""
        at, by, why = self.clock.now, "reconcile", "the receiver was asked by the call's key"
        try:
            found = await reconcile(attrs.evolve(call, home=self._dispatcher.home))
        except NotDone as failure:
            await self._take(held, Failed(failure, call.id, at=at(), by=by, why=why))
        except Exception:
            return
        else:
            if found is not None:
                await self._take(held, Completed(found, call.id, at=at(), by=by, why=why))

    # -- runs in memory

    async def _hold(self, run: str) -> _Held:
        held = self._held.get(run) or await self._take_up(run)
        if held.machine is None:
            raise UnknownWorkflow(held.parked)
        return held

    async def _load(self, name: str) -> _Held:
        try:
            run = await self._read(name)
        except LogError as error:
            return _Held(Run(id=name), None, str(error))
        try:
            return _Held(run, self.registry.of(run))
        except UnknownWorkflow as error:
            return _Held(run, None, str(error))

    async def _read(self, name: str) -> Run:
        run = Run(id=name)
        async for turn in self.log.read(name):
            run = fold(run, turn.events, turn.at)
        if not run.seq:
            raise UnknownRun(f"no run {name} in this log: `statecore runs` lists those that are there")
        return run

    def _parked_call(self, held: _Held, name: str) -> Call:
        calls = held.run.calls
        found = calls.get(name) or next((call for call in calls.values() if call.state == name), None)
        if found is None:
            raise UnknownCall(f"{held.run.id} has no open call {name} (open: {', '.join(calls) or 'none'})")
        if found.status is not CallState.UNKNOWN:
            raise NotPossible(f"{found.id} of {held.run.id} is {found.status.value}: only a parked call is settled by hand")
        return found

    def _specialist(self, held: _Held, call: Call) -> Specialist[Any, Any]:
        assert held.machine is not None
        return held.machine.chart.state(call.state).specialists[call.rank]

    def _at_rest(self, held: _Held) -> bool:
        busy = held.flights or held.timers or held.lock.locked() or not held.ready
        return not busy and not (held.run.condition == "paused" and self._flying())

    def _flying(self) -> bool:
        return any(held.flights for held in self._held.values())

    def _settle(self, held: _Held) -> None:
        """Tell whoever waits for a run at rest, and let go of it: the log has it."""
        if self._at_rest(held):
            self._tell(held)
            if held.run.outcome:
                self._held.pop(held.run.id, None)

    def _tell(self, held: _Held) -> None:
        for waiter in held.waiters:
            if not waiter.done():
                if self._broken is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(self._broken)
        held.waiters.clear()

    def _fail(self, error: StatecoreError) -> None:
        self._broken = error
        for held in self._held.values():
            self._tell(held)

    # -- tasks

    def _spawn(self, held: _Held, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(self._quietly(held, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, held: _Held, work: Awaitable[Any]) -> None:
        """Nobody waits for this turn: a log that failed has told everyone already, and any other fault parks this run and no other."""
        try:
            await work
        except LogFailed:
            pass
        except Exception as error:
            held.parked, held.machine = f"{type(error).__name__}: {error}", None
            self._tell(held)

    async def _shielded(self, work: Awaitable[R]) -> R:
        """A turn is taken whole even where the one who asked for it goes away."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)
