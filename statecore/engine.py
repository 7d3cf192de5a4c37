"""The engine: the only code that waits. It asks the decider what happens next, appends that in one commit, and then
does it.

Nothing happens between the decision and the commit, so there is nothing to roll back; a crash after the commit is
repaired from the log alone. Runs are independent; the inputs of one run are taken one after the other. Only an
engine appends to a log, and one engine has a log at a time.

An append that fails leaves the engine broken: it starts nothing more, and whoever waits is told. What is in the log
by then is found by opening it again.

Here is what a user asks for. How it is done is in the parts of `core.py`.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from statecore import hearing
from statecore.asks import LABELS
from statecore.child import waiting
from statecore.clock import Clock, SystemClock
from statecore.contract import Contract
from statecore.core import Core
from statecore.errors import BadInput, Conflict, LogError, NotPossible, RunExists, Unreadable
from statecore.family import named_like_a_child
from statecore.fork import fork
from statecore.guard import Guard
from statecore.log import Append, Log
from statecore.messages import Cancel, Signal, Start
from statecore.registry import Registry
from statecore.replay import rebuild
from statecore.retention import SYSTEM
from statecore.run import Run
from statecore.saying import said
from statecore.signals import Answer
from statecore.standing import migrating
from statecore.tasks import GRACE
from statecore.workflow import Machine, Workflow

if TYPE_CHECKING:
    from statecore.mailbox import Door

T = TypeVar("T")

OPEN = frozenset({"running", "waiting", "paused", "parked"}) | LABELS
"""The labels of runs that are not finished, which are looked for after a crash."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def fresh_id() -> str:
    """Twelve letters and digits, 60 random bits: short enough to type, and a clash is refused by the log."""
    drawn = secrets.randbits(60)
    return "".join(_ALPHABET[drawn >> place & 31] for place in range(0, 60, 5))


@contextmanager
def _new(run: str) -> Iterator[None]:
    """A run of that id begins."""
    try:
        yield
    except Conflict as taken:
        if taken.stream != run:
            raise
        raise RunExists(run, taken.found) from None


class Engine:
    """Runs workflows on a log. Use it as an async context manager; leaving it stops the work cleanly and closes the
    log.

    `workflows`: those whose runs it may take up. `guards`: asked for every call, before those of its state.
    `clock`, `ids`: ports. `serve`: as long as its block runs, the commands of this user that must write (`answer`, `signal`,
    `cancel` and the like) are carried out here, over a socket beside the log.
    """

    def __init__(
        self,
        log: Log,
        workflows: Iterable[type[Workflow[Any]]] = (),
        *,
        guards: Iterable[Guard[Any]] = (),
        clock: Clock | None = None,
        ids: Callable[[], str] = fresh_id,
        serve: bool = True,
    ) -> None:
        self.log, self.registry, self.clock, self.ids = log, Registry(workflows), clock or SystemClock(), ids
        self._core = Core(log, self.registry, guards, self.clock)
        self.ledger = self._core.ledger
        self._serves = serve
        self._door: Door | None = None

    async def __aenter__(self) -> Self:
        if self._serves:
            from statecore.operations import serve  # what others may ask for is loaded where somebody can ask

            self._door = serve(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- runs

    async def start(
        self, workflow: type[Workflow[T]], value: T, *, run: str = "", tenant: str = "", trusted: str = ""
    ) -> str:
        """Begin a run and give its id; the work goes on by itself. `trusted`: the rule by which `value` is; without one
        it is not.

        Raises BadInput where `value` is not what the workflow takes, or id or tenant cannot be kept (or the id is one of
        a child run), RunExists where the id is taken, LogError.
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
        begin = self._core.turns.begin(machine, Start(id, value, self.clock.now(), tenant, trusted=trusted))
        with _new(id):
            await self._core.tasks.shielded(begin)
        return id

    async def run(
        self,
        workflow: type[Workflow[T]],
        value: T,
        *,
        run: str = "",
        tenant: str = "",
        trusted: str = "",
        follow: bool = False,
    ) -> Run:
        """Begin a run and wait until it is at rest. As for `start` and `wait`."""
        return await self.wait(
            await self.start(workflow, value, run=run, tenant=tenant, trusted=trusted), follow=follow
        )

    async def wait(self, run: str, *, follow: bool = False) -> Run:
        """The run as soon as it is at rest: finished, parked, or waiting for what is not this engine's to do, a person,
        a signal, a `Wait` or a deadline. The next attempt of a call is waited for.

        `follow`: through all of that too, however long, until it is finished or parked, or the engine is closed. Raises
        UnknownRun; LogError where the log failed meanwhile.
        """
        runs = self._core.runs
        found = await runs.rest(run)
        while follow and not (found.outcome or found.condition == "parked" or self.parked(run)):
            if not await runs.stirring(run):
                held = runs.held.get(run)
                return held.run if held else found
            found = await runs.rest(run)
        return found

    async def state(self, run: str) -> Run:
        """The run as it is now. Raises UnknownRun, Unreadable."""
        return await self._core.runs.state(run)

    async def result(self, run: str) -> Any:
        """The value that a finished run ended on, as an object of its class.

        Raises UnknownRun, UnknownWorkflow; NotPossible where it is not finished, or ended on no value.
        """
        found = await self.state(run)
        if found.result is None:
            why = "ended on no value" if found.outcome else "a result comes with the end of a run: `wait` for it"
            raise NotPossible(f"{run} is {found.condition} and has no result: {why}")
        return self.registry.of(found).read(found.result)

    def parked(self, run: str) -> str:
        """Why this engine can do nothing with a run that it holds; "" where it can."""
        held = self._core.runs.held.get(run)
        return held.parked if held else ""

    def below(self, run: Run) -> list[str]:
        """The child runs that a run waits for, and those that they wait for, of those that this engine holds."""
        held = [child for name in waiting(run) if (child := self._core.runs.held.get(name))]
        return [name for child in held for name in (child.run.id, *self.below(child.run))]

    async def resume(self, run: str | None = None) -> list[str]:
        """Take up every run that is not finished (or one), as its log left it; their ids, in the order in which
        they began.

        A run that cannot be taken up here (its workflow is not loaded, a turn cannot be read) is parked with the
        reason and stops no other.
        """
        names = [run] if run else [info.name for info in await self.log.streams(labels=OPEN)]
        for name in names:
            self._core.runs.forget_unloaded(name)
        await asyncio.gather(*[self._take_up(name) for name in names])
        return names

    async def _take_up(self, run: str) -> None:
        await self._core.tasks.shielded(self._core.runs.take_up(run))

    async def drain(self) -> None:
        """Wait until every run that this engine holds is at rest."""
        while True:
            if busy := self._core.runs.busy():
                await self.wait(busy)
            elif self._core.children.reports:
                await asyncio.wait(self._core.children.reports)
            else:
                return

    async def cancel(self, run: str, *, by: str, why: str) -> Run:
        """End a run as cancelled; its calls in flight are stopped. Raises UnknownRun, NotPossible where it is
        finished, BadInput where who or why says nothing.
        """
        said(by, why)
        core = self._core
        return await core.tasks.shielded(core.turns.cancel(run, Cancel(self.clock.now(), by, why)))

    # -- what is said to a run

    async def answer(self, run: str, call: str, outcome: Any, *, by: str, why: str, shown: str = "") -> Run:
        """Answer a call to a person; or settle one that is parked, with its result or NotDone. The run as it is then.

        `shown`: the digest of what whoever answers was shown, or its first characters (see `asking.shown`); it is
        refused where something else is asked by now. Raises UnknownRun, UnknownCall, NotPossible where nothing is asked
        (any more), or of somebody else, BadInput where the contract does not admit the answer, or what is said
        cannot be kept. Nothing is recorded then.
        """
        return await hearing.answer(self._core, run, call, outcome, by=by, why=why, shown=shown)

    async def gives(self, run: str, call: str) -> tuple[Contract[Any], ...]:
        """The contracts that a call may be answered with. Raises as `answer` does."""
        async with self._core.runs.holding(run) as held:
            held.loaded()
            return held.specialist(held.answerable(call)).gives

    async def signal(self, run: str, value: Any, *, by: str = "", id: str = "") -> Answer:
        """Tell a run something that answers no call; what becomes of it. What nothing waits for, also of a type that the
        workflow does not know, is refused and recorded.

        `value`: of a contract; or a `Payload`, for what is no class here. `id`: a signal of `by` that was taken under it
        already is not taken again, and is answered the same. Raises UnknownRun, BadInput where it is no value of a
        contract, or the id was that of another value.
        """
        return await self._core.tasks.shielded(hearing.signal(self._core, run, Signal(value, by=by, id=id)))

    async def signals(self, run: str) -> tuple[Contract[Any], ...]:
        """The contracts of the signals that the workflow of a run knows. Raises UnknownRun, UnknownWorkflow."""
        async with self._core.runs.holding(run) as held:
            return held.loaded().signals

    # -- runs that go another way

    async def fork(self, run: str, at: int, *, by: str, why: str, new: str = "") -> str:
        """Begin a run that shares the first `at` events of another, and see to it; its id. The other stays as it is.

        Raises as `statecore.fork.fork` does. Where its workflow is not loaded, the new run is there and parked.
        """
        id = new or self.ids()
        with _new(id):
            await self._core.tasks.shielded(self._fork(run, at, id, by, why))
        return id

    async def _fork(self, run: str, at: int, new: str, by: str, why: str) -> None:
        if self._core.broken is not None:
            raise self._core.broken
        try:
            await fork(self.log, run, at, new, self.clock.now(), by=by, why=why)
        except (BadInput, Conflict, Unreadable):
            raise
        except LogError as error:
            self._core.fail(error)
            raise
        await self._core.runs.take_up(new)

    async def migrate(self, runs: str | Iterable[str], to: type[Workflow[Any]], *, by: str, why: str) -> list[str]:
        """Let open runs go on with another declaration, all of them or none, in one commit; `resume` takes them up.

        Raises UnknownRun, Unreadable; NotPossible where a run is worked on here, or could not go on with `to`, with
        every reason.
        """
        names = [runs] if isinstance(runs, str) else list(dict.fromkeys(runs))
        said(by, why)
        if not names:
            raise BadInput("expected the runs to migrate, found none: say `runs`")
        return await self._core.tasks.shielded(self._migrate(names, self.registry.add(to), by, why))

    async def _migrate(self, names: list[str], machine: Machine, by: str, why: str) -> list[str]:
        core = self._core
        if core.broken is not None:
            raise core.broken
        with core.runs.aside(names):
            found = [await rebuild(self.log, name) for name in names]
            at = self.clock.now()
            moves = migrating(machine, found, at, by=by, why=why)
            await core.turns.append(
                *(Append(run.id, run.seq - 1, (event,), at, "Migrate", run.label) for event, run in moves)
            )
        return names

    # -- the engine itself

    async def reconfigure(self) -> None:
        """Obey what the log now says about which specialists are in rotation. Raises LogError."""
        await self._core.turns.reconfigure()

    async def close(self) -> None:
        """Start nothing more, give calls in flight a moment to end, stop the rest, and close the log.

        A call that is stopped leaves its CallStarted in the log: the next `resume` treats it as cut by a crash. One
        that becomes due meanwhile is deferred to that `resume`; one that was decided before is still dispatched, so
        that none is taken for a call that was cut and never was one.
        """
        core = self._core
        core.closing = True
        if self._door is not None:
            self._door.shut()
        core.turns.close()
        core.acts.close()
        core.runs.stir_all()
        try:
            await core.tasks.end_by_themselves()
        finally:
            core.stopped = True
            core.flights.dispatcher.stop()
            await core.tasks.stop()
            core.runs.tell_all()
            if self._door is not None:
                await self._door.leave(GRACE)
            await self.log.close()
