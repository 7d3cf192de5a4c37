"""The crash test finds what a kill, a repeated or a late outcome would break, in a workflow and in the engine."""

import itertools
from typing import Any

import pytest

from statecore import decider
from statecore.call import Call, CallState
from statecore.events import CallStarted
from statecore.log import Batch, MemoryLog, Turn
from statecore.messages import Interrupted
from statecore.testing import After, Hang, ScriptError, survives
from tests.crew import Bill, Crew, Jammed, Job, Nudge, Piece, line, twin, typed
from tests.support import Draft, Receipt, Review, SupportTicket, Ticket, Triage

TICKET = Ticket("late", "my invoice")
GOOD: dict[Any, Any] = {
    "triaging": Triage("billing", 0.9),
    "drafting": Draft("Dear"),
    "reviewing": [Review(False, "longer"), Review(True, "")],
    "sending": Receipt("1"),
}
TWIN: dict[Any, Any] = {
    "both/l/pulling": [Piece(mark="bad"), Piece()],
    "both/r/fetching": Piece(),
    "both/r/pushing": After(5, Piece()),
}


def test_a_workflow_survives() -> None:
    """Loops, retries, delays and a `once` effect: killed twice a turn, the run ends as it would have."""
    survival = survives(SupportTicket, TICKET, {**GOOD, "drafting": [After(9.0, Draft("a")), Draft("b")]})
    assert (survival.kills, survival.outcome) == (2 * 7 - 1, "completed") and survival.disturbances == 8


def test_regions_and_signals_survive() -> None:
    """Two regions at work at once, entered by a signal that is sent once, join whatever comes first."""
    assert survives(twin(Crew()), Job(), TWIN, signals=[Nudge()]).outcome == "completed"


def test_what_is_parked_undisturbed_stays_so() -> None:
    """A run that is parked without a kill is parked after one, and its effect is not done again."""
    assert survives(SupportTicket, TICKET, {**GOOD, "sending": Hang()}).outcome == ""


def test_a_failing_run_fails_the_same() -> None:
    """The failure that ends a run also ends it after a kill."""
    assert survives(line(Crew()), Job(), {"cutting": Jammed()}).outcome == "failed"


def test_a_specialist_that_answers_otherwise_the_second_time_is_found() -> None:
    """`pure` work that is repeated with another result changes the run, and the message names event and values."""
    counter = itertools.count(1)
    workflow = line(Crew(), cut=[lambda request, call: Piece(str(next(counter)))], sell=[Bill(1.0)])
    with pytest.raises(AssertionError) as told:
        survives(workflow, Job())
    said = str(told.value)
    assert said.startswith(
        "Line does not survive a kill after event 3, `cutting#1 calls cut@1 (pure)`, before anything that it started:"
    )
    assert (
        '- cutting gave Piece {"text":"1","mark":""}' in said and '+ cutting gave Piece {"text":"2","mark":""}' in said
    )


def test_a_script_that_is_not_played_is_an_error_first() -> None:
    """What the undisturbed run leaves over is said before anything is killed."""
    with pytest.raises(ScriptError, match="`reviewing` was not asked for"):
        survives(SupportTicket, TICKET, {**GOOD, "triaging": Triage("bug", 0.1)})


# -- bugs planted in the engine


def test_a_once_call_that_is_repeated_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that started a cut `once` call again would do its work twice."""

    def again(turn: Any, input: Interrupted) -> None:
        call = turn.run.calls[input.call]
        turn.admit(
            CallStarted(call.id, call.specialist, call.attempt, call.rank, call.effect, cuts=call.cuts + 1), call
        )

    monkeypatch.setattr(decider._Turn, "interrupted", again)
    with pytest.raises(AssertionError, match=r"the work of sending#1, whose effect is `once`, was done 2 times"):
        survives(SupportTicket, TICKET, GOOD)


def test_a_cut_call_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that did nothing about a cut call would dispatch it again as if it were new."""
    monkeypatch.setattr(decider._Turn, "interrupted", lambda turn, input: None)
    with pytest.raises(AssertionError, match="`once`, was done 2 times"):
        survives(SupportTicket, TICKET, GOOD)


def test_an_outcome_that_counts_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that took a repeated outcome for that of the next open call would move on it."""

    def any_call(turn: Any, input: Any) -> Call | None:
        started = [call for call in turn.run.calls.values() if call.status is CallState.STARTED]
        return started[0] if started else None

    monkeypatch.setattr(decider._Turn, "open_call", any_call)
    with pytest.raises(AssertionError, match="Typed does not survive outcomes that come twice"):
        survives(typed(Crew(), effect="pure"), Job(), {"working": [Piece(mark="bad"), Piece()]})


def test_an_append_that_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that forgets a turn which it confirmed would repeat the work of that turn."""
    real = MemoryLog.append

    async def forgetful(log: MemoryLog, batch: Batch) -> tuple[Turn, ...]:
        turns = await real(log, batch)
        if type(log) is not MemoryLog and log._rows[-1].version >= 10:
            dropped = log._rows.pop()
            log._streams[dropped.stream].pop()
        return turns

    monkeypatch.setattr(MemoryLog, "append", forgetful)
    with pytest.raises(AssertionError):
        survives(SupportTicket, TICKET, GOOD)
