"""One call of a run in full, as `show --call` prints it."""

from pathlib import Path

import pytest

from statecore import Completed, Engine, Failed, State, Transient, Workflow, any_state
from statecore.account import account
from statecore.call import key
from statecore.errors import UnknownCall
from statecore.log import MemoryLog
from statecore.replay import turns_of
from statecore.testing import play
from tests.crew import Crew, Job, Piece
from tests.desk import Desk
from tests.plans import Job as Order
from tests.plans import Many
from tests.playground import Asking, Errand

PUBLISHING = "tests.people:Publishing"


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


class Cutting(Workflow[Job], version="1"):
    """Cut with two attempts."""

    cutting = State(Crew()("cut", fails=[Transient]), initial=True, attempts=2)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    cut = cutting.to(done, on=Completed[Piece])
    gave_up = any_state.to(lost, on=Failed)


def test_every_attempt_is_told_with_its_times_and_what_came_of_it() -> None:
    """What was asked and of what it was made, each try with its failure or result, and the outcome of all."""
    played = play(Cutting, Job("x"), {"cutting": [Transient("busy"), Piece("cut")]})
    told = account(played.run, played.turns, "cutting#1")
    assert told == account(played.run, played.turns, "cutting")
    assert (told["status"], told["specialist"], told["state"], told["by"]) == ("completed", "cut@1", "cutting", "")
    assert told["request"]["contract"] == "Job@1" and told["from"][0]["by"] == "start"
    first, second = told["attempts"]
    assert (first["attempt"], first["outcome"]["contract"]) == (1, "Transient")
    assert first["ended"] <= first["again"] <= second["started"] <= second["ended"] == told["ended"]
    assert second["outcome"] == told["outcome"] == {"contract": "Piece", "value": {"text": "cut", "mark": ""}}


def test_who_settled_a_call_and_why_is_told(desk: Desk) -> None:
    """A person's answer and a repaired call alike; an open question has no outcome and no end yet."""
    run = desk.run(PUBLISHING, title="Owls")
    told = desk("show", run, "--call", "asking").json
    assert (told["status"], told["kind"], told["outcome"], told["ended"]) == ("in progress", "person", None, None)
    desk("answer", run, "asking", '{"verdict": "drop"}', "--by", "ana", "--why", "dull", "--workflow", PUBLISHING)
    told = desk("show", run, "--call", "asking#1").json
    assert (told["status"], told["by"], told["why"]) == ("completed", "ana", "dull")
    assert told["outcome"]["value"]["verdict"] == "drop"


def test_a_call_that_is_not_there_is_refused_with_those_that_are() -> None:
    """A misspelt one is answered with the near one, a state of several calls with each of them."""
    played = play(Cutting, Job("x"), {"cutting": Piece("cut")})
    with pytest.raises(UnknownCall, match=r"has no call cuting \(calls: cutting#1\)"):
        account(played.run, played.turns, "cuting")
    played = play(Many, Order("hello", files=("a", "b")), None)
    for name in ("checking", "checking#1"):
        with pytest.raises(UnknownCall, match="name one of checking#1/"):
            account(played.run, played.turns, name)


async def test_a_call_that_a_fork_copied_has_the_key_that_it_was_made_under() -> None:
    """The receiver knows it by the run that called it; what is called anew there has a key of the fork."""
    async with Engine(MemoryLog(), [Asking]) as engine:
        whole = (await engine.run(Asking, Errand(text="tea"), run="r")).seq
        for at, whose in ((whole, "r"), (3, "f3")):
            await engine.fork("r", at, by="me", why="again", new=f"f{at}")
            run = await engine.wait(f"f{at}")
            told = account(run, await turns_of(engine.log, run.id), "working#1")
            assert told["key"] == key(whose, "working#1")
