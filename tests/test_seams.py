"""Where features meet: people and other workflows as parts of a plan."""

from typing import Any

import attrs
import pytest

from statecore import (
    Call,
    Completed,
    Elapsed,
    Engine,
    Failed,
    Part,
    Person,
    Plan,
    State,
    Workflow,
    any_state,
    child,
    specialist,
)
from statecore.asks import asks
from statecore.log import MemoryLog
from statecore.replay import rebuild, verify
from statecore.run import Run
from statecore.testing import After, ScriptError, play, scripted, survives
from tests.mill import Asking, Chair, Plank, Stamping, Word, asked, chair, deputy, saw, stamp, stamped


@attrs.frozen
class Page:
    text: str


@attrs.frozen
class Note:
    text: str


@attrs.frozen
class Notes:
    texts: tuple[str, ...]


@specialist("proofread", version="1", effect="pure")
async def proofread(page: Page) -> Note:
    return Note(f"proofread {page.text}")


class Proofreading(Workflow[Page], version="1"):
    """One look at a page."""

    looking = State(proofread, initial=True)
    looked = State(final=True)
    lost = State(final=True, outcome="failed")
    seen = looking.to(looked, on=Completed[Note])
    gave_up = any_state.to(lost, on=Failed)


apart = child(Proofreading)
editor = Person("editor", version="1", takes=Page, gives=Note, who=("ana",))


def all_notes(notes: list[Note]) -> Notes:
    return Notes(tuple(note.text for note in notes))


class Reviewing(Workflow[Page], version="1"):
    """A page is looked at by a person, by another workflow and by a function, at the same time."""

    checking = State(Plan(Part(editor), Part(apart, id="apart"), Part(proofread), assemble=all_notes), initial=True)
    checked = State(final=True)
    lost = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Notes])
    gave_up = any_state.to(lost, on=Failed)


async def begun(log: MemoryLog) -> tuple[Engine, Run]:
    engine = Engine(log, [Reviewing])
    return engine, await engine.run(Reviewing, Page("owls"), run="run")


async def test_a_plan_may_ask_a_person_and_begin_another_workflow() -> None:
    """Each part ends in its own time; the plan is over when the person has answered, and all of it is decided again."""
    log = MemoryLog()
    engine, run = await begun(log)
    assert run.condition == "waiting" and [call.id for call in run.calls.values()] == ["checking#1/editor"]
    assert (await rebuild(log, "run/checking#1/apart")).outcome == "completed"
    [asked] = await asks(log, engine.registry)
    assert asked.call.id == "checking#1/editor"
    run = await engine.answer("run", "checking#1/editor", Note("fine"), by="ana", why="read it")
    assert run.outcome == "completed" and run.result is not None
    assert run.result.data == b'{"texts":["fine","proofread owls","proofread owls"]}'
    assert await verify(log, engine.registry) == []


def test_such_a_plan_is_scripted_and_survives_a_kill_at_every_turn() -> None:
    """The other workflow may be scripted too, or run as it is written."""
    answers = {editor: Note("fine"), proofread: Note("p")}
    assert play(Reviewing, Page("owls"), {**answers, apart: Note("a")}).result == Notes(("fine", "a", "p"))
    assert play(Reviewing, Page("owls"), {**answers, apart: apart}).result == Notes(("fine", "proofread owls", "p"))
    assert survives(Reviewing, Page("owls"), {**answers, apart: apart}).kills > 5


@pytest.mark.parametrize("cancelled", [True, False])
async def test_such_a_plan_is_taken_up_again(cancelled: bool) -> None:
    """By another engine on the same log: what is done stays done, and the question is still open."""
    log = MemoryLog()
    await begun(log)
    engine = Engine(log, [Reviewing])
    await engine.resume()
    if cancelled:
        assert (await engine.cancel("run", by="ops", why="enough")).outcome == "cancelled"
    else:
        run = await engine.answer("run", "checking", Note("fine"), by="ana", why="read it")
        assert run.outcome == "completed"
    assert await asks(log, engine.registry) == []
    assert await verify(log, engine.registry) == []


@specialist("stumble", version="1", effect="pure")
async def stumble(page: Page, call: Call) -> Note:
    if call.run.endswith("/apart"):
        raise ValueError("the first time")
    return Note(call.run)


class Stumbling(Workflow[Page], version="1"):
    """It fails in its first attempt."""

    looking = State(stumble, initial=True)
    looked = State(final=True)
    lost = State(final=True, outcome="failed")
    seen = looking.to(looked, on=Completed[Note])
    gave_up = any_state.to(lost, on=Failed)


def alike(page: Page) -> list[Part]:
    return [Part(child(Stumbling), id=id, request=page) for id in ("apart", "apart~2", "apart~", "apart~~2")]


class Alike(Workflow[Page], version="1"):
    """Parts whose names look like the attempts of each other."""

    checking = State(Plan(of=[Part(child(Stumbling), attempts=2)], make=alike, assemble=all_notes), initial=True)
    checked = State(final=True)
    lost = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Notes])
    gave_up = any_state.to(lost, on=Failed)


async def test_the_child_of_a_part_is_no_further_attempt_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a planner calls its parts, each of their children has a name of its own."""
    monkeypatch.setattr("statecore.decider.RETRY_BASE", 0.001)
    log = MemoryLog()
    async with Engine(log, [Alike]) as engine:
        run = await engine.run(Alike, Page("owls"), run="r")
        assert run.outcome == "completed", run.why
        names = [info.name.removeprefix("r/checking#1/") for info in await log.streams() if info.name != "r"]
        assert sorted(names) == ["apart", "apart~2", "apart~~", "apart~~2", "apart~~~~2"]
        assert await verify(log, engine.registry) == []


class Commissioned(Workflow[Plank], version="1", within=86_400):
    """A plan of a person, an effect, and two children: one asks somebody, the other has an effect."""

    making = State(
        Plan(deputy, stamp, Part(asked, id="asked"), Part(stamped, id="stamped"), assemble=chair), initial=True
    )
    made = State(final=True)
    missed = State(final=True, outcome="partial")
    lost = State(final=True, outcome="failed")
    done = making.to(made, on=Completed[Chair])
    late = any_state.to(missed, on=Elapsed)
    gave_up = any_state.to(lost, on=Failed)


def commissioned() -> dict[Any, Any]:
    """What everybody does: those whom a child asks, and what it calls, in the script of the child."""
    return {
        deputy: After(60, Word("mine")),
        stamp: stamp,
        asked: scripted(Asking, {deputy: After(3600, Word("theirs")), saw: saw}),
        stamped: scripted(Stamping, {stamp: stamp}),
    }


def test_people_whom_a_child_asks_answer_as_its_script_says() -> None:
    """Each in their own time, which passes for the run that waits for them too."""
    played = play(Commissioned, Plank("oak"), commissioned())
    assert played.result == Chair(("deputy: mine", "asked: theirs and sawn oak", "stamp 64", "stamp 64"))
    assert played.seconds == 3600


def test_what_a_kill_parks_in_a_child_is_settled_before_time_passes() -> None:
    """A run with a deadline, whose effects are its own and those of a child, survives a kill at every turn of each."""
    assert survives(Commissioned, Plank("oak"), commissioned()).kills > 15


def test_a_script_of_a_child_stands_where_it_is_played() -> None:
    """Under a call it would be taken for what the call gives: it is refused, with where it belongs."""
    with pytest.raises(ScriptError, match="a child has its script under its state, or under its specialist"):
        play(Commissioned, Plank("oak"), {"making#1/asked": scripted(Asking, {deputy: Word("w"), saw: saw})})
