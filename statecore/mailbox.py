"""The socket beside the database: how a second process hands its input to the one that holds the log.

One request a connection, in lines of JSON, over a Unix socket that only its owner may open (mode 0600). The holder
speaks first: its pid says that a request sent now will be read. The request is answered by the runs that it is about,
and, when these are at rest, by why each of them is parked there. A connection that ends before that says that the
holder is gone.

What a request may ask for is in `operations.py`; it is the same whether it is carried out here or over there.
"""

import asyncio
import contextlib
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import attrs
import msgspec

from statecore import errors
from statecore.errors import BadInput, LogError, LogHeld, StatecoreError
from statecore.failures import printable, told
from statecore.strictjson import parse

LIMIT = 9 * 1024 * 1024
"""Bytes of one line: the largest payload and its frame."""

LONGEST = 100
"""Bytes of a path that every system takes for a socket; a longer one is reached through its open directory."""

LINGER = 1.0
"""Seconds that a client which was greeted has to send its request, once the holder is about to end."""

PATIENCE = 20.0
"""Seconds within which a holder greets, and again within which it answers. It takes milliseconds, or for ever where the
process is stopped.
"""

SILENCE = 1.0
"""Seconds after which whoever waits for a holder is told for whom."""

GLANCE = 1.0
"""Seconds that a look at who is there takes at most."""

Line = dict[str, Any]


class NobodyThere(StatecoreError):
    """No process answers at the socket: the holder of the log is starting, ending, or serves none. Nothing was sent."""


class Unanswered(LogError):
    """The request was sent and the holder ended, or was stopped, before it answered: whether it was taken is in the
    log.
    """


class Holder(Protocol):
    """What serves requests: `perform` gives the runs that a request is about, `rest` waits until they are at rest."""

    def perform(self, request: Line) -> Awaitable[list[str]]: ...

    def rest(self, runs: list[str], follow: bool) -> Awaitable[dict[str, str]]: ...


def beside(database: Path) -> Path:
    """Where the process that holds a database answers. A file name that is too long for a socket is shortened."""
    name = f"{database.name}.sock"
    if len(os.fsencode(name)) > LONGEST - 30:
        name = f"{hashlib.sha256(os.fsencode(database.name)).hexdigest()[:16]}.sock"
    return database.resolve().with_name(name)


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """The path as a socket call takes it."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


# -- the holder's side


@attrs.define(eq=False)
class Door:
    """Where a holder takes requests. `silent`: connections whose request has not come yet; `busy`: those whose request
    is being carried out.

    It accepts by itself, since a server of asyncio that is closed may leave a connection behind that it accepted just
    then, and nobody would ever answer it.
    """

    path: Path
    holder: Holder
    listening: socket.socket | None = None
    silent: set[asyncio.Task[Any]] = attrs.field(factory=set)
    busy: set[asyncio.Task[Any]] = attrs.field(factory=set)

    def open(self) -> None:
        """Raises OSError where no socket can be made."""
        self.listening = _bound(self.path)
        asyncio.get_running_loop().add_reader(self.listening, self.admit)

    def admit(self) -> None:
        """Let in who stands there."""
        while self.listening is not None:
            try:
                connection, _ = self.listening.accept()
            except BlockingIOError:
                return
            except OSError:  # no more files, say: who stands there is let in when there are
                asyncio.get_running_loop().remove_reader(self.listening)
                asyncio.get_running_loop().call_later(1.0, self._again, self.listening)
                return
            connection.setblocking(False)
            self.silent.add(asyncio.create_task(self.answer(connection)))

    def _again(self, listening: socket.socket) -> None:
        if self.listening is listening:
            asyncio.get_running_loop().add_reader(listening, self.admit)

    async def answer(self, connection: socket.socket) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            reader, writer = await _streams(connection)
            with contextlib.closing(writer):
                await _send(writer, {"pid": os.getpid()})
                line = await reader.readline()
                self.silent.discard(task)
                self.busy.add(task)
                await self.serve(line, reader, writer)
        except (OSError, ValueError):
            pass  # the client went away, or sent a line without end
        finally:
            self.silent.discard(task)
            self.busy.discard(task)

    async def serve(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not line.endswith(b"\n"):
            return  # it only looked whether somebody is here, or died while it wrote
        try:
            request = parse(line)
            if not isinstance(request, dict):
                raise BadInput("expected a JSON object")
            runs = await self.holder.perform(request)
            await _send(writer, {"runs": runs})
            if (parked := await _unless_gone(self.holder.rest(runs, bool(request.get("follow"))), reader)) is not None:
                await _send(writer, {"parked": parked})
        except OSError:
            raise
        except StatecoreError as error:
            await _send(writer, {"error": type(error).__name__, "message": printable(str(error))})
        except Exception as error:
            said = f"the process that holds the log (pid {os.getpid()}) failed: {type(error).__name__}: {told(error)}"
            await _send(writer, {"error": "StatecoreError", "message": said})

    async def quiet(self) -> None:
        """Wait until no request is being carried out."""
        while self.busy:
            await asyncio.wait(self.busy)

    def shut(self) -> None:
        """Let in who stands there already, and nobody after."""
        if self.listening is not None:
            asyncio.get_running_loop().remove_reader(self.listening)
            self.path.unlink(missing_ok=True)
            self.admit()
            self.listening.close()
            self.listening = None

    async def close(self) -> None:
        """Let nobody in any more, and finish what was greeted."""
        self.shut()
        if self.silent:
            await asyncio.wait(self.silent, timeout=LINGER)
        for task in self.silent:
            task.cancel()
        await self.quiet()

    async def leave(self, patience: float) -> None:
        """Let nobody in any more. Whoever has not asked yet is sent away; what was asked has so many seconds to end."""
        self.shut()
        for task in self.silent:
            task.cancel()
        if self.busy:
            await asyncio.wait(self.busy, timeout=patience)
        self.abandon()

    def abandon(self) -> None:
        for task in (*self.silent, *self.busy):
            task.cancel()


async def _unless_gone(resting: Awaitable[dict[str, str]], client: asyncio.StreamReader) -> dict[str, str] | None:
    """None where the client goes away first: it sends nothing more, so whatever can be read is its end."""
    rest, gone = asyncio.ensure_future(resting), asyncio.ensure_future(client.read(1))
    try:
        await asyncio.wait((rest, gone), return_when=asyncio.FIRST_COMPLETED)
        return await rest if rest.done() else None
    finally:
        rest.cancel()
        gone.cancel()


async def _streams(connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_unix_connection(sock=connection, limit=LIMIT)
    except BaseException:
        connection.close()
        raise


async def _send(writer: asyncio.StreamWriter, line: Line) -> None:
    writer.write(msgspec.json.encode(line) + b"\n")
    await writer.drain()


@contextlib.asynccontextmanager
async def serving(path: Path, holder: Holder) -> AsyncIterator[Door]:
    """Answer requests at `path` while the block runs, and finish them after it. Whoever serves holds the log, so a
    socket left there is nobody's. Where no socket can be made (a disk that has none), nothing is served.
    """
    door = Door(path, holder)
    with contextlib.suppress(OSError):
        door.open()
    try:
        yield door
        await door.close()
    finally:
        door.shut()
        door.abandon()


def _bound(path: Path) -> socket.socket:
    """A socket at `path` that only this user may open."""
    if path.is_socket():
        path.unlink()
    listening = socket.socket(socket.AF_UNIX)
    try:
        with _reachable(path) as name:
            listening.bind(name)
            os.chmod(name, 0o600)  # before it listens, so that nobody else was let in meanwhile
        listening.listen()
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


# -- the client's side


@attrs.define(eq=False)
class Connection:
    """A connection to the process `pid`, which waits for one request."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: Line) -> list[str]:
        """The runs that the request is about. Raises what the holder raised, or Unanswered."""
        try:
            await _send(self.writer, request)
            runs: list[str] = (await _line(self.reader, PATIENCE))["runs"]
        except TimeoutError:
            raise Unanswered(
                f"process {self.pid}, which holds the log, has been silent for {PATIENCE:g} s: is it stopped?"
            ) from None
        except (OSError, EOFError):
            raise Unanswered(f"process {self.pid}, which held the log, ended before it answered") from None
        return runs

    async def rest(self) -> dict[str, str] | None:
        """Why each of the runs is parked there, as soon as they are at rest; None where the holder is gone first."""
        try:
            parked: dict[str, str] = (await _line(self.reader, None))["parked"]
        except (OSError, EOFError):
            return None
        return parked


@attrs.define(eq=False)
class Hint:
    """Tells whoever waits for the holder of a log for whom, once, where it lasts longer than `SILENCE`."""

    say: Callable[[str], None]
    timer: asyncio.TimerHandle | None = None

    def waits(self, pid: int) -> None:
        if self.timer is None:
            who = f"process {pid}" if pid else "another process"
            text = f"{who} holds the log and does not answer yet"
            self.timer = asyncio.get_running_loop().call_later(SILENCE, self.say, text)

    def over(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


@contextlib.asynccontextmanager
async def connected(path: Path, patience: float = PATIENCE) -> AsyncIterator[Connection]:
    """Raises NobodyThere, LogHeld where somebody listens and does not speak."""
    try:
        with _reachable(path) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=LIMIT)
    except OSError as error:
        raise NobodyThere(f"{path}: {error}") from None
    try:
        try:
            greeting = await _line(reader, patience)
        except TimeoutError:
            raise LogHeld(
                f"the process that holds the log has been silent for {patience:g} s: is it stopped?"
            ) from None
        except (OSError, EOFError):
            raise NobodyThere(f"{path}: the holder is ending") from None
        if not isinstance(pid := greeting.get("pid"), int):
            raise NobodyThere(f"{path}: who answers there is no holder of a log")
        yield Connection(pid, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def served(path: Path) -> int:
    """The pid of the process that answers there; 0 where none does."""
    try:
        async with connected(path, GLANCE) as connection:
            return connection.pid
    except (NobodyThere, LogHeld):
        return 0


async def _line(reader: asyncio.StreamReader, patience: float | None) -> Line:
    """The next line. Raises EOFError where there is none, OSError (TimeoutError), and the error that the line tells of."""
    line = await asyncio.wait_for(reader.readline(), patience)
    if not line.endswith(b"\n"):
        raise EOFError
    try:
        found = msgspec.json.decode(line, type=Line)
    except msgspec.DecodeError:
        raise EOFError from None
    if "error" in found:
        raise _raised(found)
    return found


def _raised(answer: Line) -> StatecoreError:
    """The error that the holder raised; one that is made of more than its text, as a StatecoreError of that text."""
    kind, message = getattr(errors, str(answer["error"]), None), str(answer.get("message"))
    try:
        made = kind(message) if isinstance(kind, type) and issubclass(kind, StatecoreError) else StatecoreError(message)
    except TypeError:
        made = StatecoreError(message)
    if type(made).__str__ is StatecoreError.__str__:
        made.args = tuple(message.split("\n"))  # each of its lines
    return made
