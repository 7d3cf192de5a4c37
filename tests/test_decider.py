"""The decider and the fold, without an engine: given what was decided, when an input comes, then these events."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecore import State, Workflow
from statecore.admission import Guarded
from statecore.call import Call, CallState, key
from statecore.codec import decode, encode
from statecore.decider import MAX_CUTS, RETRY_CAP, decide, step, wait
from statecore.errors import BadInput, NotPossible
from statecore.events import (
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    Event,
    Finished,
    Moved,
    Payload,
    RunStarted,
    SignalRefused,
    SignalTaken,
)
from statecore.failures import (
    Broken,
    Crashed,
    Exhausted,
    Failure,
    NotDone,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Transient,
    Unavailable,
)
from statecore.guard import Defer, Guard, Pass, Refuse
from statecore.ledger import Ledger
from statecore.messages import Cancel, Completed, Elapsed, Failed, Input, Interrupted, Signal, Start
from statecore.run import Run, evolve, fold, replay
from statecore.trail import Trail, Value
from tests.crew import Bill, Crew, Frowned, Jammed, Job, Nudge, Piece, Says, Spoilt, Stranger, line, twin, typed
from tests.support import Draft, Review, SupportTicket, Ticket, Triage

REST = {"completed", "failed", "partial", "cancelled", "parked", "paused", "waiting"}


class Story:
    """A run told by its inputs. Every step is checked against the fold of its own events, written to bytes and read
    back.
    """

    def __init__(
        self, workflow: Any, job: Job | None = None, *, guards: Sequence[Guard[Any]] = (), run: str = "run"
    ) -> None:
        self.machine, self.admission = workflow.machine, Guarded(Ledger(), tuple(guards))
        self.run, self.at, self.turns = Run(id=run), 1000.0, list[tuple[float, tuple[Event, ...]]]()
        self.states = [self.run]
        if job is not None:
            self.give(Start(run, job))

    def give(self, *inputs: Input) -> tuple[Event, ...]:
        """The events of the last of them."""
        events: tuple[Event, ...] = ()
        for input in inputs:
            self.at += 1
            input = attrs.evolve(input, at=max(self.at, input.at))
            events, after = step(self.machine, self.run, input, self.admission)
            for event in events:
                self.states.append(evolve(self.states[-1], event, input.at))
            assert self.states[-1] == after and after.seq == self.run.seq + len(events)
            if events:
                self.turns.append((input.at, decode("run", 1, *encode(events))))
                assert self.turns[-1][1] == events
            self.run = after
        return events

    @property
    def config(self) -> str:
        return " ".join(self.run.config.states)

    @property
    def events(self) -> list[Event]:
        return [event for _, events in self.turns for event in events]

    def call(self, state: str) -> Call:
        return next(call for call in self.run.calls.values() if call.state.rpartition("/")[2] == state)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def good(call: Call) -> Any:
    return Completed(Bill(1.0) if call.state == "selling" else Piece(call.state), call.id, call.attempt)


def settled(story: Story, limit: int = 200) -> str:
    """Answer well, wait out every wait, until nothing but the world outside can move the run."""
    for _ in range(limit):
        due: list[Input] = [good(c) for c in story.run.calls.values() if c.status is CallState.STARTED]
        due += [Elapsed(c.id, c.wake or 0.0) for c in story.run.calls.values() if c.status is CallState.WAITING]
        if not due:
            assert story.run.condition in REST
            return story.run.condition
        story.give(due[0])
    raise AssertionError(f"after {limit} inputs the run is still going: {story.config}")


def charts(crew: Crew | None = None, **more: Any) -> dict[str, Any]:
    crew = crew or Crew()
    return {"line": line(crew, **more), "once": typed(crew), "pure": typed(crew, effect="pure"), "twin": twin(crew)}


def begun(workflow: Any, guards: Sequence[Guard[Any]] = ()) -> Story:
    story = Story(workflow, Job(), guards=guards)
    if workflow.__name__ == "Twin":
        story.give(Signal(Nudge()))
    return story


# -- the same again


def test_the_same_inputs_are_decided_the_same_a_hundred_times() -> None:
    """The decider is a function; a hundred runs of one story give one sequence of decisions, to the byte."""

    def told() -> bytes:
        story = begun(line(Crew()))
        call = story.call("cutting")
        story.give(Failed(Jammed(), call.id), Elapsed(call.id), Completed(Piece(mark="bad"), call.id))
        settled(story)
        return b"".join(encode(events)[0] for _, events in story.turns)

    assert len({told() for _ in range(100)}) == 1


def test_every_prefix_rebuilds_to_the_run_as_it_was_then() -> None:
    """Cut after any event, the fold of what is left equals the run that was live there, from bytes and
    without a class.
    """
    story = begun(twin(Crew(), right=[]))
    story.give(
        Failed(Jammed(), story.call("pulling").id),
        Elapsed(story.call("pulling").id),
        Failed(Jammed(), story.call("pulling").id),
    )
    story.give(
        Failed(Jammed(), story.call("pulling").id), Interrupted(story.call("fetching").id), good(story.call("fetching"))
    )
    story.give(
        Interrupted(story.call("pushing").id), Completed(Piece("x"), story.call("pushing").id, by="me", why="saw it")
    )
    story.give(Elapsed(story.call("pulling").id), Completed(Piece(mark="bad"), story.call("pulling").id))
    story.give(Completed(Piece(), "nobody", 3), Signal(Nudge()), good(story.call("pulling")))
    assert story.run.outcome == "completed" and len(story.states) >= 30
    for n in range(1, len(story.states)):
        left, cut = n, list[tuple[float, tuple[Event, ...]]]()
        for at, events in story.turns:
            cut.append((at, decode("run", 1, *encode(events[:left]))))
            left -= min(left, len(events))
            if not left:
                break
        assert replay("run", cut) == story.states[n]


def test_branches_from_one_prefix_do_not_see_each_other() -> None:
    """Values share one list; two continuations of the same run still have only their own."""
    base = begun(line(Crew())).run
    one, two = (
        fold(base, (CallCompleted("cutting#1", Payload("Piece", data)),), 2.0)
        for data in (b'{"text":"1"}', b'{"text":"2"}')
    )
    three = fold(one, (SignalTaken(Payload("Nudge", b"{}")),), 3.0)
    four = fold(base, (SignalTaken(Payload("Nudge", b"[]")),), 3.0)
    assert [len(run.values) for run in (base, one, two, three, four)] == [1, 2, 2, 3, 2]
    assert [run.values[-1].payload.data for run in (one, two, three, four)] == [
        b'{"text":"1"}',
        b'{"text":"2"}',
        b"{}",
        b"[]",
    ]
    assert [value.payload.data for value in one.values] == [base.input.data, b'{"text":"1"}']


def test_a_trail_is_a_sequence() -> None:
    """Index, slice, negative index and bounds behave as a list's, whatever a newer view has appended behind."""
    values = [Value(n, "start", Payload("X", b"%d" % n)) for n in range(4)]
    old = Trail(values[:2])
    new = old.added(values[2:])
    assert list(old) == values[:2] and list(new) == values and new[-1] == values[3] and old[-1] == values[1]
    assert list(old[0:9]) == values[:2] and old != new and new == Trail(values) and old.added(()) is old
    for beyond in (2, -3):
        with pytest.raises(IndexError):
            old[beyond]


def test_a_run_of_another_fingerprint_is_not_touched() -> None:
    """A run is pinned to the declaration that it was started on; any other raises NotPossible and names both."""
    story = begun(line(Crew()))
    other = typed(Crew()).machine
    with pytest.raises(NotPossible, match=f"(?s){story.run.fingerprint[:12]}.*{other.fingerprint[:12]}"):
        decide(other, story.run, Cancel())


# -- typed failures


@pytest.mark.parametrize(
    ("outcome", "target"),
    [
        (Failed(Jammed("old")), "jammed"),
        (Failed(Jammed("new")), "shaken"),
        (Failed(Spoilt()), "spoilt"),
        (Failed(Rejected("me", ("x",))), "rejected"),
        (Failed(Crashed("ValueError")), "crashed"),
        (Failed(Stranger()), "crashed"),
        (Failed(Transient()), "crashed"),
        (Failed(OutcomeUnknown()), "unknown"),
        (Failed(TimedOut()), "unknown"),
        (Completed("plain text"), "rejected"),
        (Completed(Piece()), "done"),
    ],
)
def test_each_failure_has_its_own_target(outcome: Any, target: str) -> None:
    """A declared failure goes where its own transition leads, an undeclared one is Crashed, and prose is
    Rejected.
    """
    story = begun(typed(Crew()))
    story.give(attrs.evolve(outcome, call="working#1", attempt=1))
    assert story.config == target
    assert story.run.condition == story.machine.chart.state(target).outcome


def test_a_pure_call_that_takes_too_long_is_timed_out() -> None:
    """Only around a `once` effect is a timeout an unknown outcome."""
    story = begun(typed(Crew(), effect="pure"))
    story.give(Failed(TimedOut(), "working#1"))
    assert story.config == "late"


def test_a_guard_that_refuses_before_has_its_own_target() -> None:
    """Refused by a guard of the engine is a failure like any other."""
    assert begun(typed(Crew()), [Says("no", "before", [Refuse("not today")])]).config == "refused"


def test_a_used_up_bound_is_exhausted_and_says_which() -> None:
    """The second unsound piece finds `again` used up; the move records the question, the answer and the failure
    instead.
    """
    story = begun(typed(Crew()))
    story.give(*(Completed(Piece(mark="bad"), f"working#{n}") for n in (1, 2)))
    moved = story.of(Moved)[-1]
    assert moved.transitions == ("spend",) and moved.instead.contract == "Exhausted" and moved.of == "working"
    assert moved.asked == (("sound", False), ("again < 1", False))


def test_a_condition_that_raises_is_broken_and_a_bound_on_that_is_exhausted() -> None:
    """Broken is answered within its bound, and then Exhausted is; a condition never stops a run."""
    story = begun(typed(Crew()))
    story.give(Completed(Piece(mark="raise"), "working#1"))
    assert (story.config, story.of(Moved)[-1].transitions, story.of(Moved)[-1].instead.contract) == (
        "working",
        ("break_again",),
        "Broken",
    )
    story.give(Completed(Piece(mark="raise"), "working#2"))
    assert (story.config, story.of(Moved)[-1].instead.contract) == ("spent", "Exhausted")


def test_a_condition_of_the_failure_that_raises_itself_answers_no() -> None:
    """Where even the condition for Broken raises, the next transition of the row is taken: there is always an end."""

    def raises(failure: Failure) -> bool:
        raise ValueError("always")

    class Touchy(Workflow[Job], version="1"):
        working = State(Crew()("work", fails=[Jammed]), initial=True)
        done = State(final=True)
        caught = State(final=True, outcome="failed")
        lost = State(final=True, outcome="failed")
        worked = working.to(done, on=Completed[Piece])
        catch = working.to(caught, on=Failed, cond=raises)
        lose = working.to(lost, on=Failed)

    story = begun(Touchy)
    story.give(Failed(Jammed(), "working#1"))
    moved = story.of(Moved)[-1]
    assert (story.config, moved.instead.contract) == ("lost", "Broken") and moved.asked[-1][1] is False


def test_a_person_who_says_not_done_moves_the_chart() -> None:
    """NotDone goes to the chart only where a person says it; a chart that does not answer it is given Crashed,
    never nothing.
    """
    story = selling()
    story.give(Failed(NotDone("no"), "selling#1", 1))
    assert story.of(CallFailed)[-1].failure.contract == "Crashed"
    for effect, target in (("pure", "crashed"), ("idempotent", "crashed")):
        story = begun(typed(Crew(), effect=effect))
        for _ in range(MAX_CUTS + 1):
            story.give(Interrupted("working#1"))
        story.give(Failed(NotDone("no"), "working#1", by="me", why="it was not"))
        assert story.config == target


# -- never stuck

NAN = float("nan")


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no")


def unprintable() -> Failure:
    class Mute(Failure):
        def __str__(self) -> str:
            raise ValueError("no")

    return Mute()


OUTCOMES: dict[str, Any] = {
    "good": None,
    "bad": Completed(Piece(mark="bad")),
    "raises": Completed(Piece(mark="raise")),
    "trips": Completed(Piece(mark="trip")),
    "misfits": Completed(Piece(mark="misfit")),
    "prose": Completed("done!"),
    "none": Completed(None),
    "class": Completed(Piece),
    "other": Completed(Nudge()),
    "nan": Completed(Bill(NAN)),
    "nul": Completed(Piece("\0")),
    "surrogate": Completed(Piece("\ud800")),
    "mistyped": Completed(Piece(7)),  # type: ignore[arg-type]
    "unprintable": Completed(Unprintable()),
    "nested": Completed(Piece(Unprintable())),  # type: ignore[arg-type]
    "jammed": Failed(Jammed()),
    "jam raises": Failed(Jammed("raise")),
    "jam nul": Failed(Jammed("\0")),
    "spoilt": Failed(Spoilt("\ud800")),
    "stranger": Failed(Stranger("\0")),
    "mute": Failed(unprintable()),
    "no failure": Failed("oops"),  # type: ignore[arg-type]
    "crashed": Failed(Crashed("E", "x"), detail="trace"),
    "timed out": Failed(TimedOut()),
    "limited": Failed(RateLimited(retry_after=9.0)),
    "limited for ever": Failed(RateLimited(retry_after=math.inf)),
    "unavailable": Failed(Unavailable()),
    "rejected": Failed(Rejected("x", ("\0",))),
    "refused": Failed(Refused("x")),
    "broken": Failed(Broken("x")),
    "exhausted": Failed(Exhausted("x", 1)),
    "not done": Failed(NotDone()),
    "unknown": Failed(OutcomeUnknown("\0\ud800")),
    "cut": Interrupted("?"),
}
ANSWERS: dict[str, Any] = {
    "pass": Pass(),
    "refuse": Refuse("no\0\ud800"),
    "refuse typed": Refuse("no", Frowned()),
    "refuse stranger": Refuse("no", Stranger()),
    "refuse unknown": Refuse("no", OutcomeUnknown()),
    "refuse exhausted": Refuse("no", Exhausted("x", 1)),
    "refuse nothing": Refuse(None),  # type: ignore[arg-type]
    "defer": Defer("later\0"),
    "defer until": Defer("later", 5000.0),
    "defer back": Defer("later", 1.0),
    "defer nan": Defer("later", NAN),
    "defer for ever": Defer("later", math.inf),
    "defer on text": Defer("later", "soon"),  # type: ignore[arg-type]
    "raise": ValueError("\0\ud800"),
    "prose": "fine by me",
    "none": None,
}
SIDES = ("before", "after")


def outcome_of(kind: str, call: Call) -> Input:
    found = OUTCOMES[kind] or good(call)
    return (
        attrs.evolve(found, call=call.id, attempt=call.attempt)
        if not isinstance(found, Interrupted)
        else Interrupted(call.id)
    )


def drive(story: Story, pick: Any, limit: int = 300) -> None:
    """Give outcomes as `pick(call)` names them, until nothing is due; then whatever is left can be settled or
    cancelled.
    """
    for _ in range(limit):
        calls = list(story.run.calls.values())
        started = [call for call in calls if call.status is CallState.STARTED]
        waiting = [call for call in calls if call.wake is not None and call.wake < 1e9]
        if started:
            story.give(outcome_of(pick(started[0]), started[0]))
        elif waiting and story.at < 50_000:
            story.give(Elapsed(waiting[0].id, waiting[0].wake or 0.0))
        else:
            break
        story.at += 100
    else:
        raise AssertionError(f"still going after {limit} inputs: {story.config}")
    at_rest(story)


def at_rest(story: Story) -> None:
    run = story.run
    assert run.condition in REST
    if run.outcome:
        assert story.machine.chart.nodes[run.config.states[0]].final and not run.calls
        return
    kinds = {call.status for call in run.calls.values()}
    assert kinds or story.config in ("waiting",), f"nothing is open in {story.config}, and it is not final"
    for call in run.calls.values():
        if call.status is CallState.UNKNOWN:
            story.give(Failed(NotDone("it was not"), call.id, by="me", why="looked"))
            assert call.id not in {c.id for c in story.run.calls.values() if c.status is CallState.UNKNOWN}
            break
    if not story.run.outcome:
        story.give(Cancel(by="me", why="enough"))
        assert story.run.outcome == "cancelled" and not story.run.calls


STATES = {
    "line": ("cutting", "gluing", "selling"),
    "once": ("working",),
    "pure": ("working",),
    "twin": ("pulling", "fetching", "pushing"),
}
WHERE = [(chart, state) for chart, states in STATES.items() for state in states]


@pytest.mark.parametrize(("chart", "state"), WHERE)
@pytest.mark.parametrize("kind", [kind for kind in OUTCOMES if kind != "good"])
def test_every_outcome_in_every_state_ends_or_rests(chart: str, state: str, kind: str) -> None:
    """Whatever a specialist answers, once or for ever, the run comes to a declared end or a visible rest."""
    for times in (1, 1000):
        left = itertools.count()

        def pick(call: Call, times: int = times, left: Any = left) -> str:
            return kind if call.state.endswith(state) and next(left) < times else "good"

        drive(begun(charts()[chart]), pick)


@pytest.mark.parametrize(("chart", "state"), [("line", "cutting"), ("line", "gluing"), ("twin", "fetching")])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("answer", ANSWERS)
def test_every_answer_of_a_guard_ends_or_rests(chart: str, state: str, side: Any, answer: str) -> None:
    """Whatever a guard answers, of the state or of the engine, once or for ever, before or after, attempt or
    retry.
    """
    for times, own in itertools.product((1, 1000), (True, False)):
        guard = Says("guard", side, [ANSWERS[answer]] * times + [Pass()], (Frowned,))
        machines = {"line": lambda options: line(Crew(), **options), "twin": lambda options: twin(Crew(), **options)}
        workflow = machines[chart]({state: {"guards": [guard]}} if own else {})
        for kind in ("good", "jammed"):
            drive(
                begun(workflow, [] if own else [guard]),
                lambda call, kind=kind: kind if call.state.endswith(state) else "good",
            )
            guard.asked.clear()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_mix_of_faults_ends_or_rests(data: st.DataObject) -> None:
    """Outcomes of all kinds, guards of all minds, cuts, signals, late and repeated outcomes, in any
    order.
    """
    guards = [Says("a", "before", [ANSWERS[data.draw(st.sampled_from(sorted(ANSWERS)))] for _ in range(4)] + [Pass()])]
    guards.append(
        Says("b", "after", [ANSWERS[data.draw(st.sampled_from(sorted(ANSWERS)))] for _ in range(4)] + [Pass()])
    )
    name = data.draw(st.sampled_from(sorted(STATES)))
    story = begun(charts()[name], guards if data.draw(st.booleans()) else [])
    noise = st.sampled_from(["none"] * 6 + ["late", "again", "nudge", "elapsed", "cut", "ahead"])
    said: list[Input] = []

    def pick(call: Call) -> str:
        match data.draw(noise):
            case "late":
                story.give(Completed(Piece("late"), call.id, call.attempt + 7))
            case "again" if said:
                story.give(said[-1])
            case "nudge" if name == "twin":
                story.give(Signal(Nudge()))
            case "elapsed":
                story.give(Elapsed(call.id))
            case "cut":
                story.give(Interrupted("no such call"))
            case "ahead":
                story.give(Failed(TimedOut(), "pushing#9", 1))
            case _:
                pass
        kind = data.draw(st.sampled_from(sorted(OUTCOMES)))
        said.append(outcome_of(kind, call))
        return kind

    drive(story, pick)
    assert replay("run", story.turns) == story.run


def test_nothing_open_twice_where_a_hand_over_breaks_a_whole_region() -> None:
    """A refusal in one region moves the run out of the other and into it again: each entry has one call, and one
    only.
    """
    guard = Says("no", "before", [Refuse("first time", Jammed()), Pass()])
    story = begun(twin(Crew(), pulling={"guards": [guard]}))
    started = [event.call for event in story.of(CallStarted)]
    assert len(started) == len(set(started)) == len(story.run.calls) == 2
    assert story.of(Moved)[-1].transitions == ("restart",)


# -- late, repeated, out of order


def test_late_and_repeated_outcomes_are_recorded_and_fire_nothing() -> None:
    """Wrong attempt, wrong fallback, unknown call, after the end: one CallLate each, and the run is otherwise as it
    was.
    """
    story = begun(line(Crew()))
    call = story.call("cutting")
    story.give(Failed(Jammed(), call.id, 1), Elapsed(call.id))
    for late in (
        Completed(Piece(), call.id, 1),
        Failed(Jammed(), call.id, 3),
        Completed(Piece(), "gluing#1", 1),
        Completed(Piece(), call.id, 2, rank=1),
    ):
        before = story.run
        [event] = story.give(late)
        assert isinstance(event, CallLate) and event.call == late.call and event.attempt == late.attempt
        assert attrs.evolve(story.run, seq=before.seq, at=before.at) == before
    settled(story)
    [event] = story.give(Completed(Bill(1.0), "selling#1", 1))
    assert isinstance(event, CallLate) and story.run.outcome == "completed"
    [event] = story.give(Failed("no contract at all", "selling#1"))  # type: ignore[arg-type]
    assert isinstance(event, CallLate) and event.value.contract == "Crashed"


def test_a_completion_that_comes_twice_is_taken_once() -> None:
    """The same again, another payload for the same call, and a failure after it: each is recorded with what it said, none
    moves the run or replaces the value that was taken.
    """
    story = begun(line(Crew()))
    call = story.call("cutting")
    story.give(Completed(Piece("first"), call.id, 1))
    taken = story.run
    for again in (
        Completed(Piece("first"), call.id, 1),
        Completed(Piece("other"), call.id, 1),
        Failed(Jammed(), call.id, 1),
    ):
        [event] = story.give(again)
        assert isinstance(event, CallLate) and event.value.live == again.value
        assert attrs.evolve(story.run, seq=taken.seq, at=taken.at) == taken
    settled(story)
    assert [value.payload.live for value in story.run.values if value.by == "cutting"] == [Piece("first")]


def test_an_outcome_of_the_primary_is_not_taken_for_that_of_the_fallback() -> None:
    """Both count their attempts from one: the rank tells them apart, where an outcome brings it."""
    story = begun(line(Crew(), {"attempts": 1}))
    story.give(Failed(TimedOut(), "cutting#1", 1, rank=0))
    assert story.call("cutting").specialist == "saw@1"
    [event] = story.give(Completed(Piece("too late"), "cutting#1", 1, rank=0))
    assert isinstance(event, CallLate)
    story.give(Completed(Piece("in time"), "cutting#1", 1, rank=1))
    assert story.run.values[-1].specialist == "saw@1" and story.run.values[-1].fallback


def test_outcomes_of_two_regions_are_taken_as_they_come() -> None:
    """Either order leads to the same end; the log fixes which it was."""
    for first, second in itertools.permutations(("pulling", "pushing")):
        story = begun(twin(Crew()))
        story.give(good(story.call("fetching")))
        story.give(good(story.call(first)), good(story.call(second)))
        assert story.run.outcome == "completed"


def test_nothing_moves_a_cancelled_run() -> None:
    """After Cancel outcomes are late, waits and cuts write nothing, signals are refused, and a second Cancel is not
    possible.
    """
    story = begun(twin(Crew()))
    assert story.give(Cancel(by="me", why="enough")) == (Cancelled("me", "enough"), Finished("cancelled"))
    [late] = story.give(Completed(Piece(), "both/l/pulling#1"))
    assert isinstance(late, CallLate)
    assert story.give(Elapsed("both/l/pulling#1"), Interrupted("both/r/fetching#1")) == ()
    [refused] = story.give(Signal(Nudge()))
    assert isinstance(refused, SignalRefused) and "cancelled" in refused.why
    with pytest.raises(NotPossible, match="is cancelled"):
        story.give(Cancel())
    assert story.run.outcome == "cancelled" and "enough" in story.run.why


def test_a_signal_nobody_waits_for_is_recorded_as_refused() -> None:
    """It says where the run was, or that no transition waits for one of its type; what is no value of its contract writes
    nothing.
    """
    story = begun(twin(Crew()))
    [event] = story.give(Signal(Nudge("again"), by="me"))
    assert isinstance(event, SignalRefused) and "nothing waits for it" in event.why and event.by == "me"
    [event] = story.give(Signal(Bill(1.0), by="me"))
    assert isinstance(event, SignalRefused) and event.value.contract == "Bill"
    assert event.why == "Twin waits for no signal of this type, in no state: it knows Nudge"
    with pytest.raises(BadInput, match="expected a signal, which is a value of an attrs class, found 'go on'"):
        story.give(Signal("go on"))
    with pytest.raises(BadInput, match=r"\$\.text"):
        story.give(Signal(Nudge(5)))  # type: ignore[arg-type]


def test_a_start_of_the_wrong_type_writes_nothing() -> None:
    """What is not the workflow's input is refused at the door, and so is a second start."""
    story = Story(line(Crew()))
    with pytest.raises(BadInput, match="expected Job, found Nudge"):
        story.give(Start("run", Nudge()))
    story.give(Start("run", Job()))
    with pytest.raises(NotPossible, match="is there already"):
        story.give(Start("run", Job()))


# -- once


def selling(**does: Any) -> Story:
    story = begun(line(Crew(), **does))
    for _ in range(2):
        story.give(good(next(iter(story.run.calls.values()))))
    assert story.call("selling").effect == "once"
    return story


@pytest.mark.parametrize(
    "input", [Failed(TimedOut("slow"), "selling#1"), Failed(OutcomeUnknown("?"), "selling#1"), Interrupted("selling#1")]
)
def test_a_once_call_whose_outcome_is_unknown_is_parked(input: Any) -> None:
    """It is never repeated: the run says parked, no outcome from below settles it, a person's does."""
    story = selling()
    [event] = story.give(input)
    assert isinstance(event, CallUnknown) and story.run.condition == "parked"
    [late] = story.give(Completed(Bill(1.0), "selling#1", 1))
    assert isinstance(late, CallLate) and story.run.condition == "parked"
    assert story.give(Interrupted("selling#1"), Elapsed("selling#1")) == ()
    story.give(Completed(Bill(2.0), "selling#1", by="me", why="the bank says so"))
    assert story.run.outcome == "completed" and story.of(CallCompleted)[-1].why == "the bank says so"


def test_a_parked_call_is_settled_as_not_done() -> None:
    """NotDone goes to the chart as a failure, with who said so."""
    story = selling()
    story.give(Interrupted("selling#1"), Failed(NotDone("no money came"), "selling#1", by="me", why="asked"))
    assert story.config == "scrapped"
    failed = story.of(CallFailed)[-1]
    assert (failed.failure.contract, failed.by, failed.why) == ("NotDone", "me", "asked")


def test_an_unknown_outcome_that_a_transition_names_moves_the_chart() -> None:
    """Only an explicit Failed[OutcomeUnknown] does; then nothing is parked."""
    story = begun(typed(Crew()))
    story.give(Interrupted("working#1"))
    assert (story.config, story.run.condition, story.of(CallUnknown)) == ("unknown", "partial", [])


def test_a_settled_call_is_not_tried_again() -> None:
    """What a person says about a parked call is the last word: no attempt and no fallback follows."""
    story = begun(line(Crew()))
    for _ in range(MAX_CUTS + 1):
        story.give(Interrupted("cutting#1"))
    story.give(Failed(Jammed(), "cutting#1", by="me", why="it is"))
    assert story.config == "scrapped"


# -- attempts, waits, fallbacks


def test_attempts_are_bounded_and_their_waits_are_in_the_log() -> None:
    """Three attempts of the primary, three of the fallback, then the chart; no wait is decided but in
    CallFailed.again.
    """
    story = begun(line(Crew()))
    while "cutting#1" in story.run.calls:
        call = story.run.calls["cutting#1"]
        story.give(Failed(Jammed(), call.id) if call.status is CallState.STARTED else Elapsed(call.id, call.wake or 0))
    assert [(event.specialist, event.attempt) for event in story.of(CallStarted)] == [
        (s, n) for s in ("cut@1", "saw@1") for n in (1, 2, 3)
    ]
    failed = story.of(CallFailed)
    assert [event.again is None for event in failed] == [False, False, True] * 2
    assert [event.next for event in failed] == ["", "", "saw@1", "", "", ""]
    assert story.config == "scrapped"


def test_a_wait_doubles_is_capped_and_its_jitter_derives_from_the_key() -> None:
    """Between half and all of 1, 2, 4 ... 60 seconds; the same call waits the same, another call otherwise."""
    call = begun(line(Crew())).call("cutting")
    waits = [wait(attrs.evolve(call, attempt=n), Jammed()) for n in range(1, 12)]
    for n, found in enumerate(waits):
        most = min(RETRY_CAP, 2.0**n)
        assert most / 2 <= found <= most
    assert waits == [wait(attrs.evolve(call, attempt=n), Jammed()) for n in range(1, 12)]
    assert waits[0] != wait(attrs.evolve(call, id="cutting#2"), Jammed())
    assert wait(attrs.evolve(call, attempt=10_000), Jammed()) <= RETRY_CAP


def test_the_next_attempt_waits_as_long_as_the_receiver_asked() -> None:
    """RateLimited.retry_after is honoured where it is longer than the wait of its own."""
    for asked, least in ((30.0, 30.0), (0.0, 0.5), (-5.0, 0.5), (None, 0.5)):
        story = begun(line(Crew()))
        [failed] = story.give(Failed(RateLimited(retry_after=asked), "cutting#1"))
        assert isinstance(failed, CallFailed) and failed.again is not None and failed.again - story.run.at >= least
        assert story.run.calls["cutting#1"].wake == failed.again and story.run.condition == "waiting"


def test_the_attempt_after_a_rejected_one_is_told_the_faults() -> None:
    """The output is stored with the failure and is not a value; the next attempt's Call carries the faults; a
    success clears nothing else.
    """
    guard = Says("plausible", "after", [Refuse("too small"), Pass()])
    story = begun(line(Crew(), {"guards": [guard]}))
    [failed] = story.give(Completed(Piece("tiny"), "cutting#1"))
    assert isinstance(failed, CallFailed) and failed.output == Payload("Piece", b'{"text":"tiny","mark":""}')
    assert len(story.run.values) == 1
    story.give(Elapsed("cutting#1", 1e9))
    assert story.run.calls["cutting#1"].faults == ("too small",) and story.run.calls["cutting#1"].attempt == 2
    story.give(Completed("prose", "cutting#1"))
    assert story.run.calls["cutting#1"].faults == ("expected Piece, found str 'prose' @ $",)


@pytest.mark.parametrize(
    ("first", "last", "fallback"),
    [
        ([], Unavailable(), True),
        ([], RateLimited(), True),
        ([], TimedOut(), False),
        ([], Spoilt(), False),
        ([Unavailable()], Unavailable(), True),
        ([TimedOut()], Unavailable(), False),
        ([TimedOut(), Unavailable()], Unavailable(), False),
        (["cut"], Unavailable(), False),
    ],
)
def test_after_an_effect_a_fallback_needs_proof_that_nothing_happened(
    first: list[Any], last: Failure, fallback: bool
) -> None:
    """Proof of every attempt: a timeout or a cut before the last refusal may have reached the world."""
    does = {"glue": [], "nail": []}
    crew = Crew()
    workflow = line(crew, gluing={"attempts": len([f for f in first if f != "cut"]) + 1}, **does)
    story = begun(workflow)
    # `glue` declares Jammed, Spoilt and RateLimited; Unavailable must be declared too, so it is made here
    glue = story.machine.chart.state("gluing").specialists[0]
    object.__setattr__(glue, "fails", (*glue.fails, Unavailable))
    story.machine.contracts.setdefault("Unavailable", _contract(Unavailable))
    story.give(good(story.call("cutting")))
    for failure in first:
        if failure == "cut":
            story.give(Interrupted("gluing#1"))
        else:
            story.give(Failed(failure, "gluing#1"), Elapsed("gluing#1", 1e9))
    story.give(Failed(last, "gluing#1"))
    assert ("nail@1" in [event.specialist for event in story.of(CallStarted)]) is fallback
    assert story.config == ("gluing" if fallback else "scrapped")


def _contract(kind: type) -> Any:
    from statecore.contract import contract_of

    return contract_of(kind)


def test_the_idempotency_key_is_one_for_all_attempts_and_no_other_call() -> None:
    """sha256 of run, state and entry: not of the attempt, the specialist or the process."""
    story = begun(line(Crew()))
    keys = set()
    while "cutting#1" in story.run.calls:
        call = story.run.calls["cutting#1"]
        keys.add(call.key)
        story.give(Failed(Jammed(), call.id) if call.status is CallState.STARTED else Elapsed(call.id, 1e9))
    assert (
        keys == {key("run", "cutting#1")}
        and key("run", "cutting#2") not in keys
        and key("ru", "ncutting#1") not in keys
    )


# -- guards


def test_what_a_guard_refuses_goes_to_the_fallback_and_then_to_the_chart() -> None:
    """In the same turn, with one CallRefused each, and no CallStarted of the refused."""
    guard = Says("no", "before", [Refuse("not this one"), Pass()])
    story = begun(line(Crew(), {"guards": [guard]}))
    assert [type(event) for event in story.turns[0][1]] == [RunStarted, Moved, CallRefused, CallStarted]
    assert story.of(CallRefused)[0].next == "saw@1" and story.call("cutting").specialist == "saw@1"
    never = begun(line(Crew(), {"guards": [Says("no", "before", [Refuse("never")])]}))
    assert [event.next for event in never.of(CallRefused)] == ["saw@1", ""] and never.config == "scrapped"
    assert never.of(CallStarted) == []


def test_a_refused_retry_of_an_effect_does_not_go_to_the_fallback() -> None:
    """The guard refused the second attempt; what the first one did is not known."""
    guard = Says("no", "before", [Pass(), Refuse("enough")])
    story = begun(line(Crew(), gluing={"guards": [guard]}))
    story.give(good(story.call("cutting")), Failed(Jammed(), "gluing#1"), Elapsed("gluing#1", 1e9))
    assert story.of(CallRefused)[0].next == "" and story.config == "scrapped"


def test_a_deferral_for_the_same_reason_writes_nothing() -> None:
    """Asked again and again, the log grows only where the reason or the wake changed; then the call starts as it
    was asked.
    """
    guard = Says("busy", "before", [Defer("full"), Defer("full"), Defer("still full"), Pass()])
    story = begun(line(Crew(), {"guards": [guard]}))
    assert [type(event) for event in story.turns[0][1]][-2:] == [CallAsked, CallDeferred]
    assert story.run.condition == "paused"
    assert story.give(Elapsed("cutting#1")) == ()
    assert story.give(Elapsed("cutting#1")) == (CallDeferred("cutting#1", "busy", "still full"),)
    [started] = story.give(Elapsed("cutting#1"))
    assert isinstance(started, CallStarted) and (started.attempt, started.rank, started.cuts) == (1, 0, 0)


def test_a_deferred_fallback_is_asked_as_the_fallback() -> None:
    """Refused for the primary and deferred for the fallback: what is asked again is the fallback, and no refusal is
    repeated.
    """
    guard = Says("no", "before", [Defer("full"), Refuse("not this one"), Defer("full"), Defer("full"), Pass()])
    story = begun(line(Crew(), {"guards": [guard]}))
    assert [type(event) for event in story.give(Elapsed("cutting#1"))] == [CallRefused, CallAsked, CallDeferred]
    assert story.give(Elapsed("cutting#1")) == ()
    [started] = story.give(Elapsed("cutting#1"))
    assert isinstance(started, CallStarted) and started.specialist == "saw@1"


def test_a_wake_that_is_not_ahead_is_no_wake() -> None:
    """A guard that defers into the past is asked again when something moves, not at once and for ever."""
    story = begun(line(Crew(), {"guards": [Says("odd", "before", [Defer("full", 1.0)])]}))
    assert story.of(CallDeferred) == [CallDeferred("cutting#1", "odd", "full", None)]


def test_the_guards_of_the_engine_are_asked_first_and_the_first_that_objects_decides() -> None:
    """Each list in its order; a guard behind the one that objects is not asked."""
    first, second = Says("engine", "before", [Refuse("no")]), Says("state", "before")
    story = begun(line(Crew(), {"guards": [second]}), [first])
    assert story.of(CallRefused)[0].guard == "engine" and not second.asked
    assert (first.asked[0].run, first.asked[0].call, first.asked[0].effect) == ("run", "cutting#1", "pure")


def test_a_question_of_the_same_turn_counts_the_calls_of_that_turn() -> None:
    """Two regions entered by one move cannot both take the last permit."""

    def one_at_a_time(question: Any, ledger: Ledger) -> Any:
        return Pass() if ledger.running < 1 else Defer("one is in flight")

    story = begun(twin(Crew()), [Says("limit", "before", [one_at_a_time])])
    assert sorted(call.status for call in story.run.calls.values()) == [CallState.DEFERRED, CallState.STARTED]


# -- crashes


def test_an_interrupted_call_is_run_again_under_the_same_key() -> None:
    """Pure and idempotent: the same attempt and key, one cut more; the attempts are not used up by it."""
    story = begun(line(Crew()))
    before = story.call("cutting")
    [event] = story.give(Interrupted(before.id))
    after = story.call("cutting")
    assert isinstance(event, CallStarted) and (after.key, after.attempt, after.cuts) == (before.key, before.attempt, 1)
    assert after.request == before.request


@pytest.mark.parametrize("deferring", [False, True])
def test_a_call_that_kills_the_process_again_and_again_is_parked(deferring: bool) -> None:
    """After MAX_CUTS cuts of one attempt it is taken for the cause, also where a guard deferred it in
    between.
    """
    guard = Says("busy", "before", [Pass(), *([Defer("full"), Pass()] * 20)] if deferring else [Pass()])
    story = begun(line(Crew(), {"guards": [guard]}))
    cuts = 0
    while story.run.condition != "parked":
        cuts += 1
        story.give(Interrupted("cutting#1"), Elapsed("cutting#1"))
        assert cuts < 20
    assert cuts == MAX_CUTS + 1 and "6 times" in story.of(CallUnknown)[0].why


# -- hand-overs


def test_what_a_hand_over_read_is_recorded_and_its_result_is_stored() -> None:
    """The request is in the log with the ids of what it was made of; nothing is asked again to rebuild it."""
    story = begun(line(Crew()))
    story.give(Completed(Piece("planed"), "cutting#1"))
    started = story.of(CallStarted)[-1]
    assert started.reads == (0, 1) and started.request == Payload("Job", b'{"text":"planed"}')
    assert story.call("gluing").request.data == b'{"text":"planed"}'
    assert story.of(CallStarted)[0].request is None and story.run.calls["gluing#1"].reads == (0, 1)


@pytest.mark.parametrize(
    ("mark", "says"), [("trip", "the hand-over raises"), ("misfit", "expected str, found int 7 @ $.text")]
)
def test_a_hand_over_that_cannot_be_made_is_broken(mark: str, says: str) -> None:
    """The call that never started ends in Failed[Broken], which names the function and the fault."""
    story = begun(line(Crew()))
    story.give(Completed(Piece(mark=mark), "cutting#1"))
    broken = story.of(CallFailed)[-1]
    assert story.config == "scrapped" and b"job_of" in broken.failure.data and says.encode() in broken.failure.data


def test_the_decision_is_recorded_with_what_was_asked_and_answered() -> None:
    """A move names its transitions, its conditions, their answers, and the bounds."""
    story = begun(line(Crew()))
    story.give(Completed(Piece(mark="bad"), "cutting#1"), Completed(Piece(), "cutting#2"))
    assert [(move.transitions, move.asked) for move in story.of(Moved)] == [
        ((), ()),
        (("cut_again",), (("sound", False), ("cut_again < 2", True))),
        (("cut_well",), (("sound", True),)),
    ]


def test_a_value_that_is_not_there_calls_nobody_and_says_who_should_have_given_it() -> None:
    """A checked declaration always has it; a run that lost it fails before the call, and names the dependency."""
    machine, run = SupportTicket.machine, Run(id="run")
    for input in (
        Start("run", Ticket("s", "b")),
        Completed(Triage("bug", 0.9)),
        Completed(Draft("text")),
    ):
        run = fold(run, decide(machine, run, input), 0.0)
    lost = attrs.evolve(run, newest={key: value for key, value in run.newest.items() if key[1] != "Draft"})
    events = decide(machine, lost, Completed(Review(True, "")))
    failed = next(event for event in events if isinstance(event, CallFailed))
    assert failed.failure.contract == "Broken" and not any(isinstance(event, CallStarted) for event in events)
    assert (
        b"missing required context: `draft: Draft`, which `drafting` should have given; the dependency may have failed"
        in failed.failure.data
    )
