"""`doctor` looks at the installation and at the database, says what is not as it should be, and touches nothing."""

import importlib.util
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from statecore import doctor
from statecore.sqlitefile import REMEDY
from tests.desk import Desk
from tests.playground import ASKING, QUICK


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def finding(desk: Desk, what: str, *arguments: str) -> tuple[bool, str]:
    lines = {line["what"]: line for line in desk("doctor", "--json", *arguments).json}
    return lines[what]["good"], lines[what]["found"]


def test_a_good_installation_is_found_good(desk: Desk) -> None:
    """With and without a database, exit code 0, and no database is made by looking."""
    assert desk("doctor").code == 0
    assert finding(desk, "database") == (True, "statecore.db is not there yet; the first run makes it")
    assert not Path("statecore.db").exists()
    desk.run()
    desk.run(ASKING)
    said = desk("doctor")
    assert said.code == 0 and "1 completed, 1 waiting" in said.out
    assert all(line.startswith("ok   ") for line in said.out.splitlines())


def test_a_foreign_package_of_our_name_is_recognised(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyPI has other packages `guards` and `specialists`; importing theirs for ours would break everything."""
    real = importlib.util.find_spec

    def found(name: str, *more: Any) -> Any:
        return SimpleNamespace(origin="/elsewhere/guards/__init__.py") if name == "guards" else real(name, *more)

    monkeypatch.setattr(doctor.importlib.util, "find_spec", found)
    good, why = finding(desk, "package guards")
    assert not good and "uninstall the foreign package `guards`" in why
    assert finding(desk, "package specialists")[0]
    assert desk("doctor").code == 1


def test_what_is_missing_is_named_with_the_remedy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A room that is not installed, and the extra of the change review."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda name, *a: None if name in ("guards", "ruff") else real(name, *a)
    )
    assert finding(desk, "package guards") == (False, "not there: install statecore again")
    assert finding(desk, "change review") == (False, "needs ruff and unidiff: pip install 'statecore[change]'")


def test_a_disk_that_is_nearly_full_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a directory that is not there."""
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10 * 2**20))
    assert finding(desk, "disk") == (False, f"10 MiB free in {desk.here}")
    assert not finding(desk, "disk", "--db", "nowhere/x.db")[0]


def test_a_damaged_log_is_said_with_its_first_flaw(desk: Desk) -> None:
    """The chain is checked on the way."""
    desk.run()
    with sqlite3.connect("statecore.db") as database:
        database.execute("UPDATE turns SET at = at + 1 WHERE position = 1")
    database.close()
    good, found = finding(desk, "chain")
    assert not good and "was changed after it was written" in found and "`statecore verify`" in found


@pytest.fixture
def roots(desk: Desk) -> dict[str, int]:
    """The first page of each table and index of a log with a run that is over and one that waits."""
    desk.run(text="tea")
    desk.run(ASKING)
    with closing(sqlite3.connect("statecore.db")) as database:
        assert database.execute("PRAGMA page_size").fetchone() == (4096,)
        return dict(database.execute("SELECT name, rootpage FROM sqlite_schema"))


def overwrite(page: int, with_what: bytes) -> None:
    with open("statecore.db", "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(with_what)


@pytest.mark.parametrize("table", ["streams", "turns"])
def test_a_damaged_file_is_said_with_what_is_damaged_and_the_remedy(
    desk: Desk, roots: dict[str, int], table: str
) -> None:
    """Page and table as far as SQLite tells, and a backup or what can be saved; no command sends in a circle."""
    overwrite(roots[table], b"\x55" * 4096)
    verify = desk("verify")
    assert verify.code == 1
    assert f"database: SQLite: Page {roots[table]}: " in verify.out
    assert f"database: SQLite: the table {table} is damaged\n" in verify.out
    assert "see `statecore verify`" not in verify.both and f"note: {REMEDY}\n" in verify.err
    good, found = finding(desk, "chain")
    assert not good and "flaws, the first: SQLite: Page" in found
    good, found = finding(desk, "database")
    assert not good and found.endswith(f"its runs cannot be listed: {REMEDY}")
    for command in (["runs"], ["resume"], ["export"]):
        said = desk(*command)
        assert said.code == 2 and said.err.endswith(f"{REMEDY}\n")


@pytest.mark.parametrize("name", ["streams_label", "streams", "sqlite_autoindex_turns_1"])
def test_a_run_that_the_file_has_lost_sight_of_is_not_taken_for_none(
    desk: Desk, roots: dict[str, int], name: str
) -> None:
    """Where a page was overwritten by an empty one, SQLite reads it without a word: `resume` does not say that there is
    nothing to take up.
    """
    kind = b"\x0d" if name == "streams" else b"\x0a"
    overwrite(roots[name], kind + b"\0\0\0\0\x10\0\0" + bytes(4088))
    said = desk("resume", "--workflow", ASKING)
    assert said.code == 2 and said.err.endswith(f"{REMEDY}\n")


def test_a_file_that_is_no_log_is_said(desk: Desk) -> None:
    """In the words of every other command."""
    Path("statecore.db").write_text("x" * 5000)
    assert "is no SQLite database" in finding(desk, "database")[1]
    assert desk("doctor").code == 1


def test_configured_workflows_are_named_or_what_is_wrong_with_them(desk: Desk) -> None:
    """What `resume` will find."""
    Path("statecore.toml").write_text(f'workflows = ["{QUICK}"]')
    assert finding(desk, "workflows")[1].startswith("Quick 1 (")
    Path("statecore.toml").write_text(f'workflow = ["{QUICK}"]')
    assert finding(desk, "workflows") == (
        False,
        "statecore.toml: nothing is configured by `workflow`, expected workflows or log; did you mean workflows?",
    )
    assert (
        "note: statecore.toml: nothing is configured by `workflow`"
        in desk("resume", "--db", "x").err + desk("asks", "--db", "x").err
    )
    Path("statecore.toml").write_text('workflows = ["nowhere:W"]')
    assert "no module nowhere" in finding(desk, "workflows")[1]
