"""A chart as SVG, in a file of its own that needs no other and is light or dark as the reader's screen is.

How wide a text will be is guessed, rather too much than too little, since nothing here can measure it;
`statecore.layout` puts what has a size in its place, and this file draws it there.
"""

import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from textwrap import wrap
from unicodedata import east_asian_width

from statecore.chart import Chart, Node
from statecore.layout import LOOP, Box, Layout, Line, Point, Spot, arrange
from statecore.view import Bundle, Move, Pill, View, effect_of, work_of

_STYLE = """\
.statecore{font-family:Inter,"Segoe UI","Helvetica Neue",Arial,"Liberation Sans",sans-serif;font-size:13px}
.statecore text{fill:#0f172a}.statecore .middle{text-anchor:middle}
.statecore .page,.statecore .chip{fill:#fff}
.statecore .heading{font-size:18px;font-weight:700}.statecore .name,.statecore .title{font-weight:600}
.statecore .small{font-size:11px;font-weight:400;fill:#5b6b82}.statecore .move{font-size:12px;font-weight:600}
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
    return _layout(View(chart, (), {}))


def _layout(view: View) -> Layout:
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


def _is_region(view: View, node: Node) -> bool:
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


def _size(view: View, node: Node) -> Point:
    if node.kind in ("compound", "parallel"):
        return _wide(node.name, 13, True) + 48, _INNER
    if node.kind.startswith("history"):
        return _wide(node.name) + 50, 32
    below = _wide(work_of(node), 11) + (_wide(effect_of(node), 10) + 22 if _badge(node) else 0.0)
    return max(92.0, _wide(node.name, 13, True) + 34, below + 30), 50 if work_of(node) else 38


def _badge(node: Node) -> bool:
    return effect_of(node) in ("once", "idempotent", "person")


def _label(view: View, move: Move) -> list[tuple[str, str]]:
    """The rows of a transition's label, each with its class."""
    whole = move.detail.replace(move.bound, move.bound.replace(" ", "\N{NO-BREAK SPACE}"))
    rows = wrap(whole, 34, break_on_hyphens=False)
    return [("move", move.name + view.times(move)), *(("small", row) for row in rows)]


def _label_size(view: View, bundle: Bundle) -> Point:
    rows = [row for move in bundle.moves for row in _label(view, move)]
    wide = max(_wide(text, 12, True) if kind == "move" else _wide(text, 11) for kind, text in rows)
    return wide + 14, _LEADING * len(rows) + 4 * len(bundle.moves) + 4


def svg(view: View) -> str:
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
        _title(chart),
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


def _title(chart: Chart) -> str:
    """The version stands behind the name in one text: how wide the name is, only who draws it knows."""
    version = f'<tspan class="small" dx="10">{_text(f"version {chart.version}")}</tspan>'
    return f'<text class="heading" x="22" y="36">{_text(chart.name)}{version}</text>'


def _first(doc: str) -> str:
    return doc.split("\n\n")[0].replace("\n", " ")


def _described(view: View) -> str:
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


def _svg_group(view: View, node: Node, plan: Layout) -> str:
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


def _is_taken(view: View, bundle: Bundle) -> bool:
    return any(view.taken.get(move.arrow.name, 0) for move in bundle.moves)


def _svg_line(view: View, bundle: Bundle, plan: Layout) -> str:
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


def _svg_label(view: View, bundle: Bundle, box: Box) -> str:
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


def _svg_state(view: View, node: Node, box: Box) -> str:
    kinds = ["state", *(["now"] if node.path in view.current else [])]
    kinds.append(node.outcome if node.final and node.parent is None else "work")
    drawn = _svg_place(node, box) if node.kind == "state" else _svg_history(node, box)
    return f'<g class="{" ".join(kinds)}">{_hint(_told(node))}{drawn}</g>'


def _svg_place(node: Node, box: Box) -> str:
    x, y = box.x + box.width / 2, box.y + box.height / 2
    ring = _rect("ring", box, 6, 3.5) if node.final else ""
    name = _words("name middle", x, y + (-4 if work_of(node) else 4.5), node.name)
    return _rect("box", box, 9) + ring + name + (_svg_work(node, x, y + 14) if work_of(node) else "")


def _svg_history(node: Node, box: Box) -> str:
    y = box.y + box.height / 2
    sign = _words("name middle", box.x + 20, y + 4.5, "H*" if node.kind == "history*" else "H")
    return _rect("box", box, box.height / 2) + sign + _words("small", box.x + 36, y + 4, node.name)


def _svg_work(node: Node, middle: float, y: float) -> str:
    """The specialist, and what its effect is where that matters."""
    if not _badge(node):
        return _words("small middle", middle, y, work_of(node))
    text, badge = _wide(work_of(node), 11), _wide(effect_of(node), 10) + 12
    left = middle - (text + badge + 8) / 2
    x = left + text + 8
    drawn = _rect("", Box(x, y - 11, badge, 15), 7.5) + _words("middle", x + badge / 2, y, effect_of(node))
    return _words("small middle", left + text / 2, y, work_of(node)) + f'<g class="badge {effect_of(node)}">{drawn}</g>'


def _told(node: Node) -> str:
    """What is shown while the pointer rests on a state."""
    state = node.state
    if state is not None and state.plan is not None:
        parts = map(str, state.plan.parts)
        return "\n".join(filter(None, (node.says, *parts)))
    if state is None or state.does is None:
        return node.says
    fallback = [f"fallback {other.id}" for other in state.fallback]
    limit = [f"timeout {state.limit:g} s"] if state.limit else []
    told = ", ".join((f"attempts {state.attempts}", *limit, *fallback))
    return f"{node.says}\n{told}".strip()


def _svg_pill(pill: Pill, box: Box) -> str:
    x, y = box.x + box.width / 2, box.y + 6.5 + 0.75 * _LEADING
    rows = [_words("middle", x, y + _LEADING * row, text) for row, text in enumerate(pill.text)]
    return f'<g class="pill">{_rect("box", box, min(box.height / 2, 14))}{"".join(rows)}</g>'
