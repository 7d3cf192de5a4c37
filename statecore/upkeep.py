"""What an operator asks of the log itself: import, erase, purge, vacuum, and which
specialists are in rotation.

One table of requests, carried out here where the log is free, and else by the process that holds it. None of them
needs a workflow, and no run is taken up for them.
"""

import asyncio
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from statecore import retention, saying, transfer
from statecore.clock import Clock, SystemClock
from statecore.errors import BadInput, LogHeld
from statecore.log import Log
from statecore.mailbox import Hint, NobodyThere, beside, connected
from statecore.sqlite import SqliteLog
from statecore.switches import switch

Request = dict[str, Any]

GLANCE, TRIES = 0.05, 100
"""Seconds between two tries of a log that is held and whose holder does not answer yet, and how many there are."""


async def carry_out(database: Path, request: Request, say: Callable[[str], None]) -> list[str]:
    """Perform a request and give the runs that it was about. `say` is told who is waited for, where it lasts.

    Raises what the request is refused with; LogHeld where the log is held by a process that serves no socket; Unanswered.
    """
    refused, hint = LogHeld(f"{database} is held"), Hint(say)
    try:
        for _ in range(TRIES):
            try:
                log = await SqliteLog.open(database)
            except LogHeld as held:
                refused = held
                hint.waits(held.pid)
                with suppress(NobodyThere):
                    async with connected(beside(database)) as holder:
                        return await holder.ask(request)
            else:
                hint.over()
                async with log:
                    return await perform(log, SystemClock(), request)
            await asyncio.sleep(GLANCE)
    finally:
        hint.over()
    raise LogHeld(f"{refused}; it takes no requests from here, so wait until it ends") from None


async def perform(log: Log, clock: Clock, request: Request) -> list[str]:
    """Raises what the request is refused with."""
    return await DO[request["do"]](log, clock, request)


async def _import(log: Log, clock: Clock, request: Request) -> list[str]:
    file = Path(_text(request, "file"))
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # noqa: ASYNC240 - a device has no end, and a pipe may never speak
            raise BadInput(f"{file} is no regular file: write what was exported into one, and name that")
        with file.open("rb") as lines:  # noqa: ASYNC230 - a local file, and one commit of all of it
            return await transfer.restore(log, lines)
    except OSError as error:
        raise BadInput(f"{request['file']}: {error.strerror}: name a file that can be read") from None


async def _erase(log: Log, clock: Clock, request: Request) -> list[str]:
    run = _text(request, "run")
    await retention.erase(log, run, clock.now(), **said(request))
    return [run]


async def _purge(log: Log, clock: Clock, request: Request) -> list[str]:
    older = request.get("older")
    if not isinstance(older, int | float):
        raise BadInput(f"expected `older` to be seconds, found {older!r}")
    return await retention.purge(log, older, clock.now(), **said(request))


async def _switch(log: Log, clock: Clock, request: Request) -> list[str]:
    name, on = _text(request, "specialist"), request.get("on")
    if not isinstance(on, bool):
        raise BadInput(f"expected `on` to be true or false, found {on!r}")
    changed = await switch(log, name, on, clock.now(), **said(request))
    return [name] if changed else []


async def _vacuum(log: Log, clock: Clock, request: Request) -> list[str]:
    await log.vacuum()
    return []


def _text(request: Request, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise BadInput(f"expected `{name}` to be text, found {value!r}")
    return value


def said(request: Request) -> dict[str, str]:
    """Who asks for something, and why: both in words. Raises BadInput."""
    return {name: words(request, name) for name in saying.SAID}


def words(request: Request, name: str) -> str:
    return saying.words(name, request.get(name))


DO: dict[str, Callable[[Log, Clock, Request], Awaitable[list[str]]]] = {
    "import": _import,
    "erase": _erase,
    "purge": _purge,
    "vacuum": _vacuum,
    "switch": _switch,
}
