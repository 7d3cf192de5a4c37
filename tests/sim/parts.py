"""What must hold of the plans of a run, event by event: a part starts once, after what it waits for is done, and at most
`width` are open; a plan ends when nothing of it is open, and what it lacks is said.
"""

from collections.abc import Iterator

import attrs

from statecore.call import CallState
from statecore.events import (
    Assembled,
    CallAsked,
    CallCompleted,
    CallFailed,
    CallPlanned,
    CallRefused,
    CallStarted,
    CallUnknown,
    Event,
    Finished,
    Moved,
    Planned,
    part_of,
    plan_of,
    state_of,
)
from statecore.run import Run


@attrs.define
class _Open:
    """A plan that is open. `after`: what each part waits for. `busy`: parts that were begun and have not ended."""

    plan: Planned
    after: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    needed: set[str] = attrs.field(factory=set)
    begun: set[str] = attrs.field(factory=set)
    busy: set[str] = attrs.field(factory=set)
    parked: set[str] = attrs.field(factory=set)
    done: set[str] = attrs.field(factory=set)
    failed: set[str] = attrs.field(factory=set)

    def begins(self, part: str) -> Iterator[str]:
        if part not in self.begun:
            if lacks := [each for each in self.after[part] if each not in self.done]:
                yield f"begins before {', '.join(lacks)} is done"
            if self.plan.on_failure == "stop" and self.failed:
                yield f"begins after {', '.join(sorted(self.failed))} has failed"
        elif part not in self.busy:
            yield "begins once more"
        self.begun.add(part)
        self.busy.add(part)
        if (wide := len(self.busy - self.parked)) > self.plan.width:
            yield f"is one of {wide} that are open, and at most {self.plan.width} may be"

    def ends(self, part: str, well: bool) -> Iterator[str]:
        if part not in self.busy and well:
            yield "has ended and was not open"
        self.begun.add(part)
        self.busy.discard(part)
        self.parked.discard(part)
        (self.done if well else self.failed).add(part)

    def in_vain(self) -> set[str]:
        """Parts that have failed, and what waits for one of them at whatever distance."""
        found = set(self.failed)
        for part, after in self.after.items():
            if found.intersection(after):
                found.add(part)
        return found


class Plans:
    """Of one run."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def event(self, event: Event) -> Iterator[str]:
        call: str = getattr(event, "call", "")
        found, part = self._open.get(plan_of(call)), part_of(call)
        if isinstance(event, Planned):
            self._open[call] = _Open(event)
        elif isinstance(event, Moved):
            self._open = {plan: each for plan, each in self._open.items() if state_of(plan) not in event.left}
        elif isinstance(event, Finished):
            self._open.clear()
        elif found is not None:
            said = self._part(found, part, event) if part else self._over(call, found, event)
            yield from (f"{call}: {each}" for each in said)

    def forked(self, run: Run) -> None:
        """What was in flight where a run was forked, and is not to be repeated, is parked in the fork."""
        for plan, each in self._open.items():
            calls = {part: run.calls.get(f"{plan}/{part}") for part in each.busy}
            each.parked |= {part for part, call in calls.items() if call and call.status is CallState.UNKNOWN}

    def _part(self, found: _Open, part: str, event: Event) -> Iterator[str]:
        match event:
            case CallPlanned():
                found.after[part] = event.after
                found.needed |= {part} if event.needed else set()
            case CallStarted() | CallAsked():
                yield from found.begins(part)
            case CallUnknown():
                found.parked.add(part)
            case CallCompleted():
                yield from found.ends(part, well=True)
            case CallFailed(again=None, next="") | CallRefused(next=""):
                yield from found.ends(part, well=False)
            case _:
                pass

    def _over(self, call: str, found: _Open, event: Event) -> Iterator[str]:
        del self._open[call]
        stopped = found.plan.on_failure == "stop" or found.needed & found.failed
        if found.busy and not (stopped and found.failed):
            yield f"is over, and {', '.join(sorted(found.busy))} is still open"
        elif isinstance(event, Assembled):
            lacking, vain = {part for part, _ in event.missing}, found.in_vain()
            if lacking != vain or lacking | found.done != found.after.keys():
                yield f"lacks {sorted(vain)}, has {sorted(found.done)} of {sorted(found.after)}, and says it lacks {sorted(lacking)}"
