"""What must hold after every seed, whatever happened: found out from the log and from what the world saw.

The engine's own `verify` is one of the questions. The others are asked of a second account of each run, kept here, so
that a rule which is wrong in the decider is not excused by the same rule.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import Any

import attrs

from statecore.call import Call, CallState, key
from statecore.codec import encode
from statecore.decider import MAX_CUTS
from statecore.engine import OPEN, Engine
from statecore.errors import UnknownRun
from statecore.events import (
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    Event,
    Finished,
    ForkedFrom,
    RunStarted,
    SignalRefused,
    SignalTaken,
    Switched,
)
from statecore.log import Log, Turn
from statecore.registry import Registry
from statecore.replay import rebuild, rebuilt, turns_of, verify
from statecore.retention import not_system
from statecore.run import Run, fold
from statecore.switches import SWITCHES
from statecore.workflow import Machine
from tests.sim.family import Children, families, waits_for
from tests.sim.outside import Outside
from tests.sim.parts import Plans
from tests.sim.questions import Questions
from tests.sim.times import TURN, Times
from tests.sim.work import TIMEOUT
from tests.sim.world import PATIENCE, Attempt, Commit, Flight, World

SLACK = 1.0
"""Seconds that taking a turn may take besides the wait that it ends."""
MUCH = 2 * TIMEOUT + 30.0
"""The same, where another process began the wait and its clock may not be believed: as long as an attempt may take."""


@attrs.frozen
class Found:
    """`wrong`: every promise that was not kept. `trace`: the digest of all turns and effects with their times. `seen`: how
    often each kind of event, effect and end of a process came about.
    """

    wrong: tuple[str, ...]
    trace: str
    seen: Counter[str]


AGAIN = (CallStarted, CallAsked, CallDeferred, CallRefused)
"""What may come of a wait that is over."""


async def examine(world: World, engine: Engine, workflows: Any, outside: Outside) -> Found:
    log, registry = engine.log, Registry(workflows)
    flaws = [
        flaw
        for flaw in await verify(log, registry)
        if not (flaw.stream in world.harmed and "has a checkpoint" in flaw.what)
    ]
    infos = await log.streams()
    there: dict[str, list[Turn]] = {info.name: [turn async for turn in log.read(info.name)] for info in infos}
    flat = sorted((turn for turns in there.values() for turn in turns), key=lambda turn: turn.position)
    wrong = [*world.odd, *map(str, flaws), *_lost(world, flat)]
    questions = Questions(outside.said)
    accounts: dict[str, _Account] = {}
    for info in not_system(infos):
        account = accounts[info.name] = _Account(world, info.name, registry, questions)
        wrong += account.all(there[info.name])
        live = await engine.state(info.name)
        if account.run != live:
            wrong.append(f"{info.name}: rebuilt it is not what the engine holds")
        if info.label != account.run.label:
            wrong.append(f"{info.name}: is {account.run.label} and is listed as {info.label}")
        if info.label in OPEN or engine.parked(info.name):
            wrong.append(f"{info.name}: is left {info.label} in {live.config} {engine.parked(info.name)}")
    runs = {name: account.run for name, account in accounts.items()}
    wrong += families(world, there, runs, {name: account.children for name, account in accounts.items()})
    wrong += questions.end()
    wrong += _told(there, outside.told)
    own = [turn for name, account in accounts.items() for turn in there[name] if turn.version > account.copied]
    wrong += _dispatches(world, own)
    wrong += _switched(world, there.get(SWITCHES, []), own)
    seen = Counter(type(event).__name__ for turn in flat for event in turn.events)
    seen.update(flight.does for flight in world.flights)
    seen.update(world.ends)
    seen.update("a reply is taken" if said.heard else "a reply is refused" for said in outside.said)
    spans = [span for account in accounts.values() for span in account.children.spans.values()]
    seen.update("a child is heard of" if span.told else "a child is given up" for span in spans)
    seen.update("a checkpoint is spoilt" for _ in world.harmed)
    return Found(tuple(wrong), _trace(world, flat), seen)


def _lost(world: World, turns: list[Turn]) -> Iterator[str]:
    heads = {(turn.position, turn.stream, turn.version, turn.head) for turn in turns}
    for noted in world.acknowledged:
        if noted not in heads:
            yield f"acknowledged and not in the log: {noted[1]} version {noted[2]}"


async def reread(log: Log) -> list[str]:
    """Whatever its checkpoints are like, a run is what its turns say."""
    wrong = []
    for info in not_system(await log.streams()):
        try:
            if await rebuild(log, info.name) != rebuilt(await turns_of(log, info.name)):
                wrong.append(f"{info.name}: with its checkpoints it is another run than without")
        except UnknownRun:
            wrong.append(f"{info.name}: is listed and cannot be read")
    return wrong


async def half_written(log: Log) -> list[str]:
    """What is left of a commit that a process died in."""
    wrong = [str(flaw) for flaw in await log.verify()]
    for info in not_system(await log.streams()):
        if (found := (await rebuild(log, info.name)).label) != info.label:
            wrong.append(f"{info.name}: a death left it {found} and listed as {info.label}")
    return wrong


def _told(there: dict[str, list[Turn]], told: list[tuple[str, str]]) -> Iterator[str]:
    """What somebody was told is so."""
    for what, run in told:
        events = [event for turn in there.get(run, ()) for event in turn.events]
        if what.startswith("start") and not events:
            yield f"{run} was started, and is not in the log"
        if what == "cancel" and not any(isinstance(event, Cancelled) for event in events):
            yield f"{run} was cancelled, and the log does not say so"
    for run, times in Counter(run for what, run in told if what == "nudge").items():
        heard = [
            event for turn in there[run] for event in turn.events if isinstance(event, (SignalTaken, SignalRefused))
        ]
        if len(heard) < times:
            yield f"{run} was told {times} signals, and the log has {len(heard)}"
    for run, times in Counter(run for what, run in told if what.startswith("start")).items():
        if times > 1:
            yield f"{run} was started {times} times"


class _Account:
    """A run as its own turns tell it, and what is odd about each. `copied`: how many of its events are another run's."""

    def __init__(self, world: World, name: str, registry: Registry, questions: Questions) -> None:
        self.world, self.run, self.registry, self.questions = world, Run(id=name), registry, questions
        self.flights: dict[Attempt, list[Flight]] = {}
        for flight in world.flights:
            if flight.call.run == name:
                self.flights.setdefault(flight.attempt, []).append(flight)
        self.started: dict[str, int] = {}
        self.due: dict[str, tuple[float, Commit]] = {}
        self.copied = 0
        self.plans, self.children = Plans(), Children()
        self.times = Times(world, (SLACK, MUCH), jumps=world.clock is world)

    def all(self, turns: list[Turn]) -> Iterator[str]:
        self.copied = max((e.at for turn in turns for e in turn.events if isinstance(e, ForkedFrom)), default=0)
        for turn in turns:
            if turn.version != self.run.seq + len(turn.events):
                yield f"{turn.stream}: version {turn.version} follows {self.run.seq} with {len(turn.events)} events"
            if turn.position not in self.world.commits:
                yield f"{turn.stream}: nobody saw turn {turn.position} being committed"
                continue
            commit = self.world.commits[turn.position]
            if self.run.outcome and any(isinstance(event, (CallStarted, Finished)) for event in turn.events):
                yield f"{turn.stream}: goes on after its end"
            yield from self.turn(turn, commit)
        yield from self.end()

    @property
    def machine(self) -> Machine:
        return self.registry.of(self.run)

    def turn(self, turn: Turn, commit: Commit) -> Iterator[str]:
        copied = turn.version <= self.copied
        began = self.run
        before = {id: call for id, call in self.run.calls.items() if call.status is CallState.STARTED}
        if isinstance(turn.events[0], Cancelled):
            for call in before.values():
                if call.effect == "once" and not call.kind and self.started[call.id] != commit.life:
                    yield f"{call.run} {call.id}: was cut, and the run was cancelled as if it had never been started"
        for event in turn.events:
            was = self.run
            call = was.calls.get(getattr(event, "call", ""))
            if isinstance(event, CallStarted):
                self.started[event.call] = commit.life
            if not copied:
                yield from self.waited(event, turn, commit)
                yield from self.event(event, call)
            yield from (f"{turn.stream} {said}" for said in self.plans.event(event))
            yield from self.times.event(event, turn, commit, was, copied)
            self.run = fold(was, (event,), turn.at)
            self.children.event(event, turn, was, self.run, copied)
            if isinstance(event, ForkedFrom):
                self.plans.forked(self.run)
            if isinstance(event, CallStarted):
                yield from self.counted(event, self.run.calls[event.call])
                if (
                    limit := self.machine.chart.work(call := self.run.calls[event.call]).limit
                ) and event.kind == "workflow":
                    self.times.limited(call, limit, turn, commit, copied)
        for name in waits_for(began):
            if name not in waits_for(self.run):
                yield from self.times.ended(waits_for(began)[name], commit)
        for id, call in before.items():
            now = self.run.calls.get(id)
            if now is None or now.status is not CallState.STARTED or _attempt(now) != _attempt(call):
                yield from self.left(call, commit)

    def counted(self, event: CallStarted, call: Call) -> Iterator[str]:
        work = self.machine.chart.work(call)
        if event.attempt > work.attempts or event.cuts > MAX_CUTS:
            yield f"{self.run.id} {event.call}: begins attempt {event.attempt} after {event.cuts} cuts"

    def event(self, event: Event, call: Call | None) -> Iterator[str]:
        match event:
            case CallCompleted() | CallFailed() if call is not None and call.kind == "person":
                yield from self.questions.answered(call, event)
            case CallCompleted(by="") if call is not None and not call.kind:
                yield from self.completed(event, call)
            case CallFailed(by="") if call is not None and not call.kind and call.effect == "once":
                if event.failure.contract == "TimedOut":
                    yield f"{call.run} {call.id}: nobody knows what became of it, and it is recorded as failed"
                if event.again is not None:
                    yield f"{call.run} {call.id}: is to be repeated, and is labelled once"
            case CallUnknown() | CallCompleted() if call is None:
                yield f"{self.run.id} {event.call}: has an outcome and was not open"
            case CallFailed() if call is None and event.call not in self.run.plans:
                if event.failure.contract not in ("Broken", "PlanRefused"):
                    yield f"{self.run.id} {event.call}: has failed and was not open"
            case _:
                pass

    def completed(self, event: CallCompleted, call: Call) -> Iterator[str]:
        made = int(event.value.data.partition(b":")[2].rstrip(b"}"))
        flight = self.world.flights[made]
        if (flight.call.run, flight.call.id, flight.call.rank, flight.call.attempt) != (
            call.run,
            call.id,
            call.rank,
            call.attempt,
        ):
            yield f"{call.run} {call.id}: attempt {call.attempt} was given what attempt {flight.call.attempt} of {flight.call.id} made"
        if call.effect == "once" and not self.world.effects.get(call.key):
            yield f"{call.run} {call.id}: completed, and there is no effect"

    def waited(self, event: Event, turn: Turn, commit: Commit) -> Iterator[str]:
        """A wait is neither cut short nor drawn out in the process that began it, whatever the wall clock does; in the
        next one it begins anew at the latest.
        """
        call = getattr(event, "call", "")
        if isinstance(event, AGAIN) and (found := self.due.pop(call, None)):
            wait, since = found
            if since.life == commit.life and not commit.stalled and commit.at - since.at < wait - TURN:
                yield f"{turn.stream} {call}: waited {commit.at - since.at:.3f} s, and was to wait {wait:.3f}"
            here = since.life == commit.life
            begun = since if here else Commit(commit.life, self.world.begun[commit.life], 0.0)
            late = commit.at - begun.at - (commit.stalled - begun.stalled) - wait
            if late > (SLACK if here else MUCH) and (here or not self.times.jumps):
                yield f"{turn.stream} {call}: waited {late:.3f} s longer than the {wait:.3f} it was to wait"
        if isinstance(event, CallFailed) and event.again is not None:
            self.due[call] = event.again - turn.at, commit

    def left(self, call: Call, commit: Commit) -> Iterator[str]:
        """Work that nobody needs any more is stopped, or was over."""
        for flight in self.flights.get(_attempt(call), ()):
            if flight.is_async and flight.life == commit.life:
                late = flight.ended - commit.at - (flight.stalled - commit.stalled)
                if late > PATIENCE and not self.world.gone(flight.life, commit.at + PATIENCE):
                    yield f"{call.run} {call.id}: goes on for {late:.3f} s after it was given up"

    def end(self) -> Iterator[str]:
        for flights in self.flights.values():
            for flight in flights:
                if flight.call.key != key(flight.call.run, flight.call.id) or flight.key != flight.call.key:
                    yield f"{flight.call.run} {flight.call.id}: has another key in attempt {flight.call.attempt}"


def _attempt(call: Call) -> Attempt:
    return call.run, call.id, call.rank, call.attempt, call.cuts


def _dispatches(world: World, turns: list[Turn]) -> Iterator[str]:
    """Each dispatch has a CallStarted of its own, committed before it by the same process; no effect happens twice."""
    started: dict[Attempt, list[Commit]] = {}
    for turn in turns:
        for event in turn.events:
            if isinstance(event, CallStarted) and turn.position in world.commits:
                attempt = (turn.stream, event.call, event.rank, event.attempt, event.cuts)
                started.setdefault(attempt, []).append(world.commits[turn.position])
    for flight in world.flights:
        commits = started.get(flight.attempt, [])
        mine = [commit for commit in commits if commit.life == flight.life and commit.at <= flight.began]
        if not mine:
            yield f"{flight.call.run} {flight.call.id}: attempt {flight.call.attempt} was dispatched without a CallStarted that was committed"
        else:
            commits.remove(mine[0])
    yield from _effects(world)


def _switched(world: World, decisions: list[Turn], turns: list[Turn]) -> Iterator[str]:
    """Whoever is out of rotation begins nothing, from the moment on that the engine has read so."""
    for turn in decisions:
        [made] = turn.events
        assert isinstance(made, Switched)
        on = (
            each.position
            for each in decisions
            if each.position > turn.position and each.events == (attrs.evolve(made, on=True),)
        )
        until, off = next(on, inf), world.commits[turn.position]
        for each in turns if not made.on else ():
            commit = world.commits[each.position]
            late = commit.life > off.life or commit.at - off.at - (commit.stalled - off.stalled) > TURN
            if turn.position < each.position < until and late:
                for event in each.events:
                    if isinstance(event, CallStarted) and event.specialist.partition("@")[0] == made.specialist:
                        yield f"{each.stream} {event.call}: begins, and {made.specialist} is disabled"


def _effects(world: World) -> Iterator[str]:
    asked = Counter((flight.key, flight.call.rank) for flight in world.flights if flight.effect == "once")
    yield from (
        f"a `once` call, key {key[:8]}, was dispatched {times} times" for (key, _), times in asked.items() if times > 1
    )
    for seen in world.effects.values():
        if len(seen) > 1:
            call = seen[0].call
            yield f"{call.run} {call.id}: its effect happened {len(seen)} times"


def _trace(world: World, turns: list[Turn]) -> str:
    digest = hashlib.sha256()
    for turn in turns:
        events = [_comparable(event) for event in turn.events]
        commit = world.commits.get(turn.position)
        text, payloads, _ = encode(tuple(events))
        digest.update(
            f"{commit} {turn.stream} {turn.version} {turn.at!r} {turn.cause} ".encode() + text + (payloads or b"")
        )
    for landed in world.landed:
        digest.update(repr(landed).encode())
    return digest.hexdigest()


def _comparable(event: Event) -> Event:
    """Without what says nothing about the order of things: a traceback names lines and paths, and a fingerprint changes
    with each release that adds a policy.
    """
    if isinstance(event, RunStarted):
        return attrs.evolve(event, fingerprint="")
    return attrs.evolve(event, detail="") if isinstance(event, CallFailed) else event
