"""kill -9 of real processes on a real log: at every named place, and at random moments, once and again.

The oracle after every death and its clean finish: nothing that was acknowledged is missing; no version is missing;
a `once` effect happened at most once, and as often as the log says; an idempotent one has one key; every run is
completed or visibly parked; the chain holds and every turn is decided again as it was.

`STATECORE_CRASHES` says at how many seeds (50); those beyond the fiftieth are a slow campaign.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import statecore.decider
from statecore.call import CallState, key
from statecore.engine import Engine
from statecore.events import CallCompleted, CallStarted, CallUnknown, TimerFired
from statecore.failpoint import Point, arm
from statecore.failures import NotDone
from statecore.log import Turn
from statecore.registry import Registry
from statecore.replay import rebuild, verify
from statecore.run import Run, fold
from statecore.sqlite import SqliteLog
from tests.crash_worker import ACKNOWLEDGED, CHILDREN, DATABASE, EFFECTS, ONCE, RUNS, SHORT

KILLED = -signal.SIGKILL
SEEDS = int(os.environ.get("STATECORE_CRASHES", "50"))
CHUNK = 10
ASKED = ("asking#1", "doing#1/asking")
"""Calls that a person answers, and no process makes."""


class Mortal:
    """The fork server. `run` is one worker from its birth to its end: how it ended."""

    def __init__(self) -> None:
        root = Path(__file__).parents[1]
        command = [sys.executable, "-m", "tests.crash_worker"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)

    def run(self, home: Path, setting: str = "", kill_after: float | None = None) -> int:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps([str(home), setting, kill_after]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def finish(self, home: Path) -> None:
        """One worker that nobody kills."""
        ended = self.run(home)
        assert ended == 0, (home / "stderr").read_text()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statecore.decider, "RETRY_BASE", SHORT)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Mortal]:
    server = Mortal()
    yield server
    assert server.process.stdin and server.process.stdout
    server.process.stdin.close()
    server.process.wait(10)
    server.process.stdout.close()


def lines(home: Path, name: str) -> list[list[str]]:
    file = home / name
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


async def turns_of(log: SqliteLog, run: str) -> list[Turn]:
    return [turn async for turn in log.read(run)]


async def survived(home: Path) -> dict[str, Run]:
    """The oracle. The runs as they are now."""
    async with await SqliteLog.open(home / DATABASE, readonly=True) as log:
        assert await verify(log, Registry(RUNS.values())) == []
        assert {info.name for info in await log.streams()} == set(ONCE)
        runs, effects = {}, lines(home, EFFECTS)
        found = {run: await turns_of(log, run) for run in ONCE}
        heads = {(run, str(turn.version), turn.head.hex()) for run, turns in found.items() for turn in turns}
        assert {tuple(line) for line in lines(home, ACKNOWLEDGED)} <= heads
        for run, turns in found.items():
            state = Run(id=run)
            for turn in turns:
                assert turn.version == state.seq + len(turn.events)
                state = fold(state, turn.events, turn.at)
            assert state == await rebuild(log, run)
            below = [runs[child].condition for child, parent in CHILDREN.items() if parent == run]
            waits = state.condition == "waiting" and "parked" in below
            assert state.condition in ("completed", "parked") or waits, f"{run} is {state.condition}"
            assert all(call.status is CallState.UNKNOWN or call.kind for call in state.calls.values())
            assert not any(plan.ready for plan in state.plans.values()), (
                "a parked call holds up what does not wait for it"
            )
            events = [event for turn in turns for event in turn.events]
            done = Counter(call for kind, of, call, _ in effects if kind == "once" and of == run)
            for call in ONCE[run]:
                completed = sum(isinstance(event, CallCompleted) and event.call == call for event in events)
                unknown = sum(isinstance(event, CallUnknown) and event.call == call for event in events)
                started = sum(isinstance(event, CallStarted) and event.call == call for event in events)
                assert completed <= done[call] <= started <= 1, f"{run} {call} happened {done[call]} times"
                assert unknown <= 1 and (state.condition != "completed" or completed == 1)
            fired = Counter(event.state for event in events if isinstance(event, TimerFired))
            assert max(fired.values(), default=1) == 1, f"a timer of {run} fired twice"
            answered = [event for event in events if isinstance(event, CallCompleted) and event.call in ASKED]
            assert len(answered) <= 1 and all(event.by == "ana" for event in answered)
            runs[run] = state
        for kind, run, call, its_key in effects:
            assert its_key == key(run, call), f"{kind} effect of {run} {call} under another key"
    return runs


def lifetime(mortal: Mortal, home: Path) -> float:
    """Seconds that a worker takes that nobody kills."""
    home.mkdir()
    began = time.perf_counter()
    mortal.finish(home)
    return time.perf_counter() - began


async def settled(home: Path) -> None:
    """Liveness: what is parked can be settled by hand, and then everything ends."""
    async with Engine(await SqliteLog.open(home / DATABASE), RUNS.values()) as engine:
        await engine.resume()
        for run in ONCE:
            parked = [c for c in (await engine.state(run)).calls.values() if c.status is CallState.UNKNOWN]
            for call in parked:
                if call.id in (await engine.state(run)).calls:
                    await engine.answer(run, call.id, NotDone("it was not"), by="the test", why="looked")
            assert (await engine.wait(run)).condition in ("completed", "failed")


TIMED = 4
"""Passes by which two workers may differ: waits and deadlines of milliseconds come in one turn or in another."""


async def passes(home: Path) -> dict[Point, int]:
    """How often a process that nobody kills passes each place, by what its log says."""
    async with await SqliteLog.open(home / DATABASE, readonly=True) as log:
        turns = [turn for run in ONCE for turn in await turns_of(log, run)]
    events = [event for turn in turns for event in turn.events if getattr(event, "call", "") not in ASKED]
    started, completed = (sum(isinstance(event, kind) for event in events) for kind in (CallStarted, CallCompleted))
    children = len(CHILDREN)  # begun in the commit of their parents, and called by nobody here
    return {
        Point.BEFORE_APPEND: len(turns) - children,
        Point.AFTER_APPEND: len(turns) - children,
        Point.BEFORE_CALL: started - children,
        Point.AFTER_CALL: completed - children,
    }


@pytest.mark.parametrize("point", [Point.BEFORE_APPEND, Point.AFTER_APPEND, Point.BEFORE_CALL, Point.AFTER_CALL])
async def test_killed_at_every_pass_of_a_named_place(point: Point, mortal: Mortal, tmp_path: Path) -> None:
    """Rows 1-4: at the first, second ... pass, until a worker comes through; it passes as often as its log says, so
    that a place which nobody passes any more is missed here.
    """
    killed = 0
    while True:
        home = tmp_path / str(killed + 1)
        home.mkdir()
        ended = mortal.run(home, f"{point}:{killed + 1}")
        if ended == 0:
            break
        assert ended == KILLED, (home / "stderr").read_text()
        killed += 1
        mortal.finish(home)
        runs = await survived(home)
        if point in (Point.AFTER_APPEND, Point.BEFORE_CALL, Point.AFTER_CALL):
            await settled(home)
        assert set(runs) == set(ONCE)
    assert {run.condition for run in (await survived(home)).values()} == {"completed"}
    assert killed > 5 and abs(killed - (await passes(home))[point]) <= TIMED


async def test_killed_while_it_recovers_and_again(mortal: Mortal, tmp_path: Path) -> None:
    """A worker dies with every call in flight, the next one at each open call that it finds, and the one
    after that as well.
    """
    died = Counter[int]()
    for cut in range(1, 7):
        for nth in range(1, 4):
            home = tmp_path / f"{cut}-{nth}"
            home.mkdir()
            assert mortal.run(home, f"{Point.AFTER_CALL}:{cut}") == KILLED
            for _ in range(3):
                ended = mortal.run(home, f"{Point.DURING_RESUME}:{nth}")
                assert ended in (0, KILLED), (home / "stderr").read_text()
                died[nth] += ended == KILLED
            mortal.finish(home)
            await survived(home)
    assert died[1] >= 6 and died[2] >= 3


CAMPAIGN = [pytest.param(first, marks=pytest.mark.slow if first >= 50 else ()) for first in range(0, SEEDS, CHUNK)]


@pytest.mark.parametrize("first", CAMPAIGN)
async def test_killed_at_random_moments(first: int, mortal: Mortal, tmp_path: Path) -> None:
    """One to three deaths per seed, each at a random moment or at a random pass of a random place, and then a clean
    finish.
    """
    whole, killed = min(lifetime(mortal, tmp_path / f"whole{n}") for n in range(3)), 0
    for seed in range(first, first + CHUNK):
        chance, home = random.Random(seed), tmp_path / str(seed)
        home.mkdir()
        for _ in range(chance.randint(1, 3)):
            if chance.random() < 0.7:
                ended = mortal.run(home, kill_after=chance.uniform(0.0, whole))
            else:
                ended = mortal.run(home, f"{chance.choice(list(Point))}:{chance.randint(1, 12)}")
            assert ended in (0, KILLED), (home / "stderr").read_text()
            killed += ended == KILLED
        mortal.finish(home)
        runs = await survived(home)
        if any(run.condition == "parked" for run in runs.values()) and seed % 4 == 0:
            await settled(home)
    assert killed >= CHUNK // 4


def test_a_place_that_is_not_there_cannot_be_armed() -> None:
    """What the environment says is checked, not guessed: a misspelt place would otherwise kill nobody."""
    wrong: list[Any] = ["nowhere:1", "after-append", "after-append:x", "after-append:1:later"]
    for setting in wrong:
        with pytest.raises(ValueError, match="expected POINT:PASS"):
            arm(setting)
