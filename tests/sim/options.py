"""What is drawn for a seed before it begins: who asks for what, and how each process ends."""

from math import inf
from random import Random
from typing import Any

import attrs

from tests.sim.work import WRITTEN, workflows

DAY = 86_400.0


@attrs.frozen
class Death:
    """How a process ends: `how` is a kind, the numbers say when. `pause`: seconds until the next one. `wall`: what the
    wall clock jumps by meanwhile.
    """

    how: str
    after: float = inf
    port: int = 0
    commit: int = 0
    statement: int = 0
    pause: float = 0.0
    wall: float = 0.0


@attrs.define
class Wish:
    """What somebody asks of the engine, at `at`, and again after a death until it was acknowledged."""

    what: str
    at: float
    run: str = ""
    workflow: Any = None
    done: bool = False


@attrs.frozen
class Options:
    """Everything that is drawn for a seed before it begins."""

    seed: int
    deaths: tuple[Death, ...]
    wishes: tuple[Wish, ...]
    most: int
    new_file: bool
    jumping_port: bool
    jumps: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: at most {self.most} calls at a time"]
        lines += [f"  the file is {'new' if self.new_file else 'an empty log'}"]
        lines += [f"  the clock {'is a port that jumps' if self.jumping_port else 'is the system clock'}"]
        lines += [f"  at {at:.3f} s the wall clock jumps by {by:+,.0f} s" for at, by in self.jumps]
        lines += [f"  {death}" for death in self.deaths]
        for wish in self.wishes:
            lines.append(
                f"  at {wish.at:.3f} s: {wish.what} {wish.run} {wish.workflow.__name__ if wish.workflow else ''}"
            )
        return "\n".join(lines)


def options(seed: int) -> Options:
    chance = Random(seed)
    runs = chance.randint(2, 5)
    wishes = []
    for n in range(runs):
        at = chance.random()
        wishes.append(Wish("start", at, f"r{n}", chance.choice(WRITTEN if chance.random() < 0.6 else workflows())))
        if chance.random() < 0.2:
            wishes.append(Wish("start again", at + 6 * chance.random(), f"r{n}", wishes[-1].workflow))
        if chance.random() < 0.5:
            wishes.append(Wish("nudge", at + 6 * chance.random(), f"r{n}"))
        if chance.random() < 0.15:
            wishes.append(Wish("cancel", at + 6 * chance.random(), f"r{n}"))
    wishes += [Wish("look", 8 * chance.random()) for _ in range(2)]
    deaths = tuple(_death(chance) for _ in range(chance.randint(1, 3)))
    jumps = [(9 * chance.random(), chance.choice((3650 * DAY, -3600.0))) for _ in range(chance.randint(0, 2))]
    return Options(
        seed,
        deaths,
        tuple(wishes),
        chance.choice((2, 3, 9)),
        chance.random() < 0.2,
        chance.random() < 0.3,
        tuple(jumps),
    )


def _death(chance: Random) -> Death:
    pause = chance.choice((0.0, 0.5, 20.0))
    wall = chance.choice((0.0, 0.0, 0.0, 3650 * DAY, -3600.0))
    share = chance.random()
    if share < 0.40:
        return Death("at a port", port=chance.randint(1, 40 if chance.random() < 0.5 else 250), pause=pause, wall=wall)
    if share < 0.65:
        return Death("at a moment", after=8 * chance.random() ** 2, pause=pause, wall=wall)
    if share < 0.87:
        commit, statement = chance.randint(1, 25), chance.randint(2, 4)
        return Death("in a commit", commit=commit, statement=statement, pause=pause, wall=wall)
    if share < 0.93:
        return Death("disk", commit=chance.randint(1, 25), statement=chance.randint(0, 1), pause=pause, wall=wall)
    return Death("closed", after=6 * chance.random(), pause=pause, wall=wall)
