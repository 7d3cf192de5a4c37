"""A checkpoint is a cache: whatever becomes of it, the run is what its log says."""

import asyncio
import random
import re
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from statecore import Engine, checkpoint, rebuild
from statecore.checkpoint import Checkpoint, Mark, Unfit, fold, opened, shape, taken
from statecore.errors import LogError
from statecore.events import Payload
from statecore.failpoint import VARIABLE, Point
from statecore.failures import NotDone
from statecore.log import KeepsCheckpoints, Log, MemoryLog, Turn
from statecore.registry import Registry
from statecore.replay import examine, rebuilt, recall, turns_of, verify
from statecore.retention import erase, not_system, purge
from statecore.run import Run
from statecore.sqlite import SqliteLog
from statecore.trail import Trail, Value
from statecore.transfer import exported, restore
from tests.benchmarks.engine_bench import Chain, piece
from tests.crew import Bill, Crew, Jammed, Job, Nudge, Piece, Spoilt, line, twin
from tests.test_sqlite import child

FORMATS = sorted((Path(__file__).parent / "formats").glob("v*/log.db"))


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every ten events."""
    monkeypatch.setattr(checkpoint, "EVERY", 10)


@pytest.fixture(params=["memory", "sqlite"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    made = MemoryLog() if request.param == "memory" else await SqliteLog.open(tmp_path / "log.db")
    yield made
    await made.close()


async def whole(log: Log, run: str) -> Run:
    """The run as its whole log has it."""
    return rebuilt(await turns_of(log, run))


async def chained(log: Log, run: str, steps: int = 20) -> list[Checkpoint]:
    """A run of so many steps, with its checkpoints."""
    engine = Engine(log, [Chain])
    await engine.run(Chain, piece(steps), run=run)
    await asyncio.sleep(0.02)
    assert isinstance(log, KeepsCheckpoints)
    return await log.checkpoints(run)


def cut(turns: Sequence[Turn], chance: random.Random) -> list[Checkpoint]:
    """Checkpoints as they may come to be taken while a run takes these turns, at least one."""
    last = chance.randrange(len(turns))
    places = sorted({last, *(place for place in range(last) if chance.random() < 0.3)})
    kept, mark = list[Checkpoint](), Mark()
    for place in places:
        run = rebuilt(turns[: place + 1])
        made = taken(run, turns[place].head, mark)
        assert made is not None
        kept, mark = [*(attrs.evolve(each, state=b"") for each in kept), made], Mark(made.version, made.end)
    return kept


async def same_from_anywhere(log: Log, run: str, chance: random.Random) -> None:
    turns = await turns_of(log, run)
    kept = cut(turns, chance)
    at = kept[-1].version
    found, expected = opened(kept), rebuilt([turn for turn in turns if turn.version <= at])
    assert found == expected and repr(found) == repr(expected)
    copy = MemoryLog()
    await copy.restore([row async for row in log.rows(run)], {})
    copy._checkpoints[run] = kept
    went_on, mark = await recall(copy, run)
    assert mark == Mark(at, kept[-1].end) and went_on == rebuilt(turns)


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.parent.name)
async def test_every_released_run_goes_on_from_a_checkpoint_anywhere(path: Path, tmp_path: Path) -> None:
    """Whatever a run holds (failures, parked calls, regions, large and erased values), a checkpoint gives it back."""
    async with await SqliteLog.open(Path(shutil.copy(path, tmp_path))) as log:
        for number, info in enumerate(not_system(await log.streams())):
            for seed in range(5):
                await same_from_anywhere(log, info.name, random.Random(100 * number + seed))


@pytest.mark.parametrize("seed", range(20))
async def test_a_run_is_the_same_with_its_checkpoints_and_without(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random outcomes, checkpoints after any number of events, and a restart at any moment lead to the run of the log."""
    chance, log = random.Random(seed), MemoryLog()
    monkeypatch.setattr(checkpoint, "EVERY", chance.randint(1, 9))
    could = [Piece("a", "bad"), Piece("b"), Jammed("dry"), Spoilt("rotten"), KeyError("who knows"), Piece("c", "trip")]
    cuts, glues = ([chance.choice(could) for _ in range(6)] for _ in range(2))
    made = line(
        Crew(), {"attempts": 1}, {"attempts": 1}, cut=cuts, glue=glues, sell=[chance.choice([Bill(1.0), NotDone("no")])]
    )
    nudged = chance.random() < 0.5
    workflow = twin(Crew(), left=cuts, right=[Piece("r")]) if nudged else made
    for _ in range(3):
        engine = Engine(log, [workflow])
        if not await log.streams():
            await engine.start(workflow, Job("oak"), run="run")
        await engine.resume()
        if nudged and chance.random() < 0.7:
            await engine.signal("run", Nudge("now"))
        await engine.wait("run")
        engine._core.runs.held.clear()
        found, expected = await rebuild(log, "run"), await whole(log, "run")
        assert found == expected and repr(found) == repr(expected)
        assert await verify(log, Registry([workflow])) == []
        await same_from_anywhere(log, "run", chance)
    assert await log.checkpoints("run")


st.register_type_strategy(Payload, st.builds(Payload, st.text(max_size=5), st.binary(max_size=9)))
OTHERS: dict[str, Any] = {field.name: ... for field in attrs.fields(Run) if field.name != "values"}
RUNS = st.builds(Run, values=st.lists(st.from_type(Value), max_size=5).map(Trail), **OTHERS)


@settings(
    max_examples=100,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
@given(RUNS, st.integers(0, 5))
def test_whatever_a_run_may_hold_comes_back(run: Run, mark: int) -> None:
    """Every field that a run has, and gets, is in its checkpoint: filled by its type, it is found again."""
    assume(not re.search(r"\bnan\b|\d{18}", repr(run)))
    mark = min(mark, len(run.values))
    first, then = taken(attrs.evolve(run, values=Trail(run.values[:mark])), b"", Mark()), taken(run, b"", Mark(0, mark))
    assert first is not None and then is not None
    back = opened([first, then] if mark else [then])
    assert back == run and [hash(back.config), list(back.newest)] == [hash(run.config), list(run.newest)]


async def test_a_checkpoint_is_taken_now_and_then(often: None, log: Log) -> None:
    """One each so many events; together they have each value once, and only the newest has the rest of the run."""
    kept = await chained(log, "run")
    assert [each.version for each in kept] == [12, 24, 36, 48, 60]
    assert [each.first for each in kept] == [0, *(each.end for each in kept[:-1])]
    assert [bool(each.state) for each in kept] == [False] * 4 + [True]
    run, mark = await recall(log, "run")
    assert run == await whole(log, "run") and mark == Mark(60, kept[-1].end)
    [whose] = [turn for turn in await turns_of(log, "run") if turn.version == 60]
    assert whose.head == kept[-1].head


async def test_only_what_came_after_it_is_read(often: None, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is taken up without reading what is before its checkpoint, and without decoding values nobody asks for."""
    kept = await chained(log, "run")
    asked, read = list[int](), type(log).read

    def counted(self: Any, stream: str, after: int = 0) -> Any:
        asked.append(after)
        return read(self, stream, after)

    monkeypatch.setattr(type(log), "read", counted)
    decoded = list[int]()
    monkeypatch.setattr(checkpoint, "_values", Counting(decoded))
    run, _ = await recall(log, "run")
    assert asked == [kept[-1].version - 1] and decoded == []
    assert run.values[3].id == 3 and len(decoded) == 1
    assert [value.id for value in run.values] == list(range(len(run.values))) and len(decoded) == 5


class Counting:
    def __init__(self, decoded: list[int]) -> None:
        self.decoded, self.decoder = decoded, checkpoint._values

    def decode(self, data: bytes) -> Any:
        self.decoded.append(len(data))
        return self.decoder.decode(data)


async def test_a_run_that_is_taken_up_goes_on_from_its_mark(often: None, log: Log) -> None:
    """The next process writes what came since, and not all of it anew."""
    engine = Engine(log, [Chain])
    await engine.start(Chain, piece(40), run="run")
    while (await engine.state("run")).seq < 50:
        await asyncio.sleep(0)
    engine._core.stopped = True
    for task in engine._core.tasks.open:
        task.cancel()
    await asyncio.sleep(0.05)
    assert isinstance(log, KeepsCheckpoints)
    before = await log.checkpoints("run")
    engine = Engine(log, [Chain])
    await engine.resume("run")
    await engine.wait("run")
    await asyncio.sleep(0.05)
    after = await log.checkpoints("run")
    assert [each.first for each in after][: len(before)] == [each.first for each in before] and len(after) > len(before)
    assert opened(after) == rebuilt([t for t in await turns_of(log, "run") if t.version <= after[-1].version])


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def forged(last: Checkpoint, **parts: Any) -> Checkpoint:
    """With its digests made to fit."""
    bare = attrs.evolve(last, values=b"", state=b"")
    return attrs.evolve(last, **{name: checkpoint._sealed(bare, data) for name, data in parts.items()})


Spoil = Callable[[list[Checkpoint], list[Checkpoint]], list[Checkpoint]]
SPOILT: dict[str, Spoil] = {
    "another fold": lambda kept, other: [*kept[:-1], attrs.evolve(kept[-1], fold="0-old")],
    "the other fold of one before": lambda kept, other: [attrs.evolve(kept[0], fold="0-old"), *kept[1:]],
    "another head": lambda kept, other: [*kept[:-1], attrs.evolve(kept[-1], head=bytes(32))],
    "a digest that is gone": lambda kept, other: [*kept[:-1], attrs.evolve(kept[-1], state=b"")],
    "a flipped byte of the state": lambda kept, other: [*kept[:-1], attrs.evolve(kept[-1], state=flipped(kept[-1].state, 40))],
    "a flipped byte of the digest": lambda kept, other: [*kept[:-1], attrs.evolve(kept[-1], state=flipped(kept[-1].state, 0))],
    "a flipped byte of the values": lambda kept, other: [attrs.evolve(kept[0], values=flipped(kept[0].values, 99)), *kept[1:]],
    "a truncated state": lambda kept, other: [*kept[:-1], attrs.evolve(kept[-1], state=kept[-1].state[:-1])],
    "truncated values": lambda kept, other: [*kept[:-1], attrs.evolve(kept[-1], values=kept[-1].values[:50])],
    "one that is missing": lambda kept, other: [*kept[:1], *kept[2:]],
    "only the last": lambda kept, other: kept[-1:],
    "the newest is missing": lambda kept, other: kept[:-1],
    "of another run": lambda kept, other: [attrs.evolve(each, stream="run") for each in other],
    "another version": lambda kept, other: [*kept[:-1], attrs.evolve(kept[-1], version=kept[-1].version + 1)],
    "a state that is none": lambda kept, other: [*kept[:-1], forged(kept[-1], state=["no", "run"])],
    "the state of another run": lambda kept, other: [*kept[:-1], forged(kept[-1], state={"id": "other", "seq": kept[-1].version})],
}  # fmt: skip


@pytest.mark.parametrize("how", SPOILT)
async def test_a_checkpoint_that_does_not_fit_is_ignored(how: str, often: None, log: Log) -> None:
    """Whatever was done to it, the run is rebuilt from its whole log, and `verify` says so, save of another release."""
    kept, other = await chained(log, "run"), await chained(log, "other", 15)
    await put(log, "run", SPOILT[how](kept, other))
    run, mark = await recall(log, "run")
    expected = await whole(log, "run")
    assert run == expected and repr(run) == repr(expected) and mark == Mark()
    found = await verify(log, Registry([Chain]))
    if "fold" in how:
        assert found == []
    else:
        assert [flaw.stream for flaw in found] == ["run"] and "has a checkpoint that does not fit" in found[0].what


async def put(log: Log, run: str, kept: list[Checkpoint]) -> None:
    """In place of the checkpoints that are there, as somebody with the file could."""
    if isinstance(log, MemoryLog):
        log._checkpoints[run] = kept
        return
    assert isinstance(log, SqliteLog)
    with sqlite3.connect(log.path) as database:
        [(id,)] = database.execute("SELECT id FROM streams WHERE name = ?", [run])
        database.execute("DELETE FROM checkpoints WHERE stream = ?", [id])
        rows = [(id, *attrs.astuple(each, recurse=False)[1:]) for each in kept]
        database.executemany("INSERT INTO checkpoints VALUES (?,?,?,?,?,?,?,?)", rows)
    database.close()


async def test_a_checkpoint_of_another_past_is_ignored(often: None, log: Log) -> None:
    """Of a run of the same name and length, whose log went another way, not a byte is wrong, and nothing fits."""
    other = MemoryLog()
    kept = await chained(other, "run", 20)
    await chained(log, "run", 21)
    assert opened(kept).seq == kept[-1].version
    await put(log, "run", kept)
    run, mark = await recall(log, "run")
    assert run == await whole(log, "run") and mark == Mark()
    assert "no such turn" in (await verify(log, Registry([Chain])))[0].what


async def test_a_checkpoint_ahead_of_its_log_is_ignored(often: None, log: Log) -> None:
    """One of a longer past than the log has, as after a backup was put back, counts for nothing; the next replaces it."""
    kept = await chained(log, "run", 20)
    rows = [row async for row in log.rows("run")]
    older = MemoryLog()
    await older.restore([row for row in rows if row.version <= 30], {"run": "running"})
    older._checkpoints["run"] = kept
    run, mark = await recall(older, "run")
    assert run == await whole(older, "run") and run.seq == 30 and mark == Mark()
    assert "no such turn" in (await verify(older, Registry([Chain])))[0].what
    engine = Engine(older, [Chain])
    await engine.resume("run")
    await engine.wait("run")
    await asyncio.sleep(0.02)
    again = await older.checkpoints("run")
    assert again[0].first == 0 and opened(again).seq == again[-1].version
    assert await verify(older, Registry([Chain])) == []


async def test_a_checkpoint_that_says_otherwise_than_its_log_is_found(often: None, log: Log) -> None:
    """One that was forged with all its digests cannot be seen by who uses it; `verify` reads the log and sees it."""
    kept = await chained(log, "run")
    run = opened(kept)
    state = {name: checkpoint._plain(getattr(run, name)) for name in checkpoint._names(Run) if name != "values"}
    await put(log, "run", [*kept[:-1], forged(kept[-1], state={**state, "tenant": "mallory"})])
    assert (await rebuild(log, "run")).tenant == "mallory"
    [flaw] = await verify(log, Registry([Chain]), "run")
    assert flaw.version == kept[-1].version and "lead to another run" in flaw.what
    assert (await examine(log, Registry([]))).flaws == (flaw,)


async def test_deleting_all_checkpoints_changes_nothing(often: None, log: Log) -> None:
    """The run is what it was, and nothing is wrong with the log."""
    await chained(log, "run")
    before = await rebuild(log, "run")
    await put(log, "run", [])
    assert await rebuild(log, "run") == before
    assert await verify(log, Registry([Chain])) == []


def holding(home: Path, text: bytes) -> set[str]:
    return {file.name for file in home.iterdir() if text in file.read_bytes()}


async def test_an_erased_payload_is_in_no_checkpoint(often: None, tmp_path: Path) -> None:
    """The checkpoints of a run leave the file with its payloads, in the same commit, and no byte of them stays."""
    async with await SqliteLog.open(tmp_path / "log.db") as log:
        kept, secret = await chained(log, "run"), b"x" * 165
        assert "log.db-wal" in holding(tmp_path, secret)
        last = (await turns_of(log, "run"))[-1]
        stale = taken(await rebuild(log, "run"), last.head, Mark())
        await erase(log, "run", 5e9, by="ann", why="asked to")
        assert await log.checkpoints("run") == []
        assert stale and not await log.keep(stale) and not await log.keep(kept[-1])
        assert holding(tmp_path, secret[:40]) == set()
        assert await log.checkpoints("run") == [] and await rebuild(log, "run") == await whole(log, "run")


async def test_a_checkpoint_that_waits_beside_an_erasure_is_gone(log: Log) -> None:
    """In whichever order the two are queued, nothing is kept of what was erased."""
    assert isinstance(log, KeepsCheckpoints)
    for name, keep_first in (("a", True), ("b", False)):
        await chained(log, name, 5)
        last = (await turns_of(log, name))[-1]
        made = taken(await rebuild(log, name), last.head, Mark())
        assert made
        if keep_first:
            keeping = asyncio.ensure_future(log.keep(made))
            await erase(log, name, 5e9, by="ann", why="asked to")
        else:
            erasing = asyncio.create_task(erase(log, name, 5e9, by="ann", why="asked to"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            keeping = asyncio.ensure_future(log.keep(made))
            await erasing
        await keeping
        assert await log.checkpoints(name) == []


async def test_a_purged_run_leaves_no_checkpoint(often: None, log: Log) -> None:
    """Who begins a run of that name anew does not find them."""
    await chained(log, "run")
    assert isinstance(log, KeepsCheckpoints)
    await purge(log, -1e9, 5e9, by="ann", why="old")
    assert await log.checkpoints("run") == []
    if isinstance(log, SqliteLog):
        assert await log._query("SELECT stream FROM checkpoints") == []
    await chained(log, "run", 1)
    assert await log.checkpoints("run") == []


async def test_checkpoints_do_not_travel(often: None, log: Log) -> None:
    """An export is the log, and whoever imports it rebuilds from that."""
    await chained(log, "run")
    lines = [line async for line in exported(log)]
    other = MemoryLog()
    await restore(other, lines)
    assert await other.checkpoints("run") == [] and await rebuild(other, "run") == await rebuild(log, "run")


class Bare:
    """A log with what `Log` asks for and no more."""

    def __init__(self) -> None:
        self._log = MemoryLog()

    def __getattr__(self, name: str) -> Any:
        if name in ("keep", "checkpoints"):
            raise AttributeError(name)
        return getattr(self._log, name)


async def test_a_log_need_not_keep_any(often: None) -> None:
    """A log without checkpoints is a correct log."""
    log: Any = Bare()
    assert (await Engine(log, [Chain]).run(Chain, piece(20), run="run")).outcome == "completed"
    assert log._log._checkpoints == {} and await rebuild(log, "run") == await whole(log, "run")
    assert await verify(log, Registry([Chain])) == []


@pytest.mark.parametrize("fault", [LogError("no room"), OSError(5, "I/O"), None])
async def test_a_checkpoint_that_cannot_be_written_stops_no_run(
    fault: Exception | None, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its values go into the next one that can; whether it failed at once, later, or could not be taken at all."""
    log, failing = MemoryLog(), True
    keep = log.keep

    def refuses(made: Checkpoint) -> Awaitable[bool]:
        if not failing:
            return keep(made)
        if isinstance(fault, OSError):
            raise fault
        refused = asyncio.get_running_loop().create_future()
        refused.set_exception(fault or LogError("later"))
        return refused

    monkeypatch.setattr(log, "keep", refuses)
    if fault is None:
        monkeypatch.setattr("statecore.turns.taken", lambda *_: 1 / 0)
    engine = Engine(log, [Chain])
    await engine.start(Chain, piece(300), run="run")
    async with asyncio.timeout(20):
        while (await engine.state("run")).seq < 30:
            await asyncio.sleep(0)
    failing = False
    monkeypatch.setattr("statecore.turns.taken", taken)
    assert (await engine.wait("run")).outcome == "completed"
    await asyncio.sleep(0.02)
    kept = await log.checkpoints("run")
    assert kept[0].first == 0 and opened(kept).seq == kept[-1].version > 30


async def test_a_full_disk_keeps_no_checkpoint_and_the_log_goes_on(tmp_path: Path) -> None:
    """SQLite takes back what did not fit: the log has not failed, and what is appended next is there."""
    async with await SqliteLog.open(tmp_path / "log.db") as log:
        await chained(log, "run", 300)
        assert log._writer is not None
        [(pages,)] = await log._writer.execute_fetchall("PRAGMA page_count")
        await log._writer.execute_fetchall(f"PRAGMA max_page_count = {pages}")
        last = (await turns_of(log, "run"))[-1]
        made = taken(await rebuild(log, "run"), last.head, Mark())
        assert made
        with pytest.raises(LogError, match="no room for a checkpoint") as caught:
            await log.keep(made)
        assert type(caught.value) is LogError and await log.checkpoints("run") == []
        await log._writer.execute_fetchall("PRAGMA max_page_count = 1000000")
        assert await log.keep(made) and len(await chained(log, "next", 2)) == 0
        assert await log.verify() == []


KEEPING = """
import asyncio, sys
from statecore import Engine, checkpoint
from statecore.failpoint import arm_from_environment
from statecore.sqlite import SqliteLog
from tests.benchmarks.engine_bench import Chain, piece
checkpoint.EVERY = 10
async def main():
    async with Engine(await SqliteLog.open(sys.argv[1]), [Chain]) as engine:
        if not await engine.resume():
            await engine.start(Chain, piece(12), run="run")
        await engine.wait("run")
arm_from_environment()
asyncio.run(main())
"""


async def test_killed_while_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each statement of each checkpoint: the log has all its turns, the checkpoints before, and the run goes on."""
    path, code, passes = tmp_path / "home" / "log.db", -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        passes += 1
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir()
        monkeypatch.setenv(VARIABLE, f"{Point.DURING_CHECKPOINT}:{passes}")
        with child(KEEPING, path) as process:
            code = process.wait(timeout=20)
            assert code in (0, -signal.SIGKILL), process.stderr and process.stderr.read()
        async with await SqliteLog.open(path) as log:
            assert await verify(log, Registry([Chain])) == []
            run, mark = await recall(log, "run")
            assert run == await whole(log, "run") and mark.version <= run.seq and (passes <= 3 or mark.version)
            assert len(await log.checkpoints("run")) == (passes - 1) // 3 or code == 0
        async with Engine(await SqliteLog.open(path), [Chain]) as engine:
            await engine.resume()
            assert (await engine.wait("run")).outcome in ("completed", "")
    assert passes > 6


def test_a_checkpoint_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose values are heavier than the bound gets none, rather than one that stops the event loop."""
    run = Run("run", values=Trail([]), seq=1)
    assert taken(run, b"", Mark()) is not None
    heavy = attrs.evolve(run, values=Trail([Value(0, "a", Payload("x", b'"1234567890"'))]))
    monkeypatch.setattr(checkpoint, "HEAVY", 11)
    assert taken(heavy, b"", Mark()) is None


def test_what_a_run_is_made_of_is_pinned_to_the_meaning_of_its_fold() -> None:
    """A field that is new, gone or renamed makes another `fold`, so older checkpoints are ignored. Who changes one says
    here that it was meant, and raises MEANING where fields that stay now mean something else.
    """
    assert {name: list(fields) for name, fields in shape().items()} == {
        "Run": ["id", "workflow", "version", "fingerprint", "tenant", "root", "seq", "started", "at", "config",
                "values", "newest", "taken", "entries", "calls", "plans", "outcome", "why", "timers", "parent",
                "depth", "by", "heard"],
        "Config": ["states", "history"],
        "Value": ["id", "by", "payload", "specialist", "attempt", "fallback", "reads", "warnings", "trusted", "part"],
        "Payload": ["contract", "data"],
        "Call": ["run", "id", "specialist", "attempt", "rank", "effect", "request", "reads", "status", "since",
                 "wake", "cuts", "faults", "why", "untouched", "kind", "type", "copied", "guard", "renamed"],
        "Progress": ["count", "width", "on_failure", "reads", "parts", "waits", "ready", "done", "failed", "skipped"],
        "CallPlanned": ["call", "type", "after", "request", "expects", "needed", "answers", "says"],
        "Timer": ["state", "due", "since"],
    }  # fmt: skip
    assert checkpoint.MEANING == 2 and fold().startswith("2-")


def test_a_new_kind_of_field_is_kept_or_refused() -> None:
    """What msgspec would not give back as it was is found here, before a run meets it."""
    hashing = {kind.__name__ for kind in checkpoint._classes(Run) if "_attrs_cached_hash" in dir(kind)}
    assert hashing == {"Config"}, "what has a cached hash must be made anew in `opened`"
    with pytest.raises(TypeError):
        checkpoint._bytes.encode(checkpoint._plain({"odd": object()}))
    with pytest.raises(Unfit, match="cannot be decoded"):
        made = taken(Run("run", seq=1), b"", Mark())
        assert made
        opened([forged(made, state={"id": 3})])
    assert msgspec.msgpack.decode(checkpoint._bytes.encode(checkpoint._plain(frozenset("a")))) == ["a"]
