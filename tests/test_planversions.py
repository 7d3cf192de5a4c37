"""Versions of contracts inside plans: parts of yesterday and today beside each other, people and other workflows too."""

import attrs

from statecore import (
    Completed,
    Engine,
    Failed,
    Part,
    Person,
    Plan,
    Signal,
    State,
    Workflow,
    any_state,
    child,
    contract,
    specialist,
)
from statecore.asks import asks
from statecore.handed import handed
from statecore.log import MemoryLog
from statecore.replay import rebuild, turns_of, verify
from statecore.run import Run
from statecore.signals import Taken
from tests.releases import Letter, LetterV1, Request, Sent, post_v1, write


@contract("Bundle", version="2")
@attrs.frozen
class TodaysBundle:
    texts: tuple[str, ...]


@attrs.frozen
class Opened:
    lines: tuple[str, ...]


def bundle(sent: list[Sent]) -> TodaysBundle:
    return TodaysBundle(tuple(each.what for each in sent))


def yesterdays(letters: list[LetterV1]) -> TodaysBundle:
    return TodaysBundle(tuple(each.text for each in letters))


def text_of(write: LetterV1) -> LetterV1:
    return LetterV1(write.text.upper())


@specialist("file", version="1", effect="pure")
async def file(letter: LetterV1) -> Sent:
    return Sent(f"filed {letter.text}")


@specialist("open", version="1", effect="pure")
async def open_(bundle: TodaysBundle) -> Opened:
    return Opened(bundle.texts)


clerk = Person("clerk", version="1", takes=LetterV1, gives=Sent)


class Filing(Workflow[LetterV1], version="1"):
    """Another workflow, which is still at yesterday's letter."""

    filing = State(file, initial=True)
    filed = State(final=True)
    lost = State(final=True, outcome="failed")
    kept = filing.to(filed, on=Completed[Sent])
    gave_up = any_state.to(lost, on=Failed)


class Mailing(Workflow[Request], version="1"):
    """Today's letter, and a function, a person and another workflow that take yesterday's."""

    posting = State(
        Plan(
            write,
            Part(post_v1, id="posted", after=["write"]),
            Part(clerk, after=["write"]),
            Part(child(Filing), id="filed", after=["write"]),
            Part(file, id="loud", after=["write"], give=text_of),
            assemble=bundle,
        ),
        initial=True,
    )
    opening = State(open_)
    sent = State(final=True)
    lost = State(final=True, outcome="failed")
    posted = posting.to(opening, on=Completed[TodaysBundle])
    opened = opening.to(sent, on=Completed[Opened])
    gave_up = any_state.to(lost, on=Failed)


class Outside(Workflow[Request], version="1"):
    """The parts of the plan read a letter of the state before it; the assembly makes today's letters yesterday's."""

    writing = State(write, initial=True)
    posting = State(Plan(post_v1, clerk, Part(write, id="again"), assemble=yesterdays))
    sent = State(final=True)
    lost = State(final=True, outcome="failed")
    drafted = writing.to(posting, on=Completed[Letter])
    posted = posting.to(sent, on=Completed[TodaysBundle])
    gave_up = any_state.to(lost, on=Failed)


async def answered(log: MemoryLog, workflow: type[Workflow[Request]]) -> tuple[Engine, Run]:
    engine = Engine(log, [workflow])
    await engine.run(workflow, Request("a", "en"), run="r")
    [ask] = await asks(log, engine.registry)
    assert ask.call.request.contract == "Letter" and ask.call.request.data == b'{"text":"a\\nen"}'
    return engine, await engine.answer("r", "posting", Sent("by hand"), by="ana", why="", shown=ask.shown)


async def test_what_one_part_gives_is_made_into_what_the_next_takes() -> None:
    """A function, a person, a child and a hand-over each read yesterday's letter where today's was given."""
    log = MemoryLog()
    engine, run = await answered(log, Mailing)
    run = await engine.wait("r")
    assert run.outcome == "completed" and run.result is not None
    assert run.result.data == b'{"lines":["a\\nen","by hand","filed a\\nen","filed A\\nEN"]}'
    assert (await rebuild(log, "r/posting#1/filed")).input.contract == "Letter"
    assert await rebuild(log, "r") == run and await verify(log, engine.registry) == []


async def test_what_was_handed_over_is_listed_in_the_version_that_was_handed_over() -> None:
    """The list of messages says yesterday's contract of the request, and today's of what it was made of."""
    log = MemoryLog()
    _, run = await answered(log, Outside)
    found = {message.call: message for message in handed(run, await turns_of(log, "r"))}
    assert [found[f"posting#1/{part}"].request.contract for part in ("post", "clerk", "again")] == [
        "Letter",
        "Letter",
        "Request@3",
    ]
    assert [source.contract for source in found["posting#1/post"].sources] == ["Letter@2"]


async def test_an_assembly_may_read_and_give_other_versions() -> None:
    """Its parameters are filled through upcasters, and its result is of a contract of whatever name and version."""
    log = MemoryLog()
    engine, run = await answered(log, Outside)
    assert run.outcome == "completed" and run.result is not None
    assert (run.result.contract, run.result.data) == ("Bundle@2", b'{"texts":["a\\nen"]}')
    assert await verify(log, engine.registry) == []


@contract("Told", version="3")
@attrs.frozen
class Standing:
    text: str
    letters: int


def standing(letters: list[LetterV1], signal: LetterV1) -> Standing:
    return Standing(signal.text, len(letters))


class Listening(Workflow[Request], version="1"):
    """Somebody hands in a letter while a person is still asked by the plan, and is told how many there are."""

    writing = State(write, initial=True)
    posting = State(Plan(Part(clerk, id="clerk"), Part(write, id="again"), assemble=bundle))
    heard = State(final=True)
    sent = State(final=True)
    lost = State(final=True, outcome="failed")
    drafted = writing.to(posting, on=Completed[Letter])
    handed_in = posting.to(heard, on=Signal[Letter], reply=standing)
    posted = posting.to(sent, on=Completed[TodaysBundle])
    gave_up = any_state.to(lost, on=Failed)


async def test_a_reply_while_a_plan_is_open_reads_and_gives_other_versions() -> None:
    """The payload and all that parts have given so far are read as yesterday's, and the answer is what it says."""
    log = MemoryLog()
    engine = Engine(log, [Listening])
    await engine.run(Listening, Request("a", "en"), run="r")
    answer = await engine.signal("r", Letter(("b", "c")), by="ben", id="1")
    assert answer == Taken(("handed_in",), ("heard",), Standing("b\nc", 3))
    assert await engine.signal("r", Letter(("b", "c")), by="ben", id="1") == answer
    assert (await engine.wait("r")).outcome == "completed" and await verify(log, engine.registry) == []
