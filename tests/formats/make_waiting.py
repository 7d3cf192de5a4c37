"""Makes the fixture of what the second format learned later, waits and people: `python -m tests.formats.make_waiting
tests/formats/v3.waiting`, once.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from statecore.engine import Engine
from statecore.events import CallAsked, CallCompleted, CallFailed, CallStarted, TimerFired, TimerSet
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog
from tests.charts import Timed
from tests.formats.make import EVERYTHING, JOB, Steps, rebuilt
from tests.people import Article, Decision, Publishing
from tests.support import Ticket

WAITING = (
    (*EVERYTHING[0], TimerSet("start", 2_592_000.5)),
    (TimerSet("left", 60.25, (0,)), TimerSet("left/one", 30.0)),
    (TimerFired("left"),),
    (CallAsked("asking#1", "editor@1", effect="pure", reads=(0,), kind="person"),),
    (CallStarted("asking#1", "editor@1", effect="pure", reads=(0,), kind="person", due=120.5),),
    (CallFailed("asking#1", JOB, next="chief@1"), CallStarted("asking#1", "chief@1", 1, 1, "pure", kind="person")),
    (CallCompleted("asking#1", JOB, why="nobody answered within 60 s"),),
)
"""A run of no workflow, with every event and every field that came with waits and people."""


async def fill(path: Path) -> None:
    clock = Steps()
    async with Engine(await SqliteLog.open(path), clock=clock) as engine:
        await engine.run(Publishing, Article("asked"), run="asked")
        await engine.run(Publishing, Article("answered"), run="answered")
        await engine.answer("answered", "asking", Decision("drop", "dull"), by="ana", why="I read it")
        await engine.run(Timed, Ticket("late", "where is it"), run="timed")
    version = 0
    async with await SqliteLog.open(path) as log:
        for number, events in enumerate(WAITING):
            await log.append(Batch((Append("everything", version, events, 10.5 + number, "made", "waiting asks"),)))
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
