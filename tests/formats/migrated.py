"""Makes the fixture of runs that were migrated: `python -m tests.formats.migrated tests/formats/v3.migrated`, once."""

import asyncio
import json
import sys
from pathlib import Path

from statecore.engine import Engine
from statecore.events import CallStarted, Migrated, Moved, Payload, RunStarted
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog
from tests.formats.make import Steps, rebuilt
from tests.releases import Go, New, Old, RequestV1

REQUEST = Payload("Request", b'{"title":"late"}')
PLACES = ("all", "all/left", "all/left/first")
OPEN = (
    RunStarted("Was", "1", "a" * 64, REQUEST, "acme"),
    Moved((), ("both", "both/left", "both/left/a"), (), ("both", "both/left", "both/left/a")),
    CallStarted("both/left/a#1", "write@1", effect="pure", reads=(0,)),
    Migrated(
        "me", "why", "a" * 64, "Now", "2", "b" * 64, PLACES, (("all/where", PLACES[1:]),),
        (("both", "all"), ("both/left/a", "all/left/first")),
    ),
    CallStarted("both/left/a#1", "write@2", effect="pure", cuts=1),
)  # fmt: skip
"""A run of no workflow that is moved with an open call in a state that is renamed."""


async def fill(path: Path) -> None:
    clock = Steps()
    async with Engine(await SqliteLog.open(path), [Old], clock=clock) as engine:
        for name in ("moved", "waiting"):
            await engine.run(Old, RequestV1("late"), run=name, tenant="acme")
    async with Engine(await SqliteLog.open(path), [New], clock=clock) as engine:
        await engine.migrate(["moved", "waiting"], New, by="me", why="a new release")
        await engine.resume("moved")
        await engine.signal("moved", Go("me"))
        await engine.wait("moved")
    async with await SqliteLog.open(path) as log:
        await log.append(Batch((Append("open", 0, OPEN, 10.5, "made", "running"),)))


async def make(home: Path) -> None:
    await fill(home / "log.db")
    async with await SqliteLog.open(home / "log.db") as log:
        runs = await rebuilt(log)
        assert await log.verify() == []
    (home / "log.db.lock").unlink()
    (home / "runs.json").write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir()
    asyncio.run(make(where))
