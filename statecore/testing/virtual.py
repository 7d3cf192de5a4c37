"""Virtual time: an event loop on which waiting takes no time.

Where nothing is ready and nothing is under way outside the loop, time jumps to the next timer. While something is under
way (a thread of a specialist, an executor, a child process, a socket), time passes as it does outside, so that work
which really takes a moment is not overtaken by its own timeout.
"""

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

EPOCH = 1_767_225_600.0
"""Where virtual time begins: 2026-01-01 00:00:00 UTC, in seconds since the epoch."""

WORKERS = ("statecore ", "asyncio-waitpid-")
"""How the threads are called that the dispatcher runs plain functions in, and asyncio waits for child processes in."""

POLL = 0.01
"""Real seconds after which it is asked again whether anything is under way: a thread may end without waking the loop."""


RESOLUTION = 1e-6
"""Seconds by which a timer counts as due. Added to a time it has to make another one, also after 200 years: where it does
not, the loop asks for ever whether a timer is due that is due just now.
"""


class Stuck(RuntimeError):
    """Everything waits, and nothing that could end the waiting is under way."""


class _Jumping(selectors.DefaultSelector):
    """`now`: seconds of virtual time. `outside`: whether something is under way that the loop only hears of."""

    def __init__(self, outside: Callable[[], bool]) -> None:
        super().__init__()
        self.now, self._outside = 0.0, outside

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        outside = self._outside()  # asked first: what ends from here on has woken the select below
        found = super().select(0)
        if found or timeout == 0:
            return found
        if outside:
            return self._wait(timeout)
        if timeout is None:
            raise Stuck(_stuck())
        self.now += timeout
        return found

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        begun = time.monotonic()
        found = super().select(POLL if timeout is None else min(timeout, POLL))
        self.now += time.monotonic() - begun
        return found


def _stuck() -> str:
    waiting = sorted(getattr(task.get_coro(), "__qualname__", "a task") for task in asyncio.all_tasks())
    return f"everything waits and no timer is set, so the test would hang; found waiting: {', '.join(waiting)}: say what should come, or set a timeout"


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. `time()` begins at 0."""

    def __init__(self) -> None:
        self._jobs = 0
        self._before = set(threading.enumerate())
        self._jumping = _Jumping(self._outside)
        super().__init__(self._jumping)
        self._clock_resolution = RESOLUTION

    def time(self) -> float:
        return self._jumping.now

    def _outside(self) -> bool:
        listening = len(self._jumping.get_map()) > 1  # one is the loop's own, by which threads wake it
        return listening or self._jobs > 0 or any(self._works(thread) for thread in threading.enumerate())

    def _works(self, thread: threading.Thread) -> bool:
        return thread.name.startswith(WORKERS) and thread not in self._before

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], R], *args: *Ts) -> asyncio.Future[R]:
        self._jobs += 1
        job = super().run_in_executor(executor, func, *args)
        job.add_done_callback(self._job_done)
        return job

    def _job_done(self, _: object) -> None:
        self._jobs -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        self._jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jobs -= 1


class VirtualClock:
    """The clock port of an engine on a virtual loop: seconds since the epoch, beginning at `begins`."""

    def __init__(self, begins: float = EPOCH) -> None:
        self.begins = begins

    def now(self) -> float:
        return round(self.begins + asyncio.get_running_loop().time(), 6)


def run_virtual(main: Coroutine[Any, Any, R]) -> R:
    """Run `main` on a virtual loop of its own and give its result: a wait of three days takes milliseconds.

    Raises Stuck where everything waits for ever, RuntimeError where this thread runs a loop already.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main)
    main.close()
    raise RuntimeError(
        "a loop is running here already, and virtual time needs one of its own: make the test a plain `def`"
    )
