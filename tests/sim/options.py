"""What is drawn for a seed before it begins: who asks for what, and how each process ends."""

from math import inf
from random import Random
from typing import Any

import attrs

from tests.sim.teams import PEOPLE, Leaf, Seller, teams
from tests.sim.work import CREW, GENERATED, WRITTEN, generated

DAY = 86_400.0

SWITCHED = (*(each.name for each in (*CREW, *PEOPLE.values())), Leaf.__name__, Seller.__name__)
"""Whom somebody takes out of rotation: functions, people and child workflows."""


@attrs.frozen
class Death:
    """How a process ends: `how` is a kind, the numbers say when. `pause`: seconds until the next one. `wall`: what the
    wall clock jumps by meanwhile. `harm`: what becomes of the checkpoints meanwhile. `event`: with whose acknowledgement, the
    `count`th of its kind, it dies.
    """

    how: str
    after: float = inf
    port: int = 0
    event: str = ""
    count: int = 0
    commit: int = 0
    statement: int = 0
    pause: float = 0.0
    wall: float = 0.0
    harm: str = ""


@attrs.define
class Wish:
    """What somebody asks of the engine, at `at`, and again after a death until it was acknowledged. `about`: the run or
    the specialist. `number`: of the wish, which draws the rest.
    """

    what: str
    at: float
    about: str = ""
    workflow: Any = None
    number: int = 0
    done: bool = False


@attrs.frozen
class Options:
    """Everything that is drawn for a seed before it begins. `every`: events between two checkpoints of a run."""

    seed: int
    deaths: tuple[Death, ...]
    wishes: tuple[Wish, ...]
    most: int
    every: int
    new_file: bool
    jumping_port: bool
    jumps: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: at most {self.most} calls at a time, a checkpoint every {self.every} events"]
        lines += [f"  the file is {'new' if self.new_file else 'an empty log'}"]
        lines += [f"  the clock {'is a port that jumps' if self.jumping_port else 'is the system clock'}"]
        lines += [f"  at {at:.3f} s the wall clock jumps by {by:+,.0f} s" for at, by in self.jumps]
        lines += [f"  {death}" for death in self.deaths]
        for wish in self.wishes:
            lines.append(
                f"  at {wish.at:.3f} s: {wish.what} {wish.about} {wish.workflow.__name__ if wish.workflow else ''}"
            )
        return "\n".join(lines)


def options(seed: int) -> Options:
    chance = Random(seed)
    wishes: list[Wish] = []
    for n in range(chance.randint(1, 5)):
        wishes += _run(chance, f"r{n}")
    wishes += [Wish("look", 8 * chance.random()) for _ in range(2)]
    wishes += [Wish("reply", 12 * chance.random()) for _ in range(chance.randint(2, 6))]
    if chance.random() < 0.3:
        who, at = chance.choice(SWITCHED), 3 * chance.random()
        wishes += [Wish("disable", at, who), Wish("enable", at + 8 * chance.random(), who)]
    deaths = tuple(_death(chance) for _ in range(chance.randint(1, 3)))
    jumps = [(9 * chance.random(), chance.choice((3650 * DAY, -3600.0))) for _ in range(chance.randint(0, 2))]
    return Options(
        seed,
        deaths,
        tuple(attrs.evolve(wish, number=number) for number, wish in enumerate(wishes)),
        chance.choice((2, 3, 9)),
        chance.choice((3, 7, 20, 1_000)),
        chance.random() < 0.2,
        chance.random() < 0.3,
        tuple(jumps),
    )


def _run(chance: Random, name: str) -> list[Wish]:
    """Somebody's run, and what is said to it and about it."""
    at = chance.random()
    wishes = [Wish("start", at, name, chance.choice(_kind(chance)))]
    if chance.random() < 0.2:
        wishes.append(Wish("start again", at + 6 * chance.random(), name, wishes[0].workflow))
    for what, share in (("nudge", 0.5), ("cancel", 0.14), ("cancel a child", 0.1), ("fork", 0.2)):
        if chance.random() < share:
            wishes.append(Wish(what, at + 6 * chance.random(), name))
    return wishes


def _kind(chance: Random) -> tuple[Any, ...]:
    share = chance.random()
    if share < 0.3:
        return WRITTEN
    return teams() if share < 0.8 else tuple(generated(number) for number in range(GENERATED))


TURNING = (
    "Cancelled",
    "Finished",
    "CallFailed",
    "CallUnknown",
    "CallDeferred",
    "TimerFired",
    "Assembled",
    "ForkedFrom",
)
"""Events after which something else has to be done than what the turn itself begins."""


def _death(chance: Random) -> Death:
    pause = chance.choice((0.0, 0.5, 20.0, 20.0))
    wall = chance.choice((0.0, 0.0, 0.0, 3650 * DAY, -3600.0, -3600.0))
    harm = chance.choice(("a byte", "another history")) if chance.random() < 0.2 else ""
    then: dict[str, Any] = {"pause": pause, "wall": wall, "harm": harm}
    share = chance.random()
    if share < 0.15:
        return Death("after an event", event=chance.choice(TURNING), count=chance.randint(1, 3), **then)
    if share < 0.45:
        return Death("at a port", port=chance.randint(1, 40 if chance.random() < 0.5 else 300), **then)
    if share < 0.68:
        return Death("at a moment", after=8 * chance.random() ** 2, **then)
    if share < 0.87:
        commit, statement = chance.randint(1, 30), chance.randint(2, 4)
        return Death("in a commit", commit=commit, statement=statement, **then)
    if share < 0.93:
        return Death("disk", commit=chance.randint(1, 25), statement=chance.randint(0, 1), **then)
    return Death("closed", after=6 * chance.random(), **then)
