"""The guard seam: what is asked, and that no guard can do more than answer."""

import math
from typing import Any

import pytest

from statecore.events import (
    CallCompleted,
    CallFailed,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    Event,
    Moved,
    Payload,
)
from statecore.failures import Rejected
from statecore.guard import Defer, Pass, Question, Refuse, judged
from statecore.ledger import Ledger, Tally
from tests.crew import Frowned, Says

QUESTION = Question("value", "run", "cutting#1", "cutting", "cut@1", 1, "pure", 100.0)
X = Payload("X", b"{}")


def judge(answer: Any, side: Any = "before") -> Any:
    return judged(Says("guard", side, [answer]), QUESTION, Ledger())


@pytest.mark.parametrize(
    "answer", [Pass(), Refuse("no"), Refuse("no", Frowned()), Defer("later"), Defer("later", 101.0)]
)
def test_a_verdict_is_taken_as_it_is(answer: Any) -> None:
    """Pass, Refuse with or without a failure of its own, Defer with or without a wake."""
    assert judge(answer) == answer


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ValueError("oh\0"), "the guard itself failed: ValueError: oh\\0"),
        (None, "a NoneType that is no verdict"),
        (True, "a bool that is no verdict"),
        (lambda *_: Pass, "a type that is no verdict"),
        (Refuse(None), "a Refuse that is no verdict"),  # type: ignore[arg-type]
        (Defer("later", math.nan), "a Defer that is no verdict"),
        (Defer("later", math.inf), "a Defer that is no verdict"),
        (Defer("later", "soon"), "a Defer that is no verdict"),  # type: ignore[arg-type]
        (Defer(7), "a Defer that is no verdict"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_answer_refuses(answer: Any, why: str) -> None:
    """A guard that raises, or answers nonsense, lets nothing pass; the reason can be stored and read."""
    verdict = judge(answer)
    assert isinstance(verdict, Refuse) and why in verdict.why and verdict.failure is None


def test_an_after_guard_cannot_defer() -> None:
    """The output is there, and waiting would not make it another."""
    assert judge(Defer("later"), "after") == Refuse("an after-guard cannot defer: the output is there")


def test_a_wake_that_is_not_ahead_is_none() -> None:
    """Asked at 100, a guard that defers to 100 or before is asked again when something moves."""
    assert judge(Defer("later", 100.0)) == judge(Defer("later", 7)) == Defer("later", None)
    assert judge(Defer("later", 101)) == Defer("later", 101.0)


def test_a_reason_is_one_that_every_log_can_hold() -> None:
    """NUL and lone surrogates of a guard's words are spelled out."""
    assert judge(Refuse("a\0\ud800")).why == judge(Defer("a\0\ud800")).why == "a\\0\\ud800"


def fold(*events: Event, run: str = "run") -> Ledger:
    ledger = Ledger()
    ledger.fold(run, events)
    return ledger


STARTED = CallStarted("cutting#1", "cut@1")


@pytest.mark.parametrize(
    ("end", "tally"),
    [
        (CallCompleted("cutting#1", X), Tally(0, 1, 1, 0, 0)),
        (CallFailed("cutting#1", X), Tally(0, 1, 0, 1, 1)),
        (CallFailed("cutting#1", X, again=9.0), Tally(0, 1, 0, 1, 1)),
        (CallUnknown("cutting#1", "?"), Tally(0, 1, 0, 0, 0)),
        (Moved(("t",), ("b",), left=("cutting",)), Tally(0, 1, 0, 0, 0)),
        (Cancelled(), Tally(0, 1, 0, 0, 0)),
        (CallStarted("cutting#1", "cut@1", cuts=1), Tally(1, 2, 0, 0, 0)),
        (CallCompleted("other#1", X), Tally(1, 1, 0, 0, 0)),
        (Moved(("t",), ("b",), left=("cut",)), Tally(1, 1, 0, 0, 0)),
    ],
)
def test_a_call_in_flight_is_counted_until_it_lands_and_only_once(end: Event, tally: Tally) -> None:
    """Whatever ends it - success, failure, unknown, left, cancelled - its place is given back exactly once."""
    ledger = fold(STARTED, end)
    assert ledger.of("cut") == tally and ledger.running == tally.running
    ledger.fold("run", (CallCompleted("cutting#1", X), Cancelled()))
    assert ledger.of("cut").running == ledger.running == 0


def test_a_refused_call_was_never_in_flight() -> None:
    """One that is refused on its way counts for nothing; another run's call of the same name is another call."""
    ledger = fold(CallRefused("cutting#1", "guard", "no", X))
    assert ledger.of("cut") == Tally() and ledger.running == 0
    ledger.fold("a", (STARTED,))
    ledger.fold("b", (STARTED, Cancelled()))
    assert (ledger.running, ledger.of("cut").running, ledger.of("cut").started) == (1, 1, 2)


def test_failures_in_a_row_end_with_a_success() -> None:
    """Three failures count three, whichever calls they were; one success makes it none."""
    ledger = Ledger()
    for n in range(3):
        ledger.fold(f"run{n}", (STARTED, CallFailed("cutting#1", X)))
    assert ledger.of("cut").failed_in_a_row == 3
    ledger.fold("good", (STARTED, CallCompleted("cutting#1", X)))
    assert ledger.of("cut") == Tally(0, 4, 1, 3, 0)


def test_a_turn_that_was_not_written_is_forgotten() -> None:
    """The first turn of a run that the log refused leaves the ledger as it was."""
    ledger = fold(STARTED, run="there")
    events = (Moved(("t",), ("a",)), STARTED)
    ledger.fold("refused", events)
    ledger.forget("refused", events)
    assert (ledger.running, ledger.of("cut")) == (1, Tally(1, 1, 0, 0, 0))


def test_a_failure_of_a_guard_is_what_the_decider_is_told() -> None:
    """The failure that a guard names travels with its verdict."""
    assert judge(Refuse("no", Rejected("g", ("x",)))).failure == Rejected("g", ("x",))
