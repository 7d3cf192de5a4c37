"""Going back over a log: rebuild a run, and check that the machine decides again what was decided.

`rebuild` folds and asks nobody: no class, no clock, no specialist. `verify` does more: the chain of every row, and, where the
declaration that a run is pinned to is loaded, every turn decided anew under what the guards said then.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from statecore.call import CallState
from statecore.decider import decide
from statecore.errors import LogError, StatecoreError, UnknownRun, UnknownWorkflow
from statecore.events import (
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallRefused,
    CallStarted,
    Cancelled,
    Event,
    Payload,
    RunStarted,
    SignalTaken,
)
from statecore.guard import Defer, Guard, Pass, Question, Refuse, Side, Verdict
from statecore.log import Flaw, Log, Turn
from statecore.messages import Cancel, Completed, Elapsed, Failed, Input, Interrupted, Signal, Start
from statecore.registry import Registry
from statecore.run import Run, fold, replay
from statecore.workflow import Machine


async def turns_of(log: Log, run: str) -> list[Turn]:
    """All turns of a run. Raises UnknownRun, Unreadable."""
    turns = [turn async for turn in log.read(run)]
    if not turns:
        raise UnknownRun(f"no run {run} in this log: `statecore runs` lists those that are there")
    return turns


async def rebuild(log: Log, run: str, at: int | None = None) -> Run:
    """The run as its log has it, or as it was after its first `at` events. Needs no class of the workflow.

    Raises UnknownRun, Unreadable, and ValueError where the run never had `at` events.
    """
    turns = await turns_of(log, run)
    if at is None:
        return replay(run, ((turn.at, turn.events) for turn in turns))
    if not 1 <= at <= turns[-1].version:
        raise ValueError(f"{run} has {turns[-1].version} events: expected a number from 1 to {turns[-1].version}, found {at}")
    return replay(run, _until(turns, at))


def _until(turns: Iterable[Turn], at: int) -> Iterable[tuple[float, Sequence[Event]]]:
    for turn in turns:
        first = turn.version - len(turn.events)
        if first < at:
            yield turn.at, turn.events[: at - first]


async def verify(log: Log, registry: Registry, run: str | None = None) -> list[Flaw]:
    """Everything that is wrong with a log, or with one run of it. Empty: nothing was found."""
    flaws = await log.verify(run)
    names = [run] if run else [info.name for info in await log.streams()]
    for name in names:
        try:
            flaws += decided_otherwise(await turns_of(log, name), registry)
        except UnknownRun:
            continue
        except LogError as error:
            if not any(flaw.stream == name for flaw in flaws):
                flaws.append(Flaw(name, None, str(error)))
    return flaws


def decided_otherwise(turns: Sequence[Turn], registry: Registry) -> list[Flaw]:
    """The turns of one run that its own machine would not decide as they are recorded; empty where that is not loaded."""
    run = Run(id=turns[0].stream)
    flaws = []
    machine: Machine | None = None
    for turn in turns:
        if not run.seq:
            try:
                machine = registry.of(fold(run, turn.events, turn.at))
            except UnknownWorkflow:
                return []
        assert machine is not None
        if why := _difference(machine, run, turn):
            flaws.append(Flaw(turn.stream, turn.version, why))
        try:
            run = fold(run, turn.events, turn.at)
        except Exception as error:
            return [*flaws, Flaw(turn.stream, turn.version, f"its events do not fit the run before them: {type(error).__name__}: {error}")]
    return flaws


def _difference(machine: Machine, run: Run, turn: Turn) -> str:
    """How a turn differs from what is decided now; "" where it does not."""
    try:
        input = _input(machine, run, turn)
        if input is None:
            return ""
        again = decide(machine, run, input, _Then(machine, turn.events))
    except (StatecoreError, LookupError, AssertionError) as error:
        return f"cannot be decided again: {error}"
    recorded, decided = [[_comparable(event) for event in events] for events in (turn.events, again)]
    for then, now in zip(recorded, decided, strict=False):
        if then != now:
            return f"was recorded as {then}, and is decided as {now}"
    return "" if len(recorded) == len(decided) else f"was recorded as {len(recorded)} events, and is decided as {len(decided)}"


def _comparable(event: Event) -> Event:
    """Without what the decider was told rather than decided: tracebacks and rejected outputs."""
    return attrs.evolve(event, detail="", output=None) if isinstance(event, CallFailed) else event


def _input(machine: Machine, run: Run, turn: Turn) -> Input | None:
    """The input that a turn answered, read from its first event; None where that decides nothing about the chart."""

    def live(payload: Payload) -> Any:
        return machine.contracts[payload.contract].unpack(payload)

    match turn.events[0]:
        case RunStarted() as event:
            return Start(turn.stream, live(event.input), turn.at, event.tenant, event.root)
        case CallCompleted() as event:
            return Completed(live(event.value), event.call, event.attempt, turn.at, event.by, event.why)
        case CallFailed() as event:
            return Failed(live(event.failure), event.call, event.attempt, turn.at, event.by, event.why)
        case SignalTaken() as event:
            return Signal(live(event.value), at=turn.at, by=event.by)
        case Cancelled() as event:
            return Cancel(turn.at, event.by, event.why)
        case CallStarted(call=id) | CallAsked(call=id) | CallDeferred(call=id) | CallRefused(call=id):
            call = run.calls[id]
            return Interrupted(id, turn.at) if call.status is CallState.STARTED else Elapsed(id, turn.at)
        case _:
            return None


class _Then:
    """The guards as they answered when the turn was recorded."""

    def __init__(self, machine: Machine, events: Sequence[Event]) -> None:
        self._machine = machine
        self._said = [event for event in events if isinstance(event, CallRefused | CallDeferred)]

    def ask(self, side: Side, own: tuple[Guard[Any], ...], question: Question[Any]) -> tuple[str, Verdict]:
        if side == "after" or not self._said or self._said[0].call != question.call:
            return "", Pass()
        match self._said.pop(0):
            case CallRefused(guard=guard, why=why, failure=failure):
                return guard, Refuse(why, self._machine.contracts[failure.contract].unpack(failure))
            case CallDeferred(guard=guard, why=why, wake=wake):
                return guard, Defer(why, wake)

    def note(self, run: str, event: Event) -> None:
        """What is decided again counts for nothing."""
