"""python-statemachine as a pure function: (configuration, letter, answers) -> move.

Its semantics of nested charts are ours, so the rows of a nested chart are asked of it once, at class creation, and the
tests walk a live machine beside every table. From a chart one effect-free machine is built whose conditions do not
decide but ask; it is never driven live and nothing of it is ever shown to a user.
"""

import types
from collections.abc import Callable, Iterable
from typing import Any

from statemachine import Event, HistoryState, StateMachine
from statemachine import State as MachineState
from statemachine.orderedset import OrderedSet

from statecore.chart import Arrow, Chart, Node
from statecore.messages import Done
from statecore.table import Ask, Config, Letter, Move, Question, Row, questions

ROOT = "/"
"""No path of a place."""

Answer = Callable[[Question], bool]


class _Fork(Exception):
    def __init__(self, question: Question) -> None:
        self.question = question


class _Endless(Exception):
    """One input fires the same transition twice: each `Done` is followed by the next, for ever."""


class Trace:
    """A listener: what one step left, entered and took."""

    def __init__(self) -> None:
        self.left: list[str] = []
        self.entered: list[str] = []
        self.taken: list[str] = []
        self._fired: set[int] = set()

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]

    def on_exit_state(self, state: Any) -> None:
        self.left.append(state.value)

    def on_enter_state(self, state: Any) -> None:
        self.entered.append(state.value)

    def before_transition(self, transition: Any) -> None:
        if name := getattr(transition, "arrow", None):
            self.taken.append(name)
            if id(transition) in self._fired:
                raise _Endless(" -> ".join(self.taken))
            self._fired.add(id(transition))


class Oracle:
    """One machine, set to a configuration and stepped once per question answered."""

    def __init__(self, chart: Chart, letters: dict[Letter, tuple[Arrow, ...]]) -> None:
        self.letters, self._chart = letters, chart
        self._order = {path: n for n, path in enumerate(chart.nodes)}
        self._trace = Trace()
        self._machine: Any = machine(chart, letters, ends=False)(listeners=[self._trace])
        self.start = self._read()

    def row(self, config: Config, letter: Letter, known: dict[Question, bool] | None = None) -> Row:
        """Script the answers, and fork where one is missing."""
        known = known or {}

        def answer(question: Question) -> bool:
            if question not in known:
                raise _Fork(question)
            return known[question]

        try:
            return self.step(config, letter, answer)
        except _Fork as fork:
            asked = fork.question
        return Ask(asked, *(self.row(config, letter, known | {asked: said}) for said in (True, False)))

    def step(self, config: Config, letter: Letter, answer: Answer) -> Move | None:
        m = self._machine
        m.current_state_value = OrderedSet((ROOT, *config.states))
        m.history_values = {name: [m.states_map[state] for state in was] for name, was in config.history}
        m.answer = answer
        self._trace.clear()
        try:
            m.send(event_id(letter))
        except m.TransitionNotAllowed:
            return None
        except _Endless as endless:
            self._chart.wrong(
                f"{letter} sets off {endless} without end, each on the Done of the last: let one of them lead to a"
                " state that is not final"
            )
        return self._read()

    def _read(self) -> Move:
        m, trace = self._machine, self._trace
        history = tuple(
            (name, self._ordered(state.value for state in was)) for name, was in sorted(m.history_values.items())
        )
        config = Config(self._ordered(m.configuration_values), history)
        return Move(tuple(trace.taken), config, self._ordered(trace.left), self._ordered(trace.entered))

    def _ordered(self, values: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(set(values) - {ROOT}, key=self._order.__getitem__))


def machine(chart: Chart, letters: dict[Letter, tuple[Arrow, ...]], *, ends: bool) -> type[StateMachine]:
    """The chart in python-statemachine's words. `ends=False`: all of it inside one compound, so that nothing ends the
    machine and it answers for every configuration; `ends=True` is the ordinary live machine that the tests walk.
    """
    made: dict[str, Any] = {}

    def place(node: Node) -> Any:
        inside = {child.path: place(child) for child in chart.children(node.path)}
        if inside:
            kind: Any = MachineState.Parallel if node.kind == "parallel" else MachineState.Compound
            made[node.path] = types.new_class(
                node.path, (kind,), {"initial": node.initial}, lambda namespace: namespace.update(inside)
            )
        elif node.kind.startswith("history"):
            made[node.path] = HistoryState(type="deep" if node.kind == "history*" else "shallow")
        else:
            made[node.path] = MachineState(initial=node.initial, final=node.final)
        return made[node.path]

    body: dict[str, Any] = {node.path: place(node) for node in chart.children(None)}
    for arrow in chart.arrows:
        _connect(made, arrow, letters)
    for node in chart.nodes.values():
        if node.kind.startswith("history"):
            for first in _begins(chart, node.parent):
                made[node.path].to(made[first])
    if not ends:
        inside = body
        body = {
            ROOT: types.new_class(
                ROOT, (MachineState.Compound,), {"initial": True}, lambda namespace: namespace.update(inside)
            )
        }
    body["answer"] = None
    body |= {f"validate_{check}": False for check in ("disconnected_states", "trap_states", "final_reachability")}
    return types.new_class(chart.name, (StateMachine,), exec_body=lambda namespace: namespace.update(body))


def _begins(chart: Chart, body: str | None) -> list[str]:
    """Where a body is entered: the regions of a parallel, the initial state of a compound. A history that remembers
    nothing too.
    """
    regions = body is not None and chart.nodes[body].kind == "parallel"
    return [
        node.path for node in chart.children(body) if (regions or node.initial) and not node.kind.startswith("history")
    ]


def event_id(letter: Letter) -> str:
    """Without spaces: python-statemachine takes what they part for several events."""
    return str(letter).replace(" ", "")


def _connect(made: dict[str, Any], arrow: Arrow, letters: dict[Letter, tuple[Arrow, ...]]) -> None:
    ids = (
        [f"done.state.{arrow.source}"]
        if arrow.kind is Done
        else [event_id(letter) for letter, arrows in letters.items() if arrow in arrows]
    )
    if ids:
        conditions = [_asking(question) for question in questions(arrow)]
        made_transition = made[arrow.source].to(
            made[arrow.target], event=[Event(id=i, name=arrow.name) for i in ids], cond=conditions or None
        )
        made_transition[0].arrow = arrow.name


def _asking(question: Question) -> Callable[..., bool]:
    def ask(machine: Any) -> bool:
        return bool(machine.answer(question))

    ask.__name__ = question.text
    return ask
