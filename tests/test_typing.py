"""What a type checker sees in a user's file, before anything runs: mypy --strict and pyright agree, line by line."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent / "typing"
RIGHT, WRONG = HERE / "right.py", HERE / "wrong.py"

Found = dict[str, set[int]]
"""Lines with an error, by file."""


def ran(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(*files: Path) -> Found:
    """In this project's own cache, so that only what changed is read again."""
    said = ran("mypy", "--strict", "--no-error-summary", *map(str, files))
    found: Found = {}
    for name, line in re.findall(r"^(\S+?\.py):(\d+): error:", said, re.MULTILINE):
        found.setdefault(Path(name).name, set()).add(int(line))
    return found


def pyright(*files: Path) -> Found:
    said = json.loads(ran("pyright", "--outputjson", *map(str, files)))
    assert said["summary"]["filesAnalyzed"] >= len(files)
    found: Found = {}
    for fault in said["generalDiagnostics"]:
        if fault["severity"] == "error":
            found.setdefault(Path(fault["file"]).name, set()).add(fault["range"]["start"]["line"] + 1)
    return found


def expected(checker: str) -> set[int]:
    """The lines of wrong.py that say what must be reported there."""
    lines = enumerate(WRONG.read_text().splitlines(), 1)
    return {number for number, line in lines if re.search(rf"# E(?: {checker})?: \w", line)}


@pytest.mark.parametrize("check", [mypy, pyright], ids=lambda check: check.__name__)
def test_each_mistake_is_seen_and_right_code_is_left_alone(check: Callable[..., Found]) -> None:
    """An error on each line that is marked, on no other, and none at all where the code is right."""
    assert check(RIGHT, WRONG) == {"wrong.py": expected(check.__name__)}


def test_the_marks_are_read() -> None:
    """A runner that expects nothing proves nothing."""
    assert len(expected("mypy")) >= 24
    assert len(expected("pyright") - expected("mypy")) == 2


def test_the_right_file_is_right_when_it_runs() -> None:
    """What the type checkers accept, the class statement accepts too."""
    from tests.typing import right

    assert right.Support.machine.fingerprint != right.Nested.machine.fingerprint
