"""A user's module for the command line: an errand that is quick or slow, one that pays, one that waits for a signal."""

import asyncio
from pathlib import Path

import attrs

from statecore import Call, Completed, Failed, Signal, State, Workflow, any_state, child, specialist


@attrs.frozen
class Errand:
    seconds: float = 0.0
    text: str = ""


@attrs.frozen
class Done:
    text: str


@attrs.frozen
class Paid:
    id: str


@attrs.frozen
class Go:
    by: str = ""


@specialist("work", version="1", effect="pure")
async def work(errand: Errand) -> Done:
    await asyncio.sleep(errand.seconds)
    if errand.text.startswith("fail"):
        raise RuntimeError(errand.text)
    return Done(errand.text)


@specialist("pay", version="1")
async def pay(done: Done, call: Call) -> Paid:
    """Takes for ever, once it has left its mark beside the log."""
    with (Path(call.home) / "paid").open("a") as file:
        file.write(f"{call.key}\n")
    await asyncio.sleep(3600)
    return Paid(done.text)


def errand(start: Errand) -> Errand:
    return start


class Quick(Workflow[Errand], version="1"):
    """Do one thing."""

    working = State(work, initial=True, says="at it")
    done = State(final=True, says="well done")
    lost = State(final=True, outcome="failed")
    worked = working.to(done, on=Completed[Done])
    gave_up = working.to(lost, on=Failed)


class Paying(Workflow[Errand], version="1"):
    """Do one thing and pay for it."""

    working = State(work, initial=True)
    paying = State(pay)
    paid = State(final=True)
    lost = State(final=True, outcome="failed")
    worked = working.to(paying, on=Completed[Done])
    settled = paying.to(paid, on=Completed[Paid])
    gave_up = any_state.to(lost, on=Failed)


class Asking(Workflow[Errand], version="1"):
    """Do one thing, and wait for a word."""

    working = State(work, initial=True)
    waiting = State()
    gone = State(final=True)
    lost = State(final=True, outcome="failed")
    worked = working.to(waiting, on=Completed[Done])
    went = waiting.to(gone, on=Signal[Go])
    gave_up = working.to(lost, on=Failed)


class Leading(Workflow[Errand], version="1"):
    """Let others ask, and then pay."""

    asking = State(child(Asking, gives=Go), initial=True)
    paying = State(child(Paying), give=errand)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    asked = asking.to(paying, on=Completed[Go])
    paid = paying.to(done, on=Completed[Paid])
    gave_up = any_state.to(lost, on=Failed)


QUICK, PAYING, ASKING, LEADING = (f"{__name__}:{cls.__name__}" for cls in (Quick, Paying, Asking, Leading))
