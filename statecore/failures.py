"""How a call can end badly: one tree of typed values.

`Failure`
├── `Transient`        worth another attempt: the cause passes by itself
│   ├── `TimedOut`     no outcome within the time that the state gives
│   ├── `RateLimited`  the receiver asks to come back later
│   └── `Unavailable`  the receiver could not be reached; nothing happened
├── `Rejected`         the output broke its contract or an after-guard; the next attempt is told the faults
├── `Refused`          a guard would not let the call start
├── `Crashed`          the specialist raised something that it did not declare
├── `Broken`           a condition or hand-over of the workflow raised
├── `Exhausted`        a bounded transition was due once more than it may be taken
├── `ChildFailed`      the run of another workflow, which did the work, ended otherwise than with a result
├── `PlanRefused`      a plan that was made at run time breaks one of its rules
├── `Incomplete`       what a plan assembled lacks something that was asked for
├── `Conflicting`      parts of a plan answered the same question differently, and no rule settles it
├── `NotDone`          a person settled that an unknown call did not happen
└── `OutcomeUnknown`   cut between start and completion, and not to be repeated

A workflow adds its own by deriving from exactly one of these. Failures are attrs values compared by their fields
(`auto_exc=False`, which is not the attrs default for exceptions). `Failed[E]` answers E and its subclasses; bare
`Failed` answers all but `OutcomeUnknown`, which parks the run unless a transition names it.
"""

from typing import ClassVar

import attrs


@attrs.frozen(auto_exc=False)
class Failure(Exception):
    """Root of the typed failures. One failure parent each, so that "the nearest named ancestor" is always one."""

    nothing_happened: ClassVar[bool] = False
    """True where the failure itself proves that the world was not touched; only then is an effect handed to a fallback.
    """

    def __init_subclass__(cls) -> None:
        parents = [base for base in cls.__bases__ if issubclass(base, Failure)]
        if len(parents) > 1:
            names = " and ".join(parent.__name__ for parent in parents)
            raise TypeError(f"{cls.__name__}: a failure has one failure parent, found {names}: derive from one")

    def __str__(self) -> str:
        said = ", ".join(
            f"{field.name}={getattr(self, field.name)!r}" if field.name != "why" else str(self.why)  # type: ignore[attr-defined]
            for field in attrs.fields(type(self))
            if getattr(self, field.name) not in ("", (), None)
        )
        return f"{type(self).__name__}: {said}" if said else type(self).__name__


@attrs.frozen(auto_exc=False)
class Transient(Failure):
    why: str = ""


@attrs.frozen(auto_exc=False)
class TimedOut(Transient):
    """No outcome after `after` seconds. The work may still be going on; a later outcome is recorded and fires nothing."""

    after: float = 0.0


@attrs.frozen(auto_exc=False)
class RateLimited(Transient):
    """`retry_after`: seconds that the receiver asked for; the next attempt waits at least as long."""

    nothing_happened: ClassVar[bool] = True
    retry_after: float | None = None


@attrs.frozen(auto_exc=False)
class Unavailable(Transient):
    nothing_happened: ClassVar[bool] = True


@attrs.frozen(auto_exc=False)
class Rejected(Failure):
    """`by`: the contract or guard that rejected; `faults`: each as `{what} @ {path}`."""

    by: str
    faults: tuple[str, ...]


@attrs.frozen(auto_exc=False)
class Refused(Failure):
    """`guard`: the name of the guard that refused before the call started."""

    nothing_happened: ClassVar[bool] = True
    guard: str
    why: str = ""


@attrs.frozen(auto_exc=False)
class Crashed(Failure):
    """`error`: the class of the exception; `why`: its text. The traceback is kept in the log, not shown to the chart."""

    error: str
    why: str = ""


@attrs.frozen(auto_exc=False)
class Broken(Failure):
    """`what`: the condition or hand-over that raised; `why`: what it raised."""

    what: str
    why: str = ""


@attrs.frozen(auto_exc=False)
class Exhausted(Failure):
    """`transition` was taken `times` times, which is all it may be, and nothing else answers."""

    transition: str
    times: int


@attrs.frozen(auto_exc=False)
class ChildFailed(Failure):
    """The child run `run` gave no result: its `outcome`, `why` where somebody cancelled it, and the failure that it
    ended on, as text. One that was cancelled is not begun again.
    """

    run: str
    outcome: str
    why: str = ""
    failure: str = ""


@attrs.frozen(auto_exc=False)
class PlanRefused(Failure):
    """`rule`: the name of the rule that the plan breaks; `why`: what was expected and found; `parts`: ids of those that
    break it.
    """

    nothing_happened: ClassVar[bool] = True
    rule: str
    why: str = ""
    parts: tuple[str, ...] = ()


@attrs.frozen(auto_exc=False)
class Incomplete(Failure):
    """`check`: the name of the function that looked; `items`: what it found missing."""

    check: str
    items: tuple[str, ...]


@attrs.frozen
class Answer:
    """What one part of a plan said. `value`: its JSON."""

    part: str
    value: str


@attrs.frozen(auto_exc=False)
class Conflicting(Failure):
    """`key`: the question; `answers`: what each part said to it, in the order of the plan."""

    key: str
    answers: tuple[Answer, ...]


@attrs.frozen(auto_exc=False)
class NotDone(Failure):
    nothing_happened: ClassVar[bool] = True
    why: str = ""


@attrs.frozen(auto_exc=False)
class OutcomeUnknown(Failure):
    why: str = ""


ENGINE_FAILURES = (TimedOut, Rejected, Refused, Crashed, Broken, Exhausted, NotDone, OutcomeUnknown)
"""What the engine may give in place of a specialist's own failures, in every run."""

PLAN_FAILURES = (PlanRefused, Incomplete, Conflicting)
"""What a plan may end in besides the failures of its parts; only workflows with a plan know them."""

SHIPPED: tuple[type[Failure], ...] = (Transient, TimedOut, RateLimited, Unavailable)


def covered(failure: type[Failure]) -> tuple[type[Failure], ...]:
    """What a specialist that declares `failure` may raise: itself, and those of the library that derive from it."""
    return (failure, *(shipped for shipped in SHIPPED if issubclass(shipped, failure) and shipped is not failure))


RETRIED: tuple[type[Failure], ...] = (Transient, Rejected, ChildFailed)
"""What another attempt may mend. Everything else is final for its specialist."""


def mendable(failure: Failure) -> bool:
    """Whether another attempt may mend it. A child that somebody cancelled stays cancelled."""
    return isinstance(failure, RETRIED) and not (isinstance(failure, ChildFailed) and failure.outcome == "cancelled")


def printable(text: str) -> str:
    """Text that every log can hold: lone surrogates and NUL are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def told(error: BaseException) -> str:
    """What an exception says, at most 2,000 characters of it. Never raises, whatever its `__str__` does."""
    try:
        return printable(str(error))[:2000]
    except Exception:
        return f"(a {type(error).__name__} that cannot be printed)"
