"""A blocked event loop: an async specialist that sleeps without awaiting. Nothing is lost or done twice, and it is named."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from statecore import Call, Completed, Engine, Failed, State, Workflow, specialist, stall
from statecore.events import CallCompleted, CallLate, CallStarted
from statecore.log import MemoryLog
from statecore.mailbox import connected, serving
from statecore.operations import Operator
from statecore.registry import Registry
from statecore.replay import turns_of, verify
from statecore.testing import VirtualClock, run_virtual
from tests.crew import Bill, Crew, Jammed, Job, Piece, line
from tests.playground import Errand, Quick


def block(seconds: float) -> None:
    """What `time.sleep` does to a loop, without the waiting."""
    asyncio.get_running_loop()._jumping.now += seconds  # type: ignore[attr-defined]


@specialist("blocks", version="1", effect="pure")
async def blocks(job: Job) -> Piece:
    await asyncio.sleep(1.0)
    block(30.0)
    await asyncio.sleep(1.0)
    return Piece("late")


class Blocking(Workflow[Job], version="1"):
    blocking = State(blocks, initial=True, timeout=60)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    worked = blocking.to(done, on=Completed[Piece])
    gave_up = blocking.to(lost, on=Failed)


def test_a_blocked_loop_loses_and_doubles_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Thirty seconds in which a retry fell due, two timeouts passed and an outcome came. Each call has one
    outcome, a `once` effect happened once, every run ends or is parked visibly, and the blocker is named once.
    """
    crew = Crew()

    async def slow(request: Any, call: Call) -> Any:
        await asyncio.sleep(5.0)
        return Bill(1.0)

    jammed = line(crew, cut=[Jammed("once more"), Piece("cut")], sell=[slow])

    async def main() -> None:
        log = MemoryLog()
        async with Engine(log, clock=VirtualClock()) as engine:
            names = [await engine.start(jammed, Job(), run=f"run {number}") for number in range(5)]
            blocked = await engine.run(Blocking, Job(), run="blocked")
            assert blocked.outcome == "completed"
            for name in names:
                assert (await engine.wait(name)).outcome == "completed"
                events = [event for turn in await turns_of(log, name) for event in turn.events]
                started = [(e.call, e.attempt) for e in events if isinstance(e, CallStarted)]
                ended = [e.call for e in events if isinstance(e, CallCompleted)]
                assert len(set(started)) == len(started) and len(set(ended)) == len(ended) == 3
                assert not any(isinstance(e, CallLate) for e in events)
            assert crew.count("sell") == 5
            assert await verify(log, Registry([jammed, Blocking])) == []

    with caplog.at_level(logging.WARNING, "statecore"):
        run_virtual(main())
    said = [record.getMessage() for record in caplog.records if record.name == "statecore"]
    assert len(said) == 1 and "blocks@1 held the event loop for 30.0 s in blocking#1 of run 'blocked'" in said[0]


def test_an_answer_that_came_while_the_loop_was_blocked_is_taken_or_parked() -> None:
    """A `once` call whose time ran out meanwhile is parked, however it ended; it is not called again."""
    crew = Crew()

    async def slow(request: Any, call: Call) -> Any:
        await asyncio.sleep(5.0)
        return Bill(1.0)

    class Selling(Workflow[Job], version="1"):
        selling = State(crew("sell", slow, effect="once", gives=Bill), initial=True, timeout=10)
        sold = State(final=True)
        lost = State(final=True, outcome="failed")
        paid = selling.to(sold, on=Completed[Bill])
        gave_up = selling.to(lost, on=Failed)

    async def main() -> None:
        async with Engine(MemoryLog(), clock=VirtualClock()) as engine:
            await engine.start(Selling, Job(), run="sells")
            assert (await engine.run(Blocking, Job())).outcome == "completed"
            assert (await engine.wait("sells")).condition in ("completed", "parked")
            assert crew.count("sell") == 1

    run_virtual(main())


async def test_a_request_that_came_meanwhile_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In real time: the mailbox answers when the loop goes on, and the warning has no line of somebody else."""
    monkeypatch.setattr(stall, "LIMIT", 0.05)

    @specialist("sleeps", version="1", effect="pure")
    async def sleeps(job: Job) -> Piece:
        time.sleep(0.1)  # noqa: ASYNC251 - that is the fault
        return Piece()

    class Sleeping(Workflow[Job], version="1"):
        sleeping = State(sleeps, initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        worked = sleeping.to(done, on=Completed[Piece])
        gave_up = sleeping.to(lost, on=Failed)

    async with (
        Engine(MemoryLog(), [Quick]) as engine,
        serving(tmp_path / "s", Operator(engine)),
        connected(tmp_path / "s") as holder,
    ):
        sleeping = asyncio.create_task(engine.run(Sleeping, Job(), run="a\nforged line"))
        request = {"do": "start", "ref": "tests.playground:Quick", "run": "r", "tenant": "", "input": {}}
        assert await holder.ask({**request, "fingerprint": Quick.machine.fingerprint}) == ["r"]
        assert (await sleeping).outcome == "completed"
        assert (await engine.run(Quick, Errand())).outcome == "completed"
    (said,) = [record.getMessage() for record in caplog.records if record.name == "statecore"]
    assert "sleeps@1" in said and said.isprintable()


async def test_what_is_watched_is_stopped_and_fails_as_if_it_were_not() -> None:
    """A cancellation, an exception, a result and what is awaited in between go through."""
    call = Crew()  # only its fields are read, and only where a step is slow
    seen = []

    async def waits() -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("stopped")
            await asyncio.sleep(0)
            raise
        return 1

    async def raises() -> int:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def gives() -> int:
        return await asyncio.wait_for(asyncio.sleep(0, 7), 1)

    task = asyncio.ensure_future(_awaited(waits(), call))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["stopped"]
    with pytest.raises(KeyError):
        await _awaited(raises(), call)
    assert await _awaited(gives(), call) == 7


async def _awaited(work: Any, call: Any) -> Any:
    return await stall.watched(work, call)
