"""The tasks of an engine: each is waited for when it closes, and what somebody asked for is done whole even where they go
away.
"""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from statecore.errors import NotPossible

if TYPE_CHECKING:
    from statecore.core import Core

R = TypeVar("R")

GRACE = 2.0
"""Seconds that `Engine.close` gives the calls in flight to end by themselves."""


class Tasks:
    def __init__(self, core: "Core") -> None:
        self._core = core
        self.open: set[asyncio.Task[Any]] = set()

    def track(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """A task that `close` waits for, and that lives until it is over."""
        task = asyncio.create_task(work)
        self.open.add(task)
        task.add_done_callback(self.open.discard)
        return task

    async def shielded(self, work: Coroutine[Any, Any, R]) -> R:
        """A turn is taken whole even where the one who asked for it goes away. Raises NotPossible where the engine is
        closed.
        """
        if self._core.closing:
            work.close()
            raise NotPossible("the engine is closed: open one on the log again")
        task = self.track(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise NotPossible("the engine was closed before this was done: look into the log") from None
            raise

    async def end_by_themselves(self) -> None:
        """Wait until they are over, GRACE seconds at most, and not for a log that failed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GRACE
        while self.open and self._core.broken is None and (left := deadline - loop.time()) > 0:
            await asyncio.wait(self.open, timeout=left)

    async def stop(self) -> None:
        for task in self.open:
            task.cancel()
        if self.open:
            await asyncio.wait(self.open, timeout=GRACE)
