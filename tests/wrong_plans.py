"""Wrong plans: each function makes a class whose plan cannot be right, and says why. `tests/wrong.py` for plans."""

from collections.abc import Callable
from typing import Any

import attrs

from statecore import Completed, Failed, State, Workflow, any_state, specialist
from statecore.plan import Part, Plan, needs, prefer, refer
from tests.plans import (
    Job,
    Look,
    Seen,
    Sum,
    Weigh,
    all_seen,
    left,
    look,
    one_for_each,
    right,
    stamp,
    sum_up,
    top,
    two_seen,
    weigh,
    what_is_there,
    what_was_seen,
)

WRONG: list[Callable[[], object]] = []


def wrong(fn: Callable[[], object]) -> Callable[[], object]:
    WRONG.append(fn)
    return fn


def declared(plan: Any, **options: Any) -> None:
    """A workflow of one plan, answered as all are here."""

    class W(Workflow[Job], version="1"):
        checking = State(plan, initial=True, **options)
        checked = State(final=True)
        done = checking.to(checked, on=Completed[Sum])
        gave_up = any_state.to(checked, on=Failed)


@wrong
def bounds_that_no_plan_keeps() -> None:
    """At least more than at most."""
    declared(Plan(look, assemble=sum_up, at_least=3, at_most=2))


@attrs.frozen
class Longer(Look):
    more: str = ""


@specialist("longer", "1", effect="pure")
def longer(job: Job) -> Longer: ...  # type: ignore[empty-body]


@specialist("either", "1", effect="pure")
def either(job: Job) -> Seen | Sum: ...  # type: ignore[empty-body]


def to_plain(seen: list[Seen]) -> str: ...  # type: ignore[empty-body]
def unsaid(seen: list[Seen]): ...  # type: ignore[no-untyped-def]
async def later(seen: list[Seen]) -> Sum: ...  # type: ignore[empty-body]
def unread(seen: "list[Nowhere]") -> Sum: ...  # type: ignore[name-defined, empty-body] # noqa: F821
def of_one(seen: Seen) -> Sum: ...  # type: ignore[empty-body]
def by_name(left: Seen) -> Sum: ...  # type: ignore[empty-body]
def of_what_is_not_there(seen: list[Seen], facts: Longer) -> Sum: ...  # type: ignore[empty-body]
def no_parts(job: Job) -> list[Look]: ...  # type: ignore[empty-body]
def not_a_request(job: Job) -> Seen: ...  # type: ignore[empty-body]
def blind_check(job: Job) -> list[str]: ...  # type: ignore[empty-body]
def weight_of(seen: Sum) -> Weigh: ...  # type: ignore[empty-body]
def surely(either: Seen, job: Job) -> Weigh: ...  # type: ignore[empty-body]


@wrong
def plan_with_policies_of_a_state() -> None:
    """Each part says how it is called; the state has no call of its own."""
    declared(Plan(left, assemble=all_seen), attempts=2)


@wrong
def plan_written_and_made() -> None:
    """A plan is one or the other."""
    declared(Plan(left, of=[look], make=one_for_each, assemble=all_seen))


@wrong
def plan_made_of_nothing() -> None:
    """What is made at run time is made of something."""
    declared(Plan(make=one_for_each, assemble=all_seen))


@wrong
def plan_without_parts() -> None:
    """Nothing to call."""
    declared(Plan(assemble=all_seen))


@wrong
def part_that_is_no_part() -> None:
    """A function in the place of a specialist."""
    declared(Plan(all_seen, assemble=all_seen))  # type: ignore[arg-type]


@wrong
def part_of_a_function() -> None:
    """The same, written as a part."""
    declared(Plan(Part(all_seen, id="x"), assemble=all_seen))  # type: ignore[arg-type]


@wrong
def plan_of_no_width() -> None:
    """A bound is a number from 1 up."""
    declared(Plan(left, assemble=all_seen, width=0))


@wrong
def plan_of_an_unknown_policy() -> None:
    """There are three."""
    declared(Plan(left, assemble=all_seen, on_failure="ignore"))  # type: ignore[arg-type]


@wrong
def part_with_an_odd_id() -> None:
    """An id is text, and no `#` in it."""
    declared(Plan(Part(left, id="left#2"), assemble=all_seen))


@wrong
def part_that_answers_a_number() -> None:
    """A key is text."""
    declared(Plan(Part(left, answers=1), assemble=all_seen))  # type: ignore[arg-type]


@wrong
def part_after_a_word() -> None:
    """A text is no list of ids."""
    declared(Plan(top, Part(left, after="top"), assemble=all_seen))


@wrong
def part_that_expects_nothing_sensible() -> None:
    """Seconds are a number from 0 up."""
    declared(Plan(Part(left, expects=-1.0), assemble=all_seen))


@wrong
def part_needed_where_all_are() -> None:
    """`needed` means something in a partial plan only."""
    declared(Plan(Part(left, needed=True), assemble=all_seen))


@wrong
def part_written_with_its_request() -> None:
    """A class is written before there is anything to ask."""
    declared(Plan(Part(left, request=Job("x")), assemble=all_seen))


@wrong
def made_part_with_its_place() -> None:
    """Where a part stands is for `make` to say."""
    declared(Plan(of=[Part(look, after=["x"])], make=one_for_each, assemble=all_seen))


@wrong
def assembly_that_waits() -> None:
    """An assembly is a plain function."""
    declared(Plan(left, assemble=later))


@wrong
def assembly_that_is_text() -> None:
    """What a plan gives is a contract."""
    declared(Plan(left, assemble=to_plain))


@wrong
def assembly_that_does_not_say() -> None:
    """What a plan gives has to be said."""
    declared(Plan(left, assemble=unsaid))


@wrong
def assembly_of_an_unknown_type() -> None:
    """Its annotations can be read."""
    declared(Plan(left, assemble=unread))


@wrong
def conflicts_that_settle_nothing() -> None:
    """A rule is made by prefer, vote or refer."""
    declared(Plan(left, right, assemble=all_seen, conflicts="vote"))  # type: ignore[arg-type]


@wrong
def answers_without_a_rule() -> None:
    """What follows where answers differ is declared."""
    declared(Plan(Part(left, answers="a"), Part(right, answers="a"), assemble=all_seen))


@wrong
def conflicts_without_answers() -> None:
    """A rule for what never comes."""
    declared(Plan(left, right, assemble=all_seen, conflicts=refer()))


@wrong
def answers_of_one() -> None:
    """One answer agrees with itself."""
    declared(Plan(Part(left, answers="a"), right, assemble=all_seen, conflicts=refer()))


@wrong
def key_that_is_a_part() -> None:
    """A parameter named so would mean two things."""
    parts = Part(left, answers="top"), Part(right, answers="top"), top
    declared(Plan(*parts, assemble=all_seen, conflicts=refer()))


@wrong
def preference_for_nobody() -> None:
    """A preferred part that is not there."""
    parts = Part(left, answers="a"), Part(right, answers="a")
    declared(Plan(*parts, assemble=all_seen, conflicts=prefer("write")))


@wrong
def rule_that_is_text() -> None:
    """A rule has a name and a method."""
    declared(Plan(left, assemble=all_seen, rules=["acyclic"]))  # type: ignore[list-item]


@wrong
def rule_about_nobody() -> None:
    """A rule that speaks of a specialist which no part does."""
    declared(Plan(left, assemble=all_seen, rules=[needs("left", "generate")]))


@wrong
def ring_of_parts() -> None:
    """Parts that wait for each other: the ring is shown."""
    parts = Part(left, after=["top"]), Part(right, after=["left"]), Part(top, after=["right"])
    declared(Plan(*parts, assemble=all_seen))


@wrong
def part_after_nobody() -> None:
    """A dependency that is no part."""
    declared(Plan(Part(left, after=["tpo"]), top, assemble=all_seen))


@wrong
def parts_of_one_id() -> None:
    """An id means one part."""
    declared(Plan(left, left, assemble=all_seen))


@wrong
def review_before_its_generation() -> None:
    """A rule of precedence, by its name."""
    rule = needs("left", "top", called="a review depends on its generation")
    declared(Plan(left, top, assemble=all_seen, rules=[rule]))


@wrong
def plan_too_deep() -> None:
    """The chain is shown."""
    declared(Plan(top, Part(left, after=["top"]), Part(right, after=["left"]), assemble=all_seen, depth=2))


@wrong
def part_that_reads_what_it_does_not_wait_for() -> None:
    """A result that may not be there yet; the same class is given nowhere else."""
    declared(Plan(left, Part(weigh, give=weight_of), assemble=all_seen))


@wrong
def part_that_reads_what_another_gives() -> None:
    """The remedy is to wait for it."""
    declared(Plan(left, Part(weigh, give=what_was_seen), assemble=all_seen))


@wrong
def part_that_reads_one_of_two() -> None:
    """Which of two results is meant is said by the parameter's name."""

    def one_seen(seen: Seen, job: Job) -> Weigh: ...  # type: ignore[empty-body]

    declared(Plan(left, right, Part(weigh, after=["left", "right"], give=one_seen), assemble=all_seen))


@wrong
def part_whose_result_is_not_sure() -> None:
    """A specialist that may give something else."""
    declared(Plan(either, Part(weigh, after=["either"], give=surely), assemble=all_seen))


@wrong
def part_that_takes_what_is_more() -> None:
    """A contract takes its own class, not one derived from it."""
    declared(Plan(longer, Part(look, after=["longer"]), assemble=all_seen))


@wrong
def part_that_makes_another_request() -> None:
    """What `give` returns is what the specialist takes."""
    declared(Plan(top, Part(weigh, after=["top"], give=not_a_request), assemble=all_seen))


@wrong
def assembly_of_one_of_many() -> None:
    """How many calls a plan has is not known before the run."""
    declared(Plan(of=[look], make=one_for_each, assemble=of_one))


@wrong
def assembly_that_counts_on_a_part() -> None:
    """In a partial plan a part may be missing."""
    declared(Plan(left, right, assemble=by_name, on_failure="partial"))


@wrong
def assembly_of_what_nothing_gives() -> None:
    """What the plan does not give is a hand-over like any other."""
    declared(Plan(left, assemble=of_what_is_not_there))


@wrong
def make_that_gives_requests() -> None:
    """`make` gives parts."""
    declared(Plan(of=[look], make=no_parts, assemble=all_seen))  # type: ignore[arg-type]


@wrong
def check_that_is_not_told_the_assembly() -> None:
    """What is complete is asked of the assembly."""
    declared(Plan(left, assemble=all_seen, complete=blind_check))


@wrong
def guard_of_a_part_that_is_none() -> None:
    """A part's policies are held to what those of a state are."""
    declared(Plan(Part(stamp, attempts=3), assemble=all_seen))


RIGHT: list[Callable[[], object]] = [
    lambda: declared(Plan(left, right, assemble=what_is_there, on_failure="partial")),
    lambda: declared(Plan(left, right, Part(weigh, after=["left", "right"], give=two_seen), assemble=sum_up)),
    lambda: declared(Plan(Part(left, needed=True), right, assemble=by_name, on_failure="partial")),
]
