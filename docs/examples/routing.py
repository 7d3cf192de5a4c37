"""Routing: what came in decides who works on it, by a table that can be read.

statecore run routing:Routing --input '{"text": "My invoice is wrong."}'
statecore run routing:Routing --input '{"text": "The app crashes."}'
statecore run routing:Routing --input '{"text": "Hello!"}'
"""

from typing import Literal

import attrs

from statecore import Completed, Failed, State, Workflow, any_state, specialist


@attrs.frozen
class Message:
    text: str


@attrs.frozen
class Kind:
    topic: Literal["billing", "fault", "other"]


@attrs.frozen
class Reply:
    text: str


@specialist("sort_message", version="1", effect="pure")
async def sort_message(message: Message) -> Kind:
    """A small model in its place would give the same type, and could go nowhere else."""
    words = message.text.lower()
    return Kind("billing" if "invoice" in words else "fault" if "crash" in words else "other")


@specialist("answer_billing", version="1", effect="pure")
async def answer_billing(message: Message) -> Reply:
    return Reply("We check your invoice.")


@specialist("answer_fault", version="1", effect="pure")
async def answer_fault(message: Message) -> Reply:
    return Reply("Which version do you use?")


@specialist("answer_anything", version="1", effect="pure")
async def answer_anything(message: Message) -> Reply:
    return Reply("Thank you for writing.")


def about_billing(kind: Kind) -> bool:
    return kind.topic == "billing"


def about_a_fault(kind: Kind) -> bool:
    return kind.topic == "fault"


class Routing(Workflow[Message], version="1"):
    """Find out what a message is about, and let the one who knows answer it."""

    sorting = State(sort_message, initial=True)
    billing = State(answer_billing)
    faults = State(answer_fault)
    others = State(answer_anything)
    answered = State(final=True)
    unanswered = State(final=True, outcome="failed")

    to_billing = sorting.to(billing, on=Completed[Kind], cond=about_billing)
    to_faults = sorting.to(faults, on=Completed[Kind], cond=about_a_fault)
    to_others = sorting.to(others, on=Completed[Kind])
    replied = (billing | faults | others).to(answered, on=Completed[Reply])
    gave_up = any_state.to(unanswered, on=Failed)
