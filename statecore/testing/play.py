"""A run played from its beginning to its rest: in virtual time, on a log in memory, with scripted specialists."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import attrs

from statecore.asking import questions
from statecore.child import waiting
from statecore.engine import Engine
from statecore.events import Moved
from statecore.family import descendants
from statecore.guard import Guard
from statecore.history import path
from statecore.log import Log, MemoryLog, Turn
from statecore.person import Person
from statecore.replay import turns_of
from statecore.run import Run
from statecore.testing.given import RUN
from statecore.testing.script import Entries, Script
from statecore.testing.virtual import VirtualClock, run_virtual
from statecore.workflow import Machine, Workflow

T = TypeVar("T")


@attrs.frozen
class Played:
    """`run` at its rest, and the `turns` that led there. Compare it with `trace_snapshot`."""

    machine: Machine = attrs.field(repr=False)
    run: Run
    turns: tuple[Turn, ...] = attrs.field(repr=False)

    @property
    def moves(self) -> tuple[str, ...]:
        """The transitions taken, in order."""
        return moves(self.turns)

    @property
    def seconds(self) -> float:
        """How long it took, in virtual time."""
        return self.run.at - self.run.started

    @property
    def result(self) -> Any:
        """What the last move was made on, as an object; None while the run is not finished."""
        found = self.run.result
        return None if found is None else self.machine.read(found)


def play(
    workflow: type[Workflow[T]],
    value: T,
    script: Entries | Script[T] | None = None,
    *,
    signals: Sequence[Any] = (),
    guards: Iterable[Guard[Any]] = (),
) -> Played:
    """Play a run on a virtual loop. `script`: what the calls do; None: what the specialists really do.

    `signals`: each is sent as soon as the run is at rest, before a wait is over. Raises ScriptError where the script was not played as written,
    AssertionError where the engine could do nothing with the run, Stuck.
    """
    cast = script if isinstance(script, Script) else Script(workflow, script)
    played = run_virtual(_play(cast, value, signals, guards))
    cast.finish(f"the run: {' '.join(path(played.turns))}")
    return played


async def _play(script: Script[T], value: T, signals: Sequence[Any], guards: Iterable[Guard[Any]]) -> Played:
    log = MemoryLog()
    async with Engine(log, [script.workflow], guards=guards, clock=VirtualClock()) as engine:
        await engine.start(script.workflow, value, run=RUN)
        await to_rest(engine, log, script, signals)
    turns = await turns_of(log, RUN)
    return Played(script.declared.machine, await engine.state(RUN), tuple(turns))


async def to_rest(engine: Engine, log: Log, script: Script[Any], signals: Sequence[Any]) -> Run:
    """Wait for the run: people answer as the script says, those whom a child asks too, then come the signals that its log
    does not have yet, and where nothing else is to come, time passes.
    """
    heard = sum(turn.cause == "Signal" for turn in await turns_of(log, RUN))
    left = list(signals[heard:])
    while not (run := await engine.wait(RUN)).outcome and not engine.parked(RUN):
        said, timed = await _said(engine, script, run), _timed(engine)
        if said is not None and said.at <= engine.clock.now():
            await engine.answer(said.run, said.call, said.value, by=said.by, why="the script says so")
        elif left:
            await engine.signal(RUN, left.pop(0))
        elif not timed and said is None:
            break
        else:
            limit = None if said is None else said.at - engine.clock.now()
            with suppress(TimeoutError):
                await asyncio.wait_for(engine._core.runs.stirring(RUN), limit)
    for signal in left:
        await engine.signal(RUN, signal)
        run = await engine.wait(RUN)
    if (why := engine.parked(RUN)) and not script.faults:
        raise AssertionError(f"the engine could do nothing with the run: {why}")
    return run


def _timed(engine: Engine) -> bool:
    """Whether a time is set for the run, or for one below it."""
    alarms = engine._core.acts.alarms
    return RUN in alarms or bool(descendants(RUN, alarms))


@attrs.frozen
class _Says:
    """What a person answers, and when."""

    at: float
    run: str
    call: str
    value: Any
    by: str


async def _said(engine: Engine, script: Script[Any], run: Run) -> _Says | None:
    """The next answer of a person, to the run or to one below it that has a script of its own."""
    found = []
    for call in questions(run):
        person = script.workflow.machine.chart.specialist(call)
        if (says := script.says(person, call)) is not None:
            by = person.who[0] if isinstance(person, Person) and person.who else "script"
            found.append(_Says(call.since + says[0], run.id, call.id, says[1], by))
    for call in waiting(run).values():
        below = script.below(call)
        if below is not None and (said := await _said(engine, below, await engine.wait(call.child))) is not None:
            found.append(said)
    return min(found, key=lambda each: each.at, default=None)


def moves(turns: Iterable[Turn]) -> tuple[str, ...]:
    return tuple(
        name for turn in turns for event in turn.events if isinstance(event, Moved) for name in event.transitions
    )
