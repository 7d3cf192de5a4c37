"""`statecore init`: what it writes runs, passes its own tests, and is never written over anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.desk import Desk, environment


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def test_a_newcomer_runs_and_tests_what_was_written(desk: Desk, tmp_path: Path) -> None:
    """Untouched: it is checked, a run completes with a second draft, and its tests pass in a process of their own."""
    said = desk("init", "first")
    assert said.code == 0 and "statecore run questions:Answering" in said.out
    home = tmp_path / "first"
    here = {"cwd": home, "env": environment(), "capture_output": True, "text": True}

    def statecore(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "statecore", *arguments], check=False, **here)  # type: ignore[call-overload, no-any-return]

    checked = statecore("check", "questions:Answering")
    assert checked.returncode == 0 and "warning" not in checked.stdout
    ran = statecore("run", "questions:Answering", "--input", '{"text": "Why?"}')
    assert ran.returncode == 0 and "completed in answered" in ran.stdout and "again -> writing" in ran.stderr
    assert statecore("verify").stdout.startswith("1 run, 1 decided again: nothing wrong")
    tested = subprocess.run(  # type: ignore[call-overload]
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], check=False, **here
    )
    assert tested.returncode == 0 and "5 passed" in tested.stdout, tested.stdout


@pytest.mark.parametrize("there", ["questions.py", "test_questions.py", "statecore.toml"])
def test_nothing_is_written_over(desk: Desk, tmp_path: Path, there: str) -> None:
    """One of the files is there: it stays, no other is written, and the message names it."""
    (tmp_path / there).write_text("mine")
    said = desk("init")
    assert said.code == 2 and f"has {there} already" in said.err
    assert [path.name for path in tmp_path.iterdir()] == [there] and (tmp_path / there).read_text() == "mine"


def test_a_directory_that_cannot_be_written_is_told(desk: Desk, tmp_path: Path) -> None:
    """A file where the directory should be: one line, exit code 2."""
    (tmp_path / "taken").write_text("")
    assert desk("init", "taken").code == 2 and desk("init", "taken/inner").code == 2
