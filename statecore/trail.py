"""The values that a run has recorded, in order. One list that all runs of one history share, so that a step costs the same
at the ten-thousandth value as at the tenth.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import overload

import attrs

from statecore.events import Payload


@attrs.frozen
class Value:
    """A recorded value. `id`: its place in the run's values. `by`: the state whose outcome it was (`start`, `signal`:
    the world's). `reads`: ids of the values that its request was made of. `trusted`: the rule by which it is, "" where
    it is not. `part`: the part of that state's plan.
    """

    id: int
    by: str
    payload: Payload
    specialist: str = ""
    attempt: int = 0
    fallback: bool = False
    reads: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    trusted: str = ""
    part: str = ""


@attrs.frozen(eq=False)
class Unread:
    """`span` values from the id `first` on that nobody has asked for yet. `read` gives them."""

    first: int
    span: int
    read: Callable[[], list[Value]]

    def into(self, values: "list[Value | Unread]") -> None:
        if isinstance(values[self.first], Unread):
            values[self.first : self.first + self.span] = self.read()


class Trail(Sequence[Value]):
    """Append-only and shared: `added` extends the common list in place where this is its newest view, and copies it
    where not. What came from a checkpoint stands in the list as its `Unread` until somebody asks.
    """

    __slots__ = ("_all", "_length", "_unread")

    def __init__(self, values: "Iterable[Value | Unread]" = (), unread: Sequence[Unread] = ()) -> None:
        self._all = list(values)
        self._length = len(self._all)
        self._unread = unread

    @classmethod
    def of(cls, parts: Sequence[Unread]) -> "Trail":
        """The trail of values that are not read yet."""
        return cls(
            chain.from_iterable(repeat(part, part.span) for part in parts), [part for part in parts if part.span]
        )

    def added(self, values: Sequence[Value]) -> "Trail":
        if not values:
            return self
        trail = Trail.__new__(Trail)
        trail._all = self._all if len(self._all) == self._length else self._all[: self._length]
        trail._all.extend(values)
        trail._length = len(trail._all)
        trail._unread = self._unread
        return trail

    def _whole(self) -> list[Value]:
        for part in self._unread:
            part.into(self._all)
        return self._all[: self._length]  # type: ignore[return-value]

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Value]: ...
    def __getitem__(self, index: int | slice) -> Value | Sequence[Value]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        place = index if index >= 0 else self._length + index
        found = self._all[place]
        if isinstance(found, Unread):
            found.into(self._all)
            return self[place]
        return found

    def __iter__(self) -> Iterator[Value]:
        return iter(self._whole())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Trail)
            and self._length == other._length
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Trail({list(self)!r})"
