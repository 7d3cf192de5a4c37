"""Scripted specialists: they answer, fail, wait, hang and babble as a test says, in place of the real ones."""

import time
from typing import Any

import pytest

from statecore import Engine, RateLimited, Transient
from statecore.events import CallFailed, CallStarted
from statecore.log import MemoryLog
from statecore.testing import After, Garbage, Hang, ScriptError, VirtualClock, play, run_virtual, scripted
from tests.crew import Bill, Crew, Jammed, Job, Nudge, Piece, Spoilt, line, twin
from tests.support import (
    Draft,
    Receipt,
    Review,
    SupportTicket,
    Ticket,
    Triage,
    Untranslatable,
    backup_writer,
    triage,
    write_reply,
)

DAY = 86_400.0
TICKET = Ticket("late", "my invoice")
GOOD: dict[Any, Any] = {
    "triaging": Triage("billing", 0.9),
    "drafting": Draft("Dear"),
    "reviewing": Review(True, ""),
    "sending": Receipt("1"),
}


def test_answers_come_in_their_order() -> None:
    """A list has an entry for each attempt, anything else is what every attempt does, and the run goes on with them."""
    script = {**GOOD, "reviewing": [Review(False, "longer"), Review(True, "")], "drafting": [Draft("a"), Draft("b")]}
    played = play(SupportTicket, TICKET, script)
    assert played.moves == ("triaged", "drafted", "redo", "drafted", "accepted", "delivered")
    assert (played.run.outcome, played.result) == ("completed", Receipt("1"))


def test_failures_are_raised() -> None:
    """A declared failure is that failure, any other exception is a crash, and attempts and fallbacks follow as they would."""
    script: dict[Any, Any] = {
        **GOOD,
        "triaging": [Transient("busy"), Triage("bug", 0.9)],
        "drafting": [Untranslatable("?"), Draft("b")],
    }
    assert play(SupportTicket, TICKET, script).run.outcome == "completed"
    crashed = play(SupportTicket, TICKET, {"triaging": [ZeroDivisionError("x")]})
    assert crashed.moves == ("gave_up",)
    assert [value.payload.contract for value in crashed.run.values] == ["Ticket", "Crashed"]


def test_delays_and_hangs_are_in_virtual_time() -> None:
    """A late answer takes as long as it says, and what hangs is given up after its state's timeout, both at once."""
    begun = time.perf_counter()
    assert play(SupportTicket, TICKET, {**GOOD, "reviewing": After(300.0, Review(True, ""))}).seconds == 300.0
    hung = play(SupportTicket, TICKET, {**GOOD, "reviewing": Hang()})
    assert (hung.moves[-1], hung.seconds) == ("gave_up", 600.0)
    assert play(SupportTicket, TICKET, {**GOOD, "sending": [Hang()]}).run.condition == "parked"
    assert time.perf_counter() - begun < 2.0


def test_a_wait_of_three_days_between_attempts() -> None:
    """A receiver that asks to come back in three days is waited for in no time."""
    workflow = line(Crew())
    script = {"cutting": [RateLimited("closed", 3 * DAY), Piece()], "gluing": Piece(), "selling": Bill(1.0)}
    played = play(workflow, Job(), script)
    assert played.run.outcome == "completed" and played.seconds == 3 * DAY


def test_garbage_is_rejected_as_from_a_real_one() -> None:
    """`Garbage` gives what no contract admits, and the next attempt is told why."""
    played = play(SupportTicket, TICKET, {**GOOD, "triaging": [Garbage("?"), Garbage(Draft("x")), Triage("bug", 0.9)]})
    faults = [event.failure.contract for turn in played.turns for event in turn.events if isinstance(event, CallFailed)]
    assert faults == ["Rejected", "Rejected"] and played.run.outcome == "completed"


def test_a_call_goes_before_its_state_and_a_state_before_a_specialist() -> None:
    """One script may name a call, a state and a specialist, and the narrowest is meant."""
    script: dict[Any, Any] = {
        **GOOD,
        "drafting#2": Draft("second"),
        write_reply: Draft("never"),
        "reviewing": [Review(False, "x"), Review(True, "")],
    }
    played = play(SupportTicket, TICKET, script)
    assert [value.payload.data for value in played.run.values if value.payload.contract == "Draft"] == [
        b'{"text":"Dear"}',
        b'{"text":"second"}',
    ]
    by_specialist: dict[Any, Any] = {**GOOD, write_reply: [Untranslatable("?")], backup_writer: [Draft("backup")]}
    del by_specialist["drafting"]
    assert play(SupportTicket, TICKET, by_specialist).run.outcome == "completed"


def test_a_specialist_as_an_entry_is_called_for_real() -> None:
    """What is not worth scripting does what it is written to do, in a thread where it is a plain function."""
    played = play(SupportTicket, TICKET, {**GOOD, "triaging": [triage], "drafting": backup_writer})
    assert played.run.newest["drafting", "Draft"].payload.data == b'{"text":"We have read your message about billing"}'


def test_without_a_script_everything_is_real() -> None:
    """`play` alone runs the specialists as they are written."""
    assert play(SupportTicket, TICKET).result == Receipt("sent:late")


def test_the_declaration_stays_as_it_is() -> None:
    """A script changes no workflow: same fingerprint, same specialists, and a run of one goes on under the other."""
    machine = SupportTicket.machine
    before = {node.path: machine.chart.state(node.path).specialists for node in machine.chart.working}
    script = scripted(SupportTicket, GOOD)
    assert script.workflow.machine.fingerprint == machine.fingerprint
    assert {path: machine.chart.state(path).specialists for path in before} == before
    played = play(SupportTicket, TICKET, script)
    started = [event for turn in played.turns for event in turn.events if isinstance(event, CallStarted)]
    assert {event.specialist for event in started} >= {"triage@3", "send_reply@1"}


def test_a_script_works_in_an_engine_of_ones_own() -> None:
    """An engine that has the scripted workflow plays it also under the name of the declared one."""

    async def main() -> str:
        async with Engine(MemoryLog(), [scripted(SupportTicket, GOOD).workflow], clock=VirtualClock()) as engine:
            return (await engine.run(SupportTicket, TICKET)).outcome

    assert run_virtual(main()) == "completed"


def test_signals_are_sent_at_rest() -> None:
    """Each signal is sent once nothing moves, and the run goes on from there."""
    script = {"both/l/pulling": Piece(), "both/r/fetching": Piece(), "both/r/pushing": After(5.0, Piece())}
    played = play(twin(Crew()), Job(), script, signals=[Nudge()])
    assert played.run.outcome == "completed" and played.seconds == 5.0


def test_what_is_left_over_or_missing_is_an_error() -> None:
    """A script that was not played as it is written fails the test, with the entries, the attempts and the path."""
    with pytest.raises(ScriptError) as left:
        play(SupportTicket, TICKET, {"triaging": [Triage("bug", 0.4), Triage("bug", 0.9)], "drafting": Draft("a")})
    assert "`triaging` was not asked for (Triage(topic='bug', confidence=0.9),)" in str(left.value)
    assert "the run: triaging -unsure-> escalated" in str(left.value)
    with pytest.raises(
        ScriptError, match=r"`drafting#1` calls write_reply@1, attempt 1, but `drafting` is in no entry"
    ):
        play(SupportTicket, TICKET, {"triaging": Triage("bug", 0.9)})
    with pytest.raises(ScriptError, match=r"`drafting#2` calls write_reply@1, attempt 1, but `drafting` has 1 entries"):
        play(SupportTicket, TICKET, {**GOOD, "drafting": [Draft("a")], "reviewing": Review(False, "x")})


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"triage": Triage("bug", 0.9)}, "the script names `triage`, expected a state with work"),
        ({"sent": Receipt("1")}, "the script names `sent`"),
        ({"triaging": Draft("x")}, r"expected Triage, an exception.*is Garbage\(Draft\(...\)\)"),
        ({"triaging": "bug"}, r"is Garbage\(str\(...\)\)"),
        ({"triaging": [After(1.0, Draft("x"))]}, "expected Triage"),
        ({"triaging": After(-1.0, Triage("bug", 0.9))}, "seconds from 0 up"),
        ({"triaging": Untranslatable("x")}, "expected one of the failures that it declares"),
        ({"triaging": RateLimited("x")}, "any other would count as Crashed"),
        ({"triaging": write_reply}, "it gives something else"),
        ({triage: Draft("x")}, "`triage` is scripted with Draft"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(entries: dict[Any, Any], said: str) -> None:
    """A script is held to the contracts of its specialists before anything is played."""
    with pytest.raises(ScriptError, match=said):
        scripted(SupportTicket, entries)


def test_a_failure_of_a_fallback_is_its_own() -> None:
    """Entries of a state go to its fallbacks too, attempt by attempt."""
    workflow = line(Crew(), {"attempts": 1})
    script = {"cutting": [Spoilt("a"), Jammed("b")]}
    assert play(workflow, Job(), script).moves == ("failed",)
