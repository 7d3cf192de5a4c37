"""One seed, from its first process to its last: what is asked of the engine, how each process ends, and what is left.

Every process but the last may be killed: at a moment, at something that comes from outside, between two statements of
one commit, or closed with work in flight. Killed is abandoned: nothing of it runs any more, and the next one opens the
files as they are. In the last process nothing fails, whatever is parked is settled, and everything has to end.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiosqlite

import statecore.checkpoint
import statecore.clock
import statecore.dispatch
from statecore.clock import SystemClock
from statecore.engine import Engine
from statecore.errors import LogError
from statecore.log import Batch, Turn
from statecore.sqlite import SqliteLog
from tests.sim import file
from tests.sim.loop import Killed, SimLoop, bury
from tests.sim.options import DAY, Death, Options, options
from tests.sim.oracle import Found, examine, half_written, reread
from tests.sim.outside import Outside
from tests.sim.teams import workflows
from tests.sim.work import AtMost, Here
from tests.sim.world import Thread, World

ROUNDS = 100
"""How often an operator has to look until nothing is left to do: far more often than there are calls in a seed."""
DRAINED = 2 * DAY
"""Virtual seconds that the last process has: far more than all waits, timeouts and stalls of a seed together."""


class Noting(SqliteLog):
    """Tells the world what was acknowledged."""

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        turns = await super().append(batch)
        for turn in turns:
            Here.world.acknowledge(turn)
        return turns


class Simulation:
    """`found` is what the oracle has to say, once `play` is over."""

    def __init__(self, options: Options, home: Path) -> None:
        self.options, self.home = options, home
        self.world = World(options.seed)
        self.outside = Outside(self.world, options.wishes)
        self.jumps = list(options.jumps)
        self.graves: list[tuple[SimLoop, list[asyncio.Task[Any]], list[Any], SqliteLog | None]] = []
        self.log: SqliteLog | None = None
        self.engine: Engine | None = None
        self.asking: list[asyncio.Future[None]] = []
        self.cut_commit, self.harm = False, ""
        self.found: Found

    @property
    def path(self) -> Path:
        return self.home / str(self.world.life) / "log.db"

    def play(self) -> Found:
        try:
            with ported(self.world), patch.object(statecore.checkpoint, "EVERY", self.options.every):
                for death in self.options.deaths:
                    self._process(death)
                self.world.faulty = False
                self._process(None)
            return self.found
        finally:
            for loop, tasks, connections, log in self.graves:
                bury(loop, tasks)
                for connection in connections:
                    connection.drop()
                if log is not None:
                    log._release()

    def _process(self, death: Death | None) -> None:
        before, now = self.path, self.world.loop.now
        world, loop = self.world, SimLoop(now)
        if death is None:
            loop.too_late = now + DRAINED
        elif death.how == "at a moment":
            loop.killed_at = now + death.after
        world.begin(loop)
        world.dies_at_port = death.port if death else 0
        world.dies_after, world.after = (death.event, death.count) if death else ("", 0)
        fails = death is not None and death.how == "disk"
        world.dies_in_commit, world.dies_at = (death.commit, death.statement) if death and not fails else (0, 0)
        world.fails_in_commit, world.fails = (
            (death.commit, ("before", "after")[death.statement]) if death and fails else (0, "")
        )
        self._files(before)
        for at, by in self.jumps:
            loop.call_at(max(now, at), self._jump, at, by)
        loop.set_exception_handler(self._unhandled)
        try:
            loop.run_until_complete(loop.create_task(self._living(death)))
            if self.outside.closing and (left := asyncio.all_tasks(loop)):
                world.odd.append(f"closed, and {len(left)} tasks are left: {left}")
            failed = world.fails and world.commit >= world.fails_in_commit
            world.ends.append("disk" if failed else "closed" if death and death.how == "closed" else "at rest")
        except Killed:
            world.died()
            world.ends.append(death.how if death else "")
        finally:
            world.over()
            self._grave(loop)
        self.cut_commit = world.commit in (world.dies_in_commit, world.fails_in_commit)
        if death:
            loop.now += death.pause
            world.wall += death.wall
            self.harm = death.harm

    def _grave(self, loop: SimLoop) -> None:
        """Keep what a dead process left alive, so that nothing of it runs."""
        loop.set_exception_handler(lambda *_: None)
        self.graves.append((loop, list(asyncio.all_tasks(loop)), self.world.connections, self.log))

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.world.odd.append(f"nobody heard of it: {context['message']}: {context.get('exception')!r}")

    def _files(self, before: Path) -> None:
        if before.exists():
            file.image(before, self.path)
            if self.harm:
                file.harm(self.path, self.harm, self.world)
        else:
            self.path.parent.mkdir()
            if not self.options.new_file:
                self.path.write_bytes(_empty_log())

    def _jump(self, at: float, by: float) -> None:
        self.jumps.remove((at, by))
        self.world.wall += by

    # -- in a process

    async def _living(self, death: Death | None) -> None:
        """A process that ends by itself, also where its disk fails."""
        self.log = self.engine = None
        self.outside.closing = death is not None and death.how == "disk"
        try:
            await self._work(death)
        except LogError:
            if not self.outside.closing:
                raise
        if self.outside.closing and self.engine is not None:
            await self.engine.close()
            await asyncio.gather(*self.asking)

    async def _work(self, death: Death | None) -> None:
        world, outside = self.world, self.outside
        self.log = log = await Noting.open(self.path, salts=world.salt)
        world.odd += await reread(log)
        if self.cut_commit:
            world.odd += await half_written(log)
        clock = world if self.options.jumping_port else SystemClock()
        world.reads(clock)
        self.engine = engine = Engine(log, workflows(), guards=[AtMost(self.options.most)], clock=clock, serve=False)
        self.asking = [asyncio.ensure_future(outside.ask(engine, wish)) for wish in outside.wishes if not wish.done]
        await engine.resume()
        if death and death.how == "closed":
            await asyncio.sleep(death.after)
            outside.closing = True
            return
        await asyncio.gather(*self.asking)
        await engine.drain()
        rounds = 0
        while await outside.settle(engine, all=death is None):
            await engine.drain()
            rounds += 1
            assert rounds < ROUNDS, "whatever is settled is parked again"
        if death is None:
            self.found = await examine(world, engine, workflows(), outside)
            outside.closing = True


@contextmanager
def ported(world: World) -> Iterator[None]:
    """The world behind the ports that a process has: its files, its threads, its clock."""
    Here.world = Thread.world = world
    with (
        patch.object(aiosqlite, "connect", partial(file.connect, world)),
        patch.object(statecore.dispatch, "threading", _Threading),
        patch.object(statecore.clock, "time", world),
    ):
        yield


class _Threading:
    Thread = Thread


@cache
def _empty_log() -> bytes:
    async def make(path: Path) -> None:
        async with await SqliteLog.open(path):
            pass

    with room() as home:
        world, loop = World(-1), SimLoop(0.0)
        before = getattr(Here, "world", world)
        with ported(world):
            world.begin(loop)
            loop.run_until_complete(make(home / "log.db"))
        loop.close()
        Here.world = Thread.world = before
        return (home / "log.db").read_bytes()


@contextmanager
def room() -> Iterator[Path]:
    """A directory in memory where there is one: nothing here tests a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="sim-", dir=memory if memory.is_dir() else None) as home:
        yield Path(home)


def simulate(seed: int) -> Found:
    """Play a seed. Raises AssertionError with everything that the oracle found, the seed and its options."""
    chosen = options(seed)
    with room() as home:
        try:
            found = Simulation(chosen, home).play()
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{chosen}") from error
    if found.wrong:
        raise AssertionError("\n".join([*found.wrong, str(chosen)]))
    return found
