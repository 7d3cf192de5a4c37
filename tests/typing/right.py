"""A user's module in which a type checker has nothing to find: mypy --strict and pyright accept every line of it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import attrs

from specialists.claude import Claude
from specialists.model import Declined
from statecore import (
    Call,
    ChildFailed,
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
    Recorded,
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
from statecore.engine import Engine
from statecore.guard import Pass, Question, Refuse, Verdict
from statecore.ledger import Ledger
from statecore.messages import Signal
from statecore.signals import NotTaken, Taken


@attrs.frozen
class Ticket:
    subject: str


@attrs.frozen
class Triage:
    topic: Literal["bug", "other"]
    confidence: float


@attrs.frozen
class Draft:
    text: str


@attrs.frozen
class Inquiry:
    text: str


@attrs.frozen
class Review:
    ok: bool


@attrs.frozen
class Request:
    ticket: Ticket
    topic: str


@attrs.frozen
class Withdrawn:
    why: str


@attrs.frozen(auto_exc=False)
class Untranslatable(Failure):
    why: str


@attrs.frozen(auto_exc=False)
class Overloaded(Transient):
    load: float = 0.0


# A specialist is an async or a plain function; its annotations are its contracts.
@specialist("triage", version="3", effect="pure", fails=[Transient])
async def triage(ticket: Ticket) -> Triage:
    return Triage("bug", 0.9)


@specialist("write", version="1", effect="pure", fails=[Untranslatable, Overloaded])
def write(request: Request) -> Draft:
    return Draft(request.topic)


# It may be told its call, and may give one of two values.
@specialist("write_again", version="1", effect="pure")
async def write_again(request: Request, call: Call) -> Draft:
    return Draft(", ".join(call.faults))


@specialist("ask_or_write", version="1")
async def ask_or_write(request: Request) -> Draft | Inquiry:
    return Inquiry("which one?")


@specialist("critic", version="1", effect="pure")
async def critic(draft: Draft) -> Review:
    return Review(bool(draft.text))


# A guard is any object of the right shape.
@attrs.frozen
class Confidence:
    least: float
    name: str = "confidence"
    side: Literal["before", "after"] = "after"
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[Triage], ledger: Ledger) -> Verdict:
        return Pass() if question.value.confidence >= self.least else Refuse("too unsure")


@attrs.frozen
class Short:
    name: str = "short"
    side: Literal["before", "after"] = "before"
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[Request], ledger: Ledger) -> Verdict:
        return Pass()


# Hand-overs and conditions are plain functions over the user's own types.
def request(ticket: Ticket, triage: Triage, review: Review | None) -> Request:
    return Request(ticket, triage.topic)


def newest(draft: Newest[Draft], all_of_them: list[Draft], judged: Recorded[Review] | None) -> Draft:
    return Draft(draft.text + all_of_them[0].text + (judged.specialist if judged else ""))


def confident(triage: Triage) -> bool:
    return triage.confidence >= 0.7


def either(outcome: Draft | Inquiry) -> bool:
    return bool(outcome.text)


def anything(value: object) -> bool:
    return True


class Support(Workflow[Ticket], version="1"):
    triaging = State(triage, initial=True, attempts=3, guards=[Confidence(0.3)], says="what is it about?")
    drafting = State(write, give=request, fallback=[write_again], guards=[Short()], timeout=5)
    asking = State(ask_or_write, give=request)
    reviewing = State(critic, give=newest)
    sent = State(final=True)
    lost = State(final=True, outcome="failed")

    triaged = triaging.to(drafting, on=Completed[Triage], cond=confident)
    unsure = triaging.to(asking, on=Completed[Triage], cond=lambda triage: triage.topic == "bug")
    hopeless = triaging.to(lost, on=Completed[Triage], cond=anything)
    other = triaging.to(lost, on=Completed[Triage])
    drafted = drafting.to(reviewing, on=Completed[Draft])
    nothing = asking.to(lost, on=Completed[Draft | Inquiry], cond=either)
    asked = asking.to(lost, on=Completed[Inquiry])
    written = asking.to(reviewing, on=Completed[Draft])
    redo = reviewing.to(drafting, on=Completed[Review], cond=lambda review: not review.ok, at_most=3)
    accepted = reviewing.to(sent, on=Completed[Review])
    busy = (drafting | asking).to(lost, on=Failed[Overloaded], cond=lambda failure: failure.load > 0.5)
    gave_up = any_state.to(lost, on=Failed)


# The work of a state may be a run of another workflow, which may be named ahead; and a signal may be answered.
@attrs.frozen
class Told:
    text: str


def told(ticket: Ticket, withdrawn: Withdrawn) -> Told:
    return Told(ticket.subject + withdrawn.why)


class Outer(Workflow[Ticket], version="1"):
    supporting = State(child(Support), initial=True)
    again = State(child(Support, gives=Review), fallback=[child(Support)])
    deeper = State(child(lambda: Outer, name="Outer", version="1", takes=Ticket, gives=[Review]), timeout=3600)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    supported = supporting.to(again, on=Completed[Review])
    both = again.to(deeper, on=Completed[Review])
    withdrawn = again.to(lost, on=Signal[Withdrawn], cond=lambda withdrawn: withdrawn.why != "", reply=told)
    over = deeper.to(done, on=Completed[Review])
    gave_up = any_state.to(lost, on=Failed[ChildFailed | Failure])


class Nested(Workflow[Ticket], version="1"):
    class both(Parallel, initial=True):
        class left(Compound):
            triaging = State(triage, initial=True)
            ready = State(final=True)
            triaged = triaging.to(ready, on=Completed[Triage])

        class right(Compound):
            again = State(triage, initial=True)
            ready = State(final=True)
            triaged = again.to(ready, on=Completed[Triage])

        where = History(deep=True)

    held = State()
    sent = State(final=True)
    hold = both.to(held, on=Signal[Withdrawn], cond=lambda withdrawn: withdrawn.why != "")
    back = held.to(both.where, on=Signal[Withdrawn])
    skip = both.left.triaging.to(both.left.ready, on=Failed[Transient])
    joined = both.to(sent, on=Done)
    gave_up = any_state.to(sent, on=Failed)


# Time and people: a wait is a state's work, a person is a specialist, and Elapsed brings nothing.
editor = Person("editor", version="1", takes=Draft, gives=Review, within=timedelta(days=2), otherwise=Review(False))


def plain_request(ticket: Ticket) -> Request:
    return Request(ticket, "bug")


def monday(ticket: Ticket) -> datetime:
    return datetime(2026, 1, 5, tzinfo=UTC)


class Waiting(Workflow[Ticket], version="1", within=timedelta(days=30)):
    class all(Compound, initial=True, within=86400):
        resting = State(Wait(60), initial=True)
        later = State(Wait(until=monday), says="not before monday")
        over = State(final=True)
        rested = resting.to(later, on=Elapsed)
        begun = later.to(over, on=Elapsed)

    drafting = State(write, give=plain_request)
    asking = State(editor, fallback=[editor], within=timedelta(days=7))
    mixed = State(critic, fallback=[editor])
    sent = State(final=True)
    lost = State(final=True, outcome="failed")
    done = all.to(drafting, on=Done)
    drafted = drafting.to(asking, on=Completed[Draft])
    asked = asking.to(sent, on=Completed[Review], cond=lambda review: review.ok)
    again = asking.to(mixed, on=Completed[Review])
    seen = mixed.to(sent, on=Completed[Review])
    late = any_state.to(lost, on=Elapsed)
    gave_up = any_state.to(lost, on=Failed)


# A model is a specialist of what it takes and gives; of several classes, whichever it gives.
asked = Claude("asked", version="1", takes=Ticket, gives=Triage, model="claude-haiku-5-5", prompt="prompt@1.md")
either_one = Claude(
    "either_one", version="1", takes=Ticket, gives=[Draft, Inquiry], model="m", prompt="prompt@1.md", max_tokens=99
)


class Asking(Workflow[Ticket], version="1"):
    asking = State(asked, initial=True, fallback=[triage], guards=[Confidence(0.3)])
    writing = State(either_one, attempts=2)
    done = State(final=True)
    failed = State(final=True, outcome="failed")
    sure = asking.to(writing, on=Completed[Triage], cond=confident)
    unsure = asking.to(done, on=Completed[Triage])
    written = writing.to(done, on=Completed[Draft], cond=lambda draft: draft.text != "")
    other = writing.to(done, on=Completed[Draft | Inquiry])
    would_not = asking.to(failed, on=Failed[Declined], cond=lambda failure: failure.category == "bio")
    gave_up = any_state.to(failed, on=Failed)


# A contract in another version is the class that it was.
@contract(version="2")
@attrs.frozen
class Memo:
    lines: tuple[str, ...]


@upcaster(Memo, "1")
def in_lines(stored: dict[str, Any]) -> dict[str, Any]:
    return {"lines": stored["text"].split()}


@specialist("file", version="1", effect="pure")
async def file(memo: Memo) -> Ticket:
    return Ticket(" ".join(Memo(memo.lines).lines))


class Filing(Workflow[Memo], version="2", migrations=[Migration("Filing@1", states={"storing": "filing"})]):
    filing = State(file, initial=True)
    done = State(final=True)
    filed = filing.to(done, on=Completed[Ticket], cond=lambda ticket: ticket.subject != "")
    other = filing.to(done, on=Completed[Ticket])
    gave_up = any_state.to(done, on=Failed)


async def move(engine: Engine) -> list[str]:
    return await engine.migrate("run", Filing, by="ops", why="release 2")


# A run starts with the workflow's input.
async def use(engine: Engine) -> str:
    match await engine.signal("run", Withdrawn("late"), by="ana", id="1"):
        case Taken(states=states):
            return states[0]
        case NotTaken(why=why):
            print(why)
    return await engine.start(Support, Ticket("help"))
