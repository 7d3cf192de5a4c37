"""Where the boxes, labels and lines of a chart's picture go: plain geometry, no text, no colours.

A layered drawing (Sugiyama, Tagawa and Toda 1981), body by body. In each body: lines that would close a circle are
turned round, every place gets a rank by longest path, a line gets one bend in each rank it passes and one of these is
its label's place, the bends are ordered by barycentre sweeps, and each rank then takes the positions nearest to its
neighbours' that keep their distances (isotonic regression). At last what follows each other without a branch is put
on one vertical.

A line that crosses the border of a compound is cut at ports on its top or bottom edge. Whether a line runs down or up
is decided from the outermost body inwards, sizes are found from the inmost body outwards. Within a row a line is
vertical, and it turns only between rows, where nothing else is: so no line runs through a box or a label. What it may
cross is another line, and the heading of a compound.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from statistics import fmean, median

import attrs

Point = tuple[float, float]

PAD = 22.0
"""Between a compound's border and what is inside."""
APART = 26.0
"""Between neighbours of a row; a line that only passes keeps half of it."""
FLAT, STEEP = 32.0, 84.0
"""The least and the greatest room between two rows: the farther a line goes sideways there, the more it needs."""
LOOP = 34.0
"""How far a line from a place to itself stands out."""
SLOT = 26.0
"""Between two lines at one side of a box, where it is wide enough."""
SNAP = 45.0
"""So near to a straight line a box moves onto it."""
SWEEPS = 24
"""Of ordering and of placing. Charts of 15 states settle in about 8."""


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
class Spot:
    """A place to be put somewhere. `width`, `height`: of its own text; for one with others inside, of its heading.

    `near`: stands right above what its one line leads to. `tall`: as high as its row.
    """

    key: str
    parent: str | None
    width: float
    height: float
    near: bool = False
    tall: bool = False


@attrs.frozen
class Line:
    """From a spot to a spot. `width`, `height`: of its label; 0 without one."""

    key: str
    source: str
    target: str
    width: float = 0.0
    height: float = 0.0


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


@attrs.define(eq=False)
class _Vertex:
    """Something with a position in a rank: a spot, a port, or the bend of a line. `right`: room for loops, beside."""

    key: str
    width: float = 0.0
    height: float = 0.0
    spot: Spot | None = None
    label: bool = False
    right: float = 0.0
    rank: int = 0
    index: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def port(self) -> str:
        return self.key[0] if self.spot is None else ""

    @property
    def near(self) -> bool:
        return self.spot is not None and self.spot.near

    @property
    def reach(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.x + self.width / 2 + self.right


@attrs.define(eq=False)
class _Link:
    """A line's part within one body, pointing down: `turned` where the line runs up. `bends`: one per rank passed.

    `part`: 0 the line's own body, where its label is; below 0 on the way out of its source, above 0 into its target.
    `leaves`, `arrives`: sideways from the centre of the upper and the lower end.
    """

    line: Line
    upper: _Vertex
    lower: _Vertex
    turned: bool
    part: int
    bends: list[_Vertex] = attrs.field(factory=list)
    leaves: float | None = None
    arrives: float | None = None

    @property
    def labelled(self) -> bool:
        return self.part == 0 and self.line.height > 0

    @property
    def span(self) -> int:
        """Two ranks where there are words, so that states and labels keep to rows of their own."""
        loose = self.upper.near or self.upper.port or self.lower.port
        return 1 if loose and not self.labelled else 2

    @property
    def chain(self) -> list[_Vertex]:
        return [self.upper, *self.bends, self.lower]

    def at(self, vertex: _Vertex) -> float:
        return (self.leaves if vertex is self.upper else self.arrives if vertex is self.lower else 0.0) or 0.0

    def place(self, vertex: _Vertex) -> float:
        """Its place in the order of its rank, with a fraction for where it meets a wide box."""
        return vertex.index + self.at(vertex) / (vertex.width + 1)


Steps = list[tuple[_Vertex, _Vertex, _Link]]
"""The parts of links between two ranks, each with its upper and lower end."""


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

    def enter(self, link: _Link, end: str, here: _Vertex, leaving: bool) -> None:
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
        self.vertices = {spot.key: _Vertex(spot.key, spot.width, spot.height, spot) for spot in spots}
        self.loops = [line for line, a, b, _ in pending if a == b]
        ends = [(line, self.vertex(a), self.vertex(b), part) for line, a, b, part in pending if a != b]
        backward = _backward(list(self.vertices.values()), [(a, b) for _, a, b, _ in ends])
        self.links: list[_Link] = []
        for (line, a, b, part), turned in zip(ends, backward, strict=True):
            self.links.append(_Link(line, b, a, True, part) if turned else _Link(line, a, b, False, part))
        _rank(list(self.vertices.values()), self.links)

    def vertex(self, key: str) -> _Vertex:
        return self.vertices.setdefault(key, _Vertex(key))

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
        ranks = _bend(list(self.vertices.values()), self.links)
        steps = [(a, b, link) for link in self.links for a, b in pairwise(link.chain)]
        _order(ranks, steps)
        _slots(self.links)
        _spread(ranks, steps)
        _compact(ranks, steps)
        _straighten(ranks, steps)
        return self.rows(ranks, steps)

    def port(self, plan: _Plan, link: _Link, end: _Vertex) -> float | None:
        """Sideways from the centre of a spot, where a line goes on inside; None where any place will do."""
        inner = plan.bodies.get(end.key) if end.spot else None
        port = inner and (inner.vertices.get("^" + link.line.key) or inner.vertices.get("_" + link.line.key))
        return inner.inset + port.x - end.width / 2 if inner and port else None

    def rows(self, ranks: list[list[_Vertex]], steps: Steps) -> Point:
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

    def points(self, link: _Link) -> list[Point]:
        """Vertical through each row, from the upper end's lower border to the lower end's upper border."""
        points: list[Point] = []
        for v in link.chain:
            x, top, bottom = v.x + link.at(v), self.tops[v.rank], self.bottoms[v.rank]
            if v is link.upper:
                points += [(x, v.y + v.height), (x, bottom)]
            else:
                points += [(x, top), (x, v.y if v is link.lower else bottom)]
        return points


def _backward(vertices: list[_Vertex], ends: list[tuple[_Vertex, _Vertex]]) -> list[bool]:
    """Which lines lead back to where a walk from the first vertex on has come from, or out of the top or into it."""
    leaving: dict[str, list[int]] = defaultdict(list)
    for index, (a, _) in enumerate(ends):
        leaving[a.key].append(index)
    turned = [a.port == "_" or b.port == "^" for a, b in ends]
    open_, seen = set[str](), set[str]()

    def walk(key: str) -> None:
        seen.add(key)
        open_.add(key)
        for index in leaving[key]:
            after = ends[index][1].key
            if after in open_:
                turned[index] = True
            elif after not in seen:
                walk(after)
        open_.discard(key)

    for vertex in vertices:
        if vertex.key not in seen and not vertex.port:
            walk(vertex.key)
    return turned


def _rank(vertices: list[_Vertex], links: list[_Link]) -> None:
    """Longest path from the top for the spots, the ports outside of all, a `near` spot right above its target.

    What only a `near` spot leads to (the end of everything that went wrong) goes as far down as the rest reaches.
    """
    inner = [link for link in links if not (link.upper.port or link.lower.port or link.upper.near)]
    near = [link for link in links if link.upper.near]
    entered = {link.lower.key for link in links if link not in near or not link.labelled}
    _longest(inner)
    deepest = max(v.rank for v in vertices)
    for link in near:
        if link.lower.key not in entered and not link.lower.port:
            link.lower.rank = deepest - _tail(link.lower, inner)
    _longest(inner)
    for link in near:
        link.upper.rank = link.lower.rank - link.span
    _ports(vertices, links)


def _longest(links: list[_Link]) -> None:
    """Move each lower end down until it is a span below its upper end."""
    moved = True
    while moved:
        moved = False
        for link in links:
            if link.lower.rank < link.upper.rank + link.span:
                link.lower.rank, moved = link.upper.rank + link.span, True


def _tail(vertex: _Vertex, links: list[_Link]) -> int:
    return max((link.span + _tail(link.lower, links) for link in links if link.upper is vertex), default=0)


def _ports(vertices: list[_Vertex], links: list[_Link]) -> None:
    """Top ports share the first rank and bottom ports the last one; then ranks are counted from 0."""
    for sign in "_^":
        down = sign == "_"
        room = max((link.span for link in links if sign in (link.upper.port, link.lower.port)), default=0)
        for link in links:
            port, other = (link.lower, link.upper) if down else (link.upper, link.lower)
            if port.port == sign:
                inside = [v.rank for v in vertices if v.port != sign]
                port.rank = max(inside) + room if down else min(inside) - room
                other.rank = port.rank - link.span if other.near and down else other.rank
    first = min(v.rank for v in vertices)
    for v in vertices:
        v.rank -= first


def _bend(vertices: list[_Vertex], links: list[_Link]) -> list[list[_Vertex]]:
    """The ranks, with a bend of each line that passes. Its label is where least is written yet."""
    ranks: list[list[_Vertex]] = [[] for _ in range(max(v.rank for v in vertices) + 1)]
    for v in vertices:
        ranks[v.rank].append(v)
    standing = {v.rank for v in vertices if v.spot and not v.near}
    written: dict[int, float] = defaultdict(float)
    for link in sorted(links, key=lambda link: link.lower.rank - link.upper.rank):
        link.bends = [_Vertex(link.line.key, rank=rank) for rank in range(link.upper.rank + 1, link.lower.rank)]
        if link.labelled:
            free = [v for v in link.bends if v.rank not in standing] or link.bends
            bend = min(reversed(free) if link.turned else free, key=lambda v: written[v.rank])
            bend.label, bend.width, bend.height = True, link.line.width, link.line.height
            written[bend.rank] += bend.width + APART
        for bend in link.bends:
            ranks[bend.rank].append(bend)
    return ranks


def _order(ranks: list[list[_Vertex]], steps: Steps) -> None:
    """Barycentre sweeps, down and up in turn; the order with the fewest crossings of all that were seen stays."""
    above, below = _neighbours(steps)
    _number(ranks)
    best, fewest = [list(rank) for rank in ranks], _crossings(steps)
    for sweep in range(SWEEPS):
        near = below if sweep % 2 else above
        for rank in ranks[::-1] if sweep % 2 else ranks:
            wanted = {id(v): fmean([link.place(o) for o, link in near[id(v)]] or [v.index]) for v in rank}
            rank.sort(key=lambda v: wanted[id(v)])
            _number([rank])
        for rank in ranks:
            _swap(rank, above, below)
        if (crossings := _crossings(steps)) < fewest:
            best, fewest = [list(rank) for rank in ranks], crossings
    ranks[:] = best
    _number(ranks)


Near = dict[int, list[tuple[_Vertex, _Link]]]


def _neighbours(steps: Steps) -> tuple[Near, Near]:
    above: Near = defaultdict(list)
    below: Near = defaultdict(list)
    for a, b, link in steps:
        above[id(b)].append((a, link))
        below[id(a)].append((b, link))
    return above, below


def _number(ranks: list[list[_Vertex]]) -> None:
    for rank in ranks:
        for index, v in enumerate(rank):
            v.index = index


def _swap(rank: list[_Vertex], above: Near, below: Near) -> None:
    """Exchange neighbours whose lines cross less the other way."""
    for i in range(len(rank) - 1):
        a, b = rank[i], rank[i + 1]
        both = [(near[id(a)], near[id(b)]) for near in (above, below)]
        pairs = [(one.place(o), two.place(p)) for left, right in both for o, one in left for p, two in right]
        if sum(left > right for left, right in pairs) > sum(left < right for left, right in pairs):
            rank[i], rank[i + 1] = b, a
            _number([rank])


def _crossings(steps: Steps) -> int:
    """Pairs of lines between two ranks whose ends are in opposite orders."""
    gaps: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for a, b, link in steps:
        gaps[a.rank].append((link.place(a), link.place(b)))
    count = 0
    for ends in gaps.values():
        seen: list[float] = []
        for _, lower in sorted(ends):
            count += len(seen) - bisect_right(seen, lower)
            insort(seen, lower)
    return count


def _slots(links: list[_Link]) -> None:
    """Lines at one side of a box side by side, in the order of where they go."""
    sides: dict[tuple[int, bool], list[_Link]] = defaultdict(list)
    for link in links:
        for end, down, fixed in ((link.upper, True, link.leaves), (link.lower, False, link.arrives)):
            if end.spot and fixed is None:
                sides[id(end), down].append(link)
    for (_, down), group in sides.items():
        group.sort(key=lambda link: link.chain[1 if down else -2].index)
        end = group[0].upper if down else group[0].lower
        room = min(SLOT, (end.width - 24) / len(group))
        for index, link in enumerate(group):
            offset = (index - (len(group) - 1) / 2) * room
            link.leaves, link.arrives = (offset, link.arrives) if down else (link.leaves, offset)


def _gap(a: _Vertex, b: _Vertex) -> float:
    """Between the centres of two neighbours."""
    room = APART if (a.spot or a.label) and (b.spot or b.label) else APART / 2
    return a.width / 2 + a.right + room + b.width / 2


def _spread(ranks: list[list[_Vertex]], steps: Steps) -> None:
    """Each rank in turn as near as can be to what it is joined to: above, below, and in the end both."""
    above, below = _neighbours(steps)
    for rank in ranks:
        for v, x in zip(rank, accumulate((_gap(a, b) for a, b in pairwise(rank)), initial=0.0), strict=True):
            v.x = x
    for sweep in range(3 * SWEEPS):
        sides = (above, below) if sweep >= 2 * SWEEPS else (below,) if sweep % 2 else (above,)
        for rank in ranks[::-1] if sweep % 2 else ranks:
            wishes = [_wish(v, [near for side in sides for near in side[id(v)]]) for v in rank]
            for v, x in zip(rank, _nearest(wishes, [_gap(a, b) for a, b in pairwise(rank)]), strict=True):
                v.x = x


def _wish(vertex: _Vertex, near: list[tuple[_Vertex, _Link]]) -> tuple[float, float]:
    """Where a vertex would like to be, and how much: long lines want most to be straight."""
    pulls = [(o.x + link.at(o) - link.at(vertex), 2.0 if o.spot or vertex.spot else 8.0) for o, link in near]
    weight = sum(w for _, w in pulls)
    return (sum(x * w for x, w in pulls) / weight, weight) if pulls else (vertex.x, 0.1)


def _nearest(wishes: Sequence[tuple[float, float]], gaps: Sequence[float]) -> list[float]:
    """The positions nearest to weighted wishes (squares) that keep `gaps`: what would come too close is pooled."""
    shifts = list(accumulate(gaps, initial=0.0))
    pools: list[tuple[float, float, int]] = []
    for (want, weight), shift in zip(wishes, shifts, strict=True):
        pool = (want - shift, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            mean, heavy, count = pools.pop()
            pool = ((mean * heavy + pool[0] * pool[1]) / (heavy + pool[1]), heavy + pool[1], count + pool[2])
        pools.append(pool)
    return [mean + shift for mean, shift in zip((p[0] for p in pools for _ in range(p[2])), shifts, strict=True)]


def _straighten(ranks: list[list[_Vertex]], steps: Steps) -> None:
    """Put what follows each other without a branch on one vertical, push the rest aside, and let all move back."""
    before = [(v, v.x) for rank in ranks for v in rank]
    blocks = _blocks(ranks, steps)
    for block in blocks:
        middle = median(v.x for v in block)
        for v in block:
            v.x = middle
    if not _push(ranks, blocks):
        for v, x in before:
            v.x = x
        return
    above, below = _neighbours(steps)
    for sweep in range(SWEEPS):
        for block in blocks[::-1] if sweep % 2 else blocks:
            ends = [end for v in block for end in _ends(v, block, (*above[id(v)], *below[id(v)]))]
            _settle(ranks, block, ends, snap=sweep >= SWEEPS // 2)


def _ends(v: _Vertex, block: list[_Vertex], near: Iterable[tuple[_Vertex, _Link]]) -> list[float]:
    return [other.x + link.at(other) - link.at(v) for other, link in near if other not in block]


def _settle(ranks: list[list[_Vertex]], block: list[_Vertex], ends: list[float], snap: bool) -> None:
    """Move a block between its neighbours: to the middle of what it is joined to or, `snap`, onto the nearest of it."""
    if not ends:
        return
    sides = [(v, ranks[v.rank][: v.index], ranks[v.rank][v.index + 1 :]) for v in block]
    least = max((left[-1].x + _gap(left[-1], v) for v, left, _ in sides if left), default=-1e9)
    most = min((right[0].x - _gap(v, right[0]) for v, _, right in sides if right), default=1e9)
    x = block[0].x
    near = min(ends, key=lambda end: abs(end - x))
    want = (near if abs(near - x) < SNAP else x) if snap else sum(ends) / len(ends)
    if least <= most and (not snap or least <= want <= most):
        for v in block:
            v.x = min(max(want, least), most)


def _blocks(ranks: list[list[_Vertex]], steps: Steps) -> list[list[_Vertex]]:
    """The inside of each run, unless it crosses a longer one; and each other vertex alone. From left to right."""
    blocks: list[list[_Vertex]] = []
    for run in sorted(_runs(steps), key=lambda run: -len(run)):
        block = [b for _, b, _ in run[:-1]]
        if block and not any(_twisted(block, other) for other in blocks):
            blocks.append(block)
    inside = {id(v) for block in blocks for v in block}
    blocks += [[v] for rank in ranks for v in rank if id(v) not in inside]
    return sorted(blocks, key=lambda block: (block[0].index, block[0].rank))


def _twisted(block: list[_Vertex], other: list[_Vertex]) -> bool:
    """Is one left of the other here and right of it there?"""
    places = {v.rank: v.index for v in other}
    return len({v.index < places[v.rank] for v in block if v.rank in places}) > 1


def _push(ranks: list[list[_Vertex]], blocks: list[list[_Vertex]]) -> bool:
    """Move blocks to the right until all keep their distance. False where they go round in a circle."""
    block_of = {id(v): block for block in blocks for v in block}
    for _ in range(len(block_of) + 1):
        moved = False
        for a, b in (pair for rank in ranks for pair in pairwise(rank)):
            if (lack := a.x + _gap(a, b) - b.x) > 1e-6:
                moved = True
                for v in block_of[id(b)]:
                    v.x += lack
        if not moved:
            return True
    return False


def _runs(steps: Steps) -> list[Steps]:
    """Steps in a row, each of which is all that goes on from the one before."""
    above, below = _neighbours(steps)
    inner = {id(b) for _, b, _ in steps if len(above[id(b)]) == 1 == len(below[id(b)])}
    after = {id(a): (a, b, link) for a, b, link in steps if id(a) in inner}
    runs = []
    for step in steps:
        if id(step[0]) not in inner:
            run = [step]
            while id(run[-1][1]) in inner:
                run.append(after[id(run[-1][1])])
            runs.append(run)
    return runs


def _compact(ranks: list[list[_Vertex]], steps: Steps) -> None:
    """What is joined to nothing else comes as close to the rest as it can."""
    islands = _islands(ranks, steps)
    for island in sorted(dict.fromkeys(islands.values()), key=list(islands.values()).count)[:-1]:
        free = [
            b.x - a.x - _gap(a, b) if islands[id(b)] == island else -1.0
            for rank in ranks
            for a, b in pairwise(rank)
            if islands[id(a)] != islands[id(b)] and island in (islands[id(a)], islands[id(b)])
        ]
        if free and min(free) > 0:
            for v in (v for rank in ranks for v in rank if islands[id(v)] == island):
                v.x -= min(free)


def _islands(ranks: list[list[_Vertex]], steps: Steps) -> dict[int, int]:
    """For each vertex one of those it is joined to, the same for all of them."""
    chief = {id(v): id(v) for rank in ranks for v in rank}

    def find(key: int) -> int:
        while chief[key] != key:
            chief[key] = key = chief[chief[key]]
        return key

    for a, b, _ in steps:
        chief[find(id(b))] = find(id(a))
    return {key: find(key) for key in chief}


def _room(steps: Steps, depth: int) -> float:
    """Between a row and the one above it."""
    turns = [abs(a.x + link.at(a) - b.x - link.at(b)) for a, b, link in steps if b.rank == depth]
    return min(STEEP, FLAT + 0.18 * max(turns, default=0.0))
