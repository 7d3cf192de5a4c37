"""The five patterns as they stand in the documentation: each runs, its branch that fails too, and its picture is its own."""

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from statecore.graph import draw
from statecore.testing import play, survives, table_text, trace_text
from statecore.workflow import Workflow
from tests.desk import Desk

HOME = Path(__file__).parent.parent / "docs" / "examples"
EXAMPLES = {
    "chaining": {"translated": {"subject": "tides", "points": 3}, "too_thin": {"subject": "tides", "points": 1}},
    "routing": {
        "answered": {"text": "My invoice is wrong."},
        "answered a fault": {"text": "The app crashes."},
        "answered anything": {"text": "Hello!"},
    },
    "sectioning": {
        "checked": {"text": "The tide comes twice a day."},
        "checked with a remark": {"text": "the tide comes twice a day"},
        "partly": {"text": "The tide, in \u4e09 words."},
    },
    "workers": {"in_print": {"subject": "tides", "chapters": 4}, "too_much": {"subject": "tides", "chapters": 400}},
    "improving": {"pleased": {"theme": "rain", "lines": 2}, "given_up": {"theme": "rain", "lines": 9}},
}
BRANCHES = [(name, ends, value) for name, inputs in EXAMPLES.items() for ends, value in inputs.items()]


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def example(name: str) -> tuple[Any, type[Workflow[Any]]]:
    sys.path.insert(0, str(HOME))
    try:
        module = importlib.import_module(name)
    finally:
        sys.path.remove(str(HOME))
    return module, getattr(module, name.capitalize())


def test_every_example_is_among_them() -> None:
    """One that is added is run."""
    assert {path.stem for path in HOME.glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_table_of_an_example_is_reviewed(name: str, snapshot: SnapshotAssertion) -> None:
    """A change of its transitions shows as a difference of this text."""
    assert table_text(example(name)[1]) == snapshot


@pytest.mark.parametrize(("name", "ends", "value"), BRANCHES)
def test_each_branch_ends_where_it_should(name: str, ends: str, value: Any, snapshot: SnapshotAssertion) -> None:
    """With the inputs that its page gives; the whole trace is reviewed, and a kill at any turn changes nothing."""
    _, workflow = example(name)
    given = workflow.machine.contracts[workflow.machine.chart.takes.__name__].fit(value)
    played = play(workflow, given)
    assert played.run.config.states[-1] == ends.partition(" ")[0]
    assert trace_text(played.turns) == snapshot
    survives(workflow, given)


@pytest.mark.parametrize(("name", "ends", "value"), BRANCHES)
def test_the_command_at_its_top_runs_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, ends: str, value: Any
) -> None:
    """As it is written, from the directory of the examples."""
    module, workflow = example(name)
    commands = re.findall(r"statecore run (\S+) --input '(.*?)'", module.__doc__ or "")
    ref, text = next((ref, text) for ref, text in commands if json.loads(text) == value)
    monkeypatch.chdir(HOME)
    said = desk("run", ref, "--input", text, "--db", str(desk.here / "examples.db"))
    assert f"{workflow.machine.name} 1  " in said.out and f" in {ends.partition(' ')[0]}\n" in said.out


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_picture_on_the_page_is_the_workflow(name: str) -> None:
    """Drawn from the declaration, and drawn again here."""
    page = (HOME / "index.md").read_text()
    assert f"({name}.svg)" in page and f"[{name}.py]({name}.py)" in page
    assert (HOME / f"{name}.svg").read_text() == draw(example(name)[1].machine.chart, "svg").rstrip("\n") + "\n"
