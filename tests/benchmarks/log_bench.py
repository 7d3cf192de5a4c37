"""What a durable turn costs: SqliteLog beside bare sqlite3 that writes the same bytes to the same schema under the same
settings.

    python -m tests.benchmarks.log_bench [--streams 1000] [--turns 10] [--single 2000]

Ratios travel between machines, figures do not. Targets: one append at a time at most 2x a bare one-row commit; a
thousand appenders at least a third of bare group commit.
"""

import argparse
import asyncio
import cProfile
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from statecore.events import CallCompleted, CallStarted, Event, Moved, Payload
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog

GROUP = 1000
TURN: tuple[Event, ...] = (
    CallCompleted("drafting#1", Payload("Draft@1", b'{"subject":"Re: invoice","body":"%b"}' % (b"x" * 164))),
    Moved(("drafted",), ("reviewing",), ("drafting",), ("reviewing",), (("confident", True),)),
    CallStarted("reviewing#1", "critic@1", effect="pure", reads=(2,)),
)


def batch(stream: str, turn: int) -> Batch:
    return Batch((Append(stream, turn * len(TURN), TURN, 1.7e9 + turn, "Completed[Draft] drafting#1", "running"),))


async def one_at_a_time(path: Path, count: int) -> float:
    """Median seconds of an append to a stream that has begun."""
    took = []
    async with await SqliteLog.open(path) as log:
        await log.append(batch("run-0", 0))
        for turn in range(1, count):
            begun = time.perf_counter()
            await log.append(batch("run-0", turn))
            took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def many_at_once(path: Path, streams: int, turns: int, profile: cProfile.Profile | None) -> float:
    """Turns per second of `streams` appenders, each of which waits for its append before the next."""

    async def appender(log: SqliteLog, stream: str) -> None:
        for turn in range(turns):
            await log.append(batch(stream, turn))

    async with await SqliteLog.open(path) as log:
        begun = time.perf_counter()
        if profile:
            profile.enable()
        async with asyncio.TaskGroup() as group:
            for number in range(streams):
                group.create_task(appender(log, f"run-{number}"))
        if profile:
            profile.disable()
        return streams * turns / (time.perf_counter() - begun)


def bare(source: Path, target: Path) -> tuple[sqlite3.Connection, list[tuple[object, ...]]]:
    """An empty database with the schema of `source`, under the log's settings, and the rows of `source`."""
    with sqlite3.connect(source) as log:
        schema = [sql for (sql,) in log.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
        rows = log.execute("SELECT * FROM turns ORDER BY position").fetchall()
    log.close()
    database = sqlite3.connect(target, isolation_level=None)
    for sql in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *schema):
        database.execute(sql)
    return database, rows


INSERT = "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def bare_one_at_a_time(source: Path, target: Path) -> float:
    database, rows = bare(source, target)
    took = []
    for row in rows:
        begun = time.perf_counter()
        database.execute(INSERT, row)
        took.append(time.perf_counter() - begun)
    database.close()
    return statistics.median(took)


def bare_groups(source: Path, target: Path) -> float:
    database, rows = bare(source, target)
    begun = time.perf_counter()
    for start in range(0, len(rows), GROUP):
        database.execute("BEGIN IMMEDIATE")
        database.executemany(INSERT, rows[start : start + GROUP])
        database.execute("COMMIT")
    took = time.perf_counter() - begun
    database.close()
    return len(rows) / took


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--streams", type=int, default=1000)
    arguments.add_argument("--turns", type=int, default=10)
    arguments.add_argument("--single", type=int, default=2000)
    arguments.add_argument(
        "--profile", action="store_true", help="of the event loop's thread, with a thousand appenders"
    )
    given = arguments.parse_args()
    profile = cProfile.Profile() if given.profile else None
    with tempfile.TemporaryDirectory(dir=".") as directory:
        home = Path(directory)
        single = asyncio.run(one_at_a_time(home / "single.db", given.single))
        bare_single = bare_one_at_a_time(home / "single.db", home / "bare-single.db")
        many = asyncio.run(many_at_once(home / "many.db", given.streams, given.turns, profile))
        bare_many = bare_groups(home / "many.db", home / "bare-many.db")
        size = (home / "many.db").stat().st_size / (given.streams * given.turns)
    ratio = single / bare_single
    print(f"one at a time   bare {bare_single * 1e6:8,.0f} us   log {single * 1e6:8,.0f} us   ratio {ratio:.2f}")
    print(f"many at once    bare {bare_many:8,.0f} /s   log {many:8,.0f} /s   ratio {many / bare_many:.2f}")
    print(f"on disk         {size:,.0f} bytes a turn of {len(TURN)} events with one payload of 200 bytes")
    if profile:
        profile.print_stats("tottime")


if __name__ == "__main__":
    main()
