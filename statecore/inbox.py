"""What people are asked, for a terminal: a list, a question in full, and an answer that is filled in field by field.

An answer goes to the engine that holds the log: this process where it is free, or the one that has it. It carries the
digest of what was shown, so what changed meanwhile is not answered unseen.
"""

import select
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from statecore.asking import SHORT
from statecore.asks import Ask, asks
from statecore.contract import Contract
from statecore.errors import BadInput, StatecoreError
from statecore.form import Blank, blanks, example, paper, shape
from statecore.inquiry import reading
from statecore.present import awaited, plain
from statecore.registry import Registry
from statecore.shape import contract_schema
from statecore.wording import moment, short, times, typed, visible
from statecore.workflow import Workflow

LOOK = 1.0
"""Seconds between two looks for new questions while nobody types."""


class Left(Exception):
    """Whoever sat there has gone, or wants to."""


async def asked(database: Path, known: Sequence[type[Workflow[Any]]], run: str | None = None) -> list[Ask]:
    """What is asked by the runs of a log, or one of them. Raises NoDatabase."""
    async with reading(database) as log:
        return await asks(log, Registry(known), run)


def line(ask: Ask, now: float) -> str:
    """One question on one line."""
    limit = f", until {awaited(ask.call.wake, now)}" if ask.call.wake is not None else ""
    return visible(
        f"{ask.run.id}  {ask.call.id}  {ask.run.workflow} {ask.run.version}, since {moment(ask.call.since)}{limit}"
    )


def sheet(ask: Ask, now: float, options: str = "") -> Iterator[str]:
    """A question in full: who, until when, all of what is asked, and how to answer."""
    person, call = ask.person, ask.call
    limit = f", until {awaited(call.wake, now)}" if call.wake is not None else ""
    yield visible(f"{ask.run.id}  {call.id}  {ask.run.workflow} {ask.run.version}")
    yield f"  asked    {moment(call.since)}{limit}"
    yield visible(f"  of       {call.specialist}" + (f" ({person.about()})" if person else ""))
    if person is not None and person.says:
        yield f"  says     {visible(person.says)}"
    yield f"  shown    {ask.shown[:SHORT]}"
    yield f"  question {visible(call.request.contract)}"
    yield from paper(msgspec.json.decode(call.request.data), "", "    ")
    if person is None:
        yield f"  answer   its shape is not known here: {visible(ask.unknown)}"
        return
    yield f"  answer   {visible(' or '.join(shape(contract) for contract in person.gives))}"
    form = shlex.quote(example(person.gives[0]))
    which = f"{typed(ask.run.id)} {typed(call.id)}"
    yield visible(f"  statecore answer {which} {form} --by YOU --why TEXT --shown {ask.shown[:SHORT]}{options}")


def as_json(ask: Ask) -> dict[str, Any]:
    """A question as plain data."""
    person, call = ask.person, ask.call
    return {
        "run": ask.run.id, "call": call.id, "workflow": ask.run.workflow, "version": ask.run.version,
        "tenant": ask.run.tenant, "specialist": call.specialist, "since": call.since, "due": call.wake,
        "shown": ask.shown, "question": plain(call.request), "who": list(person.who) if person else None,
        "says": person.says if person else "", "unknown": ask.unknown,
        "answers": {contract.name: contract_schema(contract) for contract in person.gives} if person else {},
    }  # fmt: skip


class Inbox:
    """A person at a terminal. `look`: what is asked now. `answer`: gives an answer, and says what came of it."""

    def __init__(
        self,
        look: Callable[[], list[Ask]],
        answer: Callable[[Ask, str, str, str], list[str]],
        now: Callable[[], float],
        say: Callable[..., None],
        by: str,
    ) -> None:
        self.look, self.answer, self.now, self.say, self.by = look, answer, now, say, by

    def sit(self) -> None:
        """Until there is nobody any more."""
        try:
            while True:
                self.one(self.choose())
        except Left:
            with suppress(Left):
                self.say("left; what was not answered is still asked")

    def choose(self) -> Ask:
        while True:
            found = self.look()
            self.say("", f"{times(len(found), 'question')}" if found else "nobody is asked anything")
            self.say(*(f"{number:>3}  {line(ask, self.now())}" for number, ask in enumerate(found, 1)))
            word = self.choice("which one (Enter looks again, q leaves)? ", [ask.shown for ask in found])
            if word in ("q", "quit"):
                raise Left
            if word and word.isascii() and word.isdigit() and 1 <= int(word) <= len(found):
                return found[int(word) - 1]

    def one(self, ask: Ask) -> None:
        """One question: shown in full, answered, confirmed."""
        self.say("", *list(sheet(ask, self.now()))[:-1])
        if ask.person is None:
            return
        if not self.by:
            self.by = self.prompt("your name? ")
        first, *others = ask.person.gives
        contract = self.pick([(each.name, each) for each in (first, *others)]) if others else None
        value = self.filled(contract or first, tagged=contract is not None)
        why = self.prompt("why? ")
        self.say("", f"{ask.call.id} of {visible(ask.run.id)} is answered by {self.by}: {short(why)}")
        self.say(*paper(value, "", "    "))
        if self.prompt("send it (yes or no)? ") not in ("y", "yes"):
            self.say("not sent")
            return
        try:
            self.say(*self.answer(ask, msgspec.json.encode(value).decode(), self.by, why))
        except StatecoreError as error:
            self.say(f"not taken: {error}")

    def filled(self, contract: Contract[Any], tagged: bool) -> dict[str, Any]:
        """The fields of an answer, until its contract admits them."""
        while True:
            value = {blank.name: got for blank in blanks(contract) if (got := self.field(blank)) is not ...}
            try:
                contract.fit(value)
            except BadInput as error:
                self.say(str(error), "once more")
            else:
                return {"_type": contract.name, **value} if tagged else value

    def field(self, blank: Blank) -> Any:
        """`...` where it was left out."""
        options = "  ".join(f"{n} {said}" for n, (said, _) in enumerate(blank.choices, 1))
        leave = ", Enter leaves it out" if blank.given else ""
        while True:
            word = self.prompt(f"{visible(blank.name)} ({options or blank.kind}{leave})? ", empty=True)
            if not word and blank.given:
                return ...
            try:
                return blank.read(word)
            except ValueError as error:
                self.say(str(error))

    def pick(self, among: list[tuple[str, Contract[Any]]]) -> Contract[Any]:
        options = "  ".join(f"{number} {name}" for number, (name, _) in enumerate(among, 1))
        while True:
            word = self.prompt(f"which answer ({options})? ")
            if word.isascii() and word.isdigit() and 1 <= int(word) <= len(among):
                return among[int(word) - 1][1]

    def prompt(self, text: str, empty: bool = False) -> str:
        while True:
            self.say(text, nl=False)
            if (word := read_line()) or empty:
                return word

    def choice(self, text: str, before: list[str]) -> str:
        """A line; "" where what is asked changed before there was one."""
        self.say(text, nl=False)
        while not select.select([sys.stdin], [], [], LOOK)[0]:
            if [ask.shown for ask in self.look()] != before:
                self.say("")
                return ""
        return read_line()


def read_line() -> str:
    """What was typed, up to its end. Raises Left where the terminal is closed."""
    try:
        text = sys.stdin.readline()
    except (OSError, ValueError):
        raise Left from None
    if not text:
        raise Left
    return text.rstrip("\n").strip()


def no_terminal() -> NoReturn:
    raise BadInput(
        "asks --watch needs a terminal to ask at, found none: list with `statecore asks`, and answer with `statecore answer`"
    )
