"""`doctor`: is this installation what it should be, and can this database be worked with? It only looks."""

import importlib.util
import shutil
import sqlite3
import sys
from pathlib import Path

from statecore.errors import StatecoreError
from statecore.mailbox import beside
from statecore.sqlite import SqliteLog

Finding = tuple[str, bool, str]

LOW_DISK = 256 * 1024 * 1024
"""Bytes free below which a log may soon be unable to grow."""


async def examine(database: Path) -> list[Finding]:
    """Each finding: what was looked at, whether it is good, and what was found."""
    return [_python(), _sqlite(), *map(_room, ("guards", "specialists")), _ruff(), _disk(database), *await _database(database)]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return "python", sys.version_info >= (3, 11), f"{version} (3.11 or newer)"


def _sqlite() -> Finding:
    return "sqlite", sqlite3.sqlite_version_info >= (3, 37), f"{sqlite3.sqlite_version} (3.37 or newer); one process writes a file at a time"


def _room(name: str) -> Finding:
    """PyPI has small foreign packages of these names."""
    found = importlib.util.find_spec(name)
    ours = importlib.util.find_spec("statecore")
    place = Path(found.origin).parent.parent if found and found.origin else None
    home = Path(ours.origin).parent.parent if ours and ours.origin else None
    if place is None:
        return f"package {name}", False, "not there: install statecore again"
    good = place == home
    return f"package {name}", good, f"{place / name}" + ("" if good else f" is not the one of statecore in {home}: uninstall the foreign package `{name}`")


def _ruff() -> Finding:
    there = importlib.util.find_spec("ruff") is not None and importlib.util.find_spec("unidiff") is not None
    return "change review", there, "ruff and unidiff are there" if there else "needs ruff and unidiff: pip install 'statecore[change]'"


def _disk(database: Path) -> Finding:
    place = database.absolute().parent
    if not place.is_dir():
        return "disk", False, f"{place} is no directory: make it, or name another with --db"
    free = shutil.disk_usage(place).free
    return "disk", free >= LOW_DISK, f"{free // 2**20} MiB free in {place}"


async def _database(database: Path) -> list[Finding]:
    if not database.exists():
        return [("database", True, f"{database} is not there yet; the first run makes it")]
    try:
        async with await SqliteLog.open(database, readonly=True) as log:
            flaws = await log.verify()
            labels = [info.label for info in await log.streams()]
    except StatecoreError as error:
        return [("database", False, str(error))]
    counted = ", ".join(f"{labels.count(label)} {label}" for label in dict.fromkeys(labels)) or "no runs"
    first = f": {flaws[0].what}" if flaws else ""
    held = "a process holds it and answers at its socket" if beside(database).exists() else "nobody serves it now"
    wal = database.with_name(database.name + "-wal")
    size = f"{database.stat().st_size // 1024} KiB" + (f", and {wal.stat().st_size // 1024} KiB not yet folded in" if wal.exists() else "")
    return [
        ("database", True, f"{database}: {size}; {counted}"),
        ("chain", not flaws, f"{len(flaws)} flaws{first}: see `statecore verify`" if flaws else "every row is as it was written"),
        ("holder", True, held),
        ("parked", "parked" not in labels, f"{labels.count('parked')} runs wait for somebody to settle a call: `statecore runs`" if "parked" in labels else "no run is parked"),
    ]
