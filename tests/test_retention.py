"""What leaves the log: the payloads of a run that somebody asks to erase, and runs that are old enough."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from statecore.engine import Engine
from statecore.errors import BadInput, NotPossible, UnknownRun
from statecore.events import ERASED, Erased, Moved
from statecore.log import Flaw, Log, MemoryLog
from statecore.registry import Registry
from statecore.replay import examine, rebuild, turns_of
from statecore.retention import PURGED, TOGETHER, age, erase, keeping, purge, purged
from statecore.sqlite import SqliteLog
from statecore.testing import VirtualClock, run_virtual
from statecore.testing.conformance import one
from tests.crew import Bill, Crew, Job, line, twin

GOOD: dict[str, Any] = {"sell": [Bill(1.0)]}


@pytest.fixture(params=["memory", "sqlite"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    made = MemoryLog() if request.param == "memory" else await SqliteLog.open(tmp_path / "log.db")
    yield made
    await made.close()


async def sold(engine: Engine, *names: str) -> None:
    workflow = line(Crew(), **GOOD)
    for name in names:
        assert (await engine.run(workflow, Job(name), run=name)).outcome == "completed"


def moves(turns: Any) -> list[Moved]:
    return [event for turn in turns for event in turn.events if isinstance(event, Moved)]


async def test_an_erased_run_still_says_what_it_did(log: Log) -> None:
    """Moves, calls and times are as they were, each payload is marked erased, and who erased it is recorded."""
    engine = Engine(log)
    await sold(engine, "run", "other")
    before, turns = await rebuild(log, "run"), await turns_of(log, "run")
    await erase(log, "run", before.at + 5, by="ann", why="asked to")
    after, left = await rebuild(log, "run"), await turns_of(log, "run")
    assert left[-1].events == (Erased("ann", "asked to"),) and left[-1].at == before.at + 5
    assert moves(left) == moves(turns)
    same = ("config", "taken", "entries", "outcome", "condition", "started")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert after.input == ERASED and {value.payload for value in after.values} == {ERASED}
    assert [value.by for value in after.values] == [value.by for value in before.values]
    assert (await rebuild(log, "other")).input.data == b'{"text":"other"}'


async def test_verify_takes_an_erased_run_for_erased(log: Log) -> None:
    """Nothing is wrong with it; that its turns cannot be decided again is said."""
    engine = Engine(log)
    await sold(engine, "run", "other")
    await erase(log, "run", 9.0, by="ann", why="asked to")
    found = await examine(log, engine.registry)
    assert found.flaws == () and dict(found.skipped) == {"run": "has no payloads any more: they were erased"}
    assert (await examine(log, engine.registry, "run")).flaws == ()


async def test_a_run_is_erased_once(log: Log) -> None:
    """Erasing again adds nothing, so that one whose file could not be rewritten can be asked for again."""
    await sold(Engine(log), "run")
    for _ in range(2):
        await erase(log, "run", 9.0, by="ann", why="asked to")
    assert sum(isinstance(event, Erased) for turn in await turns_of(log, "run") for event in turn.events) == 1


async def test_what_goes_on_is_not_erased(log: Log) -> None:
    """A run that waits needs its payloads: it is refused, and nothing changes. One that is not there is unknown."""
    engine = Engine(log)
    await engine.run(twin(Crew()), Job(), run="waiting")
    with pytest.raises(NotPossible, match="waiting is waiting and needs its payloads"):
        await erase(log, "waiting", 9.0, by="ann", why="asked to")
    for name in ("none", PURGED):
        with pytest.raises(UnknownRun):
            await erase(log, name, 9.0, by="ann", why="asked to")
    assert (await rebuild(log, "waiting")).input.data == b'{"text":"job"}'


async def test_old_runs_are_purged_and_a_line_for_each_stays(log: Log) -> None:
    """Finished runs of that age leave the log, what says so is in the same commit, and the rest stays."""
    for name, at, label in (("a", 10, "completed"), ("b", 20, "failed"), ("c", 30, "completed"), ("d", 10, "waiting")):
        await log.append(one(name, 0, at=at, label=label))
    heads = {turn.stream: turn.head.hex() for turn in (await log.follow())[0]}
    assert await purge(log, 10, 30.0, by="ann", why="old") == ["a", "b"]
    assert await purge(log, 10, 30.0, by="ann", why="old") == []
    assert [info.name for info in await log.streams()] == ["c", "d", PURGED]
    stubs = await purged(log)
    assert {run: (turn.at, stub.outcome, stub.events, stub.head) for run, (turn, stub) in stubs.items()} == {
        "a": (30.0, "completed", 1, heads["a"]),
        "b": (30.0, "failed", 1, heads["b"]),
    }
    assert await log.verify() == []


async def test_verify_knows_what_was_purged(log: Log) -> None:
    """A purged run is no flaw but is said to be gone, with when, by whom and why; one that never was is a flaw."""
    await log.append(one("a", 0, at=10, label="completed"))
    await purge(log, 10, 30.0, by="ann", why="old")
    found = await examine(log, Registry(), "a")
    assert found.flaws == ()
    assert found.skipped["a"].startswith("was purged on 1970-01-01 00:00:30 UTC by ann: old (completed, 1 events, last")
    assert (await examine(log, Registry(), "b")).flaws == (Flaw("b", None, "is not in the log"),)
    assert (await examine(log, Registry())).flaws == ()
    with pytest.raises(UnknownRun, match="a is not in this log any more: was purged on 1970"):
        await rebuild(log, "a")


async def test_many_runs_are_purged_in_several_commits(log: Log) -> None:
    """However many are old, all go, and the log verifies."""
    names = [f"run-{number}" for number in range(TOGETHER + 5)]
    await asyncio.gather(*[log.append(one(name, 0, label="completed")) for name in names])
    assert sorted(await purge(log, 0, 30.0, by="ann", why="old")) == sorted(names)
    assert [(info.name, info.version) for info in await log.streams()] == [(PURGED, len(names))]
    assert await log.verify() == []


def test_a_run_is_purged_an_hour_after_its_end() -> None:
    """Kept for an hour, a run is there at 59 minutes and gone at 61, while the engine goes on with others."""

    async def main() -> None:
        log = MemoryLog()
        async with Engine(log, clock=VirtualClock()) as engine, keeping(log, 3600.0, engine.clock):
            await engine.run(twin(Crew()), Job(), run="waiting")
            await sold(engine, "run")
            await asyncio.sleep(59 * 60)
            assert (await engine.state("run")).outcome == "completed"
            await sold(engine, "later")
            await asyncio.sleep(2 * 60)
            with pytest.raises(UnknownRun):
                await engine.state("run")
            assert {info.name for info in await log.streams()} == {"waiting", "later", PURGED}
            assert (await purged(log))["run"][1].by == "retention"
            assert await log.verify() == []

    run_virtual(main())


def test_nothing_is_purged_where_nothing_is_configured() -> None:
    """Without an age runs are kept for ever."""

    async def main() -> None:
        log = MemoryLog()
        async with Engine(log, clock=VirtualClock()) as engine, keeping(log, None, engine.clock):
            await sold(engine, "run")
            await asyncio.sleep(30 * 86_400)
            assert (await engine.state("run")).outcome == "completed"

    run_virtual(main())


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1.5h", 5400), ("30d", 2_592_000), ("2 w", 1_209_600)]
)
def test_an_age_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    """Seconds to weeks, with or without a fraction."""
    assert age(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1y", "1d 2h", "1e3s", 30, None])
def test_what_is_no_age_is_refused(text: object) -> None:
    """BadInput shows what is expected."""
    with pytest.raises(BadInput, match="like 90m, 12h or 30d"):
        age(text)
