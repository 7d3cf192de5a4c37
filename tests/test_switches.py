"""A specialist out of rotation: its calls go elsewhere or wait, nothing is lost, and it outlasts the process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from statecore import Completed, Engine, Failed, State, Workflow, any_state
from statecore.clock import SystemClock
from statecore.errors import BadInput, DefinitionError
from statecore.failures import Unavailable
from statecore.log import Batch, Log, MemoryLog, Turn
from statecore.replay import verify
from statecore.switches import SWITCHES, switch, switches
from tests.crew import AtMost, Crew, Job, Piece, hang


def cutting(crew: Crew, *spare: str, does: tuple[Any, ...] = ()) -> type[Workflow[Job]]:
    class Cutting(Workflow[Job], version="1"):
        """Cut, twice if need be, with spare cutters or without."""

        cutting = State(
            crew("cut", *does, fails=[Unavailable]), initial=True, attempts=2, fallback=[crew(name) for name in spare]
        )
        done = State(final=True)
        lost = State(final=True, outcome="failed")

        cut = cutting.to(done, on=Completed[Piece])
        gave_up = any_state.to(lost, on=Failed)

    return Cutting


async def turn_off(log: Log, name: str = "cut") -> bool:
    return await switch(log, name, False, SystemClock().now(), by="ana", why="it hangs")


async def test_calls_of_a_disabled_specialist_go_to_its_fallback() -> None:
    """The primary is not called once; the run says why."""
    crew, log = Crew(), MemoryLog()
    workflow = cutting(crew, "saw")
    await turn_off(log)
    engine = Engine(log, [workflow])
    run = await engine.run(workflow, Job("x"))
    assert (run.outcome, crew.count("cut"), crew.count("saw")) == ("completed", 0, 1)
    assert run.values[-1].fallback and not await verify(log, engine.registry)


async def test_without_a_fallback_its_calls_wait_until_it_is_enabled() -> None:
    """The run is paused, not failed; once the specialist is on again it goes on by itself."""
    crew, log = Crew(), MemoryLog()
    workflow = cutting(crew)
    engine = Engine(log, [workflow])
    await turn_off(log)
    run = await engine.run(workflow, Job("x"))
    [call] = run.calls.values()
    assert (run.condition, crew.count("cut")) == ("paused", 0)
    assert (call.guard, call.why) == ("switch", "cut was disabled by ana: it hangs")
    await switch(log, "cut", True, SystemClock().now(), by="ana", why="mended")
    await engine.reconfigure()
    assert (await asyncio.wait_for(engine.wait(run.id), 5)).outcome == "completed" and crew.count("cut") == 1


async def test_a_live_engine_obeys_from_the_next_call_on() -> None:
    """What was started before goes on; what is asked after is held; other specialists are not touched."""
    crew, log = Crew(), MemoryLog()
    workflow, other = cutting(crew), cutting(Crew())
    engine = Engine(log, [workflow])
    assert (await engine.run(workflow, Job("x"))).outcome == "completed"
    await turn_off(log)
    await engine.reconfigure()
    assert (await engine.run(workflow, Job("y"))).condition == "paused"
    await switch(log, "cut", True, 0.0, by="ana", why="mended")
    await turn_off(log, "saw")
    await engine.reconfigure()
    assert (await engine.run(other, Job("z"))).outcome == "completed"


async def test_the_decision_outlasts_the_engine_and_is_recorded_once() -> None:
    """Another engine on the same log obeys too; to say it again adds nothing."""
    log = MemoryLog()
    assert await turn_off(log) and not await turn_off(log)
    off = (await switches(log)).off
    assert (off["cut"].by, off["cut"].why) == ("ana", "it hangs")
    assert len([turn async for turn in log.read(SWITCHES)]) == 1
    with pytest.raises(BadInput, match="without its version, found 'cut@1'"):
        await switch(log, "cut@1", False, 0.0, by="ana", why="w")


class Slow(MemoryLog):
    """Takes its time over what begins with `slow`, once it was asked for it."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.asked, self.go = "", asyncio.Event(), asyncio.Event()

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        if self.slow and batch.appends[0].stream.startswith(self.slow):
            self.asked.set()
            await self.go.wait()
        return await super().append(batch)

    async def read(self, stream: str, after: int = 0) -> AsyncIterator[Turn]:
        turns = [turn async for turn in super().read(stream, after)]
        if self.slow and stream.startswith(self.slow) and not self.asked.is_set():
            self.asked.set()
            await self.go.wait()
        for turn in turns:
            yield turn


async def test_what_is_being_written_as_held_is_asked_for_when_it_moves() -> None:
    """The specialist is enabled between the decision to wait for that and its commit: the call starts all the same."""
    crew, log = Crew(), Slow()
    workflow = cutting(crew, does=(Unavailable("later"), Piece()))
    engine = Engine(log, [workflow])
    await engine.start(workflow, Job("x"), run="r")
    while not crew.count("cut"):
        await asyncio.sleep(0.001)
    await turn_off(log)
    await engine.reconfigure()
    log.slow = "r"
    await asyncio.wait_for(log.asked.wait(), 5)
    await switch(log, "cut", True, SystemClock().now(), by="ana", why="mended")
    await engine.reconfigure()
    log.go.set()
    assert (await asyncio.wait_for(engine.wait("r"), 5)).outcome == "completed"


async def test_a_run_that_is_taken_up_and_held_meanwhile_is_asked_for_when_it_moves() -> None:
    """The same of what a crash cut: while the engine decides about it, the specialist is enabled."""
    crew, log = Crew(), Slow()
    workflow = cutting(crew, does=(hang, Piece()))
    first = Engine(log, [workflow])
    await first.start(workflow, Job("x"), run="r")
    while not crew.count("cut"):
        await asyncio.sleep(0.001)
    await turn_off(log)
    log.slow = "r"
    engine = Engine(log, [workflow])
    log.asked.set()
    resuming = asyncio.create_task(engine.resume("r"))
    await asyncio.sleep(0.01)
    await switch(log, "cut", True, SystemClock().now(), by="ana", why="mended")
    await engine.reconfigure()
    log.go.set()
    await resuming
    assert (await asyncio.wait_for(engine.wait("r"), 5)).outcome == "completed"
    await first.close()


async def test_what_was_read_first_is_not_believed_last() -> None:
    """An engine that still reads who is out of rotation is told that somebody is in it again: that is what counts."""
    crew, log = Crew(), Slow()
    workflow = cutting(crew)
    await turn_off(log)
    engine = Engine(log, [workflow])
    log.slow = SWITCHES
    starting = asyncio.create_task(engine.start(workflow, Job("x"), run="r"))
    await log.asked.wait()
    log.slow = ""
    await switch(log, "cut", True, SystemClock().now(), by="ana", why="mended")
    told = asyncio.create_task(engine.reconfigure())
    await asyncio.sleep(0.01)
    log.go.set()
    await asyncio.gather(starting, told)
    assert (await asyncio.wait_for(engine.wait("r"), 5)).outcome == "completed"


def test_no_other_guard_goes_by_that_name() -> None:
    """What holds a call is known by the name of the guard, and to this one there is a remedy."""
    with pytest.raises(DefinitionError, match="a guard of the engine is called `switch`"):
        Engine(MemoryLog(), guards=[AtMost(1, name="switch")])
