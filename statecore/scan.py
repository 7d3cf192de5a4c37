"""Reading a class body: its states, compounds and transitions become a chart."""

import inspect
from typing import Any, NoReturn, get_type_hints

import attrs

from statecore.chart import SIGNAL, START, Arrow, Chart, Node
from statecore.chartcheck import right
from statecore.declare import History, Place, State, Transition, is_compound
from statecore.errors import DefinitionError
from statecore.failures import Failure
from statecore.hints import named as named
from statecore.hints import spelled
from statecore.messages import Done, Elapsed, Failed, Signal, Trigger, members, pattern, spell
from statecore.specialist import Specialist, check_failure
from statecore.wait import LENGTH, seconds


def scan(cls: type, takes: type, version: str, within: Any = None) -> Chart:
    """Read a class body. Raises DefinitionError at the first thing that cannot be right."""
    reading = _Scan(cls, takes, version)
    chart = attrs.evolve(reading.chart(), within=reading.within("the workflow", within))
    right(chart)
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
            self.wrong(f"{what}: within={span!r}, expected {LENGTH}")
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
