"""What became of each part of each plan of a run, read from its log: an entry for each, whether it was started or not."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import msgspec

from statecore.events import (
    Assembled,
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallPlanned,
    CallRefused,
    CallStarted,
    CallUnknown,
    Event,
    Finished,
    ForkedFrom,
    Moved,
    Payload,
    Turn,
    plan_of,
    state_of,
)
from statecore.wording import aligned, short, summary, times, visible

STATUSES = ("completed", "failed", "skipped", "in progress", "pending", "stopped")


@attrs.frozen
class Record:
    """`plan`: as `state#entry`. `specialist`: name@version of the one that was called last, "" before. `status`: one of
    STATUSES. `outcome`: the result or failure. `why`: what holds it, or why it did not start.
    """

    plan: str
    part: str
    type: str
    says: str
    after: tuple[str, ...]
    specialist: str = ""
    status: str = "pending"
    outcome: Payload | None = None
    why: str = ""

    @property
    def call(self) -> str:
        return f"{self.plan}/{self.part}"

    def plain(self) -> dict[str, Any]:
        outcome = self.outcome and {
            "contract": self.outcome.contract,
            "value": msgspec.json.decode(self.outcome.data),
        }
        return {**attrs.asdict(self, recurse=False), "outcome": outcome}


def records(turns: Iterable[Turn]) -> list[Record]:
    """In the order of the plans."""
    found: dict[str, Record] = {}
    once: set[str] = set()
    for turn in turns:
        for event in turn.events:
            _note(found, event)
            if isinstance(event, CallStarted) and event.effect == "once" and event.kind != "person":
                once.add(event.call)
            elif isinstance(event, ForkedFrom):
                _park(found, once, event)
    return list(found.values())


def _park(found: dict[str, Record], once: set[str], fork: ForkedFrom) -> None:
    """What was in flight where a run was forked, and is not to be repeated, is parked here."""
    for call, known in found.items():
        if known.status == "in progress" and call in once:
            found[call] = attrs.evolve(known, why=f"parked: it was in flight in {fork.run} when that was forked")


def _note(found: dict[str, Record], event: Event) -> None:
    if isinstance(event, CallPlanned):
        found[event.call] = Record(plan_of(event.call), event.part, event.type, event.says, event.after)
        return
    if isinstance(event, Moved | Finished | Assembled):
        for call, known in found.items():
            if known.status in ("pending", "in progress") and _over(known, event):
                status = "stopped" if known.status == "in progress" else "skipped"
                found[call] = attrs.evolve(known, status=status, why="the plan was over")
        return
    known_or_none = found.get(getattr(event, "call", ""))
    if known_or_none is not None:
        found[known_or_none.call] = changed(known_or_none, event)
        if found[known_or_none.call].status == "failed":
            _skip(found, known_or_none)


def _over(known: Record, event: Moved | Finished | Assembled) -> bool:
    if isinstance(event, Assembled):
        return known.plan == event.call
    return isinstance(event, Finished) or state_of(known.plan) in event.left


def changed(known: Record, event: Event) -> Record:
    """A record after an event of its call."""
    match event:
        case CallStarted() | CallAsked():
            return attrs.evolve(known, status="in progress", specialist=event.specialist, why="")
        case CallDeferred():
            return attrs.evolve(known, why=f"held by guard {event.guard}: {event.why}")
        case CallUnknown():
            return attrs.evolve(known, why=f"parked: {event.why}")
        case CallCompleted():
            return attrs.evolve(known, status="completed", outcome=event.value, why="")
        case CallRefused(next=""):
            return attrs.evolve(known, status="failed", outcome=event.failure, why="")
        case CallFailed(next="", again=None):
            return attrs.evolve(known, status="failed", outcome=event.failure, why="")
        case CallFailed() | CallRefused():
            return attrs.evolve(known, why=f"after {summary(event.failure)}")
        case _:
            return known


def _skip(found: dict[str, Record], failed: Record) -> None:
    """What waited for a part that failed does not start."""
    lost = {failed.part}
    waiting = {call: known for call, known in found.items() if known.plan == failed.plan and known.status == "pending"}
    while more := [call for call, known in waiting.items() if lost.intersection(known.after)]:
        for call in more:
            known = waiting.pop(call)
            lost.add(known.part)
            found[call] = attrs.evolve(known, status="skipped", why=f"waited for {failed.part}, which failed")


def table(found: Sequence[Record]) -> Iterator[str]:
    """A heading for each plan, and a line for each of its parts."""
    for plan in dict.fromkeys(each.plan for each in found):
        parts = [each for each in found if each.plan == plan]
        counts = Counter(each.status for each in parts)
        said = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
        yield visible(f"plan      {plan}: {times(len(parts), 'call')}{f', {said}' if said else ''}")
        yield from (f"          {line}" for line in aligned([_cells(each) for each in parts]))


def _cells(each: Record) -> list[str]:
    after = f"after {', '.join(each.after)}" if each.after else ""
    ended = "; ".join(filter(None, (summary(each.outcome), short(each.why))))
    does = each.specialist or each.type
    return [visible(cell) for cell in (each.part, does, each.status, after, each.says, ended)]
