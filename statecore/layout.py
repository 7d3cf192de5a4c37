"""Where the boxes, labels and lines of a chart's picture go: plain geometry, no text, no colours.

A layered drawing (Sugiyama, Tagawa and Toda 1981), body by body: first its rows (`statecore.layers`), then what stands
where in them (`statecore.placing`), then how tall they are.

A line that crosses the border of a compound is cut at ports on its top or bottom edge. Whether a line runs down or up
is decided from the outermost body inwards, sizes are found from the inmost body outwards. Within a row a line is
vertical, and it turns only between rows, where nothing else is: so no line runs through a box or a label. What it may
cross is another line, and the heading of a compound.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import attrs

from statecore.layers import Line as Line
from statecore.layers import Link, Steps, Vertex, add_bends, backward, set_order, set_ranks
from statecore.layers import Spot as Spot
from statecore.placing import compact, set_slots, spread, straighten

Point = tuple[float, float]

PAD = 22.0
"""Between a compound's border and what is inside."""
FLAT, STEEP = 32.0, 84.0
"""The least and the greatest room between two rows: the farther a line goes sideways there, the more it needs."""
LOOP = 34.0
"""How far a line from a place to itself stands out."""


@attrs.frozen
class Box:
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "Box") -> bool:
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height


@attrs.frozen
class Layout:
    """`paths`: from source to target; two points with one x are joined straight, others by a curve that is vertical at
    both ends. The path of a line to its own source has two points, on that box's right border."""

    width: float
    height: float
    boxes: dict[str, Box]
    labels: dict[str, Box]
    paths: dict[str, tuple[Point, ...]]


def arrange(spots: Sequence[Spot], lines: Sequence[Line]) -> Layout:
    """Lay out spots (a body's spots from top to bottom, as far as its lines agree) and the lines between them."""
    return _Plan(spots, lines).layout()


class _Plan:
    """All bodies of a picture, and the geometry found so far."""

    def __init__(self, spots: Sequence[Spot], lines: Sequence[Line]) -> None:
        self.spots = {spot.key: spot for spot in spots}
        self.bodies: dict[str | None, _Body] = {}
        self.boxes: dict[str, Box] = {}
        self.labels: dict[str, Box] = {}
        self.parts: dict[str, list[tuple[int, list[Point]]]] = {line.key: [] for line in lines}
        self.pending: dict[str | None, list[tuple[Line, str, str, int]]] = defaultdict(list)
        for line in lines:
            body, a, b = self.meet(line)
            self.pending[body].append((line, a, b, 0))

    def layout(self) -> Layout:
        root = self.body(None)
        width, height = root.place(self)
        root.absolute(self, PAD, PAD)
        paths = {key: tuple(chain(*(points for _, points in sorted(parts)))) for key, parts in self.parts.items()}
        return Layout(width + 2 * PAD, height + 2 * PAD, self.boxes, self.labels, paths)

    def chain(self, key: str) -> list[str | None]:
        """A spot and what it is in, inmost first; the last is the picture."""
        out: list[str | None] = [key]
        while (last := out[-1]) is not None:
            out.append(self.spots[last].parent)
        return out

    def meet(self, line: Line) -> tuple[str | None, str, str]:
        """The body a line belongs to, and its ends there: a spot, or a port (^ top, _ bottom) for that body itself."""
        up, down = self.chain(line.source), self.chain(line.target)
        if line.source == line.target:
            return up[1], line.source, line.target
        if line.source in down:
            return line.source, "^" + line.key, _child(down, line.source)
        if line.target in up:
            return line.target, _child(up, line.target), "_" + line.key
        body = next(place for place in up if place in down)
        return body, _child(up, body), _child(down, body)

    def body(self, key: str | None) -> "_Body":
        """Rank a body and then, its lines' directions being known, those inside."""
        spots = [spot for spot in self.spots.values() if spot.parent == key]
        made = self.bodies[key] = _Body(spots, self.pending[key])
        for link in made.links:
            first, last = (link.lower, link.upper) if link.turned else (link.upper, link.lower)
            self.enter(link, link.line.source, first, leaving=True)
            self.enter(link, link.line.target, last, leaving=False)
        for spot in spots:
            if any(inner.parent == spot.key for inner in self.spots.values()):
                self.body(spot.key)
        return made

    def enter(self, link: Link, end: str, here: Vertex, leaving: bool) -> None:
        """Where a line ends deeper inside the spot it meets, hand its next part down, with a port where it comes in."""
        if here.spot is None or here.key == end:
            return
        inner = _child(self.chain(end), here.key)
        port = ("^" if link.turned == leaving else "_") + link.line.key
        depth = len(self.chain(here.key))
        self.pending[here.key].append((link.line, inner, port, -depth) if leaving else (link.line, port, inner, depth))


def _child(chain: list[str | None], body: str | None) -> str:
    child = chain[chain.index(body) - 1]
    assert child is not None
    return child


class _Body:
    """The inside of one spot, or the picture: its vertices, links and loops. `inset`: from its spot's left border."""

    def __init__(self, spots: list[Spot], pending: Iterable[tuple[Line, str, str, int]]) -> None:
        self.inset = PAD
        self.vertices = {spot.key: Vertex(spot.key, spot.width, spot.height, spot) for spot in spots}
        self.loops = [line for line, a, b, _ in pending if a == b]
        ends = [(line, self.vertex(a), self.vertex(b), part) for line, a, b, part in pending if a != b]
        upward = backward(list(self.vertices.values()), [(a, b) for _, a, b, _ in ends])
        self.links: list[Link] = []
        for (line, a, b, part), turned in zip(ends, upward, strict=True):
            self.links.append(Link(line, b, a, True, part) if turned else Link(line, a, b, False, part))
        set_ranks(list(self.vertices.values()), self.links)

    def vertex(self, key: str) -> Vertex:
        return self.vertices.setdefault(key, Vertex(key))

    def place(self, plan: _Plan) -> Point:
        """Positions relative to this body's own corner; gives the size of what is inside."""
        for vertex in self.vertices.values():
            inner = plan.bodies.get(vertex.key) if vertex.spot else None
            if inner is not None:
                width, height = inner.place(plan)
                vertex.width, vertex.height = max(width + 2 * PAD, vertex.width), vertex.height + height + PAD
                inner.inset = (vertex.width - width) / 2
        for line in self.loops:
            vertex = self.vertices[line.source]
            vertex.right, vertex.height = LOOP + line.width, max(vertex.height, line.height)
        for link in self.links:
            link.leaves, link.arrives = self.port(plan, link, link.upper), self.port(plan, link, link.lower)
        ranks = add_bends(list(self.vertices.values()), self.links)
        steps = [(a, b, link) for link in self.links for a, b in pairwise(link.chain)]
        set_order(ranks, steps)
        set_slots(self.links)
        spread(ranks, steps)
        compact(ranks, steps)
        straighten(ranks, steps)
        return self.rows(ranks, steps)

    def port(self, plan: _Plan, link: Link, end: Vertex) -> float | None:
        """Sideways from the centre of a spot, where a line goes on inside; None where any place will do."""
        inner = plan.bodies.get(end.key) if end.spot else None
        port = inner and (inner.vertices.get("^" + link.line.key) or inner.vertices.get("_" + link.line.key))
        return inner.inset + port.x - end.width / 2 if inner and port else None

    def rows(self, ranks: list[list[Vertex]], steps: Steps) -> Point:
        """Give each rank its height, and the room between two what the lines there need to turn."""
        left = min(v.reach[0] for rank in ranks for v in rank)
        for rank in ranks:
            for v in rank:
                v.x -= left
        self.tops, self.bottoms, y = list[float](), list[float](), 0.0
        for depth, rank in enumerate(ranks):
            y += _room(steps, depth) if depth else 0.0
            height = max(v.height for v in rank)
            for v in rank:
                v.height = height if v.spot and v.spot.tall else v.height
                v.y = y + (height - v.height) / (1 if v.near else 2)
            self.tops.append(y)
            y += height
            self.bottoms.append(y)
        return max(v.reach[1] for rank in ranks for v in rank), y

    def absolute(self, plan: _Plan, dx: float, dy: float) -> None:
        """Move everything to its place in the picture."""
        for v in self.vertices.values():
            if v.spot is not None:
                box = plan.boxes[v.key] = Box(v.reach[0] + dx, v.y + dy, v.width, v.height)
                if v.key in plan.bodies:
                    inner = plan.bodies[v.key]
                    inner.absolute(plan, box.x + inner.inset, box.y + v.spot.height)
        for line in self.loops:
            box = plan.boxes[line.source]
            x, middle, half = box.x + box.width, box.y + box.height / 2, min(11.0, box.height / 3)
            plan.parts[line.key].append((0, [(x, middle - half), (x, middle + half)]))
            if line.height:
                plan.labels[line.key] = Box(x + LOOP, middle - line.height / 2, line.width, line.height)
        for link in self.links:
            points = [(x + dx, y + dy) for x, y in self.points(link)]
            plan.parts[link.line.key].append((link.part, points[::-1] if link.turned else points))
            for v in link.bends:
                if v.label:
                    plan.labels[link.line.key] = Box(v.reach[0] + dx, v.y + dy, v.width, v.height)

    def points(self, link: Link) -> list[Point]:
        """Vertical through each row, from the upper end's lower border to the lower end's upper border."""
        points: list[Point] = []
        for v in link.chain:
            x, top, bottom = v.x + link.at(v), self.tops[v.rank], self.bottoms[v.rank]
            if v is link.upper:
                points += [(x, v.y + v.height), (x, bottom)]
            else:
                points += [(x, top), (x, v.y if v is link.lower else bottom)]
        return points


def _room(steps: Steps, depth: int) -> float:
    """Between a row and the one above it."""
    turns = [abs(a.x + link.at(a) - b.x - link.at(b)) for a, b, link in steps if b.rank == depth]
    return min(STEEP, FLAT + 0.18 * max(turns, default=0.0))
