"""Makes the fixture of what the third format learned later, child runs, forks and replies: `python -m
tests.formats.make_child tests/formats/v3.child`, once.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from statecore.events import CallStarted, ForkedFrom, Payload, RunStarted, SignalRefused, SignalTaken
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog
from tests.formats.make import JOB, rebuilt

LATER = (
    (RunStarted("Line", "1", "f" * 64, JOB, "acme", "root", "ranged", "root/making#1", 2),),
    (CallStarted("left/one#1", "sell@1", reads=(0,)), CallStarted("making#1", "Line@1", reads=(0,), kind="workflow")),
    (ForkedFrom("other", 3, "me", "another way"),),
    (SignalTaken(Payload("Nudge", b'{"text":"again"}'), "me", "n1", Payload("Told", b'{"text":"well"}')),),
    (SignalRefused(Payload("Nudge", b"{}"), "nothing waits for it", "you", "n2"),),
)
"""A run of no workflow, with every event and every field that came with child runs, forks and replies."""


async def fill(path: Path) -> None:
    version = 0
    async with await SqliteLog.open(path) as log:
        for number, events in enumerate(LATER):
            await log.append(Batch((Append("later", version, events, 10.5 + number, "made", "parked"),)))
            version += len(events)


async def make(home: Path) -> dict[str, Any]:
    await fill(home / "log.db")
    async with await SqliteLog.open(home / "log.db") as log:
        runs = await rebuilt(log)
        assert await log.verify() == []
    return runs


if __name__ == "__main__":
    home = Path(sys.argv[1])
    home.mkdir()
    runs = asyncio.run(make(home))
    (home / "log.db.lock").unlink()
    (home / "runs.json").write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n")
