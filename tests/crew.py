"""A crew of specialists that do as a test tells them, guards that answer as it tells them, and charts that put them
to work.
"""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import attrs

from statecore import (
    Call,
    Completed,
    Compound,
    Done,
    Failed,
    Failure,
    Parallel,
    RateLimited,
    Signal,
    Specialist,
    State,
    Transient,
    Workflow,
    any_state,
    specialist,
)
from statecore.failures import Broken, Crashed, Exhausted, NotDone, OutcomeUnknown, Refused, Rejected, TimedOut
from statecore.guard import Defer, Pass, Question, Verdict
from statecore.ledger import Ledger


@attrs.frozen
class Job:
    text: str = "job"


@attrs.frozen
class Piece:
    """`mark` tells the conditions and hand-overs below what to do: bad, raise, trip, misfit."""

    text: str = "piece"
    mark: str = ""


@attrs.frozen
class Bill:
    total: float


@attrs.frozen
class Nudge:
    text: str = "nudge"


@attrs.frozen(auto_exc=False)
class Jammed(Transient): ...


@attrs.frozen(auto_exc=False)
class Spoilt(Failure):
    why: str = ""


@attrs.frozen(auto_exc=False)
class Stranger(Failure):
    """Declared by nobody."""

    why: str = ""


@attrs.frozen(auto_exc=False)
class Frowned(Failure):
    """A guard's own."""


class Crew:
    """`crew(name, *does)` makes a specialist. Each call does the next of `does`, and the last for ever: an
    exception is raised, a function of (request, call) is called and awaited, anything else is given. `asked[name]`:
    its calls so far.
    """

    def __init__(self) -> None:
        self.asked: dict[str, list[Call]] = defaultdict(list)

    def __call__(
        self,
        name: str,
        *does: Any,
        effect: Literal["pure", "idempotent", "once"] = "pure",
        fails: Sequence[type[Failure]] = (),
        sync: bool = False,
        reconcile: Callable[[Call], Awaitable[Any]] | None = None,
        takes: type = Job,
        gives: Any = Piece,
    ) -> Specialist[Any, Any]:
        def next_for(request: Any, call: Call) -> Any:
            done = len(self.asked[name])
            self.asked[name].append(call)
            made = does[min(done, len(does) - 1)] if does else Piece(name)
            if isinstance(made, BaseException):
                raise made
            return made(request, call) if callable(made) else made

        async def waits(request: Any, call: Call) -> Any:
            made = next_for(request, call)
            return await made if inspect.isawaitable(made) else made

        def blocks(request: Any, call: Call) -> Any:
            return next_for(request, call)

        work: Any = blocks if sync else waits
        work.__annotations__ = {"request": takes, "call": Call, "return": gives}
        return specialist(name, "1", effect, fails=fails, reconcile=reconcile)(work)

    def count(self, name: str) -> int:
        return len(self.asked[name])


async def hang(request: Any, call: Call) -> Any:
    await asyncio.Event().wait()


@attrs.define
class Says:
    """A guard that gives the next of `answers`, and the last for ever; an exception is raised."""

    name: str
    side: Literal["before", "after"]
    answers: list[Any] = attrs.field(factory=lambda: [Pass()])
    fails: tuple[type[Failure], ...] = ()
    asked: list[Question[Any]] = attrs.field(factory=list)

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        self.asked.append(question)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        return answer(question, ledger) if callable(answer) else answer


@attrs.define
class AtMost:
    """A guard that lets `most` calls fly at a time, and defers the others until something moves."""

    most: int
    name: str = "at_most"
    side: Literal["before", "after"] = "before"
    fails: tuple[type[Failure], ...] = ()
    seen: int = 0

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        self.seen = max(self.seen, ledger.running)
        return Pass() if ledger.running < self.most else Defer(f"{self.most} are in flight")


def sound(piece: Piece) -> bool:
    if piece.mark == "raise":
        raise ValueError("the condition raises")
    return piece.mark != "bad"


def job_of(start: Job, cutting: Piece) -> Job:
    """A hand-over that raises or hands over garbage where the piece says so."""
    if cutting.mark == "trip":
        raise ValueError("the hand-over raises\0\ud800")
    return Job(7) if cutting.mark == "misfit" else Job(cutting.text)  # type: ignore[arg-type]


def jam_is_old(failure: Jammed) -> bool:
    if failure.why == "raise":
        raise ValueError("the condition of a failure raises")
    return failure.why == "old"


def line(crew: Crew, cutting: dict[str, Any] | None = None, gluing: dict[str, Any] | None = None, **does: Any) -> Any:
    """cutting (pure) -> gluing (idempotent) -> selling (once): attempts, fallbacks, a bounded redo, and one target
    for failures.

    `cutting`, `gluing`: options of the states. Others: what a specialist does.
    """

    def made(
        name: str, effect: Any, fails: Sequence[type[Failure]] = (Jammed, Spoilt, RateLimited), **kind: Any
    ) -> Any:
        return crew(name, *does.get(name, ()), effect=effect, fails=fails, **kind)

    cut, saw, glue, nail = (
        made("cut", "pure"),
        made("saw", "pure"),
        made("glue", "idempotent"),
        made("nail", "idempotent"),
    )
    sell = made("sell", "once", reconcile=does.get("reconcile"), gives=Bill)
    cutting_options = {"attempts": 3, "fallback": [saw], **(cutting or {})}
    gluing_options = {"attempts": 2, "fallback": [nail], **(gluing or {})}

    class Line(Workflow[Job], version="1"):
        cutting = State(cut, initial=True, **cutting_options)
        gluing = State(glue, give=job_of, **gluing_options)
        selling = State(sell)
        sold = State(final=True)
        scrapped = State(final=True, outcome="failed")

        cut_well = cutting.to(gluing, on=Completed[Piece], cond=sound)
        cut_again = cutting.to(cutting, on=Completed[Piece], at_most=2)
        glued = gluing.to(selling, on=Completed[Piece])
        paid = selling.to(sold, on=Completed[Bill])
        failed = any_state.to(scrapped, on=Failed)

    return Line


def typed(crew: Crew, *does: Any, effect: Any = "once") -> Any:
    """One state, and for every failure a target of its own. No bare Failed."""

    class Typed(Workflow[Job], version="1"):
        working = State(crew("work", *does, effect=effect, fails=[Jammed, Spoilt]), initial=True)
        done = State(final=True)
        jammed = State(final=True, outcome="failed")
        shaken = State(final=True, outcome="failed")
        spoilt = State(final=True, outcome="failed")
        late = State(final=True, outcome="failed")
        rejected = State(final=True, outcome="failed")
        crashed = State(final=True, outcome="failed")
        refused = State(final=True, outcome="failed")
        spent = State(final=True, outcome="failed")

        worked = working.to(done, on=Completed[Piece], cond=sound)
        again = working.to(working, on=Completed[Piece], at_most=1)
        jam = working.to(jammed, on=Failed[Jammed], cond=jam_is_old)
        shake = working.to(shaken, on=Failed[Jammed])
        spoil = working.to(spoilt, on=Failed[Spoilt])
        time_out = working.to(late, on=Failed[TimedOut])
        reject = working.to(rejected, on=Failed[Rejected])
        crash = working.to(crashed, on=Failed[Crashed])
        refuse = working.to(refused, on=Failed[Refused])
        break_again = working.to(working, on=Failed[Broken], at_most=1)
        spend = working.to(spent, on=Failed[Exhausted])
        if effect == "once":
            undone = State(final=True, outcome="failed")
            unknown = State(final=True, outcome="partial")
            undo = working.to(undone, on=Failed[NotDone])
            not_know = working.to(unknown, on=Failed[OutcomeUnknown])

    return Typed


def twin(
    crew: Crew, *, left: Sequence[Any] = (), right: Sequence[Any] = (), first: Sequence[Any] = (), **options: Any
) -> Any:
    """Two regions, pure on the left and once on the right, entered again on a jam, joined on Done, nudged by a
    signal.
    """

    class Twin(Workflow[Job], version="1"):
        waiting = State(initial=True)

        class both(Parallel):
            class l(Compound):  # noqa: E742
                pulling = State(
                    crew("pull", *left, fails=[Jammed, Spoilt]), initial=True, attempts=2, **options.get("pulling", {})
                )
                pulled = State(final=True)
                pull_ok = pulling.to(pulled, on=Completed[Piece], cond=sound)
                pull_more = pulling.to(pulling, on=Completed[Piece], at_most=1)

            class r(Compound):
                fetching = State(crew("fetch", *first), initial=True, **options.get("fetching", {}))
                pushing = State(crew("push", *right, effect="once", fails=[Jammed]), **options.get("pushing", {}))
                pushed = State(final=True)
                go = fetching.to(pushing, on=Completed[Piece])
                push_ok = pushing.to(pushed, on=Completed[Piece])

        over = State(final=True)
        dropped = State(final=True, outcome="failed")

        begin = waiting.to(both, on=Signal[Nudge])
        restart = both.to(both, on=Failed[Jammed], at_most=1)
        joined = both.to(over, on=Done)
        gave_up = any_state.to(dropped, on=Failed)

    return Twin
