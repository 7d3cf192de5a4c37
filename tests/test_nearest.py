"""What somebody may have meant, where a name is misspelt."""

import json
from pathlib import Path

import pytest

from statecore.nearest import meant
from tests.desk import Desk
from tests.playground import ASKING, QUICK


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def test_a_near_name_is_named_and_a_far_one_is_not() -> None:
    """A letter too few, two that changed places, another case; and nothing where nothing is alike."""
    known = ["Quick", "Paying", "Asking"]
    assert meant("Quik", known) == meant("uqick", known) == meant("QUICK", known) == "; did you mean Quick?"
    assert meant("Support", known) == meant("", known) == meant("x", []) == ""


def test_whoever_misspells_a_name_is_told_which_is_near(desk: Desk) -> None:
    """A run, a specialist, a contract, a workflow and a signal: each is refused as before, with what may be meant."""
    run = desk.run(ASKING)
    for command, near in {
        ("show", f"{run[:5]}{run[6:]}"): run,
        ("specialists", "wrok", "--workflow", QUICK): "work",
        ("schema", "Errnd@1", "--workflow", QUICK): "Errand@1",
        ("check", "tests.playground:Quik"): "Quick",
    }.items():
        said = desk(*command)
        assert said.code == 2 and f"; did you mean {near}?" in said.err, said.err
    said = desk("signal", run, "Goo", "--by", "me", "--workflow", ASKING)
    assert said.code == 1 and "note: no signal is called Goo; did you mean Go?" in said.err
    assert "did you mean" not in desk("signal", run, "Go", "--by", "me", "--workflow", ASKING).both
    assert json.loads(desk("show", run, "--json").out)["condition"] == "completed"
