"""Specialists out of rotation where they are parts of a plan, other workflows or people."""

import asyncio

import attrs
import pytest

from statecore import (
    Completed,
    Engine,
    Failed,
    Part,
    Person,
    Plan,
    Signal,
    Specialist,
    State,
    Workflow,
    any_state,
    child,
)
from statecore.asks import asks
from statecore.log import MemoryLog
from statecore.plan import Missing
from statecore.record import records
from statecore.registry import Registry
from statecore.replay import rebuild, turns_of, verify
from statecore.roster import roster
from statecore.switches import switch
from tests.crew import Crew, Job, Nudge, Piece


@attrs.frozen
class Whole:
    texts: tuple[str, ...]
    missing: tuple[str, ...] = ()


def whole(pieces: list[Piece], missing: list[Missing]) -> Whole:
    return Whole(tuple(piece.text for piece in pieces), tuple(each.part for each in missing))


def joining(*parts: Part | Specialist[Job, Piece], width: int = 8) -> type[Workflow[Job]]:
    class Joining(Workflow[Job], version="1"):
        """Make parts, and put together what there is."""

        joining = State(Plan(*parts, assemble=whole, on_failure="partial", width=width), initial=True)
        joined = State(final=True)
        lost = State(final=True, outcome="failed")
        stopped = State(final=True, outcome="failed")
        done = joining.to(joined, on=Completed[Whole])
        stop = joining.to(stopped, on=Signal[Nudge])
        gave_up = any_state.to(lost, on=Failed)

    return Joining


class Lasting(MemoryLog):
    """It outlives its engine, as a file does."""

    async def close(self) -> None: ...


async def off(log: MemoryLog, *names: str) -> None:
    for name in names:
        assert await switch(log, name, False, 0.0, by="ana", why="it hangs")


async def on(engine: Engine, *names: str) -> None:
    for name in names:
        assert await switch(engine.log, name, True, 0.0, by="ana", why="mended")
    await engine.reconfigure()


async def test_a_part_without_a_fallback_waits_and_the_others_do_not() -> None:
    """The plan is paused at the one part, what does not wait for it is done; enabled again, it is assembled whole."""
    crew, log = Crew(), MemoryLog()
    workflow = joining(crew("cut"), Part(crew("glue"), after=["cut"]), crew("paint"))
    engine = Engine(log, [workflow])
    await off(log, "cut")
    run = await engine.run(workflow, Job("x"), run="r")
    assert run.condition == "paused" and list(run.calls) == ["joining#1/cut"]
    assert (crew.count("cut"), crew.count("glue"), crew.count("paint")) == (0, 0, 1)
    held = {each.part: (each.status, each.why) for each in records(await turns_of(log, "r"))}
    assert held["cut"] == ("in progress", "held by guard switch: cut was disabled by ana: it hangs")
    await on(engine, "cut")
    run = await engine.wait("r")
    assert run.outcome == "completed" and run.result is not None
    assert run.result.data == b'{"texts":["cut","glue","paint"],"missing":[]}'
    assert await verify(log, engine.registry) == [] and await rebuild(log, "r") == run


async def test_a_part_with_a_fallback_goes_there() -> None:
    """And to the next where that one is off too; where all are off it waits for the last, and nobody else is asked."""
    crew, log = Crew(), MemoryLog()
    workflow = joining(Part(crew("cut"), fallback=[crew("saw"), crew("bite")]), crew("paint"))
    engine = Engine(log, [workflow])
    await off(log, "cut", "saw")
    run = await engine.run(workflow, Job("x"), run="r")
    assert run.result is not None and run.result.data == b'{"texts":["bite","paint"],"missing":[]}'
    await off(log, "bite")
    await engine.reconfigure()
    run = await engine.run(workflow, Job("y"), run="s")
    [call] = run.calls.values()
    assert (run.condition, call.specialist, call.why) == ("paused", "bite@1", "bite was disabled by ana: it hangs")
    await on(engine, "cut", "bite")
    assert (await engine.wait("s")).outcome == "completed"
    assert (crew.count("cut"), crew.count("saw"), crew.count("bite")) == (0, 0, 2)
    assert await verify(log, engine.registry) == []


@pytest.mark.parametrize("width", [1, 8])
async def test_where_every_part_is_off_the_plan_waits_through_a_restart(width: int) -> None:
    """Nothing is called, nothing fails; the next process waits as well, and goes on when the last one is on again."""
    crew, log = Crew(), Lasting()
    workflow = joining(crew("cut"), crew("paint"), width=width)
    await off(log, "cut", "paint")
    async with Engine(log, [workflow]) as engine:
        assert (await engine.run(workflow, Job("x"), run="r")).condition == "paused"
    events = (await turns_of(log, "r"))[-1].version
    async with Engine(log, [workflow]) as engine:
        await engine.resume()
        assert (await engine.wait("r")).condition == "paused" and not crew.asked
        assert (await turns_of(log, "r"))[-1].version == events, "the same verdict is not recorded again"
        await on(engine, "cut", "paint")
        assert (await engine.wait("r")).outcome == "completed"
        assert await verify(log, engine.registry) == []


async def test_a_disabled_part_is_left_with_its_plan() -> None:
    """A signal that leaves the plan, and a cancellation, end what was held; nothing is called once it is on again."""
    crew, log = Crew(), MemoryLog()
    workflow = joining(crew("cut"))
    engine = Engine(log, [workflow])
    await off(log, "cut")
    await engine.run(workflow, Job("x"), run="r")
    await engine.run(workflow, Job("y"), run="s")
    await engine.signal("r", Nudge(), by="ben")
    assert (await engine.wait("r")).outcome == "failed"
    assert (await engine.cancel("s", by="ben", why="enough")).outcome == "cancelled"
    await on(engine, "cut")
    await engine.drain()
    assert not crew.asked and await verify(log, engine.registry) == []


def nested(crew: Crew, *spare: str) -> tuple[type[Workflow[Job]], type[Workflow[Job]]]:
    class Inner(Workflow[Job], version="1"):
        """A cut."""

        cutting = State(crew("cut"), initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        cut = cutting.to(done, on=Completed[Piece])
        gave_up = any_state.to(lost, on=Failed)

    return Inner, joining(Part(child(Inner), id="inner", fallback=[crew(name) for name in spare]), crew("paint"))


@pytest.mark.parametrize("spare", [(), ("saw",)])
async def test_a_child_workflow_may_be_off(spare: tuple[str, ...]) -> None:
    """No run of it begins: its fallback does the work where there is one, and else it begins once it is on again."""
    crew, log = Crew(), MemoryLog()
    _, workflow = nested(crew, *spare)
    engine = Engine(log, [workflow])
    await off(log, "Inner")
    run = await engine.run(workflow, Job("x"), run="r")
    assert [info.name for info in await log.streams() if not info.name.startswith("system/")] == ["r"]
    assert run.condition == ("completed" if spare else "paused")
    if not spare:
        await on(engine, "Inner")
        assert (await engine.wait("r")).outcome == "completed"
        assert (await rebuild(log, "r/joining#1/inner")).outcome == "completed"
    assert await verify(log, engine.registry) == []


async def test_what_a_child_calls_may_be_off() -> None:
    """The parent waits, the child is paused; enabled again, both end."""
    crew, log = Crew(), MemoryLog()
    _, workflow = nested(crew)
    engine = Engine(log, [workflow])
    await off(log, "cut")
    run = await engine.run(workflow, Job("x"), run="r")
    assert (run.condition, (await engine.state("r/joining#1/inner")).condition) == ("waiting", "paused")
    status = {entry.specialist.name: entry.doing.status for entry in await roster(log, [workflow])}
    assert status == {"Inner": "paused", "cut": "disabled", "paint": "idle"}
    await on(engine, "cut")
    assert (await engine.wait("r")).outcome == "completed"
    assert await verify(log, engine.registry) == []


async def test_a_child_that_a_fork_begins_asks_the_guards() -> None:
    """An engine that has taken no turn yet knows what is off before the first call of the child starts."""
    crew, log = Crew(), Lasting()
    workflow = joining(Part(child(nested(crew)[0], effect="pure"), id="inner"))
    async with Engine(log, [workflow]) as engine:
        await engine.run(workflow, Job("x"), run="r")
    await off(log, "cut")
    engine = Engine(log, [workflow])
    await engine.fork("r", (await turns_of(log, "r"))[0].version, by="ana", why="again", new="f")
    assert (await engine.wait("f")).condition == "waiting"
    assert (await engine.state("f/joining#1/inner")).condition == "paused" and crew.count("cut") == 1
    await on(engine, "cut")
    assert (await engine.wait("f")).outcome == "completed" and crew.count("cut") == 2
    assert await verify(log, engine.registry) == []


clerk = Person("clerk", version="1", takes=Job, gives=Piece, who=("ana",), within=60)
deputy = Person("deputy", version="1", takes=Job, gives=Piece)


async def test_a_person_may_be_off() -> None:
    """Nobody is asked what only they may answer, and their time does not run; the deputy is asked where there is one."""
    log = MemoryLog()
    workflow = joining(clerk, Part(clerk, id="second", fallback=[deputy]))
    engine = Engine(log, [workflow])
    await off(log, "clerk")
    await engine.run(workflow, Job("x"), run="r")
    assert [ask.call.id for ask in await asks(log, engine.registry)] == ["joining#1/second"]
    assert (await engine.state("r")).label == "paused asks"
    await on(engine, "clerk")
    await engine.wait("r")
    assert {ask.call.id: ask.call.specialist for ask in await asks(log, engine.registry)} == {
        "joining#1/clerk": "clerk@1",
        "joining#1/second": "deputy@1",
    }
    for part in ("clerk", "second"):
        run = await engine.answer("r", f"joining#1/{part}", Piece(part), by="ana", why="")
    assert run.outcome == "completed" and await verify(log, engine.registry) == []


async def test_a_question_that_was_asked_before_stays_open() -> None:
    """A person who is taken out of rotation meanwhile may answer what they were asked."""
    log = MemoryLog()
    workflow = joining(clerk)
    engine = Engine(log, [workflow])
    await engine.run(workflow, Job("x"), run="r")
    await off(log, "clerk")
    await engine.reconfigure()
    run = await engine.answer("r", "joining", Piece("p"), by="ana", why="")
    assert run.outcome == "completed" and await verify(log, Registry([workflow])) == []


async def test_what_was_in_flight_when_it_was_disabled_is_recorded() -> None:
    """Its outcome counts; the next part of the same specialist waits."""
    gate = asyncio.Event()

    async def later(request: Job, call: object) -> Piece:
        await gate.wait()
        return Piece("late")

    crew, log = Crew(), MemoryLog()
    cut = crew("cut", later)
    workflow = joining(Part(cut, id="one"), Part(cut, id="two", after=["one"]))
    engine = Engine(log, [workflow])
    await engine.start(workflow, Job("x"), run="r")
    await off(log, "cut")
    await engine.reconfigure()
    gate.set()
    run = await engine.wait("r")
    assert run.condition == "paused" and list(run.calls) == ["joining#1/two"]
    await on(engine, "cut")
    assert (await engine.wait("r")).outcome == "completed" and await verify(log, engine.registry) == []
