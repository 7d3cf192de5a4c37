"""The log in one SQLite file: the embedded default. Durable: an acknowledged append survives a crash and a power cut.

One process writes, which an OS lock on `<file>.lock` ensures; in it one task owns the one connection that writes, and
commits whatever was queued while its last commit ran. A commit is one hop to the connection's thread, however much it
writes. Callers wait on futures of their own: to cancel one takes back nothing that is queued. Any number of processes
read, on connections that cannot write, a page at a time.

After an error in a write nobody can know whether it was committed (an I/O error can follow the commit record). So the
log fails whole: every queued and later append raises LogFailed until `reopen`. Reading goes on.

Close it (`async with`). One that nobody closed is closed when `asyncio.run` cancels the tasks that are left, so the
process ends; in a loop that is dropped without cancelling its tasks, aiosqlite's thread keeps the process alive, and no
public way leads around that.

Not promised: disks whose fsync or locks lie (NFS), a second writer that goes round the lock, use across a fork.
`verify` sees no cut tail, lost stream or edited label: only an anchor that is kept elsewhere does.
"""

import asyncio
import os
import shutil
import sqlite3
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiosqlite

from statecore.chain import (
    Batch,
    Draft,
    Head,
    Row,
    SaltSource,
    Turn,
    check,
    drafts_of,
    fresh_salts,
    place,
    stored,
)
from statecore.checkpoint import Checkpoint
from statecore.errors import Conflict, LogError, LogFailed
from statecore.log import restored
from statecore.sqlitefile import Commit, Lock, fault_of, open_reader, open_writer, usable
from statecore.sqlitereading import SCOPES, Reading, names_of

GROUP = 500
"""Batches of one commit. While it is written, those whose commit is over go on to their next. Measured with 1,000
appenders on a shared machine, a few noisy runs each: 50,000-64,000 turns a second, without a bound 47,000-56,000."""
HEADS = 16_384
"""Streams whose head is kept at hand (about 400 bytes each); an append to any other asks one query more."""

_running: set[asyncio.Task[None]] = set()
"""The loop keeps tasks weakly: without this, a log that is dropped unclosed is collected before its thread can end."""

_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
_COUNTERS = "SELECT (SELECT coalesce(max(position), 0) FROM turns), (SELECT coalesce(max(id), 0) FROM streams)"
_HEADS = """
SELECT s.name, coalesce(t.version, 0), coalesce(t.head, zeroblob(32)), s.label, s.id
FROM json_each(?) AS wanted JOIN streams AS s ON s.name = wanted.value LEFT JOIN turns AS t
ON t.stream = s.id AND t.version = (SELECT max(version) FROM turns WHERE stream = s.id)
"""


class Job(NamedTuple):
    """A batch that waits to be committed, and the future that its caller waits on."""

    batch: Batch
    drafts: list[Draft]
    done: asyncio.Future[tuple[Turn, ...]]


class Chore(NamedTuple):
    """Work on the writing connection that is done between two commits."""

    work: Callable[[], Awaitable[Any]]
    done: asyncio.Future[Any]


class SqliteLog(Reading):
    """A Log in the file `path`. `await SqliteLog.open(path)` is the only way to one."""

    def __init__(self, path: Path, lock: Lock | None, salts: SaltSource) -> None:
        super().__init__(path)
        self._lock = lock
        self._salts = salts
        self._failed = ""
        self._queue: list[Job | Chore] = []
        self._wake = asyncio.Event()
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._scopes: OrderedDict[str, int] = OrderedDict()
        self._position = self._keys = 0
        self._pending = Commit()
        self._writer: aiosqlite.Connection | None = None
        self._task: asyncio.Task[None]

    @classmethod
    async def open(cls, path: str | Path, *, readonly: bool = False, salts: SaltSource | None = None) -> Self:
        """Open the log; create it where it is not, unless `readonly`, which needs no lock and no writer.

        Raises BadInput (no such place, or not permitted), ForeignLog, NewerLog, LogHeld, LogError (SQLite refused).
        """
        path = usable(Path(path), readonly)
        log = cls(path, None if readonly else Lock(path), salts or fresh_salts())
        try:
            await log._connect()
        except BaseException:
            await log._disconnect()
            log._release()
            raise
        log._task = asyncio.create_task(log._run(), name=f"writer of {path.name}")
        _running.add(log._task)
        log._task.add_done_callback(_running.discard)
        return log

    @property
    def held(self) -> Path | None:
        return self.path if self._lock is not None else None

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        self._writable()
        turns: tuple[Turn, ...] = await self._queued(partial(Job, batch, drafts_of(batch, self._salts)))
        return turns

    async def restore(self, rows: Iterable[Row], labels: Mapping[str, str]) -> None:
        self._writable()
        await self._queued(partial(Job, *restored(rows, labels)))

    def keep(self, checkpoint: Checkpoint) -> Awaitable[bool]:
        """In a commit of its own, between those of turns."""
        self._writable()
        return self._queued(partial(Chore, partial(self._keep, checkpoint)))

    async def vacuum(self) -> None:
        self._writable()
        [(size,)] = await self._query(_SIZE)
        if (free := shutil.disk_usage(self.home).free) < 2 * size:
            raise LogError(f"{self.path} of {size:,} bytes needs twice that to be rewritten, and {free:,} are free")
        await self._queued(partial(Chore, self._rewrite))

    def _queued(self, waiting: Callable[[asyncio.Future[Any]], "Job | Chore"]) -> "asyncio.Future[Any]":
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(waiting(done))
        self._wake.set()
        return done

    async def reopen(self) -> None:
        """Make a log that raised LogFailed usable again, with what is on the disk. Its lock is kept meanwhile.

        Whoever appended must read its streams again: only now is known whether the failed appends are there. Raises
        what `open` raises, and may then be called again.
        """
        self._usable()
        if self._failed:
            await self._disconnect()
            self._pending.clear()
            self._heads.clear()
            self._scopes.clear()
            await self._connect()
            self._failed = ""

    async def close(self) -> None:
        """Commit what is queued, let go of file and lock. Again: waits for the first. In a forked child: nothing."""
        if self._pid == os.getpid():
            self._closing = True
            self._wake.set()
            await asyncio.wait([self._task])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _writable(self) -> None:
        self._usable()
        if self._lock is None:
            raise LogError(f"{self.path} was opened for reading only: open it without readonly")
        if self._failed:
            raise LogFailed(self._failed)

    async def _run(self) -> None:
        try:
            while self._queue or not self._closing:
                jobs = self._next()
                if jobs:
                    await self._write(jobs)
                elif self._queue:
                    await self._do(self._queue.pop(0))
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._closing = True
            await self._disconnect()
            self._release()

    def _next(self) -> list[Job]:
        """The jobs of the next commit. One that purges is its last: who begins such a stream anew comes after."""
        jobs: list[Job] = []
        for job in self._queue[:GROUP]:
            if isinstance(job, Chore):
                break
            jobs.append(job)
            if job.batch.purge:
                break
        del self._queue[: len(jobs)]
        return jobs

    async def _do(self, chore: Job | Chore) -> None:
        assert isinstance(chore, Chore)
        try:
            result = await chore.work()
        except LogError as fault:
            if not chore.done.done():
                chore.done.set_exception(fault)
        except BaseException as fault:
            self._fail([chore], fault)
            if not isinstance(fault, Exception):
                raise
        else:
            if not chore.done.done():
                chore.done.set_result(result)

    async def _keep(self, checkpoint: Checkpoint) -> bool:
        """A disk that is full, SQLite says so and takes it back; after any other error nobody knows, as in every
        write.
        """
        await self._learn_heads({checkpoint.stream})
        head = self._heads.get(checkpoint.stream)
        if head is None or not head.is_at(checkpoint.version, checkpoint.head):
            return False
        self._pending.checkpoint = checkpoint
        try:
            await self._connection.commit()
        except sqlite3.Error as fault:
            if fault.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            await self._connection.rollback()
            raise LogError(f"{self.path} has no room for a checkpoint: {fault}") from fault
        finally:
            self._pending.clear()
        return True

    async def _rewrite(self) -> None:
        """The whole file, since pages keep remnants of what was moved within them before it was deleted; then the
        write-ahead log, which has the old pages."""
        await self._connection.execute_fetchall("VACUUM")
        [(busy, _, _)] = await self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise LogError(f"{self.path}-wal is being read, and may hold what was taken out: end the reader, try again")

    async def _write(self, jobs: list[Job]) -> None:
        try:
            await self._learn(jobs)
            outcomes = self._plan(jobs)
            if self._pending:
                await self._connection.commit()
                self._pending.clear()
        except BaseException as fault:
            self._fail(jobs, fault)
            if not isinstance(fault, Exception):
                raise
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.done.done():
                continue
            if isinstance(outcome, Conflict):
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)
        _trim(self._heads)
        _trim(self._scopes)

    def _fail(self, jobs: Sequence[Job | Chore], fault: BaseException) -> None:
        self._failed = (
            f"{self.path} failed in a write ({type(fault).__name__}: {fault}); whether the last append was committed "
            "is unknown: mend the cause, reopen the log and read"
        )
        jobs, self._queue = [*jobs, *self._queue], []
        for job in jobs:
            if not job.done.done():
                job.done.set_exception(LogFailed(self._failed))

    async def _learn(self, jobs: list[Job]) -> None:
        """Bring the heads and scopes that the jobs name to hand: one query for all that are not."""
        named = {append.stream for job in jobs for append in job.batch.appends}
        named.update(stream for job in jobs for stream in job.batch.purge)
        await self._learn_heads(named)
        named = {scope for job in jobs for scope in job.batch.scopes}
        if scopes := named - self._scopes.keys():
            for name, version in await self._connection.execute_fetchall(SCOPES, [names_of(scopes)]):
                self._scopes[name] = version

    async def _learn_heads(self, named: set[str]) -> None:
        if streams := named - self._heads.keys():
            for name, *head in await self._connection.execute_fetchall(_HEADS, [names_of(streams)]):
                self._heads[name] = Head(*head)

    def _plan(self, jobs: list[Job]) -> list[tuple[Turn, ...] | Conflict]:
        """What each job comes to. Rows of those that fit are made pending; others leave none."""
        outcomes: list[tuple[Turn, ...] | Conflict] = []
        for job in jobs:
            try:
                check(job.batch, self._heads, self._scopes)
            except Conflict as conflict:
                outcomes.append(conflict)
                continue
            outcomes.append(tuple([self._place(draft) for draft in job.drafts]))
            for scope in job.batch.scopes:
                self._scopes[scope] = self._scopes.get(scope, 0) + 1
                self._pending.scopes.append((scope, self._scopes[scope]))
            self._pending.purged += [self._heads.pop(stream).key for stream in job.batch.purge]
        return outcomes

    def _place(self, draft: Draft) -> Turn:
        append = draft.append
        head = self._heads.setdefault(append.stream, Head())
        self._heads.move_to_end(append.stream)
        if not head.key or append.label not in ("", head.label):
            if not head.key:
                self._keys = head.key = self._keys + 1
            head.label = append.label
            self._pending.streams.append((head.key, append.stream, append.label))
        self._position += 1
        turn = place(draft, head, self._position)
        row = stored(draft, turn)
        self._pending.turns.append((row.position, head.key, *row[2:-1]))
        if row.asides:
            self._pending.asides += [(row.position, *aside) for aside in row.asides.items()]
        if append.erase:
            self._pending.erased.append((head.key, row.position))
        return turn

    @property
    def _connection(self) -> aiosqlite.Connection:
        if self._writer is None:
            raise sqlite3.OperationalError("it could not be opened again")
        return self._writer

    async def _connect(self) -> None:
        try:
            if self._lock:
                self._writer = await open_writer(self.path, self._pending)
                [(self._position, self._keys)] = await self._writer.execute_fetchall(_COUNTERS)
            self._reader = await open_reader(self.path)
        except sqlite3.Error as fault:
            raise LogError(f"{self.path} cannot be opened: {fault_of(fault)}") from fault

    def _release(self) -> None:
        if self._lock:
            self._lock.release()

    async def _disconnect(self) -> None:
        """The reader first, so that the writer is the last and leaves no write-ahead log behind."""
        connections, self._reader, self._writer = (self._reader, self._writer), None, None
        for connection in connections:
            if connection:
                with suppress(sqlite3.Error):
                    await connection.close()


def _trim(cache: OrderedDict[str, Any]) -> None:
    while len(cache) > HEADS:
        cache.popitem(last=False)
