"""Letting go of what was: the payloads of one run, and whole runs once they are old enough. Both leave a record.

Only finished runs: one that goes on needs what it has. What stays of an erased run is its moves, reasons and digests;
what stays of a purged one is a line in the stream `system/purged`, committed with the deletion. Neither finds its way
into copies: a backup, an export, a file system's snapshot keep what they have.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from statecore.clock import Clock
from statecore.errors import BadInput, Conflict, LogError, NotPossible, UnknownRun
from statecore.events import Erased, Purged
from statecore.family import ancestors, descendants, families
from statecore.log import Append, Batch, Log, StreamInfo, Turn
from statecore.saying import said

SYSTEM = "system/"
"""Streams that are no runs begin so."""

PURGED = f"{SYSTEM}purged"

FINISHED = frozenset({"completed", "failed", "partial", "cancelled"})

TOGETHER = 200
"""Runs that are purged in one commit: its writer has other work to do."""

LOOKS = 60.0
"""Seconds between two looks for runs that are old enough, at most."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def age(text: object) -> float:
    """`30d` as seconds. Units: s, m, h, d, w. Raises BadInput."""
    found = _AGE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadInput(f"expected an age like 90m, 12h or 30d, found {text!r}")
    return float(found[1]) * _UNITS[found[2]]


async def erase(log: Log, run: str, at: float, *, by: str, why: str) -> None:
    """Take the payloads of a finished run and of its child runs out of the log, and rewrite its file without them.
    Again: only rewrite it.

    Raises UnknownRun, NotPossible where the run goes on, LogError where the file cannot be rewritten now; BadInput
    where who or why says nothing.
    """
    said(by, why)
    info = next((info for info in await log.streams() if info.name == run), None)
    if info is None or run.startswith(SYSTEM):
        raise UnknownRun(f"no run {run} in this log: `statecore runs` lists those that are there")
    infos = {info.name: info for info in not_system(await log.streams())}
    erased = [run, *descendants(run, infos)]
    for other in (*erased, *ancestors(run, infos)):
        if infos[other].label not in FINISHED:
            raise NotPossible(
                f"{other} is {infos[other].condition} and needs its payloads: see it to its end, or cancel it, and then erase"
            )
    own = (Erased(by, why),)
    appends = [
        Append(name, infos[name].version, own, at, "Erase", erase=True)
        for name in erased
        if not all([row.payloads is None async for row in log.rows(name)])
    ]
    if appends:
        await log.append(Batch(tuple(appends)))
    await log.vacuum()


async def purge(log: Log, older: float, at: float, *, by: str, why: str) -> list[str]:
    """Take the runs out of the log that were finished more than `older` seconds before `at`; their ids.

    A run goes with its child runs, when all of them are old enough: until then one may be asked for by the other.
    Raises BadInput where who or why says nothing.
    """
    said(by, why)
    found = families(not_system(await log.streams()))
    old = [info for family in found if all(_old(info, at - older) for info in family) for info in family]
    for start in range(0, len(old), TOGETHER):
        await _purge(log, old[start : start + TOGETHER], at, by, why)
    return [info.name for info in old]


def _old(info: StreamInfo, before: float) -> bool:
    return info.label in FINISHED and info.at <= before


async def _purge(log: Log, old: list[StreamInfo], at: float, by: str, why: str) -> None:
    heads = {turn.stream: turn.head.hex() async for turn in log.read_many(info.name for info in old)}
    stubs = tuple(Purged(info.name, info.label, info.version, heads[info.name], by, why) for info in old)
    append = Append(PURGED, await _version(log), stubs, at, "Purge")
    await log.append(Batch((append,), purge={info.name: info.version for info in old}))


async def _version(log: Log) -> int:
    return next((info.version for info in await log.streams(labels=frozenset({""})) if info.name == PURGED), 0)


async def purged(log: Log) -> dict[str, tuple[Turn, Purged]]:
    """What is known of the runs that left the log, by run."""
    return {
        event.run: (turn, event)
        async for turn in log.read(PURGED)
        for event in turn.events
        if isinstance(event, Purged)
    }


@asynccontextmanager
async def keeping(log: Log, keep: float | None, clock: Clock) -> AsyncIterator[None]:
    """Purge finished runs older than `keep` seconds while the block runs: at once, and then often enough that none is
    there a minute longer. None: for ever. The block must own the log's writing, as an engine does.
    """
    if keep is None:
        yield
        return
    await _look(log, keep, clock)
    task = asyncio.create_task(_keep(log, keep, clock))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LogError):  # of a log that failed, whoever appends is told
            await task


async def _keep(log: Log, keep: float, clock: Clock) -> None:
    while True:
        await asyncio.sleep(min(LOOKS, max(1.0, keep)))
        await _look(log, keep, clock)


async def _look(log: Log, keep: float, clock: Clock) -> None:
    with suppress(Conflict):  # a late outcome came to one of them: the next look finds it older
        await purge(log, keep, clock.now(), by="retention", why=f"older than {keep:g} s")


def not_system(infos: Iterable[StreamInfo]) -> list[StreamInfo]:
    """The runs among streams."""
    return [info for info in infos if not info.name.startswith(SYSTEM)]
