"""Far times: by when each waiting run is to be looked at. One timer of the event loop for all of them.

A run that waits for days costs one entry here, and need not be in memory. The loop is never asked to sleep longer than
LONGEST at a time: what it sleeps by is not the clock that the due time was written in, and over days the two part, or the
machine was asleep.
"""

import asyncio
from collections.abc import Callable, Iterator
from heapq import heappop, heappush

import attrs

from statecore.clock import Clock

LONGEST = 3600.0
"""Seconds of one sleep."""


@attrs.define(eq=False)
class Alarms:
    """`ring(run, due)` is called once, and never early, when what is due by then may be taken."""

    clock: Clock
    ring: Callable[[str, float], None]
    _set: dict[str, tuple[float, float]] = attrs.field(factory=dict)
    _heap: list[tuple[float, str]] = attrs.field(factory=list)
    _timer: asyncio.TimerHandle | None = None
    _until: float = float("inf")

    def set(self, run: str, due: float, since: float) -> None:
        """`since`: when the wait began. A clock that was put back behind that makes it no longer than it is as a whole."""
        if self._set.get(run, (0.0, None))[1] == due:
            return
        self.drop(run)
        now = self.clock.now()
        when = due - max(0.0, since - now)
        self._set[run] = when, due
        heappush(self._heap, (when, run))
        self._sleep(now)

    def drop(self, run: str) -> None:
        self._set.pop(run, None)

    def __iter__(self) -> Iterator[str]:
        """The runs that have one."""
        return iter(self._set)

    def stop(self) -> None:
        for run in list(self._set):
            self.drop(run)
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _sleep(self, now: float) -> None:
        """Until the next one, unless that is what is slept for."""
        while self._heap and self._set.get(self._heap[0][1], (None,))[0] != self._heap[0][0]:
            heappop(self._heap)
        if not self._heap or (self._timer is not None and self._until <= self._heap[0][0]):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._until = self._heap[0][0]
        delay = min(LONGEST, max(0.0, self._until - now))
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer, now = None, self.clock.now()
        while self._heap and self._heap[0][0] <= now:
            when, run = heappop(self._heap)
            if (found := self._set.get(run)) and found[0] == when:
                del self._set[run]
                self.ring(run, found[1])
        self._sleep(now)
