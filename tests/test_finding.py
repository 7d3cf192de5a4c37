"""Workflow classes are found where a person named them, and nowhere else."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from statecore import finding
from statecore.errors import BadInput, UnknownWorkflow
from tests.playground import QUICK, Quick


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(finding, "entry_points", lambda group: [])
    return tmp_path


def test_a_ref_names_a_class_in_a_module_of_the_working_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `python -m` would find it, although the program is installed elsewhere."""
    source = f"from {Quick.__module__} import Quick as Mine"
    (here / "my_flows.py").write_text(source)
    assert finding.workflow("my_flows:Mine") is Quick
    del sys.modules["my_flows"]


def test_a_package_may_be_dotted(here: Path) -> None:
    """module:Workflow, where the module has a package."""
    assert finding.workflow(QUICK) is Quick
    with pytest.raises(UnknownWorkflow, match=r"no module tests\.nowhere"):
        finding.workflow("tests.nowhere:W")


@pytest.mark.parametrize("file", ["statecore.toml", "pyproject.toml"])
def test_the_working_directory_names_workflows(file: str) -> None:
    """In a file of ours, or in ours of the project's."""
    table = "" if file == "statecore.toml" else "[tool.statecore]\n"
    Path(file).write_text(f'{table}workflows = ["{QUICK}", "{QUICK}"]')
    assert finding.configured() == ([Quick], [])


def test_our_own_file_comes_before_the_projects() -> None:
    """Where both name workflows, statecore.toml counts."""
    Path("statecore.toml").write_text(f'workflows = ["{QUICK}"]')
    Path("pyproject.toml").write_text('[tool.statecore]\nworkflows = ["nowhere:W"]')
    assert finding.configured() == ([Quick], [])
    Path("statecore.toml").write_text("")
    assert finding.configured()[0] == [] and "nowhere" in finding.configured()[1][0]


def test_nothing_is_configured_in_an_empty_directory() -> None:
    """And nothing is wrong with that."""
    assert finding.configured() == ([], [])


@pytest.mark.parametrize("content", ["workflows = 3", "workflows = [3]", "workflows = [", "\xff"])
def test_a_configuration_that_cannot_be_right_is_refused(content: str) -> None:
    """With the file's name."""
    Path("statecore.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(BadInput, match=r"statecore\.toml"):
        finding.configured()


def test_a_key_that_configures_nothing_is_told_with_those_that_do(here: Path) -> None:
    """A misspelt key is not silently without effect, in either file and in the table of the log."""
    Path("statecore.toml").write_text(f'workflow = ["{QUICK}"]\n[log]\nkept = "30d"')
    Path("pyproject.toml").write_text('[tool.statecore]\nspeed = 3\n[project]\nname = "x"')
    assert finding.configured() == (
        [],
        [
            "statecore.toml: nothing is configured by `workflow`, expected workflows or log; did you mean workflows?",
            "statecore.toml: nothing is configured by `kept` of [log], expected keep; did you mean keep?",
            "pyproject.toml: nothing is configured by `speed`, expected workflows or log",
        ],
    )


def points(monkeypatch: pytest.MonkeyPatch, *refs: str) -> None:
    found = [EntryPoint(ref.partition(":")[2], ref, finding.GROUP) for ref in refs]
    monkeypatch.setattr(finding, "entry_points", lambda group: found)


def test_installed_packages_name_workflows(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an entry point; one that is broken is told, and stops no other."""
    points(monkeypatch, "tests.nowhere:W", QUICK)
    found, wrong = finding.configured()
    assert found == [Quick] and "no module tests.nowhere" in wrong[0]


def test_a_workflow_whose_extra_is_not_installed_is_no_fault(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package names it to everybody; who names it himself is told what is missing."""
    (here / "wants_more.py").write_text("import no_such_module_at_all")
    points(monkeypatch, "wants_more:W")
    assert finding.configured() == ([], [])
    Path("statecore.toml").write_text('workflows = ["wants_more:W"]')
    assert "needs no_such_module_at_all, which is not installed" in finding.configured()[1][0]


def test_a_module_that_cannot_even_be_told_about_is_told_about(here: Path) -> None:
    """Its exception has no text that could be made."""
    (here / "mute.py").write_text("class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute")
    with pytest.raises(UnknownWorkflow, match=r"Mute.*\(mute\.py:3\)"):
        finding.workflow("mute:W")
