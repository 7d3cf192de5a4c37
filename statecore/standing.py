"""Whether a declaration can go on with a run, and what is recorded when a run is moved to another one. Pure.

A run keeps to the fingerprint that it was started on. A migration maps its configuration, leaves its values, its calls
and its counts as they are, and is refused where the run could get stuck: in a configuration that the table does not
have, with a call that is nobody's work any more, before a value that no upcaster leads to, or on a way to a hand-over
that needs what the run has not got.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from statecore.call import Call
from statecore.chart import START
from statecore.check import Edge, edges_of, path_avoiding, story
from statecore.errors import BadInput, NotPossible
from statecore.events import Migrated
from statecore.handover import Param
from statecore.migration import Migration
from statecore.person import Person
from statecore.run import Run, called, evolve
from statecore.saying import said
from statecore.specialist import Specialist
from statecore.table import Config
from statecore.wording import visible
from statecore.workflow import Machine


def migration_of(machine: Machine, run: Run) -> Migration | None:
    """The declared migration that leads a run to a machine."""
    return next((migration for migration in machine.migrations if migration.covers(run)), None)


def migrated(machine: Machine, run: Run, *, by: str, why: str) -> Migrated:
    """What is recorded when a run goes on with another declaration.

    Raises NotPossible where the run is finished or on it already, where no migration leads there, or with every reason
    why it could not go on there.
    """
    target = f"{machine.name} {machine.chart.version} with fingerprint {machine.fingerprint[:12]}"
    if run.outcome:
        raise NotPossible(f"{run.id} is {run.outcome}: a finished run stays on what it ended on")
    if run.fingerprint == machine.fingerprint:
        raise NotPossible(f"{run.id} is on {target} already")
    migration = migration_of(machine, run)
    if migration is None:
        raise NotPossible(
            f"{run.id} is on {run.workflow}@{run.version} with fingerprint {run.fingerprint[:12]}, and no migration"
            f' leads from there to {target}: declare Migration("{run.workflow}@{run.version}") in its `migrations`'
        )
    event = moved(machine, run, dict(migration.states), by, why)
    if faults := [*stuck(machine, evolve(run, event, run.at))]:
        raise NotPossible(*f"{visible(run.id)} could not go on with {target}: {'; '.join(faults)}".split("\n"))
    return event


def migrating(machine: Machine, runs: Iterable[Run], at: float, *, by: str, why: str) -> list[tuple[Migrated, Run]]:
    """What is recorded for each of several runs, and the run as it is then. Raises NotPossible, naming every run that
    could not go on; BadInput where who or why says nothing.
    """
    said(by, why)
    moves, refused = list[tuple[Migrated, Run]](), list[str]()
    for run in runs:
        try:
            event = migrated(machine, run, by=by, why=why)
            moves.append((event, evolve(run, event, at)))
        except NotPossible as reason:
            refused += reason.args
    if refused:
        raise NotPossible(*refused)
    return moves


def moved(machine: Machine, run: Run, states: dict[str, str], by: str, why: str) -> Migrated:
    """The event, whatever becomes of the run. Raises NotPossible where the table has no such configuration."""
    if lasting := [*_lasting(machine, run, states)]:
        raise NotPossible(
            f"{run.id} is in the middle of {' and '.join(lasting)}, which {machine.name} {machine.chart.version} would"
            " not go on with: let it be over first"
        )
    nodes, order = machine.chart.nodes, list(machine.chart.nodes)
    inner = [path for path in run.config.states if not any(o.startswith(f"{path}/") for o in run.config.states)]
    leaves = [called(path, states) for path in inner]
    if gone := [path for path in leaves if path not in nodes]:
        raise NotPossible(
            f"{run.id} is in `{'`, `'.join(gone)}`, which {machine.name} {machine.chart.version} does not have: name in"
            " `states` of the migration what it is called there"
        )
    places = sorted({place for leaf in leaves for place in machine.chart.chain(leaf)}, key=order.index)
    was = {called(name, states): tuple(called(path, states) for path in paths) for name, paths in run.config.history}
    history = tuple((name, paths) for name, paths in was.items() if name in nodes)
    config = Config(tuple(places), history)
    if config not in machine.table.configs:
        raise NotPossible(
            f"{run.id} would be in `{config}`, which is no configuration of {machine.name} {machine.chart.version}:"
            " let it go on until it is in one that is"
        )
    chart = machine.chart
    pinned = (run.fingerprint, chart.name, chart.version, machine.fingerprint)
    return Migrated(by, why, *pinned, config.states, config.history, tuple(sorted(states.items())))


def _lasting(machine: Machine, run: Run, states: dict[str, str]) -> Iterator[str]:
    """What goes on in a run, and not in another declaration: every plan, and the times that it does not have under the
    same name.
    """
    yield from (f"the plan `{plan}`" for plan in run.plans)
    for state in run.timers:
        if called(state, states) != state or state not in machine.chart.timed:
            yield "the deadline of the run" if state == START else f"the time of `{state}`"
    for call in run.calls.values():
        meant = _meant(machine, attrs.evolve(call, renamed=called(call.state, states)))
        if call.kind == "person" and call.wake is not None and isinstance(meant, Person) and meant.within is None:
            yield f"the deadline of {call.id}"


def stuck(machine: Machine, run: Run) -> Iterator[str]:
    """Why a declaration cannot go on with a run that is pinned to it; nothing where it can. Every value that a
    hand-over may still read is read.
    """
    if run.outcome:
        return
    busy = {call.state for call in run.calls.values()}
    for call in run.calls.values():
        yield from _orphaned(machine, call)
    for path in run.config.states:
        if _works(machine, path) and path not in busy and not any(plan.startswith(f"{path}#") for plan in run.plans):
            yield f"`{path}` has something to do, and the run entered it when it had not"
        if _waits(machine, path) and path not in run.timers:
            yield f"`{path}` lets a time pass, and the run entered it when it did not"
    edges = edges_of(machine.chart, machine.table)
    for path, compiled in machine.handovers.items():
        way = path_avoiding(edges, lambda edge: path in edge.move.entered, lambda _: False, run.config)  # noqa: B023
        for param in compiled.params if way else ():
            yield from _unread(machine, run, param)
            yield from _lacking(machine, run, edges, path, param)


def _works(machine: Machine, path: str) -> bool:
    state = machine.chart.nodes[path].state
    return state is not None and bool(state.works)


def _waits(machine: Machine, path: str) -> bool:
    state = machine.chart.nodes[path].state
    return state is not None and state.wait is not None


def held_up(machine: Machine, run: Run) -> str:
    """Why nothing may be done with a run that holds values of other versions; "" for every run that was not migrated."""
    stored = {contract for _, contract in run.newest} | {call.request.contract for call in run.calls.values()}
    return "" if stored <= machine.contracts.keys() else "; ".join(stuck(machine, run))


def _orphaned(machine: Machine, call: Call) -> Iterator[str]:
    """Why an open call is nobody's work here."""
    meant = _meant(machine, call)
    if meant is None or (meant.name, meant.effect) != (call.specialist.partition("@")[0], call.effect):
        node = machine.chart.nodes.get(call.state)
        other = "a plan" if node and node.state and node.state.plan else "nothing"
        does = f"`{meant.name}` ({meant.effect})" if meant else other
        yield f"{call.id} waits for {call.specialist} ({call.effect}), and `{call.state}` has {does} to do in its place"
        return
    try:
        meant.takes.unpack(call.request)
    except BadInput as fault:
        yield f"the request of {call.id} cannot be read ({fault})"


def _meant(machine: Machine, call: Call) -> Specialist[Any, Any] | None:
    """Whose work an open call is here; None: nobody's."""
    node = machine.chart.nodes.get(call.state)
    if node is None or node.state is None or not node.state.works:
        return None
    try:
        specialists = machine.chart.work(call).specialists
    except LookupError:
        return None
    return specialists[call.rank] if call.rank < len(specialists) else None


def _unread(machine: Machine, run: Run, param: Param) -> Iterator[str]:
    """The values that a parameter asks for and that cannot be read as one."""
    for value in run.values if param.many else run.newest.values():
        if param.of(value.by) and machine.versions(value.payload.contract, param.wants):
            try:
                machine.read(value.payload, param.wants)
            except BadInput as fault:
                yield f"what `{value.by}` gave cannot be read ({fault})"


def _lacking(machine: Machine, run: Run, edges: tuple[Edge, ...], path: str, param: Param) -> Iterator[str]:
    """A way from here to a hand-over that needs what the run has not got by then."""
    if param.many or param.optional:
        return
    newest = run.newest.values()
    if any(param.of(v.by) and machine.reader(v.payload.contract, param.wants) is not None for v in newest):
        return
    enters, gives = lambda edge: path in edge.move.entered, lambda edge: param.fits(edge.by, edge.gives)
    if (way := path_avoiding(edges, enters, gives, run.config)) is not None:
        yield f"{machine.handovers[path].text} needs `{param}`, which the run has not got on this way:\n{story(way)}"
