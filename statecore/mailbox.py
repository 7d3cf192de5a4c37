"""The socket beside the database: how a second process hands its input to the one that holds the log.

One request a connection: a line of JSON, answered by a line of JSON, over a Unix socket that only its owner may open (mode 0600). What
a request may ask for is in `operations.py`; it is the same whether it is carried out here or over there.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from statecore import errors
from statecore.errors import BadInput, StatecoreError
from statecore.strictjson import parse

LIMIT = 9 * 1024 * 1024
"""Bytes of one line: the largest payload and its frame."""

LONGEST = 100
"""Bytes of a path that every system takes for a socket; a longer one is reached through its open directory."""

Handle = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class NobodyThere(StatecoreError):
    """No process answers at the socket: the holder of the log is starting, ending, or serves none."""


def beside(database: Path) -> Path:
    return database.with_name(database.name + ".sock")


@contextlib.contextmanager
def _reachable(path: Path) -> Any:
    """The path as a socket call takes it."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


@contextlib.asynccontextmanager
async def serving(path: Path, handle: Handle) -> AsyncIterator[None]:
    """Answer requests at `path` while the block runs. Whoever serves holds the log, so a socket left there is nobody's."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            writer.write(msgspec.json.encode(await _reply(handle, await reader.readline())) + b"\n")
            await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        with _reachable(path) as name:
            listening.bind(name)
    finally:
        os.umask(before)
    server = await asyncio.start_unix_server(answer, sock=listening, limit=LIMIT)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _reply(handle: Handle, line: bytes) -> dict[str, Any]:
    try:
        request = parse(line)
        if not isinstance(request, dict):
            raise BadInput("expected a JSON object")
        return await handle(request)
    except StatecoreError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:
        return {"error": "StatecoreError", "message": f"the process that holds the log failed: {type(error).__name__}: {error}"}


async def post(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Hand a request to the holder and give its reply. Raises what the holder raised, or NobodyThere."""
    try:
        with _reachable(path) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=LIMIT)
        writer.write(msgspec.json.encode(request) + b"\n")
        await writer.drain()
        line = await reader.readline()
        writer.close()
    except OSError as error:
        raise NobodyThere(f"{path}: {error}") from None
    if not line:
        raise NobodyThere(f"{path}: the holder of the log ended without an answer")
    reply: dict[str, Any] = msgspec.json.decode(line)
    if "error" in reply:
        raise _raised(reply)
    return reply


def _raised(reply: dict[str, Any]) -> StatecoreError:
    kind = getattr(errors, reply["error"], StatecoreError)
    if kind in (errors.Conflict, errors.Unreadable) or not issubclass(kind, StatecoreError):
        kind = StatecoreError
    error: StatecoreError = kind(reply["message"])
    return error
