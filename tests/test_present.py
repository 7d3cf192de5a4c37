"""A log in words: one line for each event, nothing that a terminal would obey, and no more than a line can hold."""

import shlex
import sys
import unicodedata

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from statecore import present, telling, wording
from statecore.call import Call, CallState
from statecore.events import (
    Assembled,
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallPlanned,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    ConflictSettled,
    Erased,
    Event,
    Finished,
    ForkedFrom,
    Migrated,
    Moved,
    Payload,
    Planned,
    Purged,
    RunStarted,
    SignalRefused,
    SignalTaken,
    Switched,
    TimerFired,
    TimerSet,
)
from statecore.history import path
from statecore.log import Turn
from statecore.run import Run, fold
from statecore.table import Config

DRAFT = Payload("Draft", b'{"text":"hello"}')
START = 1_700_000_000.0

EVENTS: tuple[Event, ...] = (
    RunStarted("Reply", "2", "f" * 64, DRAFT, "north"),
    Moved((), ("both", "both/left", "both/right"), (), ("both/left", "both/right")),
    CallStarted("left#1", "write@1", effect="pure", reads=(0,)),
    CallStarted("left#1", "write@1", 2, effect="pure", cuts=2, reads=(0,), request=DRAFT),
    CallAsked("left#2", "write@1", reads=(0,)),
    CallDeferred("left#2", "budget", "nothing left today", START + 60),
    CallDeferred("left#2", "budget", "one at a time"),
    CallRefused("left#2", "budget", "too dear", DRAFT, "backup@1"),
    CallCompleted("left#1", DRAFT),
    CallCompleted("left#1", DRAFT, 1, "ada", "the bank says so"),
    CallFailed("left#1", Payload("TimedOut", b'{"why":"late"}'), again=START + 2),
    CallFailed("left#1", DRAFT, next="backup@1"),
    CallUnknown("left#1", "the process ended while the call was in flight"),
    CallLate("left#1", "Completed", DRAFT),
    CallLate("", "Failed", DRAFT),
    SignalTaken(DRAFT, "ada"),
    SignalRefused(DRAFT, "nothing waits for it in done", "ada"),
    Moved(("a", "b"), ("over",), ("both",), ("over",), (("good", True), ("a < 3", False)), (), "left", DRAFT),
    Cancelled("ada", "enough"),
    Cancelled(),
    Finished("failed"),
    Erased("ada", "asked to"),
    Purged("run", "completed", 12, "ab" * 32, "keep", "older than 30 days"),
    ForkedFrom("other", 12, "ana", "another way"),
    Switched("write", False, "ada", "it hangs"),
    Migrated("ada", "release 3", "f" * 64, "Reply", "3", "e" * 64, ("left",)),
    CallCompleted("left#1", DRAFT, warnings=("from memory",), trusted="ranged"),
    Planned("left#1", 2, 8, "partial", (0,)),
    CallPlanned("left#1/a", "write", request=DRAFT, answers="total"),
    CallPlanned("left#1/b", "write", ("a",), DRAFT, says="write it once more"),
    ConflictSettled("left#1", "total", "vote", "a", ("a", "b", "c")),
    Assembled("left#1", DRAFT, (("b", "waited for `a`, which failed"),)),
    CallStarted("left#3", "editor@1", effect="pure", reads=(0,), request=DRAFT, kind="person", due=START + 60),
    CallStarted("left#3", "editor@1", effect="pure", kind="person"),
    CallCompleted("left#3", DRAFT, why="nobody answered within 60 s"),
    TimerSet("left", START + 60, (0,)),
    TimerSet("start", START + 60),
    TimerFired("left"),
    TimerFired("start"),
)


def test_every_event_has_its_sentence(snapshot: SnapshotAssertion) -> None:
    """State, reason, guard, specialist, attempt, who said so: what was decided and why, in one line each."""
    assert [telling.said(event) for event in EVENTS] == snapshot


def test_every_class_of_event_is_among_them() -> None:
    """One that is added gets its sentence."""
    assert {type(event) for event in EVENTS} == set(Event.__args__)  # type: ignore[attr-defined]


def test_a_narrator_numbers_and_times_what_it_tells() -> None:
    """The time stands at the first event of a turn; a call that ends says how long it took; a new day has its line."""
    turns = [
        Turn("run", 3, START, "Start", EVENTS[:3]),
        Turn("run", 4, START + 1.5, "Completed", (CallCompleted("left#1", DRAFT),)),
        Turn("run", 5, START + 90_000, "Cancel", (Cancelled("ada"),)),
    ]
    assert telling.lines(turns) == [
        "run run  2023-11-14 22:13:20 UTC",
        '    1  22:13:20.000  started Reply 2 for north with Draft {"text":"hello"}',
        "    2                enters both/left + both/right",
        "    3                left#1 calls write@1 (pure)",
        '    4  22:13:21.500  left#1 gave Draft {"text":"hello"}  [1.5 s]',
        "       2023-11-15",
        "    5  23:13:20.000  cancelled, said ada",
    ]


@settings(max_examples=300)
@given(st.text(st.characters(), max_size=40))
def test_visible_text_is_one_line_of_printable_characters(text: str) -> None:
    """Whatever comes in; what is printable already stays as it is, and a second time changes nothing."""
    shown = wording.visible(text)
    assert shown.isprintable()
    assert wording.visible(shown) == shown
    assert shown == text or not text.isprintable() or any(char in text for char in present_unseen())


def present_unseen() -> str:
    return "".join(chr(code) for code in (0xAD, 0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)) + "".join(
        chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
    )


def test_nothing_that_controls_directs_or_hides_is_left() -> None:
    """Every character of Unicode whose category is control, format, surrogate, private, line or paragraph separator."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in hidden or chr(code) in present_unseen():
            shown = wording.visible(chr(code))
            assert shown.isascii() and shown.startswith("\\"), hex(code)


@pytest.mark.parametrize(
    "text", ["Stra\u00dfe", "\u65e5\u672c\u8a9e", "\u05e9\u05dc\u05d5\u05dd", "\U0001f600", "a\u0301"]
)
def test_letters_of_any_alphabet_are_letters(text: str) -> None:
    """Only what is not seen is spelled out."""
    assert wording.visible(text) == text


def test_a_payload_of_any_size_is_a_short_line() -> None:
    """It says how long it was, and does not take long about it."""
    shown = wording.summary(Payload("Draft", b'"' + "\u00e9".encode() * 4_000_000 + b'"'))
    assert len(shown) < 150 and shown.endswith("... (8,000,002 bytes)")
    assert wording.summary(DRAFT) == 'Draft {"text":"hello"}'
    assert wording.summary(None) == ""
    exact = Payload("D", b"x" * wording.SUMMARY)
    assert wording.summary(exact) == f"D {'x' * wording.SUMMARY}"


def test_a_reason_of_any_length_is_a_short_line() -> None:
    """A model's refusal may be a novel."""
    shown = telling.said(CallUnknown("a#1", "why\n" * 10_000))
    assert len(shown) < 600 and "(40,000 characters)" in shown and "\n" not in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 ms"), (0.0124, "12 ms"), (1.54, "1.5 s"), (59, "59 s"), (600, "10 min"), (90_000, "25.0 h")],
)
def test_a_duration_is_as_exact_as_it_is_short(seconds: float, shown: str) -> None:
    """Milliseconds, seconds, minutes, hours."""
    assert wording.took(seconds) == shown


@pytest.mark.parametrize("at", [1e300, -1e300, float("nan"), float("inf")])
def test_a_time_that_no_calendar_has_is_shown_as_it_is(at: float) -> None:
    """A log that somebody edited can still be looked at."""
    assert wording.moment(at).startswith("at ")
    assert wording.clock(at)


def opened(status: CallState, **more: object) -> Run:
    call = Call("run", "paying#1", "pay@1", 1, 0, "once", DRAFT, (0,), status, START, **more)  # type: ignore[arg-type]
    return Run(id="run", workflow="W", version="1", seq=3, config=Config(("paying",)), calls={"paying#1": call})


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (opened(CallState.STARTED), "paying#1: waits for pay@1, called at 2023-11-14 22:13:20 UTC"),
        (opened(CallState.WAITING, wake=START + 5), "paying#1: attempt 2 of pay@1 at 2023-11-14 22:13:25 UTC"),
        (opened(CallState.DEFERRED, why="budget"), "paying#1: asked again when another call ends; held because budget"),
        (
            opened(CallState.DEFERRED, why="budget", wake=START + 5),
            "paying#1: asked again at 2023-11-14 22:13:25 UTC; held because budget",
        ),
        (
            opened(CallState.DEFERRED, why="it hangs", guard="switch"),
            "paying#1: asked again when it is enabled; held because it hangs: "
            "`statecore specialists pay --enable --by YOU --why TEXT --db x`",
        ),
        (
            opened(CallState.DEFERRED, why="pay was disabled by the budget", guard="budget"),
            "paying#1: asked again when another call ends; held because pay was disabled by the budget",
        ),
        (
            opened(CallState.UNKNOWN),
            "paying#1: somebody must find out whether pay@1 did it, then "
            "`statecore answer run paying#1 done|not-done|JSON --by YOU --why TEXT --db x`",
        ),
        (attrs.evolve(opened(CallState.STARTED), calls={}), "waits for a signal in paying"),
        (attrs.evolve(opened(CallState.STARTED), outcome="failed", calls={}), "nothing: the run is failed"),
    ],
)
def test_what_comes_next_is_said_for_every_condition(run: Run, line: str) -> None:
    """And what somebody must do for it, as a command that can be typed."""
    assert present.following(run, options=" --db x") == [line]


def test_a_run_that_is_parked_here_says_why() -> None:
    """The reason takes the place of what would come next."""
    assert present.following(opened(CallState.STARTED), "no class\n") == ["nothing here: no class\\n"]
    assert present.headline(opened(CallState.STARTED), "no class") == "run       run  W 1  parked in paying"


def test_a_run_that_could_not_be_read_still_has_a_line() -> None:
    """There is no more to it than its id."""
    assert present.headline(Run(id="x"), "cannot be read") == "run       x  parked"
    assert present.as_json(Run(id="x"), "cannot be read")["input"] is None


def test_a_call_is_counted_over_its_attempts_and_cuts() -> None:
    """How often it was started, how often it was cut, and how long it was in flight."""
    turns = [
        Turn("run", 1, START, "", (CallStarted("a#1", "x@1"),)),
        Turn("run", 2, START + 1, "", (CallFailed("a#1", DRAFT, again=START + 2),)),
        Turn("run", 3, START + 2, "", (CallStarted("a#1", "x@1", 2),)),
        Turn("run", 4, START + 9, "", (CallStarted("a#1", "x@1", 2, cuts=1),)),
        Turn("run", 5, START + 10, "", (CallCompleted("a#1", DRAFT, 2),)),
        Turn("run", 6, START + 10, "", (CallStarted("b#1", "y@1"),)),
    ]
    assert present.work(turns) == [
        present.Work("a#1", "x@1", dispatched=3, cuts=1, seconds=2.0, ended="Draft"),
        present.Work("b#1", "y@1", dispatched=1, ended="in flight"),
    ]


def test_a_table_is_as_wide_as_its_widest() -> None:
    """A header, and a line each."""
    line = {
        "run": "r",
        "workflow": "W\x1b",
        "version": "1",
        "fingerprint": "f" * 64,
        "tenant": "",
        "condition": "running",
        "started": START,
        "at": START + 1,
        "events": 3,
    }
    assert present.table([line]) == [
        "run  workflow  pinned to  condition  started                  lasted  events",
        "r    W\\x1b 1   ffffffff   running    2023-11-14 22:13:20 UTC  1.0 s   3",
    ]
    assert present.table([{**line, "tenant": "acme"}])[0].startswith("run  tenant  workflow  pinned to")


def test_the_path_is_told_with_the_reasons() -> None:
    """Each state that was entered, after the transition that led there."""
    run = fold(Run(id="run"), EVENTS[:2], START)
    assert path([Turn("run", 2, START, "", (EVENTS[1], EVENTS[17]))]) == ["both/left+both/right", "-b-> over"]
    assert "path      both/left+both/right" in present.overview(run, [Turn("run", 2, START, "", EVENTS[:2])])


def test_a_command_that_is_shown_to_be_typed_is_safe_to_type() -> None:
    """An id that a shell would obey is quoted; any other stands as it is."""
    assert (
        wording.typed("n7bgnbgbf7nk") == "n7bgnbgbf7nk"
        and wording.typed("both/left/drafting#1") == "both/left/drafting#1"
    )
    for name in ("$(touch x)", "a b", "`x`", "a;b", "#a", "a'b", "", "*", "~", "a\nb"):
        assert shlex.split(f"x {wording.typed(name)}") == ["x", name] and wording.typed(name) != name
