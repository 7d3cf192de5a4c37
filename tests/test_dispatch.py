"""One attempt of a specialist: whatever it does, there is an outcome, and it is a value."""

import asyncio
import threading
from typing import Any

import attrs
import pytest

from statecore.call import Call, CallState
from statecore.dispatch import TRACEBACK_LIMIT, Dispatcher, Outcome
from statecore.events import Payload
from statecore.failures import Crashed, Rejected, TimedOut, printable, told
from statecore.messages import Completed, Failed
from tests.crew import Crew, Jammed, Job, Piece, Stranger, hang

CALL = Call("run", "cutting#1", "cut@1", 2, 1, "pure", Payload("Job", b"{}"), (0,), CallState.STARTED, 1.0)


async def outcome(*does: Any, sync: bool = False, seconds: float = 5.0, late: Any = None) -> Outcome | None:
    made = Crew()("cut", *does, sync=sync, fails=[Jammed])
    return await Dispatcher("/home/of/log", lambda: 0.0).run(made, Job(), CALL, seconds, late or pytest.fail)


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no")


def endless(request: Any, call: Any) -> Any:
    return endless(request, call)


RAISED = [
    (Jammed("x"), Jammed("x")),
    (Rejected("me", ("x",)), Rejected("me", ("x",))),
    (Stranger("x"), Stranger("x")),
    (ValueError("x"), Crashed("ValueError", "x")),
    (TimeoutError("mine"), Crashed("TimeoutError", "mine")),
    (asyncio.CancelledError("mine"), Crashed("CancelledError", "mine")),
    (SystemExit(2), Crashed("SystemExit", "2")),
    (ValueError("\0\ud800"), Crashed("ValueError", "\\0\\ud800")),
    (Mute(), Crashed("Mute", "(a Mute that cannot be printed)")),
    (ExceptionGroup("both", [ValueError("a"), KeyError("b")]), Crashed("ExceptionGroup", "both (2 sub-exceptions)")),
]


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize(("raised", "failure"), RAISED, ids=[type(raised).__name__ for raised, _ in RAISED])
async def test_whatever_is_raised_becomes_a_failure(sync: bool, raised: BaseException, failure: Any) -> None:
    """On the loop and in a thread alike; a declared failure has no traceback, everything else keeps its own."""
    found = await outcome(raised, sync=sync)
    assert isinstance(found, Failed) and found.value == failure
    assert (found.call, found.attempt, found.rank) == ("cutting#1", 2, 1)
    assert ("Traceback" in found.detail) is (not isinstance(raised, Jammed | Rejected))


async def test_stop_iteration_from_a_thread_is_a_failure_too() -> None:
    """No future takes a StopIteration; the call ends all the same."""
    found = await outcome(StopIteration("x"), sync=True)
    assert isinstance(found, Failed) and found.value == Crashed("StopIteration", "x")


@pytest.mark.parametrize("sync", [False, True])
async def test_endless_recursion_is_a_crash(sync: bool) -> None:
    """A RecursionError, with the end of its traceback and no more than is kept of any."""
    found = await outcome(endless, sync=sync)
    assert isinstance(found, Failed) and found.value.error == "RecursionError" and len(found.detail) <= TRACEBACK_LIMIT


@pytest.mark.parametrize("sync", [False, True])
async def test_what_is_given_is_handed_on_as_it_is(sync: bool) -> None:
    """Whether it fits the contract is not for the dispatcher to judge; the specialist is told where the log lives."""
    homes = []

    def give(request: Any, call: Call) -> Any:
        homes.append(call.home)
        return "prose"

    found = await outcome(give, sync=sync)
    assert isinstance(found, Completed) and (found.value, found.call, found.attempt, found.rank) == (
        "prose",
        "cutting#1",
        2,
        1,
    )
    assert homes == ["/home/of/log"]


async def test_a_specialist_of_one_parameter_is_not_told_its_call() -> None:
    """Only who asks for the Call in its signature gets it."""
    from statecore import specialist

    @specialist("plain", version="1", effect="pure")
    async def plain(job: Job) -> Piece:
        return Piece(job.text)

    assert await Dispatcher("", lambda: 0.0).run(plain, Job("x"), CALL, 1.0, pytest.fail) == Completed(
        Piece("x"), "cutting#1", 2, rank=1
    )


async def test_async_work_that_takes_too_long_is_cancelled_and_timed_out() -> None:
    """It is told by its cancellation; the failure says the limit."""
    told_so = []

    async def slow(request: Any, call: Any) -> Any:
        try:
            await hang(request, call)
        except asyncio.CancelledError:
            told_so.append(True)
            raise

    found = await outcome(slow, seconds=0.001)
    assert (
        isinstance(found, Failed) and found.value == TimedOut("no outcome after 0.001 s", 0.001) and told_so == [True]
    )


async def test_a_thread_that_takes_too_long_is_late() -> None:
    """The attempt is timed out at its time; what the thread gives afterwards goes to `late`, with the run and the
    attempt.
    """
    release, late = threading.Event(), asyncio.get_running_loop().create_future()

    def slow(request: Any, call: Any) -> Any:
        release.wait(10)
        raise Jammed("after all")

    found = await outcome(slow, sync=True, seconds=0.001, late=lambda run, outcome: late.set_result((run, outcome)))
    assert isinstance(found, Failed) and isinstance(found.value, TimedOut)
    release.set()
    run, outcome_late = await late
    assert (
        run == "run"
        and outcome_late.value == Jammed("after all")
        and (outcome_late.attempt, outcome_late.rank) == (2, 1)
    )


async def test_what_is_stopped_from_outside_has_no_outcome() -> None:
    """Also where it was stopped before its first step; one that is past its work is left alone."""
    for steps in (0, 1, 2):
        dispatcher, crew = Dispatcher("", lambda: 0.0), Crew()
        flight = asyncio.create_task(dispatcher.run(crew("cut", hang), Job(), CALL, 5.0, pytest.fail))
        dispatcher.watch(flight)
        for _ in range(steps):
            await asyncio.sleep(0)
        dispatcher.stop_one(flight)
        found = (await asyncio.gather(flight, return_exceptions=True))[0]
        assert (isinstance(found, asyncio.CancelledError) and not crew.asked) if steps == 0 else found is None
        dispatcher.forget(flight)
        assert not dispatcher._working
    await outcome_is_left_alone()


async def outcome_is_left_alone() -> None:
    dispatcher, landed = Dispatcher("", lambda: 0.0), asyncio.Event()

    async def fly() -> Any:
        found = await dispatcher.run(Crew()("cut"), Job(), CALL, 5.0, pytest.fail)
        landed.set()
        await asyncio.sleep(0)
        return found

    flight = asyncio.create_task(fly())
    dispatcher.watch(flight)
    await landed.wait()
    dispatcher.stop_one(flight)
    dispatcher.stop()
    assert isinstance(await flight, Completed)


async def test_an_error_on_the_way_out_of_a_stopped_specialist_is_an_outcome() -> None:
    """A specialist that answers its cancellation with something else is heard; whether that is late is for the
    decider.
    """

    async def stubborn(request: Any, call: Any) -> Any:
        try:
            await hang(request, call)
        finally:
            raise ValueError("while cleaning up")

    dispatcher = Dispatcher("", lambda: 0.0)
    flight = asyncio.create_task(dispatcher.run(Crew()("cut", stubborn), Job(), CALL, 5.0, pytest.fail))
    dispatcher.watch(flight)
    await asyncio.sleep(0)
    dispatcher.stop()
    found = await flight
    assert found is not None and found.value == Crashed("ValueError", "while cleaning up")


def test_text_that_no_log_can_hold_is_spelled_out() -> None:
    """NUL and lone surrogates are readable afterwards, everything else is as it was; no exception is unprintable."""
    assert printable("a\0b\ud800c äöü 🙂") == "a\\0b\\ud800c äöü 🙂"
    assert told(Mute()) == "(a Mute that cannot be printed)" and len(told(ValueError("x" * 9000))) == 2000


def test_a_call_is_the_same_in_every_home() -> None:
    """The directory is told at dispatch and is no part of what the call is."""
    assert attrs.evolve(CALL, home="/elsewhere") == CALL
