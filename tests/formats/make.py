"""Makes the fixture of a format: `python -m tests.formats.make tests/formats/v3`, once, when a release has a new one.

A directory holds `log.db`, as that release wrote it, and `runs.json`, what it rebuilt from it. Neither is ever
made again: whatever comes later must read the one to the other.
"""

import asyncio
import json
import sys
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import msgspec

from statecore.checkpoint import Mark, taken
from statecore.engine import Engine
from statecore.events import (
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    Finished,
    Moved,
    Payload,
    RunStarted,
    SignalRefused,
    SignalTaken,
)
from statecore.log import Append, Batch, Log
from statecore.replay import rebuild, turns_of
from statecore.retention import erase, not_system, purge
from statecore.run import Run
from statecore.schedule import Progress
from statecore.sqlite import SqliteLog
from statecore.switches import switch
from tests.crew import Bill, Crew, Jammed, Job, Nudge, Piece, Spoilt, hang, line, twin
from tests.support import SupportTicket, Ticket

CUT = {"cut": "cutting#1", "parked": "selling#1"}
"""Runs whose process ends while this call is in flight."""

JOB = Payload("Job", b'{"text":"oak"}')
PIECE = Payload("Piece", b'{"text":"Gr\xc3\xbc\xc3\x9fe","mark":"bad"}')
JAMMED = Payload("Jammed", b'{"why":"dust"}')
REJECTED = Payload("Rejected", b'{"by":"Piece","faults":["expected str, found int @ $.text"]}')
EVERYTHING = (
    (RunStarted("Line", "1", "f" * 64, JOB, "acme", "root"),),
    (CallAsked("cutting#1", "cut@1", effect="pure", reads=(0,)),),
    (CallDeferred("cutting#1", "limit", "3 are in flight", 12.5),),
    (CallStarted("cutting#1", "cut@1", effect="pure", reads=(0,)),),
    (CallFailed("cutting#1", REJECTED, 1, 14.25, output=PIECE, detail="Traceback ..."),),
    (CallStarted("cutting#1", "cut@1", 2, effect="pure", reads=(0,)),),
    (CallFailed("cutting#1", JAMMED, 2, next="saw@1"), CallAsked("cutting#1", "saw@1", 1, 1, "pure", (0,))),
    (CallRefused("cutting#1", "budget", "nothing is left", JAMMED),),
    (SignalTaken(Payload("Nudge", b'{"text":"again"}'), "me"),),
    (
        Moved(
            ("redo",), ("left", "left/one", "right"), ("cutting",), ("left", "left/one", "right"),
            (("sound", False), ("at most 2", True)), (("left/history", ("left/one",)),), "cutting", PIECE,
        ),
        CallStarted("left/one#1", "sell@1", reads=(0, 2), request=Payload("Job", b'{"text":"a\\u0000b"}'), cuts=1),
    ),
    (CallUnknown("left/one#1", "the process ended while the call was in flight"),),
    (SignalRefused(Payload("Nudge", b"{}"), "nothing waits for it", "you"),),
    (
        CallCompleted(
            "left/one#1", Payload("Bill", b'{"total":1.50}'), 1, "me", "it is in the books", ("rounded",), "ranged"
        ),
    ),
    (CallLate("cutting#1", "Completed", PIECE, 1),),
    (Cancelled("me", "enough"), Finished("cancelled")),
)  # fmt: skip
"""A run of no workflow, with every event and every field of the first format."""


def plain(run: Run) -> dict[str, Any]:
    """A run as JSON: what must never be read otherwise. Fields are named here, so that a run may have new ones."""

    def value(payload: Payload) -> Any:
        short = len(payload.data) < 1000
        return [payload.contract, payload.data.decode() if short else sha256(payload.data).hexdigest()]

    return {
        **{name: getattr(run, name) for name in ("id", "workflow", "version", "fingerprint", "tenant", "root")},
        **{name: getattr(run, name) for name in ("seq", "started", "at", "outcome", "why", "condition")},
        "states": run.config.states,
        "history": run.config.history,
        "values": [
            [v.by, *value(v.payload), v.specialist, v.attempt, v.fallback, *([v.part] if v.part else [])]
            for v in run.values
        ],
        "newest": {f"{by} {contract}": found.id for (by, contract), found in run.newest.items()},
        "taken": run.taken,
        "entries": run.entries,
        "calls": {
            call.id: [
                *(call.specialist, call.attempt, call.rank, call.effect, value(call.request), call.reads),
                *(call.status, call.since, call.wake, call.cuts, call.faults, call.why, call.untouched),
            ]
            for call in run.calls.values()
        },
        **({"plans": {id: progress(found) for id, found in run.plans.items()}} if run.plans else {}),
        **({"timers": {timer.state: [timer.since, timer.due] for timer in run.timers.values()}} if run.timers else {}),
    }


def progress(found: Progress) -> list[Any]:
    """How far an open plan is."""
    parts = [[*attrs.astuple(part, recurse=False)[:3], part.expects, part.needed] for part in found.parts.values()]
    return [found.width, found.on_failure, found.reads, parts, found.waits, found.done, found.failed, found.skipped]


async def rebuilt(log: Log) -> dict[str, Any]:
    """Every run of a log, as JSON gives it back."""
    runs = {info.name: plain(await rebuild(log, info.name)) for info in not_system(await log.streams())}
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(runs))
    return found


class Steps:
    """A clock that goes on by a quarter of a second each time that it is asked."""

    def __init__(self) -> None:
        self._ticks = count(1_800_000_000 * 4)

    def now(self) -> float:
        return next(self._ticks) / 4


def works() -> dict[str, tuple[Any, Any]]:
    """Runs by name, with what is started: finished in each way, cut, parked, waiting for a signal, large, erased."""
    bill = [Bill(1.5)]
    lines = {
        "sold": line(Crew(), cut=[Piece("a", "bad"), Piece("b")], sell=bill),
        "fallback": line(Crew(), cut=[Spoilt("rotten")], sell=bill),
        "failed": line(Crew(), glue=[Jammed("dry")], nail=[Spoilt("bent")], gluing={"attempts": 1}),
        "crashed": line(Crew(), sell=[KeyError("who knows")]),
        "cut": line(Crew(), cut=[hang]),
        "parked": line(Crew(), sell=[hang]),
        "twin": twin(Crew()),
        "waiting": twin(Crew()),
        "large": line(Crew(), cut=[Piece("a" * 70_000)], sell=bill),
        "erased": line(Crew(), cut=[Piece("b" * 70_000)], sell=bill),
    }
    jobs = {name: (workflow, Job(name)) for name, workflow in lines.items()}
    return {"ticket": (SupportTicket, Ticket("late", "my invoice \U0001f642")), **jobs}


async def fill(path: Path) -> None:
    """One engine for each run: workflows of one shape are one to an engine."""
    clock = Steps()
    for name, (workflow, value) in works().items():
        async with Engine(await SqliteLog.open(path), clock=clock) as engine:
            await engine.start(workflow, value, run=name, tenant="acme" if name == "ticket" else "")
            while name in CUT and CUT[name] not in (await engine.state(name)).calls:
                await asyncio.sleep(0.01)
            if name == "twin":
                await engine.signal(name, Nudge("now"), by="me")
            if name not in CUT:
                await engine.wait(name)
        if name == "parked":
            async with Engine(await SqliteLog.open(path), [workflow], clock=clock) as engine:
                await engine.resume(name)
    version = 0
    async with await SqliteLog.open(path) as log:
        await log.append(Batch((Append("old", 0, EVERYTHING[0], -1.0, "made", "completed"),)))
        for number, events in enumerate(EVERYTHING):
            label = "cancelled" if isinstance(events[-1], Finished) else "running"
            await log.append(Batch((Append("everything", version, events, 10.5 + number, "made", label),)))
            version += len(events)
        await purge(log, 0.0, 0.0, by="me", why="old")
        await switch(log, "saw", False, clock.now(), by="me", why="blunt")
        [*_, last] = await turns_of(log, "ticket")
        checkpoint = taken(await rebuild(log, "ticket"), last.head, Mark())
        assert checkpoint and await log.keep(checkpoint)
        await erase(log, "erased", clock.now(), by="me", why="asked to")


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
