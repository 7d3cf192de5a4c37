"""Forks: a run of its own that shares the beginning of another."""

import asyncio
from typing import Any

import attrs
import pytest

from statecore import Call, Completed, Engine, Failed, Signal, State, Workflow, any_state, child, specialist
from statecore.call import CallState
from statecore.errors import BadInput, Conflict, NotPossible, UnknownRun
from statecore.events import ForkedFrom
from statecore.failures import NotDone, Unavailable
from statecore.log import MemoryLog
from statecore.replay import rebuild, turns_of, verify
from statecore.retention import erase
from statecore.run import Run


@attrs.frozen
class Order:
    item: str
    size: int = 1


@attrs.frozen
class Plan:
    item: str


@attrs.frozen
class Sent:
    key: str


@attrs.frozen
class Go:
    pass


KEYS: list[str] = []
HANG: set[str] = set()
DOWN: set[str] = set()


@specialist("plan", version="1", effect="pure", fails=[Unavailable])
async def plan(order: Order, call: Call) -> Plan:
    KEYS.append(call.key)
    if "plan" in DOWN:
        raise Unavailable("not now")
    if "plan" in HANG:
        await asyncio.sleep(60)
    return Plan(order.item * order.size)


async def asked(call: Call) -> Any:
    raise NotDone("never heard of that key")


@specialist("send", version="1", reconcile=asked)
async def send(plan: Plan, call: Call) -> Sent:
    KEYS.append(call.key)
    if "send" in HANG:
        await asyncio.sleep(60)
    return Sent(call.key)


class Sending(Workflow[Order], version="1"):
    """Plan, wait for a word, send."""

    planning = State(plan, initial=True, attempts=3)
    ready = State()
    sending = State(send)
    sent = State(final=True)
    lost = State(final=True, outcome="failed")
    planned = planning.to(ready, on=Completed[Plan])
    go = ready.to(sending, on=Signal[Go])
    done = sending.to(sent, on=Completed[Sent])
    gave_up = any_state.to(lost, on=Failed)


class Outer(Workflow[Order], version="1"):
    """A child that has an effect."""

    working = State(child(Sending), initial=True)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    worked = working.to(done, on=Completed[Sent])
    gave_up = working.to(lost, on=Failed)


@pytest.fixture(autouse=True)
def clean() -> None:
    KEYS.clear()
    HANG.clear()
    DOWN.clear()


def engine(log: MemoryLog) -> Engine:
    return Engine(log, [Sending, Outer])


def like(run: Run, id: str) -> dict[str, Any]:
    """What a run is, but for its id and what derives from it."""
    plain = attrs.asdict(
        run, recurse=False, filter=lambda field, _: field.name not in ("id", "root", "seq", "at", "calls")
    )
    return {**plain, "calls": sorted(run.calls)}


async def test_a_fork_goes_on_from_a_past_event_and_leaves_the_old_run_as_it_was() -> None:
    """A finished run is forked where it waited: the fork is there as the old run was, and ends on its own."""
    log = MemoryLog()
    async with engine(log) as on:
        await on.start(Sending, Order("x"), run="old")
        at = (await on.wait("old")).seq
        await on.signal("old", Go())
        await on.wait("old")
        before = [turn async for turn in log.read("old")]
        assert await on.fork("old", at, by="ana", why="another way", new="new") == "new"
        forked = await on.wait("new")
        assert like(forked, "new") == like(await rebuild(log, "old", at), "old")
        assert (forked.condition, forked.root) == ("waiting", "new")
        assert (await turns_of(log, "new"))[-1].events == (ForkedFrom("old", at, "ana", "another way"),)
        await on.signal("new", Go())
        assert (await on.wait("new")).outcome == "completed"
        assert [turn async for turn in log.read("old")] == before
        assert len(set(KEYS)) == 3  # planned once, sent twice, each under a key of its own
        assert await verify(log, on.registry) == [] and await log.verify() == []


async def test_what_was_in_flight_and_pure_is_made_again_under_a_new_key() -> None:
    """The call of the fork is not that of the old run."""
    log = MemoryLog()
    HANG.add("plan")
    async with engine(log) as on:
        await on.start(Sending, Order("x"), run="old")
        at = (await on.state("old")).seq
        await asyncio.sleep(0.01)
        HANG.clear()
        await on.fork("old", at, by="ana", why="it hangs", new="new")
        assert (await on.wait("new")).condition == "waiting"
        assert len(set(KEYS)) == 2
        assert await verify(log, on.registry) == []


async def test_what_was_in_flight_and_not_to_be_repeated_is_parked() -> None:
    """Nobody here knows whether the old run did it; not even the receiver, who never heard of the new key."""
    log = MemoryLog()
    HANG.add("send")
    async with engine(log) as on:
        await on.start(Sending, Order("x"), run="old")
        await on.wait("old")
        await on.signal("old", Go())
        at = (await on.state("old")).seq
        await on.fork("old", at, by="ana", why="look", new="new")
        forked = await on.wait("new")
        call = forked.calls["sending#1"]
        assert (forked.condition, call.status) == ("parked", CallState.UNKNOWN)
        assert call.why == "it was in flight in old when that was forked, which may have done it; here nothing was done"
        await on.answer("new", "sending", Sent("by hand"), by="ana", why="the old one did it")
        assert (await on.wait("new")).outcome == "completed"
        assert await verify(log, on.registry) == []


async def test_a_fork_of_a_fork_and_a_fork_of_a_child_are_runs_of_their_own() -> None:
    """The first says where it comes from, and that where that came from; the second is nobody's child."""
    log = MemoryLog()
    async with engine(log) as on:
        await on.start(Outer, Order("x"), run="r")
        await on.wait("r/working#1")
        at = (await on.state("r/working#1")).seq
        first = await on.fork("r/working#1", at, by="ana", why="1", new="a")
        second = await on.fork(first, at + 1, by="ana", why="2", new="b")
        run = await on.state(second)
        assert (run.parent, run.depth, run.root, run.seq) == ("", 0, "b", at + 2)
        await on.signal("b", Go())
        assert (await on.wait("b")).outcome == "completed"
        assert (await on.state("r")).condition == "waiting"
        assert await verify(log, on.registry) == []


async def test_a_child_that_had_an_effect_is_not_begun_again() -> None:
    """The call of a child workflow that may change the world is parked in the fork, and no child of it begins."""
    log = MemoryLog()
    async with engine(log) as on:
        await on.start(Outer, Order("x"), run="r")
        await on.fork("r", 3, by="ana", why="x", new="f")
        assert (await on.wait("f")).condition == "parked"
        assert [info.name for info in await log.streams()] == ["r", "r/working#1", "f"]


async def test_where_a_run_cannot_be_forked() -> None:
    """Within a turn, beyond its end, where it was finished, without its payloads, onto a name that is taken."""
    log = MemoryLog()
    async with engine(log) as on:
        await on.start(Sending, Order("x"), run="old")
        await on.wait("old")
        await on.signal("old", Go())
        end = (await on.wait("old")).seq
        with pytest.raises(BadInput, match=r"event 4 of old does not end a turn: .* so fork it at 3 or 5"):
            await on.fork("old", 4, by="ana", why="x")
        with pytest.raises(BadInput, match=f"fork it at {end}"):
            await on.fork("old", 99, by="ana", why="x")
        with pytest.raises(BadInput, match=r"event 0 of old .* fork it at 3"):
            await on.fork("old", 0, by="ana", why="x")
        with pytest.raises(NotPossible, match=f"old was completed at event {end}"):
            await on.fork("old", end, by="ana", why="x")
        with pytest.raises(Conflict):
            await on.fork("old", 3, by="ana", why="x", new="old")
        with pytest.raises(BadInput, match="give it a name of its own"):
            await on.fork("old", 3, by="ana", why="x", new="a/b#1")
        with pytest.raises(UnknownRun):
            await on.fork("nobody", 3, by="ana", why="x")
        await erase(log, "old", 0.0, by="me", why="asked")
        with pytest.raises(NotPossible, match="the payloads of old were erased"):
            await on.fork("old", 3, by="ana", why="x")
        assert [info.name for info in await log.streams()] == ["old"]


async def test_a_run_whose_workflow_is_not_loaded_is_forked_all_the_same() -> None:
    """A fork only copies; what is parked here goes on where its workflow is loaded."""
    log = MemoryLog()
    async with engine(log) as on:
        await on.start(Sending, Order("x"), run="old")
        at = (await on.wait("old")).seq
        other = Engine(log, [])
        new = await other.fork(await on.start(Sending, Order("y"), run="y") and "old", at, by="ana", why="x", new="f")
        assert "not loaded" in other.parked(new)
        await on.resume("f")
        assert (await on.wait("f")).condition == "waiting"


async def test_large_values_are_copied(tmp_path: Any) -> None:
    """What is stored aside of its turn is there in the fork too."""
    from statecore.sqlite import SqliteLog

    async with await SqliteLog.open(tmp_path / "log.db") as log, Engine(log, [Sending]) as on:
        await on.start(Sending, Order("x" * 1000, 100), run="old")
        at = (await on.wait("old")).seq
        await on.fork("old", at, by="ana", why="x", new="new")
        assert (await on.state("new")).values[1].payload.data == (await on.state("old")).values[1].payload.data
        assert await log.verify() == []


async def test_a_wait_that_was_copied_is_that_of_the_run_it_was_decided_for() -> None:
    """How long a further attempt waits derives from the key of its call, and the key from the run: `verify` asks for the
    run that was forked, and for that which it was forked from.
    """
    log = MemoryLog()
    DOWN.add("plan")
    async with engine(log) as on:
        await on.start(Sending, Order("x"), run="old")
        while not (calls := (await on.state("old")).calls) or calls["planning#1"].status is not CallState.WAITING:
            await asyncio.sleep(0.001)
        at = (await on.state("old")).seq
        DOWN.clear()
        await on.fork("old", at, by="ana", why="1", new="new")
        await on.fork("new", at + 1, by="ana", why="2", new="newer")
        assert await verify(log, on.registry) == []
