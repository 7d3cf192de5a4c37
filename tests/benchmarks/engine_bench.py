"""What the engine costs on top of its log: durable steps, rebuilding, bytes, import time.

    python -m tests.benchmarks.engine_bench [--runs 1000] [--steps 10] [--long 10000]

A step is one call of a trivial async specialist with a typed payload of 200 bytes: its outcome is judged, decided
about, appended with synchronous=FULL and the next call started. Ratios are to bare sqlite3 that writes the same rows
under the same settings in the same minute; they travel between machines, figures do not.
"""

import argparse
import asyncio
import cProfile
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs

from statecore import Completed, Engine, Failed, Newest, State, Workflow, any_state, rebuild, specialist
from statecore.sqlite import SqliteLog
from tests.benchmarks.log_bench import bare_groups, bare_one_at_a_time


@attrs.frozen
class Work:
    text: str
    done: int
    of: int


@specialist("work", version="1", effect="pure")
async def work(piece: Work) -> Work:
    return Work(piece.text, piece.done + 1, piece.of)


def newest(piece: Newest[Work]) -> Work:
    return piece


def unfinished(piece: Work) -> bool:
    return piece.done < piece.of


class Chain(Workflow[Work], version="1"):
    """The same specialist again and again."""

    working = State(work, give=newest, initial=True)
    done = State(final=True)
    lost = State(final=True, outcome="failed")

    again = working.to(working, on=Completed[Work], cond=unfinished, at_most=1_000_000)
    enough = working.to(done, on=Completed[Work])
    gave_up = any_state.to(lost, on=Failed)


def piece(steps: int) -> Work:
    return Work("x" * 165, 0, steps)


async def one_at_a_time(path: Path, steps: int) -> float:
    """Median seconds of a step, in one run after the other."""
    async with Engine(await SqliteLog.open(path), [Chain]) as engine:
        took = []
        for _ in range(50):
            begun = time.perf_counter()
            await engine.run(Chain, piece(steps))
            took.append((time.perf_counter() - begun) / (steps + 1))
    return statistics.median(took)


async def many_at_once(path: Path, runs: int, steps: int, profile: cProfile.Profile | None) -> float:
    """Durable steps per second with `runs` runs in flight."""
    async with Engine(await SqliteLog.open(path), [Chain]) as engine:
        begun = time.perf_counter()
        if profile:
            profile.enable()
        ended = await asyncio.gather(*(engine.run(Chain, piece(steps)) for _ in range(runs)))
        if profile:
            profile.disable()
        took = time.perf_counter() - begun
    assert all(run.condition == "completed" for run in ended)
    return runs * steps / took


async def long_run(path: Path, steps: int) -> tuple[float, float, float]:
    """Of one run of many steps: seconds of its first and of its last thousand, and to rebuild it from disk."""
    async with Engine(await SqliteLog.open(path), [Chain]) as engine:
        run = await engine.start(Chain, piece(steps))
        ended = await engine.wait(run)
        times = [turn.at async for turn in engine.log.read(run)]
    async with await SqliteLog.open(path, readonly=True) as log:
        begun = time.perf_counter()
        assert (await rebuild(log, run)).seq == ended.seq
        took = time.perf_counter() - begun
    part = max(1, min(1000, steps // 4))
    return times[part] - times[0], times[-1] - times[-1 - part], took


def import_time() -> float:
    """Median seconds that `import statecore` adds to a bare interpreter."""
    script = "import time; t = time.perf_counter(); import statecore; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(7)
    ]
    return statistics.median(map(float, runs))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=1000)
    arguments.add_argument("--steps", type=int, default=10)
    arguments.add_argument("--long", type=int, default=10_000)
    arguments.add_argument("--profile", action="store_true", help="of the event loop's thread, with all runs in flight")
    given = arguments.parse_args()
    profile = cProfile.Profile() if given.profile else None
    with tempfile.TemporaryDirectory(dir=".") as directory:
        home = Path(directory)
        single = asyncio.run(one_at_a_time(home / "single.db", given.steps))
        bare_single = bare_one_at_a_time(home / "single.db", home / "bare-single.db")
        many = asyncio.run(many_at_once(home / "many.db", given.runs, given.steps, profile))
        bare_many = bare_groups(home / "many.db", home / "bare-many.db")
        size = (home / "many.db").stat().st_size / (given.runs * (given.steps + 1))
        first, last, again = asyncio.run(long_run(home / "long.db", given.long))
    ratio = single / bare_single
    print(f"one run at a time    bare {bare_single * 1e6:8,.0f} us   step {single * 1e6:8,.0f} us   ratio {ratio:.2f}")
    print(
        f"{given.runs:,} in flight      bare {bare_many:8,.0f} /s   steps {many:8,.0f} /s   ratio"
        f" {many / bare_many:.2f}"
    )
    print(
        f"{given.long:,} step run     rebuilt from disk in {again:.2f} s; last thousand steps take {last / first:.2f}"
        " of the first"
    )
    print(f"on disk              {size:,.0f} bytes a step")
    print(f"import statecore     {import_time() * 1e3:,.0f} ms")
    if profile:
        profile.print_stats("cumtime")


if __name__ == "__main__":
    main()
