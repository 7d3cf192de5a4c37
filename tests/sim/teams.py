"""What the simulated engine runs besides single calls: plans, people, waits and deadlines, child workflows, and all of
them in one another.
"""

import types
from functools import cache
from random import Random
from typing import Any

import attrs

from statecore import (
    Completed,
    Compound,
    Done,
    Elapsed,
    Failed,
    Parallel,
    Person,
    State,
    TimedOut,
    Wait,
    Workflow,
    any_state,
    child,
)
from statecore.failures import OutcomeUnknown
from statecore.plan import Missing, Part, Plan, prefer
from tests.sim.work import GENERATED, TIMEOUT, WRITTEN, Moody, cut, even, generated, glue, nail, saw, sell, ship
from tests.sim.world import EPOCH, Job, Piece

SOON = 1.5
"""Seconds of a short wait: as long as a few calls."""


@attrs.frozen
class Reply:
    """`number`: of what somebody said; NOBODY where nobody did."""

    number: int


NOBODY = -1


def pleased(reply: Reply) -> bool:
    return reply.number % 2 == 0


boss = Person("boss", version="1", takes=Job, gives=Reply, who=("ana", "ben"), within=4.0)
deputy = Person("deputy", version="1", takes=Job, gives=Reply, who=("ana", "cleo"), within=5.0)
clerk = Person("clerk", version="1", takes=Job, gives=Reply, within=3.0, otherwise=Reply(NOBODY))
anybody = Person("anybody", version="1", takes=Job, gives=Reply)
PEOPLE = {each.id: each for each in (boss, deputy, clerk, anybody)}


# -- people and times


class Asked(Workflow[Job], version="1"):
    """Asks one after the other, and goes on where nobody answers; a reply that does not please is asked for anew."""

    asking = State(boss, fallback=[deputy], initial=True, guards=[Moody()])
    making = State(nail, attempts=2, timeout=TIMEOUT)
    checking = State(clerk)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    good = asking.to(making, on=Completed[Reply], cond=pleased)
    again = asking.to(asking, on=Completed[Reply], at_most=2)
    enough = asking.to(making, on=Completed[Reply])
    nobody = asking.to(making, on=Failed[TimedOut])
    made = making.to(checking, on=Completed[Piece])
    over = checking.to(done, on=Completed[Reply])
    gave_up = any_state.to(lost, on=Failed)


def a_while(start: Job) -> float:
    """A moment that has passed where the wall clock was put forward, and else comes soon."""
    return EPOCH + 4.0


class Paced(Workflow[Job], version="1", within=30.0):
    """Waits, hurries, and has to be over in time: deadlines of a state, a compound and the run, one in another."""

    resting = State(Wait(SOON), initial=True)
    hurrying = State(glue, attempts=3, timeout=TIMEOUT, within=2.5, guards=[Moody()])

    class careful(Compound, within=6.0):
        looking = State(Wait(until=a_while), initial=True)
        making = State(saw, attempts=2, timeout=TIMEOUT)
        asking = State(anybody)
        made = State(final=True)
        looked = looking.to(making, on=Elapsed)
        finished = making.to(asking, on=Completed[Piece])
        told = asking.to(made, on=Completed[Reply])

    sleeping = State(Wait(4_000.0))
    done = State(final=True)
    late = State(final=True, outcome="partial")
    lost = State(final=True, outcome="failed")
    rested = resting.to(hurrying, on=Elapsed)
    hurried = hurrying.to(careful, on=Completed[Piece], cond=even)
    slow = hurrying.to(resting, on=Elapsed, at_most=2)
    odd = hurrying.to(sleeping, on=Completed[Piece])
    cared = careful.to(done, on=Done)
    careless = careful.to(sleeping, on=Elapsed)
    slept = sleeping.to(done, on=Elapsed)
    too_late = any_state.to(late, on=Elapsed)
    gave_up = any_state.to(lost, on=Failed)


# -- children


class Leaf(Workflow[Job], version="1"):
    """Pure, so its parent may begin it anew."""

    cutting = State(cut, initial=True, attempts=2, timeout=2.0)
    made = State(final=True)
    lost = State(final=True, outcome="failed")
    cut_well = cutting.to(made, on=Completed[Piece])
    gave_up = any_state.to(lost, on=Failed)


class Seller(Workflow[Job], version="1"):
    """Rests, and has an effect that happens at most once."""

    resting = State(Wait(SOON / 2), initial=True)
    selling = State(sell, timeout=TIMEOUT, guards=[Moody()])
    sold = State(final=True)
    lost = State(final=True, outcome="failed")
    rested = resting.to(selling, on=Elapsed)
    paid = selling.to(sold, on=Completed[Piece])
    gave_up = any_state.to(lost, on=Failed)


class Office(Workflow[Job], version="1", within=20.0):
    """Asks a person, and then has a child of its own."""

    asking = State(clerk, initial=True)
    selling = State(child(Seller))
    sold = State(final=True)
    lost = State(final=True, outcome="failed")
    told = asking.to(selling, on=Completed[Reply])
    paid = selling.to(sold, on=Completed[Piece])
    too_late = any_state.to(lost, on=Elapsed)
    gave_up = any_state.to(lost, on=Failed)


class Firm(Workflow[Job], version="1"):
    """A child that is begun anew, one that stands in for a function, and one that has children."""

    trying = State(child(Leaf), initial=True, attempts=3, timeout=5.0, guards=[Moody()])
    cutting = State(cut, fallback=[child(Leaf)], timeout=TIMEOUT)
    asking = State(child(Office), timeout=15.0)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    tried = trying.to(cutting, on=Completed[Piece])
    cut_too = cutting.to(asking, on=Completed[Piece])
    sold = asking.to(done, on=Completed[Piece])
    gave_up = any_state.to(lost, on=Failed)


class Race(Workflow[Job], version="1"):
    """Two children and a person side by side; time, or a failure of one, leaves the others with nobody to wait for."""

    class all(Parallel, initial=True, within=7.0):
        class shop(Compound):
            selling = State(child(Office), initial=True)
            sold = State(final=True)
            paid = selling.to(sold, on=Completed[Piece])

        class bench(Compound):
            trying = State(child(Leaf), initial=True, attempts=2, guards=[Moody()])
            tried = State(final=True)
            cut_well = trying.to(tried, on=Completed[Piece])

        class desk(Compound):
            asking = State(boss, initial=True)
            shipping = State(ship, timeout=TIMEOUT)
            told = State(final=True)
            good = asking.to(shipping, on=Completed[Reply])
            sent = shipping.to(told, on=Completed[Piece])

    mending = State(child(Leaf), attempts=2)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    once_more = all.to(all, on=Failed, at_most=1)
    joined = all.to(done, on=Done)
    unknown = all.to(mending, on=Failed[OutcomeUnknown])
    slow = all.to(mending, on=Elapsed)
    mended = mending.to(done, on=Completed[Piece])
    gave_up = any_state.to(lost, on=Failed)


# -- plans


@attrs.frozen
class Whole:
    """`made`: what the parts made, and the numbers of what people said."""

    made: tuple[int, ...]
    missing: tuple[str, ...] = ()


def whole(pieces: list[Piece], replies: list[Reply], missing: list[Missing]) -> Whole:
    said = (*(piece.made for piece in pieces), *(reply.number for reply in replies))
    return Whole(said, tuple(each.part for each in missing))


def entire(found: Whole) -> bool:
    return not found.missing


class Shop(Workflow[Job], version="1"):
    """Written out: a function, a person and a child after it, and one after both; two open at a time."""

    building = State(
        Plan(
            Part(cut, attempts=2, timeout=TIMEOUT),
            Part(clerk, after=["cut"]),
            Part(child(Seller), id="shop", after=["cut"]),
            Part(nail, after=["cut"], fallback=[glue], timeout=TIMEOUT, guards=[Moody()]),
            Part(ship, after=["clerk", "shop"], timeout=TIMEOUT),
            assemble=whole,
            width=2,
        ),
        initial=True,
        within=25.0,
    )
    asking = State(anybody)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    built = building.to(done, on=Completed[Whole])
    slow = building.to(asking, on=Elapsed)
    told = asking.to(done, on=Completed[Reply])
    gave_up = any_state.to(lost, on=Failed)


OF: tuple[Any, ...] = (
    Part(cut, attempts=2, timeout=2.0),
    Part(glue, fallback=[nail], timeout=TIMEOUT, guards=[Moody()]),
    Part(sell, timeout=TIMEOUT),
    clerk,
    boss,
    child(Leaf),
    child(Office),
)


def some(job: Job) -> list[Part]:
    """As many parts as the job's text draws, each after some of those before it, and some to the same question; or two
    that wait for each other.
    """
    chance = Random(job.text)
    if chance.random() < 0.1:
        return [Part(cut, id="p0", request=job, after=["p1"]), Part(cut, id="p1", request=job, after=["p0"])]
    parts: list[Part] = []
    for n in range(chance.randint(2, 7)):
        of = chance.choice(OF)
        does = of.does if isinstance(of, Part) else of
        after = [each.id for each in parts if chance.random() < 0.3]
        answers = "which" if chance.random() < 0.7 and does not in (clerk, boss) else ""
        request = Job(f"{job.text}/{n}")
        parts.append(Part(does, id=f"p{n}", request=request, after=after, answers=answers, expects=chance.random()))
    return parts


class Batch(Workflow[Job], version="1"):
    """Made at run time, and assembled of what is there; what is missing is made up for by another such plan's child."""

    making = State(
        Plan(of=OF, make=some, assemble=whole, on_failure="partial", conflicts=prefer("p1", "p0", "p2"), width=3),
        initial=True,
    )
    mending = State(child(Leaf), attempts=2)
    done = State(final=True)
    part = State(final=True, outcome="partial")
    lost = State(final=True, outcome="failed")
    made = making.to(done, on=Completed[Whole], cond=entire)
    in_part = making.to(mending, on=Completed[Whole])
    mended = mending.to(part, on=Completed[Piece])
    gave_up = any_state.to(lost, on=Failed)


PLANNED = 8


@cache
def planned(number: int) -> Any:
    """A plan that is written out, of three to six random parts, and of any policy; then once more, or a call."""
    chance = Random(f"plan {number}")
    policy: Any = chance.choice(("stop", "continue", "partial"))
    parts = []
    for n in range(chance.randint(3, 6)):
        of = chance.choice(OF)
        does = of.does if isinstance(of, Part) else of
        after = [each.id for each in parts if chance.random() < 0.4]
        needed = policy == "partial" and chance.random() < 0.2
        limit: dict[str, Any] = {} if isinstance(does, Person) else {"timeout": TIMEOUT}
        parts.append(Part(does, id=f"p{n}", after=after, needed=needed, expects=1 + chance.random(), **limit))
    building = State(Plan(*parts, assemble=whole, on_failure=policy, width=chance.randint(1, 3)), initial=True)
    making = State(chance.choice((saw, glue, child(Seller))), timeout=20.0)
    done, lost = State(final=True), State(final=True, outcome="failed")
    body: dict[str, Any] = {"building": building, "making": making, "done": done, "lost": lost}
    if policy == "partial":
        body["once_more"] = building.to(building, on=Completed[Whole], cond=lacking, at_most=1)
    body["built"] = building.to(making, on=Completed[Whole])
    body["made"] = making.to(done, on=Completed[Piece])
    body["gave_up"] = any_state.to(lost, on=Failed)
    return types.new_class(f"Planned{number}", (Workflow[Job],), {"version": "1"}, lambda names: names.update(body))


def lacking(found: Whole) -> bool:
    return not entire(found)


TEAMS: tuple[Any, ...] = (Asked, Paced, Firm, Race, Shop, Batch, Office)


@cache
def teams() -> tuple[Any, ...]:
    return *TEAMS, *(planned(number) for number in range(PLANNED))


@cache
def workflows() -> tuple[Any, ...]:
    return *WRITTEN, *(generated(number) for number in range(GENERATED)), *teams()
