"""The chart: a workflow class body as plain data, with everything that is wrong in the text of it found on the way.

Paths name places: `reading`, `both/left/reading`. What needs the compiled table to be seen is in `check.py`.
"""

import inspect
import math
from collections.abc import Callable
from functools import cached_property
from itertools import combinations
from typing import Any, NoReturn, get_type_hints

import attrs

from statecore.call import Call
from statecore.contract import named as named
from statecore.contract import spelled
from statecore.declare import History, Place, State, Transition, is_compound
from statecore.errors import DefinitionError
from statecore.failures import ENGINE_FAILURES, PLAN_FAILURES, Failure, covered
from statecore.guard import Guard
from statecore.messages import Completed, Done, Elapsed, Failed, Signal, Trigger, members, pattern, spell
from statecore.person import Person
from statecore.plan import Part
from statecore.plancheck import declared
from statecore.specialist import Specialist, check_failure
from statecore.versions import id_of, name_of
from statecore.wait import Wait, seconds

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

    def gives(self, path: str) -> tuple[type, ...]:
        """The classes that a state may end well in."""
        state = self.state(path)
        if state.plan is not None:
            return (state.plan.gives,)
        return tuple(dict.fromkeys(given.cls for each in state.specialists for given in each.gives))


def scan(cls: type, takes: type, version: str, within: Any = None) -> Chart:
    """Read a class body. Raises DefinitionError at the first thing that cannot be right."""
    reading = _Scan(cls, takes, version)
    chart = attrs.evolve(reading.chart(), within=reading.within("the workflow", within))
    _bodies(chart)
    for node in chart.nodes.values():
        if node.state is not None:
            _state(chart, node, node.state)
    _names(chart)
    for arrow in chart.arrows:
        _comes(chart, arrow)
    return chart


class _Scan:
    def __init__(self, cls: type, takes: type, version: str) -> None:
        self.cls, self.takes, self.version = cls, takes, version
        self.nodes: dict[str, Node] = {}
        self.paths: dict[int, str] = {}
        self.places: list[Place] = []
        self.loose: list[tuple[str, str | None, Transition]] = []

    def chart(self) -> Chart:
        self.walk(self.cls, None)
        self.unnamed()
        self.loose.sort(key=lambda found: found[2].sources is None)
        arrows = [arrow for path, parent, transition in self.loose for arrow in self.arrows(path, parent, transition)]
        doc = inspect.cleandoc(self.cls.__doc__ or "")
        return Chart(self.cls.__name__, self.version, self.takes, doc, self.nodes, tuple(arrows))

    def wrong(self, what: str) -> NoReturn:
        raise DefinitionError(f"{self.cls.__name__}: {what}")

    def walk(self, body: type, parent: str | None) -> None:
        for key, value in vars(body).items():
            path = key if parent is None else f"{parent}/{key}"
            if isinstance(value, Transition):
                self.loose.append((path, parent, value))
            elif isinstance(value, State) or is_compound(value):
                self.place(path, parent, value)
            elif isinstance(value, Specialist):
                self.wrong(f"`{path}` is a specialist, expected a state: write `{key} = State({value.name}, ...)`")

    def within(self, what: str, span: Any) -> float | None:
        limit = None if span is None else seconds(span)
        if span is not None and limit is None:
            self.wrong(f"{what}: within={span!r}, expected a timedelta or seconds above 0")
        return limit

    def place(self, path: str, parent: str | None, value: Any) -> None:
        if id(value) in self.paths:
            self.wrong(f"`{path}` and `{self.paths[id(value)]}` are one and the same state: make two")
        if path in (START, SIGNAL):
            what = "the run's input is" if path == START else "the payloads of signals are"
            self.wrong(f"`{path}` is what {what} called in hand-overs: choose another name for the state")
        self.paths[id(value)] = path
        self.places.append(value)
        within = self.within(f"`{path}`", value.within)
        if isinstance(value, State):
            kind = ("history*" if value.deep else "history") if isinstance(value, History) else "state"
            self.nodes[path] = Node(path, parent, kind, value.initial, value.final, value, value.says, within)
        else:
            kind = "parallel" if value.parallel else "compound"
            self.nodes[path] = Node(
                path,
                parent,
                kind,
                value.initial,
                False,
                None,
                inspect.cleandoc(value.__doc__ or "") if "__doc__" in vars(value) else "",
                within,
            )
            self.walk(value, path)

    def unnamed(self) -> None:
        named = {id(transition) for _, _, transition in self.loose}
        for place in self.places:
            for transition in place.touching:
                if id(transition) not in named:
                    kind, payloads = self.pattern("?", transition.on)
                    on = " | ".join(spell(kind, payload) for payload in payloads)
                    sources = (
                        " | ".join(self.path_of(p, "an unnamed transition leaves") for p in transition.sources)
                        if transition.sources
                        else "any_state"
                    )
                    self.wrong(
                        f"a transition from `{sources}` to"
                        f" `{self.path_of(transition.target, 'an unnamed transition leads to')}` on {on} has no name,"
                        " or its name was given to something else: assign each to a name of its own"
                    )

    def pattern(self, path: str, on: Any) -> tuple[type[Trigger[Any]], tuple[type, ...]]:
        try:
            return pattern(on)
        except TypeError as fault:
            self.wrong(f"transition `{path}`: {fault}")

    def path_of(self, place: Place, what: str) -> str:
        if id(place) not in self.paths:
            self.wrong(
                f"{what} a state that this class does not have (was its name used twice?): take one of this class"
            )
        return self.paths[id(place)]

    def arrows(self, path: str, parent: str | None, transition: Transition) -> list[Arrow]:
        if len(set(transition.names)) > 1:
            self.wrong(f"one transition has {len(transition.names)} names: {', '.join(transition.names)}; keep one")
        kind, payloads = self.pattern(path, transition.on)
        for payload in payloads:
            self.payload(path, kind, payload)
        if transition.at_most is not None and not (type(transition.at_most) is int and transition.at_most >= 1):
            self.wrong(f"transition `{path}`: at_most={transition.at_most!r}, expected a whole number from 1 up")
        if kind is Elapsed and transition.cond is not None:
            self.wrong(
                f"transition `{path}`: cond={named(transition.cond)} on Elapsed, which brings nothing to ask: drop it, and"
                " ask in the state that it leads to"
            )
        self.condition(path, transition.cond, kind, payloads)
        if transition.reply is not None and kind is not Signal:
            self.wrong(f"transition `{path}`: reply= on {kind.__name__}, which nobody sent: only a Signal has a sender")
        target = self.path_of(transition.target, f"transition `{path}` leads to")
        made = []
        sources = self.sources(path, parent, transition, target)
        if not sources:
            self.wrong(
                f"transition `{path}`: any_state is no state here, as the target and final states are none of its"
                " sources: name the source or drop it"
            )
        for source in sources:
            if self.nodes[source].final:
                self.wrong(
                    f"transition `{path}` leaves `{source}`, which is final: nothing leaves a final state; drop it or"
                    f" make `{source}` not final"
                )
            around = self.nodes[target].parent if self.nodes[target].kind.startswith("history") else None
            if around is not None and source.startswith(f"{around}/"):
                self.wrong(
                    f"transition `{path}` leads from `{source}` to a history of `{around}`, which it does not leave:"
                    " name the state that it leads to"
                )
            made.append(
                Arrow(
                    path, source, target, kind, payloads, transition.cond, transition.at_most, transition.says,
                    transition.reply, transition.sources is None,
                )
            )  # fmt: skip
        return made

    def payload(self, path: str, kind: type[Trigger[Any]], payload: type) -> None:
        if kind is Failed:
            if not (isinstance(payload, type) and issubclass(payload, Failure)):
                self.wrong(
                    f"transition `{path}`: Failed[{spelled(payload)}], but {spelled(payload)} is no Failure: derive it"
                    " from one, or wait for Completed"
                )
            check_failure(payload)
        elif kind not in (Done, Elapsed) and not (isinstance(payload, type) and attrs.has(payload)):
            self.wrong(
                f"transition `{path}`: {kind.__name__}[{spelled(payload)}] is no contract: expected an attrs class"
            )

    def sources(self, path: str, parent: str | None, transition: Transition, target: str) -> list[str]:
        if transition.sources is not None:
            return [self.path_of(source, f"transition `{path}` leaves") for source in transition.sources]
        siblings = [
            n for n in self.nodes.values() if n.parent == parent and not n.final and not n.kind.startswith("history")
        ]
        return [node.path for node in siblings if not f"{target}/".startswith(f"{node.path}/")]

    def condition(self, path: str, cond: Any, kind: type, payloads: tuple[type, ...]) -> None:
        if cond is None:
            return
        name = named(cond)
        if inspect.iscoroutinefunction(cond) or inspect.iscoroutinefunction(getattr(cond, "__call__", None)):  # noqa: B004
            self.wrong(
                f"transition `{path}`: condition `{name}` is async, expected a function that answers at once: let a"
                " specialist find out, and ask its output"
            )
        try:
            parameters = list(inspect.signature(cond).parameters)
        except (TypeError, ValueError):
            self.wrong(f"transition `{path}`: cond={name} cannot be asked, expected a function of one parameter")
        if len(parameters) != 1:
            self.wrong(
                f"transition `{path}`: condition `{name}` takes {len(parameters)} parameters, expected one: it is asked"
                " with the payload alone"
            )
        try:
            asks = get_type_hints(cond).get(parameters[0]) if inspect.isroutine(cond) else None
        except NameError as fault:
            self.wrong(
                f"transition `{path}`: the annotations of condition `{name}` cannot be read ({fault}): define the types"
                " at module level"
            )
        taken = [cls for cls in members(asks) if isinstance(cls, type) and cls is not Any]
        if taken and not all(issubclass(payload, tuple(taken)) for payload in payloads):
            on = " | ".join(spell(kind, payload) for payload in payloads)
            self.wrong(
                f"transition `{path}` fires on {on}, but its condition `{name}` asks {spelled(asks)}: give it a"
                " condition over its own payload"
            )


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
    for failure in guard.fails:
        if not (isinstance(failure, type) and issubclass(failure, Failure)):
            chart.wrong(
                f"`{path}`: guard `{guard.name}` lists {spelled(failure)} in its `fails`: derive it from Failure"
            )
        check_failure(failure)


def _given(specialist: Specialist[Any, Any]) -> str:
    return " | ".join(contract.id for contract in specialist.gives)


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
