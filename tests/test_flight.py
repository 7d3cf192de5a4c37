"""The calls of a run that goes on are made by one task, one after the other, and each is still a call of its own."""

import asyncio
from collections.abc import Callable
from typing import Any

from statecore.call import Call
from statecore.engine import Engine
from statecore.events import CallCompleted, CallFailed
from statecore.log import MemoryLog
from statecore.replay import verify
from tests.benchmarks.engine_bench import Chain, piece
from tests.crew import Bill, Crew, Job, Piece, hang, line

Does = Callable[[Any, Call], Any]


async def events(engine: Engine, kind: Any) -> list[Any]:
    return [event async for turn in engine.log.read("run") for event in turn.events if isinstance(event, kind)]


def noting(tasks: dict[str, Any], gives: Any) -> Does:
    """Gives `gives`, and notes which task asked for it."""

    async def work(request: Any, call: Call) -> Any:
        tasks[call.state] = asyncio.current_task()
        return gives

    return work


async def test_calls_that_follow_each_other_share_a_task() -> None:
    """Each outcome leads to the next call without a task of its own."""
    tasks: dict[str, Any] = {}
    cut, glued, sold = noting(tasks, Piece()), noting(tasks, Piece()), noting(tasks, Bill(1.0))
    async with Engine(MemoryLog()) as engine:
        assert (await engine.run(line(Crew(), cut=[cut], glue=[glued], sell=[sold]), Job())).condition == "completed"
    assert len(tasks) == 3 and len(set(tasks.values())) == 1


async def test_each_call_of_a_task_has_its_own_time() -> None:
    """Where one timed out, the fallback that its task goes on with is not stopped for that, nor what follows it."""
    crew = Crew()
    options = {"attempts": 1, "timeout": 0.05}

    async def slow(request: Any, call: Call) -> Piece:
        await asyncio.sleep(0.1)
        return Piece()

    async with Engine(MemoryLog()) as engine:
        workflow = line(crew, cutting=options, cut=[hang], glue=[slow], sell=[Bill(1.0)])
        assert (await engine.run(workflow, Job(), run="run")).condition == "completed"
        assert crew.count("saw") == 1 and crew.count("glue") == 1
        assert [event.failure.contract for event in await events(engine, CallFailed)] == ["TimedOut"]
        assert await verify(engine.log, engine.registry) == []


async def test_a_later_call_of_a_task_is_stopped_like_the_first() -> None:
    """Whoever cancels the run stops the call that its task went on with, and nothing of it lands."""
    crew, stopped = Crew(), asyncio.Event()

    async def stop(request: Any, call: Call) -> Any:
        try:
            await hang(request, call)
        finally:
            stopped.set()

    async with Engine(MemoryLog()) as engine:
        await engine.start(line(crew, glue=[stop]), Job(), run="run")
        while not crew.count("glue"):
            await asyncio.sleep(0)
        assert (await engine.cancel("run", by="me", why="enough")).condition == "cancelled"
        await asyncio.wait_for(stopped.wait(), 5)
        await engine.drain()
        assert [event.call for event in await events(engine, CallCompleted)] == ["cutting#1"]
        assert engine.ledger.running == 0


async def test_a_run_that_never_waits_lets_the_others_in() -> None:
    """On a log that makes nobody wait, a run of thousands of steps can be cancelled on its way."""
    async with Engine(MemoryLog()) as engine:
        await engine.start(Chain, piece(5_000), run="run")
        for _ in range(5):
            await asyncio.sleep(0)
        run = await engine.cancel("run", by="me", why="enough")
        assert run.condition == "cancelled" and run.taken["again"] < 1_000
