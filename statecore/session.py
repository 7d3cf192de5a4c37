"""One writing command from beginning to end: here, where the log is free, or through the process that holds it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import attrs

from statecore.engine import Engine
from statecore.errors import LogError, LogHeld, Unreadable
from statecore.family import ancestors
from statecore.finding import keep
from statecore.inquiry import working
from statecore.log import Log
from statecore.mailbox import Connection, Hint, NobodyThere, Unanswered, beside, connected, serving
from statecore.operations import Operator, Request
from statecore.present import headline
from statecore.replay import rebuild
from statecore.retention import keeping
from statecore.run import Run
from statecore.sqlite import SqliteLog
from statecore.telling import Narrator, header
from statecore.wording import typed
from statecore.workflow import Workflow

Say = Callable[[str], None]


@attrs.frozen
class Rested:
    """A run at rest, why it is `parked` where the work was done, and the child runs that it waits for (`below`), with
    why each of these is parked.
    """

    run: Run
    parked: str
    below: tuple[Run, ...]
    reasons: Mapping[str, str]


Ended = list[Rested]

GLANCE = 0.05
"""Seconds between two looks at a log that somebody else, or another task, writes."""

TRIES = 100
"""How often a log that is held, and whose holder does not answer yet, is tried, a glance apart."""

REPEATABLE = {"start", "resume", "signal"}
"""Requests that may be made again where the answer was lost: the second finds what the first did."""


Stage = Literal["kept", "sent", "taken"]
"""Of a request: nobody has it yet; whether it was taken is not known; it was."""


@attrs.define
class Progress:
    """What a command tells while it works. `say` is told every decision as it is read from the log; `stage`: how far its
    request has come; `holder`: the pid of the process that has the log meanwhile; `runs`: those that are worked on;
    `elsewhere`: the pid of the process that works on them, 0 for this one; `cut`: it ended before they were at rest.
    """

    say: Say
    stage: Stage = "kept"
    holder: int = 0
    runs: list[str] = attrs.field(factory=list)
    elsewhere: int = 0
    cut: bool = False


async def carry_out(
    database: Path, request: Request, known: Iterable[type[Workflow[Any]]], progress: Progress
) -> Ended:
    """Perform a request and see its runs to rest; each with the reason where it is parked there.

    Raises what the request is refused with; LogHeld where the log is held by a process that serves no socket; Unanswered.
    """
    known, hint = list(known), Hint(progress.say)
    try:
        for last in [False] * (TRIES - 1) + [True]:
            try:
                log = await SqliteLog.open(database)
            except LogHeld as held:
                progress.holder = held.pid
                hint.waits(held.pid)
                with suppress(NobodyThere):
                    async with connected(beside(database)) as holder:
                        try:
                            return await _there(database, holder, request, progress, hint)
                        except Unanswered as lost:
                            if request["do"] not in REPEATABLE:
                                raise Unanswered(
                                    f"{lost}: whether it took the request is in the log, see `statecore show"
                                    f" {typed(request['run'])}`"
                                ) from None
                if last:
                    raise LogHeld(f"{held}; it takes no requests from here, so wait until it ends") from None
            else:
                hint.over()
                return await _here(log, request, known, progress)
            await asyncio.sleep(GLANCE)
        raise AssertionError("the last try returns or raises")
    finally:
        hint.over()


async def _here(log: SqliteLog, request: Request, known: Iterable[type[Workflow[Any]]], progress: Progress) -> Ended:
    async with (
        Engine(log, known, serve=False) as engine,
        keeping(log, keep(), engine.clock),
        _telling(log, await log.end(), progress.say),
    ):
        operator = Operator(engine)
        async with serving(beside(log.path), operator) as door:
            progress.stage, progress.holder = "sent", 0
            progress.runs = await operator.perform(request)
            progress.stage = "taken"
            await _stays(log, request, progress)
            parked = await operator.rest(progress.runs, bool(request.get("follow")))
            ended = [await _rested(log, run, parked) for run in progress.runs]
            if door.busy:
                progress.say(
                    "done here; at work still on what other processes handed over, whose log this process holds"
                )
            await door.quiet()
        await engine.drain()
    return ended


async def _there(database: Path, holder: Connection, request: Request, progress: Progress, hint: Hint) -> Ended:
    """The holder works; this process reads along until the runs are at rest or the holder is gone."""
    async with await SqliteLog.open(database, readonly=True) as log:
        cursor = await log.end()
        progress.stage, progress.holder = "sent", holder.pid
        runs = await holder.ask(request)
        progress.stage = "taken"
        hint.over()
        progress.say(f"process {holder.pid} holds the log and does the work")
        progress.runs, progress.elsewhere = runs, holder.pid
        await _stays(log, request, progress)
        async with _telling(log, cursor, progress.say, runs):
            parked = await holder.rest()
        if parked is None:
            progress.cut = True
            progress.say(f"process {holder.pid} ended before the work was done")
        return [await _rested(log, run, parked or {}) for run in runs]


async def _stays(log: Log, request: Request, progress: Progress) -> None:
    """Whoever follows is told where it stands: nothing else may be said for days."""
    for name in progress.runs if request.get("follow") else ():
        run = await _state(log, name)
        if run.seq and not run.outcome:
            progress.say(f"{headline(run)}; followed to its end, Ctrl-C leaves it as it is")


async def _rested(log: Log, name: str, parked: Mapping[str, str]) -> Rested:
    run = await _state(log, name)
    return Rested(run, parked.get(name, ""), await working(log, run), parked)


async def _state(log: Log, run: str) -> Run:
    """As the log has it; of a run that cannot be read, which is parked for that, no more than its id."""
    try:
        return await rebuild(log, run)
    except Unreadable:
        return Run(id=run)


@asynccontextmanager
async def _telling(log: Log, cursor: str, say: Say, only: Collection[str] = ()) -> AsyncIterator[None]:
    """Say what is decided while the block runs, as it appears in the log; all of it by the end. `only`: of these runs."""
    told: dict[str, Narrator] = {}

    async def tell() -> None:
        nonlocal cursor
        page, cursor = await log.follow(cursor)
        for turn in page:
            if only and turn.stream not in only and not any(ancestors(turn.stream, only)):
                continue
            if turn.stream not in told:
                told[turn.stream] = Narrator()
                say(header(turn))
            for line in told[turn.stream].tell(turn):
                say(line if len(told) == 1 else f"{turn.stream}  {line}")

    async def keep_telling() -> None:
        while True:
            await tell()
            await asyncio.sleep(GLANCE)

    task = asyncio.create_task(keep_telling())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LogError):
            await task
        with suppress(LogError):
            await tell()
