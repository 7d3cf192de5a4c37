"""Virtual time: waiting takes none, work takes what it takes, and what can never end is said."""

import asyncio
import sys
import time

import pytest

from statecore import Completed, Engine, Failed, State, Workflow, specialist
from statecore.guard import Defer, Pass
from statecore.log import MemoryLog
from statecore.testing import Stuck, VirtualClock, run_virtual
from statecore.testing.virtual import EPOCH
from tests.crew import Bill, Crew, Job, Piece, Says, line

DAY = 86_400.0


@specialist("saw", version="1", effect="pure")
def saw(job: Job) -> Piece:
    time.sleep(0.05)
    return Piece("sawn")


class Sawing(Workflow[Job], version="1"):
    sawing = State(saw, initial=True, timeout=30)
    sawn = State(final=True)
    scrapped = State(final=True, outcome="failed")
    done = sawing.to(sawn, on=Completed[Piece])
    failed = sawing.to(scrapped, on=Failed)


def test_three_days_take_no_time() -> None:
    """A workflow that a guard holds for three days, and whose attempts wait besides, is over at once and on time."""

    async def main() -> tuple[str, float]:
        later = Says("office_hours", "before", [lambda question, ledger: Defer("closed", EPOCH + 3 * DAY), Pass()])
        async with Engine(MemoryLog(), guards=[later], clock=VirtualClock()) as engine:
            run = await engine.run(line(Crew(), sell=[Bill(1.0)]), Job())
        return run.outcome, run.at - run.started

    begun = time.perf_counter()
    outcome, lasted = run_virtual(main())
    assert (outcome, lasted) == ("completed", 3 * DAY)
    assert time.perf_counter() - begun < 1.0


@pytest.mark.parametrize("days", [194, 195, 4000, 70_000])
def test_years_take_no_time_either(days: int) -> None:
    """Seconds that a float cannot add to so late a time are over all the same: nothing turns for ever at the end of a wait."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(days * DAY - 0.3)
        await asyncio.sleep(0.1 + 0.2)
        for _ in range(200):
            await asyncio.sleep(1e-9)
        return loop.time()

    assert run_virtual(main()) == pytest.approx(days * DAY)


def test_time_is_the_same_every_time() -> None:
    """Timers fire in the order of their times and at exactly these, whatever this machine is busy with."""

    async def main() -> list[float]:
        loop, seen = asyncio.get_running_loop(), []

        async def wait(seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append(loop.time())

        await asyncio.gather(*[wait(seconds) for seconds in (5, 0.25, 3 * DAY, 1)])
        assert VirtualClock().now() == EPOCH + loop.time()
        return seen

    assert run_virtual(main()) == run_virtual(main()) == [0.25, 1, 5, 3 * DAY]


def test_no_timeout_overtakes_work_in_a_thread() -> None:
    """While a plain function works in its thread, time passes as it does outside: its timeout does not fire at once."""

    async def main() -> tuple[str, float]:
        async with Engine(MemoryLog(), clock=VirtualClock()) as engine:
            run = await engine.run(Sawing, Job())
        return run.outcome, run.at - run.started

    outcome, lasted = run_virtual(main())
    assert outcome == "completed" and 0.04 < lasted < 5


def test_no_timeout_overtakes_an_executor_or_a_program() -> None:
    """Nor does one of work that the loop's executor does, or another process."""

    async def main() -> float:
        async with asyncio.timeout(30):
            await asyncio.to_thread(time.sleep, 0.05)
            program = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "import time; time.sleep(0.05)")
            assert await program.wait() == 0
        await asyncio.sleep(DAY)
        return asyncio.get_running_loop().time()

    assert DAY < run_virtual(main()) < DAY + 30


def test_what_waits_for_ever_is_said() -> None:
    """Where everything waits and no timer is set, the test fails at once and names what waits."""

    async def nobody_comes() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match=r"found waiting: .*nobody_comes: say what should come"):
        run_virtual(nobody_comes())


async def test_a_running_loop_is_refused() -> None:
    """Virtual time needs a loop of its own, and says so where there is one already."""
    with pytest.raises(RuntimeError, match="make the test a plain `def`"):
        run_virtual(asyncio.sleep(1))


def test_what_the_work_raises_comes_out() -> None:
    """An exception of the main coroutine is that of `run_virtual`, and its result is its result."""

    async def fails() -> None:
        await asyncio.sleep(DAY)
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_virtual(fails())
    assert run_virtual(asyncio.sleep(DAY, "slept")) == "slept"
