"""A chart as it is drawn, whatever the format: its transitions by name, and the lines that stand for them.

Lines are bundles: transitions with one source and one target share a line, and a transition from any state leaves one
pill `any state` that stands at its target, not a line from each. So a picture grows with what was written down, not
with what it expands to.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import attrs

from statecore.chart import Arrow, Chart, Node
from statecore.declare import State
from statecore.person import Person
from statecore.wait import describe, spoken

MANY = 4
"""From so many sources on, a transition leaves a pill that lists them, and not each of them."""


@attrs.frozen
class Move:
    """A transition as written: one name, all its sources. `everywhere`: they are all that `any_state` can mean."""

    arrow: Arrow
    sources: tuple[str, ...]
    everywhere: bool

    @property
    def name(self) -> str:
        return self.arrow.name.rpartition("/")[2]

    @property
    def body(self) -> str | None:
        return self.arrow.name.rpartition("/")[0] or None

    @property
    def bound(self) -> str:
        return f"at most {self.arrow.at_most}" if self.arrow.at_most else ""

    @property
    def detail(self) -> str:
        """`Completed[Review] [approved] (at most 3)`"""
        asked = f"[{self.arrow.condition}]" if self.arrow.condition else ""
        return " ".join(filter(None, (self.arrow.on, asked, f"({self.bound})" if self.bound else "")))


@attrs.frozen
class Pill:
    """What stands for many sources of the same transitions."""

    key: str
    body: str | None
    text: tuple[str, ...]


@attrs.frozen
class Bundle:
    """The transitions that one line stands for."""

    source: str
    target: str
    moves: tuple[Move, ...]

    @property
    def key(self) -> str:
        return f"{self.source}>{self.target}"


class View:
    """A chart as it is drawn: transitions by name, lines by their ends."""

    def __init__(self, chart: Chart, current: Sequence[str], taken: Mapping[str, int]) -> None:
        self.chart, self.current, self.taken = chart, current, taken
        self.active = {path for place in current if place in chart.nodes for path in chart.chain(place)}
        names = dict.fromkeys(arrow.name for arrow in chart.arrows)
        self.moves = [self.move([arrow for arrow in chart.arrows if arrow.name == name]) for name in names]
        self.pills: dict[str, Pill] = {}
        ends: dict[tuple[str, str], list[Move]] = {}
        for move in self.moves:
            for source in self.starts(move):
                ends.setdefault((source, move.arrow.target), []).append(move)
        self.bundles = [Bundle(source, target, tuple(moves)) for (source, target), moves in ends.items()]

    def move(self, arrows: list[Arrow]) -> Move:
        first, sources = arrows[0], tuple(arrow.source for arrow in arrows)
        body = first.name.rpartition("/")[0] or None
        places = [n.path for n in self.chart.children(body) if not n.final and not n.kind.startswith("history")]
        every = [path for path in places if not f"{first.target}/".startswith(f"{path}/")]
        return Move(first, sources, len(sources) > 1 and sorted(sources) == sorted(every))

    def starts(self, move: Move) -> tuple[str, ...]:
        """Where its lines start: at its sources, or at a pill."""
        if not move.everywhere and len(move.sources) < MANY:
            return move.sources
        text = tuple(wrap(", ".join(self.chart.nodes[source].name for source in move.sources), 30))
        if move.everywhere:
            text = ("any state" if self.chart.nodes[move.arrow.target].final else "any other state",)
        key = f"{move.body or ''}*{' '.join(text)}*{move.arrow.target}"
        self.pills[key] = Pill(key, move.body, text)
        return (key,)

    def times(self, move: Move) -> str:
        """How often a run took it, where that is more than once."""
        count = self.taken.get(move.arrow.name, 0)
        return f" \N{MULTIPLICATION SIGN}{count}" if count > 1 else ""

    def pills_in(self, body: str | None) -> list[Pill]:
        return [pill for pill in self.pills.values() if pill.body == body]

    def starts_in(self, body: str | None) -> list[Node]:
        """The initial states of a body; the regions of a parallel all start, which needs no dot."""
        parallel = body is not None and self.chart.nodes[body].kind == "parallel"
        return [] if parallel else [node for node in self.chart.children(body) if node.initial]

    def home(self, bundle: Bundle) -> str | None:
        """The inmost body that has both ends of a line inside."""
        pill = self.pills.get(bundle.source)
        up = [pill.body] if pill else [self.chart.nodes[bundle.source].parent]
        while (last := up[-1]) is not None:
            up.append(self.chart.nodes[last].parent)
        down = (*self.chart.chain(bundle.target)[1:], None)
        return next(place for place in up if place in down)


LISTED = 3
"""Calls of a plan that a state names; of more, how many there are."""


def work_of(node: Node) -> str:
    """What is done there, a specialist, the calls of a plan or a wait, and by when it has to be over."""
    limit = f"within {spoken(node.within)}" if node.within is not None else ""
    if node.state is None:
        return limit
    return ", ".join(filter(None, (_does(node.state), limit)))


def _does(state: State) -> str:
    if state.wait:
        return describe(state.wait)
    if state.plan is None:
        return state.does.called(state.does.id) if state.does else ""
    names = [part.id for part in state.plan.parts]
    said = (
        ", ".join(names)
        if len(names) <= LISTED
        else f"{', '.join(names[: LISTED - 1])} and {len(names) - LISTED + 1} more"
    )
    return f"each of {said}" if state.plan.make else said


def effect_of(node: Node) -> str:
    """The strongest effect of what a state does; that a person is asked."""
    does = [each.does for each in node.state.works if each.does] if node.state else []
    if does and all(isinstance(each, Person) for each in does):
        return "person"
    effects = {each.effect for each in does if not isinstance(each, Person)}
    return next((effect for effect in ("once", "idempotent", "pure") if effect in effects), "")
