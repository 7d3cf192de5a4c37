"""The clock port. The engine asks it for the time of an input; waiting is the event loop's."""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class SystemClock:
    """The wall clock as it was at the start plus the monotonic clock: a jump of the wall clock moves nothing in this
    process.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return round(self._offset + time.monotonic(), 6)
