"""Those outside who ask something of the engine: who starts runs and speaks to them, who is asked, who looks after it.

Whoever replies may have looked long ago, in another process even; may reply twice at the same time, under a name that
is not asked, or without saying what they were shown.
"""

import asyncio
from contextlib import suppress

import attrs

from statecore.asks import LABELS, Ask, asks
from statecore.call import CallState
from statecore.engine import Engine
from statecore.errors import BadInput, Conflict, LogError, NotPossible, UnknownCall, UnknownRun
from statecore.failures import NotDone
from statecore.family import descendants
from statecore.replay import rebuild
from statecore.retention import not_system
from statecore.switches import switch, switches
from tests.sim.options import Wish
from tests.sim.teams import Reply
from tests.sim.work import Nudge
from tests.sim.world import Job, World

FINE = (NotPossible, UnknownRun, UnknownCall)
"""What somebody may be told who asks at the wrong moment."""


@attrs.define
class Said:
    """A reply to a question as it was looked at. `shown`: whether it said so. `heard`: whether it was taken; None: a
    death came before anybody knew.
    """

    ask: Ask
    by: str
    shown: bool
    heard: bool | None = None


class Outside:
    """`told`: what somebody was told is so. `said`: every reply, by its number. `seen`: questions that were looked at."""

    def __init__(self, world: World, wishes: tuple[Wish, ...]) -> None:
        self.world, self.wishes = world, [attrs.evolve(wish) for wish in wishes]
        self.told: list[tuple[str, str]] = []
        self.said: list[Said] = []
        self.seen: list[Ask] = []
        self.closing = False

    async def ask(self, engine: Engine, wish: Wish) -> None:
        await asyncio.sleep(max(0.0, wish.at - self.world.loop.now))
        try:
            if await self._asked(engine, wish):
                self.told.append((wish.what, wish.about))
            wish.done = True
        except Conflict:
            name = f"f{wish.number}" if wish.what == "fork" else wish.about
            wish.done = any(info.name == name for info in await engine.log.streams())
        except UnknownRun:
            wish.done = not self.world.faulty
        except (NotPossible, BadInput, LogError):
            if not self.closing:
                raise

    async def _asked(self, engine: Engine, wish: Wish) -> bool:
        """Whether it was done, so that the log has to have it."""
        match wish.what:
            case "start" | "start again":
                await engine.start(wish.workflow, Job(wish.about), run=wish.about)
            case "nudge":
                return await self._nudged(engine, wish)
            case "cancel":
                return await self._cancelled(engine, wish.about)
            case "cancel a child":
                names = descendants(wish.about, [info.name for info in await engine.log.streams()])
                return bool(names) and await self._cancelled(engine, self._one(names, "child", wish.number))
            case "fork":
                return await self._forked(engine, wish)
            case "disable" | "enable":
                await self._switched(engine, wish.about, wish.what == "enable")
            case "reply":
                await self._replies(engine, wish)
            case "look":
                await self.settle(engine, all=False)
        return True

    def _one(self, names: list[str], *words: object) -> str:
        return names[int(self.world.draw("one", *words) * len(names))]

    async def _nudged(self, engine: Engine, wish: Wish) -> bool:
        try:
            await engine.signal(wish.about, Nudge())
        except BadInput:  # it is a workflow that waits for nothing
            return False
        return True

    async def _cancelled(self, engine: Engine, run: str) -> bool:
        try:
            await engine.cancel(run, by="somebody", why="no need")
        except NotPossible:
            if not (await engine.state(run)).outcome:
                raise
            return False
        return True

    async def _forked(self, engine: Engine, wish: Wish) -> bool:
        names = [info.name for info in await engine.log.streams()]
        run = self._one([wish.about, *descendants(wish.about, names)], "forked", wish.number)
        ends = [turn.version async for turn in engine.log.read(run)]
        if not ends:
            raise UnknownRun(run)
        at = ends[int(self.world.draw("at", wish.number) * len(ends))]
        try:
            await engine.fork(run, at, by="somebody", why="to see", new=f"f{wish.number}")
        except NotPossible:
            if self.closing or not (await rebuild(engine.log, run, at)).outcome:
                raise
            return False
        return True

    async def _switched(self, engine: Engine, specialist: str, on: bool) -> None:
        made = False
        while not made:
            with suppress(Conflict):
                await switch(engine.log, specialist, on, engine.clock.now(), by="an operator", why="to see")
                made = True
        await engine.reconfigure()

    # -- people

    async def _replies(self, engine: Engine, wish: Wish) -> None:
        draw, number = self.world.draw, wish.number
        self.seen += await asks(engine.log, engine.registry)
        for n in range(1 + int(3 * draw("replies", number)) if self.seen else 0):
            ask = self.seen[-1 - int(len(self.seen) * draw("which", number, n) ** 2)]
            await asyncio.sleep(2 * draw("thinks", number, n))
            times = 2 if draw("twice", number, n) < 0.2 else 1
            await asyncio.gather(*(self._reply(engine, ask) for _ in range(times)))

    async def _reply(self, engine: Engine, ask: Ask) -> None:
        number, draw = len(self.said), self.world.draw
        who = ask.person.who if ask.person and ask.person.who else ("dan", "eve")
        by = "mallory" if draw("stranger", number) < 0.1 else who[int(draw("who", number) * len(who))]
        said = Said(ask, by, draw("shows", number) < 0.6)
        self.said.append(said)
        shown = ask.shown if said.shown else ""
        try:
            await engine.answer(ask.run.id, ask.call.id, Reply(number), by=by, why="was asked", shown=shown)
            said.heard = True
        except (*FINE, BadInput):
            said.heard = False

    # -- operators

    async def settle(self, engine: Engine, all: bool) -> int:
        """An operator looks at what is parked and at what waits: how much there was to do. `all`: until nothing is."""
        did = await self._put_back(engine) if all else 0
        for info in await engine.log.streams(labels=frozenset({"parked", "waiting"}) | LABELS):
            did += await self._see_to(engine, info.name, all)
        return did or await self._follow(engine, all)

    async def _see_to(self, engine: Engine, name: str, all: bool) -> int:
        did, run, draw = 0, await engine.state(name), self.world.draw
        for call in run.calls.values():
            if call.status is CallState.UNKNOWN and (all or draw("settles", run.id, call.id) < 0.5):
                did += 1
                await self._answer(engine, run.id, call.id, call.key)
        if not all:
            return did
        for ask in await asks(engine.log, engine.registry, name) if run.asks else ():
            if ask.call.wake is None or draw("in time", run.id, ask.call.id, ask.call.rank) < 0.5:
                did += 1
                await self._reply(engine, ask)
        if run.condition == "waiting" and not (run.calls or run.timers):
            did += 1
            with suppress(*FINE):
                await engine.signal(run.id, Nudge())
        return did

    async def _follow(self, engine: Engine, all: bool) -> int:
        """Wait for what has a time, where there is nothing else to do."""
        did = 0
        for info in not_system(await engine.log.streams()):
            timed = (info.label in LABELS or info.condition == "waiting") and (
                await engine.state(info.name)
            ).due is not None
            if timed and (all or self.world.draw("follows", info.name, self.world.life) < 0.3):
                did += all
                with suppress(TimeoutError):  # its time may be over since it was looked at
                    await asyncio.wait_for(engine._core.runs.stirring(info.name), 3600)
                await engine.wait(info.name)
        return did

    async def _put_back(self, engine: Engine) -> int:
        off = list((await switches(engine.log)).off)
        for specialist in off:
            await self._switched(engine, specialist, on=True)
        return len(off)

    async def _answer(self, engine: Engine, run: str, call: str, key: str) -> None:
        try:
            outcome: object = self.world.look(key)
        except NotDone as failure:
            outcome = failure
        with suppress(*FINE):
            await engine.answer(run, call, outcome, by="an operator", why="looked")
