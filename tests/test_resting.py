"""A run that waits for a person or a signal costs no memory: the log has it, and whoever touches it finds it.

`STATECORE_PARKED` says how many of them there are in the test of memory (600; the figure that is claimed is 10,000).
"""

import asyncio
import gc
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import statecore.held
import statecore.sqlite
from statecore import (
    Completed,
    Engine,
    Failed,
    NotDone,
    Signal,
    State,
    Workflow,
    any_state,
    rebuild,
    specialist,
)
from statecore.call import Call
from statecore.errors import Conflict, NotPossible, UnknownCall
from statecore.events import CallStarted, CallUnknown, Payload
from statecore.failures import OutcomeUnknown
from statecore.guard import Defer
from statecore.log import MemoryLog
from statecore.registry import Registry
from statecore.replay import turns_of, verify
from statecore.signals import NotTaken, Taken
from statecore.sqlite import SqliteLog
from tests.crew import Bill, Crew, Job, Nudge, Piece, Says, line, twin

PARKED = int(os.environ.get("STATECORE_PARKED", "600"))
SLACK = 300_000
"""Bytes by which an engine may grow, however many runs there are more. Were each kept, 450 more took over 2,000,000."""


@pytest.fixture
def none_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run that can be let go of is."""
    monkeypatch.setattr(statecore.held, "RESTING", 0)


async def lost(request: Any, call: Call) -> Any:
    raise OutcomeUnknown("the line broke")


def parking(crew: Crew | None = None, **does: Any) -> Any:
    """A line whose sale nobody knows about."""
    return line(crew or Crew(), sell=[lost], **does)


async def begun(engine: Engine, workflow: Any, first: int, last: int) -> None:
    for start in range(first, last, 100):
        names = [f"run-{number}" for number in range(start, min(last, start + 100))]
        await asyncio.gather(*[engine.start(workflow, Job(name), run=name) for name in names])
        await engine.drain()


def traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("kind", ["waiting", "parked"])
async def test_runs_at_rest_cost_no_memory(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait for a signal or for a person, the engine's memory stays; each can still be told."""
    monkeypatch.setattr(statecore.sqlite, "HEADS", 50)
    crew = Crew()
    workflow = twin(crew, right=[Piece("r")]) if kind == "waiting" else parking(crew)
    async with Engine(await SqliteLog.open(tmp_path / "log.db"), [workflow]) as engine:
        tracemalloc.start()
        try:
            await begun(engine, workflow, 0, 150)
            crew.asked.clear()
            before = traced()
            await begun(engine, workflow, 150, PARKED)
            crew.asked.clear()
            grown = traced() - before
        finally:
            tracemalloc.stop()
        print(f"{PARKED - 150} more runs: {grown:,} bytes")
        assert len(engine._core.runs.held) == statecore.held.RESTING and grown < SLACK, f"{grown:,} bytes"
        for name in ("run-0", f"run-{PARKED // 2}", f"run-{PARKED - 1}"):
            assert (await engine.wait(name)).condition == kind and engine.parked(name) == ""
            if kind == "waiting":
                await engine.signal(name, Nudge("go"))
            else:
                await engine.answer(name, "selling", Bill(2.0), by="ann", why="it is in the books")
            assert (await engine.wait(name)).condition == "completed"
        assert len(await engine.resume()) == PARKED - 3
        assert len(engine._core.runs.held) <= statecore.held.RESTING
    async with await SqliteLog.open(tmp_path / "log.db", readonly=True) as log:
        assert await verify(log, Registry([workflow]), "run-0") == []


async def test_a_run_that_is_let_go_of_is_what_it_was(none_rest: None) -> None:
    """Its state, its answer, what its parked call may be settled with, and what is refused are the same."""
    workflow, log = parking(), MemoryLog()
    engine = Engine(log, [workflow])
    await engine.start(workflow, Job("oak"), run="run")
    ended = await engine.wait("run")
    assert engine._core.runs.held == {} and ended == await engine.wait("run") == await engine.state("run")
    assert [contract.name for contract in await engine.gives("run", "selling")] == ["Bill"]
    with pytest.raises(UnknownCall, match="cutting"):
        await engine.answer("run", "cutting", Bill(1.0), by="ann", why="")
    with pytest.raises(Conflict):
        await engine.start(workflow, Job("oak"), run="run")
    assert engine._core.runs.held == {} and await engine.state("run") == ended
    settled = await engine.answer("run", "selling", NotDone("it was not"), by="ann", why="looked")
    assert settled.outcome == "failed"
    with pytest.raises(NotPossible):
        await engine.cancel("run", by="bob", why="late")


async def test_nothing_counts_as_cut_that_was_never_in_flight(none_rest: None) -> None:
    """However often a run is taken up again in one process, its log has only what somebody said."""
    workflow, log = parking(), MemoryLog()
    engine = Engine(log, [workflow])
    await engine.start(workflow, Job("oak"), run="run")
    await engine.wait("run")
    before = await turns_of(log, "run")
    for _ in range(3):
        assert await engine.resume() == ["run"]
        await engine.gives("run", "selling")
        await engine.drain()
    assert await turns_of(log, "run") == before
    events = [event for turn in before for event in turn.events]
    assert sum(isinstance(event, CallUnknown) for event in events) == 1
    assert all(event.cuts == 0 for event in events if isinstance(event, CallStarted))


async def test_two_who_speak_at_once_to_a_run_that_was_let_go_of_are_both_heard(none_rest: None) -> None:
    """It is taken up once, and their inputs are taken one after the other."""
    workflow, log = twin(Crew(), right=[Piece("r")]), MemoryLog()
    engine = Engine(log, [workflow])
    await engine.start(workflow, Job(), run="run")
    await engine.wait("run")
    assert engine._core.runs.held == {}
    heard = await asyncio.gather(*[engine.signal("run", Nudge(str(number))) for number in range(5)])
    assert [type(answer) for answer in heard] == [Taken, *[NotTaken] * 4]
    assert (await engine.wait("run")).condition == "completed" and engine._core.runs.held == {}
    assert await verify(log, Registry([workflow])) == []


async def test_a_run_that_this_process_has_to_act_for_stays(none_rest: None) -> None:
    """One with a call in flight, a wait, a call that a guard holds, or a receiver that was asked is not let go of."""
    log = MemoryLog()

    async def knows_nothing(call: Call) -> None:
        return None

    busy, gate = asyncio.Event(), Says("gate", "before", [Defer("not yet")])

    async def wait(request: Any, call: Call) -> Any:
        await busy.wait()
        return Piece("cut")

    flying = line(Crew(), cut=[wait], sell=[Bill(1.0)])
    async with Engine(log, [flying]) as engine:
        await engine.start(flying, Job(), run="flying")
        await asyncio.sleep(0.01)
        assert list(engine._core.runs.held) == ["flying"]
        busy.set()
        await engine.drain()
        assert engine._core.runs.held == {}
    asked = parking(reconcile=knows_nothing)
    engine = Engine(MemoryLog(), [asked])
    await engine.start(asked, Job(), run="asked")
    assert (await engine.wait("asked")).condition == "parked" and list(engine._core.runs.held) == ["asked"]
    held = line(Crew(), {"guards": [gate]}, sell=[Bill(1.0)])
    engine = Engine(MemoryLog(), [held])
    await engine.start(held, Job(), run="held")
    await asyncio.sleep(0.01)
    assert list(engine._core.runs.held) == ["held"]


async def test_whatever_was_said_to_a_run_that_was_let_go_of_again_and_again_is_there(
    none_rest: None, tmp_path: Path
) -> None:
    """Each signal is in its log, once and in order, and a restart finds it."""

    @specialist("take", version="1", effect="pure")
    async def take(job: Job) -> Piece:
        return Piece(job.text)

    class Diary(Workflow[Job], version="1"):
        taking = State(take, initial=True)
        writing = State()
        closed = State(final=True)
        lost = State(final=True, outcome="failed")

        opened = taking.to(writing, on=Completed[Piece])
        wrote = writing.to(writing, on=Signal[Nudge])
        gave_up = any_state.to(lost, on=Failed)
        finished = writing.to(closed, on=Signal[Job])

    async with Engine(await SqliteLog.open(tmp_path / "log.db"), [Diary]) as engine:
        await engine.start(Diary, Job("a"), run="run")
        await engine.wait("run")
        for number in range(25):
            await engine.signal("run", Nudge(str(number)))
            assert engine._core.runs.held == {}
        run = await engine.wait("run")
    async with await SqliteLog.open(tmp_path / "log.db", readonly=True) as log:
        assert await rebuild(log, "run") == run and [value.payload for value in run.values][2:] == [
            Payload("Nudge", b'{"text":"%d"}' % number) for number in range(25)
        ]


async def test_who_follows_a_run_that_was_let_go_of_is_told_when_the_engine_closes(
    tmp_path: Path, none_rest: None
) -> None:
    """The run as it was last seen; the log is closed by then, and is not read for it."""
    workflow = twin(Crew(), right=[Piece("r")])
    async with Engine(await SqliteLog.open(tmp_path / "log.db"), [workflow]) as engine:
        await engine.run(workflow, Job("r"), run="r")
        assert "r" not in engine._core.runs.held
        follower = asyncio.create_task(engine.wait("r", follow=True))
        await asyncio.sleep(0.05)
    assert (await follower).condition == "waiting"
