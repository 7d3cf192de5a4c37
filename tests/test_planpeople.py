"""Plans whose parts are people: which of them is answered, and the times by which each has to be."""

import pytest

from statecore import Completed, Engine, Failed, Person, State, Workflow, any_state
from statecore.errors import UnknownCall
from statecore.log import MemoryLog
from statecore.plan import Missing, Plan
from statecore.run import Run
from tests.people import Article, Decision
from tests.plans import Sum

first = Person("first", version="1", takes=Article, gives=Decision, within=3600)
second = Person("second", version="1", takes=Article, gives=Decision, within=7200)


def answered(said: list[Decision], missing: list[Missing]) -> Sum:
    return Sum(tuple(each.note for each in said), tuple(each.part for each in missing))


class Both(Workflow[Article], version="1"):
    """Two people are asked at once."""

    asking = State(Plan(first, second, assemble=answered, on_failure="partial"), initial=True)
    told = State(final=True)
    failed = State(final=True, outcome="failed")
    done = asking.to(told, on=Completed[Sum])
    gave_up = any_state.to(failed, on=Failed)


async def test_a_state_that_asks_two_is_not_answered_for_either() -> None:
    """Where a plan asks several people, the name of its state does not say whose answer it is: nothing is taken."""
    async with Engine(MemoryLog()) as engine:
        await engine.run(Both, Article("news"), run="r")
        with pytest.raises(UnknownCall, match=r"name one of asking#1/first, asking#1/second"):
            await engine.answer("r", "asking", Decision("publish"), by="ana", why="")
        assert len((await engine.state("r")).calls) == 2
        await engine.answer("r", "asking#1/first", Decision("publish"), by="ana", why="")
        over = await engine.answer("r", "asking", Decision("publish"), by="ben", why="")
        assert over.outcome == "completed"


async def test_a_deadline_that_passes_before_its_follower_hears_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose alarm rings again just as it came to rest is not given to who follows it with its deadline open."""
    async with Engine(MemoryLog()) as engine:
        rest = engine._core.runs.rest

        async def rung(run: str) -> Run:
            found = await rest(run)
            if found.calls:
                engine._core.acts.alarms.drop(run)
                engine._core.acts._ring(run, min(call.wake for call in found.calls.values() if call.wake))
            return found

        monkeypatch.setattr(engine._core.runs, "rest", rung)
        found = await engine.run(Both, Article("news"), run="r", follow=True)
        assert found.outcome == "completed"
