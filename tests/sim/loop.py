"""An event loop in virtual time, whose process can die at any moment between two of its steps.

What is ready runs first in, first out, as asyncio does it: every order of events here is one that a real loop may
produce. Only the delays are drawn, by whoever sets a timer. Time passes where nothing is ready, or where a callback
stalls the loop.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any


class Killed(SystemExit):
    """The process died here. A SystemExit, since asyncio lets no other exception out of a callback."""


class Deadlock(AssertionError):
    """Something is awaited, and nothing is scheduled that could ever end the waiting."""


class SimLoop(asyncio.BaseEventLoop):
    """`now`: seconds of virtual time. `killed_at`: when the process dies. `dying`: it dies before its next step.
    `too_late`: a moment by which everything must be over. `lateness`: seconds after which what a thread says is heard.
    """

    def __init__(self, now: float, killed_at: float = inf, too_late: float = inf) -> None:
        super().__init__()
        self._selector = self  # what BaseEventLoop asks for events, and waits in
        self.now, self.killed_at, self.too_late = now, killed_at, too_late
        self.dying = False
        self.stalled = 0.0
        self.lateness = 0.0

    def time(self) -> float:
        return self.now

    def stall(self, seconds: float) -> None:
        """A callback that does not give the loop back."""
        self.now += seconds
        self.stalled += seconds

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None and not self.dying:
            raise Deadlock(f"everything waits for ever: {', '.join(sorted(map(_name, asyncio.all_tasks(self))))}")
        then = self._scheduled[0]._when if timeout else self.now  # type: ignore[attr-defined]
        if self.dying or then >= self.killed_at:
            self.now = max(self.now, min(then, self.killed_at))
            raise Killed
        if then > self.too_late:
            waiting = ", ".join(sorted(map(_name, asyncio.all_tasks(self))))
            raise Deadlock(f"it is not over after {self.too_late:,.0f} s; waiting until {then:,.0f} s: {waiting}")
        self.now = max(self.now, then)
        return []

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return self.call_later(self.lateness, callback, *args, context=context)

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def bury(loop: SimLoop, tasks: list["asyncio.Task[Any]"]) -> None:
    """Take away what a dead process left, once nobody looks any more: only now do its `finally` blocks run."""
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    for task in tasks:
        coroutine = task.get_coro()
        for _ in range(100):  # one that awaits in `finally` goes on: close it again
            try:
                coroutine.close()  # type: ignore[union-attr]
                break
            except BaseException:
                continue
    loop.close()


def _name(task: "asyncio.Task[Any]") -> str:
    return getattr(task.get_coro(), "__qualname__", "a task")
