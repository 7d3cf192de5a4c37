"""What the world tells a run, and what a transition waits for: one family of classes.

Subscripted, the class is the pattern (`on=Completed[Triage]`); an instance is the input (`Completed(triage,
call="triaging#1")`). Every input carries its time `at` (seconds since the epoch): nothing below the engine asks a
clock.
"""

from types import NoneType, UnionType
from typing import Any, Generic, Union, get_args, get_origin

import attrs
from typing_extensions import TypeVar

from statecore.failures import Failure
from statecore.versions import id_of

T_co = TypeVar("T_co", covariant=True)
F_co = TypeVar("F_co", bound=Failure, covariant=True, default=Failure)


@attrs.frozen
class Trigger(Generic[T_co]):
    """The outcome `value` of `call` (its id; None where the run has one open call only, or for a signal).

    `attempt`: which attempt of the call it answers; 0 means the one that is open. `rank`: which of the state's
    specialists made it (they count their attempts each for itself); None means the one whose turn it is. `by` and `why`
    are set where a person said so. `detail` is kept in the log and never reaches the chart (a traceback). `warnings`
    travel beside the value. `child`: the run whose end it is, or that has taken too long.
    """

    value: T_co
    call: str | None = None
    attempt: int = 0
    at: float = 0.0
    by: str = ""
    why: str = ""
    detail: str = ""
    rank: int | None = None
    warnings: tuple[str, ...] = ()
    child: str = ""


class Completed(Trigger[T_co]):
    """A call ended well."""


class Failed(Trigger[F_co]):
    """A call ended badly, with a typed reason. Bare, it answers every failure but OutcomeUnknown."""


@attrs.frozen
class Signal(Trigger[T_co]):
    """The world outside says something that answers no call of the run. `id`: one that `by` had taken under it before
    changes nothing.
    """

    id: str = ""


@attrs.frozen
class Done(Trigger[None]):
    """The body of a compound, or every region of a parallel, reached a final state. Only a pattern: nobody sends it."""

    value: None = None


@attrs.frozen
class Elapsed(Trigger[None]):
    """A time is over. As a pattern: the wait or the deadline of the source. As an input it says of what: the timer of
    `state` (`start`: the run's deadline), or of `call` its next attempt, the admission that a guard deferred, or a
    person's deadline.
    """

    value: None = None
    attempt: int = 0
    state: str = ""


@attrs.frozen
class Start:
    """Begin `run` of a workflow with `value`. Everything that identifies the run for ever is in here. `trusted`: the
    rule by which `value` is; "" where it is not. `parent`, `depth`: as in `RunStarted`.
    """

    run: str
    value: Any
    at: float = 0.0
    tenant: str = ""
    root: str = ""
    trusted: str = ""
    parent: str = ""
    depth: int = 0


@attrs.frozen
class Interrupted:
    """The process that had started `call` is gone, and no outcome is in the log."""

    call: str
    at: float = 0.0
    why: str = "the process ended while the call was in flight"


@attrs.frozen
class Cancel:
    at: float = 0.0
    by: str = ""
    why: str = ""


Input = Start | Completed[Any] | Failed[Failure] | Signal[Any] | Elapsed | Interrupted | Cancel
"""The closed set of inputs."""


def members(hint: Any) -> tuple[Any, ...]:
    """`Draft | Question` gives (Draft, Question); anything else gives itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def pattern(on: Any) -> tuple[type[Trigger[Any]], tuple[type, ...]]:
    """`Completed[Draft | Question]` gives (Completed, (Draft, Question)); bare `Failed` gives (Failed, (Failure,)).

    Raises TypeError where `on` is no pattern.
    """
    kind = get_origin(on) or on
    if not (isinstance(kind, type) and issubclass(kind, Trigger)) or kind is Trigger:
        raise TypeError(
            f"on={getattr(on, '__name__', on)} is no trigger: write Completed[T], Failed, Failed[E],"
            " Elapsed, Signal[T] or Done"
        )
    if kind in (Done, Elapsed):
        return kind, (NoneType,)
    args = get_args(on) or ((Failure,) if kind is Failed else ())
    if not args:
        raise TypeError(f"on={kind.__name__} needs a type: write {kind.__name__}[T]")
    return kind, members(args[0])


def spell(kind: type, payload: type) -> str:
    """How a pattern is printed: `Completed[Draft]`, `Failed`, `Done`."""
    return kind.__name__ if payload in (Failure, NoneType) else f"{kind.__name__}[{id_of(payload)}]"
