"""The file under `SqliteLog`: how a commit is written, who may write it, and which files are not ours to touch."""

import fcntl
import os
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import aiosqlite
import attrs

from statecore.chain import sealed
from statecore.checkpoint import Checkpoint
from statecore.errors import BadInput, ForeignLog, LogError, LogHeld, NewerLog, OlderLog
from statecore.failpoint import Point, failpoint
from statecore.schema import SCHEMA, migrate

APPLICATION_ID = 1470622734

REMEDY = (
    "the file is damaged: restore a backup, or save what can still be read, with `statecore export` or `sqlite3 FILE"
    " .recover`"
)

ROWS = 250
"""Rows of one INSERT. Python's sqlite3 gives the interpreter lock away and asks for it back once per statement, and
beside a busy event loop each time may cost milliseconds: few statements matter more than short ones."""

_STREAM = "INSERT INTO streams VALUES ", "(?,?,?)", " ON CONFLICT (id) DO UPDATE SET label = excluded.label"
_TURN = "INSERT INTO turns VALUES ", "(?,?,?,?,?,CAST(? AS TEXT),CAST(? AS TEXT),?,?,?)", ""
_ASIDE = "INSERT INTO asides VALUES ", "(?,?,CAST(? AS TEXT))", ""
_SCOPE = "INSERT INTO scopes VALUES ", "(?,?)", " ON CONFLICT (name) DO UPDATE SET version = excluded.version"
_ERASE = """
UPDATE turns SET digest = sealed(salt, CAST(payloads AS BLOB)), payloads = NULL, salt = NULL
WHERE stream = ? AND position < ? AND payloads IS NOT NULL
"""
_ERASE_ASIDES = "DELETE FROM asides WHERE turn IN (SELECT position FROM turns WHERE stream = ? AND position < ?)"
_PURGE = (
    "DELETE FROM asides WHERE turn IN (SELECT position FROM turns WHERE stream = ?)",
    "DELETE FROM turns WHERE stream = ?",
    "DELETE FROM streams WHERE id = ?",
)
_CHECKPOINT = "INSERT OR REPLACE INTO checkpoints SELECT id, ?, ?, ?, ?, ?, ?, ? FROM streams WHERE name = ?"
_EMPTY = "UPDATE checkpoints SET state = x'' WHERE stream = (SELECT id FROM streams WHERE name = ?) AND version < ?"
_FORGET = "DELETE FROM checkpoints WHERE stream = ?"
_REPLACE = """DELETE FROM checkpoints WHERE stream = (SELECT id FROM streams WHERE name = ?) AND "end" > ?"""
_IDENTITY = """
SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
(SELECT count(*) FROM sqlite_schema)
"""


@attrs.define
class Commit:
    """The rows that the next commit writes. `streams`: id, name and label, where either is new. `asides`: position
    of the turn, digest and bytes. `scopes`: name and version. `erased`: id of a stream, and the position before which
    its payloads go. `purged`: ids of streams that go. `checkpoint`: one that is kept, in a commit of its own.
    """

    streams: list[tuple[int, str, str]] = attrs.field(factory=list)
    turns: list[tuple[Any, ...]] = attrs.field(factory=list)
    asides: list[tuple[int, bytes, bytes]] = attrs.field(factory=list)
    scopes: list[tuple[str, int]] = attrs.field(factory=list)
    erased: list[tuple[int, int]] = attrs.field(factory=list)
    purged: list[int] = attrs.field(factory=list)
    checkpoint: Checkpoint | None = None

    def __bool__(self) -> bool:
        return bool(self.turns)

    def statements(self) -> Iterator[tuple[str, list[Any]]]:
        tables = (_STREAM, self.streams), (_TURN, self.turns), (_ASIDE, self.asides), (_SCOPE, self.scopes)
        for (insert, marks, otherwise), rows in tables:
            for some in _slices(rows):
                yield insert + ",".join([marks] * len(some)) + otherwise, list(chain.from_iterable(some))
        for stream, before in self.erased:
            yield _ERASE_ASIDES, [stream, before]
            yield _ERASE, [stream, before]
            yield _FORGET, [stream]
        for stream in self.purged:
            yield from ((statement, [stream]) for statement in (_FORGET, *_PURGE))
        if self.checkpoint:
            yield from _keeping(self.checkpoint)

    def clear(self) -> None:
        self.streams, self.turns, self.asides, self.scopes, self.erased, self.purged = [], [], [], [], [], []
        self.checkpoint = None


def _keeping(checkpoint: Checkpoint) -> Iterator[tuple[str, list[Any]]]:
    stream, *row = attrs.astuple(checkpoint, recurse=False)
    yield _REPLACE, [stream, checkpoint.first]
    yield _CHECKPOINT, [*row, stream]
    yield _EMPTY, [stream, checkpoint.version]


def _slices(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))


def committing(pending: Commit) -> type[sqlite3.Connection]:
    class Committing(sqlite3.Connection):
        """`commit` writes what is pending, all or nothing. aiosqlite calls it in its thread: one hop, however much
        there is.

        An error leaves the transaction to be rolled back by the closing that follows every error here.
        """

        def commit(self) -> None:
            statements = list(pending.statements())
            several = len(statements) > 1
            if several:
                self.execute("BEGIN IMMEDIATE")
            for sql, values in statements:
                self.execute(sql, values)
                if pending.checkpoint:
                    failpoint(Point.DURING_CHECKPOINT)
            if several:
                self.execute("COMMIT")

    return Committing


async def open_writer(path: Path, pending: Commit) -> aiosqlite.Connection:
    """The one connection that writes, on a database that has our schema. Raises what `SqliteLog.open` does."""
    writer = await aiosqlite.connect(path, isolation_level=None, factory=committing(pending), cached_statements=16)
    try:
        schema = await _recognise(writer, path)
        [(mode,)] = await writer.execute_fetchall("PRAGMA journal_mode=WAL")
        if mode != "wal":
            raise LogError(f"{path} can have no write-ahead log there, but {mode}: move it to a local disk")
        await writer.execute_fetchall("PRAGMA synchronous=FULL")
        await writer.execute_fetchall("PRAGMA secure_delete=ON")
        await writer.create_function("sealed", 2, sealed, deterministic=True)
        await migrate(writer, path, schema)
        return writer
    except BaseException:
        await writer.close()
        raise


async def open_reader(path: Path) -> aiosqlite.Connection:
    """A connection that cannot write.

    It must still be able to create `-shm` beside the file. Where it may not, and no `-wal` says that anything is
    missing from the file, the file is taken as unchanging: an archive on a disk that is mounted for reading, say.
    """
    uri = f"{path.as_uri()}?mode=ro"
    try:
        return await _open_known(uri, path)
    except sqlite3.OperationalError as fault:
        if fault.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or _has_wal(path):
            raise
    return await _open_known(f"{uri}&immutable=1", path)


async def _open_known(uri: str, path: Path) -> aiosqlite.Connection:
    reader = await aiosqlite.connect(uri, uri=True, isolation_level=None)
    try:
        schema = await _recognise(reader, path)
        if not schema:
            raise ForeignLog(f"{path} is an empty database: open it once for writing to begin a log in it")
        if schema < SCHEMA:
            raise OlderLog(
                f"{path} has schema {schema}, this release {SCHEMA}: open it once for writing, which keeps a backup"
            )
        return reader
    except BaseException:
        await reader.close()
        raise


async def _recognise(connection: aiosqlite.Connection, path: Path) -> int:
    """The schema of the database, 0 where it is empty. Raises ForeignLog and NewerLog where it is not ours to use."""
    try:
        [(application, schema, objects)] = await connection.execute_fetchall(_IDENTITY)
    except sqlite3.DatabaseError as fault:
        if fault.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise ForeignLog(f"{path} is no SQLite database: name another file") from None
        raise
    if application == APPLICATION_ID:
        if schema > SCHEMA:
            raise NewerLog(f"{path} has schema {schema}, this release knows {SCHEMA}: use the release that wrote it")
        return int(schema)
    if application or objects:
        raise ForeignLog(f"{path} belongs to another program (its application id is {application}): name another file")
    return 0


def usable(path: Path, readonly: bool) -> Path:
    """The path without links, since a log has one lock. Raises ForeignLog (a directory), BadInput (no place)."""
    path = path.resolve()
    if path.is_dir():
        raise ForeignLog(f"{path} is a directory: name a file in it")
    if not path.parent.is_dir():
        raise BadInput(f"{path.parent} is no directory: create it first")
    if readonly:
        if not path.exists():
            raise BadInput(f"there is no log at {path}: open it once for writing to begin one")
    elif not os.access(path.parent, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise BadInput(f"{path} cannot be written by this user: open it for reading only, or mend the permissions")
    return path


def fault_of(fault: sqlite3.Error) -> str:
    """What SQLite says, and what to do where the file is damaged."""
    damaged = getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT  # Python's own errors have none
    return f"{fault}: {REMEDY}" if damaged else str(fault)


def _has_wal(path: Path) -> bool:
    return Path(f"{path}-wal").exists()


class Lock:
    """The right to write `path`: an OS lock on the file beside it, which ends with the process however that ends.

    The file keeps the holder's pid and is never deleted, since a lock on a deleted file excludes nobody. Raises
    LogHeld.
    """

    held: ClassVar["weakref.WeakSet[Lock]"] = weakref.WeakSet()

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise BadInput(
                f"{path}.lock cannot be written: {fault.strerror}: open it for reading only, or mend the permissions"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            said = os.read(self._file, 20)
            os.close(self._file)
            pid = int(said) if said.isdigit() else 0
            raise LogHeld(
                f"{path} is being written by process {pid or '(just starting)'}: stop it, or open it for reading only",
                pid,
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, b"%d" % os.getpid())
        self.held.add(self)

    def release(self) -> None:
        if self in self.held:
            self.held.discard(self)
            os.close(self._file)


def _let_go_in_the_child() -> None:
    """A forked child closes its copies, so that no lock outlives the process that took it; the parent's stay."""
    for lock in list(Lock.held):
        lock.release()


os.register_at_fork(after_in_child=_let_go_in_the_child)
