"""Whatever is done to runs that have everything at once, in any order: walks that follow from a seed, in virtual time."""

import asyncio
import os
import random
from collections import Counter
from contextlib import suppress
from functools import cache

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
from statecore.signals import Taken
from statecore.switches import switch
from statecore.testing.survival import _copied
from statecore.testing.virtual import VirtualClock, run_virtual
from statecore.transfer import exported, restore
from tests.mill import Lasting, Later, Milling, Order, Rush, Stamp, Word

FEW = 16
"""Walks in which each step has its effect several times."""

SEEDS = int(os.environ.get("STATECORE_WALKS", FEW))
STEPS = 40
STEPS_OF = (
    *("start", "later", "later", "answer", "answer", "answer", "settle", "signal", "signal"),
    *("cancel", "fork", "toggle", "migrate", "restart", "kill", "move", "erase"),
)
ABLE = ("sort", "saw", "stamp", "store", "clerk", "deputy", "Asking", "Stamping")


class Walk:
    """One log, and the engine that has it now. Each step does one thing that somebody may do, at random, and says whether
    it had an effect. `told`: the steps; `done`: those that had one, each with how often.
    """

    def __init__(self, seed: int) -> None:
        self.chance, self.log = random.Random(seed), MemoryLog()
        self.engine = self.opened(Lasting())
        self.told: list[str] = []
        self.done = Counter[str]()

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
        name = self.chance.choice(STEPS_OF) if await self.names() else "start"
        self.told.append(name)
        with suppress(NotPossible, BadInput):
            self.done[name] += await getattr(self, name)()

    async def start(self) -> bool:
        await self.engine.start(Milling, Order(self.chance.choice(("oak", "elm"))), run=f"r{len(await self.names())}")
        return True

    async def later(self) -> bool:
        before = await self.log.end()
        await asyncio.sleep(self.chance.choice((0.0, 0.5, 1.0, 2.5, 61.0, 601.0)))
        return await self.log.end() != before

    async def answer(self) -> bool:
        if found := await asks(self.log, self.engine.registry):
            ask = self.chance.choice(found)
            await self.engine.answer(ask.run.id, ask.call.id, Word("w"), by="ana", why="w", shown=ask.shown)
        return bool(found)

    async def settle(self) -> bool:
        run = await rebuild(self.log, await self.some())
        unknown = [call for call in run.calls.values() if call.status is CallState.UNKNOWN]
        for call in unknown:
            found = self.chance.choice((Stamp("by hand"), NotDone("looked")))
            await self.engine.answer(run.id, call.id, found, by="ana", why="looked")
        return bool(unknown)

    async def signal(self) -> bool:
        said = self.chance.choices((Rush("r"), Word("shut"), Order("stop")), (5, 3, 1))[0]
        run, id = await self.some(upper=True), str(self.chance.randint(1, 3))
        return isinstance(await self.engine.signal(run, said, by="ben", id=id), Taken)

    async def cancel(self) -> bool:
        if wanted := self.chance.random() < 0.3:
            await self.engine.cancel(await self.some(), by="ops", why="enough")
        return wanted

    async def fork(self) -> bool:
        run = await self.some()
        at = self.chance.choice(await turns_of(self.log, run)).version
        await self.engine.fork(run, at, by="ana", why="x", new=f"f{len(await self.names())}")
        return True

    async def toggle(self) -> bool:
        name, now = self.chance.choice(ABLE), self.engine.clock.now()
        changed = await switch(self.log, name, self.chance.random() < 0.6, now, by="ana", why="w")
        await self.engine.reconfigure()
        return changed

    async def migrate(self) -> bool:
        await self.engine.drain()
        run = await self.some(upper=True)
        moved = await self.engine.migrate(run, Later, by="ops", why="the next release")
        await self.engine.resume(run)
        return run in moved

    async def restart(self) -> bool:
        await self.engine.close()
        return bool(await self.opened(self.log).resume())

    async def kill(self) -> bool:
        """The process is gone: what it did from now on nobody hears of."""
        dead, copy = self.engine, Lasting()
        copy.__dict__.update((await _copied(self.log)).__dict__)
        taken_up = await self.opened(copy).resume()
        dead._core.flights.dispatcher.stop()
        for task in list(dead._core.tasks.open):
            task.cancel()
        return bool(taken_up)

    async def move(self) -> bool:
        """Into another log, by an export."""
        await self.engine.close()
        lines, other = [line async for line in exported(self.log)], Lasting()
        await restore(other, lines)
        return bool(await self.opened(other).resume())

    async def erase(self) -> bool:
        await self.engine.drain()  # of what an engine still has in memory, the values are there until it lets go
        await erase(self.log, await self.some(), self.engine.clock.now(), by="ana", why="asked")
        return True

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
                    await self.engine.answer(ask.run.id, ask.call.id, Word("w"), by="ana", why="w")
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


async def walk(seed: int) -> Counter[str]:
    """The steps that had an effect, each with how often."""
    walk = Walk(seed)
    for _ in range(STEPS):
        await walk.step()
        await walk.right()
    await walk.to_the_end()
    await walk.ended()
    return walk.done


@cache
def walked(seed: int) -> Counter[str]:
    return run_virtual(walk(seed))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a run up begins at a checkpoint."""
    monkeypatch.setattr("statecore.checkpoint.EVERY", 3)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_is_done_in_any_order_is_decided_again_and_comes_to_an_end(seed: int) -> None:
    """Starts, answers, signals, forks, cancellations, migrations, specialists off and on, restarts, deaths, moves to another log and
    erasures: after each the log holds and is the run that the engine has; at last every run is over.
    """
    walked(seed)


def test_each_step_is_done_and_not_only_tried() -> None:
    """What is refused is passed over, so that a step which nothing comes of any more would not be missed."""
    done = sum(map(walked, range(FEW)), Counter[str]())
    assert {name for name in STEPS_OF if done[name] == 0} == set(), done
