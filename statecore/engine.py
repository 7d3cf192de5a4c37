"""The engine: the only code that waits. It asks the decider what happens next, appends that in one commit, and then
does it.

Nothing happens between the decision and the commit, so there is nothing to roll back; a crash after the commit is
repaired from the log alone. Runs are independent; the inputs of one run are taken one after the other. Only an
engine appends to a log, and one engine has a log at a time.

An append that fails leaves the engine broken: it starts nothing more, and whoever waits is told. What is in the log
by then is found by opening it again.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from statecore.admission import Guarded
from statecore.alarm import Alarms
from statecore.asking import stale
from statecore.asks import LABELS, how_it_ended
from statecore.call import Call, CallState
from statecore.checkpoint import Mark, taken
from statecore.child import waiting
from statecore.children import Begun, Children
from statecore.clock import Clock, SystemClock
from statecore.contract import Contract, contract_of
from statecore.decider import step
from statecore.dispatch import Dispatcher
from statecore.errors import (
    BadInput,
    Conflict,
    LogError,
    NotPossible,
    StatecoreError,
    UnknownCall,
    UnknownWorkflow,
    Unreadable,
)
from statecore.events import (
    ERASED,
    CallCompleted,
    CallFailed,
    CallLate,
    CallUnknown,
    Cancelled,
    Event,
    Moved,
    Payload,
    SignalTaken,
)
from statecore.failpoint import Point, failpoint
from statecore.failures import Failure, NotDone, OutcomeUnknown, Rejected, told
from statecore.family import descendants, named_like_a_child
from statecore.fork import fork
from statecore.guard import Defer, Guard, Question, Side, Verdict
from statecore.ledger import Ledger
from statecore.log import Append, Batch, KeepsCheckpoints, Log, Turn
from statecore.messages import Cancel, Completed, Elapsed, Failed, Input, Interrupted, Signal, Start
from statecore.registry import Registry
from statecore.replay import rebuild, recall
from statecore.retention import SYSTEM
from statecore.run import Run
from statecore.signals import Answer, heard
from statecore.specialist import Specialist
from statecore.standing import held_up, migrating
from statecore.switches import switches
from statecore.table import payload_types
from statecore.versions import name_of
from statecore.workflow import Machine, Workflow

T = TypeVar("T")
R = TypeVar("R")

OPEN = frozenset({"running", "waiting", "paused", "parked"}) | LABELS
"""The labels of runs that are not finished, which are looked for after a crash."""

GRACE = 2.0
"""Seconds that `close` gives the calls in flight to end by themselves."""

YIELD = 16
"""Turns that one run takes in a row before it lets the others in: a log in memory makes nobody wait."""

RESTING = 64
"""Runs at rest that stay in memory, those that were touched last: who spoke to one tends to speak again soon. However
many more there are, they are taken up from the log when somebody asks for them.
"""

LANDINGS = (CallCompleted, CallFailed, CallUnknown, Moved, Cancelled)
"""Events after which a guard that holds a call may answer differently."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def fresh_id() -> str:
    """Twelve letters and digits, 60 random bits: short enough to type, and a clash is refused by the log."""
    drawn = secrets.randbits(60)
    return "".join(_ALPHABET[drawn >> place & 31] for place in range(0, 60, 5))


class _Closing(Guarded):
    """Of an engine that closes: outcomes are taken still, but no call starts any more."""

    def ask(self, side: Side, own: tuple[Guard[Any], ...], question: Question[Any]) -> tuple[str, Verdict]:
        return ("closing", Defer("the engine is closing")) if side == "before" else super().ask(side, own, question)


@attrs.define(eq=False)
class _Held:
    """A run in memory. `parked`: why nothing can be done with it here. `ready`: what a crash cut is decided about,
    calls may start. `users`: tasks that are about to take a turn of it, or are taking one. `flights`: dispatched
    calls, each with its attempt. `timers`: by call and wake. `first`: the cancellation that was decided before anything
    else of it was taken up. `mark`: how far its checkpoints reach. `children`: the child runs that are seen to.
    """

    run: Run
    machine: Machine | None
    parked: str = ""
    ready: bool = True
    users: int = 0
    first: Cancel | None = None
    mark: Mark = Mark()
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    flights: dict[tuple[str, int, int, int], asyncio.Task[None]] = attrs.field(factory=dict)
    timers: dict[tuple[str, float], asyncio.TimerHandle] = attrs.field(factory=dict)
    waiters: list[asyncio.Future[None]] = attrs.field(factory=list)
    children: set[str] = attrs.field(factory=set)

    def loaded(self) -> Machine:
        """Raises UnknownWorkflow where nothing can be done with the run here."""
        if self.machine is None:
            raise UnknownWorkflow(self.parked)
        return self.machine


def _far(run: Run) -> list[tuple[float, float, Elapsed]]:
    """The waits and deadlines of a run: when each is over, since when it is set, and the input that says it is over."""
    people = [call for call in run.calls.values() if call.status is CallState.STARTED and call.wake is not None]
    return [
        *((timer.due, timer.since, Elapsed(state=timer.state)) for timer in run.timers.values()),
        *((call.wake or 0.0, call.since, Elapsed(call=call.id)) for call in people),
    ]


def _same(machine: Machine, stored: Payload, value: Any) -> bool:
    """Whether a stored value is this one, in whatever version it was stored."""
    kind: Any = type(value)
    contract = contract_of(kind)
    if machine.reader(stored.contract, contract.cls) is None:
        return False
    return contract.pack(machine.read(stored, contract.cls)) == contract.pack(value)


def _flight(call: Call) -> tuple[str, int, int, int]:
    return call.id, call.rank, call.attempt, call.cuts


class Engine:
    """Runs workflows on a log. Use it as an async context manager; leaving it stops the work cleanly and closes the
    log.

    `workflows`: those whose runs it may take up. `guards`: asked for every call, before those of its state.
    `clock`, `ids`: ports.
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
        self._guards = tuple(guards)
        self._admission: Guarded | None = None
        self._dispatcher = Dispatcher(str(log.home or ""), self.clock.now)
        self._alarms = Alarms(self.clock, self._ring)
        self._held: dict[str, _Held] = {}
        self._children = Children(self)
        self._resting: dict[str, _Held] = {}
        self._taking_up: dict[str, asyncio.Future[None]] = {}
        self._starting: dict[str, asyncio.Event] = {}
        self._users = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._deferred: dict[str, _Held] = {}
        self._asking = False
        self._moves = 0
        self._configuring = asyncio.Lock()
        self._broken: StatecoreError | None = None
        self._closing = self._stopped = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- what a user asks for

    async def start(
        self, workflow: type[Workflow[T]], value: T, *, run: str = "", tenant: str = "", trusted: str = ""
    ) -> str:
        """Begin a run and give its id; the work goes on by itself. `trusted`: the rule by which `value` is; without one
        it is not.

        Raises BadInput where `value` is not what the workflow takes, or id or tenant cannot be kept (or the id is one of
        a child run), Conflict where the id is taken, LogError.
        """
        machine = self.registry.add(workflow)
        id = run or self.ids()
        for what, name in (("the id of a run", id), ("a tenant", tenant)):
            if not isinstance(name, str):
                raise BadInput(f"expected {what} to be text, found {name!r}: give its name")
        if id.startswith(SYSTEM):
            raise BadInput(f"{id!r}: what begins with {SYSTEM} is the log's own: give the run another id, or none")
        if named_like_a_child(id):
            raise BadInput(f"a run cannot be called {id!r}, like the child of another: give it a name of its own")
        await self._shielded(self._begin(machine, Start(id, value, self.clock.now(), tenant, trusted=trusted)))
        return id

    async def run(
        self, workflow: type[Workflow[T]], value: T, *, run: str = "", tenant: str = "", follow: bool = False
    ) -> Run:
        """Begin a run and wait until it is at rest. `follow`: as for `wait`."""
        return await self.wait(await self.start(workflow, value, run=run, tenant=tenant), follow=follow)

    async def wait(self, run: str, *, follow: bool = False) -> Run:
        """The run as soon as it is at rest: finished, parked, or waiting for what is not this engine's to do, a person,
        a signal, a `Wait` or a deadline. The next attempt of a call is waited for.

        `follow`: through its waits and deadlines too, however long, until it is finished or nothing more is timed.
        Raises UnknownRun; LogError where the log failed meanwhile.
        """
        found = await self._rest(run)
        while follow and not found.outcome and ((timed := self._timed(run)) or self._busy(run)):
            if timed:
                await self._alarms.passed(*timed)
            if self._closing:
                break
            for name in timed:
                if name == run or name not in self._alarms:
                    await self._resume_one(name)
            found = await self._rest(run)
        return found

    def _timed(self, run: str) -> list[str]:
        """Which of a run and those that stand below it wait for a time."""
        return [*([run] if run in self._alarms else []), *descendants(run, self._alarms)]

    def _busy(self, run: str) -> bool:
        """An alarm may have rung between a run's coming to rest and its follower's hearing of it."""
        return (held := self._held.get(run)) is not None and not self._at_rest(held)

    async def _rest(self, run: str) -> Run:
        held = self._held.get(run)
        if held is None:
            return await self.state(run)
        if self._broken is not None:
            raise self._broken
        if not self._at_rest(held):
            done = asyncio.get_running_loop().create_future()
            held.waiters.append(done)
            await done
        return held.run

    async def state(self, run: str) -> Run:
        """The run as it is now. Raises UnknownRun, Unreadable."""
        held = self._held.get(run)
        return held.run if held and held.run.seq else await rebuild(self.log, run)

    def parked(self, run: str) -> str:
        """Why this engine can do nothing with a run that it holds; "" where it can."""
        held = self._held.get(run)
        return held.parked if held else ""

    def below(self, run: Run) -> list[str]:
        """The child runs that a run waits for, and those that they wait for, of those that this engine holds."""
        held = [child for name in waiting(run) if (child := self._held.get(name))]
        return [name for child in held for name in (child.run.id, *self.below(child.run))]

    async def resume(self, run: str | None = None) -> list[str]:
        """Take up every run that is not finished (or one), as its log left it; their ids, in the order in which
        they began.

        A run that cannot be taken up here (its workflow is not loaded, a turn cannot be read) is parked with the
        reason and stops no other.
        """
        names = [run] if run else [info.name for info in await self.log.streams(labels=OPEN)]
        for name in names:
            held = self._held.get(name)
            if held is not None and held.machine is None and self._at_rest(held):
                del self._held[name]
        await asyncio.gather(*[self._resume_one(name) for name in names])
        return names

    async def _resume_one(self, run: str) -> None:
        await self._shielded(self._held_once(run))

    async def _held_once(self, run: str) -> None:
        async with self._holding(run):
            pass

    async def answer(self, run: str, call: str, outcome: Any, *, by: str, why: str, shown: str = "") -> Run:
        """Answer a call to a person; or settle one that is parked, with its result or NotDone. The run as it is then.

        `shown`: the digest of what whoever answers was shown, or its first characters (see `asking.shown`); it is
        refused where something else is asked by now. Raises UnknownRun, UnknownCall, NotPossible where nothing is asked
        (any more), or of somebody else, BadInput where the contract does not admit the answer, or what is said
        cannot be kept. Nothing is recorded then.
        """
        if not by:
            raise BadInput("expected the name of who answers, or who settles the call, found none: say `by`")
        if isinstance(outcome, OutcomeUnknown):
            raise BadInput("expected what became of the call, found OutcomeUnknown: answer its result or NotDone")

        def settlement(held: _Held) -> Input:
            found = self._answerable(held, call)
            if shown and (why_not := stale(held.run, found, shown)):
                raise NotPossible(f"{why_not}: look at what is asked, `statecore asks`, and answer that")
            if found.kind == "person" and not isinstance(outcome, Failure):
                now = self.clock.now()
                return Completed(outcome, found.id, found.attempt, now, by, why, rank=found.rank)
            if isinstance(outcome, Failure):
                kind: Any = type(outcome)
                contract_of(kind).pack(outcome)
                return Failed(outcome, found.id, at=self.clock.now(), by=by, why=why)
            self._door(held, found, name_of(type(outcome))).pack(outcome)
            return Completed(outcome, found.id, at=self.clock.now(), by=by, why=why)

        try:
            events, settled = await self._shielded(self._hear(run, settlement))
        except UnknownCall as error:
            if over := await how_it_ended(self.log, run, call):
                raise NotPossible(over) from None
            raise error
        if any(isinstance(event, CallLate) for event in events):
            raise NotPossible(await how_it_ended(self.log, run, call) or f"{call} of {run} is over: look at the run")
        return settled

    async def gives(self, run: str, call: str) -> tuple[Contract[Any], ...]:
        """The contracts that a call may be answered with. Raises as `answer` does."""
        async with self._holding(run) as held:
            held.loaded()
            return self._specialist(held, self._answerable(held, call)).gives

    async def drain(self) -> None:
        """Wait until every run that this engine holds is at rest."""
        while True:
            if busy := [run for run, held in self._held.items() if not self._at_rest(held)]:
                await self.wait(busy[0])
            elif self._children.reports:
                await asyncio.wait(self._children.reports)
            else:
                return

    async def signal(self, run: str, value: Any, *, by: str = "", id: str = "") -> Answer:
        """Tell a run something that answers no call; what becomes of it.

        `id`: a signal of `by` that was taken under it already is not taken again, and is answered the same. Raises
        UnknownRun, BadInput where the workflow knows no such signal, or the id was that of another value.
        """
        return await self._shielded(self._tell_run(run, Signal(value, by=by, id=id)))

    async def _tell_run(self, run: str, signal: Signal[Any]) -> Answer:
        async with self._holding(run) as held:
            machine = held.loaded()
            events = await self._take(held, attrs.evolve(signal, at=self.clock.now()))
            if events:
                return heard(machine, events)
            async for turn in self.log.read(run, held.run.heard[signal.by, signal.id] - 1):
                events = turn.events
                break
            taken = next(event for event in events if isinstance(event, SignalTaken))
            if taken.value == ERASED:
                raise NotPossible(f"the signal {signal.id!r} was taken by {run}, and its payloads were erased since")
            if not _same(machine, taken.value, signal.value):
                raise BadInput(
                    f"the signal {signal.id!r} of {signal.by or 'nobody'} was taken by {run} with another value: give a"
                    " new one an id of its own"
                )
            return heard(machine, events)

    async def signals(self, run: str) -> tuple[Contract[Any], ...]:
        """The contracts of the signals that the workflow of a run knows. Raises UnknownRun, UnknownWorkflow."""
        async with self._holding(run) as held:
            machine = held.loaded()
            types = payload_types(machine.chart)
            return tuple(contract_of(types[letter]) for letter in machine.table.letters if letter.kind == "Signal")

    async def fork(self, run: str, at: int, *, by: str, why: str, new: str = "") -> str:
        """Begin a run that shares the first `at` events of another, and see to it; its id. The other stays as it is.

        Raises as `statecore.fork.fork` does. Where its workflow is not loaded, the new run is there and parked.
        """
        id = new or self.ids()
        await self._shielded(self._fork(run, at, id, by, why))
        return id

    async def _fork(self, run: str, at: int, new: str, by: str, why: str) -> None:
        if self._broken is not None:
            raise self._broken
        try:
            await fork(self.log, run, at, new, self.clock.now(), by=by, why=why)
        except (BadInput, Conflict, Unreadable):
            raise
        except LogError as error:
            self._fail(error)
            raise
        await self._held_once(new)

    async def cancel(self, run: str, *, by: str, why: str) -> Run:
        """End a run as cancelled; its calls in flight are stopped. Raises UnknownRun, NotPossible where it is
        finished.
        """
        return await self._shielded(self._cancel(run, Cancel(self.clock.now(), by, why)))

    async def _cancel(self, run: str, cancel: Cancel) -> Run:
        """A run that is not in memory ends before anything that a crash cut is taken up."""
        async with self._holding(run, cancel) as held:
            held.loaded()
            if held.first is not cancel:
                await self._take(held, cancel)
            return held.run

    async def migrate(self, runs: str | Iterable[str], to: type[Workflow[Any]], *, by: str, why: str) -> list[str]:
        """Let open runs go on with another declaration, all of them or none, in one commit; `resume` takes them up.

        Raises UnknownRun, Unreadable; NotPossible where a run is worked on here, or could not go on with `to`, with
        every reason.
        """
        names = [runs] if isinstance(runs, str) else list(dict.fromkeys(runs))
        if not (names and by):
            raise BadInput("expected the runs to migrate and who says so, found none: say `runs` and `by`")
        return await self._shielded(self._migrate(names, self.registry.add(to), by, why))

    async def _migrate(self, names: list[str], machine: Machine, by: str, why: str) -> list[str]:
        if self._broken is not None:
            raise self._broken
        if busy := [name for name in names if name in self._taking_up or self._working(name)]:
            raise NotPossible(f"{', '.join(busy)}: worked on here: migrate what is at rest, or before it is taken up")
        done = asyncio.get_running_loop().create_future()
        self._taking_up |= dict.fromkeys(names, done)
        try:
            for name in names:
                if (held := self._held.pop(name, None)) is not None:
                    self._deferred.pop(held.run.id, None)
                    self._resting.pop(held.run.id, None)
            found = [await rebuild(self.log, name) for name in names]
            at = self.clock.now()
            moves = migrating(machine, found, at, by=by, why=why)
            await self._append(
                *[Append(run.id, run.seq - 1, (event,), at, "Migrate", run.label) for event, run in moves]
            )
        finally:
            for name in names:
                self._taking_up.pop(name, None)
            done.set_result(None)
        return names

    def _working(self, name: str) -> bool:
        held = self._held.get(name)
        return name in self._starting or (held is not None and not self._at_rest(held))

    async def close(self) -> None:
        """Start nothing more, give calls in flight a moment to end, stop the rest, and close the log.

        A call that is stopped leaves its CallStarted in the log: the next `resume` treats it as cut by a crash. One
        that becomes due meanwhile is deferred to that `resume`; one that was decided before is still dispatched, so
        that none is taken for a call that was cut and never was one.
        """
        self._closing = True
        self._admission = _Closing(self.ledger, self._admission.guards if self._admission else self._guards)
        self._alarms.stop()
        for held in self._held.values():
            self._stop_timers(held)
        try:
            await self._end_by_themselves()
        finally:
            self._stopped = True
            self._dispatcher.stop()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=GRACE)
            for held in self._held.values():
                self._tell(held)
            await self.log.close()

    async def _end_by_themselves(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GRACE
        while self._tasks and self._broken is None and (left := deadline - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)

    async def reconfigure(self) -> None:
        """Obey what the log now says about which specialists are in rotation. Raises LogError."""
        async with self._configuring:  # what was read first is not believed last
            await self._configure()
        self._ask_again_soon()

    async def _configured(self) -> Guarded:
        async with self._configuring:
            return self._admission or await self._configure()

    async def _configure(self) -> Guarded:
        off = await switches(self.log)
        kind = _Closing if self._closing else Guarded
        self._admission = kind(self.ledger, (off, *self._guards) if off.off else self._guards)
        return self._admission

    # -- turns

    async def _begin(self, machine: Machine, input: Start) -> None:
        """Whoever wants the run meanwhile waits: taken up from the log as well, it would be there twice."""
        held = _Held(Run(id=input.run), machine)
        while taking_up := self._taking_up.get(input.run):
            await asyncio.wait([taking_up])
        if (there := self._held.get(input.run)) or input.run in self._starting:
            raise Conflict(input.run, 0, there.run.seq if there else 1)
        over = self._starting[input.run] = asyncio.Event()
        self._use(held)
        try:
            await self._take(held, input)
        finally:
            del self._starting[input.run]
            over.set()
            self._release(held)

    async def _hear(self, run: str, said: Callable[[_Held], Input]) -> tuple[tuple[Event, ...], Run]:
        """Take what the world outside says to a run; the events that it led to, and the run as it is then."""
        async with self._holding(run) as held:
            held.loaded()
            return await self._take(held, said(held)), held.run

    async def _take(self, held: _Held, input: Input, onward: list[Call] | None = None) -> tuple[Event, ...]:
        """One turn: decide, append, fold, act. Between deciding and queueing nothing else of this process can run.

        `onward`: of a flight that has landed; a call that starts may be put there for it to go on with.
        """
        async with held.lock:
            if self._broken is not None:
                raise self._broken
            admission = self._admission or await self._configured()
            events, after = step(held.loaded(), held.run, input, admission)
            if not events:
                return ()
            moves = self._moves
            own = Append(held.run.id, held.run.seq, events, input.at, type(input).__name__, after.label)
            begun = self._begun(held, after, own)
            failpoint(Point.BEFORE_APPEND)
            with self._beginning(begun) if begun else nullcontext():
                turn = await self._append(own, *(each.append for each in begun))
                failpoint(Point.AFTER_APPEND)
                held.run = after
                if isinstance(input, Start):
                    self._held[input.run] = held
                self._hold(begun)
        self._act(held, after.at, onward)
        if held.mark.due(after):
            self._keep_checkpoint(held, turn.head)
        if after.outcome and after.parent:
            self._children.report(after)
        for event in events:
            if isinstance(event, CallUnknown):
                self._reconcile(held, event.call)
        if any(isinstance(event, LANDINGS) for event in events):
            self._ask_again_soon()
        elif self._moves != moves and held.run.id in self._deferred:  # it moved while this was being written
            self._ask_soon()
        return events

    def _begun(self, held: _Held, after: Run, own: Append) -> list[Begun]:
        """The child runs that begin with a turn: in the same commit, or neither."""
        try:
            return list(self._children.begun(held.loaded(), after, own.events, own.at))
        except Exception:
            self.ledger.forget(own.stream, own.events)
            raise

    @contextmanager
    def _beginning(self, begun: Iterable[Begun]) -> Iterator[None]:
        """Whoever wants one of these runs before it is held waits: taken up from the log as well, it would be there
        twice.
        """
        names = [each.run.id for each in begun]
        over = asyncio.Event()
        self._starting.update(dict.fromkeys(names, over))
        try:
            yield
        finally:
            for name in names:
                del self._starting[name]
            over.set()

    def _hold(self, begun: Iterable[Begun]) -> None:
        """Runs that were begun just now, from here on at work."""
        for each in begun:
            held = self._held[each.run.id] = _Held(each.run, each.machine)
            self._held[each.run.parent].children.add(each.run.id)
            self._use(held)
        for each in begun:
            held = self._held[each.run.id]
            self._act(held, each.append.at)
            if each.run.outcome:
                self._children.report(each.run)
            self._release(held)

    def _keep_checkpoint(self, held: _Held, head: bytes) -> None:
        """It is queued before the next turn of the run can be. Nobody waits for it, and it may fail: the next one has
        its values too.
        """
        before, held.mark = held.mark, Mark(held.run.seq, held.mark.values)
        with suppress(Exception):
            if isinstance(self.log, KeepsCheckpoints) and (checkpoint := taken(held.run, head, before)):
                keeping = self.log.keep(checkpoint)
                held.mark = Mark(checkpoint.version, checkpoint.end)
                self._track(self._kept(held, keeping, before))

    async def _kept(self, held: _Held, keeping: Awaitable[bool], before: Mark) -> None:
        kept = False
        with suppress(LogError):
            kept = await keeping
        if not kept:
            held.mark = Mark(held.mark.version, min(held.mark.values, before.values))

    async def _append(self, *appends: Append) -> Turn:
        """In one commit; the turn of the first."""
        try:
            return (await self.log.append(Batch(appends)))[0]
        except (Conflict, BadInput):
            for append in appends:
                self.ledger.forget(append.stream, append.events)
            raise
        except LogError as error:
            self._fail(error)
            raise

    def _act(self, held: _Held, now: float, onward: list[Call] | None = None, *, taken_up: bool = False) -> None:
        """Do what the log now says: dispatch what was started, stop what was left, wait where a time is set."""
        machine = held.machine
        if self._stopped or self._broken is not None or machine is None or not held.ready:
            return
        started = [call for call in held.run.calls.values() if call.status is CallState.STARTED and not call.kind]
        wanted = {_flight(call): call for call in started}
        for key in [key for key in held.flights if key not in wanted]:
            flight = held.flights.pop(key)
            if flight is not asyncio.current_task():
                self._dispatcher.stop_one(flight)
        for key, call in wanted.items():
            if key not in held.flights:
                flight = held.flights[key] = self._flight_for(held, machine, call, onward)
                self._dispatcher.watch(flight)
        self._set_timers(held, now, taken_up)
        self._children.act(held)
        if any(call.status is CallState.DEFERRED and call.wake is None for call in held.run.calls.values()):
            self._deferred[held.run.id] = held
        else:
            self._deferred.pop(held.run.id, None)

    def _flight_for(self, held: _Held, machine: Machine, call: Call, onward: list[Call] | None) -> "asyncio.Task[None]":
        """The flight that has just landed, where there is one and it was not stopped; else a new one."""
        task = asyncio.current_task()
        if task is None or onward is None or onward or task.cancelling():
            return self._spawn(held, partial(self._fly, held, machine, call))
        onward.append(call)
        return task

    def _ask_again_soon(self) -> None:
        """Something moved: what a guard holds may start by now, and what is being written as held, as soon as it is."""
        self._moves += 1
        self._ask_soon()

    def _ask_soon(self) -> None:
        if self._deferred and not self._asking:
            self._asking = True
            asyncio.get_running_loop().call_soon(self._ask_again)

    def _ask_again(self) -> None:
        """A call ended: those that a guard holds until something moves are asked for once more."""
        self._asking = False
        for held in list(self._deferred.values()):
            for call in held.run.calls.values():
                if call.status is CallState.DEFERRED and call.wake is None:
                    self._elapsed(held, call)

    def _set_timers(self, held: _Held, now: float, taken_up: bool) -> None:
        """A wait counts from the turn that began it, and goes on by the loop's time whatever comes meanwhile: a clock
        that jumps neither cuts it short nor draws it out. What is left of one that another process began, the clock
        says; where it was put back behind that call, all of its time, and what another call began cuts none short.
        """
        waiting = [call for call in held.run.calls.values() if call.status is not CallState.STARTED]
        wanted = {(call.id, call.wake): partial(self._elapsed, held, call) for call in waiting if call.wake is not None}
        for call, until, limit in self._children.limits(held):
            wanted[call.id, until] = partial(self._children.overdue, held, call, limit)
        self._stop_timers(held, {} if self._closing else wanted)
        if self._closing:
            return
        loop = asyncio.get_running_loop()
        for key, due in wanted.items():
            if key not in held.timers:
                begun = max(now, held.run.calls[key[0]].since) if taken_up else now
                held.timers[key] = loop.call_later(max(0.0, key[1] - begun), due)

        far = [(due, since) for due, since, _ in _far(held.run)]
        if not far:
            self._alarms.drop(held.run.id)
            return
        first, since = min(far)
        if first <= max(self.clock.now(), since):  # the turn may say a later time: that of a wait by an earlier clock
            self._spawn(held, partial(self._over, held, first))
        else:
            self._alarms.set(held.run.id, first, since)

    def _ring(self, run: str, due: float) -> None:
        held = self._held.get(run)
        if held is not None and held.ready:
            self._spawn(held, partial(self._over, held, due))
        else:
            self._track(self._quietly(None, partial(self._resume_one, run)))

    async def _over(self, held: _Held, due: float) -> None:
        """Take what is due by then, the earliest first."""
        while found := [far for far in _far(held.run) if far[0] <= due]:
            at, _, input = min(found, key=lambda far: far[0])
            if not await self._take(held, attrs.evolve(input, at=max(self.clock.now(), at))):
                return

    def _stop_timers(self, held: _Held, wanted: Container[tuple[str, float]] = ()) -> None:
        for key in [key for key in held.timers if key not in wanted]:
            held.timers.pop(key).cancel()

    def _elapsed(self, held: _Held, call: Call) -> None:
        """Never earlier than the wake, by whichever clock the timer ran: a guard would defer to the same wake once
        more.
        """
        if call.wake is not None:
            held.timers.pop((call.id, call.wake), None)
        if not self._closing:
            self._spawn(
                held, partial(self._take, held, Elapsed(call=call.id, at=max(self.clock.now(), call.wake or 0.0)))
            )

    async def _fly(self, held: _Held, machine: Machine, call: Call) -> None:
        """One attempt after the other, each from its dispatch to its turn, as long as one turn starts the next. Only
        the work itself can be stopped; the turn is taken whole.
        """
        onward, landed = [call], 0
        while onward:
            call = onward.pop()
            try:
                await self._attempt(held, machine, call, onward)
            finally:
                held.flights.pop(_flight(call), None)
            landed += 1
            if onward and landed % YIELD == 0:
                await asyncio.sleep(0)

    async def _attempt(self, held: _Held, machine: Machine, call: Call, onward: list[Call]) -> None:
        work = machine.chart.work(call)
        specialist = work.specialists[call.rank]
        request = specialist.takes.unpack(call.request)
        outcome = await self._dispatcher.run(specialist, request, call, work.timeout, self._late)
        if outcome is not None:
            await self._land(held, outcome, onward)

    async def _land(
        self, held: _Held, outcome: Completed[Any] | Failed[Failure], onward: list[Call] | None = None
    ) -> None:
        """An output that is too large for the log is a rejected one."""
        try:
            await self._take(held, outcome, onward)
        except BadInput as fault:
            rejected = Rejected("the log", (told(fault),))
            await self._take(
                held, Failed(rejected, outcome.call, outcome.attempt, outcome.at, rank=outcome.rank), onward
            )

    def _late(self, run: str, outcome: Completed[Any] | Failed[Failure]) -> None:
        """What becomes of the outcome of work that could not be stopped: nothing, but it is recorded."""
        if not self._closing and self._broken is None:
            self._track(self._note(run, attrs.evolve(outcome, at=self.clock.now())))

    async def _note(self, run: str, outcome: Completed[Any] | Failed[Failure]) -> None:
        with suppress(StatecoreError):
            await self._hear(run, lambda _: outcome)

    def _reconcile(self, held: _Held, call: str) -> None:
        found = held.run.calls.get(call)
        if found is None or held.machine is None or found.copied:
            return
        specialist = self._specialist(held, found)
        if specialist.reconcile is not None and not self._closing:
            limit = held.machine.chart.work(found).timeout
            self._spawn(held, partial(self._ask_receiver, held, found, specialist.reconcile, limit))

    async def _ask_receiver(
        self, held: _Held, call: Call, reconcile: Callable[[Call], Awaitable[Any]], limit: float
    ) -> None:
        """A receiver that cannot be asked, does not know, or gives what is no result, leaves the call to a person."""
        at, by, why = self.clock.now, "reconcile", "the receiver was asked by the call's key"
        try:
            async with asyncio.timeout(limit):
                found = await reconcile(attrs.evolve(call, home=self._dispatcher.home))
            if found is None or held.machine is None:
                return
            self._door(held, call, name_of(type(found))).pack(found)
            settled: Input = Completed(found, call.id, at=at(), by=by, why=why)
        except NotDone as failure:
            settled = Failed(failure, call.id, at=at(), by=by, why=why)
        except Exception:
            return
        await self._take(held, settled)

    # -- runs in memory

    @asynccontextmanager
    async def _holding(self, run: str, first: Cancel | None = None) -> AsyncIterator[_Held]:
        """A run in memory, taken up from its log where it was not, and kept there as long as somebody needs it.

        `first`: what is decided before anything else where it is taken up here. Raises UnknownRun.
        """
        while (held := self._held.get(run)) is None or not held.ready:
            if beginning := self._starting.get(run):
                await beginning.wait()
                continue
            if run not in self._taking_up:
                task = self._taking_up[run] = self._track(self._take_up(run, first))
                task.add_done_callback(lambda _: self._taking_up.pop(run))
            await asyncio.shield(self._taking_up[run])
        self._use(held)
        try:
            yield held
        finally:
            self._release(held)

    def _use(self, held: _Held) -> None:
        held.users += 1
        self._users += 1
        self._resting.pop(held.run.id, None)

    def _release(self, held: _Held) -> None:
        held.users -= 1
        self._users -= 1
        self._settle(held)
        if not self._users:
            for paused in list(self._deferred.values()):
                self._settle(paused)

    async def _take_up(self, name: str, first: Cancel | None) -> None:
        """Load a run as its log left it. What was in flight then was cut, and is decided about before anything is
        dispatched.
        """
        held, moves = await self._load(name), self._moves
        self._held[name], held.ready = held, False
        waited = waiting(held.run)
        try:
            first = first or await self._children.orphaned(held.run)
            if first is not None and held.machine is not None and not held.run.outcome:
                await self._end_with(held, first)
            for call in list(held.run.calls.values()) if held.machine else ():
                failpoint(Point.DURING_RESUME)
                await self._take_up_call(held, call)
        except Exception as error:
            if error is self._broken:
                raise
            self._park(held, error)
        held.ready = True
        held.children.update(waited)  # those that it went on without meanwhile are ended, the others seen to
        held.children -= waiting(held.run).keys()
        self._act(held, max(self.clock.now(), held.run.at), taken_up=True)
        if self._moves != moves:
            self._ask_soon()

    async def _end_with(self, held: _Held, cancel: Cancel) -> None:
        """What a crash cut and must not be repeated is on record as unknown before the run ends; the rest just ends."""
        for call in list(held.run.calls.values()):
            if call.effect == "once" and call.status is CallState.STARTED:
                await self._take_up_call(held, call)
        if not held.run.outcome:
            held.first = cancel
            await self._take(held, cancel)

    async def _take_up_call(self, held: _Held, call: Call) -> None:
        """A deferred call without a wake is asked for at once: what it waited for may have ended with the process."""
        if call.status is CallState.STARTED and not call.kind:
            await self._take(held, Interrupted(call.id, self.clock.now()))
        elif call.status is CallState.DEFERRED and call.wake is None:
            await self._take(held, Elapsed(call=call.id, at=self.clock.now()))
        elif call.status is CallState.UNKNOWN:
            self._reconcile(held, call.id)

    async def _load(self, name: str) -> _Held:
        try:
            run, mark = await recall(self.log, name)
        except LogError as error:
            return _Held(Run(id=name), None, str(error))
        try:
            machine = self.registry.of(run)
            why = held_up(machine, run)
            return _Held(run, None if why else machine, why, mark=mark)
        except UnknownWorkflow as error:
            return _Held(run, None, str(error))

    def _answerable(self, held: _Held, name: str) -> Call:
        calls = held.run.calls
        named = [call for call in calls.values() if call.state == name]
        if name not in calls and len(named) > 1:
            raise UnknownCall(
                f"{name} of {held.run.id} has {len(named)} open calls, which could each be meant: name one of"
                f" {', '.join(call.id for call in named)}"
            )
        found = calls.get(name) or (named[0] if named else None)
        if found is None:
            raise UnknownCall(f"{held.run.id} has no open call {name} (open: {', '.join(calls) or 'none'})")
        asked = found.kind == "person" and found.status is CallState.STARTED
        if not asked and found.status is not CallState.UNKNOWN:
            raise NotPossible(
                f"{found.id} of {held.run.id} is {found.status.value}: only a question to a person is answered, or a"
                " parked call settled, by hand"
            )
        return found

    def _specialist(self, held: _Held, call: Call) -> Specialist[Any, Any]:
        assert held.machine is not None
        return held.machine.chart.work(call).specialists[call.rank]

    def _door(self, held: _Held, call: Call, name: str) -> Contract[Any]:
        """The contract that a settled result must fit, before it could count as an attempt that failed."""
        specialist = self._specialist(held, call)
        return specialist.gives_named(name) or specialist.gives[0]

    def _at_rest(self, held: _Held) -> bool:
        busy = held.users or held.flights or held.timers or not held.ready
        held_by_a_guard = held.machine is not None and held.run.condition == "paused"
        below = (self._held.get(name) for name in held.children)
        return not (
            busy or (held_by_a_guard and self._moving()) or any(child and not self._at_rest(child) for child in below)
        )

    def _moving(self) -> bool:
        """Whether anything is under way that may let a call start which a guard holds."""
        return bool(self._users or self._taking_up or self._asking) or any(held.timers for held in self._held.values())

    def _settle(self, held: _Held) -> None:
        """Tell whoever waits for a run at rest, and let go of it: the log has it."""
        if self._at_rest(held):
            self._tell(held)
            if self._held.get(held.run.id) is held:
                if held.run.outcome:
                    del self._held[held.run.id]
                elif self._asleep(held):
                    self._keep_resting(held)
            if parent := self._held.get(held.run.parent):
                self._settle(parent)

    def _keep_resting(self, held: _Held) -> None:
        self._resting[held.run.id] = held
        if len(self._resting) > RESTING:
            oldest = self._resting.pop(next(iter(self._resting)))
            if self._at_rest(oldest) and self._held.get(oldest.run.id) is oldest:
                del self._held[oldest.run.id]

    def _asleep(self, held: _Held) -> bool:
        """Whether to take the run up again would be to read it, and nothing else: it waits for a signal or a person."""

        def asleep(call: Call) -> bool:
            if call.status is CallState.UNKNOWN:
                return self._specialist(held, call).reconcile is None
            return call.status is CallState.STARTED and call.kind == "person"

        return held.machine is not None and all(asleep(call) for call in held.run.calls.values())

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

    def _track(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """A task that `close` waits for, and that lives until it is over."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _spawn(self, held: _Held, work: Callable[[], Awaitable[Any]]) -> asyncio.Task[None]:
        self._use(held)
        task = asyncio.create_task(self._quietly(held, work))
        self._tasks.add(task)
        task.add_done_callback(partial(self._spent, held))
        return task

    def _spent(self, held: _Held, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._dispatcher.forget(task)
        self._release(held)

    async def _quietly(self, held: _Held | None, work: Callable[[], Awaitable[Any]]) -> None:
        """Nobody waits for this turn: a log that failed has told everyone already, and any other fault parks this
        run and no other.
        """
        try:
            await work()
        except Exception as error:
            if held is not None:
                self._park(held, error)

    def _park(self, held: _Held, error: Exception) -> None:
        """Here and now nothing more can be done with a run; its log is as it was, and a later `resume` tries again."""
        if error is self._broken or held.machine is None:
            return
        held.parked, held.machine = f"{type(error).__name__}: {error}", None
        self._stop_timers(held)
        self._alarms.drop(held.run.id)
        self._deferred.pop(held.run.id, None)
        self._ask_again_soon()

    async def _shielded(self, work: Coroutine[Any, Any, R]) -> R:
        """A turn is taken whole even where the one who asked for it goes away. Raises NotPossible where the engine
        is closed.
        """
        if self._closing:
            work.close()
            raise NotPossible("the engine is closed: open one on the log again")
        task = self._track(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise NotPossible("the engine was closed before this was done: look into the log") from None
            raise
