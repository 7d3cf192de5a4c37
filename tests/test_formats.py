"""A log of every format that was ever released is read for ever to the same runs."""

import json
import shutil
from pathlib import Path
from typing import get_args

import pytest

from statecore.events import Event
from statecore.schema import SCHEMA
from statecore.sqlite import SqliteLog
from tests.formats.make import rebuilt

FORMATS = sorted(path.parent for path in (Path(__file__).parent / "formats").glob("v*/log.db"))


@pytest.mark.parametrize("home", FORMATS, ids=lambda home: home.name)
async def test_a_log_of_a_released_format_rebuilds_to_the_same_runs(home: Path, tmp_path: Path) -> None:
    """Whatever release wrote it, a log rebuilds to the runs that are checked in beside it, and its chain holds."""
    async with await SqliteLog.open(Path(shutil.copy(home / "log.db", tmp_path))) as log:
        assert await log.verify() == []
        assert await rebuilt(log) == json.loads((home / "runs.json").read_text())
        assert await log.verify() == []


async def test_the_newest_format_has_a_log_with_every_event(tmp_path: Path) -> None:
    """A fixture of this release's schema is there, with a checkpoint, and no event of today is missing from it and those
    that came later: `v3.migrated`, say, has an event that the first logs of format 3 did not have.
    """
    homes = [home for home in FORMATS if home.name.partition(".")[0] == f"v{SCHEMA}"]
    stored = b"".join((home / "log.db").read_bytes() for home in homes)
    async with await SqliteLog.open(Path(shutil.copy(homes[0] / "log.db", tmp_path))) as log:
        assert len(await log.checkpoints("ticket")) == 1
    assert [event.__name__ for event in get_args(Event) if f'["{event.__name__}",1,'.encode() not in stored] == []
