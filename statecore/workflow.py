"""Workflow: the class in whose body a machine is declared. Everything is compiled and checked once, while the class is
made.
"""

from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import attrs

from statecore.chart import Chart, contracts, scan
from statecore.check import check
from statecore.contract import Contract, contract_of, spelled
from statecore.declare import State
from statecore.errors import DefinitionError
from statecore.failures import ENGINE_FAILURES as ENGINE_FAILURES
from statecore.handover import Handover
from statecore.plan import Part, Plan
from statecore.planhandover import PlanOf
from statecore.table import Table, compile_table, digest

T = TypeVar("T")


@attrs.frozen(eq=False)
class Machine:
    """A compiled declaration: all that the decider needs of a workflow class. `contracts`: by the name that events use."""

    chart: Chart
    table: Table
    handovers: dict[str, Handover]
    plans: dict[str, PlanOf]
    contracts: dict[str, Contract[Any]]
    fingerprint: str

    @property
    def name(self) -> str:
        return self.chart.name


def compile_machine(cls: type, takes: type, version: str) -> Machine:
    """Scan, compile, check and fingerprint a class body. Raises DefinitionError."""
    chart = scan(cls, takes, version)
    known = {kind.__name__: contract_of(kind) for kind in contracts(chart)}
    table = compile_table(chart)
    handovers, plans = check(chart, table)
    return Machine(chart, table, handovers, plans, known, digest(_essence(chart, table, known)))


def _essence(chart: Chart, table: Table, known: dict[str, Contract[Any]]) -> dict[str, Any]:
    """What a run is pinned to: table, policies and contracts; no function bodies, no specialist versions, no prose."""
    shapes = {kind.__name__: contract_of(kind).spec() for contract in known.values() for kind in contract.nested()}
    return {
        "workflow": chart.name,
        "version": chart.version,
        "takes": chart.takes.__name__,
        "start": str(table.start.config),
        "rows": table.lines(),
        "policies": {node.path: _policy(chart, node.path) for node in chart.working},
        "outcomes": {node.path: node.outcome for node in chart.nodes.values() if node.final and node.parent is None},
        "contracts": shapes,
    }


def _policy(chart: Chart, path: str) -> dict[str, Any]:
    state = chart.state(path)
    return _called(state) if state.plan is None else _planned(state.plan)


def _called(work: State | Part) -> dict[str, Any]:
    return {
        "attempts": work.attempts,
        "timeout": work.timeout,
        "specialists": [
            [
                *(s.name, s.effect, s.takes.name, [g.name for g in s.gives], sorted(f.__name__ for f in s.fails)),
                *(["derives"] if s.derives else []),
            ]
            for s in work.specialists
        ],
        "guards": [f"{guard.name}{' vouches' if getattr(guard, 'vouches', False) else ''}" for guard in work.guards],
        "give": getattr(work.give, "__name__", "") if work.give else "",
    }


def _planned(plan: Plan) -> dict[str, Any]:
    functions = {"assemble": plan.assemble, "make": plan.make, "complete": plan.complete}
    return {
        "parts": {
            part.id: {**_called(part), "after": list(part.after), "needed": part.needed, "answers": part.answers}
            for part in plan.parts
        },
        "expects": {part.id: float(part.expects) for part in plan.parts},
        "on_failure": plan.on_failure,
        "bounds": [plan.width, plan.at_most, plan.depth],
        "rules": [rule.name for rule in plan.rules],
        "conflicts": plan.conflicts.name if plan.conflicts else "",
        **{name: fn.__name__ if fn else "" for name, fn in functions.items()},
    }


class Workflow(Generic[T]):
    """Derive from `Workflow[Input]` with a version, and declare states and transitions in the body:

        class Greeting(Workflow[Name], version="1"):
            greeting = State(greet, initial=True)
            greeted  = State(final=True)
            ok       = greeting.to(greeted, on=Completed[Hello])
            failed   = ...

    Raises DefinitionError at the class statement where the declaration cannot be right. `machine` is the compiled
    declaration.
    """

    machine: ClassVar[Machine]

    def __init__(self) -> None:  # not NoReturn, with which mypy forgets __init_subclass__ and refuses `version=`
        raise TypeError(
            f"{type(self).__name__} is a declaration, not something to make instances of: start a run with"
            " `Engine.start`"
        )

    def __init_subclass__(cls, *, version: str = "") -> None:
        if cls.__bases__ != (Workflow,):
            raise DefinitionError(f"{cls.__name__}: workflows are composed, not refined: derive from Workflow alone")
        takes = _input_of(cls)
        if not (isinstance(version, str) and version):
            raise DefinitionError(
                f"{cls.__name__}: expected a version, found {version!r}: write `class"
                f' {cls.__name__}(Workflow[{takes.__name__}], version="1")`'
            )
        if "machine" in vars(cls):
            raise DefinitionError(f"{cls.__name__}: `machine` is a word of Workflow itself: choose another name")
        cls.machine = compile_machine(cls, takes, version)


def _input_of(cls: type) -> type:
    base = cls.__dict__.get("__orig_bases__", (None,))[0]
    takes = get_args(base)[0] if get_origin(base) is Workflow else None
    if not (isinstance(takes, type) and attrs.has(takes)):
        found = spelled(takes) if takes is not None else "none"
        raise DefinitionError(
            f"{cls.__name__}: expected the class of its input, an attrs class, found {found}: write `class"
            f" {cls.__name__}(Workflow[Ticket], version=...)`"
        )
    return takes
