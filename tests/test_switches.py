"""A specialist out of rotation: its calls go elsewhere or wait, nothing is lost, and it outlasts the process."""

import asyncio

import pytest

from statecore import Completed, Engine, Failed, State, Workflow, any_state
from statecore.clock import SystemClock
from statecore.errors import BadInput
from statecore.log import Log, MemoryLog
from statecore.replay import verify
from statecore.switches import SWITCHES, switch, switches
from tests.crew import Crew, Job, Piece


def cutting(crew: Crew, *spare: str) -> type[Workflow[Job]]:
    class Cutting(Workflow[Job], version="1"):
        """Cut, with spare cutters or without."""

        cutting = State(crew("cut"), initial=True, fallback=[crew(name) for name in spare])
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
    assert (run.condition, crew.count("cut")) == ("paused", 0) and call.why == "cut was disabled by ana: it hangs"
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
