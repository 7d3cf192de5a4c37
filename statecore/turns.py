"""A turn: decide, append, fold, act. Nothing happens between the decision and its commit, so there is nothing to roll
back; whatever follows is read from the log.

The inputs of one run are taken one after the other. Between deciding and queueing nothing else of this process can run,
so two turns cannot both take the last of something that guards count.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from statecore.admission import Asking, Guarded
from statecore.call import Call
from statecore.checkpoint import Mark, taken
from statecore.children import Begun
from statecore.decider import step
from statecore.errors import BadInput, Conflict, DefinitionError, LogError
from statecore.events import CallUnknown, Event
from statecore.failpoint import Point, failpoint
from statecore.guard import SWITCH, Defer, Guard, Side, Verdict
from statecore.held import Held
from statecore.log import Append, Batch, KeepsCheckpoints, Turn
from statecore.messages import Cancel, Input, Start
from statecore.run import Run
from statecore.switches import switches
from statecore.workflow import Machine

if TYPE_CHECKING:
    from statecore.core import Core


class _Closing(Guarded):
    """Of an engine that closes: outcomes are taken still, but no call starts any more."""

    def ask(self, side: Side, own: tuple[Guard[Any], ...], question: Asking) -> tuple[str, Verdict]:
        return ("closing", Defer("the engine is closing")) if side == "before" else super().ask(side, own, question)


class Turns:
    """`admission`: the guards in force, with the switches that the log has; None until it was read."""

    def __init__(self, core: "Core", guards: tuple[Guard[Any], ...]) -> None:
        if any(guard.name == SWITCH for guard in guards):
            raise DefinitionError(
                f"a guard of the engine is called `{SWITCH}`, as its own is, which takes specialists out of rotation: name"
                " yours otherwise"
            )
        self._core, self._guards = core, guards
        self._configuring = asyncio.Lock()
        self.admission: Guarded | None = None

    # -- guards

    async def reconfigure(self) -> None:
        """Obey what the log now says about which specialists are in rotation. Raises LogError."""
        async with self._configuring:  # what was read first is not believed last
            await self._configure()
        self._core.acts.ask_again_soon()

    async def configured(self) -> Guarded:
        async with self._configuring:
            return self.admission or await self._configure()

    async def _configure(self) -> Guarded:
        off = await switches(self._core.log)
        kind = _Closing if self._core.closing else Guarded
        self.admission = kind(self._core.ledger, (off, *self._guards) if off.off else self._guards)
        return self.admission

    def close(self) -> None:
        """From here on no call starts."""
        self.admission = _Closing(self._core.ledger, self.admission.guards if self.admission else self._guards)

    # -- turns

    async def begin(self, machine: Machine, input: Start) -> None:
        """Whoever wants the run meanwhile waits: taken up from the log as well, it would be there twice."""
        runs, held = self._core.runs, Held(Run(id=input.run), machine)
        while taking_up := runs.taking_up.get(input.run):
            await asyncio.wait([taking_up])
        if (there := runs.held.get(input.run)) or input.run in runs.starting:
            raise Conflict(input.run, 0, there.run.seq if there else 1)
        runs.use(held)
        try:
            with self.beginning(input.run):
                await self.take(held, input)
        finally:
            runs.release(held)

    async def hear(self, run: str, said: Callable[[Held], Input]) -> tuple[tuple[Event, ...], Run]:
        """Take what the world outside says to a run; the events that it led to, and the run as it is then."""
        async with self._core.runs.holding(run) as held:
            held.loaded()
            return await self.take(held, said(held)), held.run

    async def cancel(self, run: str, cancel: Cancel) -> Run:
        """A run that is not in memory ends before anything that a crash cut is taken up."""
        async with self._core.runs.holding(run, cancel) as held:
            held.loaded()
            if held.first is not cancel:
                await self.take(held, cancel)
            return held.run

    async def take(self, held: Held, input: Input, onward: list[Call] | None = None) -> tuple[Event, ...]:
        """One turn of a run, and what follows it.

        `onward`: of a flight that has landed; a call that starts may be put there for it to go on with.
        """
        core = self._core
        async with held.lock:
            if core.broken is not None:
                raise core.broken
            admission = self.admission or await self.configured()
            events, after = step(held.loaded(), held.run, input, admission)
            if not events:
                return ()
            moves = core.acts.moves
            own = Append(held.run.id, held.run.seq, events, input.at, type(input).__name__, after.label)
            begun = self._begun(held, after, own, admission)
            failpoint(Point.BEFORE_APPEND)
            with self.beginning(*(each.run.id for each in begun)) if begun else nullcontext():
                turn = await self.append(own, *(each.append for each in begun))
                failpoint(Point.AFTER_APPEND)
                held.run = after
                if isinstance(input, Start):
                    core.runs.held[input.run] = held
                self.hold(begun)
        core.acts.act(held, after.at, onward)
        if held.mark.due(after):
            self._keep_checkpoint(held, turn.head)
        if after.outcome and after.parent:
            core.children.report(after)
        for event in events:
            if isinstance(event, CallUnknown):
                core.flights.reconcile(held, event.call)
        core.acts.moved(held, events, moves)
        return events

    async def append(self, *appends: Append) -> Turn:
        """In one commit; the turn of the first."""
        try:
            return (await self._core.log.append(Batch(appends)))[0]
        except (Conflict, BadInput):
            for append in appends:
                self._core.ledger.forget(append.stream, append.events)
            raise
        except LogError as error:
            self._core.fail(error)
            raise

    # -- child runs that begin with a turn

    def _begun(self, held: Held, after: Run, own: Append, admission: Guarded) -> list[Begun]:
        """In the same commit, or neither."""
        try:
            return list(self._core.children.begun(held.loaded(), after, own.events, own.at, admission))
        except Exception:
            self._core.ledger.forget(own.stream, own.events)
            raise

    @contextmanager
    def beginning(self, *names: str) -> Iterator[None]:
        """Whoever wants one of these runs before it is held waits: taken up from the log as well, it would be there
        twice.
        """
        starting, over = self._core.runs.starting, asyncio.Event()
        starting.update(dict.fromkeys(names, over))
        try:
            yield
        finally:
            for name in names:
                del starting[name]
            over.set()

    def hold(self, begun: Iterable[Begun]) -> None:
        """Runs that were begun just now, from here on at work."""
        core = self._core
        for each in begun:
            held = core.runs.held[each.run.id] = Held(each.run, each.machine)
            core.runs.held[each.run.parent].children.add(each.run.id)
            core.runs.use(held)
        for each in begun:
            held = core.runs.held[each.run.id]
            core.acts.act(held, each.append.at)
            if each.run.outcome:
                core.children.report(each.run)
            core.runs.release(held)

    # -- checkpoints

    def _keep_checkpoint(self, held: Held, head: bytes) -> None:
        """It is queued before the next turn of the run can be. Nobody waits for it, and it may fail: the next one has
        its values too.
        """
        log = self._core.log
        before, held.mark = held.mark, Mark(held.run.seq, held.mark.values)
        with suppress(Exception):
            if isinstance(log, KeepsCheckpoints) and (checkpoint := taken(held.run, head, before)):
                keeping = log.keep(checkpoint)
                held.mark = Mark(checkpoint.version, checkpoint.end)
                self._core.tasks.track(self._kept(held, keeping, before))

    async def _kept(self, held: Held, keeping: Awaitable[bool], before: Mark) -> None:
        kept = False
        with suppress(LogError):
            kept = await keeping
        if not kept:
            held.mark = Mark(held.mark.version, min(held.mark.values, before.values))
