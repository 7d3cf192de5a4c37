"""The log: append-only streams of turns. Its protocol, the chain that shows edits, and the log that lives in memory.

A stream's version counts its events. A turn is the tuple of events that one input led to; it is stored as one row and
stands or falls as a whole. Every Log keeps five promises, and `tests/conformance` holds each of them to all five:

1. `append` returns after the batch is durable in the way that the log claims, or raises and has written nothing
   (`LogFailed` alone leaves it unknown: open the log again and read).
2. A batch over several streams is all or nothing; one stream or scope that is not at its expected version: `Conflict`.
3. A stream's versions have no gap; `read` gives them in order.
4. `follow` gives every turn once, in commit order, and never skips one that commits later.
5. What is read is what was appended, byte for byte, or `Unreadable` is raised for that stream.
"""

import hashlib
import math
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import attrs

from statecore.codec import NOTHING, Asides, decode, encode
from statecore.errors import BadInput, Conflict, LogError, Unreadable
from statecore.events import Event


@attrs.frozen
class Append:
    """Events for one stream, which must be at version `expected` (0: it does not exist yet).

    `label`: the condition that the stream is listed under from now on; "" leaves it as it is.
    """

    stream: str
    expected: int
    events: tuple[Event, ...]
    at: float
    cause: str = ""
    label: str = ""


@attrs.frozen
class Batch:
    """Appends that are committed together. `scopes`: ledger scopes that were read to decide, with their versions; each
    is compared and, where `appends` commit, counted up."""

    appends: tuple[Append, ...]
    scopes: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen
class Turn:
    """One stored row. `version`: of the stream after it. `position`: in the whole log. `head`: the chain's digest after
    it.

    `unreadable`: why its events could not be decoded and are (). Only `follow` and `read_many` give such a turn, since
    a reader of many streams must get past it; `read` raises.
    """

    stream: str
    version: int
    at: float
    cause: str
    events: tuple[Event, ...]
    position: int = 0
    head: bytes = attrs.field(default=b"", repr=False)
    unreadable: str = ""


@attrs.frozen
class StreamInfo:
    """A line of a listing. `started` and `at`: time of the first and the last turn."""

    name: str
    version: int
    label: str
    started: float
    at: float


@attrs.frozen
class Flaw:
    """Something that `verify` found: which stream, at which version (None: the stream as a whole), and what."""

    stream: str
    version: int | None
    what: str


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

    async def verify(self, stream: str | None = None) -> list[Flaw]:
        """What the chain says about every row, or about one stream. Empty: as it was written (short of a cut tail)."""
        ...

    async def close(self) -> None: ...


SaltSource = Callable[[], bytes]


def fresh_salt() -> bytes:
    return secrets.token_bytes(16)


GENESIS = bytes(32)
"""The head of a stream that has no turn yet."""


def link(before: bytes, *, stream: str, version: int, at: float, cause: str, events: bytes, digest: bytes) -> bytes:
    """The chain's next head: h_n = H(h_{n-1}, stream, version, time, cause, events, digest), over the bytes as stored.

    SHA-256. The lengths come first, so that no two rows are spelt alike.
    """
    name, why = stream.encode(), cause.encode()
    sizes = b"%d %d %d %d %d %a " % (len(name), len(why), len(events), len(digest), version, at)
    return hashlib.sha256(b"".join((before, sizes, name, why, events, digest))).digest()


def sealed(salt: bytes, payloads: bytes) -> bytes:
    """The digest of a turn's payloads. Salted, so that it says nothing about a payload that was erased."""
    return hashlib.sha256(salt + payloads).digest()


class Row(NamedTuple):
    """A turn as it is stored. `digest` is kept only where the payloads were erased; else it follows from `salt` and
    `payloads`.
    """

    position: int
    stream: str
    version: int
    at: float
    cause: str
    events: bytes
    payloads: bytes | None
    salt: bytes | None
    digest: bytes | None
    head: bytes
    asides: Asides = NOTHING

    def turn(self) -> Turn:
        """Raises Unreadable."""
        events = decode(self.stream, self.version, self.events, self.payloads, self.asides)
        return Turn(self.stream, self.version, self.at, self.cause, events, self.position, self.head)

    def turn_or_reason(self) -> Turn:
        try:
            return self.turn()
        except Unreadable as fault:
            return Turn(self.stream, self.version, self.at, self.cause, (), self.position, self.head, fault.why)


class Draft(NamedTuple):
    """An append as the bytes that it will be stored as, before it has a place in the log."""

    append: Append
    events: bytes
    payloads: bytes | None
    salt: bytes | None
    digest: bytes
    asides: Asides = NOTHING


def draft(append: Append, salts: SaltSource) -> Draft:
    """Raises BadInput for what no log could store, or not give back as it was."""
    named = append.stream + append.cause + append.label
    if not append.stream or "\x00" in named or not (named.isascii() or _is_unicode(named)):
        raise BadInput(
            f"stream {append.stream!a}: a name, and no NUL or lone surrogate in name, cause or label, is expected"
        )
    if not append.events:
        raise BadInput(f"{append.stream}: an append has at least one event: leave it out of the batch")
    if not math.isfinite(append.at):
        raise BadInput(f"{append.stream}: the time of an append is {append.at}: seconds since the epoch are expected")
    events, payloads, asides = encode(append.events)
    if payloads is None:
        return Draft(append, events, None, None, b"")
    salt = salts()
    return Draft(append, events, payloads, salt, sealed(salt, payloads), asides)


def drafts_of(batch: Batch, salts: SaltSource) -> list[Draft]:
    """Raises BadInput."""
    if not batch.appends:
        raise BadInput("a batch has at least one append: leave the call out")
    return [draft(append, salts) for append in batch.appends]


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


@attrs.define
class Head:
    """Where a stream is. `key`: its number, counted from 1 in the order in which streams began; 0: it has not begun."""

    version: int = 0
    digest: bytes = GENESIS
    label: str = ""
    key: int = 0


def check(batch: Batch, heads: Mapping[str, Head], scopes: Mapping[str, int]) -> None:
    """Raises Conflict where a stream or scope of the batch is not where the batch expects it. Changes nothing."""
    ahead: dict[str, int] = {}
    for append in batch.appends:
        found = ahead.get(append.stream)
        if found is None:
            found = heads[append.stream].version if append.stream in heads else 0
        if found != append.expected:
            raise Conflict(append.stream, append.expected, found)
        ahead[append.stream] = found + len(append.events)
    for scope, expected in batch.scopes.items():
        if scopes.get(scope, 0) != expected:
            raise Conflict(scope, expected, scopes.get(scope, 0))


def place(draft: Draft, head: Head, position: int) -> Turn:
    """The turn that the draft becomes after `head`, which is moved on to it. Time becomes the float that is stored."""
    append = draft.append
    at = float(append.at) + 0.0
    head.version += len(append.events)
    head.digest = link(
        head.digest,
        stream=append.stream,
        version=head.version,
        at=at,
        cause=append.cause,
        events=draft.events,
        digest=draft.digest,
    )
    return Turn(append.stream, head.version, at, append.cause, append.events, position, head.digest)


def audit(rows: Iterable[Row], before: Row | None = None) -> Iterator[Flaw]:
    """The flaws of `rows`, which come by stream and version. `before`: the row ahead of the first, where there is one.

    Each row is checked against the head that the row before it keeps, so an edit is named where it was made and nowhere
    after.
    """
    for row in rows:
        if before is None or before.stream != row.stream:
            before = Row(0, row.stream, 0, 0.0, "", b"", None, None, None, GENESIS)
        yield from (Flaw(row.stream, row.version, what) for what in _faults(row, before))
        before = row


def _faults(row: Row, before: Row) -> Iterator[str]:
    first = before.version
    try:
        first = row.version - len(row.turn().events)
    except Unreadable as fault:
        if row.payloads is not None or row.digest is None:
            yield f"cannot be decoded: {fault.why}"
    if first != before.version:
        yield f"follows version {first}, but the row before it ends at {before.version}: rows are missing"
    elif _head(row, before) != row.head:
        yield "was changed after it was written, or stands in another's place"
    if row.position <= before.position:
        yield f"stands at position {row.position}, before its predecessor at {before.position}"


def _head(row: Row, before: Row) -> bytes:
    digest = row.digest or b"" if row.payloads is None else sealed(row.salt or b"", row.payloads)
    return link(
        before.head,
        stream=row.stream,
        version=row.version,
        at=row.at,
        cause=row.cause,
        events=row.events,
        digest=digest,
    )


def absent(stream: str) -> Flaw:
    return Flaw(stream, None, "is not in the log")


def position_of(cursor: str) -> int:
    """Raises BadInput where `follow` never gave such a cursor."""
    if cursor and not (cursor.isascii() and cursor.isdigit()):
        raise BadInput(f"the cursor {cursor!r} is none of this log: start from '' or from one that follow gave")
    return int(cursor or 0)


class MemoryLog:
    """A log that dies with its object: for tests, and for runs that need not outlive the process. Durable: nothing.

    It stores the same bytes under the same chain as the others, so that what works here is not refused there. `salts`
    makes the chain repeatable.
    """

    def __init__(self, *, salts: SaltSource = fresh_salt) -> None:
        self._salts = salts
        self._rows: list[Row] = []
        self._streams: dict[str, list[Row]] = {}
        self._heads: dict[str, Head] = {}
        self._scopes: Counter[str] = Counter()
        self._closed = False

    @property
    def home(self) -> None:
        return None

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        if self._closed:
            raise LogError("the log is closed: open one before appending")
        drafts = drafts_of(batch, self._salts)
        check(batch, self._heads, self._scopes)
        self._scopes.update(batch.scopes.keys())
        return tuple([self._store(each) for each in drafts])

    def _store(self, draft: Draft) -> Turn:
        name = draft.append.stream
        head = self._heads.setdefault(name, Head(key=len(self._heads) + 1))
        head.label = draft.append.label or head.label
        turn = place(draft, head, len(self._rows) + 1)
        _, events, payloads, salt, _, asides = draft
        at = (turn.position, name, turn.version, turn.at, turn.cause)
        row = Row(*at, events, payloads, salt, None, turn.head, asides)
        self._rows.append(row)
        self._streams.setdefault(name, []).append(row)
        return turn

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
        start = position_of(cursor)
        page = [row.turn_or_reason() for row in self._rows[start : start + limit]]
        return page, str(page[-1].position) if page else cursor

    async def end(self) -> str:
        return str(len(self._rows))

    async def verify(self, stream: str | None = None) -> list[Flaw]:
        if stream is not None and stream not in self._streams:
            return [absent(stream)]
        chosen = self._streams.values() if stream is None else [self._streams[stream]]
        return [flaw for rows in chosen for flaw in audit(rows)]

    async def close(self) -> None:
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
