"""Waits and deadlines: what the table, the decider and the engine make of time."""

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal

import attrs
import pytest
from hypothesis import given as random_cases
from hypothesis import settings
from hypothesis import strategies as st

from statecore import (
    Completed,
    Compound,
    Done,
    Elapsed,
    Failed,
    Failure,
    Newest,
    Parallel,
    Person,
    State,
    Wait,
    Workflow,
    any_state,
    rebuild,
    specialist,
)
from statecore.alarm import LONGEST, Alarms
from statecore.engine import OPEN, Engine
from statecore.errors import BadInput, DefinitionError
from statecore.events import CallFailed, Moved, TimerFired, TimerSet
from statecore.failures import OutcomeUnknown
from statecore.guard import Defer, Pass, Question, Verdict
from statecore.ledger import Ledger
from statecore.log import Log, MemoryLog
from statecore.messages import Cancel, Signal, Start
from statecore.present import awaited
from statecore.replay import turns_of, verify
from statecore.run import Run
from statecore.sqlite import SqliteLog
from statecore.testing import Given, given, paths, play, run_virtual, survives
from statecore.testing.virtual import EPOCH, VirtualClock
from statecore.wait import spoken
from tests.charts import Patient, Resumed, Timed
from tests.people import Article, Decision
from tests.support import Review, Ticket

DAY = 86_400.0
TICKET = Ticket("late", "where is it")


@attrs.frozen
class Letter:
    text: str = ""


@attrs.frozen
class Sent:
    text: str


def newest(sent: Newest[Sent]) -> Sent:
    return sent


@specialist("post", version="1", effect="pure")
async def post(letter: Letter) -> Sent:
    return Sent(letter.text)


@specialist("hang", version="1")
async def hang(letter: Letter) -> Sent:
    await asyncio.sleep(400 * DAY)
    return Sent(letter.text)


@specialist("send", version="1", fails=[OutcomeUnknown])
async def send(sent: Sent) -> Sent:
    raise OutcomeUnknown("the line broke")


class Waiting(Workflow[Letter], version="1"):
    """Wait for a word, ask somebody, and send what cannot be known."""

    waiting = State(initial=True)
    asking = State(Person("reader", version="1", takes=Sent, gives=Sent))
    sending = State(send, give=newest)
    over = State(final=True)
    lost = State(final=True, outcome="failed")
    told = waiting.to(asking, on=Signal[Sent])
    read = asking.to(sending, on=Completed[Sent])
    sent = sending.to(over, on=Completed[Sent])
    gave_up = any_state.to(lost, on=Failed)


@attrs.frozen
class Curfew:
    """Nothing in the first minute."""

    name: str = "curfew"
    side: Literal["before", "after"] = "before"
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        return Pass() if question.at >= EPOCH + 60 else Defer("it is night", EPOCH + 60)


class Closed:
    """Nothing as long as `closed`."""

    closed: ClassVar[bool]
    name = "closed"
    side: Literal["before", "after"] = "before"
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        return Defer("closed") if self.closed else Pass()


writer = Person("writer", version="1", takes=Letter, gives=Sent, within=3600)


class Resting(Workflow[Letter], version="1"):
    """Sleep on it, then send it."""

    resting = State(Wait(timedelta(days=3)), initial=True)
    posting = State(post)
    posted = State(final=True)
    lost = State(final=True, outcome="failed")
    rested = resting.to(posting, on=Elapsed)
    sent = posting.to(posted, on=Completed[Sent])
    gave_up = any_state.to(lost, on=Failed)


def moment(letter: Letter) -> datetime | float:
    return {"past": datetime(2020, 1, 1, tzinfo=UTC), "soon": EPOCH + 60}.get(letter.text) or eval(letter.text)  # noqa: S307


class Until(Workflow[Letter], version="1"):
    """Sleep until a moment that the letter says."""

    resting = State(Wait(until=moment), initial=True)
    rested = State(final=True)
    lost = State(final=True, outcome="failed")
    over = resting.to(rested, on=Elapsed)
    gave_up = any_state.to(lost, on=Failed)


# -- the decider


def test_a_wait_is_a_timer_of_its_state() -> None:
    """It is set when the state is entered, and over when its time is: never before, and once."""
    resting = given(Resting, Start("run", Letter(), at=1000.0))
    assert resting.run.timers["resting"].due == 1000 + 3 * DAY and resting.run.condition == "waiting"
    resting.when(Elapsed(state="resting", at=1000 + 3 * DAY - 0.001)).then()
    over = resting.when(Elapsed(state="resting")).moved("rested").calls("posting")
    assert over.events[0] == TimerFired("resting") and not over.run.timers
    given(Resting, Letter(), Elapsed(state="resting")).when(Elapsed(state="resting", at=9e9)).then()


def test_a_state_that_is_left_has_no_timer() -> None:
    """Its deadline goes with it, those around it stay; a cancelled run has none."""
    both = given(Timed, TICKET)
    assert set(both.run.timers) == {"start", "both", "both/left/cooling", "both/right/asking"}
    looking = both.when(Elapsed(state="both/left/cooling")).run
    assert set(looking.timers) == {"start", "both", "both/left/looking", "both/right/asking"}
    held = both.when(Elapsed(state="both")).moved("hold").run
    assert set(held.timers) == {"start", "held"} and not held.calls
    assert not both.when(Cancel(at=1.0)).run.timers


def test_a_state_that_is_entered_again_begins_its_time_anew() -> None:
    """The time of its last visit says nothing: an input that comes for that is too early."""
    looking = given(Timed, TICKET, Elapsed(state="both/left/cooling"))
    due = looking.run.timers["both/left/looking"].due
    again = looking.when(Elapsed(state="both/left/looking")).moved("both/left/again").run
    assert again.timers["both/left/cooling"].due == due + 3 * DAY
    given(Timed, TICKET, Elapsed(state="both/right/asking")).when(
        Elapsed(state="both/right/asking", at=2 * DAY + 1)
    ).then()


def test_the_deadline_of_a_run_is_answered_wherever_it_is() -> None:
    """By any_state of the workflow itself, not by what a state does with its own time; in the states that it leads to it
    is recorded and fires nothing.
    """
    given(Patient, TICKET).when(Elapsed(state="start")).moved("late").calls("last")
    given(Timed, TICKET).when(Elapsed(state="start")).moved("late").finished("failed")
    last = given(Patient, TICKET, Elapsed(state="start"))
    assert "start" not in last.run.timers
    early = given(Patient, TICKET, TimerSet("start", 5.0), Moved(("late",), ("last",), ("resting",), ("last",)))
    early.when(Elapsed(state="start")).then(TimerFired("start"))


def test_a_function_says_until_when() -> None:
    """What it read is recorded; a moment that has passed is over at once; what is no moment is Failed[Broken]."""
    soon = given(Until).when(Letter("soon"))
    assert soon.events[-1] == TimerSet("resting", EPOCH + 60, (0,))
    assert given(Until, Letter("past")).run.due == datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    for wrong in ("datetime(2026, 1, 1)", "float('nan')", "float('inf')", "True", "'monday'", "None", "1 / 0"):
        broken = given(Until).when(Letter(wrong)).moved("gave_up").finished("failed")
        assert next(event for event in broken.events if isinstance(event, CallFailed)).call == "resting#1"


def test_every_path_through_waits_and_people_is_played() -> None:
    """Generated paths take every letter of time and of people, and the decider goes where the table says."""
    found = paths(Patient, loops=1)
    taken = set(itertools.chain(*(path.play(TICKET).moves for path in found)))
    assert taken == {arrow.name for arrow in Patient.machine.chart.arrows}


# -- timers against a model


@settings(max_examples=200, deadline=None)
@random_cases(st.integers(0, 2**32))
def test_the_open_timers_are_those_of_the_active_places(seed: int) -> None:
    """Whatever comes, in whatever order: a place that is active has its time, from when it was last entered, unless that
    is over; and no other place has one.
    """
    chance, spans = Random(seed), Timed.machine.chart.timed
    at, run = 1.0, given(Timed, Start("run", TICKET, at=1.0)).run
    model = dict.fromkeys(("start", *(path for path in run.config.states if path in spans)), at)
    for _ in range(chance.randint(1, 25)):
        at += chance.choice((0.0, 1.0, 3600.0, DAY, 3 * DAY))
        input = _anything(chance, run, at)
        try:
            decided = Given(Timed.machine, run).when(input)
        except BadInput:
            continue
        for event in decided.events:
            if isinstance(event, TimerFired):
                assert model.pop(event.state) + (spans[event.state] or 0) <= input.at
            elif isinstance(event, Moved):
                model = {path: since for path, since in model.items() if path not in event.left}
                model |= {path: input.at for path in event.entered if spans.get(path)}
            elif isinstance(event, TimerSet) and spans[event.state] is None:
                model[event.state] = input.at
        run = decided.run
        if run.outcome:
            assert not run.timers
            return
        assert {path: timer.since for path, timer in run.timers.items()} == model


def _anything(chance: Random, run: Run, at: float) -> Any:
    calls = list(run.calls) or ["both/left/looking#1"]
    return chance.choice(
        (
            Elapsed(state=chance.choice(list(Timed.machine.chart.timed)), at=at),
            Elapsed(state=chance.choice(list(run.timers) or ["start"]), at=at),
            Elapsed(call=chance.choice(calls), at=at),
            Completed(Review(True, ""), chance.choice(calls), at=at, by="ana"),
            Signal(Resumed("me"), at=at),
        )
    )


# -- the engine, in virtual time


def test_three_days_pass_in_no_time() -> None:
    """A workflow that waits three days is tested in milliseconds, and its log says three days."""
    begun = time.perf_counter()
    played = play(Resting, Letter("hello"), {"posting": Sent("hello")})
    assert played.seconds == 3 * DAY and played.run.outcome == "completed"
    assert time.perf_counter() - begun < 5


def test_a_killed_wait_goes_on_where_it_was() -> None:
    """Killed at every turn, it ends as it would have."""
    assert survives(Resting, Letter(), {"posting": Sent("hello")}).outcome == "completed"


def virtually(work: Any, begins: float = EPOCH) -> Any:
    return run_virtual(work(VirtualClock(begins)))


async def fired(log: Log, run: str = "run") -> list[float]:
    """When timers of a run fired."""
    turns = await turns_of(log, run)
    return [turn.at for turn in turns for event in turn.events if isinstance(event, TimerFired)]


@pytest.mark.parametrize("away", [0.5 * DAY, 3 * DAY, 400 * DAY])
def test_a_wait_outlasts_its_process(away: float) -> None:
    """The process ends while the run waits; one that is started later fires it when it is due, or at once where that
    has passed; and the one after that not again.
    """
    log = MemoryLog()

    async def first(clock: VirtualClock) -> None:
        engine = Engine(log, [Resting], clock=clock)
        run = await engine.run(Resting, Letter(), run="run")
        assert run.condition == "waiting" and run.due == EPOCH + 3 * DAY

    async def later(clock: VirtualClock) -> Run:
        engine = Engine(log, [Resting], clock=clock)
        await engine.resume()
        return await engine.wait("run", follow=True)

    virtually(first)
    assert virtually(later, EPOCH + away).outcome == "completed"
    assert virtually(later, EPOCH + 2 * away).outcome == "completed"
    assert asyncio.run(fired(log)) == [EPOCH + max(away, 3 * DAY)]


@pytest.mark.parametrize("back", [3600.0, 10 * 365 * DAY])
def test_a_clock_that_was_put_back_makes_no_wait_longer(back: float) -> None:
    """After a restart it waits at most as long as it would have then; and what it records is never before it was due."""
    log = MemoryLog()

    async def first(clock: VirtualClock) -> None:
        await Engine(log, [Resting], clock=clock).run(Resting, Letter(), run="run")

    async def later(clock: VirtualClock) -> float:
        engine = Engine(log, [Resting], clock=clock)
        await engine.resume()
        await engine.wait("run", follow=True)
        return clock.now() - clock.begins

    virtually(first)
    assert virtually(later, EPOCH - back) == 3 * DAY
    assert asyncio.run(fired(log)) == [EPOCH + 3 * DAY]


class Busy(Workflow[Letter], version="1"):
    """Two letters are sent; whether one was is of no matter, and is slept on, whether the other was has to be found out."""

    class both(Parallel, initial=True):
        class one(Compound):
            posting = State(hang, initial=True)
            sleeping = State(Wait(DAY))
            rested = State(final=True)
            sent = posting.to(sleeping, on=Completed[Sent])
            unknown = posting.to(sleeping, on=Failed[OutcomeUnknown])
            over = sleeping.to(rested, on=Elapsed)

        class two(Compound):
            looking = State(hang, initial=True)
            looked = State(final=True)
            done = looking.to(looked, on=Completed[Sent])

    rested = State(final=True)
    lost = State(final=True, outcome="failed")
    over = both.to(rested, on=Done)
    gave_up = any_state.to(lost, on=Failed)


def test_a_clock_that_was_put_back_cuts_no_wait_short() -> None:
    """A wait that begins while the run is taken up takes all of its time, however far ahead the clock was by which the
    other calls of the run began.
    """
    log = MemoryLog()

    async def first(clock: VirtualClock) -> None:
        engine = Engine(log, [Busy], clock=clock)
        await engine.start(Busy, Letter(), run="run")
        await asyncio.sleep(1.0)

    async def later(clock: VirtualClock) -> None:
        engine = Engine(log, [Busy], clock=clock)
        await engine.resume()
        await asyncio.sleep(DAY - 1)
        assert "both/one/sleeping" in (await engine.state("run")).timers
        await asyncio.sleep(2)
        assert "both/one/sleeping" not in (await engine.state("run")).timers

    virtually(first)
    virtually(later, EPOCH - 10 * DAY)


class Held(Workflow[Letter], version="1"):
    """A guard that says when holds one of two letters; the other is written by somebody who has an hour."""

    class both(Parallel, initial=True):
        class one(Compound):
            posting = State(post, initial=True, guards=[Curfew()])
            posted = State(final=True)
            sent = posting.to(posted, on=Completed[Sent])

        class two(Compound):
            asking = State(writer, initial=True, guards=[Closed()])
            asked = State(final=True)
            told = asking.to(asked, on=Completed[Sent])

    done = State(final=True)
    lost = State(final=True, outcome="failed")
    over = both.to(done, on=Done)
    gave_up = any_state.to(lost, on=Failed)


def test_a_turn_that_says_a_time_of_the_old_clock_cuts_no_wait_short() -> None:
    """What a guard held until then is asked for at that time, and not before; who was asked meanwhile by the clock that was
    put back has an hour all the same.
    """
    log = MemoryLog()

    async def first(clock: VirtualClock) -> None:
        Closed.closed = True
        await Engine(log, [Held], clock=clock).start(Held, Letter(), run="run")
        Closed.closed = False

    async def later(clock: VirtualClock) -> None:
        engine = Engine(log, [Held], clock=clock)
        await engine.resume()
        await asyncio.sleep(3500)
        assert (await engine.state("run")).asks
        await asyncio.sleep(200)
        assert (await engine.state("run")).outcome == "failed"

    virtually(first)
    virtually(later, EPOCH - 10 * DAY)


class Renewed(Workflow[Letter], version="1", within=DAY):
    """Has a day in all, of which a word may take none."""

    resting = State(Wait(3600), initial=True)
    listening = State()
    late = State(final=True, outcome="failed")
    rested = resting.to(listening, on=Elapsed)
    told = resting.to(listening, on=Signal[Sent])
    too_late = any_state.to(late, on=Elapsed)


def test_a_clock_that_was_put_back_draws_out_no_other_wait() -> None:
    """The nearest of two waits ends in the process whose clock was put back; the other takes at most its whole time."""
    log = MemoryLog()

    async def first(clock: VirtualClock) -> None:
        await Engine(log, [Renewed], clock=clock).run(Renewed, Letter(), run="run")

    async def later(clock: VirtualClock) -> None:
        engine = Engine(log, [Renewed], clock=clock)
        await engine.resume()
        await engine.signal("run", Sent("go on"))
        await engine.wait("run", follow=True)
        assert clock.now() - clock.begins <= DAY

    virtually(first)
    virtually(later, EPOCH - 10 * DAY)


def test_wait_and_follow() -> None:
    """`wait` is over where only time is to pass; with `follow` it stays, through every wait."""

    async def work(clock: VirtualClock) -> None:
        async with Engine(MemoryLog(), [Resting], clock=clock) as engine:
            run = await engine.run(Resting, Letter(), run="run")
            assert run.condition == "waiting" and clock.now() == EPOCH
            await engine.drain()
            followers = [asyncio.create_task(engine.wait("run", follow=True)) for _ in range(3)]
            assert {run.outcome for run in await asyncio.gather(*followers)} == {"completed"}
            assert clock.now() == EPOCH + 3 * DAY
            run = await engine.run(Resting, Letter(), run="cancelled")
            follower = asyncio.create_task(engine.wait("cancelled", follow=True))
            await asyncio.sleep(DAY)
            await engine.cancel("cancelled", by="me", why="enough")
            assert (await follower).outcome == "cancelled" and clock.now() == EPOCH + 4 * DAY
            assert not engine._core.acts.alarms._set

    virtually(work)


def test_to_follow_is_to_the_end() -> None:
    """Through what people are asked and through signals too; a run that is parked is given to whoever follows it."""

    async def work(clock: VirtualClock) -> None:
        async with Engine(MemoryLog(), [Waiting], clock=clock) as engine:
            await engine.start(Waiting, Letter(), run="run")
            follower = asyncio.create_task(engine.wait("run", follow=True))
            await asyncio.sleep(DAY)
            assert not follower.done()
            await engine.signal("run", Sent("go on"))
            await asyncio.sleep(DAY)
            assert not follower.done() and (await engine.state("run")).config.states == ("asking",)
            await engine.answer("run", "asking", Sent("yes"), by="ana", why="read it")
            assert (await follower).condition == "parked"
            settled = asyncio.create_task(engine.answer("run", "sending", Sent("it"), by="ana", why="it is there"))
            assert (await engine.wait("run", follow=True)).condition in ("parked", "completed")
            await settled
            assert (await engine.wait("run", follow=True)).outcome == "completed"
            assert await engine.result("run") == Sent("it")

    virtually(work)


def test_an_engine_closes_with_open_waits() -> None:
    """At once, and whoever follows is told how far it came."""

    async def work(clock: VirtualClock) -> None:
        engine = Engine(MemoryLog(), [Resting], clock=clock)
        await engine.start(Resting, Letter(), run="run")
        follower = asyncio.create_task(engine.wait("run", follow=True))
        await asyncio.sleep(60)
        await engine.close()
        assert (await follower).condition == "waiting" and clock.now() == EPOCH + 60

    virtually(work)


def test_a_thousand_waiting_runs() -> None:
    """They are found in one query, cost an entry each, share one timer of the loop, and all end in their time."""
    log = MemoryLog()

    async def first(clock: VirtualClock) -> None:
        engine = Engine(log, [Resting], clock=clock)
        for n in range(1000):
            await engine.start(Resting, Letter(str(n)), run=f"run{n}")

    async def later(clock: VirtualClock) -> None:
        async with Engine(log, [Resting], clock=clock) as engine:
            asked: list[Any] = []
            streams = log.streams

            async def counted(**labels: Any) -> Any:
                asked.append(labels)
                return await streams(**labels)

            log.streams = counted  # type: ignore[method-assign]
            assert len(await engine.resume()) == 1000 and asked == [{"labels": OPEN}]
            assert len(engine._core.acts.alarms._set) == 1000 and not any(
                held.timers for held in engine._core.runs.held.values()
            )
            await asyncio.sleep(3 * DAY)
            await engine.drain()
            log.streams = streams  # type: ignore[method-assign]
            assert {info.label for info in await log.streams()} == {"completed"}
            assert await verify(log, engine.registry) == []

    virtually(first)
    virtually(later)


def test_the_verifier_decides_every_turn_of_time_again() -> None:
    """Timers, deadlines and functions that say until when: the log of each is decided as it was."""

    async def work(clock: VirtualClock) -> None:
        async with Engine(MemoryLog(), [Timed, Patient, Until], clock=clock) as engine:
            await engine.run(Timed, TICKET, follow=True)
            await engine.run(Patient, TICKET, follow=True)
            for text in ("past", "soon", "1 / 0"):
                await engine.run(Until, Letter(text), follow=True)
            assert await verify(engine.log, engine.registry) == []
            assert {info.condition for info in await engine.log.streams()} == {"completed", "failed"}

    virtually(work)


async def test_a_wait_is_in_the_file_too(tmp_path: Path) -> None:
    """On SQLite: stored, found by its label, and rebuilt with its time."""
    async with Engine(await SqliteLog.open(tmp_path / "log.db")) as engine:
        run = await engine.run(Resting, Letter(), run="run")
    async with await SqliteLog.open(tmp_path / "log.db", readonly=True) as log:
        assert [info.label for info in await log.streams(labels=OPEN)] == ["waiting"]
        assert (await rebuild(log, "run")).timers == run.timers != {}


# -- alarms


class Stepping:
    """A clock of its own, beside that of the loop."""

    at = 0.0

    def now(self) -> float:
        return self.at


def test_an_alarm_is_never_early_and_sleeps_in_pieces() -> None:
    """The loop's clock and the other part: it looks again, as often as it takes; no sleep is longer than LONGEST."""

    async def work() -> None:
        clock, rung = Stepping(), list[tuple[str, float]]()
        alarms = Alarms(clock, lambda run, due: rung.append((run, due)))
        loop = asyncio.get_running_loop()
        alarms.set("far", 10 * LONGEST, 0.0)
        assert alarms._timer is not None and alarms._timer.when() - loop.time() <= LONGEST
        alarms.set("near", 10.0, 0.0)
        alarms.set("dropped", 5.0, 0.0)
        alarms.drop("dropped")
        await asyncio.sleep(20)
        assert rung == []
        clock.at = 10.0
        await asyncio.sleep(20)
        clock.at = 10 * LONGEST
        await asyncio.sleep(LONGEST)
        assert rung == [("near", 10.0), ("far", 10 * LONGEST)] and not alarms._set
        await asyncio.sleep(20 * LONGEST)

    run_virtual(work())


@pytest.mark.parametrize("span", [1e300, timedelta.max, 101 * 366 * DAY])
def test_a_wait_that_nobody_sees_the_end_of_is_refused(span: Any) -> None:
    """Longer than 100 years is a slip: of a Wait, a deadline of a state and one of a person, where it is written."""
    with pytest.raises(DefinitionError, match="at most 100 years"):
        State(Wait(span), initial=True)
    with pytest.raises(DefinitionError, match="at most 100 years"):
        Person("p", version="1", takes=Article, gives=Decision, within=span)
    with pytest.raises(DefinitionError, match="at most 100 years"):

        class _Late(Workflow[Article], version="1", within=span):
            """Ends in no lifetime."""

            waiting = State(Wait(60), initial=True)
            over = State(final=True)
            lost = State(final=True, outcome="failed")
            done = waiting.to(over, on=Elapsed)
            late = any_state.to(lost, on=Elapsed)


def test_a_time_beyond_all_calendars_is_told_in_few_words() -> None:
    """What an `until=` function may give, or a log that somebody edited: no line has 300 digits."""
    assert spoken(1e300) == "more than 100 years"
    assert awaited(1e300, 0.0) == "at 1e+300 (in more than 100 years)"


def test_spans_in_words() -> None:
    """The two largest units."""
    said = {0.5: "0.5 s", 90: "90 s", 5400: "1 h 30 min", 3 * DAY: "3 d", 3 * DAY - 1: "2 d 23 h", 3 * DAY + 60: "3 d"}
    assert {span: spoken(span) for span in said} == said
