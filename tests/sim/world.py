"""The world around the engine: receivers, clocks and faults. It goes on when the process dies, and keeps what it saw.

Whatever is random is drawn by name (`draw("lands", run, call, ...)`), not in sequence: so what one part of a run draws
does not depend on how often another part did.
"""

import asyncio
import hashlib
from collections import Counter
from math import inf
from typing import Any

import attrs

from statecore.call import Call
from statecore.chain import Turn
from statecore.clock import Clock
from statecore.failures import NotDone, RateLimited, Transient, Unavailable
from tests.sim.loop import SimLoop

EPOCH = 1_767_225_600.0
PATIENCE = 0.5
"""Seconds after which work that nobody needs any more must have been stopped."""

FAULTS = (
    (0.57, "well"),
    (0.63, "unavailable"),
    (0.68, "limited"),
    (0.74, "jammed"),
    (0.79, "garbage"),
    (0.82, "crash"),
    (0.85, "hang"),
    (0.98, "slow"),
    (1.00, "stall"),
)
"""What a call does, by the upper end of its share."""


Attempt = tuple[str, str, int, int, int]
"""Run, call, rank, attempt and cuts: what one CallStarted is for."""


@attrs.frozen
class Job:
    text: str = "job"


@attrs.frozen
class Piece:
    """`made`: the number of the dispatch that made it."""

    made: int


@attrs.frozen
class Wrong:
    """No contract of any specialist."""


@attrs.frozen(auto_exc=False)
class Jammed(Transient):
    """What it asked for was done, and the answer says that it was not."""


@attrs.define(eq=False)
class Flight:
    """One dispatch, as the world saw it. `stalled`: for how long the loop had stood still until it ended."""

    number: int
    life: int
    began: float
    call: Call
    key: str
    effect: str
    does: str
    is_async: bool
    ended: float = inf
    stalled: float = 0.0

    @property
    def attempt(self) -> Attempt:
        return self.call.run, self.call.id, self.call.rank, self.call.attempt, self.call.cuts


@attrs.frozen
class Commit:
    """When a turn became durable: in which life, at what time, for how long the loop had stood still by then, and what
    the clock of the process said.
    """

    life: int
    at: float
    stalled: float
    clock: float = 0.0


class World:
    """`life`: the number of the process. `wall`: seconds that the wall clock is ahead of what it should be. `read`: what the
    clock of each process said first. `harmed`: runs whose checkpoints somebody spoilt.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.loop = SimLoop(0.0)
        self.loop.close()
        self.life, self.faulty, self.wall = 0, True, 0.0
        self.flights: list[Flight] = []
        self.effects: dict[str, list[Flight]] = {}
        self.landed: list[tuple[float, str, int]] = []
        self.fenced: set[str] = set()
        self.hit: set[str] = set()
        self.sent: dict[int, float] = {}
        self.commits: dict[int, Commit] = {}
        self.acknowledged: list[tuple[int, str, int, bytes]] = []
        self.odd: list[str] = []
        self.connections: list[Any] = []
        self.ends: list[str] = []
        self.asked: Counter[Any] = Counter()
        self.begun: dict[int, float] = {}
        self.clock: Clock = self
        self.read: dict[int, float] = {}
        self.harmed: set[str] = set()
        self.ended: dict[int, float] = {}
        self.broken: dict[int, float] = {}
        self.ports = self.commit = self.statement = self.salts = 0
        self.dies_at_port = self.dies_in_commit = 0
        self.dies_at = self.fails_in_commit = 0
        self.fails = self.dies_after = ""
        self.after = 0

    def draw(self, *words: Any) -> float:
        """A number in [0, 1) that follows from the seed and the words."""
        said = "/".join(map(str, (self.seed, *words)))
        return int.from_bytes(hashlib.blake2b(said.encode(), digest_size=7).digest(), "big") / 2**56

    def salt(self) -> bytes:
        self.salts += 1
        return b"%016d" % self.salts

    # -- the process

    def begin(self, loop: SimLoop) -> None:
        """A process begins. What was sent to a receiver before may still arrive there."""
        self.loop, self.life = loop, self.life + 1
        self.ports = self.commit = 0
        self.connections = []
        self.begun[self.life] = loop.now
        for number, at in self.sent.items():
            loop.call_at(max(at, loop.now), self._land, self.flights[number])

    def reads(self, clock: Clock) -> None:
        """What the process takes for the time from now on."""
        self.clock, self.read[self.life] = clock, clock.now()

    def over(self) -> None:
        self.ended[self.life] = self.loop.now

    def gone(self, life: int, at: float) -> bool:
        """Whether the process was gone by then, or its disk."""
        return min(self.ended.get(life, inf), self.broken.get(life, inf)) <= at

    def died(self) -> None:
        """Half of what was on its way out of the process was in the wire already."""
        self.sent = {number: at for number, at in self.sent.items() if self.draw("sent", number) < 0.5}
        self.hit = {flight.call.specialist for flight in self.flights if flight.ended == inf}

    def port(self) -> None:
        """Something came from the outside or went there: the process may die right after what follows from it."""
        self.ports += 1
        if self.ports == self.dies_at_port:
            self.loop.dying = True

    def connected(self, connection: Any) -> int:
        self.connections.append(connection)
        return len(self.connections)

    def begin_commit(self) -> str:
        """Whether the disk fails before or after it; "" where it does not."""
        self.commit, self.statement = self.commit + 1, 0
        if self.fails and self.commit == self.fails_in_commit:
            self.broken[self.life] = self.loop.now
            return self.fails
        return ""

    def dies_at_this_statement(self) -> bool:
        self.statement += 1
        return self.commit == self.dies_in_commit and self.statement == self.dies_at

    def committed(self, connection: Any) -> None:
        [(position,)] = connection.execute("SELECT coalesce(max(position), 0) FROM turns")
        for new in range(len(self.commits) + 1, position + 1):
            self.commits[new] = Commit(self.life, self.loop.now, self.loop.stalled, self.clock.now())

    def acknowledge(self, turn: Turn) -> None:
        """The process knows that a turn is durable, and may die before it does what follows from it."""
        if turn.position not in self.commits:
            said = f"turn {turn.position}, {turn.stream} version {turn.version}"
            self.odd.append(f"{said}, was acknowledged before its commit")
        self.acknowledged.append((turn.position, turn.stream, turn.version, turn.head))
        self.after -= sum(type(event).__name__ == self.dies_after for event in turn.events)
        if self.dies_after and self.after <= 0:
            self.loop.dying = True

    # -- clocks: the process reads them as the module `time`

    def time(self) -> float:
        return EPOCH + self.wall + self.loop.now

    def monotonic(self) -> float:
        return self.loop.now

    def now(self) -> float:
        """A clock port that jumps with the wall clock."""
        return round(self.time(), 6)

    # -- specialists

    async def serve(self, call: Call, effect: str) -> Any:
        """One attempt of an async specialist: what it asks of the receiver, and what it makes of the answer."""
        flight = self._dispatched(call, effect, is_async=True)
        try:
            first, then = self._delays(flight)
            if flight.does == "hang":
                await asyncio.Event().wait()
            elif flight.does in ("unavailable", "limited"):
                await asyncio.sleep(first)
            else:
                await self._post(flight, first, then)
            return self._answer(flight)
        finally:
            flight.ended, flight.stalled = self.loop.now, self.loop.stalled

    def serve_at_once(self, call: Call, effect: str) -> Any:
        """One attempt of a plain function, in what takes the place of its thread."""
        flight = self._dispatched(call, effect, is_async=False)
        first, then = self._delays(flight)
        self.loop.lateness = first + then
        if flight.does == "hang":
            self.loop.lateness = 1e6
        elif flight.does not in ("unavailable", "limited"):
            self._land(flight)
        return self._answer(flight)

    def _dispatched(self, call: Call, effect: str, is_async: bool) -> Flight:
        number = len(self.flights)
        does = self._does(call) if self.faulty else "well"
        flight = Flight(number, self.life, self.loop.now, call, call.key, effect, does, is_async)
        self.flights.append(flight)
        return flight

    def _does(self, call: Call) -> str:
        """What becomes of it. A receiver may be down for the whole life of a process, most of all one that was being
        called when the last one died.
        """
        if self.draw("down", call.specialist, self.life) < (0.7 if call.specialist in self.hit else 0.04):
            return "unavailable"
        share = self.draw("does", call.run, call.id, call.rank, call.attempt, call.cuts)
        return next(does for upper, does in FAULTS if share < upper)

    def _delays(self, flight: Flight) -> tuple[float, float]:
        """Seconds until the request arrives, and then until its answer does: mostly short, sometimes long."""
        again = flight.call.attempt > 1  # while it works, the attempt before it may still be heard of
        long = 3.0 if self.faulty and self.draw("long", flight.number) < (0.7 if again else 0.2) else 0.3
        first, then = self.draw("arrives", flight.number) * long, self.draw("answers", flight.number) * long
        if flight.does == "slow":
            late = 5.5 + 2.5 * self.draw("late", flight.number)
            return (late, then) if self.draw("where", flight.number) < 0.5 else (first, late)
        return first, then

    async def _post(self, flight: Flight, first: float, then: float) -> None:
        """A request that arrives even where nobody waits for its answer any more."""
        answered: asyncio.Future[None] = self.loop.create_future()
        self.sent[flight.number] = self.loop.now + first
        self.loop.call_later(first, self._land, flight)
        self.loop.call_later(first + then, self._answered, answered)
        await answered

    def _answered(self, answered: "asyncio.Future[None]") -> None:
        self.port()
        if not answered.done():
            answered.set_result(None)

    def _land(self, flight: Flight) -> None:
        """A receiver does what it was asked for; one that honours keys does it once. Each specialist has its own."""
        self.port()
        self.sent.pop(flight.number, None)
        if flight.effect == "pure" or flight.key in self.fenced:
            return
        seen = self.effects.setdefault(flight.key, [])
        if flight.effect == "once" or flight.call.specialist not in {done.call.specialist for done in seen}:
            self.landed.append((self.loop.now, flight.key, flight.number))
            seen.append(flight)

    def _answer(self, flight: Flight) -> Any:
        match flight.does:
            case "unavailable":
                raise Unavailable("not there")
            case "limited":
                raise RateLimited("later", 0.5 + 3 * self.draw("limit", flight.number))
            case "jammed":
                raise Jammed("stuck")
            case "crash":
                raise ValueError("broke")
            case "garbage":
                return Wrong()
            case "stall" if flight.is_async:
                self.loop.stall(30.0)
        return Piece(flight.number)

    async def reconcile(self, call: Call) -> Piece | None:
        """Ask the receiver. One that answers "not done" refuses what may still be on its way."""
        await asyncio.sleep(self.draw("looks", call.key, self.life))
        self.port()
        share = self.draw("knows", call.key, self.life) if self.faulty else 1.0
        if share < 0.3:
            return None
        if share < 0.4:
            raise ValueError("the receiver cannot be asked")
        return self.look(call.key)

    def look(self, key: str) -> Piece:
        """Raises NotDone."""
        if seen := self.effects.get(key):
            return Piece(seen[0].number)
        self.fenced.add(key)
        raise NotDone("it never came")


class Thread:
    """In the place of `threading.Thread`: its work is done in one go, and what it gives is heard later."""

    world: World

    def __init__(self, *, target: Any, args: Any, daemon: bool, name: str) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        self.world.loop.call_later(self.world.draw("thread", len(self.world.flights)) * 0.01, self._run)

    def _run(self) -> None:
        self._target(*self._args)
        self.world.loop.lateness = 0.0
