"""Two releases of one workflow, as they follow each other: a field of its input is renamed, one is new, a state is
called otherwise, and what it writes has another shape.
"""

from typing import Any

import attrs

from statecore import (
    Call,
    Completed,
    Failed,
    Migration,
    Signal,
    State,
    Workflow,
    any_state,
    contract,
    specialist,
    upcaster,
)


@contract("Request", version="1")
@attrs.frozen
class RequestV1:
    title: str


@contract(version="3")
@attrs.frozen
class Request:
    subject: str
    language: str


@upcaster(Request, "1")
def renamed(stored: dict[str, Any]) -> dict[str, Any]:
    return {"subject": stored["title"]}


@upcaster(Request, "2")
def with_language(stored: dict[str, Any]) -> dict[str, Any]:
    return {**stored, "language": "en"}


@contract("Letter", version="1")
@attrs.frozen
class LetterV1:
    text: str


@contract(version="2")
@attrs.frozen
class Letter:
    lines: tuple[str, ...]


@upcaster(Letter, "1")
def lined(stored: dict[str, Any]) -> dict[str, Any]:
    if stored["text"] == "!":
        raise ValueError("nothing can be made of it")
    return {"lines": stored["text"].split("\n")}


@upcaster(LetterV1, "2")
def unlined(stored: dict[str, Any]) -> dict[str, Any]:
    return {"text": "\n".join(stored["lines"])}


@attrs.frozen
class Go:
    by: str = ""


@attrs.frozen
class Parcel:
    to: str
    letter: Letter


@attrs.frozen
class Sent:
    what: str


@specialist("write", version="1", effect="pure")
async def write_v1(request: RequestV1) -> LetterV1:
    return LetterV1(request.title)


@specialist("write", version="2", effect="pure")
async def write(request: Request) -> Letter:
    return Letter((request.subject, request.language))


@specialist("post", version="1", effect="idempotent")
async def post_v1(letter: LetterV1) -> Sent:
    return Sent(letter.text)


@specialist("post", version="2", effect="idempotent")
async def post(parcel: Parcel, call: Call) -> Sent:
    return Sent(f"{parcel.to}: {' / '.join(parcel.letter.lines)}")


def parcel(request: Request, letter: Letter) -> Parcel:
    return Parcel(request.language, letter)


def old() -> type[Workflow[RequestV1]]:
    class Mail(Workflow[RequestV1], version="1"):
        """As it was."""

        drafting = State(write_v1, initial=True)
        holding = State()
        posting = State(post_v1)
        sent = State(final=True)
        lost = State(final=True, outcome="failed")
        drafted = drafting.to(holding, on=Completed[LetterV1])
        let_go = holding.to(posting, on=Signal[Go])
        posted = posting.to(sent, on=Completed[Sent])
        gave_up = any_state.to(lost, on=Failed)

    return Mail


def new() -> type[Workflow[Request]]:
    to_writing = Migration("Mail@1", states={"drafting": "writing", "holding": "waiting"})

    class Mail(Workflow[Request], version="2", migrations=[to_writing]):
        """As it is."""

        writing = State(write, initial=True)
        waiting = State()
        posting = State(post, give=parcel)
        sent = State(final=True)
        lost = State(final=True, outcome="failed")
        drafted = writing.to(waiting, on=Completed[Letter])
        again = waiting.to(writing, on=Signal[Sent], at_most=2)
        let_go = waiting.to(posting, on=Signal[Go])
        posted = posting.to(sent, on=Completed[Sent])
        gave_up = any_state.to(lost, on=Failed)

    return Mail


def mixed() -> type[Workflow[Request]]:
    """A writer of today, and a poster of yesterday: the value goes back over the bridge."""

    class Mixed(Workflow[Request], version="1"):
        writing = State(write, initial=True)
        posting = State(post_v1)
        sent = State(final=True)
        lost = State(final=True, outcome="failed")
        drafted = writing.to(posting, on=Completed[Letter])
        posted = posting.to(sent, on=Completed[Sent])
        gave_up = any_state.to(lost, on=Failed)

    return Mixed


Old, New, Mixed = old(), new(), mixed()
