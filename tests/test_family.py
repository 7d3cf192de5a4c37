"""Parents and children, as somebody at a terminal meets them: lists, names, what is waited for, and letting go."""

import asyncio
import json
from pathlib import Path

import pytest

from statecore.errors import NotPossible
from statecore.family import ancestors, descendants, families
from statecore.log import MemoryLog, StreamInfo
from statecore.replay import rebuild
from statecore.retention import erase, purge
from statecore.sqlite import SqliteLog
from statecore.transfer import exported, restore
from tests.desk import Desk, process, until
from tests.playground import ASKING, LEADING
from tests.test_child import Book, Recorder, Topic, engine, played


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capsys, monkeypatch)


def info(name: str, at: float = 0.0) -> StreamInfo:
    return StreamInfo(name, 1, "running", at, at)


def test_families_are_told_by_name() -> None:
    """A run, its children in the order in which they began, and theirs; a child without a parent stands alone."""
    names = ["a", "b", "a/x#2", "a/x#1", "b/c/d#1", "a/x#2/y#1", "z/x#1", "a/b"]
    told = [[each.name for each in family] for family in families(map(info, names))]
    assert told == [["a", "a/x#2", "a/x#2/y#1", "a/x#1"], ["b", "b/c/d#1"], ["z/x#1"], ["a/b"]]
    assert list(ancestors("a/x#2/y#1", names)) == ["a/x#2", "a"]
    assert descendants("a", names) == ["a/x#2", "a/x#1", "a/x#2/y#1"]


def test_a_parent_says_which_child_it_waits_for_and_why_that_stands_still(desk: Desk) -> None:
    """Its exit code is that of a run that waits; `show` and the end of `run` tell of the child what it needs."""
    said = desk("run", LEADING, "--input", '{"text": "tea"}')
    run = desk("runs", "--json").json[0]["run"]
    waits = f"next      asking#1: waits for child {run}/asking#1, which is waiting in waiting"
    assert said.code == 3 and waits in said.out
    shown = desk("show", run)
    assert waits in shown.out and "waits for a signal in waiting" in shown.out
    assert f"children  {run}/asking#1\n" in shown.out
    below = desk("show", f"{run}/asking#1")
    assert f"parent    {run}\n" in below.out
    assert desk("show", f"{run}/asking#1", "--json").json["parent"] == run


def test_runs_lists_children_below_their_parents(desk: Desk) -> None:
    """They count for no limit, and in JSON each names its parent and its root."""
    runs = [desk.run(LEADING), desk.run(LEADING)]
    lines = desk("runs", "--json").json
    assert [(line["run"], line["parent"], line["root"]) for line in lines] == [
        each for run in runs for each in [(run, "", run), (f"{run}/asking#1", run, run)]
    ]
    listed = desk("runs", "--limit", "1").out
    assert f"\n  {runs[1]}/asking#1" in listed and runs[0] not in listed and "1 older run not shown" in listed


def test_a_prefix_means_the_parent_and_not_its_children(desk: Desk) -> None:
    """As long as it fits one run and what stands below it."""
    run = desk.run(LEADING)
    assert desk("show", run[:6], "--json").json["run"] == run
    assert desk("show", f"{run}/a", "--json").json["run"] == f"{run}/asking#1"


def test_a_signal_to_a_child_moves_the_parent_on(desk: Desk) -> None:
    """The child ends, the parent hears it and calls the next child, which is cut by a kill and parks."""
    run = desk.run(LEADING)
    worker = process("signal", f"{run}/asking#1", "Go", "--by", "me", "--workflow", LEADING, cwd=desk.here)
    until((desk.here / "paid").exists)
    worker.kill()
    worker.communicate()
    said = desk("resume", "--workflow", LEADING)
    assert said.code == 3 and f"waits for child {run}/paying#1, which is parked in paying" in said.out
    assert f"statecore answer {run}/paying#1 paying#1" in said.out
    answer = ["answer", f"{run}/paying#1", "paying", '{"id": "7"}', "--by", "me", "--why", "asked the bank"]
    assert desk(*answer, "--workflow", LEADING).code == 0
    assert desk("resume", "--workflow", LEADING).code == 0
    assert desk("show", run, "--json").json["condition"] == "completed"
    assert desk("verify", "--workflow", LEADING).code == 0


def test_cancel_reaches_the_child(desk: Desk) -> None:
    """One command, and nothing of the run goes on."""
    run = desk.run(LEADING)
    assert desk("cancel", run, "--by", "me", "--why", "enough", "--workflow", LEADING).code == 1
    assert [line["condition"] for line in desk("runs", "--json").json] == ["cancelled", "cancelled"]
    assert "cancelled, said me: cancelled with its parent" in desk("log", f"{run}/asking#1").out


def test_a_signal_is_answered_at_the_terminal(desk: Desk) -> None:
    """Taken or refused, by exit code, in words and in JSON; and sent again under its id, the same."""
    run = desk.run(ASKING)
    options = ["--by", "me", "--workflow", ASKING]
    said = desk("signal", run, "Gone", *options)
    assert said.code == 1 and "waits for no signal of this type, in no state: it knows Go" in said.out
    assert "signal Gone {} refused: " in desk("log", run).out
    assert desk("signal", run, "no name", *options).code == 2
    assert desk("signal", run, "Go", "--input", '{"by": 3}', *options).code == 2
    first = desk("signal", run, "Go", "--input", '{"by": "ana"}', "--id", "1", "--json", *options)
    assert first.code == 0 and first.json["transitions"] == ["went"] and first.json["run"]["condition"] == "completed"
    again = desk("signal", run, "Go", "--input", '{"by": "ana"}', "--id", "1", "--json", *options)
    assert (again.code, again.json) == (0, first.json)
    refused = desk("signal", run, "Go", *options)
    assert refused.code == 1 and "refused   nothing waits for it in completed" in refused.out


def test_a_signal_is_handed_to_whoever_holds_the_log(desk: Desk) -> None:
    """The answer is the same as if it had been taken here."""
    run = desk.run(ASKING)
    holder = process("run", "tests.playground:Quick", "--input", '{"seconds": 4}', cwd=desk.here)
    until(lambda: len(desk("runs", "--json").json) == 2)
    said = desk("signal", run, "Go", "--by", "me", "--workflow", ASKING)
    assert said.code == 0 and "taken     went -> gone" in said.out and f"process {holder.pid} holds the log" in said.err
    holder.kill()
    holder.communicate()


def test_a_run_is_forked_at_the_terminal(desk: Desk) -> None:
    """The new run is seen to its rest; a moment within a turn is refused with its neighbours."""
    run = desk.run(ASKING, text="tea")
    options = ["--by", "me", "--why", "look", "--workflow", ASKING]
    said = desk("fork", run, "--at", "4", *options)
    assert said.code == 2 and "so fork it at 3 or 5" in said.err
    forked = desk("fork", run, "--at", "3", "--run", "other", "--json", *options)
    assert forked.code == 3 and forked.json["run"] == "other" and forked.json["states"] == ["waiting"]
    assert f"forked from the first 3 events of {run}, said me: look" in desk("log", "other").out
    assert desk("verify", "--workflow", ASKING).code == 0


async def finished(topic: Topic) -> MemoryLog:
    """A log with one family that is over."""
    over, _ = await asyncio.to_thread(played, Book, topic)
    log = MemoryLog()
    await restore(log, [line async for line in exported(over)])
    return log


async def test_a_family_is_purged_together() -> None:
    """Neither a child before its parent nor a parent before its child."""
    log = await finished(Topic("a"))
    at = (await rebuild(log, "r")).at
    assert await purge(log, 10.0, at + 9.5, by="me", why="old") == []
    assert set(await purge(log, 10.0, at + 10.5, by="me", why="old")) == {
        "r",
        "r/writing#1",
        "r/writing#1/drafting#1",
    }


async def test_a_child_whose_parent_goes_on_is_not_purged() -> None:
    """Its outcome may not have been heard yet; nor is a parent whose child has not ended with it yet."""
    log = Recorder()
    async with engine(log) as on:
        await on.start(Book, Topic("a", 60.0), run="r")
        await on.cancel("r/writing#1/drafting#1", by="me", why="x")
    unheard = await Recorder(log.batches[:2]).ready()
    assert [info.label for info in await unheard.streams()] == ["waiting", "waiting", "cancelled"]
    assert await purge(unheard, 0.0, 1e12, by="me", why="old") == []
    over = Recorder()
    async with engine(over) as on:
        await on.start(Book, Topic("a", 60.0), run="r")
        await on.cancel("r", by="me", why="x")
    half = await Recorder(over.batches[:2]).ready()
    assert [info.label for info in await half.streams()] == ["cancelled", "waiting", "running"]
    assert await purge(half, 0.0, 1e12, by="me", why="old") == []


async def test_erasing_a_run_erases_its_children() -> None:
    """Nothing of its values is left, here or below; and a child of a run that goes on keeps what that may need."""
    log = await finished(Topic("secret"))
    await erase(log, "r", 0.0, by="me", why="asked")
    assert b"secret" not in b"".join([row.payloads or b"" async for row in log.rows()])
    assert await log.verify() == []
    again = MemoryLog()
    async with engine(again) as on:
        await on.start(Book, Topic("a", 0.0), run="r")
        await on.wait("r/writing#1/drafting#1")
        with pytest.raises(NotPossible, match=r"r is \w+ and needs its payloads"):
            await erase(again, "r/writing#1", 0.0, by="me", why="asked")


async def test_a_run_is_exported_with_its_children(tmp_path: Path) -> None:
    """What comes out of one log goes on in another as it was."""
    log = await finished(Topic("a"))
    lines = [line async for line in exported(log, "r")]
    async with await SqliteLog.open(tmp_path / "log.db") as other:
        assert set(await restore(other, lines)) == {"r", "r/writing#1", "r/writing#1/drafting#1"}
        assert (await rebuild(other, "r/writing#1")).outcome == "completed"
    assert {json.loads(line).get("stream") for line in [line async for line in exported(log, "r/writing#1")]} == {
        None,
        "r/writing#1",
        "r/writing#1/drafting#1",
    }
