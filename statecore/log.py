"""The log: append-only streams of turns. Its protocol, the chain that shows edits, and the log that lives in memory.

A stream's version counts its events. A turn is the tuple of events that one input led to; it is stored as one row and
stands or falls as a whole. Every Log keeps five promises, and `statecore.testing.conformance` holds it to all five:

1. `append` returns after the batch is durable in the way that the log claims, or raises and has written nothing
   (`LogFailed` alone leaves it unknown: open the log again and read).
2. A batch over several streams is all or nothing; one stream or scope that is not at its expected version: `Conflict`.
3. A stream's versions have no gap; `read` gives them in order.
4. `follow` gives every turn once, in commit order, and never skips one that commits later.
5. What is read is what was appended, byte for byte, or `Unreadable` is raised for that stream.
"""

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import attrs

from statecore.chain import (
    GENESIS,
    Append,
    Audit,
    Batch,
    Draft,
    Flaw,
    Head,
    Row,
    SaltSource,
    StreamInfo,
    Turn,
    check,
    drafts_of,
    fresh_salts,
    link,
    place,
    redraft,
    sealed,
    stored,
)
from statecore.checkpoint import Checkpoint
from statecore.errors import BadInput, LogError

__all__ = [
    "GENESIS", "Append", "Batch", "Flaw", "InFile", "KeepsCheckpoints", "Log", "MemoryLog", "Row", "StreamInfo", "Turn", "fresh_salts", "link",
    "sealed",
]  # fmt: skip


class Log(Protocol):
    """Where turns are kept. One engine appends to a log at a time; any number of readers may read."""

    @property
    def home(self) -> Path | None:
        """The directory that the log lives in; None where it lives nowhere."""
        ...

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        """Commit the batch and give its turns. Everything up to the queueing happens before the first suspension, so
        that a caller who does not wait between asking its ledger and calling this cannot be overtaken.

        Raises Conflict, BadInput (an event too large to store), LogFailed, ForkedLog.
        """
        ...

    def read(self, stream: str, after: int = 0) -> AsyncIterator[Turn]:
        """The turns of a stream whose version is above `after`, in order. Raises Unreadable at one that is not."""
        ...

    def read_many(self, streams: Iterable[str]) -> AsyncIterator[Turn]:
        """The turns of several streams, stream by stream, in few queries. One that cannot be decoded says so."""
        ...

    async def streams(self, *, labels: frozenset[str] | None = None) -> list[StreamInfo]:
        """The streams, or those under one of `labels`, in the order in which they began. One query."""
        ...

    async def scope(self, name: str) -> int:
        """The version of a ledger scope; 0 where nothing was ever appended under it."""
        ...

    async def follow(self, cursor: str = "", limit: int = 1000) -> tuple[list[Turn], str]:
        """At most `limit` turns of all streams after `cursor` ("": from the beginning), and the cursor for the next."""
        ...

    async def end(self) -> str:
        """The cursor behind everything that is committed now."""
        ...

    def rows(self, stream: str | None = None) -> AsyncIterator[Row]:
        """The rows of one stream, or of all, as they are stored: stream by stream, each in order of version."""
        ...

    async def restore(self, rows: Iterable[Row], labels: Mapping[str, str]) -> None:
        """Commit rows as another log had them, whole streams that this one does not have, under `labels`, or nothing.

        Raises BadInput where the rows have a flaw or cannot be read, Conflict where a stream is there, LogFailed.
        """
        ...

    async def vacuum(self) -> None:
        """Give back the room of what was erased and purged: afterwards no byte of it is in the log.

        Raises LogError where that cannot be done now, LogFailed.
        """
        ...

    async def verify(self, stream: str | None = None) -> list[Flaw]:
        """What the chain says about every row, or about one stream. Empty: as it was written (short of a cut tail)."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class KeepsCheckpoints(Protocol):
    """What a log may do besides: keep checkpoints. One that does not is a correct log, and reads long runs slower.

    The checkpoints of a stream leave the log in the commit that erases its payloads or purges it.
    """

    def keep(self, checkpoint: Checkpoint) -> Awaitable[bool]:
        """Keep one, queued before this returns; whether it is kept. It is where the stream is just then at its version
        and head, so that none can follow an erasure that took out what it has. It takes the place of those that have
        values from its `first` on, and empties the `state` of those that have not.

        Raises LogError.
        """
        ...

    async def checkpoints(self, stream: str) -> list[Checkpoint]:
        """Those of a stream, by version."""
        ...


@runtime_checkable
class InFile(Protocol):
    """What a log may do besides: lie in a file that other processes read, and that one of them writes."""

    @property
    def held(self) -> Path | None:
        """The file, where it is this process that writes it; None where it only reads."""
        ...


def absent(stream: str) -> Flaw:
    return Flaw(stream, None, "is not in the log")


def position_of(cursor: str) -> int:
    """Raises BadInput where `follow` never gave such a cursor."""
    if cursor and not (cursor.isascii() and cursor.isdigit()):
        raise BadInput(f"the cursor {cursor!r} is none of this log: start from '' or from one that follow gave")
    return int(cursor or 0)


def restored(rows: Iterable[Row], labels: Mapping[str, str]) -> tuple[Batch, list[Draft]]:
    """Rows of another log as a batch that adds them, with their bytes. Raises BadInput, with each flaw they have."""
    audit, drafts, heads = Audit(), [], dict[str, Row]()
    flaws: list[Flaw] = []
    for row in rows:
        flaws += audit.see(row)
        before = heads.get(row.stream)
        drafts.append(redraft(row, before.version if before else 0, labels.get(row.stream, "")))
        heads[row.stream] = row
    if flaws := [*flaws, *audit.end()]:
        faults = tuple(f"{flaw.what} @ {flaw.stream} version {flaw.version}" for flaw in flaws)
        raise BadInput(f"what was exported is not as it was written: {'; '.join(faults[:5])}", faults)
    return Batch(tuple(draft.append for draft in drafts)), drafts


class MemoryLog:
    """A log that dies with its object: for tests, and for runs that need not outlive the process. Durable: nothing.

    It stores the same bytes under the same chain as the others, so that what works here is not refused there. `salts`
    makes the chain repeatable.
    """

    def __init__(self, *, salts: SaltSource | None = None) -> None:
        self._salts = salts or fresh_salts()
        self._rows: list[Row] = []
        self._position = 0
        self._heads: dict[str, Head] = {}
        self._streams: dict[str, list[Row]] = {}
        self._scopes: Counter[str] = Counter()
        self._checkpoints: dict[str, list[Checkpoint]] = {}
        self._closed = False

    @property
    def home(self) -> None:
        return None

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        return self._commit(batch, drafts_of(batch, self._salts))

    def _commit(self, batch: Batch, drafts: Iterable[Draft]) -> tuple[Turn, ...]:
        if self._closed:
            raise LogError("the log is closed: open one before appending")
        check(batch, self._heads, self._scopes)
        self._scopes.update(batch.scopes.keys())
        turns = tuple([self._store(each) for each in drafts])
        self._take_out(batch)
        return turns

    def _store(self, draft: Draft) -> Turn:
        name = draft.append.stream
        head = self._heads.setdefault(name, Head(key=len(self._heads) + 1))
        head.label = draft.append.label or head.label
        self._position += 1
        turn = place(draft, head, self._position)
        self._rows.append(stored(draft, turn))
        self._streams.setdefault(name, []).append(self._rows[-1])
        return turn

    def _take_out(self, batch: Batch) -> None:
        erased = {append.stream for append in batch.appends if append.erase}
        if erased or batch.purge:
            for name in batch.purge:
                del self._heads[name], self._streams[name]
            for name in (*erased, *batch.purge):
                self._checkpoints.pop(name, None)
            for name in erased:
                self._streams[name] = [row.without_payloads() for row in self._streams[name]]
            self._rows = sorted(row for rows in self._streams.values() for row in rows)

    def keep(self, checkpoint: Checkpoint) -> Awaitable[bool]:
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        kept.set_result(not self._closed and self._keep(checkpoint))
        return kept

    def _keep(self, checkpoint: Checkpoint) -> bool:
        head = self._heads.get(checkpoint.stream)
        if head is None or not head.is_at(checkpoint.version, checkpoint.head):
            return False
        before = self._checkpoints.get(checkpoint.stream, [])
        emptied = [attrs.evolve(each, state=b"") for each in before if each.end <= checkpoint.first]
        self._checkpoints[checkpoint.stream] = [*emptied, checkpoint]
        return True

    async def checkpoints(self, stream: str) -> list[Checkpoint]:
        return list(self._checkpoints.get(stream, ()))

    async def read(self, stream: str, after: int = 0) -> AsyncIterator[Turn]:
        for row in list(self._streams.get(stream, ())):
            if row.version > after:
                yield row.turn()

    async def read_many(self, streams: Iterable[str]) -> AsyncIterator[Turn]:
        wanted = set(streams)
        for name in [name for name in self._heads if name in wanted]:
            for row in list(self._streams[name]):
                yield row.turn_or_reason()

    async def streams(self, *, labels: frozenset[str] | None = None) -> list[StreamInfo]:
        return [
            StreamInfo(name, head.version, head.label, self._streams[name][0].at, self._streams[name][-1].at)
            for name, head in self._heads.items()
            if labels is None or head.label in labels
        ]

    async def scope(self, name: str) -> int:
        return self._scopes[name]

    async def follow(self, cursor: str = "", limit: int = 1000) -> tuple[list[Turn], str]:
        start = bisect_right(self._rows, position_of(cursor), key=lambda row: row.position)
        page = [row.turn_or_reason() for row in self._rows[start : start + limit]]
        return page, str(page[-1].position) if page else cursor

    async def end(self) -> str:
        return str(self._position)

    async def rows(self, stream: str | None = None) -> AsyncIterator[Row]:
        for rows in list(self._streams.values()) if stream is None else [self._streams.get(stream, [])]:
            for row in list(rows):
                yield row

    async def restore(self, rows: Iterable[Row], labels: Mapping[str, str]) -> None:
        self._commit(*restored(rows, labels))

    async def vacuum(self) -> None:
        """There is nothing left of it."""

    async def verify(self, stream: str | None = None) -> list[Flaw]:
        if stream is not None and stream not in self._streams:
            return [absent(stream)]
        audit = Audit()
        flaws = [flaw async for row in self.rows(stream) for flaw in audit.see(row)]
        return [*flaws, *audit.end()]

    async def close(self) -> None:
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
