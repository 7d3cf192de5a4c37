"""The questions that wait for a person, over all runs of a log: found by label, so no other run is read."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import attrs

from statecore.asking import questions, shown
from statecore.call import Call
from statecore.chain import Turn
from statecore.errors import StatecoreError, Unreadable
from statecore.events import CallCompleted, CallFailed, CallStarted, Event, Finished, Moved, state_of
from statecore.log import Log
from statecore.person import Person
from statecore.registry import Registry
from statecore.run import ASKS, Run, replay
from statecore.wording import moment, short, visible

LABELS = frozenset(condition + ASKS for condition in ("running", "waiting", "paused", "parked"))
"""Of the runs that ask somebody something."""


@attrs.frozen
class Ask:
    """An open question. `shown`: its digest. `person`: who is asked, None where the workflow is not loaded (`unknown` says
    so).
    """

    run: Run
    call: Call
    shown: str
    person: Person[Any, Any] | None
    unknown: str = ""


async def asks(log: Log, registry: Registry, run: str | None = None) -> list[Ask]:
    """All open questions, those of the oldest run first. A run that cannot be read asks nothing: `show` says why."""
    names = [info.name for info in await log.streams(labels=LABELS) if run in (None, info.name)]
    return [ask async for turns in _runs(log, names) for ask in _asked(turns, registry)]


async def _runs(log: Log, names: Iterable[str]) -> AsyncIterator[list[Turn]]:
    turns: list[Turn] = []
    async for turn in log.read_many(names):
        if turns and turn.stream != turns[0].stream:
            yield turns
            turns = []
        turns.append(turn)
    if turns:
        yield turns


def _asked(turns: list[Turn], registry: Registry) -> list[Ask]:
    try:
        found = replay(turns[0].stream, ((turn.at, turn.events) for turn in turns))
    except (LookupError, TypeError, ValueError, AttributeError, Unreadable):
        return []
    return [Ask(found, call, shown(found, call), *_person(registry, found, call)) for call in questions(found)]


def _person(registry: Registry, run: Run, call: Call) -> tuple[Person[Any, Any] | None, str]:
    try:
        specialist = registry.of(run).chart.specialist(call)
    except (StatecoreError, LookupError) as error:
        return None, str(error)
    return (specialist, "") if isinstance(specialist, Person) else (None, f"{specialist.id} is no person here")


async def how_it_ended(log: Log, run: str, call: str) -> str:
    """Of a question that is over: who answered it, that its deadline passed, or that the run went on without it; "" where
    `call` (or the state that it names) was none.
    """
    said, asked = "", set[str]()
    async for turn in log.read(run):
        for event in turn.events:
            if isinstance(event, CallStarted) and event.kind == "person" and call in (event.call, state_of(event.call)):
                asked.add(event.call)
            elif ended := {id: how for id in asked if (how := _ended(event, id))}:
                asked -= ended.keys()
                id, how = ended.popitem()
                said = f"{id} of {visible(run)} is over: {how} at {moment(turn.at)}; nothing was changed"
    return said


def _ended(event: Event, call: str) -> str:
    """How an event ends a question; "" where it does not."""
    match event:
        case CallCompleted(by=by) | CallFailed(by=by) if event.call == call:
            return f"{short(by)} answered it" if by else "its time ran out, or nobody was to answer it"
        case Moved(left=left) if state_of(call) in left:
            return "the run went on without it"
        case Finished(outcome=outcome):
            return f"the run was {outcome}"
    return ""
