"""What must hold between a run and its children: begun in one commit with the call, heard of once at their end, and ended
where nobody waits for them any more.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import attrs

from statecore.call import Call, CallState
from statecore.events import CallCompleted, CallFailed, CallLate, Event, Finished, Payload
from statecore.family import descendants
from statecore.log import Turn
from statecore.run import Run
from tests.sim.world import PATIENCE, Commit, World


@attrs.define
class Span:
    """A child as its parent tells it. `copied`: begun in the run that this one was forked from. `told`: whether the
    parent went on with what the child came to; `gave` it came to that value.
    """

    call: Call
    begun: Turn
    copied: bool
    over: Turn | None = None
    told: bool = False
    gave: Payload | None = None


def waits_for(run: Run) -> dict[str, Call]:
    """The calls whose work is a run, by the name of that run."""
    started = (call for call in run.calls.values() if call.kind == "workflow" and call.status is CallState.STARTED)
    return {call.child: call for call in started}


class Children:
    """Of one run."""

    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}
        self.late: Counter[tuple[str, int]] = Counter()

    def event(self, event: Event, turn: Turn, before: Run, after: Run, copied: bool) -> None:
        if isinstance(event, CallLate):
            self.late[event.call, event.attempt] += 1
        was, now = waits_for(before), waits_for(after)
        for name in (each for each in now if each not in was):
            self.spans[name] = Span(now[name], turn, copied)
        for name in (each for each in was if each not in now):
            self.spans[name].over = turn
            if isinstance(event, CallCompleted) and event.call == was[name].id:
                self.spans[name].told, self.spans[name].gave = True, event.value
            elif isinstance(event, CallFailed) and event.call == was[name].id:
                self.spans[name].told = event.failure.contract == "ChildFailed"

    def reports(self) -> Iterator[str]:
        """A call that is over may hear of its child once more where both came at the same time; not twice."""
        told = Counter((span.call.id, span.call.attempt) for span in self.spans.values() if span.told)
        there = Counter((span.call.id, span.call.attempt) for span in self.spans.values())
        for (call, attempt), times in (told + self.late).items():
            if (call, attempt) in there and times > there[call, attempt]:
                yield f"{call}: heard {times} times of what {there[call, attempt]} children came to in attempt {attempt}"


def families(
    world: World, there: Mapping[str, list[Turn]], runs: Mapping[str, Run], children: Mapping[str, Children]
) -> Iterator[str]:
    for parent, known in children.items():
        yield from (f"{parent} {said}" for said in known.reports())
        for name, span in known.spans.items():
            yield from (f"{name}: {said}" for said in _child(world, name, span, there.get(name, []), runs))
    called_for = {name for each in children.values() for name in each.spans}
    yield from (
        f"{name}: is a child of {run.parent}, which never called for it"
        for name, run in runs.items()
        if run.parent and name not in called_for
    )


def _child(world: World, name: str, span: Span, turns: list[Turn], runs: Mapping[str, Run]) -> Iterator[str]:
    if not turns:
        if span.over is None or not (span.copied or span.over is span.begun):
            yield "was called for, and never begun"
        return
    if not span.copied and world.commits[turns[0].position] != world.commits[span.begun.position]:
        yield "was begun in another commit than its call"
    end = next((turn for turn in turns if any(isinstance(event, Finished) for event in turn.events)), None)
    if end is None or span.over is None:
        yield "is left at work" if end is None else "is over, and its parent never heard of it"
    elif span.told:
        yield from _told(span, end, span.over, runs[name])
    elif end.position > span.over.position:
        yield from _given_up(world, name, world.commits[span.over.position], world.commits[end.position])


def _told(span: Span, end: Turn, over: Turn, child: Run) -> Iterator[str]:
    if end.position > over.position:
        yield "was reported before it was over"
    well = child.outcome in ("completed", "partial")
    if span.gave is not None and (not well or child.result is None or child.result.data != span.gave.data):
        yield f"is {child.outcome} with {child.result}, and was reported to have given {span.gave}"


def _given_up(world: World, name: str, over: Commit, end: Commit) -> Iterator[str]:
    """Nobody waits for it any more: it ends, with all that it has begun, and nothing of it begins later."""
    if not _soon(over, end.life, end.at, end.stalled) and not world.gone(over.life, over.at + PATIENCE):
        yield f"goes on for {end.at - over.at:.3f} s after nobody waited for it any more"
    flights = [flight for flight in world.flights if flight.call.run == name or descendants(name, [flight.call.run])]
    for flight in flights:
        stalled = max(over.stalled, flight.stalled)
        if flight.began > over.at and not _soon(over, flight.life, flight.began, stalled):
            yield f"{flight.call.id} was dispatched {flight.began - over.at:.3f} s after nobody waited for it any more"


def _soon(over: Commit, life: int, at: float, stalled: float) -> bool:
    return life == over.life and at - over.at - (stalled - over.stalled) <= PATIENCE
