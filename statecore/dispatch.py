"""Dispatch: one attempt of a specialist, from the request to an outcome. What it raises becomes a value here.

A plain function runs in a thread of its own, a daemon, so that one that hangs keeps neither the engine nor the exit of the
process. A thread cannot be stopped: what it gives after its time is handed to `late`.
"""

import asyncio
import contextvars
import threading
import traceback
from collections.abc import Callable
from typing import Any

import attrs

from statecore.call import Call
from statecore.failpoint import Point, failpoint
from statecore.failures import Crashed, Failure, TimedOut
from statecore.messages import Completed, Failed
from statecore.specialist import Specialist

Outcome = Completed[Any] | Failed[Failure]
Late = Callable[[Outcome], None]

TRACEBACK_LIMIT = 16_384
"""Characters of a traceback that are kept: its end, where the fault is."""


class Dispatcher:
    """`home`: the directory of the log, told to every specialist."""

    def __init__(self, home: str) -> None:
        self.home = home
        self._working: set[asyncio.Task[Any]] = set()

    async def run(self, specialist: Specialist[Any, Any], request: Any, call: Call, timeout: float, late: Late) -> Outcome | None:
        """The outcome of one attempt; None where it was stopped from outside. `timeout` in seconds."""
        task = asyncio.current_task()
        assert task is not None
        self._working.add(task)
        told = (request, attrs.evolve(call, home=self.home)) if specialist.told_call else (request,)
        scope = asyncio.timeout(timeout)
        try:
            async with scope:
                failpoint(Point.BEFORE_CALL)
                value = await (specialist.fn(*told) if specialist.is_async else _in_thread(specialist, told, call, late))
                failpoint(Point.AFTER_CALL)
            return Completed(value, call.id, call.attempt)
        except asyncio.CancelledError:
            return None
        except TimeoutError as error:
            if scope.expired():
                return Failed(TimedOut(f"no outcome after {timeout:g} s", timeout), call.id, call.attempt)
            return failed(error, call)
        except Exception as error:
            return failed(error, call)
        finally:
            self._working.discard(task)

    def stop_one(self, flight: asyncio.Task[Any]) -> None:
        """Stop the work of a flight; one that has its outcome already goes on to take its turn, and is found late."""
        if flight in self._working:
            flight.cancel()

    def stop(self) -> None:
        for flight in list(self._working):
            flight.cancel()


def failed(error: Exception, call: Call) -> Failed[Failure]:
    """What a specialist raised, as a value. Whether a Failure was declared is for the decider to judge."""
    if isinstance(error, Failure):
        return Failed(error, call.id, call.attempt)
    trace = printable("".join(traceback.format_exception(error)))
    return Failed(Crashed(type(error).__name__, printable(str(error))[:2000]), call.id, call.attempt, detail=trace[-TRACEBACK_LIMIT:])


def printable(text: str) -> str:
    """Text that every log can hold: lone surrogates and NUL are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _in_thread(specialist: Specialist[Any, Any], told: tuple[Any, ...], call: Call, late: Late) -> asyncio.Future[Any]:
    loop = asyncio.get_running_loop()
    promised: asyncio.Future[Any] = loop.create_future()

    def deliver(value: Any, error: Exception | None) -> None:
        if promised.cancelled():
            late(failed(error, call) if error else Completed(value, call.id, call.attempt))
        elif error is not None:
            promised.set_exception(error)
        else:
            promised.set_result(value)

    def work() -> None:
        value: Any = None
        error: Exception | None = None
        try:
            value = specialist.fn(*told)
        except Exception as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(deliver, value, error)
        except RuntimeError:
            return  # the loop is closed: the next resume finds the call cut

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), daemon=True, name=f"statecore {call.id}").start()
    return promised
