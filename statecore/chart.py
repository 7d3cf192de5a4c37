"""The chart: a workflow class body as plain data.

Paths name places: `reading`, `both/left/reading`. It is read by `scan.py`, and held to what can be seen of it alone by
`chartcheck.py`. What needs the compiled table to be seen is in `check.py`.
"""

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any, NoReturn, get_type_hints

import attrs

from statecore.call import Call
from statecore.declare import State
from statecore.errors import DefinitionError
from statecore.failures import ENGINE_FAILURES, PLAN_FAILURES, Failure, covered
from statecore.messages import Done, Elapsed, Trigger, spell
from statecore.plan import Part
from statecore.specialist import Specialist
from statecore.versions import name_of
from statecore.wait import seconds

START, SIGNAL = "start", "signal"
"""Whose values the run's input and the payloads of signals are."""


@attrs.frozen
class Node:
    """A place. `kind`: state, compound, parallel, history or history* (deep). `within`: seconds that it may last."""

    path: str
    parent: str | None
    kind: str
    initial: bool
    final: bool
    state: State | None = attrs.field(default=None, eq=False)
    says: str = ""
    within: float | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def outcome(self) -> str:
        return self.state.outcome if self.state else ""


@attrs.frozen
class Arrow:
    """A transition from one source. `payloads`: the types that fire it. `anywhere`: it was written `any_state.to(...)`."""

    name: str
    source: str
    target: str
    kind: type[Trigger[Any]]
    payloads: tuple[type, ...]
    cond: Callable[[Any], bool] | None = attrs.field(default=None, eq=False)
    at_most: int | None = None
    says: str = ""
    reply: Callable[..., Any] | None = attrs.field(default=None, eq=False)
    anywhere: bool = False

    @property
    def on(self) -> str:
        return " | ".join(spell(self.kind, payload) for payload in self.payloads)

    @property
    def condition(self) -> str:
        """The name of the condition; with that of the transition, where other conditions may be called the same."""
        if self.cond is None:
            return ""
        name = getattr(self.cond, "__name__", "")
        if not name.isidentifier():
            return f"condition of {self.name}"
        return f"{name} of {self.name}" if "<" in getattr(self.cond, "__qualname__", "") else name


@attrs.frozen(slots=False)
class Chart:
    """`takes`: the class of the run's input. Nodes and arrows in declaration order, `any_state` arrows last. `within`:
    seconds that a run may last.
    """

    name: str
    version: str
    takes: type
    doc: str
    nodes: dict[str, Node]
    arrows: tuple[Arrow, ...]
    within: float | None = None

    def wrong(self, what: str) -> NoReturn:
        raise DefinitionError(f"{self.name}: {what}")

    def chain(self, path: str) -> tuple[str, ...]:
        """The place and its ancestors, inmost first."""
        out = [path]
        while (parent := self.nodes[out[-1]].parent) is not None:
            out.append(parent)
        return tuple(out)

    def children(self, path: str | None) -> list[Node]:
        return [node for node in self.nodes.values() if node.parent == path]

    @cached_property
    def working(self) -> tuple[Node, ...]:
        """The states that have something to do."""
        return tuple(node for node in self.nodes.values() if node.state is not None and node.state.works)

    @cached_property
    def composed(self) -> bool:
        """Whether any of its work is done by a run of another workflow."""
        return any(s.kind == "workflow" for node in self.working for s in self.state(node.path).specialists)

    @cached_property
    def failing(self) -> tuple[Node, ...]:
        """The states whose own work may fail: a call, or a function that says until when to wait."""
        states = [(node, node.state) for node in self.nodes.values() if node.state is not None]
        return tuple(node for node, state in states if state.works or (state.wait and state.wait.until))

    @cached_property
    def timed(self) -> dict[str, float | None]:
        """The places that have a timer while they are active, with its seconds (None: a function says until when).
        START: the run.
        """
        found: dict[str, float | None] = {} if self.within is None else {START: self.within}
        for path, node in self.nodes.items():
            wait = node.state.wait if node.state else None
            if wait or node.within is not None:
                found[path] = seconds(wait.span) if wait else node.within
        return found

    @cached_property
    def flat(self) -> bool:
        return all(node.kind == "state" for node in self.nodes.values())

    def state(self, path: str) -> State:
        state = self.nodes[path].state
        assert state is not None
        return state

    def work(self, call: Call) -> State | Part:
        """What says how a call is made: its state, or its part of the state's plan."""
        state = self.state(call.state)
        return state if state.plan is None else state.plan.part(call.part, call.type)

    def specialist(self, call: Call) -> Specialist[Any, Any]:
        """The one that has a call: the first of its work, or a fallback."""
        return self.work(call).specialists[call.rank]

    def gives(self, path: str) -> tuple[type, ...]:
        """The classes that a state may end well in."""
        state = self.state(path)
        if state.plan is not None:
            return (state.plan.gives,)
        return tuple(dict.fromkeys(given.cls for each in state.specialists for given in each.gives))


def replied(arrow: Arrow) -> type | None:
    """The class that `reply=` of a transition gives; None where it has none, or none that it says."""
    if arrow.reply is None or not inspect.isroutine(arrow.reply):
        return None
    try:
        returns = get_type_hints(arrow.reply).get("return")
    except NameError:
        return None
    return returns if isinstance(returns, type) and attrs.has(returns) else None


def contracts(chart: Chart) -> list[type]:
    """Every class whose values the runs of a chart may record, each once."""
    found: dict[type, None] = {chart.takes: None}
    found |= {reply: None for arrow in chart.arrows if (reply := replied(arrow))}
    for node in chart.working:
        for specialist in chart.state(node.path).specialists:
            found |= dict.fromkeys(
                (specialist.takes.cls, *(given.cls for given in specialist.gives), *specialist.fails)
            )
        for work in chart.state(node.path).works:
            found |= dict.fromkeys(failure for guard in work.guards for failure in guard.fails)
        if (plan := chart.state(node.path).plan) is not None:
            found |= dict.fromkeys((plan.gives, *PLAN_FAILURES))
    for arrow in chart.arrows:
        if arrow.kind not in (Done, Elapsed):
            found |= dict.fromkeys(arrow.payloads)
    found |= dict.fromkeys(ENGINE_FAILURES)
    names = {name_of(cls) for cls in found}
    failures = [cls for cls in found if issubclass(cls, Failure)]
    return [*found, *dict.fromkeys(c for f in failures for c in covered(f) if name_of(c) not in names)]
