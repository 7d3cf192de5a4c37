"""The rows of one body of a picture, and the order in each of them.

Lines that would close a circle are turned round, every place gets a rank by longest path, a line gets one bend in each
rank it passes and one of these is its label's place, and the bends are ordered by barycentre sweeps.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from statistics import fmean

import attrs

APART = 26.0
"""Between neighbours of a row; a line that only passes keeps half of it."""
SWEEPS = 24
"""Of ordering and of placing. Charts of 15 states settle in about 8."""


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


@attrs.define(eq=False)
class Vertex:
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
class Link:
    """A line's part within one body, pointing down: `turned` where the line runs up. `bends`: one per rank passed.

    `part`: 0 the line's own body, where its label is; below 0 on the way out of its source, above 0 into its target.
    `leaves`, `arrives`: sideways from the centre of the upper and the lower end.
    """

    line: Line
    upper: Vertex
    lower: Vertex
    turned: bool
    part: int
    bends: list[Vertex] = attrs.field(factory=list)
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
    def chain(self) -> list[Vertex]:
        return [self.upper, *self.bends, self.lower]

    def at(self, vertex: Vertex) -> float:
        return (self.leaves if vertex is self.upper else self.arrives if vertex is self.lower else 0.0) or 0.0

    def place(self, vertex: Vertex) -> float:
        """Its place in the order of its rank, with a fraction for where it meets a wide box."""
        return vertex.index + self.at(vertex) / (vertex.width + 1)


Steps = list[tuple[Vertex, Vertex, Link]]
"""The parts of links between two ranks, each with its upper and lower end."""


def backward(vertices: list[Vertex], ends: list[tuple[Vertex, Vertex]]) -> list[bool]:
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


def set_ranks(vertices: list[Vertex], links: list[Link]) -> None:
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


def _longest(links: list[Link]) -> None:
    """Move each lower end down until it is a span below its upper end."""
    moved = True
    while moved:
        moved = False
        for link in links:
            if link.lower.rank < link.upper.rank + link.span:
                link.lower.rank, moved = link.upper.rank + link.span, True


def _tail(vertex: Vertex, links: list[Link]) -> int:
    return max((link.span + _tail(link.lower, links) for link in links if link.upper is vertex), default=0)


def _ports(vertices: list[Vertex], links: list[Link]) -> None:
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


def add_bends(vertices: list[Vertex], links: list[Link]) -> list[list[Vertex]]:
    """The ranks, with a bend of each line that passes. Its label is where least is written yet."""
    ranks: list[list[Vertex]] = [[] for _ in range(max(v.rank for v in vertices) + 1)]
    for v in vertices:
        ranks[v.rank].append(v)
    standing = {v.rank for v in vertices if v.spot and not v.near}
    written: dict[int, float] = defaultdict(float)
    for link in sorted(links, key=lambda link: link.lower.rank - link.upper.rank):
        link.bends = [Vertex(link.line.key, rank=rank) for rank in range(link.upper.rank + 1, link.lower.rank)]
        if link.labelled:
            free = [v for v in link.bends if v.rank not in standing] or link.bends
            bend = min(reversed(free) if link.turned else free, key=lambda v: written[v.rank])
            bend.label, bend.width, bend.height = True, link.line.width, link.line.height
            written[bend.rank] += bend.width + APART
        for bend in link.bends:
            ranks[bend.rank].append(bend)
    return ranks


def set_order(ranks: list[list[Vertex]], steps: Steps) -> None:
    """Barycentre sweeps, down and up in turn; the order with the fewest crossings of all that were seen stays."""
    above, below = neighbours(steps)
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


Near = dict[int, list[tuple[Vertex, Link]]]


def neighbours(steps: Steps) -> tuple[Near, Near]:
    above: Near = defaultdict(list)
    below: Near = defaultdict(list)
    for a, b, link in steps:
        above[id(b)].append((a, link))
        below[id(a)].append((b, link))
    return above, below


def _number(ranks: list[list[Vertex]]) -> None:
    for rank in ranks:
        for index, v in enumerate(rank):
            v.index = index


def _swap(rank: list[Vertex], above: Near, below: Near) -> None:
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
