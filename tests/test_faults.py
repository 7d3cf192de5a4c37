"""Disks that are full, fail or lie, files that were damaged, clocks that jump and readers that are slow."""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import statecore.tasks
from statecore import Call
from statecore.engine import Engine
from statecore.errors import LogError, LogFailed
from statecore.events import CallCompleted, Payload
from statecore.log import Log, MemoryLog
from statecore.replay import rebuild
from statecore.sqlite import SqliteLog
from statecore.testing import run_virtual
from statecore.testing.conformance import EVENTS, feed, one, turns
from tests.crew import Bill, Crew, Jammed, Job, Nudge, Piece, line, twin
from tests.playground import Paying, Quick
from tests.test_sqlite import child

BIG = CallCompleted("a", Payload("x", b'"%b"' % (b"y" * 20_000)))
GOOD: dict[str, Any] = {"sell": [Bill(1.0)]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "statecore.db"


# A full disk


async def filled(log: SqliteLog) -> int:
    """Append until the disk is full; the version that was acknowledged last."""
    version = 0
    with pytest.raises(LogFailed, match="unknown"):
        while version < 2000:
            await log.append(one("run", version, BIG))
            version += 1
    return version


async def goes_on(log: SqliteLog, version: int) -> None:
    """Reading went on, nothing acknowledged is lost, and with room again the log takes more."""
    assert len(await turns(log, "run")) in (version, version + 1)
    with pytest.raises(LogFailed):
        await log.append(one("other", 0))


async def recovered(log: SqliteLog, version: int) -> None:
    await log.reopen()
    found = len(await turns(log, "run"))
    assert found in (version, version + 1)
    await log.append(one("run", found, BIG))
    assert await log.verify() == []


async def test_a_database_at_its_greatest_size(path: Path) -> None:
    """SQLITE_FULL: the log fails and reads on; with room again `reopen` makes all work."""
    async with await SqliteLog.open(path) as log:
        await log._connection.execute_fetchall("PRAGMA max_page_count = 40")
        version = await filled(log)
        await goes_on(log, version)
        await recovered(log, version)


async def test_a_file_that_may_not_grow(path: Path) -> None:
    """An I/O error: the limit of the process on the size of files fails the log until it is lifted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with await SqliteLog.open(path) as log:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
            version = await filled(log)
            await goes_on(log, version)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        await recovered(log, version)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two MiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"this user may mount nothing: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_disk_without_room(small_disk: Path) -> None:
    """ENOSPC: the log fails when the disk is full, and goes on once something else was deleted from it."""
    (small_disk / "other").write_bytes(bytes(1_200_000))
    async with await SqliteLog.open(small_disk / "statecore.db") as log:
        version = await filled(log)
        await goes_on(log, version)
        (small_disk / "other").unlink()
        await recovered(log, version)


async def test_nothing_is_dispatched_while_the_log_cannot_grow(path: Path) -> None:
    """A run whose call cannot be recorded does not make it; opened with room, it is taken up from the log."""
    crew = Crew()
    workflow = line(crew, **GOOD)
    async with Engine(await SqliteLog.open(path), [workflow]) as engine:
        assert isinstance(engine.log, SqliteLog)
        await engine.run(workflow, Job("a"), run="first")
        await engine.log._connection.execute_fetchall("PRAGMA max_page_count = 1")
        before = dict(crew.asked)
        with pytest.raises(LogFailed):
            await engine.run(workflow, Job("b" * 100_000), run="second")
        assert {name: len(calls) for name, calls in crew.asked.items()} == {n: len(c) for n, c in before.items()}
    async with Engine(await SqliteLog.open(path), [workflow]) as engine:
        assert (await engine.run(workflow, Job("b" * 100_000), run="second")).condition == "completed"


# A disk that fails

STRIDE = int(os.environ.get("STATECORE_FAULT_STRIDE", "11"))
"""Of every so many places one is tried here; 1 tries them all."""

APPENDING = """
import asyncio, sys
from statecore.errors import LogError
from statecore.events import Cancelled, SignalTaken, Payload
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog

async def main():
    async with await SqliteLog.open(sys.argv[1]) as log:
        print("open", flush=True)
        for version in range(0, 12, 2):
            events = Cancelled("a"), SignalTaken(Payload("x", b"1" * 3000))
            await log.append(Batch((Append("run", version, events, 1.0), Append(f"new-{version}", 0, events, 1.0))))
            print(version + 2, flush=True)

try:
    asyncio.run(main())
except LogError as fault:
    print(type(fault).__name__, flush=True)
    sys.exit(3)
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("failing writes are made by a preloaded library, which needs Linux and a C compiler")
    made = tmp_path_factory.mktemp("shim") / "iofault.so"
    source = Path(__file__).parent / "iofault.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


def appended(shim: Path, path: Path, monkeypatch: pytest.MonkeyPatch, **faults: str) -> tuple[int, list[str]]:
    with monkeypatch.context() as faulty:
        for name, value in {"LD_PRELOAD": str(shim), "FAULT_PATH": str(path), **faults}.items():
            faulty.setenv(name, value)
        with child(APPENDING, path) as process:
            out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 3), err
    return process.returncode, out.split()


async def whole(path: Path, acked: list[str]) -> None:
    """What INV asks of the file: it is sound, the chain holds, batches are whole, and nothing acknowledged is gone."""
    async with await SqliteLog.open(path) as log:
        assert await log.verify() == []
        infos = {info.name: info.version for info in await log.streams()}
        version = infos.pop("run", 0)
        assert infos == {f"new-{number}": 2 for number in range(0, version, 2)}
        assert version >= max((int(word) for word in acked if word.isdigit()), default=0)
        assert version <= max((int(word) for word in acked if word.isdigit()), default=0) + 2
        await log.append(one("run", version))


@pytest.mark.parametrize("ever", [False, True])
@pytest.mark.parametrize("errno", [5, 28], ids=["EIO", "ENOSPC"])
def test_a_write_that_fails_loses_nothing_acknowledged(
    shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ever: bool, errno: int
) -> None:
    """Whichever write, sync or truncation fails, once or from then on, the process says LogFailed or opens
    nothing; the file is sound, batches are whole, and what was acknowledged is there.
    """
    counted = tmp_path / "count"
    code, words = appended(shim, tmp_path / "whole.db", monkeypatch, FAULT_COUNT=str(counted))
    assert code == 0 and words[-1] == "12"
    count = int(counted.read_text())
    assert count > 20
    sample = [at for at in range(1, count + 1) if at % STRIDE == (2 * ever + (errno == 28)) % STRIDE]
    seen = set()
    for at in sample:
        path = tmp_path / f"{at}.db"
        sticky = {"FAULT_EVER": "1"} if ever else {}
        code, words = appended(shim, path, monkeypatch, FAULT_AT=str(at), FAULT_ERRNO=str(errno), **sticky)
        assert code == 0 or words[-1] in ("LogFailed", "LogError"), (at, words)
        seen.add(words[-1])
        asyncio.run(whole(path, words))
    assert "LogFailed" in seen


# Files that were damaged


@pytest.fixture
async def living(path: Path, tmp_path: Path) -> Path:
    """A log as a killed process leaves it: some turns in the file, and newer ones in the write-ahead log only."""
    async with await SqliteLog.open(path) as log:
        for version in range(0, 90, 3):
            await log.append(one("run", version, *EVENTS, label="running"))
        await log._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        for version in range(90, 120, 3):
            await log.append(one("run", version, *EVENTS))
        copy = tmp_path / "copy.db"
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    return copy


async def prefix(path: Path) -> int:
    """How many events are there. They are a prefix of what was, and the file is sound, or an error is raised."""
    async with await SqliteLog.open(path) as log:
        assert await log.verify() == []
        found = await turns(log, "run")
        assert [turn.version for turn in found] == list(range(3, 3 * len(found) + 3, 3))
        assert all(turn.events == EVENTS for turn in found)
        return 3 * len(found)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.6, 0.99])
async def test_a_torn_or_truncated_write_ahead_log_is_a_cut_tail(living: Path, share: float) -> None:
    """Of a write-ahead log whose end is missing, or was never written, whole commits from the first on stay."""
    for zeros in (False, True):
        torn = living.with_name(f"torn-{zeros}.db")
        shutil.copy(living, torn)
        shutil.copy(f"{living}-wal", f"{torn}-wal")
        size = os.stat(f"{torn}-wal").st_size
        os.truncate(f"{torn}-wal", int(size * share))
        os.truncate(f"{torn}-wal", size if zeros else int(size * share))
        assert 90 <= await prefix(torn) <= 120


async def test_a_deleted_write_ahead_log_is_a_cut_tail(living: Path) -> None:
    """What only the write-ahead log had is gone with it, the rest is whole: an anchor elsewhere tells."""
    Path(f"{living}-wal").unlink()  # noqa: ASYNC240
    assert await prefix(living) == 90


def damaged(path: Path, seed: int) -> None:
    """A page of zeros for odd seeds, a flipped bit for even ones."""
    text = bytearray(path.read_bytes())
    page = seed % (len(text) // 4096)
    if seed % 2:
        text[page * 4096 : (page + 1) * 4096] = bytes(4096)
    else:
        text[page * 4096 + (seed * 997) % 4096] ^= 1 << seed % 8
    path.write_bytes(text)


@pytest.mark.parametrize("seed", range(24))
async def test_a_damaged_page_is_found_and_no_event_is_lost_in_silence(living: Path, seed: int) -> None:
    """A page of zeros or a flipped bit is found by `verify`, or it changed nothing that is read; it never makes
    fewer or other events without a word.
    """
    async with await SqliteLog.open(living) as log:
        before = await feed(log)
    damaged(living, seed)
    try:
        async with await SqliteLog.open(living, readonly=True) as log:
            if not await log.verify():
                assert await feed(log) == before
                assert await turns(log, "run") == [turn for turn in before if turn.stream == "run"]
    except LogError:
        pass


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE turns SET events = replace(events, 'drafted', 'drafteD') WHERE version = 30",
        "UPDATE turns SET events = substr(events, 2) WHERE version = 30",
        "UPDATE turns SET payloads = replace(payloads, 'Draft@1', 'Draft') WHERE version = 30",
        "UPDATE asides SET data = '\"other\"'",
        "DELETE FROM asides",
    ],
)
async def test_a_damaged_row_parks_its_run_and_no_other(path: Path, damage: str) -> None:
    """`verify` names the row; other runs are read, begun and finished, whatever is wrong with this one."""
    large = CallCompleted("a", Payload("Draft", b'"%b"' % (b"x" * 100_000)))
    workflow = line(Crew(), **GOOD)
    async with Engine(await SqliteLog.open(path), [workflow]) as engine:
        await engine.run(workflow, Job("a"), run="before")
        for version in range(0, 33, 3):
            await engine.log.append(one("run", version, *EVENTS, label="running"))
        await engine.log.append(one("run", 33, large))
    with closing(sqlite3.connect(path)) as database:
        database.execute(damage)
        database.commit()
    async with Engine(await SqliteLog.open(path), [workflow]) as engine:
        assert {flaw.stream for flaw in await engine.log.verify()} == {"run"}
        assert await engine.resume() == ["run"]
        assert engine.parked("run")
        assert (await engine.run(workflow, Job("a"), run="after")).condition == "completed"
        assert (await rebuild(engine.log, "before")).condition == "completed"


# Whoever goes away, is slow, or has another clock


@pytest.mark.parametrize("act", ["append", "read", "read_many", "follow", "streams", "verify", "restore", "vacuum"])
async def test_whoever_uses_the_log_may_go_away_at_any_moment(path: Path, act: str) -> None:
    """The task is cancelled at its first, second ... await until it comes through: the log is whole and in no
    transaction, takes the next append at once, and a restored stream is there wholly or not at all.
    """
    other = MemoryLog()
    for version in range(0, 9, 3):
        await other.append(one("restored", version, *EVENTS))
    rows = [row async for row in other.rows()]

    async def listed(found: Any) -> Any:
        return [turn async for turn in found]

    acts: dict[str, Callable[[SqliteLog], Any]] = {
        "append": lambda log: log.append(one("run", 3, *EVENTS)),
        "read": lambda log: listed(log.read("run")),
        "read_many": lambda log: listed(log.read_many(["run", "other"])),
        "follow": lambda log: log.follow(),
        "streams": lambda log: log.streams(),
        "verify": lambda log: log.verify(),
        "restore": lambda log: log.restore(rows, {}),
        "vacuum": lambda log: log.vacuum(),
    }
    through, steps = False, 0
    while not through:
        home = path.with_name(f"{steps}.db")
        async with await SqliteLog.open(home) as log:
            await log.append(one("run", 0, *EVENTS))
            task = asyncio.create_task(acts[act](log))
            for _ in range(steps):
                await asyncio.sleep(0 if steps < 6 else 0.001)
            through = task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await log.append(one("other", 0))
            assert not log._connection.in_transaction
            assert len(await turns(log, "restored")) in (0, 3)
            assert [turn.version for turn in await turns(log, "run")] in ([3], [3, 6])
            assert await log.verify() == []
        steps += 1
    assert steps > 1


async def test_a_feed_reader_that_does_not_come_back_holds_nothing(path: Path) -> None:
    """Beside a reader that stopped half-way the write-ahead log stays small, and its next page is the next."""
    async with await SqliteLog.open(path) as log, await SqliteLog.open(path, readonly=True) as reader:
        for version in range(60):
            await log.append(one("run", version, BIG))
        page, cursor = await reader.follow("", 5)
        stopped = reader.read("run")
        await anext(stopped)
        for version in range(60, 700):
            await log.append(one("run", version, BIG))
        assert Path(f"{path}-wal").stat().st_size < 8 * 1024 * 1024 < path.stat().st_size  # noqa: ASYNC240
        assert (await reader.follow(cursor, 1))[0][0].position == page[-1].position + 1
        await stopped.aclose()


async def test_a_page_of_the_feed_is_bounded_in_bytes(path: Path) -> None:
    """However many large payloads wait, a page ends before it outgrows the memory, and no turn is missed."""
    large = CallCompleted("a", Payload("x", b'"%b"' % (b"y" * 8_000_000)))
    async with await SqliteLog.open(path) as log:
        for version in range(8):
            await log.append(one("run", version, large))
        page, cursor = await log.follow("")
        assert 4 <= len(page) < 8
        rest, _ = await log.follow(cursor)
        assert [turn.version for turn in page + rest] == list(range(1, 9))


@pytest.mark.parametrize("jump", [-3600.0, 10 * 365.25 * 86_400])
async def test_a_clock_that_jumps_changes_no_order(path: Path, jump: float) -> None:
    """Times in the log may go back or leap, versions and positions do not, and everything verifies."""

    class Jumping:
        at = 1_800_000_000.0

        def now(self) -> float:
            Jumping.at += jump if int(Jumping.at) % 3 == 0 else 1.0
            return Jumping.at

    workflow = line(Crew(), **GOOD)
    log: Log = await SqliteLog.open(path)
    async with Engine(log, [workflow], clock=Jumping()) as engine:
        async with asyncio.timeout(20):
            assert (await engine.run(workflow, Job("a"), run="run")).condition == "completed"
        found = await turns(log, "run")
        assert [turn.version for turn in found] == sorted({turn.version for turn in found})
        assert [turn.position for turn in found] == sorted({turn.position for turn in found})
        assert await log.verify() == []


@pytest.mark.parametrize("jump", [-3600.0, 10 * 365.25 * 86_400])
@pytest.mark.parametrize("restart", [False, True])
def test_a_clock_that_jumps_neither_cuts_a_wait_short_nor_draws_it_out(jump: float, restart: bool) -> None:
    """While one region waits for its next attempt, the clock jumps and the other region takes a turn. Where
    another process goes on, the clock says what is left, and at most the whole wait is.
    """

    class Jumping:
        by = 0.0

        def now(self) -> float:
            return 1_800_000_000.0 + self.by + asyncio.get_running_loop().time()

    clock, asked = Jumping(), list[float]()

    def pull(request: Job, call: Call) -> Piece:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) == 1:
            raise Jammed("wait")
        return Piece()

    async def fetch(request: Job, call: Call) -> Piece:
        if restart and not call.cuts:
            await asyncio.Event().wait()
        await asyncio.sleep(0.1)
        clock.by = jump
        return Piece()

    workflow = twin(Crew(), left=[pull], first=[fetch], right=[Piece()])

    async def main() -> None:
        log = MemoryLog()
        engine = Engine(log, [workflow], clock=clock)
        await engine.start(workflow, Job(), run="r")
        await engine.signal("r", Nudge())
        await asyncio.sleep(0.01)
        if restart:
            await engine.close()
            log._closed, clock.by = False, jump
            engine = Engine(log, [workflow], clock=clock)
            await engine.resume()
        assert (await engine.wait("r")).outcome == "completed"
        await engine.close()

    run_virtual(main())
    waited = asked[1] - asked[0]
    assert (0.5 if not restart else 0.0) <= waited <= 1.0 + 2 * statecore.tasks.GRACE, f"waited {waited} s"


# Whoever holds the file, and whoever ends


@contextmanager
def held_by_another(path: Path) -> Iterator[sqlite3.Connection]:
    """A second connection that goes round our lock and is in the middle of a write."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        if other.in_transaction:
            other.execute("ROLLBACK")


async def test_a_writer_that_goes_round_the_lock_is_waited_for(path: Path) -> None:
    """SQLITE_BUSY: an append waits until the other is done; no call fails by it and no attempt is used up."""
    crew = Crew()
    workflow = line(crew, **GOOD)
    async with Engine(await SqliteLog.open(path), [workflow]) as engine:
        with held_by_another(path) as other:
            running = asyncio.create_task(engine.run(workflow, Job("a"), run="run"))
            await asyncio.sleep(0.2)
            assert not running.done() and crew.count("cut") == 0
            other.execute("ROLLBACK")
            assert (await running).condition == "completed"
        assert [call.attempt for calls in crew.asked.values() for call in calls] == [1, 1, 1]
        assert await engine.log.verify() == []


async def test_a_writer_that_never_ends_fails_the_log_and_no_call(path: Path) -> None:
    """After a bounded wait the log fails, whoever waits is told, nothing was called, and with the file free
    again all goes on from the log.
    """
    crew = Crew()
    workflow = line(crew, **GOOD)
    async with Engine(await SqliteLog.open(path), [workflow]) as engine:
        assert isinstance(engine.log, SqliteLog)
        [(default,)] = await engine.log._connection.execute_fetchall("PRAGMA busy_timeout")
        assert 0 < default <= 10_000
        await engine.log._connection.execute_fetchall("PRAGMA busy_timeout = 50")
        with held_by_another(path):
            with pytest.raises(LogFailed, match="locked"):
                await engine.run(workflow, Job("a"), run="run")
            assert crew.asked == {}
    async with Engine(await SqliteLog.open(path), [workflow]) as engine:
        assert (await engine.run(workflow, Job("a"), run="run")).condition == "completed"
        assert await engine.log.verify() == []


BUSY = """
import asyncio, sys, time
from statecore import Engine
from statecore.sqlite import SqliteLog
from tests.playground import Errand, Paying, Quick

async def main(path, ending):
    engine = Engine(await SqliteLog.open(path))
    for number in range(20):
        await engine.start(Quick, Errand(3600), run=f"slow {number}")
        await engine.start(Paying, Errand(), run=f"paying {number}")
    while sum(bool(held.run.calls.get("paying#1")) for held in engine._core.runs.held.values()) < 20:
        await asyncio.sleep(0.01)
    print("busy", flush=True)
    if ending == "raise":
        raise KeyError("a bug")
    if ending == "exit":
        sys.exit(7)
    if ending == "closed":
        async with engine:
            await asyncio.sleep(3600)
    await asyncio.sleep(0 if ending == "return" else 3600)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("ending", "number", "codes"),
    [
        ("return", 0, {0}),
        ("raise", 0, {1}),
        ("exit", 0, {7}),
        ("wait", signal.SIGINT, {1, 130, -signal.SIGINT}),
        ("closed", signal.SIGINT, {1, 130, -signal.SIGINT}),
        ("wait", signal.SIGTERM, {-signal.SIGTERM}),
    ],
)
def test_a_busy_program_ends_at_once_however_it_ends(path: Path, ending: str, number: int, codes: set[int]) -> None:
    """With forty calls in flight, closed or not: the process is gone within five seconds, and the next one
    takes everything up; what may have been paid is parked, and nothing is paid twice.
    """
    with child(BUSY, path, ending) as process:
        assert process.stdout and process.stdout.readline() == "busy\n"
        if number:
            process.send_signal(number)
        assert process.wait(timeout=5) in codes, process.stderr and process.stderr.read()
    paid = (path.parent / "paid").read_text().split()

    async def taken_up() -> None:
        async with Engine(await SqliteLog.open(path), [Quick, Paying]) as engine:
            names = await engine.resume()
            assert len(names) == 40 and await engine.log.verify() == []
            for name in names:
                expected = "parked" if name.startswith("paying") else "running"
                assert (await engine.state(name)).condition == expected
                if expected == "running":
                    await engine.cancel(name, by="the test", why="enough")

    asyncio.run(taken_up())
    assert (path.parent / "paid").read_text().split() == paid and len(paid) == len(set(paid)) == 20
