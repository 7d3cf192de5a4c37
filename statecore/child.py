"""Child workflows: a run of another workflow as the work of a state.

    writing = State(child(Article), attempts=2, timeout=3600)

The child takes what the other workflow takes. It gives the values on which that one completes: they are found in its
table, or declared with `gives=` and compared with it. Its run has a log of its own and is never begun again by a crash.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast, overload

import attrs

from statecore.call import Call, CallState
from statecore.check import edges_of
from statecore.contract import contract_of
from statecore.errors import DefinitionError
from statecore.events import Payload
from statecore.failures import ChildFailed, Failure, printable
from statecore.hints import spelled
from statecore.messages import Completed, Failed
from statecore.run import Run
from statecore.specialist import Effect, Specialist
from statecore.versions import split
from statecore.workflow import Machine, Workflow

I = TypeVar("I")  # noqa: E741 - input and output, as everywhere in the typing of specialists
O = TypeVar("O")  # noqa: E741

TOLD = 2000
"""Characters of a child's last failure that its parent is told."""


@overload
def child(workflow: type[Workflow[I]], *, effect: Effect | None = None) -> Specialist[I, Any]: ...
@overload
def child(
    workflow: type[Workflow[I]], *, gives: type[O] | Sequence[type[O]], effect: Effect | None = None
) -> Specialist[I, O]: ...
@overload
def child(
    workflow: Callable[[], type[Workflow[I]]],
    *,
    name: str,
    version: str,
    takes: type[I],
    gives: type[O] | Sequence[type[O]],
    effect: Effect | None = None,
) -> Specialist[I, O]: ...
def child(
    workflow: Any,
    *,
    name: str = "",
    version: str = "",
    takes: type | None = None,
    gives: Any = None,
    effect: Effect | None = None,
) -> Specialist[Any, Any]:
    """A specialist whose work is a run of `workflow`.

    A workflow that is not there yet, itself for one, is a function that gives it, with `name`, `version`, `takes` and
    `gives`. `effect`: what another run of it would do; without one `pure` where all its specialists are, else `once`.
    Raises DefinitionError where it can complete on no value, or on one that `gives` does not list.
    """
    declared = None if gives is None else tuple(gives) if isinstance(gives, list | tuple) else (gives,)
    if isinstance(workflow, type) and isinstance(machine := getattr(workflow, "machine", None), Machine):
        given = _compared(machine, declared)
        made = (machine.chart.name, machine.chart.version, machine.chart.takes)
        return _specialist(*made, given, effect or _effect(machine), lambda: machine)
    if isinstance(workflow, type) or not callable(workflow):
        raise DefinitionError(f"child({spelled(workflow)}): expected a workflow, or a function that gives one")
    if not (name.isidentifier() and version and takes and declared):
        raise DefinitionError(
            "child(...) of a workflow that is not there yet needs its name, version, takes and gives: write"
            ' child(lambda: Tree, name="Tree", version="1", takes=Node, gives=Total)'
        )
    resolved = _Later(cast(Callable[[], type[Workflow[Any]]], workflow), name, version, takes, declared)
    return _specialist(name, version, takes, declared, effect or "once", resolved)


def _specialist(
    name: str, version: str, takes: type, gives: tuple[type, ...], effect: Effect, machine: Callable[[], Machine]
) -> Specialist[Any, Any]:
    contracts = tuple(contract_of(given) for given in gives)
    fails = (ChildFailed,)
    return Specialist(
        name, version, contract_of(takes), contracts, fails, effect, _elsewhere, kind="workflow", machine=machine
    )


def _elsewhere(request: Any) -> Any:
    raise TypeError("the work of a child workflow is a run of its own: ask an engine for one")


@attrs.frozen
class _Later:
    """A workflow that is defined after its child was declared, held to the declaration when it is first needed."""

    workflow: Callable[[], type[Workflow[Any]]]
    name: str
    version: str
    takes: type
    gives: tuple[type, ...]

    def __call__(self) -> Machine:
        machine = self.workflow().machine
        found = (machine.chart.name, machine.chart.version, machine.chart.takes)
        if found != (self.name, self.version, self.takes):
            raise DefinitionError(
                f"child {self.name} {self.version} was declared to take {spelled(self.takes)}, and what is there is"
                f" {found[0]} {found[1]}, which takes {spelled(found[2])}: make the two agree"
            )
        _compared(machine, self.gives)
        return machine


def _compared(machine: Machine, declared: tuple[type, ...] | None) -> tuple[type, ...]:
    """The classes of the values that a child gives."""
    found, silent = completions(machine)
    if declared is None:
        if silent or not found:
            raise DefinitionError(
                f"child {machine.name} completes without a value of its own ({silent or 'no way to complete on a value'}):"
                " let a specialist give the result, or say child(..., gives=...)"
            )
        return found
    if missing := [spelled(cls) for cls in found if cls not in declared]:
        listed = ", ".join(spelled(cls) for cls in declared)
        raise DefinitionError(
            f"child {machine.name} may complete with {' or '.join(missing)}, expected only what gives={listed} says: add it"
        )
    return declared


def completions(machine: Machine) -> tuple[tuple[type, ...], str]:
    """The classes of the values on which a workflow completes, wholly or in part, and the first transition that does so
    on no value. A failure is no value: a run that ends on one has failed for whoever called it.
    """
    nodes = machine.chart.nodes
    ends = {node.path for node in nodes.values() if node.final and node.parent is None and node.outcome != "failed"}
    found: dict[type, None] = {}
    silent = ""
    for edge in edges_of(machine.chart, machine.table):
        if ends.isdisjoint(edge.move.config.states) or edge.spent or issubclass(edge.gives, Failure):
            continue
        if attrs.has(edge.gives):
            found[edge.gives] = None
        else:
            silent = silent or " + ".join(edge.move.transitions)
    return tuple(found), silent


def _effect(machine: Machine) -> Effect:
    """Keys are new in another run, so what is idempotent within one is not so across two."""
    return "pure" if all(s.effect == "pure" for s in specialists(machine)) else "once"


def specialists(machine: Machine) -> Iterator[Specialist[Any, Any]]:
    """Of every state, fallbacks and all."""
    for node in machine.chart.working:
        yield from machine.chart.state(node.path).specialists


def outcome(call: Call, specialist: Specialist[Any, Any], run: Run) -> Completed[Any] | Failed[Failure]:
    """What the end of a child run is for the call whose work it was."""
    result = run.result
    contract = (
        specialist.gives_named(split(result.contract)[0])
        if result and run.outcome in ("completed", "partial")
        else None
    )
    if contract is not None and result is not None:
        partly = (f"the child run {run.id} is partial",) if run.outcome == "partial" else ()
        warnings = (*run.values[-1].warnings, *partly)
        return Completed(
            contract.unpack(result), call.id, call.attempt, rank=call.rank, warnings=warnings, child=run.id
        )
    failure = ChildFailed(run.id, run.outcome, run.why[:TOLD], _text(result) if run.outcome != "cancelled" else "")
    return Failed(failure, call.id, call.attempt, rank=call.rank, child=run.id)


def _text(result: Payload | None) -> str:
    return printable(f"{result.contract} {result.data[:TOLD].decode(errors='ignore')}") if result else ""


def waiting(run: Run) -> dict[str, Call]:
    """The calls whose work is a child run, by the name of that run."""
    return {
        call.child: call for call in run.calls.values() if call.kind == "workflow" and call.status is CallState.STARTED
    }
