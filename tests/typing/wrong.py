"""A user's mistakes that a type checker must see.

`# E: ...` says what it must object to, on that line and on no other; `# E pyright: ...` what mypy does not see, for it
takes a bare Failed to be of any failure.
"""

# ruff: noqa: F821

from typing import Any, Literal

import attrs

from specialists.claude import Claude
from statecore import (
    Completed,
    Failed,
    Failure,
    Migration,
    Person,
    State,
    Wait,
    Workflow,
    any_state,
    child,
    contract,
    specialist,
    upcaster,
)
from statecore.engine import Engine
from statecore.guard import Pass, Question, Verdict
from statecore.ledger import Ledger

from .right import (
    Confidence,
    Draft,
    Request,
    Review,
    Support,
    Ticket,
    Triage,
    confident,
    critic,
    request,
    triage,
    write,
)


def approved(review: Review) -> bool:
    return review.ok


def as_draft(ticket: Ticket) -> Draft:
    return Draft(ticket.subject)


@attrs.frozen
class OfReviews:
    name: str = "of_reviews"
    side: Literal["before", "after"] = "after"
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[Review], ledger: Ledger) -> Verdict:
        return Pass()


class Conditions(Workflow[Ticket], version="1"):
    triaging = State(triage, initial=True)
    sent = State(final=True)

    # A condition is asked with the payload of its own transition,
    of_another = triaging.to(sent, on=Completed[Triage], cond=approved)  # E: a condition over a Review
    # also a lambda, whose parameter is known by the transition that it stands in.
    misread = triaging.to(sent, on=Completed[Triage], cond=lambda t: t.confidense > 1)  # E: a misspelt field
    compared = triaging.to(sent, on=Completed[Triage], cond=lambda t: t.topic > 3)  # E: text and a number
    of_a_failure = triaging.to(sent, on=Failed, cond=confident)  # E pyright: a failure is no Triage
    answer = triaging.to(sent, on=Completed[Triage], cond=lambda t: t.topic)  # E: an answer is yes or no


class Contracts(Workflow[Ticket], version="1"):
    # What a state gives to its specialist must be what the specialist takes,
    handed = State(write, give=as_draft)  # E: write takes a Request
    # a fallback must take and give the same,
    takes_another = State(triage, fallback=[critic])  # E: critic takes a Draft
    # as must a child workflow,
    another_child = State(critic, fallback=[child(Support)])  # E: the child takes a Ticket
    # and a guard must ask about what goes in or comes out.
    guarded = State(triage, guards=[OfReviews()])  # E: no Review goes in or comes out
    fine = State(triage, guards=[Confidence(0.1)])


class Spelling(Workflow[Ticket], version="1"):
    triaging = State(triage, initial=True)
    drafting = State(write, give=request)
    sent = State(final=True)

    elsewhere = triaging.to(draftng, on=Completed[Triage])  # E: a misspelt state
    nowhere = triaging.to(Support.snet, on=Completed[Triage])  # E: a misspelt state of a class
    option = State(triage, attempt=3)  # E: a misspelt option of a state
    bound = triaging.to(sent, on=Completed[Triage], atmost=3)  # E: a misspelt option of a transition
    outcome = State(final=True, outcome="fialed")  # E: a misspelt outcome
    untriggered = triaging.to(sent)  # E: no trigger
    a_contract = triaging.to(sent, on=Triage)  # E: a contract is no trigger
    no_failure = triaging.to(sent, on=Failed[Triage])  # E: a Triage is no failure
    gave_up = any_state.to(sent, on=Failed, cond=lambda f: f.way)  # E pyright: a misspelt field of any failure


class Versioned(Workflow[Ticket], verison="1"): ...  # E: a misspelt option of a workflow


@specialist("unversioned")  # E: no version
async def unversioned(ticket: Ticket) -> Triage:
    return Triage("bug", 1.0)


@specialist("mislabelled", version="1", effect="idempotnet")  # E: a misspelt effect
async def mislabelled(ticket: Ticket) -> Triage:
    return Triage("bug", 1.0)


@specialist("misread", version="1")
async def misread(ticket: Ticket) -> Triage:
    return Triage("billing", 1.0)  # E: not one of the topics


@specialist("fails_oddly", version="1", fails=[ValueError])  # E: an exception is no failure
async def fails_oddly(ticket: Ticket) -> Triage:
    return Triage("bug", 1.0)


nameless = Person("nameless", takes=Draft, gives=Review)  # E: no version
editor = Person("editor", version="1", takes=Draft, gives=Review)
asks_another = State(triage, fallback=[editor])  # E: the editor takes a Draft
unread = Claude("unread", version="1", takes=Draft, gives=Review, model="m")  # E: no prompt
judge = Claude("judge", version="1", takes=Draft, gives=Review, model="m", prompt="judge@1.md")
judges_another = State(triage, fallback=[judge])  # E: the judge takes a Draft
judged_before = State(judge, guards=[Confidence(0.3)])  # E: the judge gives no Triage
unbounded = Claude("u", version="1", takes=Draft, gives=Review, model="m", prompt="p", max_tokens="9")  # E: no number
waits = State(Wait("3 days"))  # E: a text is no length of time


async def start(engine: Engine) -> None:
    await engine.start(Support, Ticket("help"))
    await engine.start(Support, Draft("help"))  # E: a run starts with the workflow's input
    await engine.start(Support, "help")  # E: and with nothing else
    await engine.start(Ticket, Ticket("help"))  # E: only a workflow is started


@contract(version=2)  # E: a version is text
@attrs.frozen
class Memo:
    lines: tuple[str, ...]


@upcaster(Memo, "1")  # E: a function over plain data
def in_lines(memo: Memo) -> Memo:
    return Memo(memo.linse)  # E: a misspelt field, seen through the decorator


@upcaster(Memo, "1")
def from_text(stored: dict[str, Any]) -> dict[str, Any]:
    return Memo(("a",))  # E: and gives plain data


Migration("Filing@1", states=["storing"])  # E: names of states with what they are called


def topic(made: Request) -> str:
    return made.topik  # E: a misspelt field
