"""What a value rests on, from the log alone: across plans, people, signals and the runs that call each other."""

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest

from statecore import (
    Completed,
    Engine,
    Failed,
    Failure,
    Newest,
    Part,
    Person,
    Plan,
    Signal,
    State,
    Workflow,
    any_state,
    child,
    specialist,
)
from statecore.errors import UnknownCall
from statecore.guard import Pass, Side
from statecore.guard import Question as Asked
from statecore.guard import Verdict as Said
from statecore.ledger import Ledger
from statecore.log import Log, MemoryLog
from statecore.provenance import Trace
from statecore.replay import turns_of
from statecore.sqlite import SqliteLog
from tests.desk import Desk


@attrs.frozen
class Question:
    text: str


@attrs.frozen
class Fact:
    text: str


@attrs.frozen
class Facts:
    texts: tuple[str, ...]


@attrs.frozen
class Verdict:
    text: str


@attrs.frozen
class Receipt:
    number: int


@attrs.frozen
class Hint:
    text: str


@specialist("search", version="2", effect="pure")
async def search(question: Question) -> Fact:
    return Fact(f"found {question.text}")


@specialist("recall", version="1", effect="pure", derives=True)
async def recall(question: Question) -> Fact:
    return Fact(f"recalled {question.text}")


@specialist("publish", version="1", effect="idempotent")
async def publish(verdict: Verdict) -> Receipt:
    return Receipt(len(verdict.text))


def newest(fact: Newest[Fact]) -> Fact:
    return fact


def all_facts(facts: list[Fact]) -> Facts:
    return Facts(tuple(fact.text for fact in facts))


class Digging(Workflow[Question], version="1"):
    """Two sources are asked at once."""

    asking = State(Plan(Part(search), Part(recall), assemble=all_facts), initial=True)
    dug = State(final=True)
    lost = State(final=True, outcome="failed")
    done = asking.to(dug, on=Completed[Facts])
    gave_up = any_state.to(lost, on=Failed)


judge = Person("judge", version="1", takes=Facts, gives=Verdict)


def sharper(question: Question, hint: Hint | None) -> Question:
    return Question(f"{question.text}, {hint.text}" if hint else question.text)


class Deciding(Workflow[Question], version="1"):
    """Dig, let a person judge, publish what they say; a hint makes it dig again."""

    digging = State(child(Digging), give=sharper, initial=True)
    judging = State(judge)
    publishing = State(publish)
    told = State(final=True)
    lost = State(final=True, outcome="failed")
    dug = digging.to(judging, on=Completed[Facts])
    again = judging.to(digging, on=Signal[Hint])
    judged = judging.to(publishing, on=Completed[Verdict])
    published = publishing.to(told, on=Completed[Receipt])
    gave_up = any_state.to(lost, on=Failed)


async def decided(log: Log) -> None:
    engine = Engine(log, [Deciding])
    await engine.run(Deciding, Question("owls"), run="r")
    await engine.signal("r", Hint("at night"), by="bob")
    await engine.wait("r")
    await engine.answer("r", "judging", Verdict("they hoot"), by="ana", why="heard them")
    assert (await engine.wait("r")).outcome == "completed"


async def trace(log: Log, call: str = "", of: str = "r") -> Trace:
    found = Trace(of, call)
    while missing := found.missing():
        for name in missing:
            found.add(name, await turns_of(log, name))
    return found


def rested(found: Trace) -> list[str]:
    return [f"{origin.what} {origin.value.payload.contract} {origin.value.part}".strip() for origin in found.origins()]


async def test_an_outcome_is_traced_through_people_children_plans_and_signals() -> None:
    """Each value is there once, before what it was made of, back to what the world said; what it does not rest on is not."""
    log = MemoryLog()
    await decided(log)
    found = await trace(log)
    assert rested(found) == [
        "publishing#1 Receipt",
        "judging#2 Verdict",
        "digging#2 Facts",
        "asking#1 Facts",
        "asking#1/search Fact search",
        "asking#1/recall Fact recall",
        "the input Question",
        "the input Question",
        "a signal Hint",
    ]
    assert [origin.run for origin in found.origins()] == ["r"] * 3 + ["r/digging#2"] * 4 + ["r"] * 2
    assert [(origin.what, origin.by) for origin in found.inputs()] == [
        ("judging#2", "ana"), ("the input", ""), ("a signal", "bob"),
    ]  # fmt: skip
    assert found.specialists() == ["publish@1", "judge@1", "Digging@1", "search@2", "recall@1"]
    assert [origin.call for origin in found.receipts()] == ["publishing#1"]


async def test_one_call_is_traced_by_its_id_or_its_state() -> None:
    """What it gave, of each entry of a state; or what it was asked with, where it has given nothing yet."""
    log = MemoryLog()
    engine = Engine(log, [Deciding])
    await engine.run(Deciding, Question("owls"), run="r")
    assert [origin.what for origin in (await trace(log, "judging#1")).origins()][:2] == ["digging#1", "asking#1"]
    await engine.signal("r", Hint("at night"))
    await engine.wait("r")
    assert len((await trace(log, "digging")).ends()) == 2
    assert len((await trace(log, "digging#1")).ends()) == 1
    assert "a signal Hint" not in rested(await trace(log, "digging#1"))
    with pytest.raises(UnknownCall, match=r"r made no call drilling \(its calls: digging#1, digging#2, judging#2\)"):
        await trace(log, "drilling")


@attrs.frozen
class Vouch:
    name: str = "vouch"
    side: Side = "after"
    fails: tuple[type[Failure], ...] = ()
    vouches: bool = True

    def ask(self, question: Asked[Any], ledger: Ledger) -> Said:
        return Pass()


def as_verdict(fact: Fact) -> Verdict:
    return Verdict(fact.text)


async def test_the_first_untrusted_event_is_named_unless_somebody_vouched() -> None:
    """What a vouched value was made of reached nobody untrusted; where all is vouched for, nothing is."""

    class Checking(Workflow[Question], version="1"):
        searching = State(search, guards=[Vouch()], initial=True)
        telling = State(publish, give=as_verdict)
        told = State(final=True)
        lost = State(final=True, outcome="failed")
        found = searching.to(telling, on=Completed[Fact])
        done = telling.to(told, on=Completed[Receipt])
        gave_up = any_state.to(lost, on=Failed)

    log = MemoryLog()
    await Engine(log, [Checking]).run(Checking, Question("owls"), run="r")
    first = (await trace(log)).untrusted()
    assert first is not None and first.what == "telling#1"
    assert (await trace(log, "searching")).untrusted() is None
    log = MemoryLog()
    await decided(log)
    first = (await trace(log)).untrusted()
    assert first is not None and (first.run, first.what) == ("r", "the input")


class Handing(Workflow[Question], version="1"):
    """The first state hands the input on to another run."""

    digging = State(child(Digging), initial=True)
    told = State(final=True)
    lost = State(final=True, outcome="failed")
    dug = digging.to(told, on=Completed[Facts])
    gave_up = any_state.to(lost, on=Failed)


async def test_the_input_of_a_child_is_never_older_than_what_it_was_called_with() -> None:
    """A child's first turn has the time of the one that called it; what its input was made of came in before it."""
    log = MemoryLog()
    await Engine(log, [Handing]).run(Handing, Question("owls"), run="r")
    first = (await trace(log)).untrusted()
    assert first is not None and (first.run, first.event, first.what) == ("r", 1, "the input")


async def test_of_several_that_nothing_vouched_for_the_one_that_the_trace_lists_first_is_named() -> None:
    """Neither was made of the other, so that no order but the trace's own is told from them."""
    log = MemoryLog()
    await decided(log)
    found = await trace(log, "digging#2")
    bare = [origin for origin in found.origins() if not found.sources(origin)]
    assert [origin.what for origin in bare] == ["the input", "a signal"]
    assert found.untrusted() == bare[0]


async def test_a_fork_is_traced_into_the_child_that_a_copied_call_had() -> None:
    """What was copied was done under the old run; what the fork did itself, under its own name."""
    log = MemoryLog()
    await decided(log)
    engine = Engine(log, [Deciding])
    at = next(turn.version - len(turn.events) for turn in await turns_of(log, "r") if turn.cause == "Signal")
    await engine.fork("r", at, by="ana", why="once more", new="f")
    await engine.signal("f", Hint("by day"), by="bob")
    await engine.wait("f")
    await engine.fork("f", (await engine.state("f")).seq, by="ana", why="twice", new="g")
    children = {each.what: each.child for each in (await trace(log, "digging", of="g")).origins() if each.child}
    assert children == {"digging#1": "r/digging#1", "digging#2": "f/digging#2"}
    assert "asking#1/search Fact search" in rested(await trace(log, "digging#1", of="g"))


async def test_a_long_chain_is_traced_without_recursion() -> None:
    """Two thousand drafts, each made of the one before."""

    @specialist("redraft", version="1", effect="pure")
    async def redraft(fact: Fact) -> Fact:
        return Fact(fact.text[:5])

    class Redrafting(Workflow[Fact], version="1"):
        drafting = State(redraft, give=newest, initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        again = drafting.to(drafting, on=Completed[Fact], at_most=2000)
        enough = drafting.to(done, on=Completed[Fact])
        gave_up = any_state.to(lost, on=Failed)

    log = MemoryLog()
    await Engine(log, [Redrafting]).run(Redrafting, Fact("owls"), run="r")
    assert len((await trace(log)).origins()) == 2002


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


async def kept(path: Path) -> None:
    async with await SqliteLog.open(path) as log:
        await decided(log)


def test_a_trace_is_read_at_the_terminal(desk: Desk) -> None:
    """Each event with who gave it, from what, and why it was called; and in JSON the same."""
    asyncio.run(kept(desk.here / "statecore.db"))
    said = desk("trace", "r")
    assert said.code == 0
    lines = [line.strip() for line in said.out.splitlines()]
    assert "publish@1 (idempotent); from 13; called because judged on 13" in lines
    assert "judge@1 (pure); said ana; from 10; called because dug on 10" in lines
    assert "Digging@1 (pure); from r/digging#2:10; called because again on 7" in lines
    assert lines[-4:] == [
        "inputs      13 Verdict@1, 1 Question@1, 7 Hint@1",
        "specialists publish@1, judge@1, Digging@1, search@2, recall@1",
        "receipts    16 Receipt@1",
        "untrusted   since 1, the input",
    ]
    plain = desk("trace", "r", "--json").json
    assert plain["untrusted_since"] == {"run": "r", "event": 1} and len(plain["values"]) == 9
    assert plain["values"][0]["from"] == [{"run": "r", "event": 13}]
    assert desk("trace", "r", "nothing").code == 2 and desk("trace", "nobody").code == 2


def test_a_child_is_traced_without_its_parent(desk: Desk) -> None:
    """What an export left behind ends the trace, and breaks nothing."""
    asyncio.run(kept(desk.here / "statecore.db"))
    moved = desk("export", "r/digging#2")
    assert moved.code == 0
    (desk.here / "moved.json").write_text(moved.out)
    assert desk("import", "moved.json", "--db", "other.db").code == 0
    said = desk("trace", "r/digging#2", "--db", "other.db")
    assert said.code == 0 and "untrusted   since 1, the input" in said.out
