"""One writing command from beginning to end: here, where the log is free, or through the process that holds it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from statecore.engine import Engine
from statecore.errors import LogError
from statecore.log import Log
from statecore.mailbox import beside, serving
from statecore.operations import Reply, Request, open_or_hand_over, perform
from statecore.present import Narrator
from statecore.run import Run, fold
from statecore.sqlite import SqliteLog
from statecore.workflow import Workflow

Say = Callable[[str], None]
Ended = list[tuple[Run, str]]

GLANCE = 0.05
"""Seconds between two looks at a log that somebody else, or another task, writes."""


async def carry_out(database: Path, request: Request, known: Iterable[type[Workflow[Any]]], say: Say, begun: Callable[[str], None]) -> Ended:
    """Perform a request and see its runs to rest; each with the reason where it is parked here.

    `say` is told every decision as it is read from the log, `begun` the id of every run that is worked on.
    """
    opened = await open_or_hand_over(database, request)
    if isinstance(opened, SqliteLog):
        return await _here(opened, request, known, say, begun)
    return await _there(database, opened, say, begun)


async def _here(log: SqliteLog, request: Request, known: Iterable[type[Workflow[Any]]], say: Say, begun: Callable[[str], None]) -> Ended:
    async with Engine(log, known) as engine, serving(beside(log.path), lambda asked: perform(engine, asked)):
        async with _telling(log, await log.end(), say):
            reply = await perform(engine, request)
            for run in reply["runs"]:
                begun(run)
            parked = {run: engine.parked(run) for run in reply["runs"]}
            ended = [(await engine.wait(run), engine.parked(run) or parked[run]) for run in reply["runs"]]
            await engine.drain()
        return ended


async def _there(database: Path, reply: Reply, say: Say, begun: Callable[[str], None]) -> Ended:
    """The holder works; this process reads along until the runs are at rest or the holder is gone."""
    say("another process holds the log and does the work")
    parked: dict[str, str] = reply.get("parked", {})
    async with await SqliteLog.open(database, readonly=True) as log:
        ended = []
        for run in reply["runs"]:
            begun(run)
            ended.append((await _at_rest(log, run, say, parked.get(run, ""), beside(database)), parked.get(run, "")))
        return ended


async def _at_rest(log: Log, run: str, say: Say, parked: str, socket: Path) -> Run:
    narrator, state = Narrator(), Run(id=run)
    while True:
        served = socket.exists()
        async for turn in log.read(run, state.seq):
            state = fold(state, turn.events, turn.at)
            for line in narrator.tell(turn):
                say(line)
        if parked or not served or state.condition not in ("running", "waiting", "paused"):
            return state
        await asyncio.sleep(GLANCE)


@asynccontextmanager
async def _telling(log: Log, cursor: str, say: Say) -> AsyncIterator[None]:
    """Say what is decided while the block runs, as it appears in the log; all of it by the end."""
    told: dict[str, Narrator] = {}

    async def tell() -> None:
        nonlocal cursor
        page, cursor = await log.follow(cursor)
        for turn in page:
            for line in told.setdefault(turn.stream, Narrator()).tell(turn):
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
