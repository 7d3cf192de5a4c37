"""What a busy engine, a shared value and two answers at once must not do."""

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest

from statecore import (
    Completed,
    Engine,
    Failed,
    NotDone,
    RateLimited,
    State,
    Transient,
    Workflow,
    any_state,
    rebuild,
    specialist,
)
from statecore.errors import BadInput, NotPossible
from statecore.events import CallFailed, CallStarted
from statecore.failures import Rejected
from statecore.guard import Question, Refuse
from statecore.ledger import Ledger
from statecore.log import MemoryLog
from statecore.operations import _result
from statecore.registry import Registry
from statecore.replay import turns_of, verify
from statecore.sqlite import SqliteLog


@attrs.frozen
class Order:
    number: int


@attrs.frozen
class Thought:
    number: int


@attrs.frozen
class Sent:
    number: int


@attrs.frozen
class Basket:
    items: list[str]


@attrs.frozen
class Seen:
    items: list[str]


@attrs.frozen
class Approved:
    note: str


@attrs.frozen
class Declined:
    note: str


async def test_an_engine_that_closes_under_load_parks_nothing_that_was_not_dispatched(tmp_path: Path) -> None:
    """A `once` call whose start was committed while the engine closed is dispatched, or deferred, never taken for cut."""
    sent: list[int] = []
    first = asyncio.Event()

    @specialist("think", version="1", effect="pure")
    async def think(order: Order) -> Thought:
        return Thought(order.number)

    @specialist("send", version="1")
    async def send(thought: Thought) -> Sent:
        sent.append(thought.number)
        first.set()
        return Sent(thought.number)

    class Sending(Workflow[Order], version="1"):
        thinking = State(think, initial=True)
        sending = State(send)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        thought = thinking.to(sending, on=Completed[Thought])
        delivered = sending.to(done, on=Completed[Sent])
        gave_up = any_state.to(lost, on=Failed)

    async with Engine(await SqliteLog.open(tmp_path / "s.db"), [Sending]) as engine:
        for number in range(100):
            await engine.start(Sending, Order(number))
            if first.is_set():
                break
    async with Engine(await SqliteLog.open(tmp_path / "s.db"), [Sending]) as engine:
        conditions = [(await engine.wait(run)).condition for run in await engine.resume()]
    assert "parked" not in conditions and len(sent) == len(set(sent))


@attrs.frozen
class Copy:
    items: list[str]


async def test_a_value_that_somebody_changes_in_place_stays_as_it_was_recorded() -> None:
    """Each specialist gets what the log has, whatever an earlier one did to its own copy."""

    @specialist("spoil", version="1", effect="pure")
    async def spoil(basket: Basket) -> Copy:
        basket.items.append("evil")
        return Copy(["copied"])

    @specialist("look", version="1", effect="pure")
    async def look(basket: Basket) -> Seen:
        return Seen(basket.items)

    class Shared(Workflow[Basket], version="1"):
        spoiling = State(spoil, initial=True)
        looking = State(look)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        spoilt = spoiling.to(looking, on=Completed[Copy])
        seen = looking.to(done, on=Completed[Seen])
        gave_up = any_state.to(lost, on=Failed)

    log = MemoryLog()
    async with Engine(log, [Shared]) as engine:
        run = await engine.run(Shared, Basket(["good"]))
        assert run.result is not None and run.result.data == b'{"items":["good"]}'
        assert await rebuild(log, run.id) == run
        assert await verify(log, Registry([Shared])) == []


async def test_a_failure_of_the_library_under_a_declared_one_is_that_failure() -> None:
    """`fails=[Transient]` covers RateLimited: it is retried as such and is no crash."""
    calls: list[int] = []

    @specialist("ask", version="1", effect="pure", fails=[Transient])
    async def ask(order: Order) -> Sent:
        calls.append(1)
        if len(calls) == 1:
            raise RateLimited("later")
        return Sent(order.number)

    class Asking(Workflow[Order], version="1"):
        asking = State(ask, initial=True, attempts=2)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        asked = asking.to(done, on=Completed[Sent])
        gave_up = any_state.to(lost, on=Failed)

    log = MemoryLog()
    async with Engine(log, [Asking]) as engine:
        run = await engine.run(Asking, Order(1))
        failed = [
            event for turn in await turns_of(log, run.id) for event in turn.events if isinstance(event, CallFailed)
        ]
    assert run.condition == "completed" and [event.failure.contract for event in failed] == ["RateLimited"]


def test_an_answer_that_several_results_admit_must_say_which() -> None:
    """`_type` names the one that is meant; without it nothing is guessed."""
    from statecore.contract import contract_of

    both = (contract_of(Approved), contract_of(Declined))
    with pytest.raises(BadInput, match="Approved or Declined"):
        _result(both, '{"note": "no"}', False)
    assert _result(both, '{"note": "no", "_type": "Declined"}', False) == Declined("no")
    assert _result(both[:1], '{"note": "yes"}', False) == Approved("yes")


class _Slow(MemoryLog):
    """Suspends in every append, as a log on a disk does."""

    async def append(self, batch: Any) -> Any:
        await asyncio.sleep(0)
        return await super().append(batch)


async def test_of_two_answers_at_once_one_is_refused() -> None:
    """The second is told that the call was settled; neither is believed to have done what the other did."""

    @specialist("judge", version="1")
    async def judge(order: Order) -> Approved | Declined:
        raise TimeoutError

    class Judging(Workflow[Order], version="1"):
        judging = State(judge, initial=True, timeout=0.001)
        yes = State(final=True)
        no = State(final=True, outcome="failed")
        approved = judging.to(yes, on=Completed[Approved])
        declined = judging.to(no, on=Completed[Declined])
        gave_up = any_state.to(no, on=Failed)

    async def hang(order: Order) -> Approved | Declined:
        await asyncio.sleep(60)
        raise AssertionError

    hanging = specialist("judge", version="1")(hang)
    object.__setattr__(Judging.machine.chart.state("judging"), "does", hanging)
    async with Engine(_Slow(), [Judging]) as engine:
        run = await engine.run(Judging, Order(1))
        assert run.condition == "parked"
        answers = [
            engine.answer(run.id, "judging", made, by=who, why="looked")
            for made, who in ((Approved("a"), "ann"), (NotDone("b"), "bob"))
        ]
        found = await asyncio.gather(*answers, return_exceptions=True)
    assert sum(isinstance(one, NotPossible) for one in found) == 1


class Frowning:
    """An after-guard of the engine with a failure of its own words."""

    name = "frowning"
    side = "after"
    fails = (Rejected,)

    def ask(self, question: Question[Any], ledger: Ledger) -> Refuse:
        return Refuse("no", Rejected("frowning", ("not so @ $",)))


async def test_an_output_that_an_engine_guard_rejected_is_decided_so_again() -> None:
    """`verify` finds nothing in an honest log whose guards are not loaded with the workflow."""

    @specialist("fill", version="1", effect="pure")
    async def filled(order: Order) -> Basket:
        return Basket([])

    class Filling(Workflow[Order], version="1"):
        filling = State(filled, initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        full = filling.to(done, on=Completed[Basket])
        gave_up = any_state.to(lost, on=Failed)

    log = MemoryLog()
    async with Engine(log, [Filling], guards=[Frowning()]) as engine:
        run = await engine.run(Filling, Order(1))
        assert run.condition == "failed" and await verify(log, Registry([Filling])) == []


class Strange(BaseException): ...


async def test_no_exception_leaves_a_run_with_nobody_at_it() -> None:
    """Also one that derives from BaseException alone ends its call as Crashed."""

    @specialist("break_out", version="1", effect="pure")
    async def break_out(order: Order) -> Sent:
        raise Strange("out")

    class Breaking(Workflow[Order], version="1"):
        breaking = State(break_out, initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        broken = breaking.to(done, on=Completed[Sent])
        gave_up = any_state.to(lost, on=Failed)

    async with Engine(MemoryLog(), [Breaking]) as engine:
        assert (await engine.run(Breaking, Order(1))).condition == "failed"


async def test_a_turn_that_does_not_follow_parks_its_run_and_no_other() -> None:
    """`resume` says so of the one run, and takes the others up."""

    async def hang(order: Order) -> Sent:
        await asyncio.sleep(60)
        raise AssertionError

    hanging = specialist("hang", version="1", effect="pure")(hang)

    class Hanging(Workflow[Order], version="1"):
        hanging_on = State(hanging, initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        over = hanging_on.to(done, on=Completed[Sent])
        gave_up = any_state.to(lost, on=Failed)

    from statecore.events import CallUnknown
    from statecore.log import Append, Batch

    log = MemoryLog()
    engine = Engine(log, [Hanging])
    for run in ("bad", "good"):
        await engine.start(Hanging, Order(1), run=run)
    await log.append(Batch((Append("bad", 3, (CallUnknown("nope#1", "tampered"),), 2.0),)))
    again = Engine(log, [Hanging])
    assert await again.resume() == ["bad", "good"]
    assert "do not follow" in again.parked("bad") and not again.parked("good")
    started = [event for turn in await turns_of(log, "good") for event in turn.events if isinstance(event, CallStarted)]
    assert started[-1].cuts == 1
    for each in (engine, again):
        each._broken = None
        await each.close()
