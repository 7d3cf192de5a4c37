"""Whose a run is, and on which version of its workflow: both in its first event, and in those of its children."""

from typing import Any

import attrs

from statecore import Completed, Engine, Failed, State, Workflow, child, specialist
from statecore.events import RunStarted
from statecore.log import MemoryLog
from statecore.replay import turns_of, verify


@attrs.frozen
class Order:
    item: str


@attrs.frozen
class Bill:
    cents: int


@specialist("bill", version="1", effect="pure")
async def bill(order: Order) -> Bill:
    return Bill(len(order.item))


def shop(version: str, outcome: Any) -> type[Workflow[Order]]:
    """Two versions of one workflow, which call two versions of one child."""

    class Billing(Workflow[Order], version=version):
        billing = State(bill, initial=True)
        billed = State(final=True)
        lost = State(final=True, outcome=outcome)
        wrote = billing.to(billed, on=Completed[Bill])
        gave_up = billing.to(lost, on=Failed)

    class Shop(Workflow[Order], version=version):
        selling = State(child(Billing), initial=True)
        sold = State(final=True)
        lost = State(final=True, outcome="failed")
        done = selling.to(sold, on=Completed[Bill])
        gave_up = selling.to(lost, on=Failed)

    return Shop


async def test_two_tenants_are_on_two_versions_at_once() -> None:
    """Each run goes on with the version it was started on, its children with theirs, after a restart too."""
    twelve, thirteen = shop("12", "failed"), shop("13", "partial")
    log = MemoryLog()
    async with Engine(log, [twelve, thirteen]) as engine:
        await engine.run(twelve, Order("tea"), run="a", tenant="north")
        await engine.run(thirteen, Order("tea"), run="b", tenant="south")
        told = {}
        for run in ("a", "a/selling#1", "b", "b/selling#1"):
            first = (await turns_of(log, run))[0].events[0]
            assert isinstance(first, RunStarted)
            told[run] = (first.workflow, first.version, first.tenant)
        assert told == {
            "a": ("Shop", "12", "north"),
            "a/selling#1": ("Billing", "12", "north"),
            "b": ("Shop", "13", "south"),
            "b/selling#1": ("Billing", "13", "south"),
        }
        assert await verify(log, engine.registry) == []
