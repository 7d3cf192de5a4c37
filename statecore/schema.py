"""The schema of a log file, as the steps that led to it.

A new file takes all of them, and an older one those that it lacks, so that both come out the same. Each step is one
transaction and ends with its number: whenever the process ends, the file is as before a step or as after it, and the
next opening goes on from there. A file that holds anything is copied first, to `<file>.schema-<n>` beside it. That
copy is the user's: nothing here reads or deletes it.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import aiosqlite

from statecore.failpoint import Point, failpoint

STEPS = (
    (
        "CREATE TABLE streams(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, label TEXT NOT NULL) STRICT",
        "CREATE INDEX streams_label ON streams(label)",
        """CREATE TABLE turns(
            position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, version INTEGER NOT NULL, at REAL NOT NULL,
            cause TEXT NOT NULL, events TEXT NOT NULL, payloads TEXT, salt BLOB, digest BLOB, head BLOB NOT NULL,
            UNIQUE (stream, version)
        ) STRICT""",
        "CREATE TABLE scopes(name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "PRAGMA application_id = 1470622734",
        "PRAGMA user_version = 1",
    ),
    (
        """CREATE TABLE asides(
            turn INTEGER NOT NULL, digest BLOB NOT NULL, data TEXT NOT NULL, PRIMARY KEY (turn, digest)
        ) STRICT""",
        "PRAGMA user_version = 2",
    ),
    (
        """CREATE TABLE checkpoints(
            stream INTEGER NOT NULL, version INTEGER NOT NULL, head BLOB NOT NULL, fold TEXT NOT NULL,
            first INTEGER NOT NULL, "end" INTEGER NOT NULL, "values" BLOB NOT NULL, state BLOB NOT NULL,
            PRIMARY KEY (stream, version)
        ) STRICT""",
        "PRAGMA user_version = 3",
    ),
)
"""Released steps do not change any more: what they made is out there."""

SCHEMA = len(STEPS)


async def migrate(writer: aiosqlite.Connection, path: Path, schema: int) -> None:
    """Take the file from `schema` (0: it is empty) to this release's. Raises sqlite3.Error and OSError, and may then be
    called again."""
    if 0 < schema < SCHEMA:
        await _copy(writer, path, path.with_name(f"{path.name}.schema-{schema}"))
    for step in STEPS[schema:]:
        for statement in ("BEGIN IMMEDIATE", *step, "COMMIT"):
            failpoint(Point.DURING_MIGRATION)
            await writer.execute_fetchall(statement)
    failpoint(Point.DURING_MIGRATION)


async def _copy(writer: aiosqlite.Connection, path: Path, backup: Path) -> None:
    """Through SQLite, since a copied file would lack its write-ahead log; under its name only once it is whole."""
    partial = backup.with_name(f"{backup.name}.partial")
    os.close(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, os.stat(path).st_mode & 0o777))
    with closing(sqlite3.connect(partial, check_same_thread=False)) as target:
        await writer.backup(target)
    failpoint(Point.DURING_MIGRATION)
    partial.replace(backup)
    directory = os.open(backup.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
