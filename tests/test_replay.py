"""Going back over a log: every past state is rebuilt from it, and what the machine would not have decided is found."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecore import Completed, Failed, NotDone, Signal, State, TimedOut, Unavailable, Workflow, any_state, rebuild
from statecore.call import CallState
from statecore.decider import Guarded, step
from statecore.errors import BadInput, NotPossible, UnknownRun, Unreadable
from statecore.events import (
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    Event,
    Finished,
    Moved,
    SignalRefused,
    SignalTaken,
)
from statecore.failures import Crashed, Exhausted, Failure
from statecore.guard import Defer, Refuse, Verdict
from statecore.log import Append, Batch, MemoryLog, Turn
from statecore.messages import Cancel, Elapsed, Input, Interrupted, Start
from statecore.registry import Registry
from statecore.replay import examine, turns_of, verify
from statecore.run import Run, evolve
from tests import charts
from tests.desk import Desk
from tests.playground import QUICK
from tests.support import Draft, SupportTicket, Ticket, Triage
from tests.test_survey import VARIANTS, Many, Num, Told, ask, newest


def brittle(told: Told) -> bool:
    """Raises for what it did not expect."""
    return 1 / len(told.what) > 0


def newest_or_none(start: Num, told: list[Told]) -> Num:
    """Raises where nothing was told at last."""
    return Num(1 // len(told[-1].what))


class Fragile(Workflow[Num], version="1"):
    """A condition that raises, a bound that is used up, a hand-over that raises."""

    first = State(ask, initial=True, give=newest)
    second = State(ask, give=newest_or_none)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    again = first.to(first, on=Completed[Told], at_most=2)
    over = first.to(second, on=Failed[Exhausted])
    well = second.to(done, on=Completed[Told], cond=brittle)
    ill = second.to(lost, on=Completed[Told])
    gave_up = any_state.to(lost, on=Failed)


WORKFLOWS: tuple[type[Workflow[Any]], ...] = (SupportTicket, Many, Fragile, *charts.FLAT, *charts.NESTED)
KNOWN = Registry(WORKFLOWS)
UNFIT = {
    Told: (Told("x"), Told("")),
    Triage: (Triage("bug", 0.2), Triage("bug", 7.0)),
    Draft: (Draft("TODO"), Draft("done")),
}


@attrs.frozen
class Moody(Guarded):
    """An engine whose guard lets calls start, or does not, as chance will have it. The guards of the states are asked as ever."""

    random: Random = attrs.field(factory=Random)

    def ask(self, side: Any, own: Any, question: Any) -> tuple[str, Verdict]:
        if side == "before" and (dice := self.random.random()) < 0.3:
            wake = question().at + 5 if dice < 0.1 else None
            return "moody", Refuse("not today") if dice < 0.15 else Defer(f"later {int(dice * 20)}", wake)
        return super().ask(side, own, question)


def walked(seed: int, steps: int = 40) -> tuple[type[Workflow[Any]], list[Append], list[Run]]:
    """A run that anything may happen to: its turns, and the run as it was after each of its events."""
    random = Random(seed)
    workflow = random.choice((*WORKFLOWS, SupportTicket, SupportTicket, Many, Many, Fragile))
    machine, admission = workflow.machine, Moody(random=random)
    value = Num() if workflow in (Many, Fragile) else Ticket("s", random.choice(("b", "")))
    run, at, appends, states = Run(id="run"), 1000.0, [], []
    todo: list[Input] = [Start("run", value, at, "tenant")]
    for _ in range(steps):
        try:
            events, after = step(machine, run, todo[0], admission)
        except (NotPossible, BadInput):
            events, after = (), run
        if events:
            appends.append(Append("run", run.seq, events, at, type(todo[0]).__name__, after.condition))
        for event in events:
            run = evolve(run, event, at)
            states.append(run)
        assert run == after
        at += random.random() * 10
        todo = [random.choice(list(coming(random, workflow, run, at)))]
    return workflow, appends, states


def coming(random: Random, workflow: type[Workflow[Any]], run: Run, at: float) -> Iterator[Input]:
    chart = workflow.machine.chart
    for call in run.calls.values():
        specialist = chart.state(call.state).specialists[call.rank]
        value = random.choice(
            [v for g in specialist.gives for v in (*VARIANTS.get(g.cls, ()), *UNFIT.get(g.cls, ()))] or [Num()]
        )
        failures: list[Failure] = [TimedOut("late", 1.0), Crashed("E"), Unavailable("gone"), charts.Throttled("busy")]
        settled = call.status is CallState.UNKNOWN
        by, why = ("me", "because") if settled else ("", "")
        yield from [Completed(value, call.id, call.attempt, at, by, why)] * 3
        failure = NotDone("no") if settled else random.choice(failures)
        yield Failed(failure, call.id, call.attempt, at, by, why, "" if settled else "Traceback ...")
        yield Elapsed(call.id, at)
        yield Interrupted(call.id, at)
        if random.random() < 0.1:
            yield Completed(value, call.id, call.attempt + 3, at)
    for kind in {p for a in chart.arrows if a.kind is Signal for p in a.payloads}:
        yield Signal(random.choice(VARIANTS[kind]), at=at, by="me")
    if random.random() < 0.02 or not run.calls:
        yield Cancel(at, "me", "enough")


async def logged(appends: list[Append]) -> MemoryLog:
    log = MemoryLog()
    for append in appends:
        await log.append(Batch((append,)))
    return log


SEEDS = st.integers(0, 2**32)


@settings(max_examples=150, deadline=None)
@given(SEEDS)
async def test_a_healthy_log_is_found_healthy(seed: int) -> None:
    """Whatever happened: refusals, waits, attempts, fallbacks, crashes, settlements, signals, late outcomes, cancels."""
    _, appends, _ = walked(seed)
    assert await verify(await logged(appends), KNOWN) == []


def test_the_walks_see_everything_that_can_be_decided() -> None:
    """Otherwise the property above would promise less than it says."""
    events = [event for seed in range(150) for append in walked(seed)[1] for event in append.events]
    kinds = {CallCompleted, CallDeferred, CallFailed, CallLate, CallRefused, CallStarted, CallUnknown, Cancelled}
    assert {type(event) for event in events} >= kinds | {Finished, Moved, SignalRefused, SignalTaken}
    started = [event for event in events if isinstance(event, CallStarted)]
    assert any(e.attempt > 1 for e in started) and any(e.rank for e in started) and any(e.cuts for e in started)
    assert any(isinstance(e, CallCompleted | CallFailed) and e.by for e in events)
    assert any(isinstance(e, Moved) and e.instead for e in events)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
async def test_the_run_is_rebuilt_as_it_was_after_every_event(seed: int) -> None:
    """Also inside a turn, and without any class of the workflow."""
    _, appends, states = walked(seed)
    log = await logged(appends)
    for number, state in enumerate(states, 1):
        assert await rebuild(log, "run", number) == state
    assert await rebuild(log, "run") == states[-1]


def otherwise(event: Event) -> Event | None:
    """The same event, with another decision in it."""
    match event:
        case Moved():
            return attrs.evolve(event, transitions=(*event.transitions, "in_secret"))
        case CallStarted():
            return attrs.evolve(event, specialist="somebody_else@1")
        case CallFailed(again=again) if again is not None:
            return attrs.evolve(event, again=again + 1)
        case CallFailed():
            return attrs.evolve(event, next="somebody_else@1")
        case CallRefused():
            return attrs.evolve(event, next="somebody_else@1")
        case Finished():
            return attrs.evolve(event, outcome="partial")
        case SignalRefused():
            return attrs.evolve(event, why="for no reason")
    return None


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.sampled_from(["change", "drop", "add"]))
async def test_a_decision_that_the_machine_would_not_make_is_found(seed: int, how: str) -> None:
    """Somebody writes a whole chain anew, so that every digest fits, with one decision of one turn changed, left out or put in."""
    _, appends, _ = walked(seed)
    random = Random(seed)
    place = random.randrange(len(appends))
    turn = appends[place]
    if how == "change":
        candidates = [n for n, event in enumerate(turn.events) if otherwise(event)]
        if not candidates:
            return
        n = random.choice(candidates)
        events = (*turn.events[:n], otherwise(turn.events[n]), *turn.events[n + 1 :])
    elif how == "drop" and len(turn.events) > 1:
        events = turn.events[:-1]
    else:
        events = (*turn.events, Finished("completed"))
    forged = await logged([*appends[:place], attrs.evolve(turn, events=events)])
    assert await forged.verify() == []
    flaws = await verify(forged, KNOWN)
    assert [(flaw.stream, flaw.version) for flaw in flaws] == [("run", turn.expected + len(events))]


@pytest.mark.parametrize(
    "events",
    [
        (Moved(("triaged",), ("drafting",), ("triaging",), ("drafting",)),),
        (Finished("completed"),),
        (CallStarted("nobody#1", "nobody@1"),),
        (CallCompleted("nobody#1", None),),  # type: ignore[arg-type]
    ],
    ids=lambda events: type(events[0]).__name__,
)
async def test_a_turn_that_answers_nothing_is_found(events: tuple[Event, ...]) -> None:
    """A move, an end, a call or an outcome out of nowhere."""
    workflow, appends, _ = next(w for seed in range(99) if (w := walked(seed, 1))[0] is SupportTicket)
    if isinstance(events[0], CallCompleted):
        events = (attrs.evolve(events[0], value=workflow.machine.contracts["Triage"].pack(Triage("bug", 0.9))),)
    seq = len(appends[0].events)
    log = await logged([*appends, Append("run", seq, events, 2000.0)])
    [flaw, *_] = await verify(log, KNOWN)
    assert (flaw.stream, flaw.version) == ("run", seq + len(events))


async def test_a_difference_is_told_in_the_words_of_the_log() -> None:
    """What was recorded, and what would be decided."""
    _, appends, _ = next(w for seed in range(99) if (w := walked(seed, 1))[0] is SupportTicket)
    events = tuple(attrs.evolve(e, specialist="x@1") if isinstance(e, CallStarted) else e for e in appends[0].events)
    if events == appends[0].events:
        events = (*events, Finished("completed"))
    [flaw] = await verify(await logged([attrs.evolve(appends[0], events=events)]), KNOWN)
    assert "recorded" in flaw.what and "`" in flaw.what and "Payload(" not in flaw.what


async def test_what_is_not_loaded_is_not_decided_again_and_that_is_said() -> None:
    """Its chain is still checked; the verdict names the run and why."""
    _, appends, _ = walked(1)
    verdict = await examine(await logged(appends), Registry())
    assert verdict.flaws == () and verdict.runs == 1
    assert "which is not loaded" in verdict.skipped["run"]


async def test_events_that_do_not_follow_from_each_other_are_unreadable_not_a_crash() -> None:
    """A call that was never opened is deferred: the run cannot be rebuilt, and verify says so."""
    _, appends, _ = walked(1, 1)
    seq = len(appends[0].events)
    log = await logged([*appends, Append("run", seq, (CallDeferred("nobody#1", "g", "w"),), 2000.0)])
    with pytest.raises(Unreadable, match="do not follow from each other"):
        await rebuild(log, "run")
    assert (await rebuild(log, "run", seq)).seq == seq
    assert (await verify(log, KNOWN))[0].version == seq + 1


@pytest.mark.parametrize("at", [0, -1, 99])
async def test_a_moment_that_never_was_cannot_be_rebuilt(at: int) -> None:
    """Neither can a run that is not there."""
    _, appends, _ = walked(1, 1)
    log = await logged(appends)
    with pytest.raises(BadInput, match="expected a number from 1 to"):
        await rebuild(log, "run", at)
    with pytest.raises(UnknownRun):
        await rebuild(log, "nobody")


async def test_turns_are_read_in_order() -> None:
    """As they were appended."""
    _, appends, _ = walked(5)
    turns: list[Turn] = await turns_of(await logged(appends), "run")
    assert [turn.events for turn in turns] == [append.events for append in appends]


# -- rows of the file


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


TAMPERED = {
    "an edited row": "UPDATE turns SET events = replace(events, 'worked', 'walked') WHERE stream = 1 AND version = 6",
    "an edited payload": "UPDATE turns SET payloads = replace(payloads, 'one', 'two') WHERE stream = 1 AND version = 6",
    "a swapped row": "UPDATE turns SET events = (SELECT events FROM turns WHERE stream = 2 AND version = 3), payloads = "
    "(SELECT payloads FROM turns WHERE stream = 2 AND version = 3) WHERE stream = 1 AND version = 3",
    "a changed time": "UPDATE turns SET at = at + 1 WHERE stream = 1 AND version = 3",
    "an inner deleted row": "DELETE FROM turns WHERE stream = 1 AND version = 3",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_verify_names_the_run_whose_rows_were_touched(desk: Desk, what: str) -> None:
    """And no other, with exit code 1; before that it found nothing wrong."""
    run, other = desk.run(text="one"), desk.run(text="two")
    good = desk("verify", "--workflow", QUICK)
    assert good.code == 0 and good.out.startswith("2 runs, 2 decided again: nothing wrong\n")
    with sqlite3.connect("statecore.db") as database:
        assert database.execute(TAMPERED[what]).rowcount == 1
    database.close()
    said = desk("verify", "--workflow", QUICK)
    assert said.code == 1 and said.out.startswith(f"{run} at version ")
    assert other not in said.out
    assert {flaw["run"] for flaw in desk("verify", "--json").json} == {run}
    assert desk("verify", other).code == 0
    assert desk("doctor").code == 1
