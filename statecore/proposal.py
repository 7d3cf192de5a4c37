"""What a model proposes as a plan, and how it becomes one: a contract that any planner can give.

    def calls(proposal: Proposal) -> list[Part]:
        return parts_of(proposal, [lint, risk])

    planning = State(planner)                                   # Claude, say: gives a Proposal
    checking = State(Plan(of=[lint, risk], make=calls, assemble=findings))

Nothing of it is believed: each call names a specialist that is there, its request fits that specialist's contract, its
description says something, and the plan keeps its rules. What does not is PlanRefused, by the name of the rule.
"""

from collections.abc import Sequence
from typing import Any

import attrs

from statecore.errors import BadInput, UnknownSpecialist
from statecore.failures import PlanRefused, told
from statecore.plan import Part
from statecore.routing import route
from statecore.specialist import Specialist
from statecore.strictjson import parse

WORDS = 3
"""Words that a description has at least; fewer say no more than the type does."""


@attrs.frozen
class Proposed:
    """One call. `type`: the name of a specialist. `request`: JSON text, as that specialist's contract has it. `after`:
    ids of the calls that it waits for. `needs`: what the specialist has to be able to do besides.
    """

    id: str
    type: str
    description: str
    request: str
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@attrs.frozen
class Proposal:
    calls: tuple[Proposed, ...]


def parts_of(proposal: Proposal, of: Sequence[Specialist[Any, Any]]) -> list[Part]:
    """The parts that a proposal asks for. Raises PlanRefused: `known type` (also where nobody of that type can do what
    is needed), `described` or `contract`. Ids, order and
    bounds are for the plan to judge.
    """
    return [_part(call, of) for call in proposal.calls]


def _part(call: Proposed, of: Sequence[Specialist[Any, Any]]) -> Part:
    try:
        specialist = route(call.type, of, call.needs)
    except UnknownSpecialist as unknown:
        raise PlanRefused("known type", str(unknown), (call.id,)) from None
    if len(call.description.split()) < WORDS:
        why = f"expected a description of at least {WORDS} words, found {call.description!r}"
        raise PlanRefused("described", why, (call.id,))
    try:
        request = specialist.takes.fit(parse(call.request.encode("utf-8", "surrogatepass")))
    except BadInput as fault:
        raise PlanRefused("contract", told(fault), (call.id,)) from None
    return Part(specialist, id=call.id, request=request, after=call.after, says=call.description)
