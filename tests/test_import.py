"""What `import statecore` costs: nothing that a declaration does not need."""

import subprocess
import sys

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
