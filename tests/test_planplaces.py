"""Plans inside regions and compounds: what ends them from outside, two at once, and plans that are begun again."""

import asyncio
from typing import Any

import pytest

from statecore import (
    Completed,
    Compound,
    Done,
    Elapsed,
    Engine,
    Failed,
    History,
    Parallel,
    Part,
    Plan,
    Signal,
    State,
    Workflow,
    any_state,
)
from statecore.call import key
from statecore.events import CallLate, Moved, Planned
from statecore.plan import Missing
from statecore.record import records
from statecore.replay import rebuild, turns_of, verify
from statecore.testing import play, survives
from statecore.testing.virtual import VirtualClock, run_virtual
from tests.crew import Crew, Jammed, Job, Nudge, Piece, Spoilt
from tests.mill import Lasting
from tests.test_switchedparts import Whole


def whole(pieces: list[Piece], missing: list[Missing]) -> Whole:
    return Whole(tuple(piece.text for piece in pieces), tuple(each.part for each in missing))


def after(seconds: float, made: Any) -> Any:
    async def work(request: Job, call: Any) -> Any:
        await asyncio.sleep(seconds)
        if isinstance(made, BaseException):
            raise made
        return made

    return work


def plan_of(crew: Crew, *names: str, on_failure: Any = "stop") -> Plan:
    return Plan(*(crew(name, after(10, Piece(name))) for name in names), assemble=whole, on_failure=on_failure)


def two_regions(crew: Crew, other: Any, within: float = 3600) -> type[Workflow[Job]]:
    """A plan of two parts beside `other`, which takes what it says to fail or to end."""

    class Beside(Workflow[Job], version="1"):
        class both(Parallel, initial=True, within=within):
            class left(Compound):
                planning = State(
                    Plan(
                        crew("quick", after(1, Piece("quick"))),
                        Part(crew("slow", after(10, Piece("slow"))), id="slow"),
                        Part(crew("last"), id="last", after=["slow"]),
                        assemble=whole,
                    ),
                    initial=True,
                )
                planned = State(final=True)
                made = planning.to(planned, on=Completed[Whole])

            class right(Compound):
                cutting = State(other, initial=True)
                cut = State(final=True)
                ready = cutting.to(cut, on=Completed[Piece])

        over = State(final=True)
        left_early = State(final=True, outcome="partial")
        late = State(final=True, outcome="partial")
        lost = State(final=True, outcome="failed")
        joined = both.to(over, on=Done)
        jammed = both.to(left_early, on=Failed[Jammed])
        again = both.to(both, on=Failed[Spoilt], at_most=1)
        word = both.to(left_early, on=Signal[Nudge])
        gave_up = any_state.to(lost, on=Failed)
        missed = any_state.to(late, on=Elapsed)

    return Beside


async def events_of(log: Lasting, run: str = "r") -> list[Any]:
    return [event for turn in await turns_of(log, run) for event in turn.events]


@pytest.mark.parametrize("how", ["a failure beside it", "a word", "the deadline of the compound"])
def test_what_leaves_the_compound_ends_the_plan_in_the_middle(how: str) -> None:
    """Its calls are stopped, what waited for them never begins, and what had an outcome keeps it."""

    async def main() -> None:
        crew, log = Crew(), Lasting()
        fails = after(5, Jammed("j")) if how == "a failure beside it" else after(60, Piece("p"))
        workflow = two_regions(
            crew, crew("other", fails, fails=[Spoilt, Jammed]), 5 if how == "the deadline of the compound" else 3600
        )
        engine = Engine(log, [workflow], clock=VirtualClock())
        await engine.start(workflow, Job("x"), run="r")
        await asyncio.sleep(4)
        assert set((await engine.state("r")).plans) == {"both/left/planning#1"}
        if how == "a word":
            await engine.signal("r", Nudge(), by="ben")
        await asyncio.sleep(10)
        run = await engine.wait("r")
        assert (run.outcome, dict(run.plans), dict(run.calls), dict(run.timers)) == ("partial", {}, {}, {})
        assert engine.clock.now() < 1_767_225_600 + 60
        found = {each.part: each.status for each in records(await turns_of(log, "r"))}
        assert found == {"quick": "completed", "slow": "stopped", "last": "skipped"}
        assert not crew.count("last") and not any(isinstance(event, CallLate) for event in await events_of(log))
        assert [value.part for value in run.values if value.part] == ["quick"]
        assert await rebuild(log, "r") == run and await verify(log, engine.registry) == []

    run_virtual(main())


def test_a_plan_that_is_begun_again_has_calls_of_its_own() -> None:
    """A failure beside it begins both regions anew, the plan too: under new keys, with all its parts."""

    async def main() -> None:
        crew, log = Crew(), Lasting()
        other = crew("other", after(5, Spoilt("s")), after(5, Piece("p")), fails=[Spoilt, Jammed])
        workflow = two_regions(crew, other)
        engine = Engine(log, [workflow], clock=VirtualClock())
        await engine.start(workflow, Job("x"), run="r")
        run = await engine.wait("r")
        assert run.outcome == "completed"
        keys = {name: [call.key for call in crew.asked[name]] for name in ("quick", "slow", "last")}
        first, second = ({part: key("r", f"both/left/planning#{n}/{part}") for part in keys} for n in (1, 2))
        assert keys == {
            "quick": [first["quick"], second["quick"]],
            "slow": [first["slow"], second["slow"]],
            "last": [second["last"]],
        }
        assert sum(isinstance(event, Planned) for event in await events_of(log)) == 2
        made = next(value for value in run.values if value.payload.contract == "Whole")
        assert made.payload.data == b'{"texts":["quick","slow","last"],"missing":[]}'
        assert await verify(log, engine.registry) == []

    run_virtual(main())


def test_a_plan_that_fails_leaves_the_compound_and_stops_the_other_region() -> None:
    """The failure of a part is one of the state: what leaves the compound on it ends the call beside the plan."""

    async def main() -> None:
        crew, log = Crew(), Lasting()

        class Failing(Workflow[Job], version="1"):
            class both(Parallel, initial=True):
                class left(Compound):
                    planning = State(
                        Plan(
                            crew("bad", after(5, Spoilt("s")), fails=[Spoilt]),
                            crew("slow", after(10, Piece("slow"))),
                            assemble=whole,
                        ),
                        initial=True,
                    )
                    planned = State(final=True)
                    made = planning.to(planned, on=Completed[Whole])

                class right(Compound):
                    planning = State(plan_of(crew, "a", "b"), initial=True)
                    planned = State(final=True)
                    made = planning.to(planned, on=Completed[Whole])

            over = State(final=True)
            spoilt = State(final=True, outcome="failed")
            lost = State(final=True, outcome="failed")
            joined = both.to(over, on=Done)
            spoils = both.to(spoilt, on=Failed[Spoilt])
            gave_up = any_state.to(lost, on=Failed)

        engine = Engine(log, [Failing], clock=VirtualClock())
        await engine.start(Failing, Job("x"), run="r")
        await asyncio.sleep(3)
        assert set((await engine.state("r")).plans) == {"both/left/planning#1", "both/right/planning#1"}
        run = await engine.wait("r")
        assert run.config.states == ("spoilt",) and run.result is not None and run.result.contract == "Spoilt"
        assert engine.clock.now() == 1_767_225_605
        found = {each.call: each.status for each in records(await turns_of(log, "r"))}
        assert found == {
            "both/left/planning#1/bad": "failed",
            "both/left/planning#1/slow": "stopped",
            "both/right/planning#1/a": "stopped",
            "both/right/planning#1/b": "stopped",
        }
        assert await verify(log, engine.registry) == []

    run_virtual(main())


class Two(Workflow[Job], version="1"):
    """Two plans at once, of the same parts under the same names."""

    class both(Parallel, initial=True):
        class left(Compound):
            planning = State(plan_of(Crew(), "a", "b", on_failure="partial"), initial=True)
            planned = State(final=True)
            made = planning.to(planned, on=Completed[Whole])

        class right(Compound):
            planning = State(plan_of(Crew(), "a", "b", on_failure="continue"), initial=True)
            planned = State(final=True)
            made = planning.to(planned, on=Completed[Whole])

    over = State(final=True)
    lost = State(final=True, outcome="failed")
    joined = both.to(over, on=Done)
    gave_up = any_state.to(lost, on=Failed)


def test_two_plans_at_once_do_not_mix() -> None:
    """Each assembles its own parts, however their outcomes come, and a kill at any turn changes nothing."""

    async def main() -> None:
        log = Lasting()
        engine = Engine(log, [Two], clock=VirtualClock())
        run = await engine.run(Two, Job("x"), run="r")
        assert run.outcome == "completed"
        made = {value.by: value.reads for value in run.values if value.payload.contract == "Whole"}
        parts = {by: {(run.values[id].by, run.values[id].part) for id in reads} for by, reads in made.items()}
        assert parts == {
            f"both/{side}/planning": {(f"both/{side}/planning", part) for part in "ab"} for side in ("left", "right")
        }
        assert await verify(log, engine.registry) == []

    run_virtual(main())
    assert survives(Two, Job("x")).kills > 5


def returning(crew: Crew) -> type[Workflow[Job]]:
    class Returning(Workflow[Job], version="1"):
        """A compound that is left for a break, and entered again where it was."""

        class work(Compound, initial=True):
            cutting = State(crew("cut"), initial=True)
            planning = State(plan_of(crew, "a", "b"))
            planned = State(final=True)
            back = History()
            cut = cutting.to(planning, on=Completed[Piece])
            made = planning.to(planned, on=Completed[Whole])

        resting = State()
        over = State(final=True)
        lost = State(final=True, outcome="failed")
        pause = work.to(resting, on=Signal[Nudge])
        go_on = resting.to(work.back, on=Signal[Nudge], at_most=3)
        joined = work.to(over, on=Done)
        gave_up = any_state.to(lost, on=Failed)

    return Returning


def test_a_plan_in_a_compound_with_a_history_is_begun_again() -> None:
    """The history leads back to the plan, not into its middle: all its parts are called once more, under new keys."""

    async def main() -> None:
        crew, log = Crew(), Lasting()
        workflow = returning(crew)
        engine = Engine(log, [workflow], clock=VirtualClock())
        await engine.start(workflow, Job("x"), run="r")
        await asyncio.sleep(5)
        await engine.signal("r", Nudge(), by="ben")
        run = await engine.wait("r")
        assert run.config.states == ("resting",) and not run.plans and not run.calls
        await engine.signal("r", Nudge(), by="ben")
        run = await engine.wait("r")
        assert run.outcome == "completed" and crew.count("cut") == 1
        assert [call.key for call in crew.asked["a"]] == [key("r", f"work/planning#{n}/a") for n in (1, 2)]
        moves = [event.transitions for event in await events_of(log) if isinstance(event, Moved)]
        assert moves == [(), ("work/cut",), ("pause",), ("go_on",), ("work/made", "joined")]
        assert await rebuild(log, "r") == run and await verify(log, engine.registry) == []

    run_virtual(main())


def test_a_plan_beside_another_region_is_played_by_its_script() -> None:
    """Parts are scripted under their specialists, in whichever region their plan is."""
    crew = Crew()
    workflow = two_regions(crew, crew("other", fails=[Spoilt, Jammed]))
    played = play(workflow, Job("x"))
    assert played.moves[-1].endswith("joined")
    assert survives(workflow, Job("x")).kills > 5
