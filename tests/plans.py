"""Workflows with plans, for the tests: written out and made at run time, with each policy."""

import attrs

from statecore import Completed, Failed, Failure, State, Transient, Workflow, any_state, specialist
from statecore.plan import Missing, Part, Plan, described, needs, prefer, refer, vote


@attrs.frozen
class Job:
    """`text`: what to look at; `wants`: the names of what has to be in the result."""

    text: str
    wants: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@attrs.frozen
class Look:
    text: str


@attrs.frozen
class Weigh:
    text: str
    seen: str


@attrs.frozen
class Seen:
    by: str
    text: str


@attrs.frozen
class Weight:
    value: int


@attrs.frozen
class Sum:
    seen: tuple[str, ...]
    missing: tuple[str, ...] = ()
    weight: int = 0

    @property
    def whole(self) -> bool:
        return not self.missing


@attrs.frozen(auto_exc=False)
class Blind(Failure):
    why: str = ""


@specialist("left", "1", effect="pure", fails=[Blind, Transient])
async def left(job: Job) -> Seen:
    return Seen("left", job.text)


@specialist("right", "1", effect="pure", fails=[Blind, Transient])
async def right(job: Job) -> Seen:
    return Seen("right", job.text)


@specialist("top", "1", effect="pure", fails=[Blind])
async def top(job: Job) -> Seen:
    return Seen("top", job.text)


@specialist("look", "1", effect="pure", fails=[Blind, Transient])
async def look(request: Look) -> Seen:
    return Seen("look", request.text)


@specialist("weigh", "1", effect="pure", fails=[Blind])
async def weigh(request: Weigh) -> Weight:
    return Weight(len(request.text) + len(request.seen))


@specialist("stamp", "1", effect="once", fails=[Blind])
async def stamp(request: Look) -> Seen:
    return Seen("stamp", request.text)


def what_was_seen(top: Seen, job: Job) -> Weigh:
    return Weigh(job.text, top.text)


def two_seen(left: Seen, right: Seen) -> Weigh:
    return Weigh(left.text, right.text)


def sum_up(seen: list[Seen], weight: Weight) -> Sum:
    return Sum(tuple(each.by for each in seen), weight=weight.value)


def all_seen(seen: list[Seen]) -> Sum:
    return Sum(tuple(each.by for each in seen))


def what_is_there(seen: list[Seen], missing: list[Missing]) -> Sum:
    return Sum(tuple(each.text for each in seen), tuple(each.part for each in missing))


def is_whole(found: Sum) -> bool:
    return found.whole


class Diamond(Workflow[Job], version="1"):
    """One look, two after it, and a weighing after both."""

    checking = State(
        Plan(
            top,
            Part(left, after=["top"], expects=2.0),
            Part(right, after=["top"], expects=3.0),
            Part(weigh, after=["left", "right"], give=two_seen),
            assemble=sum_up,
        ),
        initial=True,
    )
    checked = State(final=True)
    failed = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Sum])
    gave_up = any_state.to(failed, on=Failed)


def one_for_each(job: Job) -> list[Part]:
    return [Part(look, id=f"look:{name}", request=Look(name), says=f"look at {name} once") for name in job.files]


class Many(Workflow[Job], version="1"):
    """One look for each file, and what is missing is said."""

    checking = State(
        Plan(
            of=[Part(look, attempts=2)],
            make=one_for_each,
            assemble=what_is_there,
            on_failure="partial",
            rules=[described()],
            width=3,
        ),
        initial=True,
    )
    checked = State(final=True)
    partly = State(final=True, outcome="partial")
    failed = State(final=True, outcome="failed")
    done = checking.to(checked, on=Completed[Sum], cond=is_whole)
    in_part = checking.to(partly, on=Completed[Sum])
    gave_up = any_state.to(failed, on=Failed)


SETTLES = (prefer, refer, vote, needs)
