"""A process to be killed: it takes up what the log has, starts what is missing, and works until everything is at rest.

`python -m tests.crash_worker` is a fork server: everything is imported once, and each line of its input is forked
off as a worker of its own, so that a death costs milliseconds. The server opens no log and no loop, so there is
nothing that a fork could share.
"""

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

import statecore.checkpoint
import statecore.decider
from statecore import (
    Call,
    Completed,
    Compound,
    Done,
    Elapsed,
    Failed,
    Parallel,
    Part,
    Person,
    Plan,
    State,
    Transient,
    Wait,
    Workflow,
    any_state,
    failpoint,
    specialist,
)
from statecore.asking import questions
from statecore.child import child as child_of
from statecore.engine import Engine
from statecore.errors import Conflict, NotPossible
from statecore.log import Batch, Turn
from statecore.plan import Missing
from statecore.sqlite import SqliteLog

DATABASE, EFFECTS, ACKNOWLEDGED = "log.db", "effects", "acknowledged"

SHORT = 0.001
"""Seconds before a second attempt. Whoever decides a log again must go by the same."""


@attrs.frozen
class Order:
    item: str


@attrs.frozen
class Plank:
    item: str
    attempt: int


@attrs.frozen
class Receipt:
    key: str


@attrs.frozen(auto_exc=False)
class Jammed(Transient): ...


def note(home: str, name: str, *words: str) -> None:
    """One line, in one write at the end of the file: it is there as soon as this returns, whatever happens to the
    process.
    """
    file = os.open(Path(home) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, (" ".join(words) + "\n").encode())
    os.close(file)


def effect(kind: str, call: Call) -> Receipt:
    note(call.home, EFFECTS, kind, call.run, call.id, call.key)
    return Receipt(call.key)


@specialist("saw", version="1", effect="pure", fails=[Jammed])
async def saw(order: Order, call: Call) -> Plank:
    if call.attempt == 1 and not call.cuts:
        raise Jammed("the first time")
    return Plank(order.item, call.attempt)


@specialist("store", version="1", effect="idempotent")
async def store(order: Order, call: Call) -> Receipt:
    return effect("idempotent", call)


@specialist("ship", version="1")
def ship(order: Order, call: Call) -> Receipt:
    return effect("once", call)


@specialist("bill", version="1")
async def bill(order: Order, call: Call) -> Receipt:
    return effect("once", call)


class Straight(Workflow[Order], version="1"):
    """Pure with a retry, idempotent, once."""

    sawing = State(saw, initial=True, attempts=2)
    storing = State(store)
    shipping = State(ship)
    shipped = State(final=True)
    lost = State(final=True, outcome="failed")
    sawn = sawing.to(storing, on=Completed[Plank])
    stored = storing.to(shipping, on=Completed[Receipt])
    sent = shipping.to(shipped, on=Completed[Receipt])
    failed = any_state.to(lost, on=Failed)


class Forked(Workflow[Order], version="1"):
    """Two effects that must not happen twice, in flight together, beside an idempotent one."""

    class both(Parallel, initial=True):
        class goods(Compound):
            shipping = State(ship, initial=True)
            storing = State(store)
            out = State(final=True)
            sent = shipping.to(storing, on=Completed[Receipt])
            stored = storing.to(out, on=Completed[Receipt])

        class money(Compound):
            billing = State(bill, initial=True)
            paid = State(final=True)
            billed = billing.to(paid, on=Completed[Receipt])

    over = State(final=True)
    lost = State(final=True, outcome="failed")
    joined = both.to(over, on=Done)
    failed = any_state.to(lost, on=Failed)


class Composed(Workflow[Order], version="1"):
    """A child, and then an effect of its own."""

    making = State(child_of(Straight), initial=True)
    billing = State(bill)
    billed = State(final=True)
    lost = State(final=True, outcome="failed")
    made = making.to(billing, on=Completed[Receipt])
    paid = billing.to(billed, on=Completed[Receipt])
    failed = any_state.to(lost, on=Failed)


clerk = Person("clerk", version="1", takes=Order, gives=Receipt, who=("ana",), within=0.004)
deputy = Person("deputy", version="1", takes=Order, gives=Receipt)


class Patient(Workflow[Order], version="1"):
    """A wait, a person who may be too late, another who is not, and an effect that must not happen twice."""

    resting = State(Wait(0.004), initial=True)
    asking = State(clerk, fallback=[deputy])
    shipping = State(ship, within=3600)
    shipped = State(final=True)
    lost = State(final=True, outcome="failed")
    rested = resting.to(asking, on=Elapsed)
    asked = asking.to(shipping, on=Completed[Receipt])
    sent = shipping.to(shipped, on=Completed[Receipt])
    failed = any_state.to(lost, on=Failed)
    late = any_state.to(lost, on=Elapsed)


def item_of(plank: Plank) -> Order:
    return Order(plank.item)


def keys_of(receipts: list[Receipt], missing: list[Missing]) -> Receipt:
    return Receipt(" ".join([*(receipt.key for receipt in receipts), *(each.part for each in missing)]))


def both_keys(storing: Receipt, bill: Receipt) -> Receipt:
    return Receipt(f"{storing.key} {bill.key}")


class Below(Workflow[Order], version="1"):
    """A plan in a child, one call at a time: an effect that must not happen twice, and an idempotent one after a pure one."""

    doing = State(
        Plan(
            bill,
            Part(saw, attempts=2),
            Part(store, id="storing", after=["saw"], give=item_of),
            assemble=both_keys,
            width=1,
        ),
        initial=True,
    )
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    finished = doing.to(done, on=Completed[Receipt])
    failed = any_state.to(lost, on=Failed)


def order(start: Order) -> Order:
    return start


class Planned(Workflow[Order], version="1"):
    """A plan of a function, an effect that must not happen twice, a person and a child that has a plan, and then another."""

    doing = State(
        Plan(
            Part(saw, attempts=2),
            ship,
            Part(clerk, id="asking", fallback=[deputy]),
            Part(child_of(Below), id="below"),
            Part(store, id="storing", after=["saw", "asking"], give=item_of),
            assemble=keys_of,
            on_failure="partial",
            width=4,
        ),
        initial=True,
    )
    billing = State(bill, give=order)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    made = doing.to(billing, on=Completed[Receipt])
    billed = billing.to(done, on=Completed[Receipt])
    failed = any_state.to(lost, on=Failed)


RUNS: dict[str, Any] = {
    "straight": Straight,
    "forked": Forked,
    "composed": Composed,
    "patient": Patient,
    "planned": Planned,
}
CHILDREN = {"composed/making#1": "composed", "planned/doing#1/below": "planned"}
"""Child runs with their parents."""
ASKING = ("patient", "planned")
"""Runs in which somebody is asked."""
ONCE = {
    "composed/making#1": ["shipping#1"],
    "planned/doing#1/below": ["doing#1/bill"],
    "planned": ["doing#1/ship", "billing#1"],
    "straight": ["shipping#1"],
    "forked": ["both/goods/shipping#1", "both/money/billing#1"],
    "composed": ["billing#1"],
    "patient": ["shipping#1"],
}
"""The calls that must not happen twice, by stream, child runs before their parents."""


class Acknowledging(SqliteLog):
    """Notes every turn that the log said was durable."""

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        turns = await super().append(batch)
        for turn in turns:
            note(str(self.home), ACKNOWLEDGED, turn.stream, str(turn.version), turn.head.hex())
        return turns


async def work(home: Path) -> None:
    statecore.decider.RETRY_BASE = SHORT
    statecore.checkpoint.EVERY = 4  # so that a death may come in the middle of one, and every next life begins at one
    async with Engine(await Acknowledging.open(home / DATABASE), RUNS.values()) as engine:
        await engine.resume()
        for run, workflow in RUNS.items():
            with suppress(Conflict):
                await engine.start(workflow, Order("oak"), run=run)
        await asyncio.gather(*(asked(engine, run) for run in ASKING))
        await engine.drain()


async def asked(engine: Engine, id: str) -> None:
    """Somebody sits there and answers, sometimes too late."""
    run = await engine.wait(id)
    while run.asks or (run.timers and run.condition != "parked"):
        for call in questions(run):
            with suppress(NotPossible):
                await engine.answer(id, call.id, Receipt("yes"), by="ana", why="it is so")
        await asyncio.sleep(0.001)
        run = await engine.wait(id)


def child(home: Path, setting: str) -> None:
    code = 1
    try:
        os.environ[failpoint.VARIABLE] = setting
        failpoint.arm_from_environment()
        asyncio.run(work(home))
        code = 0
    except BaseException:
        import traceback

        note(str(home), "stderr", traceback.format_exc())
    finally:
        os._exit(code)


def serve() -> None:
    """Each line asks for one worker: its home, its failpoint, and after how many seconds it is killed. The answer
    is how it ended.
    """
    for line in sys.stdin:
        home, setting, kill_after = json.loads(line)
        pid = os.fork()
        if not pid:
            child(Path(home), setting)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
