"""Who held the event loop: an async specialist that blocks instead of waiting.

While it does, nothing else of the process goes on: no other run, no timer, no request. Nothing is lost by that and
nothing done twice, but a call whose answer came meanwhile can be timed out before anybody looks. So whoever blocked is
named in the log of the process (`logging.getLogger("statecore")`, a warning). What is seen is each step of a
specialist, from one await to the next; conditions, hand-overs and guards are not timed.
"""

import asyncio
import logging
import types
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

from statecore.call import Call

R = TypeVar("R")

LIMIT = 2.0
"""Seconds that one step may take: far more than any step of work that waits, far less than a timeout."""

log = logging.getLogger("statecore")


@types.coroutine
def watched(work: Awaitable[R], call: Call) -> Generator[Any, Any, R]:
    """Await `work`, and warn of each step that takes more than LIMIT seconds of the loop's time."""
    clock = asyncio.get_running_loop().time
    steps: Any = work.__await__()
    go, value = steps.send, None
    while True:
        begun = clock()
        try:
            awaited = go(value)
        except StopIteration as done:
            result: R = done.value
            return result
        finally:
            if (held := clock() - begun) > LIMIT:
                _warn(call, held)
        try:
            go, value = steps.send, (yield awaited)
        except BaseException as thrown:  # what is thrown into the flight, its cancellation say, is for the specialist
            go, value = steps.throw, thrown


def _warn(call: Call, held: float) -> None:
    log.warning(
        "%s held the event loop for %.1f s in %s of run %a: nothing else could go on meanwhile; await what blocks, or"
        " make it a plain function, which runs in a thread",
        *(call.specialist, held, call.id, call.run),
    )
