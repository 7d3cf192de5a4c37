"""Whatever is done to runs that have everything at once, in any order: walks that follow from a seed, in virtual time."""

import asyncio
import os
import random
from collections import Counter
from contextlib import suppress

import pytest

from statecore import Engine
from statecore.asks import asks
from statecore.call import CallState
from statecore.errors import BadInput, NotPossible, StatecoreError
from statecore.events import CallStarted, TimerFired
from statecore.failures import NotDone
from statecore.log import MemoryLog
from statecore.replay import rebuild, turns_of, verify
from statecore.retention import FINISHED, erase, not_system
from statecore.switches import switch
from statecore.testing.survival import _copied
from statecore.testing.virtual import VirtualClock, run_virtual
from statecore.transfer import exported, restore
from tests.mill import Lasting, Later, Milling, Order, Rush, Stamp, Word

SEEDS = int(os.environ.get("STATECORE_WALKS", "16"))
STEPS = 40
ABLE = ("sort", "saw", "stamp", "store", "clerk", "deputy", "Asking", "Stamping")


class Walk:
    """One log, and the engine that has it now. Each step does one thing that somebody may do, at random."""

    def __init__(self, seed: int) -> None:
        self.chance, self.log = random.Random(seed), MemoryLog()
        self.engine = self.opened(Lasting())
        self.told: list[str] = []

    def opened(self, log: MemoryLog) -> Engine:
        self.log = log
        self.engine = Engine(log, [Milling, Later], clock=VirtualClock())
        return self.engine

    async def names(self) -> list[str]:
        return [info.name for info in not_system(await self.log.streams())]

    async def some(self, upper: bool = False) -> str:
        """One of the runs, or of those that nobody called."""
        return self.chance.choice([name for name in await self.names() if not (upper and "/" in name)])

    async def step(self) -> None:
        steps = (
            *(
                self.start,
                self.later,
                self.later,
                self.answer,
                self.answer,
                self.answer,
                self.settle,
                self.signal,
                self.signal,
            ),
            *(self.cancel, self.fork, self.toggle, self.migrate, self.restart, self.kill, self.move, self.erase),
        )
        step = self.chance.choice(steps) if await self.names() else self.start
        self.told.append(step.__name__)
        with suppress(NotPossible, BadInput):
            await step()

    async def start(self) -> None:
        await self.engine.start(Milling, Order(self.chance.choice(("oak", "elm"))), run=f"r{len(await self.names())}")

    async def later(self) -> None:
        await asyncio.sleep(self.chance.choice((0.0, 0.5, 1.0, 2.5, 61.0, 601.0)))

    async def answer(self) -> None:
        if found := await asks(self.log, self.engine.registry):
            ask = self.chance.choice(found)
            await self.engine.answer(ask.run.id, ask.call.id, Word("w"), by="ana", why="", shown=ask.shown)

    async def settle(self) -> None:
        run = await rebuild(self.log, await self.some())
        for call in [call for call in run.calls.values() if call.status is CallState.UNKNOWN]:
            found = self.chance.choice((Stamp("by hand"), NotDone("looked")))
            await self.engine.answer(run.id, call.id, found, by="ana", why="looked")

    async def signal(self) -> None:
        said = self.chance.choices((Rush("r"), Word("shut"), Order("stop")), (5, 3, 1))[0]
        await self.engine.signal(await self.some(upper=True), said, by="ben", id=str(self.chance.randint(1, 3)))

    async def cancel(self) -> None:
        if self.chance.random() < 0.3:
            await self.engine.cancel(await self.some(), by="ops", why="enough")

    async def fork(self) -> None:
        run = await self.some()
        at = self.chance.choice(await turns_of(self.log, run)).version
        await self.engine.fork(run, at, by="ana", why="x", new=f"f{len(await self.names())}")

    async def toggle(self) -> None:
        name, now = self.chance.choice(ABLE), self.engine.clock.now()
        await switch(self.log, name, self.chance.random() < 0.6, now, by="ana", why="w")
        await self.engine.reconfigure()

    async def migrate(self) -> None:
        await self.engine.drain()
        run = await self.some(upper=True)
        await self.engine.migrate(run, Later, by="ops", why="the next release")
        await self.engine.resume(run)

    async def restart(self) -> None:
        await self.engine.close()
        await self.opened(self.log).resume()

    async def kill(self) -> None:
        """The process is gone: what it did from now on nobody hears of."""
        dead, copy = self.engine, Lasting()
        copy.__dict__.update((await _copied(self.log)).__dict__)
        await self.opened(copy).resume()
        dead._core.flights.dispatcher.stop()
        for task in list(dead._core.tasks.open):
            task.cancel()

    async def move(self) -> None:
        """Into another log, by an export."""
        await self.engine.close()
        lines, other = [line async for line in exported(self.log)], Lasting()
        await restore(other, lines)
        await self.opened(other).resume()

    async def erase(self) -> None:
        await self.engine.drain()  # of what an engine still has in memory, the values are there until it lets go
        await erase(self.log, await self.some(), self.engine.clock.now(), by="ana", why="asked")

    async def right(self) -> None:
        """What holds at every moment."""
        assert await verify(self.log, self.engine.registry) == [], self.told
        for name in await self.names():
            assert await self.engine.state(name) == await rebuild(self.log, name), (self.told, name)

    async def to_the_end(self) -> None:
        """Everybody is back, answers what is asked and settles what is parked: everything ends."""
        for name in ABLE:
            await switch(self.log, name, True, self.engine.clock.now(), by="ana", why="w")
        await self.engine.reconfigure()
        for _ in range(40):
            await self.engine.drain()
            for ask in await asks(self.log, self.engine.registry):
                with suppress(StatecoreError):
                    await self.engine.answer(ask.run.id, ask.call.id, Word("w"), by="ana", why="")
            for info in not_system(await self.log.streams()):
                for call in (await rebuild(self.log, info.name)).calls.values():
                    if call.status is CallState.UNKNOWN:
                        await self.engine.answer(info.name, call.id, Stamp("s"), by="ana", why="looked")
            await asyncio.sleep(4_000)
        await self.engine.drain()

    async def ended(self) -> None:
        await self.right()
        for info in not_system(await self.log.streams()):
            assert info.label in FINISHED, (self.told, info.name, info.label, self.engine.parked(info.name))
            events = [event for turn in await turns_of(self.log, info.name) for event in turn.events]
            once = Counter(e.call for e in events if isinstance(e, CallStarted) and e.effect == "once" and not e.kind)
            assert max(once.values(), default=0) <= 1, (self.told, info.name)
            fired = Counter(event.state for event in events if isinstance(event, TimerFired))
            assert max(fired.values(), default=0) <= 1, (self.told, info.name)


async def walk(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(STEPS):
        await walk.step()
        await walk.right()
    await walk.to_the_end()
    await walk.ended()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a run up begins at a checkpoint."""
    monkeypatch.setattr("statecore.checkpoint.EVERY", 3)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_is_done_in_any_order_is_decided_again_and_comes_to_an_end(seed: int) -> None:
    """Starts, answers, signals, forks, cancellations, migrations, specialists off and on, restarts, deaths, moves to another log and
    erasures: after each the log holds and is the run that the engine has; at last every run is over.
    """
    run_virtual(walk(seed))
