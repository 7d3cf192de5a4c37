"""Pictures of a chart: Mermaid for a README, Markdown for people, SVG for a page of its own. All of it read from the
chart.

Lines are bundles: transitions with one source and one target share a line, and a transition from any state leaves one
pill `any state` that stands at its target, not a line from each. So a picture grows with what was written down, not
with what it expands to.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise
from textwrap import wrap
from typing import Literal
from unicodedata import east_asian_width

import attrs

from statecore.chart import Arrow, Chart, Node
from statecore.layout import LOOP, Box, Layout, Line, Point, Spot, arrange

Format = Literal["mermaid", "md", "svg"]
MANY = 4
"""From so many sources on, a transition leaves a pill that lists them, and not each of them."""


def draw(
    chart: Chart, format: Format, *, current: tuple[str, ...] = (), taken: Mapping[str, int] | Sequence[str] = ()
) -> str:
    """The chart as text of a format: "mermaid" (stateDiagram-v2), "md" (a page) or "svg" (a file of its own).

    `current`: the paths of the states a run is in. `taken`: the names of the transitions it took, each as often as it
    did, or a count by name. What the chart does not have is left out, so that a run of an older version can be drawn.
    Raises ValueError for another format. The same chart gives the same bytes.
    """
    makers: dict[str, Callable[[_View], str]] = {"mermaid": _mermaid, "md": _markdown, "svg": _svg}
    if format not in makers:
        raise ValueError(f"format={format!r}, expected {', '.join(makers)}")
    return makers[format](_View(chart, current, Counter(taken)))


@attrs.frozen
class _Move:
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
class _Pill:
    """What stands for many sources of the same transitions."""

    key: str
    body: str | None
    text: tuple[str, ...]


@attrs.frozen
class _Bundle:
    """The transitions that one line stands for."""

    source: str
    target: str
    moves: tuple[_Move, ...]

    @property
    def key(self) -> str:
        return f"{self.source}>{self.target}"


class _View:
    """A chart as it is drawn: transitions by name, lines by their ends."""

    def __init__(self, chart: Chart, current: Sequence[str], taken: Mapping[str, int]) -> None:
        self.chart, self.current, self.taken = chart, current, taken
        self.active = {path for place in current if place in chart.nodes for path in chart.chain(place)}
        names = dict.fromkeys(arrow.name for arrow in chart.arrows)
        self.moves = [self.move([arrow for arrow in chart.arrows if arrow.name == name]) for name in names]
        self.pills: dict[str, _Pill] = {}
        ends: dict[tuple[str, str], list[_Move]] = {}
        for move in self.moves:
            for source in self.starts(move):
                ends.setdefault((source, move.arrow.target), []).append(move)
        self.bundles = [_Bundle(source, target, tuple(moves)) for (source, target), moves in ends.items()]

    def move(self, arrows: list[Arrow]) -> _Move:
        first, sources = arrows[0], tuple(arrow.source for arrow in arrows)
        body = first.name.rpartition("/")[0] or None
        places = [n.path for n in self.chart.children(body) if not n.final and not n.kind.startswith("history")]
        every = [path for path in places if not f"{first.target}/".startswith(f"{path}/")]
        return _Move(first, sources, len(sources) > 1 and sorted(sources) == sorted(every))

    def starts(self, move: _Move) -> tuple[str, ...]:
        """Where its lines start: at its sources, or at a pill."""
        if not move.everywhere and len(move.sources) < MANY:
            return move.sources
        text = tuple(wrap(", ".join(self.chart.nodes[source].name for source in move.sources), 30))
        if move.everywhere:
            text = ("any state" if self.chart.nodes[move.arrow.target].final else "any other state",)
        key = f"{move.body or ''}*{' '.join(text)}*{move.arrow.target}"
        self.pills[key] = _Pill(key, move.body, text)
        return (key,)

    def pills_in(self, body: str | None) -> list[_Pill]:
        return [pill for pill in self.pills.values() if pill.body == body]

    def starts_in(self, body: str | None) -> list[Node]:
        """The initial states of a body; the regions of a parallel all start, which needs no dot."""
        parallel = body is not None and self.chart.nodes[body].kind == "parallel"
        return [] if parallel else [node for node in self.chart.children(body) if node.initial]

    def home(self, bundle: _Bundle) -> str | None:
        """The inmost body that has both ends of a line inside."""
        pill = self.pills.get(bundle.source)
        up = [pill.body] if pill else [self.chart.nodes[bundle.source].parent]
        while (last := up[-1]) is not None:
            up.append(self.chart.nodes[last].parent)
        down = (*self.chart.chain(bundle.target)[1:], None)
        return next(place for place in up if place in down)


def _does(node: Node) -> str:
    return node.state.does.id if node.state and node.state.does else ""


def _effect(node: Node) -> str:
    return node.state.does.effect if node.state and node.state.does else ""


# Mermaid

_RESERVED = re.compile("state|class|classdef|default|note|scale|direction|end|hide|constructor|prototype", re.I)
_CLASSES = """\
classDef completed fill:#dcfce7,stroke:#16a34a,color:#14532d
classDef failed fill:#fee2e2,stroke:#dc2626,color:#7f1d1d
classDef partial fill:#fef3c7,stroke:#d97706,color:#78350f
classDef pill fill:#f1f5f9,stroke:#94a3b8,color:#475569,stroke-dasharray:4 3
classDef current fill:#dbeafe,stroke:#2563eb,color:#1e3a8a,stroke-width:3px"""


def _mermaid(view: _View) -> str:
    ids = _ids([*view.chart.nodes, *view.pills])
    lines = ["stateDiagram-v2", *_mermaid_body(view, ids, None, "    ")]
    lines += [f"    {line}" for line in _CLASSES.splitlines()]
    for pill in view.pills:
        lines.append(f"    class {ids[pill]} pill")
    for path, node in view.chart.nodes.items():
        if path in view.current:
            lines.append(f"    class {ids[path]} current")
        elif node.final and node.parent is None:
            lines.append(f"    class {ids[path]} {node.outcome}")
    return "\n".join(lines) + "\n"


def _ids(keys: Sequence[str]) -> dict[str, str]:
    """A word for each that Mermaid does not read as one of its own."""
    ids: dict[str, str] = {}
    for key in keys:
        word = re.sub(r"\W+", "_", key, flags=re.ASCII).strip("_") or "state"
        while _RESERVED.fullmatch(word) or word in ids.values():
            word += "_"
        ids[key] = word
    return ids


def _plain(text: str) -> str:
    """Text that Mermaid shows as it is; colons too, which its releases before March 2026 refuse in a label."""
    return re.sub(r"[^\w \[\]().,|/@-]", lambda found: f"#{ord(found[0])};", " ".join(text.split()))


def _mermaid_body(view: _View, ids: dict[str, str], body: str | None, indent: str) -> list[str]:
    lines: list[str] = []
    parallel = body is not None and view.chart.nodes[body].kind == "parallel"
    for index, node in enumerate(view.chart.children(body)):
        lines += [f"{indent}--"] if parallel and index and node.kind == "compound" else []
        lines += _mermaid_state(view, ids, node, indent)
    lines += [f'{indent}state "{_plain(" ".join(pill.text))}" as {ids[pill.key]}' for pill in view.pills_in(body)]
    lines += [f"{indent}[*] --> {ids[node.path]}" for node in view.starts_in(body)]
    for bundle in view.bundles:
        if view.home(bundle) == body:
            for move in bundle.moves:
                label = _plain(f"{move.name}: {move.detail}{_times(view, move)}")
                lines.append(f"{indent}{ids[bundle.source]} --> {ids[bundle.target]} : {label}")
    return lines + [f"{indent}{ids[node.path]} --> [*]" for node in view.chart.children(body) if node.final]


def _mermaid_state(view: _View, ids: dict[str, str], node: Node, indent: str) -> list[str]:
    name, word = _plain(node.name), ids[node.path]
    if node.kind in ("compound", "parallel"):
        inside = _mermaid_body(view, ids, node.path, indent + "    ")
        return [f'{indent}state "{name}" as {word} {{', *inside, f"{indent}}}"]
    if node.kind != "state":
        return [f'{indent}state "{name} ({"H*" if node.kind == "history*" else "H"})" as {word}']
    effect = "" if _effect(node) in ("", "pure") else f" ({_effect(node)})"
    return [
        f'{indent}state "{name}" as {word}',
        *([f"{indent}{word} : {_plain(_does(node) + effect)}"] if _does(node) else []),
    ]


def _times(view: _View, move: _Move) -> str:
    count = view.taken.get(move.arrow.name, 0)
    return f" \N{MULTIPLICATION SIGN}{count}" if count > 1 else ""


# Markdown


def _markdown(view: _View) -> str:
    chart = view.chart
    states = [node for node in chart.nodes.values() if not node.final]
    ends = [node for node in chart.nodes.values() if node.final]
    parts = [
        f"# {_prose(chart.name)}",
        f"Version {_code(chart.version)}. A run starts with {_code(chart.takes.__name__)}.",
        *([_prose(chart.doc)] if chart.doc else []),
        f"```mermaid\n{_mermaid(view)}```",
        "## States",
        _table("state does effect attempts timeout fallback says", [_state_row(view, node) for node in states]),
        "## Transitions",
        _table("transition from on if to says taken", [_move_row(view, move) for move in view.moves]),
        "## Ends",
        _table("end outcome says", [_end_row(view, node) for node in ends]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(columns: str, rows: Sequence[Sequence[str]]) -> str:
    """A table without the columns that say nothing."""
    heads = columns.split()
    kept = [i for i in range(len(heads)) if i == 0 or any(row[i] for row in rows)]
    lines = [[heads[i] for i in kept], ["---"] * len(kept), *([row[i] for i in kept] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _state_row(view: _View, node: Node) -> list[str]:
    marks = ("initial" if node in view.starts_in(node.parent) else "", "**now**" if node.path in view.current else "")
    name = _code(node.path) + "".join(f", {mark}" for mark in marks if mark)
    state = node.state
    if state is None or state.does is None:
        return [name, _holds(view, node), "", "", "", "", _cell(node.says)]
    fallback = ", ".join(_code(other.id) for other in state.fallback)
    does = [_code(_does(node)), _effect(node), str(state.attempts), f"{state.timeout:g} s", fallback]
    return [name, *does, _cell(node.says)]


def _holds(view: _View, node: Node) -> str:
    """What a place without work of its own is for."""
    inside = ", ".join(_code(inner.name) for inner in view.chart.children(node.path))
    where = _code(node.parent) if node.parent else "the workflow"
    texts = {
        "compound": f"one of {inside}",
        "parallel": f"all at once: {inside}",
        "history": f"goes back to where {where} was left",
        "history*": f"goes back to where {where} was left, at every depth",
    }
    return texts.get(node.kind, "waits")


def _move_row(view: _View, move: _Move) -> list[str]:
    body = f" of {_code(move.body)}" if move.body else ""
    source = f"any state{body}" if move.everywhere else ", ".join(_code(source) for source in move.sources)
    asked = ", ".join(filter(None, (_code(move.arrow.condition) if move.arrow.condition else "", move.bound)))
    count = view.taken.get(move.arrow.name, 0)
    cells = [_code(move.arrow.name), source, _code(move.arrow.on), asked, _code(move.arrow.target)]
    return [*cells, _cell(move.arrow.says), str(count or "")]


def _end_row(view: _View, node: Node) -> list[str]:
    name = _code(node.path) + (", **now**" if node.path in view.current else "")
    return [name, f"ends {_code(node.parent)}" if node.parent else node.outcome, _cell(node.says)]


def _code(text: str) -> str:
    """A code span, in a table too."""
    return f"`{' '.join(text.replace('`', chr(39)).replace('|', chr(92) + '|').split())}`"


def _prose(text: str) -> str:
    """What an author wrote, with its code spans, and with no tags and links."""
    spans = re.split(r"(`[^`\n]*`)", text)
    return "".join(span if i % 2 else escape(span, quote=False).replace("[", "\\[") for i, span in enumerate(spans))


def _cell(text: str) -> str:
    return _prose(" ".join(text.split())).replace("|", "\\|")


# SVG

_STYLE = """\
.statecore{font-family:Inter,"Segoe UI","Helvetica Neue",Arial,"Liberation Sans",sans-serif;font-size:13px}
.statecore text{fill:#0f172a}.statecore .middle{text-anchor:middle}
.statecore .page,.statecore .chip{fill:#fff}
.statecore .heading{font-size:18px;font-weight:700}.statecore .name,.statecore .title{font-weight:600}
.statecore .small{font-size:11px;fill:#5b6b82}.statecore .move{font-size:12px;font-weight:600}
.statecore .box{fill:#f8fafc;stroke:#8595ad;stroke-width:1.3}.statecore .ring{fill:none;stroke:#8595ad;stroke-width:1.1}
.statecore .group{fill:#94a3b8;fill-opacity:.09;stroke:#8595ad;stroke-width:1.2}
.statecore .divide{stroke:#8595ad;stroke-width:1.2;stroke-dasharray:6 5}
.statecore .pill .box{fill:#fff;stroke-dasharray:4 3}.statecore .pill text{font-style:italic;fill:#5b6b82}
.statecore .line{fill:none;stroke:#8595ad;stroke-width:1.4}.statecore .head{fill:#8595ad}.statecore .dot{fill:#0f172a}
.statecore .completed .box{fill:#dcfce7}.statecore .completed rect{stroke:#16a34a}
.statecore .failed .box{fill:#fee2e2}.statecore .failed rect{stroke:#dc2626}
.statecore .partial .box{fill:#fef3c7}.statecore .partial rect{stroke:#d97706}
.statecore .once rect{fill:#fde68a}.statecore .once text{fill:#78350f}
.statecore .idempotent rect{fill:#c7d2fe}.statecore .idempotent text{fill:#312e81}.statecore .badge text{font-size:10px}
.statecore .taken .line{stroke:#2563eb;stroke-width:2.8}.statecore .taken .head{fill:#2563eb}
.statecore .taken .move{fill:#1d4ed8}
.statecore .now .box{stroke:#2563eb;stroke-width:3.2}.statecore .now.work .box{fill:#dbeafe}
.statecore .active .group{stroke:#2563eb;stroke-width:1.8}
@media (prefers-color-scheme:dark){
.statecore text{fill:#e2e8f0}.statecore .page,.statecore .chip,.statecore .pill .box{fill:#0f172a}
.statecore .small,.statecore .pill text{fill:#9fb0c7}.statecore .box{fill:#1e293b;stroke:#7f90a9}
.statecore .dot{fill:#e2e8f0}.statecore .completed .box{fill:#14532d}.statecore .failed .box{fill:#7f1d1d}
.statecore .partial .box{fill:#78350f}.statecore .taken .line{stroke:#60a5fa}.statecore .taken .head{fill:#60a5fa}
.statecore .taken .move{fill:#93c5fd}.statecore .now .box,.statecore .active .group{stroke:#60a5fa}
.statecore .now.work .box{fill:#1e3a8a}
.statecore .once text{fill:#78350f}.statecore .idempotent text{fill:#312e81}}"""

_HEADING = 62.0
_LEADING = 15.0
_INNER = 36.0
"""The height of a compound's own title."""


def layout(chart: Chart) -> Layout:
    """Where `draw(chart, "svg")` puts things, by path; the lines' keys are its own. Below the heading, in pixels."""
    return _layout(_View(chart, (), {}))


def _layout(view: _View) -> Layout:
    spots: list[Spot] = []
    lines = [Line(b.key, b.source, b.target, *_label_size(view, b)) for b in view.bundles]
    for body in (None, *view.chart.nodes):
        for node in view.starts_in(body):
            spots.append(Spot(f"{node.path}.", body, 14, 14, near=True))
            lines.append(Line(f"{node.path}.", f"{node.path}.", node.path))
        for node in view.chart.children(body):
            spots.append(Spot(node.path, body, *_size(view, node), tall=_is_region(view, node)))
        for pill in view.pills_in(body):
            width, height = max(map(_wide, pill.text)) + 30, 13 + _LEADING * len(pill.text)
            spots.append(Spot(pill.key, body, width, height, near=True))
    return arrange(spots, lines)


def _is_region(view: _View, node: Node) -> bool:
    return node.kind == "compound" and node.parent is not None and view.chart.nodes[node.parent].kind == "parallel"


def _wide(text: str, size: float = 12.0, bold: bool = False) -> float:
    """About how wide a sans serif sets a text, rather too much than too little."""
    return sum(map(_ems, text)) * size * (1.06 if bold else 1.0)


def _ems(char: str) -> float:
    if char in "iljtfrI.,:;'|![]() ":
        return 0.36
    if char in "mwMW@%" or east_asian_width(char) in "WF":
        return 1.0
    return 0.72 if char.isupper() else 0.59


def _size(view: _View, node: Node) -> Point:
    if node.kind in ("compound", "parallel"):
        return _wide(node.name, 13, True) + 48, _INNER
    if node.kind.startswith("history"):
        return _wide(node.name) + 50, 32
    below = _wide(_does(node), 11) + (_wide(_effect(node), 10) + 22 if _badge(node) else 0.0)
    return max(92.0, _wide(node.name, 13, True) + 34, below + 30), 50 if _does(node) else 38


def _badge(node: Node) -> bool:
    return _effect(node) in ("once", "idempotent")


def _label(view: _View, move: _Move) -> list[tuple[str, str]]:
    """The rows of a transition's label, each with its class."""
    whole = move.detail.replace(move.bound, move.bound.replace(" ", "\N{NO-BREAK SPACE}"))
    rows = wrap(whole, 34, break_on_hyphens=False)
    return [("move", move.name + _times(view, move)), *(("small", row) for row in rows)]


def _label_size(view: _View, bundle: _Bundle) -> Point:
    rows = [row for move in bundle.moves for row in _label(view, move)]
    wide = max(_wide(text, 12, True) if kind == "move" else _wide(text, 11) for kind, text in rows)
    return wide + 14, _LEADING * len(rows) + 4 * len(bundle.moves) + 4


def _svg(view: _View) -> str:
    chart, plan = view.chart, _layout(view)
    groups = [node for node in chart.nodes.values() if node.kind in ("compound", "parallel")]
    width = _n(max(plan.width, _wide(chart.name, 18, True) + 160, min(640.0, _wide(_first(chart.doc)) + 60)))
    height = _n(plan.height + _HEADING)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="statecore" role="img" {size}>',
        f"<title>{_text(f'{chart.name}, version {chart.version}')}</title>",
        f"<desc>{_text(_described(view))}</desc>",
        f"<style>{_STYLE}</style>",
        '<rect class="page" width="100%" height="100%" rx="8"/>',
        _words("heading", 22, 36, chart.name),
        _words("small", 30 + _wide(chart.name, 18, True), 36, f"version {chart.version}"),
        _words("small", 22, 54, _first(chart.doc)),
        f'<g transform="translate(0 {_n(_HEADING)})">',
        *[_svg_group(view, node, plan) for node in groups],
        *[_svg_start(node, plan) for body in (None, *chart.nodes) for node in view.starts_in(body)],
        *[_svg_line(view, bundle, plan) for bundle in sorted(view.bundles, key=lambda bundle: _is_taken(view, bundle))],
        *[_svg_label(view, bundle, plan.labels[bundle.key]) for bundle in view.bundles],
        *[_svg_state(view, node, plan.boxes[node.path]) for node in chart.nodes.values() if node not in groups],
        *[_svg_pill(pill, plan.boxes[pill.key]) for pill in view.pills.values()],
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _first(doc: str) -> str:
    return doc.split("\n\n")[0].replace("\n", " ")


def _described(view: _View) -> str:
    """What a reader who cannot see the picture is told."""
    froms = [("any state" if m.everywhere else ", ".join(m.sources), m) for m in view.moves]
    moves = "; ".join(f"{m.name}: {source} to {m.arrow.target} on {m.detail}" for source, m in froms)
    now = f" Now in {', '.join(view.current)}." if view.current else ""
    return f"{view.chart.doc} Transitions: {moves}.{now}".strip()


def _text(text: str) -> str:
    """Text for XML: escaped, and without the characters that XML does not have."""
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _rect(kind: str, box: Box, radius: float, inset: float = 0.0) -> str:
    x, y, width, height = box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset
    return f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}"/>'


def _words(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}">{_text(text)}</text>'


def _svg_group(view: _View, node: Node, plan: Layout) -> str:
    box = plan.boxes[node.path]
    parts = [] if _is_region(view, node) else [_rect("group", box, 12)]
    parts.append(_words("title", box.x + 16, box.y + 23, node.name))
    if node.kind == "parallel":
        regions = [plan.boxes[region.path] for region in view.chart.children(node.path) if _is_region(view, region)]
        for a, b in pairwise(sorted(regions, key=lambda region: region.x)):
            x, top, bottom = _n((a.x + a.width + b.x) / 2), _n(box.y + _INNER), _n(box.y + box.height - 8)
            parts.append(f'<line class="divide" x1="{x}" y1="{top}" x2="{x}" y2="{bottom}"/>')
    active = ' class="active"' if node.path in view.active else ""
    return f"<g{active}>{_hint(node.says)}{''.join(parts)}</g>"


def _hint(text: str) -> str:
    return f"<title>{_text(text)}</title>" if text else ""


def _svg_start(node: Node, plan: Layout) -> str:
    box = plan.boxes[f"{node.path}."]
    dot = f'<circle class="dot" cx="{_n(box.x + 7)}" cy="{_n(box.y + 7)}" r="7"/>'
    return f"<g>{_curve(plan.paths[f'{node.path}.'])}{dot}</g>"


def _is_taken(view: _View, bundle: _Bundle) -> bool:
    return any(view.taken.get(move.arrow.name, 0) for move in bundle.moves)


def _svg_line(view: _View, bundle: _Bundle, plan: Layout) -> str:
    path = plan.paths[bundle.key]
    drawn = _loop(path) if bundle.source == bundle.target else _curve(path)
    taken = ' class="taken"' if _is_taken(view, bundle) else ""
    return f"<g{taken}>{drawn}</g>"


def _curve(path: Sequence[Point]) -> str:
    """A line that is vertical wherever it meets something, and its head."""
    x, end = path[-1]
    back = 7.0 if end < next(y for _, y in reversed(path) if y != end) else -7.0
    body = [(px, y) for px, y in path[:-1] if px != x or abs(y - end) > 2 * abs(back)]
    points = [*body, (x, end + 2 * back), (x, end + back)]
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        middle = _n((y1 + y2) / 2)
        bent = abs(x1 - x2) >= 0.5
        parts.append(f"C{_n(x1)} {middle} {_n(x2)} {middle} {_n(x2)} {_n(y2)}" if bent else f"L{_n(x2)} {_n(y2)}")
    head = f"M{_n(x)} {_n(end)}l-4.5 {_n(1.3 * back)}h9z"
    return f'<path class="line" d="{"".join(parts)}"/><path class="head" d="{head}"/>'


def _loop(path: Sequence[Point]) -> str:
    (x, y1), (_, y2) = path
    far = x + LOOP * 1.2
    line = f"M{_n(x)} {_n(y1)}C{_n(far)} {_n(y1 - 8)} {_n(far)} {_n(y2 + 8)} {_n(x + 7)} {_n(y2)}"
    return f'<path class="line" d="{line}"/><path class="head" d="M{_n(x)} {_n(y2)}l9 -4.5v9z"/>'


def _svg_label(view: _View, bundle: _Bundle, box: Box) -> str:
    parts, y = [_rect("chip", box, 5)], box.y + _LEADING
    for move in bundle.moves:
        rows = []
        for kind, text in _label(view, move):
            rows.append(_words(f"{kind} middle", box.x + box.width / 2, y, text))
            y += _LEADING
        y += 4
        taken = ' class="taken"' if view.taken.get(move.arrow.name, 0) else ""
        parts.append(f"<g{taken}>{_hint(move.arrow.says)}{''.join(rows)}</g>")
    return "".join(parts)


def _svg_state(view: _View, node: Node, box: Box) -> str:
    kinds = ["state", *(["now"] if node.path in view.current else [])]
    kinds.append(node.outcome if node.final and node.parent is None else "work")
    drawn = _svg_place(node, box) if node.kind == "state" else _svg_history(node, box)
    return f'<g class="{" ".join(kinds)}">{_hint(_told(node))}{drawn}</g>'


def _svg_place(node: Node, box: Box) -> str:
    x, y = box.x + box.width / 2, box.y + box.height / 2
    ring = _rect("ring", box, 6, 3.5) if node.final else ""
    name = _words("name middle", x, y + (-4 if _does(node) else 4.5), node.name)
    return _rect("box", box, 9) + ring + name + (_svg_work(node, x, y + 14) if _does(node) else "")


def _svg_history(node: Node, box: Box) -> str:
    y = box.y + box.height / 2
    sign = _words("name middle", box.x + 20, y + 4.5, "H*" if node.kind == "history*" else "H")
    return _rect("box", box, box.height / 2) + sign + _words("small", box.x + 36, y + 4, node.name)


def _svg_work(node: Node, middle: float, y: float) -> str:
    """The specialist, and what its effect is where that matters."""
    if not _badge(node):
        return _words("small middle", middle, y, _does(node))
    text, badge = _wide(_does(node), 11), _wide(_effect(node), 10) + 12
    left = middle - (text + badge + 8) / 2
    x = left + text + 8
    drawn = _rect("", Box(x, y - 11, badge, 15), 7.5) + _words("middle", x + badge / 2, y, _effect(node))
    return _words("small middle", left + text / 2, y, _does(node)) + f'<g class="badge {_effect(node)}">{drawn}</g>'


def _told(node: Node) -> str:
    """What is shown while the pointer rests on a state."""
    state = node.state
    if state is None or state.does is None:
        return node.says
    fallback = [f"fallback {other.id}" for other in state.fallback]
    told = ", ".join((f"attempts {state.attempts}", f"timeout {state.timeout:g} s", *fallback))
    return f"{node.says}\n{told}".strip()


def _svg_pill(pill: _Pill, box: Box) -> str:
    x, y = box.x + box.width / 2, box.y + 6.5 + 0.75 * _LEADING
    rows = [_words("middle", x, y + _LEADING * row, text) for row, text in enumerate(pill.text)]
    return f'<g class="pill">{_rect("box", box, min(box.height / 2, 14))}{"".join(rows)}</g>'
