"""A checkpoint: a stored fold of a run, which may be deleted at any time. Pure.

Rebuilding a run reads its whole log. A checkpoint has what the fold of the first events gave, so that only the rest is
read. It is a cache and never the truth: whatever does not fit (another fold, other bytes, another head in the log at
its version) makes the run be rebuilt from the whole log.

A run keeps all recorded values, so a checkpoint that carried them all would cost more the longer the run is. Each has
only the values since the one before it: a run is taken from the `state` of its newest checkpoint, and from the `values`
of all. They stay bytes until somebody asks for one.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from typing import Any, get_args, get_type_hints

import attrs
import msgspec

from statecore.run import Run
from statecore.trail import Trail, Unread, Value

MEANING = 2
"""Raise it when the same events fold to another run than before, though the fields are the same."""

EVERY = 1_000
"""Events of a run between two checkpoints. To read and fold so many takes 5 to 10 ms, so a run is never further than
that from being taken up; and a run of a few dozen calls, as most are, never writes one. Closing writes none: who is
killed has none either, and all that it would spare is these milliseconds.
"""

HEAVY = 32 * 1024 * 1024
"""Bytes of one checkpoint, at most. What has more is rebuilt from its log, which takes as long as its values are large.
"""


@attrs.frozen
class Checkpoint:
    """As it is stored. `version`, `head`: of the turn after which it was taken. `fold`: what it was folded by.

    `first`, `end`: ids of its first value and of the one after its last. `values`, `state`: a digest, and then the
    bytes; of a checkpoint that has a newer one, `state` may be empty.
    """

    stream: str
    version: int
    head: bytes
    fold: str
    first: int
    end: int
    values: bytes = attrs.field(repr=False)
    state: bytes = attrs.field(repr=False)


@attrs.frozen
class Mark:
    """How far the checkpoints of a run reach: its version, and how many values they have. Zeros: there is none."""

    version: int = 0
    values: int = 0

    def due(self, run: Run) -> bool:
        return run.seq - self.version >= EVERY


class Unfit(ValueError):
    """A checkpoint that says nothing about its run. `other`: it was folded otherwise, and so it is nobody's fault."""

    def __init__(self, why: str, other: bool = False) -> None:
        super().__init__(why)
        self.other = other


def taken(run: Run, head: bytes, mark: Mark) -> Checkpoint | None:
    """The checkpoint of a run that goes on from `mark`; None where it would have more than `HEAVY` bytes."""
    new = run.values[mark.values :]
    payloads = [
        *(value.payload for value in (*new, *run.newest.values())),
        *(call.request for call in run.calls.values()),
    ]
    if sum(len(payload.data) for payload in payloads) > HEAVY:
        return None
    bare = Checkpoint(run.id, run.seq, head, fold(), mark.values, len(run.values), b"", b"")
    state = {name: _plain(getattr(run, name)) for name in _names(Run) if name != "values"}
    return attrs.evolve(bare, values=_sealed(bare, _plain(new)), state=_sealed(bare, state))


def opened(kept: Sequence[Checkpoint]) -> Run:
    """The run as the last of its checkpoints has it; all of them, in order. Raises Unfit."""
    last = kept[-1]
    if other := [each.fold for each in kept if each.fold != fold()]:
        raise Unfit(f"it was folded by {other[0]}, this release folds by {fold()}", other=True)
    if [each.first for each in kept] != [0, *(each.end for each in kept[:-1])]:
        raise Unfit("those before it do not lead to it")
    parts = [
        Unread(each.first, each.end - each.first, partial(_values.decode, _unsealed(each, each.values)))
        for each in kept
    ]
    try:
        run = _run.decode(_unsealed(last, last.state))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise Unfit(f"it cannot be decoded: {fault}") from None
    if (run.id, run.seq) != (last.stream, last.version):
        raise Unfit(f"it has {run.id} at version {run.seq}")
    config = attrs.evolve(run.config)  # msgspec fills fields past __init__, which begins what keeps a cached hash
    return attrs.evolve(run, config=config, values=Trail.of(parts))


@cache
def fold() -> str:
    """What names the fold of this release: its meaning, and a digest of the fields that it fills."""
    return f"{MEANING}-{sha256(repr(shape()).encode()).hexdigest()[:12]}"


def shape() -> dict[str, tuple[str, ...]]:
    """The fields of a run, and of every class that they are made of."""
    return {kind.__name__: _names(kind) for kind in dict.fromkeys(_classes(Run))}


def _classes(kind: Any) -> Iterator[type]:
    for part in get_args(kind):
        yield from _classes(part)
    if kind is Trail:
        yield from _classes(Value)
    elif attrs.has(kind):
        yield kind
        hints = get_type_hints(kind)
        for name in _names(kind):
            yield from _classes(hints[name])


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields that make two values equal. Others are only at hand."""
    return tuple(field.name for field in attrs.fields(kind) if field.eq)


def _plain(value: Any) -> Any:
    """A value as what msgspec writes: maps by the names of the fields."""
    kind: Any = type(value)
    if kind in _LEAVES:
        return value
    if attrs.has(kind):
        return {name: _plain(getattr(value, name)) for name in _names(kind)}
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_plain(part) for part in value]
    return value


def _sealed(of: Checkpoint, data: Any) -> bytes:
    text = _bytes.encode(data)
    return _digest(of, text) + text


def _unsealed(of: Checkpoint, data: bytes) -> bytes:
    digest, text = data[:32], data[32:]
    if digest != _digest(of, text):
        raise Unfit("it is not as it was written")
    return text


def _digest(of: Checkpoint, text: bytes) -> bytes:
    place = (of.stream, of.version, of.head, of.fold, of.first, of.end)
    return sha256(_bytes.encode(place) + text).digest()


_LEAVES = frozenset({str, int, float, bool, bytes, type(None)})
_bytes = msgspec.msgpack.Encoder()
_run = msgspec.msgpack.Decoder(Run)
_values = msgspec.msgpack.Decoder(list[Value])
