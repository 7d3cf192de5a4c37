"""What can be seen wrong in a chart before it is compiled: in its bodies, in what its states have to do, in its names, and
in triggers that never come.
"""

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

from statecore.chart import START, Arrow, Chart, Node, contracts
from statecore.declare import State
from statecore.failures import Failure
from statecore.guard import SWITCH, Guard
from statecore.hints import named as named
from statecore.hints import spelled
from statecore.messages import Completed, Done, Elapsed, Failed, Signal
from statecore.person import Person
from statecore.plan import Part
from statecore.plancheck import declared
from statecore.specialist import Specialist, check_failure
from statecore.versions import id_of, name_of
from statecore.wait import Wait, seconds


def right(chart: Chart) -> None:
    """Raises DefinitionError at the first fault."""
    _bodies(chart)
    for node in chart.nodes.values():
        if node.state is not None:
            _state(chart, node, node.state)
    _names(chart)
    for arrow in chart.arrows:
        _comes(chart, arrow)


def _bodies(chart: Chart) -> None:
    if not chart.nodes:
        chart.wrong("no states: write at least an initial and a final one")
    for body in (None, *(node.path for node in chart.nodes.values() if node.kind in ("compound", "parallel"))):
        inside = [node for node in chart.children(body) if not node.kind.startswith("history")]
        where = "the workflow" if body is None else f"`{body}`"
        if not inside:
            chart.wrong(f"{where} has no states: write at least an initial one")
        if body is not None and chart.nodes[body].kind == "parallel":
            if any(node.kind == "state" for node in inside) or len(inside) < 2:
                chart.wrong(
                    f"{where} is parallel: expected two or more compounds inside, found"
                    f" {', '.join(n.name for n in inside)}"
                )
            continue
        initial = [node.name for node in inside if node.initial]
        if len(initial) != 1:
            chart.wrong(
                f"{where} needs one initial state, found {', '.join(initial) or 'none'}: mark one `initial=True`"
            )


def _state(chart: Chart, node: Node, state: State) -> None:
    path = node.path
    if node.final and (state.works or state.plan or state.wait or state.initial or node.within):
        chart.wrong(
            f"`{path}` is final, so it has nothing to do and is not initial: put the work into a state before it"
        )
    if state.outcome not in ("completed", "failed", "partial"):
        chart.wrong(f"`{path}`: outcome={state.outcome!r}, expected completed, failed or partial")
    if state.outcome != "completed" and not (node.final and node.parent is None):
        chart.wrong(
            f"`{path}` has an outcome, which only a final state of the workflow itself has: drop `outcome=` or mark it"
            " `final=True`"
        )
    policies = state.give or state.attempts != 1 or state.guards or state.fallback or state.limited
    if state.plan is not None:
        if policies:
            chart.wrong(
                f"`{path}` has a plan, whose parts say how each is called: write `give`, `attempts`, `fallback`,"
                " `guards` and `timeout` into a Part(...)"
            )
        declared(state.plan, lambda what: chart.wrong(f"`{path}`: {what}"))
    elif state.does is None and policies:
        chart.wrong(
            f"`{path}` has nothing to do, so `give`, `attempts`, `fallback`, `guards` and `timeout` say nothing: name a"
            " specialist or drop them"
        )
    if state.wait:
        _wait(chart, node, state.wait)
    for work in state.works or (state,):
        _policies(chart, f"{path}/{work.id}" if isinstance(work, Part) else path, work)


def _policies(chart: Chart, path: str, work: State | Part) -> None:
    if not (type(work.attempts) is int and work.attempts >= 1):
        chart.wrong(f"`{path}`: attempts={work.attempts!r}, expected a whole number from 1 up")
    if not (type(work.timeout) in (int, float) and 0 < work.timeout < math.inf):
        chart.wrong(f"`{path}`: timeout={work.timeout!r}, expected seconds above 0")
    for specialist in work.specialists:
        _work(chart, path, work, specialist)
    for guard in work.guards:
        _guard(chart, path, guard)
        _judges(chart, path, work, guard)


def _wait(chart: Chart, node: Node, wait: Wait) -> None:
    if (wait.span is None) == (wait.until is None):
        chart.wrong(
            f"`{node.path}`: expected how long it waits or until when, found {wait}: write Wait(...) with one of them"
        )
    if wait.span is not None and seconds(wait.span) is None:
        chart.wrong(f"`{node.path}`: Wait({wait.span!r}), expected a timedelta or seconds above 0")
    if node.within is not None:
        chart.wrong(f"`{node.path}`: a Wait is over when its time is, so `within` says nothing: drop one of the two")


def _work(chart: Chart, path: str, state: State | Part, specialist: Any) -> None:
    if not isinstance(specialist, Specialist):
        remedy = "decorate the function with @specialist(...)"
        if hasattr(specialist, "machine"):
            remedy = f"a run of another workflow is child({named(specialist)})"
        chart.wrong(f"`{path}`: expected a specialist, found {named(specialist)}: {remedy}")
    if specialist.effect == "once" and state.attempts > 1:
        chart.wrong(
            f"`{path}`: attempts={state.attempts} around `{specialist.name}`, whose effect is `once` and must not"
            " happen twice: label it pure or idempotent, or leave one attempt"
        )
    if isinstance(state.does, Person) and (state.attempts != 1 or state.limited) and not _called(state):
        chart.wrong(
            f"`{path}`: a person is asked once, so `attempts` and `timeout` say nothing: write within= at"
            f" Person({state.does.name!r}, ...), and those who are asked next as fallback=[...]"
        )
    first = state.specialists[0]
    extra = [given.id for given in specialist.gives if given.id not in {g.id for g in first.gives}]
    if specialist.takes.cls is not first.takes.cls or extra:
        chart.wrong(
            f"`{path}`: fallback `{specialist.name}` takes {specialist.takes.id} and gives {_given(specialist)}, "
            f"expected what `{first.name}` has: {first.takes.id} and {_given(first)}"
        )


def _called(state: State | Part) -> bool:
    return any(not isinstance(specialist, Person) for specialist in state.specialists)


def _guard(chart: Chart, path: str, guard: Guard[Any]) -> None:
    if (
        getattr(guard, "side", None) not in ("before", "after")
        or not callable(getattr(guard, "ask", None))
        or isinstance(guard, type)
    ):
        chart.wrong(
            f"`{path}`: expected a guard, found {named(guard)}: give it a name, a side (before or after), `fails` and a"
            " method `ask`"
        )
    if guard.name == SWITCH:
        chart.wrong(
            f"`{path}`: `{SWITCH}` is the name of the engine's own guard, which takes specialists out of rotation: name"
            " yours otherwise"
        )
    for failure in guard.fails:
        if not (isinstance(failure, type) and issubclass(failure, Failure)):
            chart.wrong(
                f"`{path}`: guard `{guard.name}` lists {spelled(failure)} in its `fails`: derive it from Failure"
            )
        check_failure(failure)


def _judges(chart: Chart, path: str, work: State | Part, guard: Guard[Any]) -> None:
    """A guard is asked about what the work takes, or about what it gives."""
    unfit: Callable[[type], str] = getattr(guard, "unfit", lambda cls: "")
    first = work.specialists[0] if work.specialists else None
    contracts = () if first is None else (first.takes,) if guard.side == "before" else first.gives
    for contract in contracts:
        if why := unfit(contract.cls):
            chart.wrong(f"`{path}`: guard `{guard.name}` cannot judge a {contract.id}: {why}")


def _given(specialist: Specialist[Any, Any]) -> str:
    return " | ".join(contract.id for contract in specialist.gives)


def _names(chart: Chart) -> None:
    known: dict[str, type] = {}
    for cls in contracts(chart):
        other = known.setdefault(id_of(cls), cls)
        if other is not cls:
            chart.wrong(
                f"two contracts are named {id_of(cls)} ({other.__module__} and {cls.__module__}), and the log tells"
                " them apart by name: rename one"
            )
    heard = {payload for arrow in chart.arrows if arrow.kind is Signal for payload in arrow.payloads}
    for one, other in combinations((cls for cls in known.values() if issubclass(cls, Failure) or cls in heard), 2):
        if name_of(one) == name_of(other):
            chart.wrong(
                f"{spelled(one)} and {spelled(other)} are one failure or signal in two versions, and transitions go by"
                " its name: keep one of them"
            )


def _comes(chart: Chart, arrow: Arrow) -> None:
    """A trigger that never comes: the source has nothing to do that ends so."""
    inside = [node for node in chart.working if arrow.source in chart.chain(node.path)]
    given = dict.fromkeys(given for node in inside for given in chart.gives(node.path))
    if arrow.kind is Completed:
        for payload in arrow.payloads:
            if not any(issubclass(cls, payload) for cls in given):
                gives = " | ".join(f"Completed[{spelled(cls)}]" for cls in given) or "nothing: it has nothing to do"
                chart.wrong(
                    f"transition `{arrow.name}` waits in `{arrow.source}` for Completed[{spelled(payload)}], which"
                    f" never comes: `{arrow.source}` gives {gives}"
                )
    if arrow.kind is Elapsed and not _passes(chart, arrow) and arrow.source in _named_sources(chart, arrow):
        chart.wrong(
            f"transition `{arrow.name}` waits in `{arrow.source}` for Elapsed, which never comes: `{arrow.source}` has no"
            " time set; give it a Wait(...) or a deadline, within=..."
        )
    failing = [node for node in chart.failing if arrow.source in chart.chain(node.path)]
    if arrow.kind is Failed and not failing and arrow.source in _named_sources(chart, arrow):
        chart.wrong(
            f"transition `{arrow.name}` waits in `{arrow.source}` for {arrow.on}, which never comes: `{arrow.source}`"
            " has nothing to do"
        )
    if arrow.kind is Done and chart.nodes[arrow.source].kind not in ("compound", "parallel"):
        chart.wrong(
            f"transition `{arrow.name}`: `{arrow.source}` has no body that could be Done: wait for its Completed[...]"
        )


def _passes(chart: Chart, arrow: Arrow) -> bool:
    """Whether a time is set in the source, or around it for the whole run."""
    inside = any(arrow.source in chart.chain(path) for path in chart.timed if path != START)
    return inside or (arrow.anywhere and START in chart.timed)


def _named_sources(chart: Chart, arrow: Arrow) -> list[str]:
    """The sources of a transition; empty for one from several places, where a silent one does no harm."""
    sources = [other.source for other in chart.arrows if other.name == arrow.name]
    return sources if len(sources) == 1 else []
