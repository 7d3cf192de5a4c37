"""What can be asked of a log that is only read: lists, one run, what is wrong. None of it needs the lock, or adds a
row.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from statecore.call import Call
from statecore.child import waiting
from statecore.errors import BadInput, OlderLog, UnknownRun, Unreadable
from statecore.events import ForkedFrom, Migrated, RunStarted, SignalRefused, SignalTaken
from statecore.family import ancestors, families
from statecore.log import Log, StreamInfo, Turn
from statecore.mailbox import beside, served
from statecore.nearest import meant
from statecore.present import plain
from statecore.provenance import Trace
from statecore.registry import Registry
from statecore.replay import Verdict, examine, rebuild, rebuilt, turns_of, until
from statecore.retention import not_system, purged
from statecore.run import Run
from statecore.signals import Answer, NotTaken, Taken, told
from statecore.sqlite import SqliteLog
from statecore.workflow import Workflow

MIGRATED, FORKED = b'["Migrated",', b'["ForkedFrom",'
"""How these events begin in the bytes of a turn."""


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
    """The runs with workflow, condition and times, in the order in which they began, each with its child runs below it;
    and how many there are, not counting these. `limit`: the newest so many; one query for each that is given.
    """
    async with reading(database) as log:
        found = families(not_system(await log.streams(labels=labels)))
        shown = [info for family in found[0 if limit is None else max(0, len(found) - limit) :] for info in family]
        names = {info.name for info in shown}
        return [await _line(log, info, len(list(ancestors(info.name, names)))) for info in shown], len(found)


async def _line(log: Log, info: StreamInfo, depth: int) -> dict[str, Any]:
    begun, pinned, fork = await _pinned(log, info.name)
    until = (await _due(log, info.name)) if info.condition == "waiting" else None
    return {
        "run": info.name,
        "workflow": pinned.workflow if pinned else "?",
        "version": pinned.version if pinned else "?",
        "fingerprint": pinned.fingerprint if pinned else "?",
        "tenant": begun.tenant if begun else "",
        "parent": begun.parent if begun else "",
        "root": begun.root if begun and begun.root else info.name,
        "depth": depth,
        "forked": fork and {"run": fork.run, "at": fork.at},
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


async def _pinned(log: Log, name: str) -> tuple[RunStarted | None, RunStarted | Migrated | None, ForkedFrom | None]:
    """How a run began, what names the declaration that it is on now, and what it was forked from. Of its other turns the
    bytes are looked at, and not what they say.
    """
    fork: ForkedFrom | None = None
    begun: RunStarted | None = None
    pinned: RunStarted | Migrated | None = None
    async for row in log.rows(name):
        if begun is None or MIGRATED in row.events or FORKED in row.events:
            turn = row.turn_or_reason()
            for event in turn.events:
                if begun is None and isinstance(event, RunStarted):
                    begun = pinned = event
                elif isinstance(event, Migrated):
                    pinned = event
                elif isinstance(event, ForkedFrom) and begun is not None:
                    fork = event
                    begun = attrs.evolve(begun, parent="", root="")
            if begun is None:
                return None, None, None
    return begun, pinned, fork


async def named(database: Path, prefix: str) -> str:
    """The run whose id begins so. Raises UnknownRun where there is none, or more than one."""
    async with reading(database) as log:
        return await run_named(log, prefix)


async def run_named(log: Log, prefix: str) -> str:
    if not prefix:
        raise BadInput("expected the id of a run, or how it begins, found nothing: `statecore runs` lists them")
    known = [info.name for info in not_system(await log.streams())]
    names = [name for name in known if name.startswith(prefix)]
    if prefix in names or (not names and prefix in await purged(log)):
        return prefix
    names = [name for name in names if not any(ancestors(name, names))]
    if len(names) != 1:
        found = f"{len(names)} runs begin so: {', '.join(names[-5:])}" if names else "there is none"
        near = "" if names else meant(prefix, known)
        raise UnknownRun(
            f"expected the id of one run, found {prefix!r}, and {found}; `statecore runs` lists them{near}"
        )
    return names[0]


@attrs.frozen
class Shown:
    """A run and the turns that led there. `whole`: the last of them was not cut short. `worker`: the pid of the
    `statecore` process that serves the log, 0 where none does. `below`: the open child runs, nearest first.
    """

    run: Run
    turns: list[Turn]
    whole: bool = True
    worker: int = 0
    below: tuple[Run, ...] = ()


async def shown(database: Path, prefix: str, at: int | None = None) -> Shown:
    """A run, or as it was after its first `at` events. Raises UnknownRun, Unreadable, ValueError where it has no so
    many.
    """
    async with reading(database) as log:
        name = await run_named(log, prefix)
        turns = await turns_of(log, name)
        run = rebuilt(turns, at)
        whole = any(turn.version == run.seq for turn in turns)
        below = await working(log, run) if at is None else ()
        worker = 0 if run.outcome else await served(beside(log.path))
        return Shown(run, until(turns, run.seq), whole, worker, below)


async def working(log: Log, run: Run) -> tuple[Run, ...]:
    """The child runs that a run waits for, and those that they wait for. One that cannot be read is left out."""
    found: list[Run] = []
    todo: list[Call] = list(waiting(run).values())
    while todo:
        try:
            child = await rebuild(log, todo.pop(0).child)
        except (UnknownRun, Unreadable):
            continue
        found.append(child)
        todo += waiting(child).values()
    return tuple(found)


async def traced(database: Path, prefix: str, call: str = "") -> Trace:
    """What a run ended on, or one of its calls, rests on. Raises UnknownRun, UnknownCall, Unreadable."""
    async with reading(database) as log:
        trace = Trace(await run_named(log, prefix), call)
        while missing := trace.missing():
            for name in missing:
                try:
                    trace.add(name, await turns_of(log, name))
                except (UnknownRun, Unreadable):
                    if name == trace.run:
                        raise
                    trace.add(name, ())
        return trace


async def answered(database: Path, run: str, by: str, id: str) -> dict[str, Any]:
    """What a run answered to the newest signal that `by` sent under this id."""
    async with reading(database) as log:
        for turn in reversed(await turns_of(log, run)):
            signal = turn.events[0]
            if isinstance(signal, SignalTaken | SignalRefused) and (signal.by, signal.id) == (by, id):
                return _told(told(turn.events, plain))
    raise UnknownRun(f"{run} has no signal {id!r} of {by} in its log")


def _told(answer: Answer) -> dict[str, Any]:
    match answer:
        case NotTaken(why=why):
            return {"taken": False, "transitions": [], "states": [], "reply": None, "why": why}
        case Taken(transitions=fired, states=states, reply=reply):
            return {"taken": True, "transitions": list(fired), "states": list(states), "reply": reply, "why": ""}


async def verified(database: Path, prefix: str | None, known: Iterable[type[Workflow[Any]]]) -> Verdict:
    """What is wrong with a log, or with one run of it, and how much of it was looked at."""
    async with reading(database) as log:
        name = await run_named(log, prefix) if prefix is not None else None
        return await examine(log, Registry(known), name)
