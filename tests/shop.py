"""A user's module with models in it: a ticket is triaged by one, and answered, or asked about, by another."""

from typing import Literal

import attrs

from specialists.claude import Claude
from specialists.model import Declined
from statecore import Completed, Failed, Rejected, State, TimedOut, Workflow, any_state


@attrs.frozen
class Ticket:
    subject: str
    body: str = ""


@attrs.frozen
class Triage:
    topic: Literal["billing", "bug", "other"]
    confidence: float = attrs.field()

    @confidence.validator
    def _between(self, _: object, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"expected a confidence from 0 to 1, found {value}")


@attrs.frozen
class Reply:
    text: str


@attrs.frozen
class Inquiry:
    question: str


triage = Claude(
    "triage", version="3", takes=Ticket, gives=Triage, model="claude-haiku-5-5", prompt="prompts/triage@3.md"
)
reply = Claude(
    "reply",
    version="1",
    takes=Ticket,
    gives=[Reply, Inquiry],
    model="claude-opus-5-5",
    prompt="prompts/reply.md",
    max_tokens=900,
)


class Triaging(Workflow[Ticket], version="1"):
    """Say what a ticket is about; each way in which a model may fail leads to a state of its own."""

    triaging = State(triage, initial=True, attempts=3, timeout=5)
    triaged = State(final=True)
    declined = State(final=True, outcome="failed")
    rejected = State(final=True, outcome="failed")
    late = State(final=True, outcome="failed")
    failed = State(final=True, outcome="failed")

    done = triaging.to(triaged, on=Completed[Triage])
    would_not = triaging.to(declined, on=Failed[Declined])
    unfit = triaging.to(rejected, on=Failed[Rejected])
    overdue = triaging.to(late, on=Failed[TimedOut])
    gave_up = any_state.to(failed, on=Failed)


HOUR = 3600.0


class Bounded(Workflow[Ticket], version="1"):
    """One attempt, and an hour for it."""

    triaging = State(triage, initial=True, timeout=HOUR)
    triaged = State(final=True)
    late = State(final=True, outcome="failed")
    failed = State(final=True, outcome="failed")

    done = triaging.to(triaged, on=Completed[Triage])
    overdue = triaging.to(late, on=Failed[TimedOut])
    gave_up = any_state.to(failed, on=Failed)


class Replying(Workflow[Ticket], version="1"):
    """Answer a ticket, or ask."""

    replying = State(reply, initial=True, attempts=2)
    replied = State(final=True)
    asked = State(final=True, outcome="partial")
    failed = State(final=True, outcome="failed")

    answered = replying.to(replied, on=Completed[Reply])
    unclear = replying.to(asked, on=Completed[Inquiry])
    gave_up = any_state.to(failed, on=Failed)
