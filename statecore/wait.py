"""Time in a workflow: how long a state waits, and by when something has to be over.

`Wait` is what a state has to do that has only to let time pass. `within=` sets a deadline: of a state or a compound, from
each time it is entered; of the whole run, from its start. Both are one timer of one place, kept in the log (TimerSet,
TimerFired), and its passing is the trigger `Elapsed` of that place. A place that is left has no timer any more.

A person's deadline is the same, but of a call: see `person.py`.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import attrs

from statecore.errors import DefinitionError

Span = timedelta | float
"""A length of time: a timedelta, or seconds."""

LONGEST = 100 * 365.25 * 86_400
"""Seconds in a hundred years: nobody waits longer, and what is longer is a slip of the unit."""

LENGTH = "a timedelta or seconds above 0, at most 100 years"


@attrs.frozen(eq=False)
class Wait:
    """`State(Wait(timedelta(days=3)))`, left on `Elapsed`. `span`: how long, from when the state is entered.

    `until`: instead, a function over recorded values, as `give=` is, that says until when: an aware datetime, or seconds
    since the epoch. A time that has passed already is over at once. If it raises, that is Failed[Broken].
    """

    span: Span | None = None
    until: Callable[..., datetime | float] | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        length = _plain(self.span)
        if type(length) in (int, float) and LONGEST < length < math.inf:
            raise DefinitionError(f"Wait({self.span!r}): expected {LENGTH}")


@attrs.frozen
class Timer:
    """An open timer of `state` (`start`: the run's own deadline). `since`, `due`: seconds since the epoch."""

    state: str
    due: float
    since: float


def seconds(span: Any) -> float | None:
    """A span in seconds; None where it is no length of time that can pass."""
    length = _plain(span)
    return float(length) if type(length) in (int, float) and 0 < length <= LONGEST else None


def _plain(span: Any) -> Any:
    return span.total_seconds() if isinstance(span, timedelta) else span


def moment_of(said: Any) -> float:
    """What an `until=` function gave, in seconds since the epoch. Raises ValueError where that is no moment."""
    if isinstance(said, datetime):
        if said.utcoffset() is None:
            raise ValueError(f"expected a datetime that knows its time zone, found {said!r}: give it one")
        return said.timestamp()
    if type(said) in (int, float) and math.isfinite(said):
        return float(said)
    raise ValueError(f"expected an aware datetime or seconds since the epoch, found {said!r}")


def spoken(span: float) -> str:
    """`3 d`, `2 d 23 h`, `1 h 30 min`, `90 s`: its two largest units, rounded down."""
    if span > LONGEST:  # of a log that somebody edited, or a function that says until when
        return "more than 100 years"
    if span < 120:
        return f"{span:.3g} s" if span < 10 else f"{int(span)} s"
    left, words = int(span), list[tuple[int, str]]()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        words += [(count, unit)] if words or count else []
    return " ".join(f"{count} {unit}" for count, unit in words[:2] if count)


def describe(wait: Wait) -> str:
    """`waits 3 d`, or `waits until` and the function's name."""
    if wait.until is not None:
        return f"waits until {getattr(wait.until, '__name__', 'a function says')}"
    return f"waits {spoken(seconds(wait.span) or 0.0)}"
