"""Forks of runs in the middle of much: at every event, at once and days later, of forks and of children."""

import asyncio

import pytest

from statecore import Completed, Engine, Failed, Part, Plan, State, Workflow, any_state, child
from statecore.asks import asks
from statecore.call import CallState
from statecore.errors import BadInput, NotPossible
from statecore.events import CallLate, CallStarted, CallUnknown, TimerFired
from statecore.fork import fork
from statecore.log import MemoryLog
from statecore.replay import rebuild, turns_of, verify
from statecore.run import Run
from statecore.switches import switch
from statecore.testing.virtual import VirtualClock, run_virtual
from tests.mill import Asking, Chair, Lasting, Milling, Order, Plank, Word, chair, finish, saw, stamp

WHO = {"by": "ben", "why": "another way"}
CHILDREN = ("r/both/work/making#1/asked", "r/both/work/making#1/stamped")


async def milled(log: MemoryLog) -> Run:
    """A run that went through all of it."""
    async with Engine(log, [Milling], clock=VirtualClock()) as engine:
        await engine.start(Milling, Order("oak"), run="r", tenant="acme")
        run = await finish(engine, "r")
    assert run.outcome == "completed"
    return run


async def forked(log: MemoryLog, later: float, of: str = "r") -> dict[int, Run]:
    """A fork at each event of a run, seen to its end, by where it was forked; those that are refused are left out."""
    await asyncio.sleep(later)
    found, last = {}, (await rebuild(log, of)).seq
    async with Engine(log, [Milling], clock=VirtualClock()) as engine:
        ends = {turn.version for turn in await turns_of(log, of)}
        for at in range(1, last + 1):
            new = f"f{at}"
            if at not in ends:
                with pytest.raises(BadInput, match=rf"event {at} of .* does not end a turn: .* so fork it at \d+"):
                    await engine.fork(of, at, new=new, **WHO)
            elif at == last:
                with pytest.raises(NotPossible, match=f"was .* at event {at}: fork it at an earlier one"):
                    await engine.fork(of, at, new=new, **WHO)
            else:
                await engine.fork(of, at, new=new, **WHO)
                found[at] = await finish(engine, new)
                assert found[at] == await rebuild(log, new)
        assert await verify(log, engine.registry) == [] == await log.verify()
    return found


@pytest.mark.parametrize("later", [0.0, 2 * 86_400.0], ids=["at once", "days later"])
def test_a_fork_at_every_event_is_refused_or_comes_to_an_end(later: float) -> None:
    """With plans, children, people, effects and times open. At once it completes as the old run did; days later, what
    has a deadline that is over by then ends on it.
    """

    async def main() -> None:
        log = Lasting()
        old = await milled(log)
        before = [turn async for turn in log.read("r")]
        found = await forked(log, later)
        assert len(found) > 10
        rested = (await turns_of(log, "r"))[-2].version  # from there on only a wait is left, and it comes first
        for at, run in found.items():
            assert run.outcome == ("failed" if later and at < rested else "completed"), at
        for at, run in found.items():
            assert (run.root, run.parent, run.tenant) == (f"f{at}", "", "acme")
            fired = [event for turn in await turns_of(log, f"f{at}") for event in turn.events]
            states = [event.state for event in fired if isinstance(event, TimerFired)]
            assert len(states) == len(set(states))
            once = [e.call for e in fired if isinstance(e, CallStarted) and e.effect == "once" and not e.kind]
            assert len(once) == len(set(once)), "an effect that must not happen twice was begun twice"
        assert [turn async for turn in log.read("r")] == before and await rebuild(log, "r") == old

    run_virtual(main())


def test_of_the_children_of_a_fork_only_those_begin_that_change_nothing() -> None:
    """The child that may change the world is parked in the fork; the other begins anew under the name of the fork, and
    asks its own question.
    """

    async def main() -> None:
        log = Lasting()
        await milled(log)
        at = (await turns_of(log, "r"))[1].version
        async with Engine(log, [Milling], clock=VirtualClock()) as engine:
            await engine.fork("r", at, new="f", **WHO)
            run = await engine.wait("f")
            unknown = {call.part for call in run.calls.values() if call.status is CallState.UNKNOWN}
            assert unknown == {"stamp", "stamped"} and run.condition == "parked"
            assert {info.name for info in await log.streams() if info.name.startswith("f/")} == {
                "f/both/work/making#1/asked"
            }
            child = await engine.state("f/both/work/making#1/asked")
            assert (child.root, child.parent, child.depth, child.tenant) == ("f", "f", 1, "acme")
            assert (await finish(engine, "f")).outcome == "completed"
            assert [
                event.call
                for turn in await turns_of(log, "f")
                for event in turn.events
                if isinstance(event, CallUnknown)
            ] == []
            assert await verify(log, engine.registry) == []

    run_virtual(main())


def test_the_answer_to_a_fork_is_not_that_to_the_old_run() -> None:
    """The same question is open in both: each has a digest of its own, and an answer bound to the one is refused by the
    other.
    """

    async def main() -> None:
        log = Lasting()
        async with Engine(log, [Milling], clock=VirtualClock()) as engine:
            await engine.start(Milling, Order("oak"), run="r")
            await asyncio.sleep(5)
            await engine.fork("r", (await turns_of(log, "r"))[1].version, new="f", **WHO)
            await asyncio.sleep(5)
            asked = {ask.run.id: ask for ask in await asks(log, engine.registry) if ask.call.part == "clerk"}
            assert set(asked) == {"r", "f"} and asked["r"].shown != asked["f"].shown
            assert asked["r"].call.request == asked["f"].call.request
            clerk = "both/work/making#1/clerk"
            with pytest.raises(NotPossible, match="asks something else by now"):
                await engine.answer("f", clerk, Word("w"), by="ana", why="", shown=asked["r"].shown)
            await engine.answer("f", clerk, Word("w"), by="ana", why="", shown=asked["f"].shown)
            assert clerk in (await engine.state("r")).calls and clerk not in (await engine.state("f")).calls
            for run in ("r", "f"):
                assert (await finish(engine, run)).outcome == "completed"
            assert await verify(log, engine.registry) == []

    run_virtual(main())


def test_forks_of_forks_and_of_children_at_every_event() -> None:
    """A fork shares what a fork shared, and decides it as those before it did; a child's fork is nobody's child."""

    async def main() -> None:
        log = Lasting()
        await milled(log)
        async with Engine(log, [Milling, Asking], clock=VirtualClock()) as engine:
            turns = await turns_of(log, "r")
            await engine.fork("r", turns[4].version, new="a", **WHO)
            await finish(engine, "a")
            for turn in (await turns_of(log, "a"))[:-1]:
                new = f"a{turn.version}"
                await engine.fork("a", turn.version, new=new, **WHO)
                assert (await finish(engine, new)).outcome == "completed"
            for child in CHILDREN:
                for turn in (await turns_of(log, child))[:-1]:
                    new = await engine.fork(child, turn.version, **WHO)
                    run = await finish(engine, new)
                    assert run.outcome in ("completed", "partial") and (run.parent, run.root) == ("", new)
            assert await verify(log, engine.registry) == []

    run_virtual(main())


def test_a_call_that_a_guard_holds_is_held_in_the_fork_too() -> None:
    """Nothing of it was begun: when the specialist is on again, both call it, each under a key of its own."""

    async def main() -> None:
        log = Lasting()
        await switch(log, "stamp", False, 0.0, by="ana", why="it hangs")
        async with Engine(log, [Milling], clock=VirtualClock()) as engine:
            await engine.start(Milling, Order("oak"), run="r")
            await asyncio.sleep(1)
            await engine.fork("r", (await turns_of(log, "r"))[1].version, new="f", **WHO)
            await asyncio.sleep(1)
            found = (await engine.state("f")).calls["both/work/making#1/stamp"]
            assert (found.status, found.why) == (CallState.DEFERRED, "stamp was disabled by ana: it hangs")
            await switch(log, "stamp", True, 0.0, by="ana", why="mended")
            await engine.reconfigure()
            for run in ("r", "f"):
                assert (await finish(engine, run)).outcome == "completed"
            assert await verify(log, engine.registry) == []

    run_virtual(main())


def test_a_child_of_a_fork_has_its_own_time() -> None:
    """It begins in the fork, days after that of the old run, and may take as long as that one might."""

    class Hurried(Workflow[Plank], version="1"):
        asking = State(child(Asking), initial=True, timeout=60)
        told = State(final=True)
        lost = State(final=True, outcome="failed")
        said = asking.to(told, on=Completed[Word])
        gave_up = any_state.to(lost, on=Failed)

    async def main() -> None:
        log = Lasting()
        async with Engine(log, [Hurried], clock=VirtualClock()) as engine:
            await engine.start(Hurried, Plank("oak"), run="r")
            await asyncio.sleep(2 * 86_400)
            assert (await engine.wait("r")).outcome == "failed"
            at = (await turns_of(log, "r"))[0].version
            await engine.fork("r", at, new="f", **WHO)
            await asyncio.sleep(59)
            assert (await engine.state("f")).calls.keys() == {"asking#1"}
            await engine.fork("r", at, new="g", **WHO)
            await asyncio.sleep(59)
            assert ((await engine.state("f")).outcome, (await engine.state("g")).outcome) == ("failed", "")
            await engine.answer("g/asking#1", "asking", Word("w"), by="ana", why="")
            assert (await engine.wait("g")).outcome == "completed"
            assert await verify(log, engine.registry) == []

    run_virtual(main())


class Narrow(Workflow[Plank], version="1"):
    """One call at a time: first the effect, then what does not wait for it."""

    making = State(
        Plan(Part(stamp, expects=9.0), Part(saw, attempts=2), Part(child(Asking), id="asked"), assemble=chair, width=1),
        initial=True,
    )
    made = State(final=True)
    lost = State(final=True, outcome="failed")
    done = making.to(made, on=Completed[Chair])
    gave_up = any_state.to(lost, on=Failed)


@pytest.mark.parametrize("again", [False, True], ids=["at once", "by another process"])
def test_a_call_that_a_fork_parks_takes_no_place_in_its_plan(again: bool) -> None:
    """What does not wait for it goes on in the fork, as it does after a crash, and is decided again."""

    async def main() -> None:
        log = Lasting()
        engine = Engine(log, [Narrow], clock=VirtualClock())
        await engine.start(Narrow, Plank("oak"), run="r")
        await asyncio.sleep(1)
        if again:
            await fork(log, "r", (await rebuild(log, "r")).seq, "f", engine.clock.now(), **WHO)
            await engine.close()
            engine = Engine(log, [Narrow], clock=VirtualClock())
            await engine.resume("f")
        else:
            await engine.fork("r", (await rebuild(log, "r")).seq, new="f", **WHO)
        run = await engine.wait("f")
        parts = {call.part: call.status for call in run.calls.values()}
        assert parts == {"stamp": CallState.UNKNOWN, "asked": CallState.STARTED} and run.condition == "parked"
        assert {value.part for value in run.values if value.part} == {"saw"}
        late = Completed(Plank("late"), "making#1/saw", 1, engine.clock.now())
        assert [type(event) for event in (await engine._core.turns.hear("f", lambda _: late))[0]] == [CallLate]
        assert (await finish(engine, "f")).outcome == "completed"
        assert await verify(log, engine.registry) == []

    run_virtual(main())
