"""Given, when, then: what a workflow decides, asked in one line, and answered in words where it is otherwise."""

import pytest

from statecore import Completed, Failed, Transient
from statecore.errors import NotPossible
from statecore.events import CallCompleted, CallLate, CallStarted, Finished, Moved, RunStarted
from statecore.guard import Pass, Refuse
from statecore.messages import Elapsed, Start
from statecore.testing import given, payload
from tests.crew import Says
from tests.support import Draft, Receipt, ReplyRequest, Review, SupportTicket, Ticket, Triage, Untranslatable

TICKET, SURE, UNSURE = Ticket("late", "my invoice"), Triage("billing", 0.9), Triage("other", 0.4)
UNSURE_EVENTS = (
    CallCompleted("triaging#1", payload(UNSURE)),
    Moved(("unsure",), ("escalated",), ("triaging",), ("escalated",), (("confident", False),)),
    Finished("failed"),
)


def test_then_takes_exactly_the_events() -> None:
    """The events of a turn, in order and with every field, and nothing besides."""
    decided = given(SupportTicket, TICKET).when(Completed(UNSURE)).then(*UNSURE_EVENTS)
    assert decided.events == UNSURE_EVENTS
    for wrong in (UNSURE_EVENTS[:2], (*UNSURE_EVENTS, Finished("failed")), UNSURE_EVENTS[::-1], ()):
        with pytest.raises(AssertionError):
            decided.then(*wrong)


def test_a_difference_is_read_at_a_glance() -> None:
    """Events stand a line each with what is missing and what came, and the first pair is compared field by field."""
    wrong = Moved(("unsure",), ("escalated",), ("triaging",), ("escalated",), (("confident", True),))
    with pytest.raises(AssertionError) as told:
        given(SupportTicket, TICKET).when(Completed(UNSURE)).then(UNSURE_EVENTS[0], wrong, UNSURE_EVENTS[2])
    assert (
        str(told.value)
        == """\
the events that Completed led to in `triaging` are not as expected (- expected, + found):
    triaging#1 gave Triage {"topic":"other","confidence":0.4}
  - unsure -> escalated because confident = yes
  + unsure -> escalated because confident = no
    finished: failed
  the first Moved that differs:
    asked: expected (('confident', True),), found (('confident', False),)"""
    )


def test_parts_of_a_turn_are_asked_one_by_one() -> None:
    """Transitions, calls and outcome can be expected alone, in a chain, and each says what it found instead."""
    given(SupportTicket, TICKET).when(Completed(UNSURE)).moved("unsure").calls().finished("failed")
    decided = given(SupportTicket, TICKET).when(Completed(SURE)).moved("triaged").calls("drafting")
    with pytest.raises(AssertionError, match="transitions taken: expected unsure, found triaged"):
        decided.moved("unsure")
    with pytest.raises(AssertionError, match="calls started: expected none, found drafting"):
        decided.calls()
    with pytest.raises(AssertionError, match="outcomes: expected failed, found none"):
        decided.finished("failed")


def test_a_run_begins_with_its_input() -> None:
    """Nothing given, the input of the workflow or a Start begins the run, and asks nothing before."""
    for first in (TICKET, Start("run", TICKET)):
        started, moved, called = given(SupportTicket).when(first).events
        assert isinstance(started, RunStarted) and isinstance(moved, Moved) and isinstance(called, CallStarted)
    assert given(SupportTicket, TICKET, run="r9").when(Completed(SURE)).run.id == "r9"


def test_a_history_may_be_events() -> None:
    """Events are folded as they are, so that a history can be given which no input leads to any more."""
    begun = given(SupportTicket).when(TICKET).events
    far = given(SupportTicket, *begun, Completed(SURE), Completed(Draft("Dear")), Completed(Review(True, "")))
    far.when(Completed(Receipt("1"))).moved("delivered").finished("completed")
    assert given(SupportTicket, *begun).run == given(SupportTicket, TICKET).run


def test_a_history_that_fires_nothing_is_refused() -> None:
    """An outcome that no call waits for would leave another run than the one that is meant."""
    with pytest.raises(AssertionError, match=r"number 2 of the history, .*'sending#1'.*open are: triaging#1"):
        given(SupportTicket, TICKET, Completed(Receipt("1"), "sending#1"))
    [late] = given(SupportTicket, TICKET).when(Completed(Receipt("1"), "sending#1")).moved().events
    assert isinstance(late, CallLate)


def test_what_is_no_input_is_refused() -> None:
    """A value that is neither an input, nor an event, nor what the workflow takes, is a slip of the test."""
    with pytest.raises(TypeError, match="nor the Ticket that SupportTicket takes"):
        given(SupportTicket, TICKET).when(SURE)
    with pytest.raises(NotPossible):
        given(SupportTicket, TICKET, TICKET)


def test_attempts_and_fallbacks_are_asked_too() -> None:
    """A failure that another attempt may mend waits for it, and the last one asks the chart."""
    waiting = given(SupportTicket, TICKET, Failed(Transient("busy")))
    waiting.when(Failed(Transient("busy"))).moved().calls()
    waiting.when(Elapsed("triaging#1", 60.0)).calls("triaging")
    drafting = given(SupportTicket, TICKET, Completed(SURE))
    again = drafting.when(Failed(Untranslatable("?"))).moved().calls("drafting")
    assert [event.specialist for event in again.events if isinstance(event, CallStarted)] == ["backup_writer@1"]


def test_guards_of_an_engine_are_asked() -> None:
    """`guards` are asked as an engine asks them, the ones of the state after them."""
    no = Says("no", "before", [Pass(), Refuse("never")])
    begun = given(SupportTicket, TICKET, guards=[no])
    begun.when(Completed(SURE)).moved("triaged", "gave_up").finished("failed")
    assert [question.state for question in no.asked] == ["triaging", "drafting", "drafting"]


def test_a_payload_is_what_events_carry() -> None:
    """`payload` packs a value as the engine does."""
    assert given(SupportTicket, TICKET).run.input == payload(TICKET)
    request = given(SupportTicket, TICKET).when(Completed(SURE)).events[-1]
    assert isinstance(request, CallStarted) and request.request == payload(ReplyRequest(TICKET, "billing", ""))
