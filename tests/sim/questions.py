"""What must hold of questions to people: a reply is recorded once, where it was taken, of somebody who is asked, and to
the question that was looked at.
"""

from collections import Counter
from collections.abc import Iterator

from statecore.call import Call
from statecore.events import CallCompleted, CallFailed
from tests.sim.outside import Said
from tests.sim.teams import NOBODY, PEOPLE


class Questions:
    """Of all runs. `said`: the replies that there were, by number."""

    def __init__(self, said: list[Said]) -> None:
        self.said = said
        self.recorded: Counter[int] = Counter()

    def answered(self, call: Call, event: CallCompleted | CallFailed) -> Iterator[str]:
        """`call`: as it was before."""
        person = PEOPLE[call.specialist]
        if isinstance(event, CallFailed):
            if event.failure.contract != "TimedOut" or person.otherwise is not None:
                yield f"{call.run} {call.id}: ends in {event.failure.contract} for {person.name}"
            return
        number = int(event.value.data.partition(b":")[2].rstrip(b"}"))
        if number == NOBODY or not event.by:
            if event.by or number != NOBODY or person.otherwise is None:
                yield f"{call.run} {call.id}: is answered {number} by {event.by or 'nobody'} for {person.name}"
            return
        self.recorded[number] += 1
        yield from (f"{call.run} {call.id}: reply {number} {what}" for what in self._fits(number, call, event))

    def _fits(self, number: int, call: Call, event: CallCompleted) -> Iterator[str]:
        said, person = self.said[number], PEOPLE[call.specialist]
        asked = said.ask.call
        if person.who and event.by not in person.who:
            yield f"is of {event.by}, who is not asked"
        if said.heard is False:
            yield "was refused, and is recorded"
        if (said.ask.run.id, asked.id, said.by) != (call.run, call.id, event.by):
            yield f"was to {asked.id} of {said.ask.run.id} by {said.by}"
        if said.shown and (asked.rank, asked.specialist, asked.request) != (call.rank, call.specialist, call.request):
            yield f"was to {asked.specialist}, and is taken from {call.specialist}"

    def end(self) -> Iterator[str]:
        for number, said in enumerate(self.said):
            if (times := self.recorded[number]) > 1 or (said.heard and not times):
                yield f"{said.ask.run.id} {said.ask.call.id}: reply {number} is recorded {times} times"
