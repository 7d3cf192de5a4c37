"""Turns, the bytes that they are stored as, and the chain that shows edits. Every Log stores these same rows.

A row's head is a digest over the head before it and everything that the row says, the payloads by a salted digest of
their own. So payloads can be taken out, and the chain still holds; an edit, a swap and an inner row that is gone show.
"""

import hashlib
import math
import secrets
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import attrs

from statecore.codec import NOTHING, Asides, decode, encode
from statecore.errors import BadInput, Conflict, Unreadable
from statecore.events import Erased, Event
from statecore.events import Turn as Turn
from statecore.run import ASKS


@attrs.frozen
class Append:
    """Events for one stream, which must be at version `expected` (0: it does not exist yet).

    `label`: the condition that the stream is listed under from now on; "" leaves it as it is. `erase`: the payloads of
    all turns before it leave the log with this commit. It says so with an `Erased`, or `verify` takes it for tampering.
    """

    stream: str
    expected: int
    events: tuple[Event, ...]
    at: float
    cause: str = ""
    label: str = ""
    erase: bool = False


NONE: Mapping[str, int] = MappingProxyType({})


@attrs.frozen
class Batch:
    """Appends that are committed together. `scopes`: ledger scopes that were read to decide, with their versions; each
    is compared and, where `appends` commit, counted up. `purge`: streams that leave the log with this commit, with the
    versions that they are at; `appends` say so.
    """

    appends: tuple[Append, ...]
    scopes: Mapping[str, int] = NONE
    purge: Mapping[str, int] = NONE


@attrs.frozen
class StreamInfo:
    """A line of a listing. `started` and `at`: time of the first and the last turn."""

    name: str
    version: int
    label: str
    started: float
    at: float

    @property
    def condition(self) -> str:
        """The label, without the mark that a person is asked."""
        return self.label.removesuffix(ASKS)


@attrs.frozen
class Flaw:
    """Something that `verify` found: which stream, at which version (None: the stream as a whole), and what."""

    stream: str
    version: int | None
    what: str


SaltSource = Callable[[], bytes]


def fresh_salts() -> SaltSource:
    """Random bytes, 16 for each turn, drawn for many turns at once: each draw gives the interpreter lock away, and
    beside a thread that writes it comes back late.
    """

    def drawn() -> Iterator[bytes]:
        while True:
            page = secrets.token_bytes(4096)
            yield from (page[start : start + 16] for start in range(0, len(page), 16))

    return drawn().__next__


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

    @property
    def erased(self) -> bool:
        return self.payloads is None and self.digest is not None

    def without_payloads(self) -> "Row":
        if self.payloads is None:
            return self
        kept = sealed(self.salt or b"", self.payloads)
        return self._replace(payloads=None, salt=None, digest=kept, asides=NOTHING)

    def turn(self) -> Turn:
        """Raises Unreadable."""
        events = decode(self.stream, self.version, self.events, self.payloads, self.asides, erased=self.erased)
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


def redraft(row: Row, expected: int, label: str) -> Draft:
    """A row of another log as a draft with the same bytes. What cannot be decoded has no events."""
    append = Append(row.stream, expected, row.turn_or_reason().events, row.at, row.cause, label)
    return Draft(append, row.events, row.payloads, row.salt, digest_of(row), row.asides)


def stored(draft: Draft, turn: Turn) -> Row:
    """The row that a draft becomes at its place."""
    _, events, payloads, salt, digest, asides = draft
    kept = digest or None if payloads is None else None
    at = (turn.position, turn.stream, turn.version, turn.at, turn.cause)
    return Row(*at, events, payloads, salt, kept, turn.head, asides)


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

    def is_at(self, version: int, digest: bytes) -> bool:
        return (self.version, self.digest) == (version, digest)


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
    for stream, expected in batch.purge.items():
        found = heads[stream].version if stream in heads else 0
        if found != expected:
            raise Conflict(stream, expected, found)
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


class Audit:
    """Finds the flaws of rows, which it is shown by stream and version.

    Each row is checked against the head that the row before it keeps, so an edit is named where it was made and nowhere
    after. Payloads may be gone where a later `Erased` says so.
    """

    def __init__(self) -> None:
        self._before: Row | None = None
        self._erased: list[Row] = []

    def see(self, row: Row) -> Iterator[Flaw]:
        before = self._before
        if before is None or before.stream != row.stream:
            yield from self.end()
            before = Row(0, row.stream, 0, 0.0, "", b"", None, None, None, GENESIS)
        yield from (Flaw(row.stream, row.version, what) for what in self._faults(row, before))
        self._before = row

    def end(self) -> Iterator[Flaw]:
        """What is left to be found once the last row was seen."""
        gone = "its payloads are gone, and nothing says who erased them"
        yield from (Flaw(row.stream, row.version, gone) for row in self._erased)
        self._erased = []

    def _faults(self, row: Row, before: Row) -> Iterator[str]:
        first = before.version
        if row.erased:
            self._erased.append(row)
        try:
            events = row.turn().events
        except Unreadable as fault:
            yield f"cannot be decoded: {fault.why}"
        else:
            first = row.version - len(events)
            if any(isinstance(event, Erased) for event in events):
                self._erased = []
        if first != before.version:
            yield f"follows version {first}, but the row before it ends at {before.version}: rows are missing"
        elif _head(row, before) != row.head:
            yield "was changed after it was written, or stands in another's place"
        if row.position <= before.position:
            yield f"stands at position {row.position}, before its predecessor at {before.position}"


def digest_of(row: Row) -> bytes:
    return row.digest or b"" if row.payloads is None else sealed(row.salt or b"", row.payloads)


def _head(row: Row, before: Row) -> bytes:
    return link(
        before.head,
        stream=row.stream,
        version=row.version,
        at=row.at,
        cause=row.cause,
        events=row.events,
        digest=digest_of(row),
    )
