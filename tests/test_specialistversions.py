"""The next version of a specialist, which no run is pinned to: what is recorded of calls that were open meanwhile."""

import asyncio

import pytest

from statecore import Completed, Engine, Failed, Part, Plan, State, Transient, Workflow, any_state, specialist
from statecore.log import MemoryLog
from statecore.registry import Registry
from statecore.replay import rebuild, verify
from statecore.switches import switch
from tests.crew import Job, Piece


def released(version: str, does: str = "") -> type[Workflow[Job]]:
    """The same workflow, whose cutter is of that version."""

    @specialist("cut", version=version, effect="pure", fails=[Transient])
    async def cut(job: Job) -> Piece:
        if does == "hang":
            await asyncio.Event().wait()
        if does == "fail":
            raise Transient("not now")
        return Piece(version)

    class Cutting(Workflow[Job], version="1"):
        cutting = State(cut, initial=True, attempts=2)
        planning = State(Plan(Part(cut, attempts=2), assemble=first))
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        ready = cutting.to(planning, on=Completed[Piece])
        finished = planning.to(done, on=Completed[Piece])
        gave_up = any_state.to(lost, on=Failed)

    return Cutting


def first(cut: Piece) -> Piece:
    return cut


class Lasting(MemoryLog):
    """It outlives its engine, as a file does."""

    async def close(self) -> None: ...


@pytest.mark.parametrize("left", ["cut", "waiting", "deferred"])
async def test_the_version_that_did_it_is_the_one_that_is_recorded(left: str) -> None:
    """A call that a crash cut, that waits for its next attempt, or that a guard held is told as that of the next
    version once that one is called; and both releases find the log decided as they would.
    """
    old, new, log = released("1", {"cut": "hang", "waiting": "fail"}.get(left, "")), released("2"), Lasting()
    assert old.machine.fingerprint == new.machine.fingerprint
    if left == "deferred":
        await switch(log, "cut", False, 0.0, by="ana", why="look")
    async with Engine(log, [old]) as engine:
        await engine.start(old, Job("x"), run="r")
        await asyncio.sleep(0.01)
        [call] = (await engine.state("r")).calls.values()
        assert call.specialist == "cut@1"
    if left == "deferred":
        await switch(log, "cut", True, 0.0, by="ana", why="looked")
    async with Engine(log, [new]) as engine:
        await engine.resume()
        run = await engine.wait("r")
    assert run.outcome == "completed" and await rebuild(log, "r") == run
    assert [value.specialist for value in run.values if value.specialist] == ["cut@2", "cut@2"]
    assert await verify(log, Registry([old])) == [] == await verify(log, Registry([new]))
