"""What can be asked of a log that is only read: lists, one run, what is wrong. None of it needs the lock, or adds a
row.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from statecore.errors import BadInput, OlderLog, UnknownRun, Unreadable
from statecore.events import Migrated, RunStarted
from statecore.log import Log, StreamInfo, Turn
from statecore.mailbox import beside, served
from statecore.registry import Registry
from statecore.replay import Verdict, examine, rebuild, rebuilt, turns_of, until
from statecore.retention import not_system, purged
from statecore.run import Run
from statecore.sqlite import SqliteLog
from statecore.workflow import Workflow

MIGRATED = b'["Migrated",'
"""How that event begins in the bytes of a turn."""


class NoDatabase(BadInput):
    """There is no file of that name."""

    def __init__(self, database: Path) -> None:
        super().__init__(
            f"there is no database {database}: name another with --db or STATECORE_DB, or begin one with `statecore"
            " run`"
        )


def existing(database: Path) -> Path:
    """Raises NoDatabase."""
    if not database.exists():
        raise NoDatabase(database)
    return database


@asynccontextmanager
async def reading(database: Path) -> AsyncIterator[SqliteLog]:
    """The log, opened for reading only; one of an older release is first made one of this. Raises NoDatabase, and what
    `SqliteLog.open` does.
    """
    try:
        opened = await SqliteLog.open(existing(database), readonly=True)
    except OlderLog:
        await (await SqliteLog.open(database)).close()
        opened = await SqliteLog.open(database, readonly=True)
    async with opened as log:
        yield log


async def listing(
    database: Path, limit: int | None = None, labels: frozenset[str] | None = None
) -> tuple[list[dict[str, Any]], int]:
    """The runs with workflow, condition and times, in the order in which they began, and how many there are. `limit`:
    the newest so many; one query for each that is given.
    """
    async with reading(database) as log:
        infos = not_system(await log.streams(labels=labels))
        shown = infos if limit is None else infos[max(0, len(infos) - limit) :]
        return [await _line(log, info) for info in shown], len(infos)


async def _line(log: Log, info: StreamInfo) -> dict[str, Any]:
    begun, pinned = await _pinned(log, info.name)
    until = (await _due(log, info.name)) if info.condition == "waiting" else None
    return {
        "run": info.name,
        "workflow": pinned.workflow if pinned else "?",
        "version": pinned.version if pinned else "?",
        "fingerprint": pinned.fingerprint if pinned else "?",
        "tenant": begun.tenant if begun else "",
        "condition": info.condition,
        "started": info.started,
        "at": info.at,
        "events": info.version,
        "until": until,
    }


async def _due(log: Log, name: str) -> float | None:
    """By when something is due in a run that waits."""
    try:
        return (await rebuild(log, name)).due
    except Unreadable:
        return None


async def _pinned(log: Log, name: str) -> tuple[RunStarted | None, RunStarted | Migrated | None]:
    """How a run began, and what names the declaration that it is on now. Of its other turns the bytes are looked at,
    and not what they say.
    """
    begun: RunStarted | None = None
    pinned: RunStarted | Migrated | None = None
    async for row in log.rows(name):
        if begun is None or MIGRATED in row.events:
            turn = row.turn_or_reason()
            for event in turn.events:
                if begun is None and isinstance(event, RunStarted):
                    begun = pinned = event
                elif isinstance(event, Migrated):
                    pinned = event
            if begun is None:
                return None, None
    return begun, pinned


async def named(database: Path, prefix: str) -> str:
    """The run whose id begins so. Raises UnknownRun where there is none, or more than one."""
    async with reading(database) as log:
        return await run_named(log, prefix)


async def run_named(log: Log, prefix: str) -> str:
    if not prefix:
        raise BadInput("expected the id of a run, or how it begins, found nothing: `statecore runs` lists them")
    names = [info.name for info in not_system(await log.streams()) if info.name.startswith(prefix)]
    if prefix in names or (not names and prefix in await purged(log)):
        return prefix
    if len(names) != 1:
        found = f"{len(names)} runs begin so: {', '.join(names[-5:])}" if names else "there is none"
        raise UnknownRun(f"expected the id of one run, found {prefix!r}, and {found}; `statecore runs` lists them")
    return names[0]


@attrs.frozen
class Shown:
    """A run and the turns that led there. `whole`: the last of them was not cut short. `worker`: the pid of the
    `statecore` process that serves the log, 0 where none does.
    """

    run: Run
    turns: list[Turn]
    whole: bool = True
    worker: int = 0


async def shown(database: Path, prefix: str, at: int | None = None) -> Shown:
    """A run, or as it was after its first `at` events. Raises UnknownRun, Unreadable, ValueError where it has no so
    many.
    """
    async with reading(database) as log:
        name = await run_named(log, prefix)
        turns = await turns_of(log, name)
        run = rebuilt(turns, at)
        whole = any(turn.version == run.seq for turn in turns)
        return Shown(run, until(turns, run.seq), whole, 0 if run.outcome else await served(beside(log.path)))


async def verified(database: Path, prefix: str | None, known: Iterable[type[Workflow[Any]]]) -> Verdict:
    """What is wrong with a log, or with one run of it, and how much of it was looked at."""
    async with reading(database) as log:
        name = await run_named(log, prefix) if prefix is not None else None
        return await examine(log, Registry(known), name)
