"""The log in a SQLite file: the promises of every log, and what crashes, other processes and edits do to this one."""

import ast
import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import statecore.schema
import statecore.sqlite
import statecore.sqlitefile
import statecore.sqlitereading
from statecore.errors import (
    BadInput,
    Conflict,
    ForeignLog,
    ForkedLog,
    LogError,
    LogFailed,
    LogHeld,
    NewerLog,
    Unreadable,
)
from statecore.events import CallCompleted, Cancelled, Payload
from statecore.log import Batch, Log, sealed
from statecore.schema import SCHEMA
from statecore.sqlite import SqliteLog
from statecore.sqlitefile import Commit
from statecore.testing.conformance import EVENTS, LogConformance, erasing, feed, one, purging, turns


class TestSqliteLog(LogConformance):
    async def make(self, home: Path) -> Log:
        return await SqliteLog.open(home / "statecore.db")


class TestSqliteLogThatForgets(LogConformance):
    """The same with a cache of heads that holds next to nothing, so that each is asked for again, and tiny commits."""

    @pytest.fixture(autouse=True)
    def forgetful(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(statecore.sqlite, "HEADS", 1)
        monkeypatch.setattr(statecore.sqlite, "GROUP", 3)
        monkeypatch.setattr(statecore.sqlitereading, "PAGE", 2)
        monkeypatch.setattr(statecore.sqlitefile, "ROWS", 2)

    async def make(self, home: Path) -> Log:
        return await SqliteLog.open(home / "statecore.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "statecore.db"


@contextmanager
def child(source: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process running `source`, killed at the latest when the block ends."""
    command = [sys.executable, "-W", "error", "-c", source, *map(str, arguments)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, cwd=root) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout
    found = [process.stdout.readline().strip() for _ in range(count)]
    assert all(found), process.communicate(timeout=10)[1]
    return found


def edit(path: Path, *statements: str) -> None:
    """What somebody with the file and the sqlite3 shell could do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


async def test_memory_is_bounded_by_the_streams_in_use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many streams were appended to, no more heads and scopes than the bound are kept."""
    monkeypatch.setattr(statecore.sqlite, "HEADS", 5)
    async with await SqliteLog.open(path) as log:
        for number in range(20):
            await log.append(Batch(one(f"run-{number}", 0).appends, {f"scope-{number}": 0}))
        assert len(log._heads) == len(log._scopes) == 5


async def test_the_file_is_opened_for_safety(path: Path) -> None:
    """What a power cut and a reader of the raw file may find hangs on these settings of SQLite."""
    async with await SqliteLog.open(path) as log:
        found = [
            list(await log._connection.execute_fetchall(f"PRAGMA {name}"))[0][0]  # noqa: RUF015
            for name in ("journal_mode", "synchronous", "secure_delete")
        ]
        assert found == ["wal", 2, 1]


# Crashes

APPENDING = """
import asyncio, sys
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog
from statecore.events import Cancelled, SignalTaken, Payload

async def appender(log, name):
    version = 0
    while True:
        await log.append(Batch((
            Append(name, version, (Cancelled("a"), SignalTaken(Payload("x", b"1" * 500))), 1.0, "c", "running"),
            Append("all/" + name, version // 2, (Cancelled("b"),), 1.0),
        ), {name: version // 2}))
        version += 2
        print(name, version, flush=True)

async def main():
    async with await SqliteLog.open(sys.argv[1]) as log:
        await asyncio.gather(*[appender(log, f"run-{n}") for n in range(8)])

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 37, 400])
def test_no_acknowledged_append_is_lost_by_kill_9(path: Path, acknowledged: int) -> None:
    """After SIGKILL at any moment every acknowledged append is there, whole batches only, and the log goes on."""
    with child(APPENDING, path) as process:
        acked = lines(process, acknowledged)
        process.send_signal(signal.SIGKILL)
        acked += (process.communicate(timeout=10)[0] or "").split("\n")[:-1]

    async def check() -> None:
        async with await SqliteLog.open(path, readonly=True) as reader:
            seen = {info.name: info.version for info in await reader.streams()}
        async with await SqliteLog.open(path) as log:
            assert {info.name: info.version for info in await log.streams()} == seen
            assert await log.verify() == []
            for name in [name for name in seen if name.startswith("run-")]:
                assert seen[name] == 2 * seen[f"all/{name}"] == 2 * await log.scope(name)
                await log.append(one(name, seen[name]))
        whole = [line.split() for line in acked]
        assert len(whole) >= acknowledged
        assert all(seen[name] >= int(version) for name, version in whole)

    asyncio.run(check())


FORGETTING = """
import asyncio, gc, sys
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog
from statecore.events import Cancelled

async def main():
    log = await SqliteLog.open(sys.argv[1])
    await log.append(Batch((Append("run", 0, (Cancelled("a"),), 1.0),)))
    if sys.argv[2] == "collect":
        del log
        gc.collect()
        await asyncio.sleep(0.01)
    if sys.argv[2] == "raise":
        raise KeyError("a bug")
    if sys.argv[2] == "exit":
        sys.exit(7)

asyncio.run(main())
"""


@pytest.mark.parametrize(("ending", "code"), [("return", 0), ("collect", 0), ("raise", 1), ("exit", 7)])
def test_a_process_that_forgets_to_close_ends(path: Path, ending: str, code: int) -> None:
    """However main ends without closing, the process ends by itself, its append is kept and its lock is free."""
    with child(FORGETTING, path, ending) as process:
        assert process.wait(timeout=10) == code
        assert process.stderr and ("a bug" in (said := process.stderr.read())) == (ending == "raise"), said

    async def check() -> None:
        async with await SqliteLog.open(path) as log:
            assert len(await turns(log, "run")) == 1

    asyncio.run(check())


async def test_a_full_disk_fails_the_log_until_it_is_reopened(path: Path) -> None:
    """With no room left every append raises LogFailed and reading goes on; with room again `reopen` makes all work."""
    async with await SqliteLog.open(path) as log:
        await log.append(one("run", 0))
        await log._connection.execute_fetchall("PRAGMA max_page_count = 20")
        big = CallCompleted("a", Payload("x", b'"%b"' % (b"y" * 20_000)))
        version = 1
        with pytest.raises(LogFailed, match="unknown"):
            while True:
                await log.append(one("run", version, big))
                version += 1
        outcomes = await asyncio.gather(*[log.append(one("other", 0)) for _ in range(3)], return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LogFailed] * 3
        assert len(await turns(log, "run")) == version > 1
        await log.reopen()
        await log.append(one("run", version, big))
        assert await log.verify() == []


async def test_everything_queued_fails_with_a_failed_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in a commit undoes all of it; who waits in it or behind it, or comes later, gets LogFailed, not a
    retry.
    """
    async with await SqliteLog.open(path) as log:
        await log.append(one("run", 0))
        written = statecore.sqlitefile.Commit.statements

        def fail_once(commit: Commit) -> Iterator[tuple[str, list[Any]]]:
            monkeypatch.undo()
            yield from written(commit)
            yield "INSERT INTO nowhere VALUES (1)", []

        monkeypatch.setattr(Commit, "statements", fail_once)
        waiting = [asyncio.create_task(log.append(one(f"run-{number}", 0))) for number in range(1200)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LogFailed}
        with pytest.raises(LogFailed, match="nowhere"):
            await log.append(one("run", 1))
        await log.reopen()
        assert [info.name for info in await log.streams()] == ["run"]
        await log.append(one("run-7", 0))


async def test_closing_commits_what_is_queued(path: Path) -> None:
    """Appends that are under way when close is called are acknowledged, and are there."""
    log = await SqliteLog.open(path)
    waiting = [asyncio.create_task(log.append(one(f"run-{number}", 0))) for number in range(600)]
    await asyncio.sleep(0)
    await log.close()
    await asyncio.gather(*waiting)
    async with await SqliteLog.open(path, readonly=True) as reader:
        assert len(await reader.streams()) == 600


async def test_cancelling_waiters_leaves_no_half_of_a_batch(path: Path) -> None:
    """Batches over two streams whose callers are cancelled at many moments are there in both or in neither."""
    async with await SqliteLog.open(path) as log:
        waiting = []
        for number in range(200):
            batch = one(f"a-{number}", 0, *EVENTS).appends + one(f"b-{number}", 0).appends
            waiting.append(asyncio.create_task(log.append(Batch(batch))))
            if number % 3 == 0:
                await asyncio.sleep(0)
            waiting[number // 2].cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {tuple, asyncio.CancelledError}
        names = {info.name for info in await log.streams()}
        assert all((f"a-{n}" in names) == (f"b-{n}" in names) for n in range(200))
        assert all(f"a-{n}" in names for n in range(200) if isinstance(outcomes[n], tuple))
        assert await log.verify() == []


# Other processes

HOLDING = """
import asyncio, os, sys
from statecore.sqlite import SqliteLog
async def main():
    async with await SqliteLog.open(sys.argv[1]):
        print(os.getpid(), flush=True)
        sys.stdin.readline()
asyncio.run(main())
"""


def test_a_log_has_one_writing_process(path: Path) -> None:
    """While another process writes, opening for writing raises LogHeld with its pid; after its death it is free."""

    async def check(held_by: str) -> None:
        with pytest.raises(LogHeld, match=f"process {held_by}:"):
            await SqliteLog.open(path)
        async with await SqliteLog.open(path, readonly=True) as reader:
            assert await reader.streams() == []

    async def opens() -> None:
        async with await SqliteLog.open(path) as log:
            await log.append(one("run", 0))

    with child(HOLDING, path) as process:
        [pid] = lines(process, 1)
        asyncio.run(check(pid))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        asyncio.run(opens())


async def test_a_log_is_opened_once_in_a_process_and_under_any_name(path: Path, tmp_path: Path) -> None:
    """A second opening is refused, also through a link; closing the first makes room."""
    (tmp_path / "link.db").symlink_to(path)
    async with await SqliteLog.open(path):
        for name in (path, tmp_path / "link.db"):
            with pytest.raises(LogHeld, match=str(os.getpid())):
                await SqliteLog.open(name)
    await (await SqliteLog.open(tmp_path / "link.db")).close()


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


@contextmanager
def a_fork_that_lives_on() -> Iterator[None]:
    begun, over = os.pipe(), os.pipe()
    pid = fork()
    if pid == 0:
        os.write(begun[1], b"!")
        os.read(over[0], 1)
        os._exit(0)
    os.read(begun[0], 1)
    try:
        yield
    finally:
        os.write(over[1], b"!")
        os.waitpid(pid, 0)
        for end in begun + over:
            os.close(end)


def in_a_fork(act: Callable[[], object]) -> int:
    """The exit code of a forked child that runs `act`: 0 where it returned something true."""
    pid = fork()
    if pid == 0:
        try:
            os._exit(0 if act() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def test_a_fork_cannot_use_its_parents_log(path: Path) -> None:
    """In a forked child every use raises ForkedLog before anything is touched, and the parent goes on undisturbed."""
    async with await SqliteLog.open(path) as log:
        await log.append(one("run", 0))

        def child_is_refused() -> bool:
            for use in (log.append(one("run", 1)), log.streams(), log.follow(), log.verify(), log.reopen()):
                with pytest.raises(ForkedLog, match="fork"):
                    use.send(None)
            with pytest.raises(StopIteration):
                log.close().send(None)
            return True

        assert in_a_fork(child_is_refused) == 0
        with pytest.raises(LogHeld):
            await SqliteLog.open(path)
        await log.append(one("run", 1))
        assert await log.verify() == []


async def test_a_fork_does_not_inherit_the_lock(path: Path) -> None:
    """A child that lives on when its parent is done keeps nobody from opening the log."""
    log = await SqliteLog.open(path)
    with a_fork_that_lives_on():
        await log.close()
        await (await SqliteLog.open(path)).close()


async def test_a_reader_sees_what_is_committed_and_writes_nothing(path: Path) -> None:
    """A reader beside a living writer follows its commits; its append raises LogError; it needs no lock."""
    async with await SqliteLog.open(path) as log, await SqliteLog.open(path, readonly=True) as reader:
        for version in range(3):
            await log.append(one("run", version))
            assert await turns(reader, "run") == await turns(log, "run")
        assert await feed(reader) == await feed(log)
        assert await reader.verify() == []
        with pytest.raises(LogError, match="reading only"):
            await reader.append(one("run", 3))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader._reader.execute_fetchall("DELETE FROM turns")  # type: ignore[union-attr]


async def test_a_slow_reader_holds_no_transaction(path: Path) -> None:
    """A reader that stops in the middle of a stream does not keep the write-ahead log from being written back."""
    async with await SqliteLog.open(path) as log, await SqliteLog.open(path, readonly=True) as reader:
        for version in range(5):
            await log.append(one("run", version))
        reading = reader.read("run")
        await anext(reading)
        busy, _, _ = (await log._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)"))[0]  # type: ignore[index]
        assert busy == 0
        await reading.aclose()


# Files that are not ours


def strangers(home: Path, make: bool = True) -> dict[Path, bytes]:
    """Files that are no log of ours, made where they are to be, with their bytes; one is a directory."""
    if make:
        (home / "short.txt").write_text("hello")
        (home / "long.txt").write_text("hello" * 1000)
        edit(home / "other.db", "CREATE TABLE t(x)")
        edit(home / "marked.db", "PRAGMA application_id = 7")
        (home / "directory.db").mkdir()
    found = [path for path in sorted(home.iterdir()) if path.suffix != ".lock"]
    return {path: path.read_bytes() if path.is_file() else b"" for path in found}


async def test_what_is_no_log_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Text, another program's database and a directory raise ForeignLog for readers and writers, and do not change."""
    before = strangers(tmp_path)
    for path in before:
        for readonly in (False, True):
            with pytest.raises(ForeignLog, match=path.name):
                await SqliteLog.open(path, readonly=readonly)
    assert strangers(tmp_path, make=False) == before


async def test_a_newer_log_is_refused(path: Path) -> None:
    """A schema of a later release raises NewerLog for readers and writers, before anything is written."""
    await (await SqliteLog.open(path)).close()
    edit(path, "PRAGMA user_version = 99")
    for readonly in (False, True):
        with pytest.raises(NewerLog, match=f"schema 99, this release knows {SCHEMA}"):
            await SqliteLog.open(path, readonly=readonly)


async def test_a_place_that_cannot_be_is_bad_input(tmp_path: Path) -> None:
    """A missing directory, and a missing file for a reader, raise BadInput that says what to do; no file appears."""
    with pytest.raises(BadInput, match="create it first"):
        await SqliteLog.open(tmp_path / "none" / "statecore.db")
    with pytest.raises(BadInput, match="no log at"):
        await SqliteLog.open(tmp_path / "statecore.db", readonly=True)
    assert os.listdir(tmp_path) == []


@contextmanager
def a_place_to_read_only() -> Iterator[Path]:
    """A directory in which this process may make files until `read_only`; root, who always may, becomes nobody."""
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        try:
            yield Path(home)
        finally:
            os.seteuid(os.getuid())
            os.chmod(home, 0o755)


def read_only(home: Path) -> None:
    os.chmod(home, 0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)


async def test_a_place_that_may_not_be_written_is_only_read() -> None:
    """Where the user may not write, opening raises BadInput; a log that was closed can be read there all the same."""
    with a_place_to_read_only() as home:
        async with await SqliteLog.open(home / "statecore.db") as log:
            await log.append(one("run", 0))
        read_only(home)
        with pytest.raises(BadInput, match="for reading only"):
            await SqliteLog.open(home / "statecore.db")
        async with await SqliteLog.open(home / "statecore.db", readonly=True) as reader:
            assert len(await turns(reader, "run")) == 1
            assert await reader.verify() == []


async def test_half_a_log_is_not_taken_for_the_whole() -> None:
    """Where a write-ahead log lies beside the file but cannot be used, reading fails and does not give old turns."""
    with a_place_to_read_only() as home:
        async with await SqliteLog.open(home / "living.db") as log:
            await log.append(one("run", 0))
            for suffix in ("", "-wal"):
                shutil.copy(home / f"living.db{suffix}", home / f"copy.db{suffix}")
        read_only(home)
        with pytest.raises(LogError, match="cannot be opened"):
            await SqliteLog.open(home / "copy.db", readonly=True)


async def test_an_empty_file_becomes_a_log(path: Path) -> None:
    """A file of no bytes, as mktemp leaves it, is taken for a new log by a writer."""
    path.open("x").close()
    async with await SqliteLog.open(path) as log:
        await log.append(one("run", 0))
    assert log.home == path.parent


async def test_a_log_goes_on_after_reopening(path: Path) -> None:
    """Versions, labels, scopes, positions and the chain continue where the last process stopped; nothing is left
    beside.
    """
    for version in range(0, 12, 4):
        async with await SqliteLog.open(path) as log:
            await log.append(Batch(one("run", version, *EVENTS, label=str(version)).appends, {"s": version // 4}))
            await log.append(one("run", version + 3))
            with pytest.raises(Conflict):
                await log.append(one("run", version))
    assert {file.name for file in path.parent.iterdir()} == {"statecore.db", "statecore.db.lock"}
    async with await SqliteLog.open(path, readonly=True) as log:
        assert [(turn.version, turn.position) for turn in await turns(log, "run")] == [
            (3, 1),
            (4, 2),
            (7, 3),
            (8, 4),
            (11, 5),
            (12, 6),
        ]
        assert [info.label for info in await log.streams()] == ["8"]
        assert await log.verify() == []


# Edits

SWAP = """UPDATE turns SET events = other.events, payloads = other.payloads, salt = other.salt
FROM turns AS other WHERE turns.version + other.version = 15 AND turns.version IN (6, 9)
AND turns.stream = 1 AND other.stream = 1"""
TAMPERED = {
    "an event": (["UPDATE turns SET events = replace(events, 'me', 'you') WHERE stream = 1 AND version = 6"], {6}),
    "a payload": (
        ["UPDATE turns SET payloads = replace(payloads, 'cost', 'COST') WHERE stream = 1 AND version = 9"],
        {9},
    ),
    "a payload away": (["UPDATE turns SET payloads = NULL WHERE stream = 1 AND version = 9"], {9}),
    "a salt": (["UPDATE turns SET salt = zeroblob(16) WHERE stream = 1 AND version = 9"], {9}),
    "a time": (["UPDATE turns SET at = at + 1 WHERE stream = 1 AND version = 6"], {6}),
    "a cause": (["UPDATE turns SET cause = 'x' WHERE stream = 1 AND version = 6"], {6}),
    "a head": (["UPDATE turns SET head = zeroblob(32) WHERE stream = 1 AND version = 6"], {6, 9}),
    "two rows' contents": ([SWAP], {6, 9}),
    "an inner row gone": (["DELETE FROM turns WHERE stream = 1 AND version = 6"], {9}),
    "two inner rows gone": (["DELETE FROM turns WHERE stream = 1 AND version IN (6, 9)"], {12}),
    "the first row gone": (["DELETE FROM turns WHERE stream = 1 AND version = 3"], {6}),
    "two rows' places": (
        [f"UPDATE turns SET position = {new} WHERE position = {old}" for old, new in ((3, 99), (5, 3), (99, 5))],
        {9},
    ),
    "events that are no JSON": (["UPDATE turns SET events = '[[' WHERE stream = 1 AND version = 6"], {6}),
    "events that are no text": (
        ["UPDATE turns SET events = CAST(x'ff' AS TEXT) WHERE stream = 1 AND version = 6"],
        {6},
    ),
    "a row of another stream": (["UPDATE turns SET stream = 1, version = 15 WHERE stream = 2 AND version = 3"], {15}),
    "the stream's rows": (["DELETE FROM turns WHERE stream = 1"], {None}),
    "the stream's name": (["UPDATE streams SET name = 'walk' WHERE id = 1"], {3, 6, 9, 12}),
}


@pytest.mark.parametrize("name", TAMPERED)
async def test_an_edit_is_found_and_named(path: Path, name: str) -> None:
    """Whatever is edited, swapped or deleted inside, verify names the stream and the versions where it shows, no
    others.
    """
    async with await SqliteLog.open(path) as log:
        for version in range(0, 12, 3):
            completed = EVENTS if version in (0, 6) else (Cancelled("me"), Cancelled("me"), Cancelled("me"))
            await log.append(one("run", version, *completed))
            await log.append(one("other", version, *EVENTS))
    statements, versions = TAMPERED[name]
    edit(path, *statements)
    async with await SqliteLog.open(path, readonly=True) as log:
        flaws = [flaw for flaw in await log.verify() if flaw.stream != "other"]
        assert {flaw.version for flaw in flaws} == versions
        assert {flaw.stream for flaw in flaws} <= {"run", "walk"}
        assert any("rows are missing" in flaw.what for flaw in flaws) == name.endswith("gone")
        if name not in ("the stream's name", "the stream's rows"):
            assert await log.verify("run") == flaws
            assert await log.verify("other") == [] or name == "a row of another stream" or name == "two rows' places"


async def test_one_unreadable_turn_stops_only_its_stream(path: Path) -> None:
    """A row of a later release parks its stream with the reason; the others, the feed and later appends go on."""
    async with await SqliteLog.open(path) as log:
        for version in range(3):
            await log.append(one("run", version))
            await log.append(one("other", version))
        edit(path, """UPDATE turns SET events = '[["Exploded",1,{}]]' WHERE stream = 1 AND version = 2""")
        with pytest.raises(Unreadable, match="Exploded") as caught:
            await turns(log, "run")
        assert (caught.value.stream, caught.value.version) == ("run", 2)
        assert len(await turns(log, "other")) == 3
        assert [(turn.stream, bool(turn.unreadable)) for turn in await feed(log)][2] == ("run", True)
        assert sum(bool(turn.unreadable) for turn in await feed(log)) == 1
        await log.append(one("other", 3))
        assert {flaw.what for flaw in await log.verify()} >= {
            "cannot be decoded: 'Exploded' is no event that this release knows: use the release that wrote it"
        }


async def test_a_damaged_file_is_a_flaw_and_a_log_error(path: Path) -> None:
    """Pages overwritten with zeros are reported by verify, and reading them raises LogError; neither ends otherwise."""
    async with await SqliteLog.open(path) as log:
        for version in range(0, 600, 3):
            await log.append(one("run", version, *EVENTS))
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(bytes(20 * 4096))
    async with await SqliteLog.open(path, readonly=True) as log:
        assert any("malformed" in flaw.what or "SQLite" in flaw.what for flaw in await log.verify())
        with pytest.raises(LogError):
            await turns(log, "run")


async def test_payloads_that_nobody_says_to_have_erased_are_a_flaw(path: Path) -> None:
    """Who takes payloads out and leaves their digest in place of them is found: nothing in the stream says so."""
    async with await SqliteLog.open(path) as log:
        await log.append(one("run", 0, *EVENTS))
        await log.append(one("run", 3))
    with closing(sqlite3.connect(path)) as database:
        [(salt, payloads)] = database.execute(
            "SELECT salt, CAST(payloads AS BLOB) FROM turns WHERE payloads IS NOT NULL"
        )
        digest = sealed(salt, payloads)
        database.execute("UPDATE turns SET payloads = NULL, salt = NULL, digest = ? WHERE version = 3", (digest,))
        database.commit()
    async with await SqliteLog.open(path) as log:
        assert [(flaw.version, "nothing says who erased them" in flaw.what) for flaw in await log.verify()] == [
            (3, True)
        ]
        await log.append(erasing("run", 4))
        assert await log.verify() == []


def bytes_beside(path: Path) -> bytes:
    """All that is in the file, and in what SQLite keeps beside it."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir() if file.name.startswith(path.name))


@pytest.mark.parametrize("large", [False, True])
async def test_after_a_vacuum_no_byte_of_what_was_taken_out_is_left(path: Path, large: bool) -> None:
    """What was erased or purged is found nowhere: not in the file, not in its write-ahead log; the rest is there."""

    def payload(mark: str) -> CallCompleted:
        return CallCompleted("a", Payload("x", b'"%b"' % (mark.encode() * (10_000 if large else 40))))

    async with await SqliteLog.open(path) as log:
        for version in range(60):
            for name in ("erased", "purged", "kept"):
                await log.append(one(name, version, payload(f"SECRET-{name}-{version}.")))
        assert all(f"SECRET-{name}".encode() in bytes_beside(path) for name in ("erased", "purged", "kept"))
        await log.append(erasing("erased", 60))
        await log.append(purging(purged=60))
        await log.vacuum()
        left = bytes_beside(path)
        assert [f"SECRET-{name}".encode() in left for name in ("erased", "purged", "kept")] == [False, False, True]
        assert await log.verify() == []
        await log.append(one("kept", 60))


async def test_a_vacuum_without_room_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk has no room for a second copy, LogError says so before anything is tried, and the log goes on."""
    async with await SqliteLog.open(path) as log:
        await log.append(one("run", 0))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))  # type: ignore[attr-defined]
        with pytest.raises(LogError, match="needs twice that"):
            await log.vacuum()
        await log.append(one("run", 1))


async def test_a_reader_that_keeps_old_pages_in_use_is_reported(path: Path) -> None:
    """A vacuum that a reading transaction keeps from emptying the write-ahead log raises LogError; the log goes on."""
    async with await SqliteLog.open(path) as log:
        await log.append(one("run", 0, *EVENTS))
        await log._connection.execute_fetchall("PRAGMA busy_timeout = 50")
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM turns").fetchone()
            with pytest.raises(LogError, match="is being read"):
                await log.vacuum()
            await log.append(one("run", 3))
            reader.execute("COMMIT")
        await log.vacuum()
        assert await log.verify() == []


def test_no_value_is_written_into_sql() -> None:
    """No f-string, % or format builds a statement: values reach SQLite as parameters only."""
    for module in (statecore.sqlite, statecore.sqlitefile, statecore.sqlitereading, statecore.schema):
        for call in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr.startswith("execute")
            ):
                statement = call.args[0].value if isinstance(call.args[0], ast.Starred) else call.args[0]
                assert isinstance(statement, (ast.Constant, ast.Name)), ast.unparse(call)
