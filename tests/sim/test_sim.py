"""Any seed: whatever the world does to the engine, every promise holds, and the same seed does the same.

`STATECORE_SEEDS` says how many seeds (60); those beyond the sixtieth are a slow campaign. `python -m tests.sim SEED`
plays one.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from statecore.events import Erased, Event, Migrated, Purged
from tests.sim.__main__ import KEPT, TRACES, traces
from tests.sim.life import simulate
from tests.sim.loop import Deadlock, Killed, SimLoop
from tests.sim.world import FAULTS

SEEDS = int(os.environ.get("STATECORE_SEEDS", "60"))
ABSENT = (Erased, Migrated, Purged)
"""Events that the simulation has not."""
BETWEEN = (
    "a reply is taken",
    "a reply is refused",
    "a child is heard of",
    "a child is given up",
    "a checkpoint is spoilt",
)
"""What no single event says."""

CHUNK = 10
CAMPAIGN = [pytest.param(first, marks=pytest.mark.slow if first >= 60 else ()) for first in range(0, SEEDS, CHUNK)]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("first", CAMPAIGN)
def test_every_promise_holds_whatever_happens(first: int) -> None:
    """Several runs, one to three deaths, faults at every port: the oracle finds nothing, and everything comes to its
    end.
    """
    for seed in range(first, min(first + CHUNK, SEEDS)):
        simulate(seed)


def test_everything_that_can_happen_happens() -> None:
    """In the first sixty seeds there is every event of a run, every fault, every way for a process to end, and what may come
    between a run and those around it.
    """
    seen = {name for seed in range(60) for name in simulate(seed).seen}
    events = {event.__name__ for event in get_args(Event) if event not in ABSENT}
    ends = {"at a port", "at a moment", "after an event", "in a commit", "disk", "closed", "at rest"}
    assert seen == events | {fault for _, fault in FAULTS} | ends | set(BETWEEN)


def test_a_seed_does_what_it_did_when_its_trace_was_kept() -> None:
    """On this Python as on any other: one that has the wrong trace is not deterministic, or the engine does something
    else now. Then see that it should, and write the traces anew.
    """
    assert traces(0, KEPT) == json.loads(TRACES.read_text()), "python -m tests.sim --write"


def pythons() -> list[str]:
    """This interpreter, and others of this machine that have what statecore needs."""
    found = [shutil.which(f"python3.{minor}") for minor in range(11, 15)]
    asks = "import aiosqlite, attrs, cattrs, click, msgspec, statemachine, typing_extensions"
    others = [*os.environ.get("STATECORE_PYTHONS", "").split(os.pathsep), *found]
    able = [each for each in others if each and not subprocess.run([each, "-c", asks], capture_output=True).returncode]
    return [sys.executable, *able]


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
def test_neither_hash_seed_nor_interpreter_changes_a_trace(seed: str) -> None:
    """The order of a set, an address or a hash decides nothing."""
    for python in pythons():
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(
            [python, "-m", "tests.sim", "0", str(KEPT)], capture_output=True, text=True, env=env, cwd=ROOT
        )
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout) == json.loads(TRACES.read_text()), python


def test_a_wait_that_nothing_can_end_is_found() -> None:
    """Nothing is scheduled, so nobody will ever come: the loop says who waits instead of waiting too."""

    async def waits() -> None:
        await asyncio.Event().wait()

    loop = SimLoop(0.0)
    task = loop.create_task(waits())
    with pytest.raises(Deadlock, match="waits"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_a_death_runs_nothing_of_what_died() -> None:
    """A kill is no cancellation: no `except` and no `finally` runs, and time stops where it came."""
    ran = []

    async def works() -> None:
        try:
            await asyncio.sleep(5)
        except BaseException:
            ran.append("except")
            raise
        finally:
            ran.append("finally")

    loop = SimLoop(0.0, killed_at=3.0)
    task = loop.create_task(works())
    with pytest.raises(Killed):
        loop.run_until_complete(task)
    assert (ran, loop.time()) == ([], 3.0)
    loop.killed_at = 10.0
    loop.run_until_complete(task)
    loop.close()
