"""The crash test: a run that is killed at every turn of it and of its child runs, and whose outcomes come twice, late or in another order, ends the same.

A kill abandons the engine and goes on with a new one, on a copy of what the log had. It strikes at two moments of each turn:
right after the turn was stored, so that what it started was never dispatched, and right before, so that the work was done and
nobody knows. What the abandoned engine had under way is cancelled, not frozen: its `finally` blocks do run.

A `once` call that was cut is parked. Where its work was done, it is settled with what it gave, and the run has to end the same;
where it was not, only that nobody did it later is looked at.
"""

import asyncio
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

from statecore.call import Call, CallState
from statecore.child import waiting
from statecore.engine import Engine
from statecore.events import CallFailed, state_of
from statecore.guard import Guard
from statecore.log import Append, Batch, MemoryLog, Turn
from statecore.messages import Completed
from statecore.replay import turns_of
from statecore.run import Run
from statecore.telling import said
from statecore.testing.given import RUN
from statecore.testing.play import to_rest
from statecore.testing.script import Entries, Script
from statecore.testing.virtual import VirtualClock, run_virtual
from statecore.wording import times
from statecore.workflow import Workflow

T = TypeVar("T")

DELAY = 0.1
"""By how much of its state's timeout an outcome is held back: enough to be overtaken, too little to be given up."""

SETTLING = 1.0
"""Virtual seconds after a run's rest, for outcomes that come late."""

UNKNOWABLE = ("OutcomeUnknown", "NotDone")
"""Failures that a cut `once` call ends in, where nobody knows its result."""

SHOWN = 3
"""Differences that one failed test shows; the first is nearly always the reason for the others."""


@attrs.frozen
class Survival:
    """How often the run was killed, how often its outcomes were disturbed, and how it ended each time."""

    kills: int
    disturbances: int
    outcome: str


@attrs.frozen
class _Ended:
    """A run at its end, and the world around it. `commits`: the turns of it and of its child runs, by commit."""

    run: Run
    turns: tuple[Turn, ...]
    work: Counter[tuple[str, str]]
    commits: tuple[tuple[Turn, ...], ...]
    known: bool = True
    """Whether it has to end as it would have without the kill: not where a `once` call was cut before its work was done."""

    def lines(self) -> dict[str, list[str]]:
        """What is compared, in words. Attempts and times may differ, and so may the order of values of parallel regions."""
        values = sorted(
            f"{value.by} gave {value.payload.contract} {value.payload.data.decode()}" for value in self.run.values
        )
        taken = sorted(f"{name}, {times(count, 'time')}" for name, count in self.run.taken.items())
        return {"condition": [f"{self.run.condition} in {self.run.config}"], "transitions": taken, "values": values}


def survives(
    workflow: type[Workflow[T]],
    value: T,
    script: Entries | None = None,
    *,
    signals: Sequence[Any] = (),
    guards: Sequence[Guard[Any]] = (),
) -> Survival:
    """Play a run undisturbed, then kill it at every turn, and let its outcomes come twice, late and reordered.

    Takes what `play` takes. Raises AssertionError where one of these runs ends otherwise, or does the work of a `once` call
    twice; the message names the event and the difference. Its time grows with the square of the number of turns.
    """
    trial = _Trial(workflow, value, script, signals, guards)
    whole = trial.whole()
    kills = [trial.killed(whole, number, stored) for number, stored in _moments(whole)]
    disturbed = [trial.disturbed(whole, *each) for each in trial.disturbances(whole)]
    wrong = [found for found in (*kills, *disturbed) if found]
    if wrong:
        more = f"\nand {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        name = workflow.machine.name
        raise AssertionError(f"{name} does not survive " + "\nnor ".join(wrong[:SHOWN]) + more)
    return Survival(len(kills), len(disturbed), whole.run.outcome)


def _moments(whole: _Ended) -> Iterator[tuple[int, bool]]:
    """Which turn, and whether it is stored when the kill comes. Before the first is stored there is no run."""
    for number in range(1, len(whole.commits) + 1):
        yield from [(number, True)] if number == 1 else [(number, False), (number, True)]


@attrs.frozen
class _Trial:
    workflow: type[Workflow[Any]]
    value: Any
    entries: Entries | None
    signals: Sequence[Any]
    guards: Sequence[Guard[Any]]

    def script(self) -> Script[Any]:
        return Script(self.workflow, self.entries)

    def whole(self) -> _Ended:
        script = self.script()
        ended = run_virtual(self._whole(script))
        script.finish()
        return ended

    async def _whole(self, script: Script[Any], again: bool = False) -> _Ended:
        log = _CountingLog()
        async with self._engine(log, script) as engine:
            if again:
                script.gave = partial(_twice, engine)
            await engine.start(script.workflow, self.value, run=RUN)
            await to_rest(engine, log, script, self.signals)
            await asyncio.sleep(SETTLING)
        return await _ended(engine, log, script)

    def _engine(self, log: MemoryLog, script: Script[Any], clock: VirtualClock | None = None) -> Engine:
        return Engine(log, [script.workflow], guards=self.guards, clock=clock or VirtualClock(), serve=False)

    # -- kills

    def killed(self, whole: _Ended, number: int, stored: bool) -> str:
        """What differs after a kill at a turn; "" where nothing does."""
        script, log = self.script(), _MortalLog(number, stored)
        run_virtual(self._until_killed(script, log))
        ended = run_virtual(self._resumed(whole, script, log))
        turn = whole.commits[number - 1][0]
        event = turn.version if stored else turn.version - len(turn.events)
        last = turn if stored else whole.commits[number - 2][0]
        moment = "before anything that it started" if stored else f"before `{said(turn.events[0])}` was stored"
        where = "" if turn.stream == RUN else f" of {turn.stream}"
        return _compared(
            f"a kill after event {event}{where}, `{said(last.events[-1])}`, {moment}", whole, ended, script
        )

    async def _until_killed(self, script: Script[Any], log: "_MortalLog") -> None:
        async def work() -> None:
            engine = self._engine(log, script)
            await engine.start(script.workflow, self.value, run=RUN)
            await to_rest(engine, log, script, self.signals)

        working, dying = asyncio.create_task(work()), asyncio.create_task(log.dead.wait())
        done, _ = await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            working.result()

    async def _resumed(self, whole: _Ended, script: Script[Any], before: "_MortalLog") -> _Ended:
        log = await _copied(before)
        died = max(info.at for info in await log.streams())
        async with self._engine(log, script, VirtualClock(died)) as engine:
            await engine.resume(RUN)
            await (
                engine.drain()
            )  # and no further: time that passes before a call is settled is not that of the whole run
            known = await _settled(engine, script, await engine.state(RUN), whole.run.calls)
            await to_rest(engine, log, script, self.signals)
        ended = await _ended(engine, log, script)
        return attrs.evolve(ended, known=known and _unknowable(ended.turns) == _unknowable(whole.turns))

    # -- disturbances

    def disturbances(self, whole: _Ended) -> Iterator[tuple[str, dict[str, float], bool]]:
        """In words, seconds by which calls are held back, and whether each outcome comes again."""
        calls = [call for call, _ in whole.work]
        delays = {call: DELAY * self._timeout(call) for call in calls}
        yield "outcomes that come twice", {}, True
        yield from ((f"a late outcome of {call}", {call: delays[call]}, False) for call in calls)
        if len(calls) > 1:
            places = {call: (len(calls) - place) / len(calls) for place, call in enumerate(calls)}
            yield "outcomes in reversed order", {call: delays[call] * places[call] for call in calls}, True

    def _timeout(self, call: str) -> float:
        works = self.workflow.machine.chart.state(state_of(call)).works
        return min(work.timeout for work in works)

    def disturbed(self, whole: _Ended, what: str, delays: dict[str, float], again: bool) -> str:
        script = self.script()
        script.delay = lambda call: delays.get(call.id, 0.0)
        return _compared(what, whole, run_virtual(self._whole(script, again)), script)


class _CountingLog(MemoryLog):
    """Keeps what was committed together."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[tuple[Turn, ...]] = []

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        turns = await super().append(batch)
        self.commits.append(turns)
        return turns


class _MortalLog(MemoryLog):
    """Dies with its engine at its n-th append, before or right after that is stored: from then on nothing answers."""

    def __init__(self, number: int, stored: bool) -> None:
        super().__init__()
        self.left, self.stored, self.dead = number, stored, asyncio.Event()

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        self.left -= 1
        turns = await super().append(batch) if self.left > 0 or (self.left == 0 and self.stored) else ()
        if self.left <= 0:
            self.dead.set()
            await asyncio.Event().wait()
        return turns


async def _copied(log: MemoryLog) -> MemoryLog:
    """What the log has, in a log of its own."""
    copy = MemoryLog()
    label = {info.name: info.label for info in await log.streams()}
    for turn in (await log.follow(limit=1_000_000))[0]:
        before = turn.version - len(turn.events)
        await copy.append(Batch((Append(turn.stream, before, turn.events, turn.at, turn.cause, label[turn.stream]),)))
    return copy


async def _settled(engine: Engine, script: Script[Any], run: Run, open_: Container[str]) -> bool:
    """Settle what the kill parked, in a run and in those below it, with what its work gave, as somebody would who looks;
    whether all of it was done. `open_`: the calls that an undisturbed run leaves open.
    """
    known = True
    for call in waiting(run).values():
        if (below := script.below(call)) is not None:
            known &= await _settled(engine, below, await engine.state(call.child), ())
    parked = [id for id, call in run.calls.items() if call.status is CallState.UNKNOWN and id not in open_]
    for id in parked:
        if id in script.done:
            await engine.answer(run.id, id, script.done[id], by="survives", why="its work was done")
    return known and all(id in script.done for id in parked)


def _unknowable(turns: Sequence[Turn]) -> int:
    """How many calls ended in what a cut `once` call ends in where nobody can say."""
    events = [event for turn in turns for event in turn.events]
    return sum(isinstance(event, CallFailed) and event.failure.contract in UNKNOWABLE for event in events)


def _twice(engine: Engine, call: Call, value: Any) -> None:
    """The outcome comes once more, by the door for outcomes of work that could not be stopped."""
    engine._core.flights.late(call.run, Completed(value, call.id, call.attempt, rank=call.rank))


async def _ended(engine: Engine, log: MemoryLog, script: Script[Any]) -> _Ended:
    commits = tuple(log.commits) if isinstance(log, _CountingLog) else ()
    return _Ended(await engine.state(RUN), tuple(await turns_of(log, RUN)), script.work, commits)


def _compared(what: str, whole: _Ended, found: _Ended, script: Script[Any]) -> str:
    """How a run differs from the undisturbed one; "" where it does not."""
    if script.faults:
        return f"{what}:\n  {script.faults[0]}"
    once = {call for call, name in found.work if _is_once(script, call, name)}
    twice = [
        f"  the work of {call}, whose effect is `once`, was done {times} times"
        for (call, _), times in found.work.items()
        if call in once and times > 1
    ]
    differs = [line for name in whole.lines() for line in _differs(name, whole, found)] if found.known else []
    return "\n".join([f"{what}:", *twice, *differs]) if twice or differs else ""


def _is_once(script: Script[Any], call: str, name: str) -> bool:
    state = script.declared.machine.chart.state(state_of(call))
    able = [each for each in state.specialists if state.plan is None or each.name == name]
    return any(specialist.effect == "once" for specialist in able)


def _differs(name: str, whole: _Ended, found: _Ended) -> Iterator[str]:
    expected, there = Counter(whole.lines()[name]), Counter(found.lines()[name])
    if expected != there:
        yield f"  {name}, - undisturbed, + found:"
        yield from (f"    - {line}" for line in expected - there)
        yield from (f"    + {line}" for line in there - expected)
