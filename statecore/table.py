"""The decision table: (configuration, letter) -> questions -> move. Plain data, always complete.

A letter says whose outcome came and of which type. A row is a tree of questions: a condition is answered by the
payload, a bound by the run. A flat chart is read straight from its transitions; a nested one is asked of the oracle
(`oracle.py`), row by row.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from types import NoneType
from typing import Any

import attrs
import msgspec

from statecore.chart import START, Arrow, Chart
from statecore.failures import Failure, OutcomeUnknown
from statecore.messages import Completed, Elapsed, Failed, Signal, Trigger
from statecore.versions import name_of

MAX_CONFIGURATIONS = 300
"""A table is read as a whole by its checks and its fingerprint; beyond this size nobody reads its diff either."""


@attrs.frozen(cache_hash=True)
class Config:
    """Where a run is: the active places in declaration order, and what each history state remembers."""

    states: tuple[str, ...]
    history: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        return " ".join(self.states) + "".join(f" {name}={'+'.join(was)}" for name, was in self.history)


@attrs.frozen(cache_hash=True)
class Letter:
    """One letter of the alphabet. `of`: the state whose outcome it is; None: nobody's (a signal); START: the run's (its
    deadline).
    """

    of: str | None
    kind: str
    type: str

    @property
    def what(self) -> str:
        return self.kind if self.type == NoneType.__name__ else f"{self.kind}[{self.type}]"

    def active(self, states: tuple[str, ...]) -> bool:
        """Whether it can come while these places are active."""
        return self.of in (None, START) or self.of in states

    def __str__(self) -> str:
        return self.what + (f" of {self.of}" if self.of else "")


@attrs.frozen
class Question:
    """What a transition asks before it fires: a condition of the payload (`cond`), or a bound on the run (`transition`
    < `limit`).

    The same condition is the same question wherever it is asked, and two lambdas are two, whatever they are called.
    """

    text: str = attrs.field(eq=False)
    transition: str = ""
    limit: int | None = None
    cond: Callable[[Any], bool] | None = attrs.field(default=None, eq=id)


@attrs.frozen
class Move:
    """Transitions taken together (the reason), and what they change."""

    transitions: tuple[str, ...]
    config: Config
    left: tuple[str, ...]
    entered: tuple[str, ...]


@attrs.frozen
class Ask:
    question: Question
    yes: "Row"
    no: "Row"


Row = Ask | Move | None
"""None: nothing answers."""


def leaves(
    row: Row, asked: tuple[tuple[Question, bool], ...] = ()
) -> Iterator[tuple[tuple[tuple[Question, bool], ...], Move | None]]:
    """Every way through the questions, with where it ends."""
    if isinstance(row, Ask):
        yield from leaves(row.yes, (*asked, (row.question, True)))
        yield from leaves(row.no, (*asked, (row.question, False)))
    else:
        yield asked, row


@attrs.frozen(slots=False)
class Table:
    start: Move
    rows: Mapping[tuple[Config, Letter], Row]
    letters: tuple[Letter, ...]

    @cached_property
    def configs(self) -> tuple[Config, ...]:
        return tuple(dict.fromkeys([self.start.config, *(config for config, _ in self.rows)]))

    @cached_property
    def _known(self) -> dict[tuple[str | None, str, str], Letter]:
        return {(letter.of, letter.kind, letter.type): letter for letter in self.letters}

    def letter(self, of: str | None, kind: type, payload: type) -> Letter | None:
        """The letter under which an outcome is looked up: the nearest ancestor that the workflow names.

        OutcomeUnknown is not covered by a bare Failed: only a transition that names it moves the chart.
        """
        for base in payload.__mro__:
            if base is Failure and issubclass(payload, OutcomeUnknown):
                return None
            if found := self._known.get((of, kind.__name__, name_of(base))):
                return found
        return None

    def lines(self) -> dict[str, Any]:
        """For people, snapshots and the fingerprint: `configuration | letter` -> what happens."""
        return {f"{config} | {letter}": _shown(row) for (config, letter), row in self.rows.items()}


def _shown(row: Row) -> Any:
    if isinstance(row, Ask):
        return {f"{row.question.text}?": {"yes": _shown(row.yes), "no": _shown(row.no)}}
    return f"{' + '.join(row.transitions)} -> {row.config}" if row else None


def digest(data: Any) -> str:
    """sha256 of plain data with sorted keys: the same in every process and on every Python."""
    return hashlib.sha256(msgspec.json.encode(data, order="sorted")).hexdigest()


def questions(arrow: Arrow) -> list[Question]:
    asked = []
    if arrow.cond is not None:
        asked.append(Question(arrow.condition, cond=arrow.cond))
    if arrow.at_most is not None:
        asked.append(Question(f"{arrow.name} < {arrow.at_most}", arrow.name, arrow.at_most))
    return asked


def alphabet(chart: Chart) -> dict[Letter, tuple[Arrow, ...]]:
    """Every letter, with the arrows that may answer it. Failures are split only as finely as the workflow names them."""
    out: dict[Letter, tuple[Arrow, ...]] = {}
    for node in chart.working:
        chain = chart.chain(node.path)
        for given in chart.gives(node.path):
            out[Letter(node.path, "Completed", name_of(given))] = _answering(chart, chain, Completed, given)
    for node in chart.failing:
        chain = chart.chain(node.path)
        named = {p for a in chart.arrows if a.kind is Failed and a.source in chain for p in a.payloads} | {Failure}
        for failure in sorted(named, key=lambda cls: (-len(cls.__mro__), name_of(cls))):
            out[Letter(node.path, "Failed", name_of(failure))] = _answering(chart, chain, Failed, failure)
    for path in chart.timed:
        out[Letter(path, "Elapsed", NoneType.__name__)] = tuple(_when_over(chart, path))
    for payload in dict.fromkeys(p for a in chart.arrows if a.kind is Signal for p in a.payloads):
        out[Letter(None, "Signal", name_of(payload))] = _answering(chart, tuple(chart.nodes), Signal, payload)
    return out


def _answering(chart: Chart, sources: tuple[str, ...], kind: type[Trigger[Any]], payload: type) -> tuple[Arrow, ...]:
    return tuple(
        a
        for a in chart.arrows
        if a.kind is kind and a.source in sources and any(answers(p, payload) for p in a.payloads)
    )


def _when_over(chart: Chart, path: str) -> Iterator[Arrow]:
    """What answers the passing of a place's time; of the run's, what leaves any state of the workflow itself."""
    for arrow in chart.arrows:
        if arrow.kind is Elapsed:
            whole = arrow.anywhere and "/" not in arrow.name
            if whole if path == START else arrow.source in chart.chain(path):
                yield arrow


def answers(pattern: type, payload: type) -> bool:
    """Bare Failed does not answer OutcomeUnknown: only a transition that names it does."""
    return issubclass(payload, pattern) and not (pattern is Failure and issubclass(payload, OutcomeUnknown))


def payload_types(chart: Chart) -> dict[Letter, type]:
    """The class of each letter's payload."""
    out: dict[Letter, type] = {}
    for node in chart.working:
        out |= {Letter(node.path, "Completed", name_of(given)): given for given in chart.gives(node.path)}
    for node in chart.failing:
        out |= {
            Letter(node.path, "Failed", name_of(p)): p for a in chart.arrows if a.kind is Failed for p in a.payloads
        }
        out[Letter(node.path, "Failed", "Failure")] = Failure
    out |= {Letter(path, "Elapsed", NoneType.__name__): NoneType for path in chart.timed}
    return out | {
        Letter(None, "Signal", name_of(p)): p
        for a in chart.arrows
        if a.kind is Signal
        for p in a.payloads
        if p is not NoneType
    }


def compile_table(chart: Chart) -> Table:
    """The whole table. Raises DefinitionError where it would not be readable any more."""
    if chart.flat:
        _readable(chart, len(chart.nodes))
        return _compile_flat(chart)
    from statecore.oracle import Oracle  # python-statemachine, which a flat chart never needs

    return _compile_nested(chart, Oracle(chart, alphabet(chart)))


def _readable(chart: Chart, configurations: int) -> None:
    if configurations > MAX_CONFIGURATIONS:
        chart.wrong(
            f"more than {MAX_CONFIGURATIONS} configurations, expected a table that can be read: "
            "split regions that do not depend on each other into workflows of their own, or make one state of them"
        )


def _known(row: Row, question: Question, said: bool) -> Row:
    """The rest of a row once a question is answered."""
    if not isinstance(row, Ask):
        return row
    if row.question == question:
        return _known(row.yes if said else row.no, question, said)
    return Ask(row.question, _known(row.yes, question, said), _known(row.no, question, said))


def _compile_flat(chart: Chart) -> Table:
    letters = alphabet(chart)
    first = next(node.path for node in chart.nodes.values() if node.initial)
    rows: dict[tuple[Config, Letter], Row] = {}
    todo = [first]
    for at in todo:
        for letter, arrows in letters.items():
            if letter.active((at,)):
                row: Row = None
                for arrow in reversed([a for a in arrows if a.source == at]):
                    row = _asked(arrow, row)
                rows[Config((at,)), letter] = row
                todo += dict.fromkeys(
                    move.config.states[0] for _, move in leaves(row) if move and move.config.states[0] not in todo
                )
    return Table(Move((), Config((first,)), (), (first,)), rows, tuple(letters))


def _asked(arrow: Arrow, rest: Row) -> Row:
    """One transition in front of the rest of its row."""
    row: Row = Move((arrow.name,), Config((arrow.target,)), (arrow.source,), (arrow.target,))
    for question in reversed(questions(arrow)):
        row = Ask(question, _known(row, question, True), _known(rest, question, False))
    return row


def _compile_nested(chart: Chart, oracle: Any) -> Table:
    rows: dict[tuple[Config, Letter], Row] = {}
    todo = [oracle.start.config]
    seen = set(todo)
    for config in todo:
        for letter, arrows in oracle.letters.items():
            if not letter.active(config.states):
                continue
            row = oracle.row(config, letter) if any(a.source in config.states for a in arrows) else None
            rows[config, letter] = row
            for _, move in leaves(row):
                if move is not None and move.config not in seen:
                    seen.add(move.config)
                    todo.append(move.config)
        _readable(chart, len(todo))
    return Table(oracle.start, rows, tuple(oracle.letters))
