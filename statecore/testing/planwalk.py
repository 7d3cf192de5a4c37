"""A plan on a path that is played: its calls end as the path needs it, and it gives the assembly that the path names."""

import copy
from collections.abc import Callable
from typing import Any

import attrs

from statecore.call import Call, CallState
from statecore.events import CallPlanned, plan_of
from statecore.failures import Failure
from statecore.handover import Handover
from statecore.plancheck import written
from statecore.planhandover import Filled, PlanOf
from statecore.run import Run
from statecore.workflow import Machine

Example = Callable[[type], Any]
"""A value of a class."""


def standing_in(machine: Machine, example: Example, assembly: Callable[[str], Any]) -> Machine:
    """The machine with plans that stop at their first failure, have a call for each of their specialists where they are
    made at run time, and give `assembly(state)`.
    """
    plans = {path: _stand_in(of, example, assembly, path) for path, of in machine.plans.items()}
    return attrs.evolve(machine, plans=plans)


def _stand_in(of: PlanOf, example: Example, assembly: Callable[[str], Any], path: str) -> PlanOf:
    plan = copy.copy(of.plan)
    plan.on_failure, plan.conflicts = "stop", None
    parts = of.parts if of.make is None else tuple(_asked(part, of, example) for part in written(of.plan))
    assemble = Filled(Handover(lambda: assembly(path), (), "the path"))
    return PlanOf(plan, parts, of.gives, None, assemble, None)


def _asked(part: CallPlanned, of: PlanOf, example: Example) -> CallPlanned:
    takes = of.plan.part(part.part, part.type).does.takes
    return attrs.evolve(part, request=takes.pack(example(takes.cls)))


def calls_of(run: Run, state: str) -> list[Call]:
    """The open calls of a state's plan."""
    return [call for call in run.calls.values() if call.state == state and plan_of(call.id) in run.plans]


def to_fail(machine: Machine, calls: list[Call], failure: type[Failure]) -> Call | None:
    """The call among these that may end in a failure."""
    for call in calls:
        specialists = machine.chart.work(call).specialists
        if call.status is not CallState.UNKNOWN and any(failure in each.may_fail() for each in specialists):
            return call
    return None
