"""`doctor`: is this installation what it should be, and can this database be worked with? It only looks."""

import importlib.util
import shutil
import sqlite3
import sys
from pathlib import Path

from statecore.errors import BadInput, LogError, StatecoreError
from statecore.finding import configured
from statecore.inquiry import NoDatabase, reading
from statecore.mailbox import beside, served
from statecore.retention import not_system
from statecore.sqlite import SqliteLog
from statecore.sqlitefile import REMEDY
from statecore.wording import times

Finding = tuple[str, bool, str]

LOW_DISK = 256 * 1024 * 1024
"""Bytes free below which a log may soon be unable to grow."""


async def examine(database: Path) -> list[Finding]:
    """Each finding: what was looked at, whether it is good, and what was found."""
    return [
        _python(),
        _sqlite(),
        *map(_room, ("guards", "specialists")),
        _ruff(),
        _workflows(),
        _disk(database),
        *await _database(database),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return "python", sys.version_info >= (3, 11), f"{version} (3.11 or newer)"


def _sqlite() -> Finding:
    return (
        "sqlite",
        sqlite3.sqlite_version_info >= (3, 37),
        f"{sqlite3.sqlite_version} (3.37 or newer); one process writes a file at a time",
    )


def _room(name: str) -> Finding:
    """PyPI has small foreign packages of these names."""
    found = importlib.util.find_spec(name)
    ours = importlib.util.find_spec("statecore")
    place = Path(found.origin).parent.parent if found and found.origin else None
    home = Path(ours.origin).parent.parent if ours and ours.origin else None
    if place is None:
        return f"package {name}", False, "not there: install statecore again"
    good = place == home
    return (
        f"package {name}",
        good,
        f"{place / name}"
        + ("" if good else f" is not the one of statecore in {home}: uninstall the foreign package `{name}`"),
    )


def _ruff() -> Finding:
    there = importlib.util.find_spec("ruff") is not None and importlib.util.find_spec("unidiff") is not None
    return (
        "change review",
        there,
        "ruff and unidiff are there" if there else "needs ruff and unidiff: pip install 'statecore[change]'",
    )


def _disk(database: Path) -> Finding:
    place = database.absolute().parent
    if not place.is_dir():
        return "disk", False, f"{place} is no directory: make it, or name another with --db"
    free = shutil.disk_usage(place).free
    return "disk", free >= LOW_DISK, f"{free // 2**20} MiB free in {place}"


def _workflows() -> Finding:
    try:
        found, wrong = configured()
    except BadInput as error:
        return "workflows", False, str(error)
    names = ", ".join(f"{cls.machine.name} {cls.machine.chart.version}" for cls in found) or "none"
    return (
        "workflows",
        not wrong,
        "; ".join(wrong) or f"{names} (--workflow, or `workflows` in statecore.toml, adds to them)",
    )


async def _database(database: Path) -> list[Finding]:
    try:
        async with reading(database) as log:
            flaws = await log.verify()
            labels = await _labels(log)
    except NoDatabase:
        return [("database", True, f"{database} is not there yet; the first run makes it")]
    except StatecoreError as error:
        return [("database", False, str(error))]
    if labels is None:
        counted, labels = f"its runs cannot be listed: {REMEDY}", []
    else:
        counted = ", ".join(f"{labels.count(label)} {label}" for label in dict.fromkeys(labels)) or "no runs"
    chain = (
        f"{times(len(flaws), 'flaw')}, the first: {flaws[0].what}: see `statecore verify`"
        if flaws
        else "every row is as it was written"
    )
    holder = await served(beside(database))
    parked = labels.count("parked")
    return [
        ("database", REMEDY not in counted, f"{database}: {_size(database)}; {counted}"),
        ("chain", not flaws, chain),
        (
            "holder",
            True,
            f"process {holder} holds it and takes requests" if holder else "no statecore process works on it now",
        ),
        (
            "parked",
            not parked,
            f"{times(parked, 'run')} to be settled by somebody: see `statecore runs --open`" if parked else "no run",
        ),
    ]


async def _labels(log: SqliteLog) -> list[str] | None:
    """The conditions of the runs; None where the file is too damaged to list them."""
    try:
        return [info.condition for info in not_system(await log.streams())]
    except LogError:
        return None


def _size(database: Path) -> str:
    wal = database.with_name(f"{database.name}-wal")
    unfolded = wal.stat().st_size if wal.exists() else 0
    return f"{database.stat().st_size // 1024} KiB" + (
        f" and {unfolded // 1024} KiB not folded in yet" if unfolded else ""
    )
