"""A log of every format that was ever released is read for ever to the same runs."""

import json
import shutil
from pathlib import Path

import pytest

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
