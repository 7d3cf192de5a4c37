"""Plans inside a state: what starts when, what a failure does, what is assembled, and what is refused by which rule."""

from pathlib import Path as FilePath
from typing import Any

import attrs
import msgspec
import pytest

from statecore import Completed, Failed, State, Workflow, any_state, specialist
from statecore.codec import encode
from statecore.events import Assembled, CallFailed, CallPlanned, CallStarted, ConflictSettled, Planned
from statecore.failures import Conflicting, Incomplete, OutcomeUnknown, PlanRefused, Transient
from statecore.guard import Defer, Pass, Question, Verdict
from statecore.handover import Recorded
from statecore.ledger import Ledger
from statecore.plan import Missing, Part, Plan, prefer, refer, vote
from statecore.proposal import Proposal, Proposed, parts_of
from statecore.record import records, table
from statecore.registry import Registry
from statecore.replay import decided_otherwise
from statecore.run import Run, fold, replay
from statecore.schedule import Progress
from statecore.testing import paths, play, survives
from statecore.testing.paths import Path
from statecore.testing.play import Played
from statecore.testing.script import After, Hang, Scripted
from tests.desk import Desk
from tests.plans import (
    Blind,
    Diamond,
    Job,
    Look,
    Many,
    Seen,
    Sum,
    Weight,
    all_seen,
    left,
    look,
    one_for_each,
    right,
    stamp,
    top,
    weigh,
    what_is_there,
)

JOB = Job("hello", files=("a", "b", "c", "d"))


def seen(name: str, after: float = 0.0) -> Any:
    return After(after, Seen(name, name)) if after else Seen(name, name)


DONE = {top: seen("top", 1.0), left: seen("left", 2.0), right: seen("right", 3.0), weigh: Weight(7)}


def events(played: Played, kind: type) -> list[Any]:
    return [event for turn in played.turns for event in turn.events if isinstance(event, kind)]


def times(played: Played, kind: type) -> dict[str, float]:
    begun = played.turns[0].at
    found = [(event, turn) for turn in played.turns for event in turn.events if isinstance(event, kind)]
    return {event.call.partition("/")[2]: turn.at - begun for event, turn in found}


def statuses(played: Played) -> dict[str, str]:
    return {each.part: each.status for each in records(played.turns)}


# -- what starts when


def test_independent_calls_overlap_and_dependent_ones_follow() -> None:
    """The diamond: both sides start when the top is done, and the last when both are."""
    played = play(Diamond, JOB, DONE)
    assert times(played, CallStarted) == {"top": 0.0, "right": 1.0, "left": 1.0, "weigh": 4.0}
    assert played.moves == ("done",) and played.seconds == 4.0
    assert played.result == Sum(("top", "left", "right"), weight=7)


def test_results_stand_in_the_order_of_the_plan() -> None:
    """Whatever ends first, the assembly reads the same."""
    early = play(Diamond, JOB, {**DONE, left: seen("left", 9.0)})
    assert early.result == play(Diamond, JOB, DONE).result


def test_no_more_than_its_width_are_open() -> None:
    """A plan of width 3 opens the fourth call when one has ended."""
    played = play(Many, JOB, {look: After(5.0, seen("x"))})
    assert list(times(played, CallStarted).values()) == [0.0, 0.0, 0.0, 5.0]


def test_a_plan_is_recorded_before_its_calls() -> None:
    """Its parts are events with their requests, dependencies and descriptions, in the turn that starts the first."""
    played = play(Many, JOB, {look: seen("x")})
    (plan,) = events(played, Planned)
    assert (plan.parts, plan.width, plan.on_failure) == (4, 3, "partial")
    first = events(played, CallPlanned)[0]
    assert (first.call, first.type, first.says) == ("checking#1/look:a", "look", "look at a once")
    assert first.request is not None and first.request.data == b'{"text":"a"}'


def test_the_same_request_makes_the_same_plan_to_the_byte() -> None:
    """What deterministic code makes needs no model and never differs."""
    texts = [encode(play(Many, JOB, {look: seen("x")}).turns[0].events) for _ in range(2)]
    assert texts[0] == texts[1]


def test_a_run_is_rebuilt_from_its_events_alone_at_every_event() -> None:
    """The fold keeps how far the plan is, and asks no class; turn by turn and all at once it finds the same."""
    turns = play(Diamond, JOB, DONE).turns
    run = Run(id="run")
    for number, turn in enumerate(turns, 1):
        run = fold(run, turn.events, turn.at)
        assert run == replay("run", [(each.at, each.events) for each in turns[:number]])
        single = Run(id="run")
        for each in turns[:number]:
            for event in each.events:
                single = fold(single, (event,), each.at)
        assert single == run
    assert not run.plans


def test_how_far_a_plan_is_can_be_stored_by_its_fields() -> None:
    """Whatever stores a run field by field finds all that is needed to go on."""
    turns = play(Diamond, JOB, DONE).turns
    run = replay("run", [(turn.at, turn.events) for turn in turns[:3]])
    (before,) = run.plans.values()
    fields = {name: getattr(before, name) for name in attrs.fields_dict(Progress)}
    after = msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=Progress)
    assert after == before and after.graph.ranked == before.graph.ranked and after.open == before.open > 0


def test_a_draft_never_changes_the_run_that_it_was_made_of() -> None:
    """Two futures of one run do not see each other."""
    turns = play(Diamond, JOB, DONE).turns
    run = replay("run", [(turn.at, turn.events) for turn in turns[:2]])
    before = repr(run)
    for turn in turns[2:4]:
        fold(run, turns[2].events, turn.at)
    assert repr(run) == before


@pytest.mark.parametrize("workflow", [Diamond, Many])
def test_what_was_decided_is_decided_again(workflow: type[Workflow[Job]]) -> None:
    """Verifying a log with a plan finds nothing, failures and all."""
    script: dict[Any, Any] = (
        {**DONE, left: Blind("dark")}
        if workflow is Diamond
        else {look: [Transient("x"), seen("a"), Blind("b"), seen("c"), seen("d")]}
    )
    turns = play(workflow, JOB, script).turns
    assert decided_otherwise(turns, Registry([workflow])) == ([], "")


# -- failures


def test_stop_ends_everything_with_the_first_failure() -> None:
    """Nothing new starts, what is in flight is stopped, and the chart gets that failure at once."""
    played = play(Diamond, JOB, {top: seen("top"), left: After(1.0, Blind("dark")), right: Hang()})
    assert played.moves == ("gave_up",) and played.seconds == 1.0
    assert statuses(played) == {"top": "completed", "left": "failed", "right": "stopped", "weigh": "skipped"}
    assert played.result == Blind("dark")
    assert [value.payload.contract for value in played.run.values].count("Blind") == 1


def test_the_failure_of_a_plan_is_the_newest_value_of_its_state() -> None:
    """What follows reads it as it reads the failure of any state."""
    played = play(Diamond, JOB, {top: Blind("dark")})
    assert played.run.newest["checking", "Blind"].part == "top"
    assert ("checking", "Seen") not in play(Diamond, JOB, DONE).run.newest


class Carrying(Workflow[Job], version="1"):
    """Everything that does not depend on what failed still runs."""

    plan = Plan(top, left, Part(right, after=["left"]), assemble=all_seen, on_failure="continue")
    checking = State(plan, initial=True)
    checked = State(final=True)
    failed = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Sum])
    gave_up = any_state.to(failed, on=Failed)


def test_continue_runs_what_it_can_and_then_fails() -> None:
    """The chart gets the first failure when all that does not depend on it has ended."""
    played = play(Carrying, JOB, {top: After(5.0, seen("top")), left: Blind("dark")})
    assert played.moves == ("gave_up",) and played.seconds == 5.0
    assert statuses(played) == {"top": "completed", "left": "failed", "right": "skipped"}
    assert played.result == Blind("dark")


def test_partial_assembles_what_is_there_and_names_the_rest() -> None:
    """Three of four done: the run is partial, the missing part has its name and reason, the rest is delivered."""
    script = {look: seen("x"), "checking#1/look:b": Blind("dark")}
    played = play(Many, JOB, script)
    assert played.run.outcome == "partial" and played.moves == ("in_part",)
    assert played.result == Sum(("x", "x", "x"), missing=("look:b",))
    assert events(played, Assembled)[0].missing == (("look:b", "Blind: dark"),)


class Needing(Workflow[Job], version="1"):
    checking = State(
        Plan(Part(left, needed=True), Part(right, after=["top"]), top, assemble=what_is_there, on_failure="partial"),
        initial=True,
    )
    checked = State(final=True)
    failed = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Sum])
    gave_up = any_state.to(failed, on=Failed)


def test_a_partial_plan_fails_without_a_part_that_it_needs() -> None:
    """One that is not needed takes what waited for it with it, and nothing else."""
    assert play(Needing, JOB, {left: Blind(""), right: seen("r"), top: Hang()} | {right: []}).moves == ("gave_up",)
    played = play(Needing, JOB, {left: seen("l"), top: Blind("x")})
    assert played.result == Sum(("l",), missing=("right", "top"))
    why = dict(events(played, Assembled)[0].missing)
    assert why["right"] == "waited for `top`, which failed"


def test_an_attempt_that_may_be_mended_is_no_failure_of_the_plan() -> None:
    """Retries, with their waits, are those of any call."""
    played = play(Many, Job("x", files=("a",)), {look: [Transient("busy"), seen("a")]})
    assert played.moves == ("done",) and events(played, CallStarted)[1].attempt == 2


class Stamping(Workflow[Job], version="1"):
    def asked(job: Job) -> Look:  # type: ignore[misc]
        return Look(job.text)

    checking = State(Plan(Part(stamp, give=asked), left, right, assemble=all_seen, width=1), initial=True)
    checked = State(final=True)
    failed = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Sum])
    gave_up = any_state.to(failed, on=Failed)


def test_a_parked_call_holds_up_only_what_waits_for_it() -> None:
    """An effect whose outcome nobody knows parks the run, and the rest of its plan goes on meanwhile."""
    played = play(Stamping, JOB, {stamp: OutcomeUnknown("cut"), left: seen("l"), right: seen("r")})
    assert played.run.condition == "parked" and not played.run.outcome
    assert statuses(played) == {"stamp": "in progress", "left": "completed", "right": "completed"}


@attrs.frozen
class OneAtATime:
    name: str = "one_at_a_time"
    side: Any = "before"
    fails: Any = ()

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        return Defer("one at a time") if ledger.running else Pass()


def test_a_guard_may_hold_calls_of_a_plan_back() -> None:
    """Deferred calls are asked for again as others end, and none is lost."""
    played = play(Many, JOB, {look: After(1.0, seen("x"))}, guards=[OneAtATime()])
    assert played.moves == ("done",) and played.seconds == 4.0


def test_a_guard_that_refuses_leaves_a_part_missing() -> None:
    """In a partial plan what a guard would not let start is missing for that reason."""
    played = play(Many, Job("x", files=("a",)), {}, guards=[Never()])
    assert played.result == Sum((), missing=("look:a",))


@attrs.frozen
class Never(OneAtATime):
    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        from statecore.guard import Refuse

        return Refuse("never")


# -- killed


@pytest.mark.parametrize(
    "workflow,script",
    [
        (Diamond, DONE),
        (Diamond, {**DONE, weigh: Blind("dark")}),
        (
            Many,
            {look: seen("x"), "checking#1/look:b": Blind("dark"), "checking#1/look:c": [Transient("x"), seen("c")]},
        ),
        (Carrying, {top: seen("top"), left: Blind("dark")}),
        (Stamping, {stamp: seen("s"), left: seen("l"), right: seen("r")}),
    ],
)
def test_a_plan_survives_a_kill_at_every_turn(workflow: type[Workflow[Job]], script: Any) -> None:
    """Exactly what is missing is done after a crash; outcomes that come twice, late or in another order change nothing."""
    assert survives(workflow, JOB, script).kills > 3


# -- what is made at run time


@attrs.frozen
class Wish:
    calls: tuple[tuple[str, tuple[str, ...]], ...] = ()


def made(wish: Wish) -> list[Part]:
    return [Part(look, id=id, request=Look(id), after=after, says="look at one file") for id, after in wish.calls]


class Made(Workflow[Wish], version="1"):
    checking = State(Plan(of=[look], make=made, assemble=all_seen, at_most=3, depth=2), initial=True)
    checked = State(final=True)
    refused = State(final=True, outcome="failed")
    failed = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Sum])
    bad = checking.to(refused, on=Failed[PlanRefused])
    gave_up = any_state.to(failed, on=Failed)


@pytest.mark.parametrize(
    "calls,rule,parts",
    [
        ((("a", ()), ("a", ())), "unique ids", ("a",)),
        ((("a#b", ()),), "printable ids", ("a#b",)),
        ((("a\n", ()),), "printable ids", ("a\n",)),
        ((("a", ("b",)),), "known dependency", ("a",)),
        ((("a", ("b",)), ("b", ("a",))), "acyclic", ("a", "b")),
        (tuple((f"n{n}", ()) for n in range(4)), "at most", ()),
        ((("a", ()), ("b", ("a",)), ("c", ("b",))), "depth", ("a", "b", "c")),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_by_its_name(
    calls: tuple[tuple[str, tuple[str, ...]], ...], rule: str, parts: tuple[str, ...]
) -> None:
    """Nothing is called; the chart gets the rule, the reason and the parts, and answers as it answers any failure."""
    played = play(Made, Wish(calls), {})
    assert played.moves == ("bad",) and not events(played, CallStarted)
    assert (played.result.rule, played.result.parts) == (rule, parts)


PROPOSED = Proposed("a", "look", "look at a file", '{"text":"a"}')


@pytest.mark.parametrize(
    "change,rule",
    [
        ({"type": "lok"}, "known type"),
        ({"description": "look"}, "described"),
        ({"request": '{"txt":1}'}, "contract"),
        ({"request": "{"}, "contract"),
        ({"request": "[NaN]"}, "contract"),
    ],
)
def test_nothing_that_a_model_proposes_is_believed(change: dict[str, Any], rule: str) -> None:
    """A type that is not there, a description that says nothing, a request that fits no contract: each has its rule."""
    assert parts_of(Proposal((PROPOSED,)), [look])[0].request == Look("a")
    with pytest.raises(PlanRefused) as refused:
        parts_of(Proposal((attrs.evolve(PROPOSED, **change),)), [look])
    assert refused.value.rule == rule and refused.value.parts == ("a",)


@specialist("planner", "1", effect="pure")
async def planner(job: Job) -> Proposal:
    return Proposal(tuple(attrs.evolve(PROPOSED, id=name) for name in job.files))


def proposed(proposal: Proposal) -> list[Part]:
    return parts_of(proposal, [look])


class Planning(Workflow[Job], version="1"):
    """A planner decides how many workers there are; a plan that is refused is planned once more, and then given up."""

    planning = State(planner, initial=True)
    checking = State(Plan(of=[look], make=proposed, assemble=all_seen, at_most=3))
    checked = State(final=True)
    failed = State(final=True, outcome="failed")
    planned = planning.to(checking, on=Completed[Proposal])
    again = checking.to(planning, on=Failed[PlanRefused], at_most=2)
    done = checking.to(checked, on=Completed[Sum])
    gave_up = any_state.to(failed, on=Failed)


def test_a_refused_plan_is_planned_again_within_a_bound() -> None:
    """A planner that always splits too far is stopped: the limit has a name, and so has what stopped it."""
    worse = Proposal(tuple(attrs.evolve(PROPOSED, id=str(n)) for n in range(9)))
    good = Proposal((PROPOSED,))
    mended = play(Planning, JOB, {planner: [worse, good], look: seen("x")})
    assert mended.moves == ("planned", "again", "planned", "done")
    never = play(Planning, JOB, {planner: worse})
    assert never.moves == ("planned", "again", "planned", "again", "planned", "gave_up")
    assert never.result.rule == "at most" and never.run.outcome == "failed"


def nothing_left(found: Sum) -> bool:
    return not found.seen


class Splitting(Workflow[Job], version="1"):
    """Decomposition of what was decomposed is bounded by the transition that leads back."""

    planning = State(planner, initial=True)
    checking = State(Plan(of=[look], make=proposed, assemble=all_seen))
    checked = State(final=True)
    planned = planning.to(checking, on=Completed[Proposal])
    done = checking.to(checked, on=Completed[Sum], cond=nothing_left)
    split = checking.to(planning, on=Completed[Sum], at_most=3)
    gave_up = any_state.to(checked, on=Failed)


def test_a_planner_that_always_splits_is_stopped() -> None:
    """Three times round, then it is Failed[Exhausted]; each time is a plan of its own."""
    played = play(Splitting, Job("x", files=("a", "b")), None)
    assert played.result.transition == "split" and played.result.times == 3
    assert [event.call for event in events(played, Planned)] == [f"checking#{n}" for n in (1, 2, 3, 4)]


# -- assembly


@attrs.frozen
class Total:
    value: int


@specialist("count_left", "1", effect="pure", fails=[Blind])
async def count_left(job: Job) -> Total: ...  # type: ignore[empty-body]


@specialist("count_right", "1", effect="pure")
async def count_right(job: Job) -> Total: ...  # type: ignore[empty-body]


@specialist("count_top", "1", effect="pure")
async def count_top(job: Job) -> Total: ...  # type: ignore[empty-body]


def told_total(total: Total, all: list[Recorded[Total]]) -> Sum:
    return Sum(tuple(each.part for each in all), weight=total.value)


COUNTS = tuple(Part(each, answers="total") for each in (count_left, count_right, count_top))


def counting(conflicts: Any) -> type[Workflow[Job]]:
    class Counting(Workflow[Job], version="1"):
        checking = State(Plan(*COUNTS, assemble=told_total, conflicts=conflicts), initial=True)
        checked = State(final=True)
        asked = State(final=True, outcome="partial")
        failed = State(final=True, outcome="failed")
        done = checking.to(checked, on=Completed[Sum])
        unclear = checking.to(asked, on=Failed[Conflicting])
        gave_up = any_state.to(failed, on=Failed)

    return Counting


SAID = {count_left: Total(1), count_right: Total(2), count_top: Total(2)}


@pytest.mark.parametrize(
    "conflicts,chosen,weight",
    [
        (prefer("count_left"), "count_left", 1),
        (prefer("count_top"), "count_top", 2),
        (vote(), "count_right", 2),
        (vote(on=lambda total: total.value % 2), "count_right", 2),
    ],
)
def test_answers_that_differ_are_settled_by_the_declared_rule(conflicts: Any, chosen: str, weight: int) -> None:
    """The rule and what it chose are an event; the assembly is given the answer that stands, and no other."""
    played = play(counting(conflicts), JOB, SAID)
    (settled,) = events(played, ConflictSettled)
    assert (settled.key, settled.rule, settled.chosen) == ("total", conflicts.name, chosen)
    assert played.result == Sum((chosen,), weight=weight)
    assert decided_otherwise(played.turns, Registry([Scripted(played.machine)])) == ([], "")


@pytest.mark.parametrize("conflicts", [refer(), vote(), prefer("count_left", on=lambda total: 1 / 0)])
def test_answers_that_no_rule_settles_go_to_the_chart(conflicts: Any) -> None:
    """With what each part said, so that a person can be asked; a rule that raises is Broken."""
    played = play(counting(conflicts), JOB, {**SAID, count_top: Total(3)})
    if played.moves == ("unclear",):
        assert [(each.part, each.value) for each in played.result.answers] == [
            ("count_left", '{"value":1}'), ("count_right", '{"value":2}'), ("count_top", '{"value":3}')
        ]  # fmt: skip
    else:
        assert played.moves == ("gave_up",) and "ZeroDivisionError" in played.result.why


def test_answers_that_agree_are_no_conflict() -> None:
    """One of them stands for all."""
    played = play(counting(refer()), JOB, dict.fromkeys(SAID, Total(4)))
    assert played.result == Sum(("count_left",), weight=4) and not events(played, ConflictSettled)


def wanted(job: Job, found: Sum) -> list[str]:
    return [name for name in job.wants if name not in found.seen]


class Complete(Workflow[Job], version="1"):
    checking = State(Plan(left, right, assemble=all_seen, complete=wanted), initial=True)
    checked = State(final=True)
    lacking = State(final=True, outcome="partial")
    failed = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Sum])
    lacks = checking.to(lacking, on=Failed[Incomplete])
    gave_up = any_state.to(failed, on=Failed)


def test_an_assembly_without_what_was_asked_for_is_not_completed() -> None:
    """The missing items are listed, and what there is stays in the log beside them."""
    assert play(Complete, Job("x", wants=("left",)), None).moves == ("done",)
    played = play(Complete, Job("x", wants=("left", "diagram")), None)
    assert played.result == Incomplete("wanted", ("diagram",)) and played.run.outcome == "partial"
    ended = [event for event in events(played, CallFailed) if event.call == "checking#1"]
    assert ended[0].output is not None and ended[0].output.contract == "Sum"
    assert decided_otherwise(played.turns, Registry([Scripted(played.machine)])) == ([], "")


def broken_sum(seen: list[Seen]) -> Sum:
    raise ValueError("no")


class Breaking(Workflow[Job], version="1"):
    checking = State(Plan(left, assemble=broken_sum), initial=True)
    failed = State(final=True, outcome="failed")
    done = checking.to(failed, on=Completed[Sum])
    gave_up = any_state.to(failed, on=Failed)


def test_an_assembly_that_raises_is_broken() -> None:
    """It is a failure with the name of the function, like any hand-over's."""
    played = play(Breaking, JOB, None)
    assert played.moves == ("gave_up",) and played.result.what == "broken_sum"


class Twice(Workflow[Job], version="1"):
    """What later states read of a plan: its assembly, and the single results as a list."""

    def of_all(checking: Sum, all: list[Recorded[Seen]]) -> Job:  # type: ignore[misc]
        return Job(f"{len(checking.seen)} {[(each.state, each.part) for each in all]}")

    checking = State(Plan(left, right, assemble=all_seen), initial=True)
    again = State(top, give=of_all)
    checked = State(final=True)
    once = checking.to(again, on=Completed[Sum])
    done = again.to(checked, on=Completed[Seen])
    gave_up = any_state.to(checked, on=Failed)


def test_single_results_are_read_as_a_list() -> None:
    """Each with the state and the part whose it was."""
    assert play(Twice, JOB, None).result.text == "2 [('checking', 'left'), ('checking', 'right')]"


# -- shown


def test_every_status_of_a_part_is_shown() -> None:
    """Pending, in progress, completed, failed: all in one run, each with what it waits for and what it gave."""
    played = play(Carrying, JOB, {top: After(5.0, seen("top")), left: Blind("dark")})
    found: set[str] = set()
    for number in range(1, len(played.turns) + 1):
        found |= {each.status for each in records(played.turns[:number])}
    assert found == {"pending", "in progress", "completed", "failed", "skipped"}
    shown = "\n".join(table(records(played.turns)))
    assert 'left   left@1  failed                 Blind {"why":"dark"}' in shown
    assert "right  right   skipped    after left  waited for left, which failed" in shown


# -- the kit


@pytest.mark.parametrize("path", [p for w in (Diamond, Many, Made, Planning, Complete) for p in paths(w)], ids=str)
def test_every_path_through_a_plan_can_be_played(path: Path) -> None:
    """The generator of paths knows what a plan may end in, and its calls are told so."""
    values = [Sum(()), Sum((), ("x",)), Proposal((PROPOSED,))]
    assert path.play(values=values).moves == path.moves


def test_parts_that_are_missing_are_values() -> None:
    """An assembly is told which part has no result, and why."""
    assert Missing("a", "b").part == "a" and one_for_each(JOB)[0].id == "look:a"


@pytest.fixture
def desk(tmp_path: FilePath, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def test_a_run_with_a_plan_is_shown_with_its_parts(desk: Desk) -> None:
    """All of them on one screen and as JSON, one alone with what it gave, and an unknown one refused."""
    run = desk.run("tests.plans:Many", text="hello", wants=[], files=["a", "b"])
    assert "plan      checking#1: 2 calls, 2 completed" in desk("show", run).out
    parts = desk("show", run, "--json").json["plans"]
    assert [(part["part"], part["status"], part["specialist"]) for part in parts] == [
        ("look:a", "completed", "look@1"),
        ("look:b", "completed", "look@1"),
    ]
    alone = desk("show", run, "--call", "checking#1/look:b").json
    assert alone["outcome"] == {"contract": "Seen", "value": {"by": "look", "text": "b"}}
    said = desk("show", run, "--call", "checking#1/look:c")
    assert said.code == 2 and f"{run} has no call checking#1/look:c (calls: checking#1/look:a, " in said.err
    assert desk("verify", run).code == 0


@pytest.mark.parametrize(
    "part,rule",
    [
        (Part(look, request=Look("a"), after="ab"), "shape"),
        (Part(look, request=Look("a"), expects=float("nan")), "shape"),
        (Part(look, request=Look("a"), id="\ud800"), "printable ids"),
        (Part(look, request=Look("a"), after=["\ud800"]), ""),
        (Part(look, request=Look("a"), says="\ud800\0" * 9_999), "fine"),
        (Part(look), "contract"),
        (Part(look, request=Look("\ud800")), "contract"),
        (Part(top, request=JOB), "known type"),
        (Part(look, request=Look("a"), attempts=7), "policy"),
        (Part(look, request=Look("a"), needed=True), "policy"),
        (Part(look, request=Look("a"), answers="a"), "conflicts"),
    ],
)
def test_whatever_is_made_is_stored_or_refused(part: Part, rule: str) -> None:
    """Odd ids, texts that no log holds, policies that are not the plan's: the run goes on by a transition."""
    made: list[Part] = [part]

    def make(wish: Wish) -> list[Part]:
        return made

    class Odd(Workflow[Wish], version="1"):
        checking = State(Plan(of=[look], make=make, assemble=all_seen), initial=True)
        checked = State(final=True)
        failed = State(final=True, outcome="failed")
        done = checking.to(checked, on=Completed[Sum])
        gave_up = any_state.to(failed, on=Failed)

    played = play(Odd, Wish(), None)
    assert encode([event for turn in played.turns for event in turn.events])
    assert played.moves == (("done",) if rule == "fine" else ("gave_up",))
    assert rule in ("", "fine") or played.result.rule == rule


def test_items_that_cannot_be_stored_are_broken() -> None:
    """What a check says is missing may be text that no log holds."""

    def odd(found: Sum) -> list[str]:
        return ["\ud800"]

    class Odd(Workflow[Job], version="1"):
        checking = State(Plan(left, assemble=all_seen, complete=odd), initial=True)
        failed = State(final=True, outcome="failed")
        done = checking.to(failed, on=Completed[Sum])
        gave_up = any_state.to(failed, on=Failed)

    played = play(Odd, JOB, None)
    assert played.moves == ("gave_up",) and "cannot be stored" in played.result.why
