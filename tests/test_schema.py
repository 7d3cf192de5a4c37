"""A file of an older release becomes one of this release, wholly or not at all, and is kept as it was beside it."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from statecore import schema
from statecore.errors import BadInput, LogError, LogHeld, OlderLog
from statecore.failpoint import VARIABLE, Point
from statecore.inquiry import reading
from statecore.schema import SCHEMA, STEPS
from statecore.sqlite import SqliteLog
from tests.formats.make import rebuilt
from tests.test_sqlite import child, edit

FIRST = Path(__file__).parent / "formats" / "v1"
RUNS = json.loads((FIRST / "runs.json").read_text())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A log of the first release."""
    return Path(shutil.copy(FIRST / "log.db", tmp_path))


def ask(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()


def version(path: Path) -> int:
    return int(ask(path, "PRAGMA user_version")[0][0])


async def test_an_old_log_is_taken_to_this_release_after_a_backup(old: Path) -> None:
    """Opening it for writing migrates it and loses nothing; the copy beside it is the old log, with its permissions."""
    os.chmod(old, 0o600)
    async with await SqliteLog.open(old) as log:
        assert await rebuilt(log) == RUNS
        assert await log.verify() == []
    assert sorted(os.listdir(old.parent)) == ["log.db", "log.db.lock", "log.db.schema-1"]
    backup = old.with_name("log.db.schema-1")
    assert (version(old), version(backup), backup.stat().st_mode & 0o777) == (SCHEMA, 1, 0o600)
    async with await SqliteLog.open(backup) as log:
        assert await rebuilt(log) == RUNS


async def test_a_backup_has_what_was_not_yet_written_back(old: Path, tmp_path: Path) -> None:
    """What only the write-ahead log had, of a process that was killed, is in the backup."""
    edit(old, "PRAGMA journal_mode=WAL")
    with closing(sqlite3.connect(old, isolation_level=None)) as writer:
        writer.execute("INSERT INTO scopes VALUES ('late', 7)")
        home = tmp_path / "crashed"
        home.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(f"{old}{suffix}", home)
    async with await SqliteLog.open(home / "log.db") as log:
        assert await log.scope("late") == 7
    assert ask(home / "log.db.schema-1", "SELECT * FROM scopes") == [("late", 7)]


async def test_a_new_log_and_a_migrated_one_have_one_schema(old: Path, tmp_path: Path) -> None:
    """Both took the same steps; a new one needs no backup."""
    await (await SqliteLog.open(old)).close()
    await (await SqliteLog.open(tmp_path / "new.db")).close()
    tables = "SELECT name, sql FROM sqlite_schema ORDER BY name"
    made = [[(name, (sql or "").split()) for name, sql in ask(tmp_path / log, tables)] for log in ("log.db", "new.db")]
    assert made[0] == made[1]
    assert version(tmp_path / "new.db") == SCHEMA
    assert not any(name.startswith("new.db.schema-") for name in os.listdir(tmp_path))


MIGRATING = """
import asyncio, sys
from statecore.failpoint import arm_from_environment
from statecore.sqlite import SqliteLog
async def main():
    async with await SqliteLog.open(sys.argv[1]):
        pass
arm_from_environment()
asyncio.run(main())
"""


def killed_at_each_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Opens `path` in a process that is killed at its n-th place, for each n, until one comes through."""
    code, places = -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        places += 1
        monkeypatch.setenv(VARIABLE, f"{Point.DURING_MIGRATION}:{places}")
        with child(MIGRATING, path) as process:
            code = process.wait(timeout=20)
            assert code in (0, -signal.SIGKILL), process.stderr and process.stderr.read()
        yield places


@pytest.mark.parametrize("begun", range(1, SCHEMA))
def test_a_migration_that_is_killed_leaves_the_old_log_or_the_new(
    begun: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever statement SIGKILL comes before, the file has the old schema or a newer one, and opening it goes on."""
    seen = set()
    fixture = FIRST.with_name(f"v{begun}") / "log.db"
    old = Path(shutil.copy(fixture, tmp_path))
    untouched = ask(old, "SELECT * FROM turns")
    places = 0
    for places in killed_at_each_place(old, monkeypatch):  # noqa: B007
        assert ask(old, "SELECT * FROM turns") == untouched
        assert ask(old, "PRAGMA integrity_check") == [("ok",)]
        seen.add(version(old))
        if version(old) != begun:
            assert ask(tmp_path / f"log.db.schema-{begun}", "SELECT * FROM turns") == untouched
            for file in tmp_path.glob("log.db*"):
                file.unlink()
            shutil.copy(fixture, old)
    assert seen == set(range(begun, SCHEMA + 1))
    assert places == 2 + sum(len(step) + 2 for step in STEPS[begun:]) + 1


def test_a_new_log_that_is_killed_while_it_is_made_is_made_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever statement SIGKILL comes before, the next opening has an empty log."""

    async def opened() -> None:
        async with await SqliteLog.open(tmp_path / "statecore.db") as log:
            assert await log.verify() == await log.streams() == []

    for _ in killed_at_each_place(tmp_path / "statecore.db", monkeypatch):
        asyncio.run(opened())
        assert version(tmp_path / "statecore.db") == SCHEMA
        for file in tmp_path.iterdir():
            file.unlink()


async def test_a_step_that_fails_is_undone(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that SQLite refuses leaves the log as it was, free, and opened by the next try."""
    with monkeypatch.context() as broken:
        broken.setattr(schema, "STEPS", (STEPS[0], ("CREATE TABLE asides(x)", "DROP TABLE turns", "DROP TABLE none")))
        with pytest.raises(LogError, match="cannot be opened: no such table: none"):
            await SqliteLog.open(old)
    assert version(old) == 1 and len(ask(old, "SELECT * FROM sqlite_schema WHERE name = 'asides'")) == 0
    async with await SqliteLog.open(old) as log:
        assert await rebuilt(log) == RUNS


async def test_a_reader_leaves_an_old_log_alone(old: Path) -> None:
    """Reading only raises OlderLog with the remedy and writes nothing; a command that reads applies the remedy."""
    with pytest.raises(OlderLog, match=f"schema 1, this release {SCHEMA}: open it once for writing"):
        await SqliteLog.open(old, readonly=True)
    assert old.read_bytes() == (FIRST / "log.db").read_bytes()  # noqa: ASYNC240
    async with reading(old) as log:
        assert await rebuilt(log) == RUNS
        with pytest.raises(LogError, match="reading only"):
            await log.append(None)  # type: ignore[arg-type]
    assert version(old) == SCHEMA


async def test_an_old_log_that_is_held_or_may_not_be_written_says_so(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that reads an old log which somebody holds, or in a place without write permission, says what to do."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(BadInput, match="cannot be written by this user"):
        async with reading(old):
            pass
    monkeypatch.undo()
    async with await SqliteLog.open(old):
        edit(old, "PRAGMA user_version = 1")
        with pytest.raises(LogHeld):
            async with reading(old):
                pass
