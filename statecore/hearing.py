"""What the world says to a run: the answers of people, what became of parked calls, signals."""

from typing import Any

import attrs

from statecore.asking import stale
from statecore.asks import how_it_ended
from statecore.call import CallState
from statecore.contract import contract_of
from statecore.core import Core
from statecore.errors import BadInput, NotPossible, UnknownCall
from statecore.events import ERASED, CallLate, SignalTaken
from statecore.failures import Failure, OutcomeUnknown
from statecore.held import Held
from statecore.messages import Completed, Failed, Input, Signal
from statecore.run import Run
from statecore.saying import words
from statecore.signals import Answer, heard
from statecore.versions import name_of


async def answer(core: Core, run: str, call: str, outcome: Any, *, by: str, why: str, shown: str) -> Run:
    """Raises as `Engine.answer` does."""
    words("by", by)
    if isinstance(outcome, OutcomeUnknown):
        raise BadInput("expected what became of the call, found OutcomeUnknown: answer its result or NotDone")

    def settlement(held: Held) -> Input:
        found = held.answerable(call)
        if found.status is CallState.UNKNOWN:
            words("why", why)
        if shown and (why_not := stale(held.run, found, shown)):
            raise NotPossible(f"{why_not}: look at what is asked, `statecore asks`, and answer that")
        now = core.clock.now()
        if found.kind == "person" and not isinstance(outcome, Failure):
            return Completed(outcome, found.id, found.attempt, now, by, why, rank=found.rank)
        if isinstance(outcome, Failure):
            kind: Any = type(outcome)
            contract_of(kind).pack(outcome)
            return Failed(outcome, found.id, at=now, by=by, why=why)
        held.settling(found, name_of(type(outcome))).pack(outcome)
        return Completed(outcome, found.id, at=now, by=by, why=why)

    try:
        events, settled = await core.tasks.shielded(core.turns.hear(run, settlement))
    except UnknownCall as error:
        if over := await how_it_ended(core.log, run, call):
            raise NotPossible(over) from None
        raise error
    if any(isinstance(event, CallLate) for event in events):
        raise NotPossible(await how_it_ended(core.log, run, call) or f"{call} of {run} is over: look at the run")
    return settled


async def signal(core: Core, run: str, said: Signal[Any]) -> Answer:
    """Raises as `Engine.signal` does."""
    async with core.runs.holding(run) as held:
        machine = held.loaded()
        events = await core.turns.take(held, attrs.evolve(said, at=core.clock.now()))
        if events:
            return heard(machine, events)
        async for turn in core.log.read(run, held.run.heard[said.by, said.id] - 1):
            events = turn.events
            break
        taken = next(event for event in events if isinstance(event, SignalTaken))
        if taken.value == ERASED:
            raise NotPossible(f"the signal {said.id!r} was taken by {run}, and its payloads were erased since")
        if machine.stated(taken.value) != machine.stated(said.value):
            raise BadInput(
                f"the signal {said.id!r} of {said.by or 'nobody'} was taken by {run} with another value: give a"
                " new one an id of its own"
            )
        return heard(machine, events)
