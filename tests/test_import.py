"""What `import statecore` costs: nothing that a declaration does not need."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import statecore

HEAVY = ("asyncio", "aiosqlite", "sqlite3", "statemachine", "click", "anthropic", "pytest")


def imported(code: str) -> set[str]:
    """The modules that a fresh interpreter has after `code`."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_a_declaration_brings_no_event_loop_no_log_and_no_optional_dependency() -> None:
    """`import statecore` leaves out what only an engine, a command, a nested chart or a test needs."""
    assert not imported("import statecore") & set(HEAVY)


def test_what_is_imported_later_is_there_all_the_same() -> None:
    """The engine comes when it is asked for, by either way of asking, and is listed before."""
    assert "asyncio" in imported("from statecore import Engine, rebuild")
    assert "asyncio" in imported("import statecore; statecore.Engine")
    assert {"Engine", "rebuild", "specialist"} <= set(dir(statecore))
    with pytest.raises(AttributeError, match="module 'statecore' has no attribute 'Enigne'"):
        statecore.Enigne  # type: ignore[attr-defined]  # noqa: B018


def test_all_that_is_exported_is_imported_by_a_star() -> None:
    """The names on the reference page, those that come later among them, and no module that happens to be loaded."""
    exec("from statecore import *", into := dict[str, object]())  # noqa: S102
    given = {name for name in into if not name.startswith("_")}
    public = {name for name in dir(statecore) if not name.startswith("_")}
    assert sorted(given) == sorted(statecore.__all__) == statecore.__all__
    assert given == {name for name in public if not inspect.ismodule(getattr(statecore, name))} >= {"Engine", "rebuild"}


def test_what_calls_itself_pure_is_held_to_it() -> None:
    """import-linter keeps the shell from every file whose docstring says that it is pure; none stands there twice."""
    root = Path(statecore.__file__).parent
    contracts = tomllib.loads((root.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    kept = next(each["source_modules"] for each in contracts if each["type"] == "forbidden")
    told = {file.stem: ast.get_docstring(ast.parse(file.read_text())) or "" for file in root.glob("*.py")}
    pure = {f"statecore.{name}" for name, doc in told.items() if re.search(r"\b[Pp]ure\.", doc.partition("\n\n")[0])}
    assert len(pure) > 5 and pure <= set(kept) and len(kept) == len(set(kept))
