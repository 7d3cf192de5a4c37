"""A workflow with all at once: a plan in a region whose parts are functions, an effect, a person and other workflows, one
of which has a plan of its own, beside a region that waits and listens.
"""

import asyncio
from contextlib import suppress

import attrs

from statecore import (
    Call,
    Completed,
    Compound,
    Done,
    Elapsed,
    Engine,
    Failed,
    Migration,
    Parallel,
    Part,
    Person,
    Plan,
    Recorded,
    Signal,
    State,
    Transient,
    Wait,
    Warned,
    Workflow,
    any_state,
    child,
    specialist,
)
from statecore.asking import questions
from statecore.call import CallState
from statecore.child import waiting
from statecore.errors import NotPossible
from statecore.log import MemoryLog
from statecore.plan import Missing
from statecore.run import Run


@attrs.frozen
class Order:
    wood: str


@attrs.frozen
class Plank:
    wood: str


@attrs.frozen
class Stamp:
    key: str


@attrs.frozen
class Word:
    text: str


@attrs.frozen
class Chair:
    parts: tuple[str, ...]
    missing: tuple[str, ...] = ()


@attrs.frozen
class Rush:
    why: str = ""


@attrs.frozen
class Told:
    planks: int
    why: str


@specialist("sort", version="1", effect="pure")
async def sort(order: Order) -> Warned[Plank]:
    return Warned(Plank(order.wood), ("it is damp",))


@specialist("saw", version="1", effect="pure", fails=[Transient])
async def saw(plank: Plank, call: Call) -> Plank:
    await asyncio.sleep(1)
    if call.attempt == 1:
        raise Transient("blunt")
    return Plank(f"sawn {plank.wood}")


@specialist("stamp", version="1")
async def stamp(plank: Plank, call: Call) -> Stamp:
    await asyncio.sleep(2)
    return Stamp(call.key)


@specialist("store", version="1", effect="idempotent")
async def store(plank: Plank, call: Call) -> Stamp:
    await asyncio.sleep(3)
    return Stamp(call.key)


clerk = Person("clerk", version="1", takes=Plank, gives=Word, who=("ana",), within=60)
deputy = Person("deputy", version="1", takes=Plank, gives=Word)


def words(words: list[Word], planks: list[Plank]) -> Word:
    return Word(" and ".join([*(word.text for word in words), *(plank.wood for plank in planks)]))


class Asking(Workflow[Plank], version="1"):
    """A plan of a person and a function: nothing that changes the world."""

    asking = State(Plan(deputy, Part(saw, attempts=2), assemble=words), initial=True)
    told = State(final=True)
    lost = State(final=True, outcome="failed")
    done = asking.to(told, on=Completed[Word])
    gave_up = any_state.to(lost, on=Failed)


class Stamping(Workflow[Plank], version="1"):
    """An effect that must not happen twice."""

    stamping = State(stamp, initial=True)
    stamped = State(final=True, outcome="partial")
    lost = State(final=True, outcome="failed")
    done = stamping.to(stamped, on=Completed[Stamp])
    gave_up = any_state.to(lost, on=Failed)


asked, stamped = child(Asking), child(Stamping)


def about(clerk: Word, saw: Plank) -> Plank:
    return Plank(f"{saw.wood}, {clerk.text}")


def chair(recorded: list[Recorded[Word]], stamps: list[Stamp], missing: list[Missing]) -> Chair:
    parts = [*(f"{each.part}: {each.value.text}" for each in recorded), *(f"stamp {len(each.key)}" for each in stamps)]
    return Chair(tuple(parts), tuple(each.part for each in missing))


def told(planks: list[Plank], rush: Rush) -> Told:
    return Told(len(planks), rush.why)


def milling(version: str, *migrations: Migration) -> type[Workflow[Order]]:
    class Milling(Workflow[Order], version=version, within=86_400, migrations=migrations):
        """An order becomes a chair."""

        sorting = State(sort, initial=True, says="looking at the wood")

        class both(Parallel, within=43_200):
            class work(Compound):
                making = State(
                    Plan(
                        Part(saw, attempts=2, expects=3.0, says="saw it"),
                        stamp,
                        Part(clerk, fallback=[deputy], says="ask what it is for"),
                        Part(asked, id="asked"),
                        Part(stamped, id="stamped"),
                        Part(store, after=["saw", "clerk"], give=about),
                        assemble=chair,
                        on_failure="partial",
                        width=5,
                    ),
                    initial=True,
                )
                made = State(final=True)
                done = making.to(made, on=Completed[Chair])

            class watch(Compound):
                open = State(initial=True)
                resting = State(Wait(600))
                shut = State(final=True)
                rush = open.to(open, on=Signal[Rush], reply=told)
                shut_down = open.to(resting, on=Signal[Word])
                rested = resting.to(shut, on=Elapsed)

        finished = State(final=True)
        lost = State(final=True, outcome="failed")
        stopped = State(final=True, outcome="failed")
        sorted = sorting.to(both, on=Completed[Plank])
        whole = both.to(finished, on=Done)
        stop = both.to(stopped, on=Signal[Order])
        gave_up = any_state.to(lost, on=Failed)
        late = any_state.to(lost, on=Elapsed)

    return Milling


Milling = milling("1")
Later = milling("2", Migration("Milling@1"))
"""The next release."""


class Lasting(MemoryLog):
    """It outlives its engine, as a file does."""

    async def close(self) -> None: ...


async def finish(engine: Engine, run: str) -> Run:
    """Answer and settle all that a run and those below it wait for, and shut it down, until it is at its end."""
    for _ in range(50):
        found = await engine.wait(run)
        if found.outcome:
            return found
        await _answer_all(engine, found)
        if "both/watch/open" in found.config.states:
            with suppress(NotPossible):
                await engine.signal(run, Rush("soon"), by="ben")
                await engine.signal(run, Word("shut"), by="ben")
        await asyncio.sleep(300)
    raise AssertionError(f"{run} comes to no end: {found}")


async def _answer_all(engine: Engine, run: Run) -> None:
    for name in waiting(run):
        await _answer_all(engine, await engine.wait(name))
    for call in questions(run):
        await engine.answer(run.id, call.id, Word(f"about {call.part}"), by="ana", why="asked")
    for call in (await engine.wait(run.id)).calls.values():
        if call.status is CallState.UNKNOWN:
            await engine.answer(run.id, call.id, Stamp("by hand"), by="ana", why="looked")
