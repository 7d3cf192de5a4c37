"""How runs with plans, people and other workflows open are ended: cancelled, left on a signal, overtaken by a time."""

import asyncio

import pytest

from statecore import Completed, Elapsed, Engine, Failed, Part, Plan, Signal, State, Workflow, any_state, child
from statecore.asks import asks
from statecore.errors import NotPossible
from statecore.events import Cancelled, Finished, SignalRefused, TimerFired
from statecore.log import MemoryLog
from statecore.record import records
from statecore.replay import rebuild, turns_of, verify
from statecore.signals import NotTaken, Taken
from statecore.testing.virtual import VirtualClock, run_virtual
from tests.mill import Asking, Lasting, Milling, Order, Plank, Rush, Told, Word, deputy, finish, words

CLERK = "both/work/making#1/clerk"
ASKED = "r/both/work/making#1/asked"


async def milling(log: MemoryLog) -> Engine:
    """A run in the middle of its plan: its person and that of its child are asked, its store is not begun."""
    engine = Engine(log, [Milling], clock=VirtualClock())
    await engine.start(Milling, Order("oak"), run="r")
    await asyncio.sleep(3.5)
    assert set((await engine.state("r")).calls) == {CLERK, "both/work/making#1/asked"}
    return engine


def test_a_signal_is_answered_while_a_plan_and_a_child_are_open() -> None:
    """The reply reads what the parts have given by then; sent again under its id it says the same, whatever came since."""

    async def main() -> None:
        engine = await milling(log := Lasting())
        states = (await engine.state("r")).config.states
        said = Taken(("both/watch/rush",), states, Told(2, "now"))
        assert await engine.signal("r", Rush("now"), by="ben", id="1") == said
        assert (await finish(engine, "r")).outcome == "completed"
        assert await engine.signal("r", Rush("now"), by="ben", id="1") == said
        late = NotTaken("nothing waits for it in completed")
        assert await engine.signal("r", Rush("now"), by="ben", id="2") == late
        assert await verify(log, engine.registry) == []

    run_virtual(main())


def test_a_signal_that_leaves_the_compound_around_a_plan_ends_all_of_it() -> None:
    """Its calls and times are over, its child and that one's question too; the record of the plan says what was stopped."""

    async def main() -> None:
        engine = await milling(log := Lasting())
        assert await engine.signal("r", Order("no more"), by="ben") == Taken(("stop",), ("stopped",))
        await engine.drain()
        run = await engine.wait("r")
        assert (run.outcome, dict(run.calls), dict(run.plans), dict(run.timers)) == ("failed", {}, {}, {})
        child_run = await rebuild(log, ASKED)
        assert (child_run.outcome, child_run.why) == (
            "cancelled",
            "cancelled by run r: its parent r went on without it",
        )
        assert await asks(log, engine.registry) == []
        status = {each.part: each.status for each in records(await turns_of(log, "r"))}
        assert status == {
            "saw": "completed",
            "stamp": "completed",
            "clerk": "stopped",
            "asked": "stopped",
            "stamped": "completed",
            "store": "skipped",
        }
        with pytest.raises(NotPossible, match=f"{CLERK} of r is over: the run went on without it"):
            await engine.answer("r", CLERK, Word("late"), by="ana", why="")
        assert await verify(log, engine.registry) == []

    run_virtual(main())


class Middle(Workflow[Plank], version="1"):
    """A plan of a person and of a child that asks another."""

    working = State(Plan(deputy, Part(child(Asking), id="below"), assemble=words), initial=True)
    worked = State(final=True)
    lost = State(final=True, outcome="failed")
    done = working.to(worked, on=Completed[Word])
    gave_up = any_state.to(lost, on=Failed)


class Upper(Workflow[Plank], version="1"):
    working = State(Plan(deputy, Part(child(Middle), id="middle"), assemble=words), initial=True)
    worked = State(final=True)
    lost = State(final=True, outcome="failed")
    done = working.to(worked, on=Completed[Word])
    gave_up = any_state.to(lost, on=Failed)


FAMILY = ("u", "u/working#1/middle", "u/working#1/middle/working#1/below")


async def upper(log: MemoryLog) -> Engine:
    engine = Engine(log, [Upper], clock=VirtualClock())
    await engine.run(Upper, Plank("oak"), run="u")
    assert [ask.run.id for ask in await asks(log, engine.registry)] == list(FAMILY)
    return engine


async def all_cancelled(engine: Engine) -> None:
    await engine.drain()
    for name in FAMILY:
        run = await rebuild(engine.log, name)
        events = [event for turn in await turns_of(engine.log, name) for event in turn.events]
        assert (run.outcome, run.by, dict(run.calls), dict(run.plans)) == ("cancelled", "ops", {}, {})
        assert sum(isinstance(event, Cancelled | Finished) for event in events) == 2
    assert await asks(engine.log, engine.registry) == []
    assert await verify(engine.log, engine.registry) == []


@pytest.mark.parametrize("how", ["at work", "taken up", "cut"])
def test_a_cancellation_reaches_what_stands_two_below(how: str) -> None:
    """With plans, people and children open at each height; by the engine that has them, by one that has not taken them
    up, and where the process died just after the cancellation of the uppermost.
    """

    async def main() -> None:
        engine = await upper(log := Lasting())
        if how != "at work":
            await engine.close()
            engine = Engine(log, [Upper], clock=VirtualClock())
        if how == "cut":
            engine._core.children.act = lambda held: None  # type: ignore[method-assign]
        assert (await engine.cancel("u", by="ops", why="enough")).outcome == "cancelled"
        if how == "cut":
            assert [ask.run.id for ask in await asks(log, engine.registry)] == list(FAMILY[1:])
            engine = Engine(log, [Upper], clock=VirtualClock())
            await engine.resume()
        await all_cancelled(engine)
        with pytest.raises(NotPossible, match="a finished run does not change any more"):
            await engine.cancel("u", by="ops", why="again")
        for name in FAMILY:
            state = "asking" if name == FAMILY[2] else "working"
            for call in (state, f"{state}#1/deputy"):
                with pytest.raises(NotPossible, match=f"{state}#1/deputy of {name} is over: the run was cancelled"):
                    await engine.answer(name, call, Word("late"), by="ana", why="")
        await all_cancelled(engine)

    run_virtual(main())


def test_two_who_cancel_at_once_do_it_once() -> None:
    """The second is told that it is over; so is who answers in the same moment."""

    async def main() -> None:
        engine = await upper(Lasting())
        done = await asyncio.gather(
            engine.cancel("u", by="ops", why="enough"),
            engine.cancel("u", by="ops", why="enough"),
            engine.answer("u", "working", Word("late"), by="ana", why=""),
            return_exceptions=True,
        )
        assert [type(each).__name__ for each in done] == ["Run", "NotPossible", "NotPossible"]
        await all_cancelled(engine)

    run_virtual(main())


class Pressed(Workflow[Plank], version="1"):
    """A plan with a deadline, which a word may end before."""

    asking = State(Plan(deputy, Part(child(Asking), id="below"), assemble=words), initial=True, within=60)
    worked = State(final=True)
    told = State(final=True)
    late = State(final=True, outcome="partial")
    lost = State(final=True, outcome="failed")
    done = asking.to(worked, on=Completed[Word])
    enough = asking.to(told, on=Signal[Word])
    missed = asking.to(late, on=Elapsed)
    gave_up = any_state.to(lost, on=Failed)


@pytest.mark.parametrize("first", ["signal", "deadline", "answer"])
def test_a_deadline_a_signal_and_the_last_answer_of_one_moment(first: str) -> None:
    """Which of them is taken first moves the run; the others are refused or fire nothing, and the child is ended."""

    async def main() -> None:
        log = Lasting()
        engine = Engine(log, [Pressed], clock=VirtualClock())
        await engine.run(Pressed, Plank("oak"), run="r")
        due = (await engine.state("r")).timers["asking"].due
        await engine.answer("r/asking#1/below", "asking", Word("b"), by="ana", why="")
        await engine.wait("r/asking#1/below")
        assert list((await engine.state("r")).calls) == ["asking#1/deputy"]
        held = engine._core.runs.held["r"]

        async def signal() -> object:
            return await engine.signal("r", Word("enough"), by="ben")

        async def deadline() -> object:
            for _ in range(0 if first == "deadline" else 3):  # the others take their turns in tasks of their own
                await asyncio.sleep(0)
            return await engine._core.acts._over(held, due)

        async def answer() -> object:
            return await engine.answer("r", "asking", Word("a"), by="ana", why="")

        engine._core.acts.alarms.drop("r")
        await asyncio.sleep(due - engine.clock.now())
        acts = {"signal": signal, "deadline": deadline, "answer": answer}
        order = [first, *(name for name in acts if name != first)]
        await asyncio.gather(*(acts[name]() for name in order), return_exceptions=True)
        await engine.drain()
        run = await engine.wait("r")
        assert run.outcome == {"signal": "completed", "deadline": "partial", "answer": "completed"}[first]
        events = [event for turn in await turns_of(log, "r") for event in turn.events]
        assert sum(isinstance(event, TimerFired) for event in events) == (first == "deadline")
        assert sum(isinstance(event, SignalRefused) for event in events) == (first != "signal")
        assert sum(isinstance(event, Finished) for event in events) == 1
        assert await verify(log, engine.registry) == []

    run_virtual(main())
