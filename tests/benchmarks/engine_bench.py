"""What the engine costs on top of its log: durable steps, rebuilding, resuming, bytes, import time.

    python -m tests.benchmarks.engine_bench [--runs 1000] [--steps 10] [--long 10000]

A step is one call of a trivial async specialist with a typed payload of 200 bytes: its outcome is judged, decided
about, appended with synchronous=FULL and the next call started. Ratios are to bare sqlite3 that writes the same rows
under the same settings in the same minute, and to the bare log; they travel between machines, figures do not.
"""

import argparse
import asyncio
import cProfile
import gc
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import attrs

from statecore import Completed, Engine, Failed, Newest, State, Workflow, any_state, rebuild, specialist
from statecore.log import Append, Batch
from statecore.run import replay
from statecore.sqlite import SqliteLog
from tests.benchmarks.log_bench import bare_groups, bare_one_at_a_time
from tests.benchmarks.shares import sampled


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


class Halfway:
    """How many calls are in flight that never end."""

    calls = 0


@specialist("halve", version="1", effect="pure")
async def halve(piece: Work) -> Work:
    if piece.done * 2 >= piece.of:
        Halfway.calls += 1
        await asyncio.Event().wait()
    return Work(piece.text, piece.done + 1, piece.of)


class Halved(Workflow[Work], version="1"):
    """Goes as far as half of the way."""

    working = State(halve, give=newest, initial=True)
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


async def log_alone(source: Path, target: Path) -> float:
    """Median seconds in which the bare log appends the turns of `source`, one after the other."""
    async with await SqliteLog.open(source, readonly=True) as log:
        turns, _ = await log.follow(limit=1_000_000)
    took = []
    async with await SqliteLog.open(target) as log:
        for turn in turns:
            before = turn.version - len(turn.events)
            batch = Batch((Append(turn.stream, before, turn.events, turn.at, turn.cause, "running"),))
            begun = time.perf_counter()
            await log.append(batch)
            took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def many_at_once(path: Path, runs: int, steps: int, profile: cProfile.Profile | None) -> tuple[float, float]:
    """Durable steps per second with `runs` runs in flight, and seconds of processor time per step in the loop's
    thread.
    """
    async with Engine(await SqliteLog.open(path), [Chain]) as engine:
        begun, busy = time.perf_counter(), time.thread_time()
        with profile or nullcontext():
            ended = await asyncio.gather(*(engine.run(Chain, piece(steps)) for _ in range(runs)))
        took, busy = time.perf_counter() - begun, time.thread_time() - busy
    assert all(run.condition == "completed" for run in ended)
    return runs * steps / took, busy / (runs * steps)


def apart(times: Iterable[float]) -> float:
    """The median of what lies between."""
    return statistics.median(after - before for before, after in pairwise(times))


async def long_run(path: Path, steps: int) -> tuple[float, float, float, float]:
    """Of one run of many steps: seconds of a step from the tenth on and of one at the end, seconds to rebuild it from
    disk and take its next step, and events a second of folding it in memory.
    """
    async with Engine(await SqliteLog.open(path), [Chain]) as engine:
        run = await engine.start(Chain, piece(steps))
        ended = await engine.wait(run)
        turns = [turn async for turn in engine.log.read(run)]
    times = [turn.at for turn in turns]
    async with await SqliteLog.open(path, readonly=True) as log:
        begun = time.perf_counter()
        assert (await rebuild(log, run)).seq == ended.seq
        took = time.perf_counter() - begun
    said = [(turn.at, turn.events) for turn in turns]
    begun = time.perf_counter()
    assert replay(run, said).seq == ended.seq
    return apart(times[10:210]), apart(times[-200:]), took, ended.seq / (time.perf_counter() - begun)


async def halfway(path: Path, runs: int, steps: int, again: bool = False) -> float:
    """Begin runs that stop halfway, or resume them; seconds from opening the log until all are in flight there."""
    begun = time.perf_counter()
    async with Engine(await SqliteLog.open(path), [Halved]) as engine:
        if again:
            await engine.resume()
        else:
            await asyncio.gather(*(engine.start(Halved, piece(steps)) for _ in range(runs)))
        while Halfway.calls < runs:
            await asyncio.sleep(0.001)
        took = time.perf_counter() - begun
        if not again:
            os.kill(os.getpid(), signal.SIGKILL)
    return took


def after_kill(path: Path, runs: int, steps: int) -> float:
    """Seconds from opening a log, whose process was killed, until all its runs are dispatched again."""
    script = f"import asyncio, pathlib; from {__spec__.name} import halfway; asyncio.run(halfway(pathlib.Path({str(path)!r}), {runs}, {steps}))"  # fmt: skip
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL, killed
    return asyncio.run(halfway(path, runs, steps, again=True))


async def taken_up(path: Path, steps: int, *, checkpoints: bool) -> float:
    """Seconds from asking for a run of that many steps, half done on disk, until the call of its next step begins."""
    begun = asyncio.Event()

    @specialist("work", version="1", effect="pure")
    async def half(piece: Work) -> Work:
        if piece.done >= steps or begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        return Work(piece.text, piece.done + 1, piece.of)

    class Half(Workflow[Work], version="1"):
        working = State(half, give=newest, initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")

        again = working.to(working, on=Completed[Work], cond=unfinished, at_most=1_000_000)
        enough = working.to(done, on=Completed[Work])
        gave_up = any_state.to(lost, on=Failed)

    async with Engine(await SqliteLog.open(path), [Half]) as engine:
        run = await engine.start(Half, piece(2 * steps), run="run")
        await begun.wait()
        engine._core.closing = True
        for task in engine._core.tasks.open:
            task.cancel()
    if not checkpoints:
        with sqlite3.connect(path) as database:
            database.execute("DELETE FROM checkpoints")
        database.close()
    begun.clear()
    async with Engine(await SqliteLog.open(path), [Half]) as engine:
        gc.collect()
        asked = time.perf_counter()
        await engine.resume(run)
        await begun.wait()
        return time.perf_counter() - asked


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
    runs, steps, long = given.runs, given.steps, given.long
    profile = cProfile.Profile() if given.profile else None
    with tempfile.TemporaryDirectory(dir=".") as directory:
        home = Path(directory)
        single = asyncio.run(one_at_a_time(home / "single.db", steps))
        alone = asyncio.run(log_alone(home / "single.db", home / "alone.db"))
        bare_single = bare_one_at_a_time(home / "single.db", home / "bare-single.db")
        many, busy = asyncio.run(many_at_once(home / "many.db", runs, steps, profile))
        bare_many = bare_groups(home / "many.db", home / "bare-many.db")
        size = (home / "many.db").stat().st_size / (runs * (steps + 1))
        with sampled() as shares:
            asyncio.run(many_at_once(home / "shares.db", runs, steps, None))
        early, late, again, folded = asyncio.run(long_run(home / "long.db", long))
        whole, sooner = (asyncio.run(taken_up(home / f"{kept}.db", long, checkpoints=kept)) for kept in (False, True))
        heavy = (home / "long.db").stat().st_size / (long + 1)
        killed = after_kill(home / "killed.db", runs, steps)
    print(
        f"one run at a time    step {single * 1e6:,.0f} us   log {alone * 1e6:,.0f} us   bare {bare_single * 1e6:,.0f} us"
    )
    print(f"                     step/log {single / alone:.2f}   log/bare {alone / bare_single:.2f}")
    print(f"{runs:,} in flight      steps {many:,.0f} /s   bare {bare_many:,.0f} /s   ratio {many / bare_many:.2f}")
    print(f"                     {busy * 1e6:,.0f} us of processor time a step in the loop's thread, sampled:")
    print(f"                     {shares.line()}")
    print(f"{long:,} step run     step {early * 1e6:,.0f} us from the tenth on, {late * 1e6:,.0f} us at the end")
    print(f"                     rebuilt from disk in {again:.3f} s; folded in memory at {folded:,.0f} events/s")
    print(f"                     its next call {whole:.3f} s after resume, with checkpoints {sooner:.3f} s")
    print(f"{runs:,} runs cut        dispatched again {killed:.2f} s after opening")
    print(f"on disk              {size:,.0f} bytes a step, {heavy:,.0f} in the long run with its checkpoints")
    print(f"import statecore     {import_time() * 1e3:,.0f} ms")
    if profile:
        profile.print_stats("cumtime")


if __name__ == "__main__":
    main()
