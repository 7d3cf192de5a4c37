"""aiosqlite without its thread, on real SQLite: what it would run there runs inline, after and before a delay.

The statement runs whether or not somebody still waits for it, and one after the other, as in the thread. So an await
that was cancelled or died is a statement that may or may not have happened. A process can also die between the
statements of one commit.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from statecore.checkpoint import Checkpoint, Mark, Unfit, opened, taken
from tests.sim.loop import Killed
from tests.sim.world import World

TICK = 1e-6
"""Seconds between two statements of one connection, so that their order is that of their times."""


class Connection:
    """What statecore uses of `aiosqlite.Connection`."""

    def __init__(self, world: World, connector: Callable[[], sqlite3.Connection]) -> None:
        self._world, self._connector = world, connector
        self._raw: sqlite3.Connection | None = None
        self._number, self._statements, self._free = world.connected(self), 0, 0.0

    def __await__(self) -> Any:
        return self._opened().__await__()

    async def _opened(self) -> "Connection":
        self._raw = await self._later(self._connector)
        return self

    async def execute_fetchall(self, sql: str, parameters: Iterable[Any] = ()) -> list[Any]:
        return list(await self._later(lambda: self._open.execute(sql, tuple(parameters)).fetchall()))

    async def commit(self) -> None:
        await self._later(lambda: self._open.commit())

    async def create_function(self, name: str, arguments: int, function: Any, deterministic: bool = False) -> None:
        await self._later(partial(self._open.create_function, name, arguments, function, deterministic=deterministic))

    async def backup(self, target: sqlite3.Connection) -> None:
        await self._later(partial(self._open.backup, target))

    async def close(self) -> None:
        if self._raw is not None:
            await self._later(self._raw.close)
            self._raw = None

    def drop(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    @property
    def _open(self) -> sqlite3.Connection:
        if self._raw is None:
            raise ValueError("Connection closed")
        return self._raw

    def _later(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        self._statements += 1
        loop, done = self._world.loop, self._world.loop.create_future()
        before = self._world.draw("statement", self._world.life, self._number, self._statements) * 0.002
        self._free = max(loop.now + before, self._free + TICK)
        loop.call_at(self._free, self._execute, work, done, self._statements)
        return done

    def _execute(self, work: Callable[[], Any], done: "asyncio.Future[Any]", number: int) -> None:
        self._world.port()
        try:
            settle = partial(_settle, done, work(), None)
        except Exception as error:
            settle = partial(_settle, done, None, error)
        after = self._world.draw("acknowledgement", self._world.life, self._number, number) * 0.003
        self._world.loop.call_later(after, self._acknowledge, settle)

    def _acknowledge(self, settle: Callable[[], None]) -> None:
        self._world.port()
        settle()


def _settle(done: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


def connect(world: World, database: Any, **options: Any) -> Connection:
    """In the place of `aiosqlite.connect`."""
    factory = options.pop("factory", sqlite3.Connection)
    return Connection(world, partial(sqlite3.connect, str(database), factory=_mortal(world, factory), **options))


def _mortal(world: World, factory: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
    class Mortal(factory):  # type: ignore[valid-type, misc]
        committing = False

        def commit(self) -> None:
            """An I/O error may come before the commit record or after it: nobody can tell which."""
            fails = world.begin_commit()
            if fails == "before":
                raise sqlite3.OperationalError("disk I/O error")
            self.committing = True
            super().commit()
            self.committing = False
            world.committed(self)
            if fails == "after":
                raise sqlite3.OperationalError("disk I/O error")

        def execute(self, *args: Any) -> sqlite3.Cursor:
            if self.committing and world.dies_at_this_statement():
                raise Killed
            return super().execute(*args)

    return Mortal


def image(before: Path, after: Path) -> None:
    """The files as a process that dies leaves them: what was not committed is in no database that is opened on them."""
    after.parent.mkdir()
    for suffix in ("", "-wal"):
        if (file := Path(f"{before}{suffix}")).exists():
            shutil.copyfile(file, f"{after}{suffix}")


_KEPT = """
SELECT s.name, c.version, c.head, c.fold, c.first, c."end", c."values", c.state
FROM checkpoints AS c JOIN streams AS s ON s.id = c.stream ORDER BY s.id, c.version
"""


def harm(path: Path, how: str, world: World) -> None:
    """What may become of checkpoints while no process runs: a byte of one is flipped, or they are of another history, as
    of a log that lost its tail and grew a new one.
    """
    database = sqlite3.connect(path)
    with suppress(sqlite3.OperationalError), database:  # the process may have died before it made the table
        kept: dict[str, list[Checkpoint]] = {}
        for row in database.execute(_KEPT).fetchall():
            kept.setdefault(row[0], []).append(Checkpoint(*row))
        for stream, each in kept.items():
            if world.draw("harm", stream, world.life) < 0.5:
                world.harmed.add(stream)
                with suppress(Unfit):  # it was spoilt before
                    made = _flipped(each[-1], world) if how == "a byte" else _elsewhere(each)
                    _replace(database, each if how == "another history" else each[-1:], made)
    database.close()


def _flipped(kept: Checkpoint, world: World) -> Checkpoint:
    which = "values" if world.draw("which", kept.stream, world.life) < 0.5 else "state"
    data = bytearray(getattr(kept, which))
    data[int(world.draw("where", kept.stream, world.life) * len(data))] ^= 1
    return attrs.evolve(kept, **{which: bytes(data)})


def _elsewhere(kept: list[Checkpoint]) -> Checkpoint:
    """It is whole, and says of its run what never was."""
    run = opened(kept)
    made = taken(attrs.evolve(run, why="another history"), b"\1" * 32, Mark())
    assert made is not None
    return made


def _replace(database: sqlite3.Connection, before: list[Checkpoint], made: Checkpoint) -> None:
    [(stream,)] = database.execute("SELECT id FROM streams WHERE name = ?", [made.stream]).fetchall()
    for each in before:
        database.execute("DELETE FROM checkpoints WHERE stream = ? AND version = ?", [stream, each.version])
    row = (stream, *attrs.astuple(made, recurse=False)[1:])
    database.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
