"""Migrations of runs that are in the middle of much: people asked, other workflows at work, guards that hold a call."""

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from statecore import (
    Completed,
    Compound,
    Done,
    Elapsed,
    Engine,
    Failed,
    Migration,
    Parallel,
    Person,
    Plan,
    Signal,
    State,
    Wait,
    Workflow,
    any_state,
    child,
    contract,
    upcaster,
)
from statecore.asks import asks
from statecore.call import key
from statecore.errors import NotPossible
from statecore.log import MemoryLog
from statecore.registry import Registry
from statecore.replay import rebuild, turns_of, verify
from statecore.signals import Taken
from statecore.switches import switch
from statecore.testing.virtual import VirtualClock, run_virtual
from statecore.upgrade import upgrade_check
from tests.crew import Crew, Job, Nudge, Piece, hang

WHO = {"by": "ops", "why": "the new release"}


@attrs.frozen
class Heard:
    nudges: int


def heard(nudges: list[Nudge]) -> Heard:
    return Heard(len(nudges))


@contract("Report", version="1")
@attrs.frozen
class ReportV1:
    text: str


@contract(version="2")
@attrs.frozen
class Report:
    lines: tuple[str, ...]


@upcaster(Report, "1")
def lined(stored: dict[str, Any]) -> dict[str, Any]:
    return {"lines": [stored["text"]]}


class Lasting(MemoryLog):
    """It outlives its engine, as a file does."""

    async def close(self) -> None: ...


def reporting(gives: type, version: str, *migrations: Migration) -> type[Workflow[Job]]:
    """What the child is: somebody is asked for a report."""
    clerk = Person("clerk", version=version, takes=Job, gives=gives, who=("ana",))

    class Reporting(Workflow[Job], version=version, migrations=migrations):
        asking = State(clerk, initial=True)
        told = State(final=True)
        lost = State(final=True, outcome="failed")
        answered = asking.to(told, on=Completed[gives])  # type: ignore[valid-type]
        gave_up = asking.to(lost, on=Failed)

    return Reporting


first = Person("first", version="1", takes=Job, gives=Piece, within=60)
second = Person("second", version="1", takes=Job, gives=Piece, within=3600)


def old(crew: Crew) -> type[Workflow[Job]]:
    class Work(Workflow[Job], version="1", within=86_400):
        """Three regions: a person who has a deputy, another workflow, and a machine, beside a word that may come."""

        class all(Parallel, initial=True):
            class left(Compound):
                asking = State(first, fallback=[second], initial=True)
                asked = State(final=True)
                said = asking.to(asked, on=Completed[Piece])

            class middle(Compound):
                telling = State(child(reporting(ReportV1, "1")), initial=True)
                told = State(final=True)
                reported = telling.to(told, on=Completed[ReportV1])

            class right(Compound):
                cutting = State(crew("cut"), initial=True)
                resting = State(Wait(7200))
                rested = State(final=True)
                nudged = cutting.to(cutting, on=Signal[Nudge], reply=heard)
                cut = cutting.to(resting, on=Completed[Piece])
                enough = resting.to(rested, on=Elapsed)

        done = State(final=True)
        lost = State(final=True, outcome="failed")
        whole = all.to(done, on=Done)
        gave_up = any_state.to(lost, on=Failed)
        late = any_state.to(lost, on=Elapsed)

    return Work


def new(crew: Crew) -> type[Workflow[Job]]:
    renamed = {"all": "every", "all/left/asking": "every/left/questioning", "all/middle/telling": "every/middle/saying"}

    class Work(Workflow[Job], version="2", within=86_400, migrations=[Migration("Work@1", states=renamed)]):
        class every(Parallel, initial=True):
            class left(Compound):
                questioning = State(first, fallback=[second], initial=True)
                asked = State(final=True)
                said = questioning.to(asked, on=Completed[Piece])

            class middle(Compound):
                saying = State(child(reporting(Report, "2")), initial=True)
                told = State(final=True)
                reported = saying.to(told, on=Completed[Report])

            class right(Compound):
                cutting = State(crew("cut"), initial=True)
                resting = State(Wait(7200))
                rested = State(final=True)
                nudged = cutting.to(cutting, on=Signal[Nudge], reply=heard)
                cut = cutting.to(resting, on=Completed[Piece])
                enough = resting.to(rested, on=Elapsed)

        done = State(final=True)
        lost = State(final=True, outcome="failed")
        whole = every.to(done, on=Done)
        gave_up = any_state.to(lost, on=Failed)
        late = any_state.to(lost, on=Elapsed)

    return Work


async def begun(log: MemoryLog, workflow: type[Workflow[Job]]) -> None:
    """A run whose deputy is asked, whose child waits, whose machine is held by a guard, and that heard a word."""
    await switch(log, "cut", False, 0.0, by="ana", why="it hangs")
    async with Engine(log, [workflow], clock=VirtualClock()) as engine:
        await engine.run(workflow, Job("x"), run="r")
        await engine.signal("r", Nudge(), by="ben", id="1")
        await asyncio.sleep(61)
        assert (await engine.wait("r")).calls["all/left/asking#1"].specialist == "second@1"


def calls(run: Any) -> dict[str, tuple[str, str, int, float | None]]:
    return {call.id: (call.key, call.child, call.rank, call.wake) for call in run.calls.values()}


def test_everything_that_is_open_goes_on_under_its_own_keys() -> None:
    """A person asked as a fallback, a child at work, a held call and a word that was heard, in renamed compounds: each
    ends as it would have, the child's report reaches the parent, and every turn is decided again.
    """

    async def main() -> None:
        crew, log = Crew(), Lasting()
        before, after = old(crew), new(crew)
        await begun(log, before)
        was = await rebuild(log, "r")
        child_run = "r/all/middle/telling#1"
        assert set(calls(was)) == {"all/left/asking#1", "all/middle/telling#1", "all/right/cutting#2"}
        [standing] = [each for each in await upgrade_check(log, Registry([after])) if each.run.id == "r"]
        assert standing.how == "migrate", standing.why
        async with Engine(log, [before, after], clock=VirtualClock(was.at)) as engine:
            await engine.migrate("r", after, **WHO)
            run = await engine.state("r")
            assert calls(run) == calls(was) and run.heard == was.heard
            assert [call.state for call in run.calls.values()] == [
                "every/left/questioning",
                "every/middle/saying",
                "every/right/cutting",
            ]
            await engine.resume()
            assert await engine.signal("r", Nudge(), by="ben", id="1") == Taken(
                ("all/right/nudged",),
                (
                    "all",
                    "all/left",
                    "all/left/asking",
                    "all/middle",
                    "all/middle/telling",
                    "all/right",
                    "all/right/cutting",
                ),
                Heard(1),
            )
            assert (await engine.signal("r", Nudge(), by="ben", id="2")) == Taken(
                ("every/right/nudged",), run.config.states, Heard(2)
            )
            assert {ask.call.id for ask in await asks(log, engine.registry)} == {"all/left/asking#1", "asking#1"}
            await engine.answer("r", "every/left/questioning", Piece("p"), by="ben", why="")
            await engine.answer(child_run, "asking", ReportV1("t"), by="ana", why="")
            await switch(log, "cut", True, 0.0, by="ana", why="mended")
            await engine.reconfigure()
            run = await engine.wait("r", follow=True)
            assert run.outcome == "completed" and crew.count("cut") == 1
            assert crew.asked["cut"][0].key == key("r", "every/right/cutting#3")
            assert "every/middle/saying" in {value.by for value in run.values}
            assert await rebuild(log, "r") == run
            assert await verify(log, engine.registry) == []

    run_virtual(main())


def test_a_child_that_ends_while_its_parent_is_migrated_is_heard() -> None:
    """Its report waits in its log, and is delivered when the parent is taken up under its new declaration."""

    async def main() -> None:
        crew, log = Crew(), Lasting()
        before, after = old(crew), new(crew)
        await begun(log, before)
        at = (await rebuild(log, "r")).at
        async with Engine(log, [after, reporting(ReportV1, "1")], clock=VirtualClock(at)) as engine:
            # its parent cannot be told: no declaration that it is pinned to is loaded
            await engine.answer("r/all/middle/telling#1", "asking", ReportV1("t"), by="ana", why="")
            await engine.drain()
            assert "all/middle/telling#1" in (await rebuild(log, "r")).calls
            await engine.resume("r")
            await engine.migrate("r", after, **WHO)
            await engine.resume("r")
            run = await engine.wait("r")
            assert "every/middle/told" in run.config.states
            assert [value.payload.contract for value in run.values if value.by == "every/middle/saying"] == ["Report@2"]
            assert await verify(log, Registry([before, after, reporting(ReportV1, "1")])) == []

    run_virtual(main())


def test_a_report_that_the_parent_cannot_read_parks_it_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child was migrated alone, and gives what its parent's declaration has no upcaster for: the parent says so, and
    goes on once there is one.
    """

    async def main() -> None:
        crew, log = Crew(), Lasting()
        before, newer = old(crew), reporting(Report, "2", Migration("Reporting@1"))
        await begun(log, before)
        child_run, at = "r/all/middle/telling#1", (await rebuild(log, "r")).at
        async with Engine(log, [before, newer], clock=VirtualClock(at)) as engine:
            await engine.migrate(child_run, newer, **WHO)
            await engine.resume()
            await engine.answer(child_run, "asking", Report(("a", "b")), by="ana", why="")
            await engine.drain()
            assert "Report cannot be made of a stored Report@2" in engine.parked("r")
            monkeypatch.setattr(
                ReportV1, "__upcasters__", {"2": lambda stored: {"text": " ".join(stored["lines"])}}, raising=False
            )
            await engine.resume("r")
            run = await engine.wait("r")
            assert "all/middle/told" in run.config.states and run.values[-1].payload.data == b'{"text":"a b"}'
            assert await verify(log, engine.registry) == []

    run_virtual(main())


# -- what is refused


def short(version: str, place: State, *, more: dict[str, Any] | None = None, within: float | None = None) -> Any:
    class Short(
        Workflow[Job], version=version, within=within, migrations=[Migration("Short@1")] if version == "2" else []
    ):
        holding = place
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        go = holding.to(done, on=Signal[Nudge])
        stop = holding.to(lost, on=Signal[Job])
        if place.does or place.plan:
            ready = holding.to(done, on=Completed[Piece])
            gave_up = holding.to(lost, on=Failed)
        if within or place.wait or place.within:
            late = any_state.to(lost, on=Elapsed)

    return Short


def first_piece(cut: Piece) -> Piece:
    return cut


def person(within: float | None) -> State:
    return State(Person("clerk", version="1", takes=Job, gives=Piece, within=within), initial=True)


def hung() -> Any:
    return Crew()("cut", hang)


REFUSED: dict[str, tuple[Callable[[], Any], Callable[[], Any], str]] = {
    "a plan": (
        lambda: short("1", State(Plan(hung(), assemble=first_piece), initial=True)),
        lambda: short("2", State(Plan(hung(), assemble=first_piece), initial=True)),
        "r is in the middle of the plan `holding#1`, which Short 2 would not go on with: let it be over first",
    ),
    "the deadline of a state that has none any more": (
        lambda: short("1", State(initial=True, within=60)),
        lambda: short("2", State(initial=True)),
        "r is in the middle of the time of `holding`, which Short 2 would not go on with",
    ),
    "the deadline of a run that has none any more": (
        lambda: short("1", State(initial=True), within=60),
        lambda: short("2", State(initial=True)),
        "r is in the middle of the deadline of the run, which Short 2 would not go on with",
    ),
    "the deadline of a person who has none any more": (
        lambda: short("1", person(60)),
        lambda: short("2", person(None)),
        "r is in the middle of the deadline of holding#1, which Short 2 would not go on with",
    ),
    "a wait that nothing has begun": (
        lambda: short("1", State(initial=True)),
        lambda: short("2", State(Wait(60), initial=True)),
        "`holding` lets a time pass, and the run entered it when it did not",
    ),
    "a call that is part of a plan now": (
        lambda: short("1", State(hung(), initial=True)),
        lambda: short("2", State(Plan(hung(), assemble=first_piece), initial=True)),
        r"holding#1 waits for cut@1 \(pure\), and `holding` has a plan to do in its place",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_new_declaration_would_not_go_on_with_is_refused(what: str) -> None:
    """With the reason, by `migrate` and by `upgrade-check`; the run goes on where it is."""
    was, now, why = REFUSED[what]

    async def main() -> None:
        log, before, after = Lasting(), was(), now()
        async with Engine(log, [before], clock=VirtualClock()) as engine:
            await engine.start(before, Job("x"), run="r")
        async with Engine(log, [before, after], clock=VirtualClock()) as engine:
            with pytest.raises(NotPossible, match=why):
                await engine.migrate("r", after, **WHO)
            assert (await rebuild(log, "r")).version == "1"
            [standing] = await upgrade_check(log, Registry([after]))
            assert standing.how == "stuck"
            await engine.signal("r", Nudge(), by="ben")
            assert (await engine.wait("r")).outcome == "completed"
            assert await verify(log, Registry([before])) == []

    run_virtual(main())


@pytest.mark.parametrize("whose", ["state", "run", "person"])
def test_a_deadline_that_is_new_counts_for_what_begins_from_now_on(whose: str) -> None:
    """What was entered, begun or asked before has none: it goes on without."""

    async def main() -> None:
        log = Lasting()
        holding = person if whose == "person" else lambda within: State(initial=True, within=within)
        of_place = None if whose == "run" else 60
        before = short("1", holding(None))
        after = short("2", holding(of_place), within=60 if whose == "run" else None)
        async with Engine(log, [before], clock=VirtualClock()) as engine:
            await engine.run(before, Job("x"), run="r")
        async with Engine(log, [before, after], clock=VirtualClock()) as engine:
            await engine.migrate("r", after, **WHO)
            await engine.resume()
            await asyncio.sleep(3600)
            run = await engine.wait("r")
            assert (run.condition, run.due, run.version) == ("waiting", None, "2")
            await engine.signal("r", Nudge(), by="ben")
            assert (await engine.wait("r")).outcome == "completed"
            assert await verify(log, engine.registry) == [] and len(await turns_of(log, "r")) == 3

    run_virtual(main())
