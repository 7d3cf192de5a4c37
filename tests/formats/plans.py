"""Makes the fixture of what plans write: `python -m tests.formats.plans tests/formats/v3.plans`, once, as `make.py` does."""

import asyncio
import json
import sys
from pathlib import Path

from statecore.engine import Engine
from statecore.events import (
    Assembled,
    CallCompleted,
    CallFailed,
    CallPlanned,
    CallStarted,
    ConflictSettled,
    Moved,
    Payload,
    Planned,
    RunStarted,
)
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog
from tests.formats.make import Steps, rebuilt
from tests.plans import Diamond, Job, Many

JOB = Payload("Job", b'{"text":"oak"}')
LOOK = Payload("Look", b'{"text":"a"}')
SEEN = Payload("Seen", b'{"by":"look","text":"a"}')
BLIND = Payload("Blind", b'{"why":"dark"}')
SUM = Payload("Sum", b'{"seen":["a"],"missing":["c","d"],"weight":0}')
BEGUN = (
    RunStarted("Checking", "1", "f" * 64, JOB, "acme", "root"),
    Moved((), ("checking",), (), ("checking",)),
    Planned("checking#1", 4, 2, "partial", (0,)),
    CallPlanned("checking#1/a", "look", (), LOOK, 2.5, True, "total", "look at the first one"),
    CallPlanned("checking#1/b", "look", (), LOOK, 1.0, False, "total"),
    CallPlanned("checking#1/c", "look", (), LOOK),
    CallPlanned("checking#1/d", "weigh", ("a", "c")),
    CallStarted("checking#1/a", "look@1", effect="pure", reads=(0,)),
    CallStarted("checking#1/b", "look@1", effect="pure", reads=(0,)),
)
ENDED = (
    (CallCompleted("checking#1/a", SEEN), CallStarted("checking#1/c", "look@1", effect="pure", reads=(0,))),
    (CallFailed("checking#1/c", BLIND),),
    (
        CallCompleted("checking#1/b", SEEN),
        ConflictSettled("checking#1", "total", "prefer a", "a", ("a", "b")),
        Assembled("checking#1", SUM, (("c", "Blind: dark"), ("d", "waited for `c`, which failed")), (1,)),
    ),
)


async def fill(path: Path) -> None:
    job = Job("oak", files=("a", "b", "c"))
    async with Engine(await SqliteLog.open(path), clock=Steps()) as engine:
        for name, workflow in (("diamond", Diamond), ("many", Many)):
            await engine.run(workflow, job, run=name)
    async with await SqliteLog.open(path) as log:
        for name, turns in (("begun", (BEGUN,)), ("half", (BEGUN, *ENDED[:2])), ("assembled", (BEGUN, *ENDED))):
            version = 0
            for number, events in enumerate(turns):
                await log.append(Batch((Append(name, version, events, 10.5 + number, "made", "running"),)))
                version += len(events)


async def make(home: Path) -> None:
    await fill(home / "log.db")
    async with await SqliteLog.open(home / "log.db") as log:
        runs = await rebuilt(log)
        assert await log.verify() == []
    (home / "runs.json").write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    home = Path(sys.argv[1])
    home.mkdir()
    asyncio.run(make(home))
    (home / "log.db.lock").unlink()
