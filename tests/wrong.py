"""Wrong definitions: each function makes a class, specialist or contract that cannot be right, and says why.

`RIGHT` has some that look like them and are not.
"""

# ruff: noqa: PIE794 - names are given twice on purpose

import functools
import types
from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar, Literal

import attrs

from guards import required
from statecore import (
    Completed,
    Compound,
    Done,
    Elapsed,
    Failed,
    Failure,
    History,
    Migration,
    Newest,
    Parallel,
    Person,
    State,
    Transient,
    Wait,
    Workflow,
    any_state,
    child,
    contract,
    specialist,
    upcaster,
)
from statecore.contract import contract_of
from statecore.failures import Broken, Crashed, NotDone, OutcomeUnknown, Refused, Rejected, TimedOut
from statecore.messages import Signal
from tests.charts import Facts, Overloaded, Withdrawn, file_away, look_up, polish, write_plain
from tests.support import (
    Confidence,
    Draft,
    Receipt,
    ReplyRequest,
    Review,
    SendReply,
    SupportTicket,
    Ticket,
    Triage,
    approved,
    confident,
    critic,
    reply_request,
    reply_to_send,
    send_reply,
    triage,
    write_reply,
)

WRONG: list[Callable[[], object]] = []


def wrong(fn: Callable[[], object]) -> Callable[[], object]:
    WRONG.append(fn)
    return fn


@attrs.frozen
class Question:
    text: str


@attrs.frozen
class LongDraft(Draft):
    pages: int = 0


@specialist("write_or_ask", version="1", effect="pure")
def write_or_ask(ticket: Ticket) -> Draft | Question: ...  # type: ignore[empty-body]


@specialist("write_long", version="1", effect="pure")
def write_long(ticket: Ticket) -> LongDraft: ...  # type: ignore[empty-body]


def needs_review(ticket: Ticket, triage: Triage, review: Review) -> ReplyRequest: ...  # type: ignore[empty-body]
def untyped(ticket: Ticket, more) -> ReplyRequest: ...  # type: ignore[no-untyped-def, empty-body]
def unannotated(ticket: Ticket): ...  # type: ignore[no-untyped-def]
def of_two_types(value: Ticket | Draft) -> ReplyRequest: ...  # type: ignore[empty-body]
def everything(**values: Ticket) -> ReplyRequest: ...  # type: ignore[empty-body]
def by_position(ticket: Ticket, /) -> ReplyRequest: ...  # type: ignore[empty-body]
def of_the_plan(ticket: Ticket, facts: Facts) -> ReplyRequest: ...  # type: ignore[empty-body]
def by_name(ticket: Ticket, working: Draft) -> ReplyRequest: ...  # type: ignore[empty-body]
async def fetched(ticket: Ticket) -> ReplyRequest: ...  # type: ignore[empty-body]
def rough(draft: Draft) -> bool: ...  # type: ignore[empty-body]
def two_questions(triage: Triage, draft: Draft) -> bool: ...  # type: ignore[empty-body]
async def slow(triage: Triage) -> bool: ...  # type: ignore[empty-body]


# -- paths and values


@wrong
def hand_over_that_is_missing() -> None:
    """A specialist takes what no state gives, and no `give` makes it."""

    class W(Workflow[Draft], version="1"):
        reviewing = State(critic, initial=True)
        sending = State(send_reply)
        sent = State(final=True)
        accepted = reviewing.to(sending, on=Completed[Review])
        delivered = sending.to(sent, on=Completed[Receipt])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def hand_over_of_a_value_that_nothing_gives() -> None:
    """A parameter of a type that no state gives."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_reply, give=of_the_plan, initial=True)
        sent = State(final=True)
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def value_missing_on_a_path() -> None:
    """A parameter that is only there the second time round."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        drafting = State(write_reply, give=needs_review)
        reviewing = State(critic)
        sent = State(final=True)
        triaged = triaging.to(drafting, on=Completed[Triage])
        drafted = drafting.to(reviewing, on=Completed[Draft])
        accepted = reviewing.to(sent, on=Completed[Review], cond=approved)
        redo = reviewing.to(drafting, on=Completed[Review], at_most=3)
        gave_up = any_state.to(sent, on=Failed)


@wrong
def value_missing_on_the_short_cut() -> None:
    """A short cut passes by the state that gives the value; the path printed is the shortest one that does."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        drafting = State(write_reply, give=reply_request)
        reviewing = State(critic)
        sending = State(send_reply, give=reply_to_send)
        sent = State(final=True)
        triaged = triaging.to(drafting, on=Completed[Triage], cond=confident)
        short_cut = triaging.to(sending, on=Completed[Triage])
        drafted = drafting.to(reviewing, on=Completed[Draft])
        accepted = reviewing.to(sending, on=Completed[Review])
        delivered = sending.to(sent, on=Completed[Receipt])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def value_missing_when_a_bound_is_used_up() -> None:
    """The way through Failed[Exhausted] is a way too."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_plain, initial=True)
        again = State(triage)
        writing = State(write_reply, give=reply_request)
        sent = State(final=True)
        retry = drafting.to(again, on=Completed[Draft], at_most=2)
        sorted_out = again.to(drafting, on=Completed[Triage])
        enough = drafting.to(writing, on=Failed)
        done = writing.to(sent, on=Completed[Draft])
        gave_up = (again | writing).to(sent, on=Failed)


@wrong
def sibling_region_not_there_yet() -> None:
    """The value of the other region may come later."""

    class W(Workflow[Ticket], version="1"):
        class both(Parallel, initial=True):
            class left(Compound):
                sorting = State(triage, initial=True)
                sorted_out = State(final=True)
                done = sorting.to(sorted_out, on=Completed[Triage])

            class right(Compound):
                looking = State(look_up, initial=True)
                writing = State(write_reply, give=reply_request)
                written = State(final=True)
                looked = looking.to(writing, on=Completed[Facts])
                done = writing.to(written, on=Completed[Draft])

        sent = State(final=True)
        joined = both.to(sent, on=Done)
        gave_up = any_state.to(sent, on=Failed)


@wrong
def two_values_that_could_be_meant() -> None:
    """With an optional polish, the newest draft is of one state or of the other."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_plain, initial=True)
        polishing = State(polish)
        reviewing = State(critic)
        sent = State(final=True)
        needs_polish = drafting.to(polishing, on=Completed[Draft], cond=rough)
        drafted = drafting.to(reviewing, on=Completed[Draft])
        polished = polishing.to(reviewing, on=Completed[Draft])
        accepted = reviewing.to(sent, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def two_regions_race() -> None:
    """Which region's triage is the newest depends on who was faster."""

    class W(Workflow[Ticket], version="1"):
        class both(Parallel, initial=True):
            class left(Compound):
                first = State(triage, initial=True)
                ready = State(final=True)
                done = first.to(ready, on=Completed[Triage])

            class right(Compound):
                second = State(triage, initial=True)
                ready = State(final=True)
                done = second.to(ready, on=Completed[Triage])

        drafting = State(write_reply, give=reply_request)
        sent = State(final=True)
        joined = both.to(drafting, on=Done)
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def a_parameter_that_names_two_states() -> None:
    """Two bodies have a state of that name."""

    class W(Workflow[Ticket], version="1"):
        class left(Compound, initial=True):
            working = State(write_plain, initial=True)
            done = State(final=True)
            wrote = working.to(done, on=Completed[Draft])

        class right(Compound):
            working = State(write_plain, initial=True)
            done = State(final=True)
            wrote = working.to(done, on=Completed[Draft])

        drafting = State(write_reply, give=by_name)
        sent = State(final=True)
        first = left.to(right, on=Done)
        second = right.to(drafting, on=Done)
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)


def drafting_with(give: Any) -> None:
    class W(Workflow[Ticket], version="1"):
        drafting = State(write_reply, give=give, initial=True)
        sent = State(final=True)
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def hand_over_that_returns_another_type() -> None:
    """What the hand-over returns is not what the specialist takes."""
    drafting_with(reply_to_send)


@wrong
def hand_over_that_does_not_say_what_it_returns() -> None:
    """Without an annotation nothing is promised."""
    drafting_with(unannotated)


@wrong
def hand_over_with_an_untyped_parameter() -> None:
    """A parameter without a type cannot be filled."""
    drafting_with(untyped)


@wrong
def hand_over_with_a_parameter_of_two_types() -> None:
    """A parameter is of one type, or of one type or None."""
    drafting_with(of_two_types)


@wrong
def hand_over_with_any_values() -> None:
    """`**values` names nothing."""
    drafting_with(everything)


@wrong
def hand_over_by_position() -> None:
    """Parameters are filled by name."""
    drafting_with(by_position)


@wrong
def hand_over_that_waits() -> None:
    """A hand-over is asked inside a decision, where nothing can wait."""
    drafting_with(fetched)


@wrong
def hand_over_that_is_no_function() -> None:
    """A partial hides its annotations."""
    drafting_with(functools.partial(reply_request, review=None))


@wrong
def hand_over_of_local_types() -> None:
    """Annotations that only a function body knows cannot be read."""

    def local(ticket: "Local") -> ReplyRequest: ...  # type: ignore[empty-body, name-defined]  # noqa: F821

    drafting_with(local)


# -- outcomes and answers


def triaging_with(**options: Any) -> None:
    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True, **options)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def completion_unanswered() -> None:
    """What happens when the condition says no?"""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage], cond=confident)
        gave_up = any_state.to(sent, on=Failed)


@wrong
def member_of_a_union_unanswered() -> None:
    """A specialist that gives one of two must have both answered."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_or_ask, initial=True)
        sent = State(final=True)
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def bound_used_up_and_nothing_left() -> None:
    """When the bound is used up, the review counts as Failed[Exhausted], and that is not answered."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_plain, initial=True)
        reviewing = State(critic)
        sent = State(final=True)
        drafted = drafting.to(reviewing, on=Completed[Draft])
        accepted = reviewing.to(sent, on=Completed[Review], cond=approved)
        redo = reviewing.to(drafting, on=Completed[Review], at_most=3)
        gave_up = drafting.to(sent, on=Failed)
        lost = reviewing.to(sent, on=Failed[Crashed | Rejected | TimedOut | Refused | Broken])


@wrong
def failure_unanswered() -> None:
    """An edge without a failure policy: a declared failure that no transition answers."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        flaky = triaging.to(sent, on=Failed[Transient])


@wrong
def no_failure_policy_at_all() -> None:
    """An edge without any failure policy."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])


@wrong
def refusal_of_a_guard_unanswered() -> None:
    """A guard has failures of its own."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True, guards=[Confidence(0.3)])
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        broke = triaging.to(sent, on=Failed[Crashed | Rejected | Transient | Refused])


@wrong
def settlement_of_an_effect_unanswered() -> None:
    """A person may say that an effect did not happen."""

    class W(Workflow[SendReply], version="1"):
        sending = State(send_reply, initial=True)
        sent = State(final=True)
        delivered = sending.to(sent, on=Completed[Receipt])
        broke = sending.to(sent, on=Failed[Crashed | Rejected | Transient | Refused])


@wrong
def completion_that_never_comes() -> None:
    """The source gives something else."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def completion_of_nothing() -> None:
    """The source has nothing to do."""

    class W(Workflow[Ticket], version="1"):
        waiting = State(initial=True)
        sent = State(final=True)
        triaged = waiting.to(sent, on=Completed[Triage])


@wrong
def failure_of_nothing() -> None:
    """What has nothing to do cannot fail."""

    class W(Workflow[Ticket], version="1"):
        waiting = State(initial=True)
        sent = State(final=True)
        go = waiting.to(sent, on=Signal[Withdrawn])
        gave_up = waiting.to(sent, on=Failed)


@wrong
def failure_that_never_comes() -> None:
    """No source gives that failure."""

    class W(Workflow[Ticket], version="1"):
        looking = State(look_up, initial=True)
        sent = State(final=True)
        looked = looking.to(sent, on=Completed[Facts])
        settled = looking.to(sent, on=Failed[NotDone])
        gave_up = looking.to(sent, on=Failed)


@wrong
def done_of_a_plain_state() -> None:
    """Only what has a body is Done."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Done)


@wrong
def shadowed_by_an_unconditional_transition() -> None:
    """The first declared always fires."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent, kept = State(final=True), State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        unsure = triaging.to(kept, on=Completed[Triage])
        gave_up = any_state.to(kept, on=Failed)


@wrong
def shadowed_by_the_same_condition() -> None:
    """The second time a condition is asked, its answer is known."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage], cond=confident)
        again = triaging.to(triaging, on=Completed[Triage], cond=confident, at_most=2)
        unsure = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def special_failure_after_the_general() -> None:
    """Failed answers Transient too."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent, kept = State(final=True), State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        gave_up = triaging.to(kept, on=Failed)
        flaky = triaging.to(sent, on=Failed[Transient])


@wrong
def outer_transition_never_asked() -> None:
    """The inner states answer every failure before the compound is asked."""

    class W(Workflow[Ticket], version="1"):
        class work(Compound, initial=True):
            triaging = State(triage, initial=True)
            ready = State(final=True)
            triaged = triaging.to(ready, on=Completed[Triage])
            calm = triaging.to(ready, on=Failed)

        sent = State(final=True)
        finished = work.to(sent, on=Done)
        gave_up = work.to(sent, on=Failed)


# -- where a run can go


@wrong
def unreachable() -> None:
    """No transition leads there."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        lost = State(triage)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        found = lost.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def trap() -> None:
    """A state that waits for nothing."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        waiting = State()
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage], cond=confident)
        unsure = triaging.to(waiting, on=Completed[Triage])
        gave_up = triaging.to(sent, on=Failed)


@wrong
def livelock() -> None:
    """Two states that lead to one another and nowhere else."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        here, there = State(), State()
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage], cond=confident)
        unsure = triaging.to(here, on=Completed[Triage])
        go = here.to(there, on=Signal[Withdrawn])
        back = there.to(here, on=Signal[Withdrawn])
        gave_up = triaging.to(sent, on=Failed)


@wrong
def nested_trap() -> None:
    """A trap inside a compound whose failures leave it, but which has none in the trap."""

    class W(Workflow[Ticket], version="1"):
        class body(Compound, initial=True):
            sorting = State(triage, initial=True)
            stuck = State()
            ready = State(final=True)
            done = sorting.to(ready, on=Completed[Triage], cond=confident)
            unsure = sorting.to(stuck, on=Completed[Triage])

        sent = State(final=True)
        out = body.to(sent, on=Done)
        gave_up = body.to(sent, on=Failed)


@wrong
def loop_without_a_bound() -> None:
    """Write, review, write, review."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_plain, initial=True)
        reviewing = State(critic)
        sent = State(final=True)
        drafted = drafting.to(reviewing, on=Completed[Draft])
        accepted = reviewing.to(sent, on=Completed[Review], cond=approved)
        redo = reviewing.to(drafting, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def retry_by_hand_without_a_bound() -> None:
    """A transition to itself is the shortest loop."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        again = triaging.to(triaging, on=Failed[Transient])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def bounded_loop_beside_an_unbounded_one() -> None:
    """A bound on another transition of the same states bounds nothing."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_plain, initial=True)
        reviewing = State(critic)
        sent = State(final=True)
        drafted = drafting.to(reviewing, on=Completed[Draft])
        accepted = reviewing.to(sent, on=Completed[Review], cond=approved)
        redo = reviewing.to(drafting, on=Completed[Review], at_most=3)
        anyway = reviewing.to(drafting, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def attempts_around_an_effect() -> None:
    """What must not happen twice cannot be tried twice."""

    class W(Workflow[SendReply], version="1"):
        sending = State(send_reply, initial=True, attempts=3)
        sent = State(final=True)
        delivered = sending.to(sent, on=Completed[Receipt])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def endless_done() -> None:
    """Two compounds, each done at once when the other is."""

    class W(Workflow[Ticket], version="1"):
        class left(Compound, initial=True):
            sorting = State(triage, initial=True)
            ready = State(final=True)
            done = sorting.to(ready, on=Completed[Triage])

        class right(Compound):
            sorting = State(triage, initial=True)
            ready = State(final=True)
            done = sorting.to(ready, on=Completed[Triage])

        sent = State(final=True)
        there = left.to(right.ready, on=Done)
        back = right.to(left.ready, on=Done)
        gave_up = any_state.to(sent, on=Failed)


@wrong
def too_many_configurations() -> None:
    """A table that nobody could read."""
    made = [State(initial=n == 0, final=n == 300) for n in range(301)]

    def body(namespace: dict[str, Any]) -> None:
        namespace |= {f"s{n}": state for n, state in enumerate(made)}
        namespace |= {f"t{n}": state.to(made[n + 1], on=Signal[Withdrawn]) for n, state in enumerate(made[:-1])}

    types.new_class("W", (Workflow[Ticket],), {"version": "1"}, body)


# -- names and places


@wrong
def transition_without_a_name() -> None:
    """A transition that nothing is called."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def any_state_without_a_name() -> None:
    """It would be lost without a trace, for it has no source that remembers it."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        any_state.to(sent, on=Failed)


@wrong
def name_used_twice() -> None:
    """The second assignment takes the name of the first."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent, kept = State(final=True), State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage], cond=confident)
        triaged = triaging.to(kept, on=Completed[Triage])
        gave_up = any_state.to(kept, on=Failed)


@wrong
def two_names_for_one_transition() -> None:
    """Which of them would be the reason?"""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = done = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def two_names_for_one_state() -> None:
    """One state under two names."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = kept = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(kept, on=Failed)


@wrong
def state_name_used_twice() -> None:
    """The transitions lead to the state that lost its name."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)
        sent = State(final=True)


@wrong
def leads_to_a_state_of_another_workflow() -> None:
    """A chart is whole in its class."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(SupportTicket.sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def leaves_a_state_of_another_workflow() -> None:
    """The same from the other side."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        odd = SupportTicket.sent.to(sent, on=Failed)
        gave_up = any_state.to(sent, on=Failed)


@wrong
def any_state_where_there_is_none() -> None:
    """Besides the target there is no state that it could mean."""

    class W(Workflow[Ticket], version="1"):
        waiting = State(initial=True)
        sent = State(final=True)
        go = waiting.to(sent, on=Signal[Withdrawn])
        again = any_state.to(waiting, on=Signal[Facts])


@wrong
def out_of_a_final_state() -> None:
    """Final is final."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        back = sent.to(triaging, on=Failed)


@wrong
def into_the_history_of_where_it_is() -> None:
    """A history says where its compound was when it was left; from inside it means nothing."""

    class W(Workflow[Ticket], version="1"):
        class body(Compound, initial=True):
            sorting = State(triage, initial=True)
            ready = State(final=True)
            was = History()
            done = sorting.to(ready, on=Completed[Triage])
            back = sorting.to(was, on=Failed, at_most=2)

        sent = State(final=True)
        out = body.to(sent, on=Done)
        gave_up = body.to(sent, on=Failed)


@wrong
def no_states() -> None:
    """An empty class."""

    class W(Workflow[Ticket], version="1"): ...


@wrong
def no_initial_state() -> None:
    """Nowhere to begin."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])


@wrong
def two_initial_states() -> None:
    """Two places to begin."""

    class W(Workflow[Ticket], version="1"):
        one, two = State(triage, initial=True), State(triage, initial=True)
        sent = State(final=True)
        first = one.to(two, on=Completed[Triage])
        second = two.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def compound_without_states() -> None:
    """A body in which nothing can be active."""

    class W(Workflow[Ticket], version="1"):
        class body(Compound, initial=True): ...

        sent = State(final=True)
        out = body.to(sent, on=Done)


@wrong
def parallel_of_plain_states() -> None:
    """Regions are compounds."""

    class W(Workflow[Ticket], version="1"):
        class both(Parallel, initial=True):
            left = State(triage)
            right = State(look_up)

        sent = State(final=True)
        out = both.to(sent, on=Done)


@wrong
def compound_that_is_refined() -> None:
    """Bodies are not inherited."""

    class body(Compound):
        sorting = State(triage, initial=True)

    class finer(body): ...


@wrong
def compound_word() -> None:
    """A state inside a compound named like a word of Compound itself."""

    class body(Compound):
        initial = State(triage, initial=True)  # type: ignore[assignment]


@wrong
def reserved_word() -> None:
    """`machine` is the compiled declaration."""

    class W(Workflow[Ticket], version="1"):
        machine = State(triage, initial=True)  # type: ignore[assignment]
        sent = State(final=True)
        triaged = machine.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def state_named_start() -> None:
    """`start` is whose value the run's input is."""

    class W(Workflow[Ticket], version="1"):
        start = State(triage, initial=True)
        sent = State(final=True)
        triaged = start.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def forgot_the_state() -> None:
    """A specialist where a state is expected."""

    class W(Workflow[Ticket], version="1"):
        triaging = triage


@wrong
def refined() -> None:
    """Workflows are not inherited."""

    class W(SupportTicket): ...


@wrong
def no_version() -> None:
    """Runs are pinned to a version."""

    class W(Workflow[Ticket]):
        sent = State(final=True)


@wrong
def no_input() -> None:
    """What does a run start with?"""

    class W(Workflow, version="1"):  # type: ignore[type-arg]
        sent = State(final=True)


@wrong
def input_that_is_no_contract() -> None:
    """A dict has no fields to be strict about."""

    class W(Workflow[dict[str, str]], version="1"):
        sent = State(final=True)


# -- triggers and conditions


def waiting_for(on: Any, cond: Any = None, at_most: Any = None) -> None:
    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=on, cond=cond, at_most=at_most)
        gave_up = any_state.to(sent, on=Failed)


@wrong
def bare_completed() -> None:
    """Completed with what?"""
    waiting_for(Completed)


@wrong
def trigger_that_is_none() -> None:
    """A contract is not a trigger."""
    waiting_for(Triage)


@wrong
def failed_with_no_failure() -> None:
    """Failed[T] takes a failure."""
    waiting_for(Failed[Triage])  # type: ignore[type-var]


@wrong
def completed_with_no_contract() -> None:
    """Completed[T] takes an attrs class."""
    waiting_for(Completed[str])


@wrong
def bound_of_nothing() -> None:
    """A transition that may never be taken."""
    waiting_for(Completed[Triage], at_most=0)


@wrong
def condition_of_another_payload() -> None:
    """The condition asks a Review, the transition fires on a Triage."""
    waiting_for(Completed[Triage], cond=approved)


@wrong
def condition_that_waits() -> None:
    """A condition answers at once."""
    waiting_for(Completed[Triage], cond=slow)


@wrong
def condition_of_more_than_the_payload() -> None:
    """Conditions know the payload and nothing else."""
    waiting_for(Completed[Triage], cond=two_questions)


@wrong
def condition_that_cannot_be_asked() -> None:
    """A value is not a question."""
    waiting_for(Completed[Triage], cond=True)


@wrong
def condition_of_local_types() -> None:
    """Annotations that only a function body knows cannot be read."""

    def local(triage: "Local") -> bool: ...  # type: ignore[empty-body, name-defined]  # noqa: F821

    waiting_for(Completed[Triage], cond=local)


# -- policies


@wrong
def final_state_with_work() -> None:
    """When it is reached, the run is over."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(look_up, final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def outcome_of_an_inner_state() -> None:
    """Only a final state of the workflow is its outcome."""
    triaging_with(outcome="failed")


@wrong
def outcome_that_is_none() -> None:
    """Three words are outcomes."""
    triaging_with(outcome="done")


@wrong
def policy_of_nothing() -> None:
    """Attempts at what?"""

    class W(Workflow[Ticket], version="1"):
        waiting = State(initial=True, attempts=3)
        sent = State(final=True)
        go = waiting.to(sent, on=Signal[Withdrawn])


@wrong
def no_attempt_at_all() -> None:
    """At least one."""
    triaging_with(attempts=0)


@wrong
def timeout_of_nothing() -> None:
    """Seconds above zero."""
    triaging_with(timeout=0)


@wrong
def work_that_is_no_specialist() -> None:
    """A plain function has no version, effect or contracts."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(confident, initial=True)  # type: ignore[arg-type]
        sent = State(final=True)


@wrong
def fallback_of_another_contract() -> None:
    """A fallback takes and gives what the state's own specialist does."""
    triaging_with(fallback=[critic])


@wrong
def fallback_that_is_no_list() -> None:
    """One fallback is a list of one."""
    triaging_with(fallback=triage)


@wrong
def guard_that_is_none() -> None:
    """A function is not a guard."""
    triaging_with(guards=[confident])


@wrong
def guard_with_the_name_of_another() -> None:
    """What a hold of the switch means, and how it ends, is told by its name."""
    triaging_with(guards=[Confidence(0.3, name="switch")])


@wrong
def guard_whose_failure_is_none() -> None:
    """A guard answers with failures."""
    triaging_with(guards=[Confidence(0.3, fails=(ValueError,))])  # type: ignore[arg-type]


@wrong
def two_contracts_of_one_name() -> None:
    """The log tells contracts apart by name."""
    Other = attrs.make_class("Triage", {"x": attrs.field(type=int)}, frozen=True)

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        told = triaging.to(sent, on=Signal[Other])  # type: ignore[valid-type]
        gave_up = any_state.to(sent, on=Failed)


@wrong
def contract_named_like_a_failure_of_the_engine() -> None:
    """The engine's own failures are in every log."""
    Refused = attrs.make_class("Refused", {"x": attrs.field(type=int)}, frozen=True)

    class W(Workflow[Refused], version="1"):  # type: ignore[valid-type]
        looking = State(initial=True)
        sent = State(final=True)
        stop = looking.to(sent, on=Signal[Withdrawn])


@wrong
def newest_of_a_contract_that_is_only_derived() -> None:
    """A LongDraft is a Draft to Python, but not to a contract, which takes exactly its own class."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_long, initial=True)
        reviewing = State(critic)
        sent = State(final=True)
        drafted = drafting.to(reviewing, on=Completed[LongDraft])
        reviewed = reviewing.to(sent, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)


# -- specialists


def made(fn: Any, **options: Any) -> object:
    return specialist(**({"name": "work", "version": "1"} | options))(fn)


def plain(ticket: Ticket) -> Draft: ...  # type: ignore[empty-body]
def of_three(ticket: Ticket, draft: Draft, more: str) -> Draft: ...  # type: ignore[empty-body]
def of_two(ticket: Ticket, draft: Draft) -> Draft: ...  # type: ignore[empty-body]
def of_text(text: str) -> Draft: ...  # type: ignore[empty-body]


@wrong
def specialist_without_a_name() -> object:
    """The name is what the log and the operator know it by."""
    return made(plain, name="write reply")


@wrong
def specialist_without_a_version() -> object:
    """Every call records the version."""
    return made(plain, version="")


@wrong
def specialist_of_unknown_effect() -> object:
    """What happens after a crash depends on it."""
    return made(plain, effect="maybe")


@wrong
def specialist_that_can_a_word() -> object:
    """A text is no list of words."""
    return made(plain, can="git")


@wrong
def specialist_that_is_called_again_and_fails_with_unknown() -> object:
    """Only what is never called again can leave its outcome unknown."""
    return made(plain, effect="pure", fails=[OutcomeUnknown])


@wrong
def specialist_that_fails_with_no_failure() -> object:
    """An exception is not a typed failure."""
    return made(plain, fails=[ValueError])


@wrong
def specialist_that_is_not_annotated() -> object:
    """The annotations are the contracts."""
    return made(unannotated)


@wrong
def specialist_of_three_parameters() -> object:
    """One request, and at most the Call."""
    return made(of_three)


@wrong
def specialist_with_two_requests() -> object:
    """The second parameter is the Call."""
    return made(of_two)


@wrong
def specialist_of_plain_text() -> object:
    """A str has no name for what it is."""
    return made(of_text)


@wrong
def specialist_of_local_types() -> object:
    """Annotations that only a function body knows cannot be read."""

    def local(ticket: "Local") -> Draft: ...  # type: ignore[empty-body, name-defined]  # noqa: F821

    return made(local)


@attrs.frozen
class Identical(Failure):
    why: str


@wrong
def failure_compared_by_identity() -> object:
    """The attrs default for exceptions; the stored copy would not equal it."""
    return made(plain, fails=[Identical])


# -- contracts


class Colour(Enum):
    RED = (255, 0, 0)


@attrs.frozen
class Item:
    n: int


@attrs.define(eq=False)
class ById:
    n: int


class Undecorated(Item):
    why: str
    count: ClassVar[int] = 0


def holding(hint: Any) -> object:
    return contract_of(attrs.make_class("Holder", {"x": attrs.field(type=hint)}, frozen=True))


@wrong
def contract_of_no_attrs_class() -> object:
    """Plain types have no fields."""
    return contract_of(int)


@wrong
def contract_with_any() -> object:
    """Any admits everything."""
    return holding(Any)


@wrong
def contract_with_bytes() -> object:
    """JSON has no bytes."""
    return holding(bytes)


@wrong
def contract_with_a_bare_list() -> object:
    """A list of what?"""
    return holding(list)


@wrong
def contract_with_keys_that_are_no_text() -> object:
    """The keys of a JSON object are strings."""
    return holding(dict[int, str])


@wrong
def contract_with_a_literal_that_is_not_json() -> object:
    """Bytes in a Literal."""
    return holding(Literal[b"x"])


@wrong
def contract_with_an_enum_that_is_not_json() -> object:
    """Members that JSON would write as lists."""
    return holding(Colour)


@wrong
def contract_deep_inside_another() -> object:
    """The field at fault is named with its path."""
    Inner = attrs.make_class("Inner", {"blob": attrs.field(type=bytes)}, frozen=True)
    return holding(list[Inner] | None)  # type: ignore[valid-type]


@wrong
def contract_compared_by_identity() -> object:
    """Its stored copy would not equal it."""
    return holding(ById)


@wrong
def contract_that_lost_its_decorator() -> object:
    """A subclass without a decorator of its own has fields that attrs does not know."""
    return holding(Undecorated)


@wrong
def union_that_json_cannot_tell_apart() -> object:
    """A date is written as text."""
    import datetime

    return holding(str | datetime.date)


@wrong
def contract_of_local_types() -> object:
    """Annotations that only a function body knows cannot be read."""

    @attrs.frozen
    class Local:
        other: "Elsewhere"  # type: ignore[name-defined]  # noqa: F821

    return contract_of(Local)


@attrs.frozen
@contract("Draft", version="2")
class PagedDraft:
    lines: tuple[str, ...]


@specialist("write_pages", version="1", effect="pure")
def write_pages(ticket: Ticket) -> PagedDraft: ...  # type: ignore[empty-body]


@attrs.frozen(auto_exc=False)
@contract("Overloaded", version="2")
class Overrun(Transient):
    load: float = 0.0


@wrong
def a_new_version_that_nobody_bridges() -> object:
    """What one state gives and the next one takes is one contract in two versions, and nothing leads from one to the
    other.
    """

    class Reply(Workflow[Ticket], version="1"):
        drafting = State(write_pages, initial=True)
        reviewing = State(critic)
        sent = State(final=True)
        drafted = drafting.to(reviewing, on=Completed[PagedDraft])
        reviewed = reviewing.to(sent, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)

    return Reply


@wrong
def a_failure_in_two_versions() -> object:
    """Transitions could not tell them apart."""

    @specialist("write_busily", version="1", effect="pure", fails=[Overrun, Overloaded])
    def write_busily(ticket: Ticket) -> Draft: ...  # type: ignore[empty-body]

    class Reply(Workflow[Ticket], version="1"):
        drafting = State(write_busily, initial=True)
        sent = State(final=True)
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)

    return Reply


@wrong
def a_specialist_that_gives_two_versions() -> object:
    """Transitions could not tell them apart."""

    @specialist("write_either", version="1", effect="pure")
    def write_either(ticket: Ticket) -> Draft | PagedDraft: ...  # type: ignore[empty-body]

    return write_either


@wrong
def a_contract_with_a_version_that_is_no_number() -> object:
    """Nobody could say which comes next."""
    return contract(version="2.1")


@wrong
def a_contract_without_its_parentheses() -> object:
    """The decorator takes a version."""
    return contract(Draft)  # type: ignore[arg-type]


@wrong
def an_upcaster_from_the_version_itself() -> object:
    """It would lead nowhere."""
    return upcaster(PagedDraft, "2")


@wrong
def two_upcasters_from_one_version() -> object:
    """Which of them is meant?"""
    kept = attrs.make_class("Kept", {"text": attrs.field(type=str)}, frozen=True)
    upcaster(kept, "2")(shortened)
    return upcaster(kept, "2")


def shortened(stored: dict[str, Any]) -> dict[str, Any]:
    return {"text": stored["lines"][0]}


def migrating(migrations: Any) -> object:
    class Reply(Workflow[Ticket], version="2", migrations=migrations):
        drafting = State(write_reply, initial=True, give=lone_request)
        sent = State(final=True)
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)

    return Reply


def lone_request(ticket: Ticket) -> ReplyRequest: ...  # type: ignore[empty-body]


@wrong
def migrations_that_are_no_list() -> object:
    """One that stands alone."""
    return migrating(Migration("Reply@1"))


@wrong
def migration_that_is_only_a_name() -> object:
    """A text in the place of a migration."""
    return migrating(["Reply@1"])


@wrong
def migration_from_nowhere() -> object:
    """A name without a version."""
    return migrating([Migration("Reply")])


@wrong
def two_migrations_from_one_place() -> object:
    """Which of them is meant?"""
    return migrating([Migration("Reply@1"), Migration("Reply@1", states={"writing": "drafting"})])


@wrong
def migration_to_a_state_that_is_not_there() -> object:
    """A misspelt state."""
    return migrating([Migration("Reply@1", states={"writing": "draftign"})])


@wrong
def migration_of_the_input() -> object:
    """What the world gave has no state that could be called otherwise."""
    return migrating([Migration("Reply@1", states={"start": "drafting"})])


RIGHT: list[Callable[[], object]] = []


def right(fn: Callable[[], object]) -> Callable[[], object]:
    RIGHT.append(fn)
    return fn


def polished(draft: Newest[Draft]) -> Draft:
    return draft


@wrong
def child_without_child() -> None:
    """A workflow stands where a specialist is expected; its run is asked for with `child`."""

    class W(Workflow[Ticket], version="1"):
        answering = State(SupportTicket, initial=True)  # type: ignore[arg-type]
        sent = State(final=True)


@wrong
def child_that_gives_something_else() -> None:
    """A child may complete with a value that `gives` does not list."""
    child(SupportTicket, gives=Draft)


@wrong
def child_that_gives_nothing() -> None:
    """A child whose every way to complete is a failure has no value to give."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        failed = State(final=True, outcome="failed")
        given_up = State(final=True)
        triaged = triaging.to(failed, on=Completed[Triage])
        gave_up = triaging.to(given_up, on=Failed)

    child(W)


@wrong
def child_of_no_workflow() -> None:
    """What is called is no workflow."""
    child(Ticket)  # type: ignore[call-overload]


@wrong
def child_ahead_without_its_contracts() -> None:
    """A workflow that is not there yet cannot be asked what it takes and gives."""
    child(lambda: SupportTicket)  # type: ignore[call-overload]


@wrong
def child_ahead_that_is_another() -> None:
    """What is there in the end is not what was declared."""
    made = child(lambda: SupportTicket, name="SupportTicket", version="1", takes=Ticket, gives=Receipt)
    assert made.machine is not None
    made.machine()


@wrong
def reply_to_nobody() -> None:
    """A completion has no sender who could be told anything."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage], reply=lambda: None)
        gave_up = triaging.to(sent, on=Failed)


def told_nothing(facts: Facts) -> str: ...  # type: ignore[empty-body]


@wrong
def reply_that_is_no_contract() -> None:
    """A reply is recorded, so it has fields."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        waiting = State()
        sent = State(final=True)
        triaged = triaging.to(waiting, on=Completed[Triage])
        heard = waiting.to(sent, on=Signal[Facts], reply=told_nothing)
        gave_up = triaging.to(sent, on=Failed)


@right
def optional_polish_with_newest() -> None:
    """Whichever state gave it last is meant, and said so."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_plain, initial=True)
        polishing = State(polish)
        reviewing = State(critic, give=polished)
        sent = State(final=True)
        needs_polish = drafting.to(polishing, on=Completed[Draft], cond=rough)
        drafted = drafting.to(reviewing, on=Completed[Draft])
        is_polished = polishing.to(reviewing, on=Completed[Draft])
        accepted = reviewing.to(sent, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)


@right
def linear_rework_of_one_type() -> None:
    """One draft after the other: the newest is always of the state before."""

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_plain, initial=True)
        polishing = State(polish)
        reviewing = State(critic)
        sent = State(final=True)
        drafted = drafting.to(polishing, on=Completed[Draft])
        is_polished = polishing.to(reviewing, on=Completed[Draft])
        accepted = reviewing.to(sent, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)


@right
def every_failure_by_name() -> None:
    """A failure policy need not be a bare Failed."""

    class W(Workflow[Ticket], version="1"):
        looking = State(look_up, initial=True)
        filing = State(file_away, attempts=2)
        sent, lost = State(final=True), State(final=True, outcome="failed")
        looked = looking.to(filing, on=Completed[Facts])
        filed = filing.to(sent, on=Completed[Receipt])
        gave_up = any_state.to(lost, on=Failed[TimedOut | Rejected | Crashed | Refused])


@right
def union_output_in_one_transition() -> None:
    """One transition may answer both members, and one condition may ask both."""

    def fine(outcome: Draft | Question) -> bool: ...  # type: ignore[empty-body]

    class W(Workflow[Ticket], version="1"):
        drafting = State(write_or_ask, initial=True)
        sent, lost = State(final=True), State(final=True)
        good = drafting.to(sent, on=Completed[Draft | Question], cond=fine)
        bad = drafting.to(lost, on=Completed[Draft | Question])
        gave_up = any_state.to(lost, on=Failed)


@right
def conditions_of_many_kinds() -> None:
    """Lambdas, partials, methods, and a function that takes anything."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        one = triaging.to(sent, on=Completed[Triage], cond=lambda triage: triage.topic == "bug")
        two = triaging.to(sent, on=Completed[Triage], cond=functools.partial(at_least, 0.5))
        three = triaging.to(sent, on=Completed[Triage], cond=anything)
        rest = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


def at_least(least: float, triage: Triage) -> bool: ...  # type: ignore[empty-body]
def anything(value: Any) -> bool: ...  # type: ignore[empty-body]


@right
def loop_through_the_world() -> None:
    """A signal comes from outside, so a loop that needs one needs no bound."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        waiting = State()
        sent = State(final=True)
        triaged = triaging.to(waiting, on=Completed[Triage])
        again = waiting.to(triaging, on=Signal[Facts])
        enough = waiting.to(sent, on=Signal[Withdrawn])
        gave_up = triaging.to(sent, on=Failed)


@right
def effect_with_a_fallback() -> None:
    """An effect has one attempt, and may have a fallback of another kind."""

    @specialist("post_reply", version="1", effect="idempotent")
    def post_reply(reply: SendReply) -> Receipt: ...  # type: ignore[empty-body]

    class W(Workflow[SendReply], version="1"):
        sending = State(send_reply, initial=True, fallback=[post_reply])
        sent = State(final=True)
        delivered = sending.to(sent, on=Completed[Receipt])
        unsure = sending.to(sent, on=Failed[OutcomeUnknown])
        gave_up = sending.to(sent, on=Failed)


# -- time and people


def timed(**body: Any) -> None:
    """A workflow that waits in `resting`, with more in its body."""

    def fill(namespace: dict[str, Any]) -> None:
        namespace |= {"resting": State(Wait(60), initial=True), "sent": State(final=True), **body}
        if "rested" not in namespace:
            namespace["rested"] = namespace["resting"].to(namespace["sent"], on=Elapsed)
        namespace["gave_up"] = any_state.to(namespace["sent"], on=Failed)

    types.new_class("W", (Workflow[Ticket],), {"version": "1"}, fill)


editor = Person("editor", version="1", takes=Ticket, gives=Review, within=60)


@wrong
def wait_for_nothing() -> None:
    """A wait says how long, or until when."""
    timed(resting=State(Wait(), initial=True))


@wrong
def wait_that_never_begins() -> None:
    """A length of time is above nought, and finite."""
    timed(resting=State(Wait(-1.0), initial=True))


@wrong
def wait_with_a_deadline() -> None:
    """A wait has its time already."""
    timed(resting=State(Wait(60), initial=True, within=30))


@wrong
def deadline_that_is_no_time() -> None:
    """`within` is a timedelta or seconds."""
    timed(resting=State(within="3 days", initial=True))  # type: ignore[arg-type]


@wrong
def deadline_of_a_final_state() -> None:
    """A final state is over."""
    timed(sent=State(final=True, within=30))


@wrong
def deadline_that_nothing_answers() -> None:
    """A deadline needs a transition."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True, within=60)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def wait_whose_bound_is_used_up() -> None:
    """A bound on Elapsed needs another transition after it."""
    resting, triaging, sent = State(Wait(60), initial=True), State(triage), State(final=True)
    timed(
        resting=resting,
        triaging=triaging,
        sent=sent,
        rested=resting.to(triaging, on=Elapsed, at_most=2),
        again=triaging.to(resting, on=Completed[Triage]),
    )


@wrong
def deadline_of_the_run_that_nothing_answers() -> None:
    """The run's deadline is answered by any_state of the workflow itself."""

    class W(Workflow[Ticket], version="1", within=60):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def time_that_is_never_over() -> None:
    """Elapsed needs a time."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        late = triaging.to(sent, on=Elapsed)
        gave_up = any_state.to(sent, on=Failed)


@wrong
def time_that_is_asked() -> None:
    """Elapsed brings nothing that a condition could ask."""
    resting, sent = State(Wait(60), initial=True), State(final=True)
    timed(resting=resting, sent=sent, rested=resting.to(sent, on=Elapsed, cond=lambda nothing: True))


@wrong
def until_a_text() -> None:
    """Until when is a moment."""

    def when(ticket: Ticket) -> str:
        return ticket.subject

    timed(resting=State(Wait(until=when), initial=True))  # type: ignore[arg-type]


@wrong
def until_what_is_not_there() -> None:
    """What says until when is filled as any hand-over is."""

    def when(draft: Draft) -> float:
        return float(len(draft.text))

    timed(resting=State(Wait(until=when), initial=True))


@wrong
def loop_of_waits() -> None:
    """Time passes by itself, so a loop through a wait needs a bound."""
    resting, triaging, sent = State(Wait(60), initial=True), State(triage), State(final=True)
    timed(
        resting=resting,
        triaging=triaging,
        sent=sent,
        rested=resting.to(triaging, on=Elapsed),
        sure=triaging.to(sent, on=Completed[Triage], cond=confident),
        again=triaging.to(resting, on=Completed[Triage]),
    )


@wrong
def person_who_is_asked_twice() -> None:
    """A person is not asked the same thing again: the next in line is."""

    class W(Workflow[Ticket], version="1"):
        asking = State(editor, initial=True, attempts=2)
        sent = State(final=True)
        answered = asking.to(sent, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def target_by_its_name() -> None:
    """A transition leads to a state, not to what it is called."""
    State(triage, initial=True).to("sent", on=Completed[Triage])  # type: ignore[arg-type]


@wrong
def hand_over_that_forgets_a_field() -> None:
    """What a function of the workflow makes is made whole: seen in its text, before any run."""

    def half(ticket: Ticket, triage: Triage) -> ReplyRequest:
        return ReplyRequest(ticket)  # type: ignore[call-arg]

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        drafting = State(write_reply, give=half)
        sent = State(final=True)
        triaged = triaging.to(drafting, on=Completed[Triage])
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)


@wrong
def guard_that_asks_for_a_field_that_is_not_there() -> None:
    """What a guard will be asked about is known at the class statement."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True, guards=[required("subject", "txt")])
        sent = State(final=True)
        triaged = triaging.to(sent, on=Completed[Triage])
        gave_up = triaging.to(sent, on=Failed)


@wrong
def person_with_no_version() -> None:
    """A person is a specialist, and has a version."""
    Person("editor", version="", takes=Ticket, gives=Review)


@wrong
def person_with_no_contract() -> None:
    """Question and answer are contracts."""
    Person("editor", version="1", takes=Ticket, gives=str)


@wrong
def person_of_one_letter_each() -> None:
    """Names, not a name."""
    Person("editor", version="1", takes=Ticket, gives=Review, who="ana")


@wrong
def person_with_a_deadline_before() -> None:
    """A deadline is above nought."""
    Person("editor", version="1", takes=Ticket, gives=Review, within=0)


@wrong
def answer_for_nobody() -> None:
    """What counts when nobody answers needs a deadline."""
    Person("editor", version="1", takes=Ticket, gives=Review, otherwise=Review(False, ""))


@wrong
def answer_that_is_none() -> None:
    """What counts when nobody answers is an answer."""
    Person("editor", version="1", takes=Ticket, gives=Review, within=60, otherwise=Ticket("", ""))  # type: ignore[misc]


@right
def hand_over_that_spreads_its_fields() -> None:
    """What cannot be counted in the text of a function is left to its run; and so is a name that is another's there."""

    def spread(ticket: Ticket, triage: Triage) -> ReplyRequest:
        def Draft(text: str, more: str) -> str:
            return text + more

        rest = {"remarks": Draft("no", "ne")}
        return ReplyRequest(*(ticket, triage.topic), **rest)

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        drafting = State(write_reply, give=spread)
        sent = State(final=True)
        triaged = triaging.to(drafting, on=Completed[Triage])
        drafted = drafting.to(sent, on=Completed[Draft])
        gave_up = any_state.to(sent, on=Failed)


@right
def loop_through_a_person() -> None:
    """A person comes from outside, so a loop that needs one needs no bound."""

    class W(Workflow[Ticket], version="1"):
        triaging = State(triage, initial=True)
        asking = State(editor)
        sent = State(final=True)
        triaged = triaging.to(asking, on=Completed[Triage])
        again = asking.to(triaging, on=Completed[Review])
        gave_up = any_state.to(sent, on=Failed)


@right
def bounded_wait() -> None:
    """A loop that waits, with a bound and what follows it."""
    resting, triaging, sent = State(Wait(60), initial=True), State(triage), State(final=True)
    timed(
        resting=resting,
        triaging=triaging,
        sent=sent,
        rested=resting.to(triaging, on=Elapsed, at_most=2),
        enough=resting.to(sent, on=Elapsed),
        again=triaging.to(resting, on=Completed[Triage]),
    )
