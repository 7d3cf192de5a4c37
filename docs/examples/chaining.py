"""Prompt chaining: an outline, a text, a translation, with a gate between the steps.

statecore run chaining:Chaining --input '{"subject": "tides", "points": 3}'
statecore run chaining:Chaining --input '{"subject": "tides", "points": 1}'     # stopped by the gate
"""

import attrs

from guards import quality
from statecore import Completed, Failed, State, Workflow, any_state, specialist
from statecore.failures import Rejected


@attrs.frozen
class Order:
    subject: str
    points: int


@attrs.frozen
class Outline:
    points: tuple[str, ...]


@attrs.frozen
class Text:
    sentences: tuple[str, ...]


@attrs.frozen
class Translation:
    text: str


@specialist("outline", version="1", effect="pure")
async def outline(order: Order) -> Outline:
    return Outline(tuple(f"{order.subject}, point {number}" for number in range(1, order.points + 1)))


@specialist("write", version="1", effect="pure")
async def write(plan: Outline) -> Text:
    return Text(tuple(f"This is about {point}." for point in plan.points))


@specialist("translate", version="1", effect="pure")
async def translate(text: Text) -> Translation:
    return Translation(" ".join(sentence.replace("This is about", "Es geht um") for sentence in text.sentences))


def has_three_points(plan: Outline) -> bool:
    return len(plan.points) >= 3


class Chaining(Workflow[Order], version="1"):
    """Outline, write, translate. An outline that is too thin goes no further."""

    outlining = State(outline, initial=True, guards=[quality("an outline of at least three points", has_three_points)])
    writing = State(write)
    translating = State(translate)
    translated = State(final=True)
    too_thin = State(final=True, outcome="failed", says="nobody wrote a text that was not worth it")
    given_up = State(final=True, outcome="failed")

    outlined = outlining.to(writing, on=Completed[Outline])
    thin = outlining.to(too_thin, on=Failed[Rejected])
    written = writing.to(translating, on=Completed[Text])
    done = translating.to(translated, on=Completed[Translation])
    gave_up = any_state.to(given_up, on=Failed)
