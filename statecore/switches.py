"""Specialists that somebody took out of rotation: a stream of decisions, and the guard that obeys them.

While a specialist is off, its calls go to the fallback where the state has one, and else wait until it is on again: nothing
is lost. What is in flight goes on. The switch is by name, for all versions and workflows of this log, and outlasts the
process.
"""

from collections.abc import Iterable

import attrs

from statecore.errors import BadInput, UnknownRun
from statecore.events import Switched
from statecore.failures import Failure
from statecore.guard import SWITCH, Defer, Pass, Question, Refuse, Side, Verdict
from statecore.ledger import Ledger
from statecore.log import Append, Batch, Log
from statecore.retention import SYSTEM
from statecore.saying import said

SWITCHES = f"{SYSTEM}specialists"


@attrs.frozen
class Switches:
    """`off`: the decision by which each name is out of rotation. A guard, to be asked before all others."""

    off: dict[str, Switched] = attrs.field(factory=dict)
    name: str = SWITCH
    side: Side = "before"
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[object], ledger: Ledger) -> Verdict:
        decision = self.off.get(question.specialist.partition("@")[0])
        if decision is None:
            return Pass()
        why = f"{decision.specialist} was disabled by {decision.by}: {decision.why}"
        return Refuse(why) if question.fallback else Defer(why)


async def switches(log: Log) -> Switches:
    """As the log has them."""
    return Switches(_off(await _decisions(log)))


async def switch(log: Log, specialist: str, on: bool, at: float, *, by: str, why: str) -> bool:
    """Record a decision; False where it was so already. `specialist`: its name without version. Raises BadInput."""
    said(by, why)
    if not specialist.isidentifier():
        raise BadInput(f"expected the name of a specialist without its version, found {specialist!r}")
    before = await _decisions(log)
    if on == (specialist not in _off(before)):
        return False
    made = Switched(specialist, on, by, why)
    await log.append(Batch((Append(SWITCHES, len(before), (made,), at, "Switch"),)))
    return True


def _off(decisions: Iterable[Switched]) -> dict[str, Switched]:
    """The last decision on each specialist that is out of rotation."""
    last = {event.specialist: event for event in decisions}
    return {name: event for name, event in last.items() if not event.on}


async def _decisions(log: Log) -> list[Switched]:
    try:
        turns = [turn async for turn in log.read(SWITCHES)]
    except UnknownRun:
        return []
    return [event for turn in turns for event in turn.events if isinstance(event, Switched)]
