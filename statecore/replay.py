"""Going back over a log: rebuild a run, and check that the machine decides again what was decided.

`rebuild` folds and asks nobody: no class, no clock, no specialist. `verify` does more: the chain of every row, and,
where the declaration that a run is pinned to is loaded, every turn decided anew under what the guards said then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import attrs

from statecore.admission import Asking
from statecore.call import CallState
from statecore.checkpoint import Checkpoint, Mark, Unfit, opened
from statecore.decider import decide
from statecore.envelope import DERIVED
from statecore.errors import BadInput, LogError, UnknownRun, UnknownWorkflow, Unreadable
from statecore.events import (
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    Erased,
    Event,
    ForkedFrom,
    Migrated,
    Payload,
    Purged,
    RunStarted,
    SignalRefused,
    SignalTaken,
    TimerFired,
    plan_of,
)
from statecore.guard import Defer, Guard, Pass, Refuse, Side
from statecore.guard import Verdict as Said
from statecore.history import deciders
from statecore.log import Flaw, KeepsCheckpoints, Log, Turn
from statecore.messages import Cancel, Completed, Elapsed, Failed, Input, Interrupted, Signal, Start
from statecore.registry import Registry
from statecore.retention import not_system, purged
from statecore.run import Draft, Run, fold, replay
from statecore.standing import moved
from statecore.telling import said
from statecore.wording import moment, short, visible
from statecore.workflow import Machine


async def turns_of(log: Log, run: str) -> list[Turn]:
    """All turns of a run. Raises UnknownRun, Unreadable."""
    turns = [turn async for turn in log.read(run)]
    if not turns:
        if found := (await purged(log)).get(run):
            raise UnknownRun(f"{run} is not in this log any more: {gone(*found)}")
        raise UnknownRun(f"no run {run} in this log: `statecore runs` lists those that are there")
    return turns


def gone(turn: Turn, stub: Purged) -> str:
    """What is known of a run that was purged."""
    ended = f"{stub.outcome}, {stub.events} events, last digest {stub.head[:12]}"
    return f"was purged on {moment(turn.at)} by {short(stub.by)}: {short(stub.why)} ({ended})"


async def rebuild(log: Log, run: str, at: int | None = None) -> Run:
    """The run as its log has it, or as it was after its first `at` events. Needs no class of the workflow. Without
    `at`, only what came after its last checkpoint is read, where it has one that fits.

    Raises UnknownRun, Unreadable, and ValueError where the run never had `at` events.
    """
    return rebuilt(await turns_of(log, run), at) if at is not None else (await recall(log, run))[0]


async def recall(log: Log, run: str) -> tuple[Run, Mark]:
    """`rebuild`, and how far the checkpoints reach that it went on from."""
    with suppress(Unfit, LogError):  # what is wrong with the log itself, reading it says once more
        if kept := await checkpoints_of(log, run):
            before = opened(kept)
            if found := await _folded(log, before, kept[-1].head):
                return found, Mark(before.seq, len(before.values))
    return await _folded(log, Run(id=run)) or rebuilt(await turns_of(log, run)), Mark()


async def checkpoints_of(log: Log, run: str) -> list[Checkpoint]:
    """None, where the log keeps none."""
    return await log.checkpoints(run) if isinstance(log, KeepsCheckpoints) else []


async def _folded(log: Log, before: Run, head: bytes = b"") -> Run | None:
    """What the turns after `before` made of it. None where the log has none; or, after a checkpoint, where the turn
    that it was taken after is not there with its `head`.
    """
    draft = Draft(before, before.at)  # turn by turn: ten thousand at hand at once keep the garbage collector busy
    seen = not head
    with _following(before.id, lambda: draft.seq):
        async for turn in log.read(before.id, max(0, before.seq - 1)):
            if seen:
                draft.take(turn.events, turn.at)
            elif (turn.version, turn.head) != (before.seq, head):
                return None
            seen = True
    return draft.run() if seen and draft.seq else None


def rebuilt(turns: Sequence[Turn], at: int | None = None) -> Run:
    """`rebuild`, of turns that were read already."""
    run, events = turns[0].stream, turns[-1].version
    if at is not None and not 1 <= at <= events:
        raise BadInput(f"{run} has {events} events: expected a number from 1 to {events}, found {at}")
    with _following(run, lambda: events):
        return replay(run, ((turn.at, turn.events) for turn in until(turns, events if at is None else at)))


@contextmanager
def _following(run: str, version: Callable[[], int]) -> Iterator[None]:
    """Events that do not follow from each other are those of a log that somebody wrote by hand."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        why = f"its events do not follow from each other ({type(error).__name__}: {error})"
        raise Unreadable(run, version(), why) from error


def until(turns: Iterable[Turn], at: int) -> list[Turn]:
    """The turns that led to the first `at` events, the last of them cut short where it went on."""
    led = []
    for turn in turns:
        first = turn.version - len(turn.events)
        if first < at:
            led.append(turn if turn.version <= at else attrs.evolve(turn, version=at, events=turn.events[: at - first]))
    return led


@attrs.frozen
class Verdict:
    """What was found wrong. `runs`: how many were looked at; `skipped`: those not decided again, with why not."""

    flaws: tuple[Flaw, ...]
    runs: int
    skipped: Mapping[str, str]


async def verify(log: Log, registry: Registry, run: str | None = None) -> list[Flaw]:
    """Everything that is wrong with a log, or with one run of it. Empty: nothing was found."""
    return list((await examine(log, registry, run)).flaws)


async def examine(log: Log, registry: Registry, run: str | None = None) -> Verdict:
    """`verify`, and how far it went."""
    flaws = await log.verify(run)
    names = [run] if run else await _readable(log, flaws)
    if run and (found := (await purged(log)).get(run)):
        return Verdict(tuple(flaw for flaw in flaws if flaw.version is not None), 1, {run: gone(*found)})
    skipped = {}
    for name in names:
        try:
            turns = await turns_of(log, name)
            if any(isinstance(event, Erased) for turn in turns for event in turn.events):
                skipped[name] = "has no payloads any more: they were erased"
                continue
            flaws += misfits(await checkpoints_of(log, name), turns)
            wrong, undecided = decided_otherwise(turns, registry)
        except UnknownRun:
            continue
        except LogError as error:
            if not any(flaw.stream == name for flaw in flaws):
                flaws.append(Flaw(name, None, str(error)))
        else:
            flaws += wrong
            if undecided:
                skipped[name] = undecided
    return Verdict(tuple(flaws), len(names), skipped)


async def _readable(log: Log, flaws: list[Flaw]) -> list[str]:
    """The runs of a log; none where they cannot be listed, which is a flaw."""
    try:
        return [info.name for info in not_system(await log.streams())]
    except LogError as error:
        flaws.append(Flaw("", None, f"the runs cannot be listed: {error.__cause__ or error}"))
        return []


def misfits(kept: Sequence[Checkpoint], turns: Sequence[Turn]) -> list[Flaw]:
    """What is wrong with the checkpoints of a run. One that another release folded is only of no use here."""
    if not kept:
        return []
    version, head = kept[-1].version, kept[-1].head
    try:
        run = opened(kept)
        if not any((turn.version, turn.head) == (version, head) for turn in turns):
            raise Unfit("the log has no such turn there")
        if run != rebuilt(turns, version):
            raise Unfit("the turns before it lead to another run")
    except Unfit as fault:
        why = f"has a checkpoint that does not fit: {fault}: delete the rows of this run in the table checkpoints"
        return [] if fault.other else [Flaw(turns[0].stream, version, why)]
    return []


def decided_otherwise(turns: Sequence[Turn], registry: Registry) -> tuple[list[Flaw], str]:
    """The turns of one run that its own machine would not decide as they are recorded; of a run that was migrated each
    by that of its time, of a fork what it shares as the turns of the run that decided them. And why some could not be
    decided again, "" where all could.
    """
    named = deciders(turns)
    run, undecided, flaws = Run(id=named[0]), "", list[Flaw]()
    for place, (turn, decider) in enumerate(zip(turns, named, strict=True)):
        if run.id != decider:
            run = replay(decider, ((before.at, before.events) for before in turns[:place]))
        try:
            after = fold(run, turn.events, turn.at)
        except Exception as error:
            why = f"its events do not fit the run before them: {type(error).__name__}: {error}"
            return [*flaws, Flaw(turn.stream, turn.version, why)], undecided
        try:
            machine = registry.of(after)
        except UnknownWorkflow as error:
            undecided = undecided or str(error).removeprefix(f"{visible(decider)} ")
        else:
            if why := _difference(machine, run, turn):
                flaws.append(Flaw(turn.stream, turn.version, why))
        run = after
    return flaws, undecided


def _difference(machine: Machine, run: Run, turn: Turn) -> str:
    """How a turn differs from what is decided now; "" where it does not."""
    try:
        again = _again(machine, run, turn)
        if again is None:
            return ""
    except Exception as error:  # whatever somebody wrote into the log meets code that never expected it
        return f"cannot be decided again: {type(error).__name__}: {error}"
    recorded, decided = [[_comparable(event) for event in events] for events in (turn.events, again)]
    for then, now in zip(recorded, decided, strict=False):
        if then != now:
            return f"was recorded as `{said(then)}`, and is decided as `{said(now)}`"
    if len(recorded) > len(decided):
        return f"was recorded with `{said(recorded[len(decided)])}`, which nothing decides"
    return (
        f"was recorded without `{said(decided[len(recorded)])}`, which is decided"
        if len(recorded) < len(decided)
        else ""
    )


def _again(machine: Machine, run: Run, turn: Turn) -> tuple[Event, ...] | None:
    """What is decided now; None where the turn answered nothing that is known."""
    if isinstance(turn.events[0], Migrated):
        event = turn.events[0]
        return (moved(machine, run, dict(event.renamed), event.by, event.why),)
    input = _input(machine, run, turn)
    return None if input is None else decide(machine, run, input, _Then(machine, turn.events))


def _comparable(event: Event) -> Event:
    """Without what the decider was told rather than decided: tracebacks, rejected outputs, and the versions of
    specialists, which no run is pinned to.
    """
    match event:
        case CallFailed(next=next):
            return attrs.evolve(event, detail="", output=None, next=_unversioned(next))
        case CallRefused(next=next):
            return attrs.evolve(event, next=_unversioned(next))
        case CallStarted(specialist=specialist) | CallAsked(specialist=specialist):
            return attrs.evolve(event, specialist=_unversioned(specialist))
    return event


def _unversioned(specialist: str) -> str:
    return specialist.partition("@")[0]


def _input(machine: Machine, run: Run, turn: Turn) -> Input | None:
    """The input that a turn answered, read from its first event; None where that fires nothing."""
    live = machine.read
    match turn.events[0]:
        case CallStarted(call=id) | CallAsked(call=id) | CallRefused(call=id) | CallFailed(call=id) if (
            parked := _parked_beside(run, id)
        ):
            return Interrupted(parked, turn.at)
        case RunStarted() as event:
            whose = (event.tenant, event.root, event.trusted)
            return Start(run.id, live(event.input), turn.at, *whose, event.parent, event.depth)
        case CallCompleted(call=id, by="") | CallFailed(call=id) if _asked(run, id):
            return Elapsed(call=id, at=turn.at)
        case TimerFired(state=state):
            return Elapsed(state=state, at=turn.at)
        case CallCompleted() as event:
            said = (event.by, event.why)
            return Completed(live(event.value), event.call, event.attempt, turn.at, *said, warnings=event.warnings)
        case CallFailed(output=Payload() as output) as event:
            return Completed(live(output), event.call, event.attempt, turn.at, event.by, event.why)
        case CallFailed() as event:
            return Failed(live(event.failure), event.call, event.attempt, turn.at, event.by, event.why)
        case SignalTaken() | SignalRefused() as event:
            known = machine.signal(event.value.contract) is not None
            return Signal(live(event.value) if known else event.value, at=turn.at, by=event.by, id=event.id)
        case CallUnknown() as event:
            return Interrupted(event.call, turn.at, event.why)
        case Cancelled() as event:
            return Cancel(turn.at, event.by, event.why)
        case CallStarted(call=id) | CallAsked(call=id) | CallDeferred(call=id) | CallRefused(call=id):
            call = run.calls[id]
            return Interrupted(id, turn.at) if call.status is CallState.STARTED else Elapsed(call=id, at=turn.at)
        case CallLate() if (
            len(turn.events) == 1
        ):  # it names no rank, so what it came too late for is not known any more
            return None
        case ForkedFrom():
            return None
        case other:
            raise LookupError(f"nothing that can come begins with {type(other).__name__}")


def _parked_beside(run: Run, call: str) -> str:
    """Of a part of a plan that was not open: the call that a fork had parked, beside which it began."""
    if call in run.calls or plan_of(call) not in run.plans:
        return ""
    return next((other.id for other in run.calls.values() if other.copied and plan_of(other.id) == plan_of(call)), "")


def _asked(run: Run, call: str) -> bool:
    """Whether a person is asked by a call: what ends that without a name is its deadline."""
    found = run.calls.get(call)
    return found is not None and found.kind == "person"


class _Then:
    """The guards as they answered when the turn was recorded."""

    def __init__(self, machine: Machine, events: Sequence[Event]) -> None:
        self._machine = machine
        self._said = [event for event in events if isinstance(event, CallRefused | CallDeferred)]
        self._after = events[0] if isinstance(events[0], CallFailed | CallCompleted) else None

    def ask(self, side: Side, own: tuple[Guard[Any], ...], question: Asking) -> tuple[str, Said]:
        if side == "after":
            return self._judged(self._after)
        if not self._said or self._said[0].call != question().call:
            return "", Pass()
        match self._said.pop(0):
            case CallRefused(guard=guard, why=why, failure=failure):
                return guard, Refuse(why, self._machine.read(failure))
            case CallDeferred(guard=guard, why=why, wake=wake):
                return guard, Defer(why, wake)

    def _judged(self, event: CallFailed | CallCompleted | None) -> tuple[str, Said]:
        """An output that was rejected then is rejected again, with the failure that the guard chose; one that a guard
        vouched for is trusted again.
        """
        if isinstance(event, CallCompleted):
            return event.trusted if event.trusted != DERIVED else "", Pass()
        if event is None or event.output is None:
            return "", Pass()
        return "", Refuse("", self._machine.read(event.failure))

    def note(self, run: str, event: Event) -> None:
        """What is decided again counts for nothing."""
