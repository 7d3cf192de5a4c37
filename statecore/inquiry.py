"""What can be asked of a log that is only read: lists, one run, what is wrong. None of it needs the lock, or adds a row."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from statecore.errors import UnknownRun
from statecore.events import RunStarted
from statecore.log import Flaw, Turn
from statecore.registry import Registry
from statecore.replay import rebuild, turns_of, verify
from statecore.run import Run
from statecore.sqlite import SqliteLog
from statecore.workflow import Workflow


async def listing(database: Path) -> list[dict[str, Any]]:
    """Every run with its workflow, condition and times, in the order in which they began."""
    async with await SqliteLog.open(database, readonly=True) as log:
        begun = await _begun(log)
        return [
            {
                "run": info.name,
                "workflow": begun[info.name].workflow if info.name in begun else "?",
                "version": begun[info.name].version if info.name in begun else "?",
                "tenant": begun[info.name].tenant if info.name in begun else "",
                "condition": info.label,
                "started": info.started,
                "at": info.at,
                "events": info.version,
            }
            for info in await log.streams()
        ]


async def _begun(log: SqliteLog) -> dict[str, RunStarted]:
    found: dict[str, RunStarted] = {}
    for info in await log.streams():
        async for turn in log.read(info.name):
            if isinstance(turn.events[0], RunStarted):
                found[info.name] = turn.events[0]
            break
    return found


async def named(database: Path, prefix: str) -> str:
    """The run whose id begins so. Raises UnknownRun where there is none, or more than one."""
    async with await SqliteLog.open(database, readonly=True) as log:
        return await _named(log, prefix)


async def _named(log: SqliteLog, prefix: str) -> str:
    names = [info.name for info in await log.streams() if info.name.startswith(prefix)]
    if prefix in names:
        return prefix
    if len(names) != 1:
        found = f"{len(names)} runs begin so: {', '.join(names[:5])}" if names else "there is none"
        raise UnknownRun(f"expected the id of one run, found {prefix!r}, and {found}; `statecore runs` lists them")
    return names[0]


async def shown(database: Path, prefix: str, at: int | None) -> tuple[Run, list[Turn]]:
    """A run, or as it was after its first `at` events, with its turns until then."""
    async with await SqliteLog.open(database, readonly=True) as log:
        name = await _named(log, prefix)
        turns = await turns_of(log, name)
        return await rebuild(log, name, at), [turn for turn in turns if at is None or turn.version - len(turn.events) < at]


async def verified(database: Path, prefix: str | None, known: Iterable[type[Workflow[Any]]]) -> tuple[list[Flaw], int]:
    """What is wrong with a log, or with one run of it, and how many runs were looked at."""
    async with await SqliteLog.open(database, readonly=True) as log:
        name = await _named(log, prefix) if prefix else None
        flaws = await verify(log, Registry(known), name)
        return flaws, 1 if name else len(await log.streams())
