"""Dispatch: one attempt of a specialist, from the request to an outcome. What it raises becomes a value here.

A plain function runs in a thread of its own, a daemon, so that one that hangs keeps neither the engine nor the exit
of the process. A thread cannot be stopped: what it gives after its time is handed to `late`.
"""

import asyncio
import contextvars
import threading
import traceback
from collections.abc import Callable
from typing import Any

import attrs

from statecore.call import Call
from statecore.envelope import Warned
from statecore.failpoint import Point, failpoint
from statecore.failures import Crashed, Failure, TimedOut, printable, told
from statecore.messages import Completed, Failed
from statecore.specialist import Specialist
from statecore.stall import watched

Outcome = Completed[Any] | Failed[Failure]
Late = Callable[[str, Outcome], None]
"""Told the run and the outcome of work that went on after its time."""

TRACEBACK_LIMIT = 16_384
"""Characters of a traceback that are kept: its end, where the fault is."""


class Dispatcher:
    """`home`: the directory of the log, told to every specialist. `now`: the time that an outcome came."""

    def __init__(self, home: str, now: Callable[[], float]) -> None:
        self.home, self._now = home, now
        self._working: set[asyncio.Task[Any]] = set()

    def watch(self, flight: asyncio.Task[Any]) -> None:
        """From now on, and until its work is over, `flight` can be stopped."""
        self._working.add(flight)

    def forget(self, task: asyncio.Task[Any]) -> None:
        """It is over; one that was cancelled before its first step never said so itself."""
        self._working.discard(task)

    async def run(
        self, specialist: Specialist[Any, Any], request: Any, call: Call, limit: float, late: Late
    ) -> Outcome | None:
        """The outcome of one attempt, with its time; None where it was stopped from outside. `limit` in seconds.

        Async work is only as stoppable as it lets itself be: one that swallows its cancellation is waited for.
        """
        task = asyncio.current_task()
        assert task is not None
        args = (request, attrs.evolve(call, home=self.home)) if specialist.told_call else (request,)
        scope = asyncio.timeout(limit)
        try:
            async with scope:
                failpoint(Point.BEFORE_CALL)
                if specialist.is_async:
                    value = await watched(specialist.fn(*args), call)
                    outcome: Outcome = completed(value, call, self._now())
                else:
                    outcome = attrs.evolve(await _in_thread(specialist, args, call, late), at=self._now())
                failpoint(Point.AFTER_CALL)
            return outcome
        except asyncio.CancelledError as error:
            return None if task.cancelling() else failed(error, call, specialist, self._now())
        except TimeoutError as error:
            if scope.expired():
                why = TimedOut(f"no outcome after {limit:g} s", limit)
                return Failed(why, call.id, call.attempt, self._now(), rank=call.rank)
            return failed(error, call, specialist, self._now())
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return failed(error, call, specialist, self._now())
        finally:
            self._working.discard(task)

    def stop_one(self, flight: asyncio.Task[Any]) -> None:
        """Stop the work of a flight; one that has its outcome already goes on to take its turn, and is found late."""
        if flight in self._working:
            flight.cancel()

    def stop(self) -> None:
        for flight in list(self._working):
            flight.cancel()


def completed(value: Any, call: Call, at: float = 0.0) -> Completed[Any]:
    said = value.warnings if isinstance(value, Warned) else ()
    value = value.value if isinstance(value, Warned) else value
    return Completed(value, call.id, call.attempt, at, rank=call.rank, warnings=said)


def failed(error: BaseException, call: Call, specialist: Specialist[Any, Any], at: float = 0.0) -> Failed[Failure]:
    """What a specialist raised, as a value. Whether it may end so is for the decider to judge."""
    kind = type(error)  # an exception that was made to raise when it is asked would answer isinstance so
    detail = "" if issubclass(kind, specialist.may_fail()) else _traceback(error)
    failure: Any = error if issubclass(kind, Failure) else Crashed(kind.__name__, told(error))
    return Failed(failure, call.id, call.attempt, at, detail=detail, rank=call.rank)


def _traceback(error: BaseException) -> str:
    """Its end. Never raises, whatever the exception does when it is asked."""
    try:
        return printable("".join(traceback.format_exception(error)))[-TRACEBACK_LIMIT:]
    except Exception:
        return f"(a {type(error).__name__} whose traceback cannot be printed)"


def _in_thread(
    specialist: Specialist[Any, Any], args: tuple[Any, ...], call: Call, late: Late
) -> asyncio.Future[Outcome]:
    loop = asyncio.get_running_loop()
    promised: asyncio.Future[Outcome] = loop.create_future()

    def deliver(outcome: Outcome) -> None:
        if promised.cancelled():
            late(call.run, outcome)
        else:
            promised.set_result(outcome)

    def work() -> None:
        try:
            outcome: Outcome = completed(specialist.fn(*args), call)
        except BaseException as error:  # SystemExit too: it would end this thread only, and nobody would hear of it
            outcome = failed(error, call, specialist)
        try:
            loop.call_soon_threadsafe(deliver, outcome)
        except RuntimeError:
            return  # the loop is closed: the next resume finds the call cut

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), daemon=True, name=f"statecore {call.id}").start()
    return promised
