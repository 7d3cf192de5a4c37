"""How far to the right everything in the rows of a body stands, their order being known.

Each rank takes the positions nearest to its neighbours' that keep their distances (isotonic regression). At last what
follows each other without a branch is put on one vertical.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from statistics import median

from statecore.layers import APART, SWEEPS, Link, Steps, Vertex, neighbours

SLOT = 26.0
"""Between two lines at one side of a box, where it is wide enough."""
SNAP = 45.0
"""So near to a straight line a box moves onto it."""


def set_slots(links: list[Link]) -> None:
    """Lines at one side of a box side by side, in the order of where they go."""
    sides: dict[tuple[int, bool], list[Link]] = defaultdict(list)
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


def _gap(a: Vertex, b: Vertex) -> float:
    """Between the centres of two neighbours."""
    room = APART if (a.spot or a.label) and (b.spot or b.label) else APART / 2
    return a.width / 2 + a.right + room + b.width / 2


def spread(ranks: list[list[Vertex]], steps: Steps) -> None:
    """Each rank in turn as near as can be to what it is joined to: above, below, and in the end both."""
    above, below = neighbours(steps)
    for rank in ranks:
        for v, x in zip(rank, accumulate((_gap(a, b) for a, b in pairwise(rank)), initial=0.0), strict=True):
            v.x = x
    for sweep in range(3 * SWEEPS):
        sides = (above, below) if sweep >= 2 * SWEEPS else (below,) if sweep % 2 else (above,)
        for rank in ranks[::-1] if sweep % 2 else ranks:
            wishes = [_wish(v, [near for side in sides for near in side[id(v)]]) for v in rank]
            for v, x in zip(rank, _nearest(wishes, [_gap(a, b) for a, b in pairwise(rank)]), strict=True):
                v.x = x


def _wish(vertex: Vertex, near: list[tuple[Vertex, Link]]) -> tuple[float, float]:
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


def straighten(ranks: list[list[Vertex]], steps: Steps) -> None:
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
    above, below = neighbours(steps)
    for sweep in range(SWEEPS):
        for block in blocks[::-1] if sweep % 2 else blocks:
            ends = [end for v in block for end in _ends(v, block, (*above[id(v)], *below[id(v)]))]
            _settle(ranks, block, ends, snap=sweep >= SWEEPS // 2)


def _ends(v: Vertex, block: list[Vertex], near: Iterable[tuple[Vertex, Link]]) -> list[float]:
    return [other.x + link.at(other) - link.at(v) for other, link in near if other not in block]


def _settle(ranks: list[list[Vertex]], block: list[Vertex], ends: list[float], snap: bool) -> None:
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


def _blocks(ranks: list[list[Vertex]], steps: Steps) -> list[list[Vertex]]:
    """The inside of each run, unless it crosses a longer one; and each other vertex alone. From left to right."""
    blocks: list[list[Vertex]] = []
    for run in sorted(_runs(steps), key=lambda run: -len(run)):
        block = [b for _, b, _ in run[:-1]]
        if block and not any(_twisted(block, other) for other in blocks):
            blocks.append(block)
    inside = {id(v) for block in blocks for v in block}
    blocks += [[v] for rank in ranks for v in rank if id(v) not in inside]
    return sorted(blocks, key=lambda block: (block[0].index, block[0].rank))


def _twisted(block: list[Vertex], other: list[Vertex]) -> bool:
    """Is one left of the other here and right of it there?"""
    places = {v.rank: v.index for v in other}
    return len({v.index < places[v.rank] for v in block if v.rank in places}) > 1


def _push(ranks: list[list[Vertex]], blocks: list[list[Vertex]]) -> bool:
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
    above, below = neighbours(steps)
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


def compact(ranks: list[list[Vertex]], steps: Steps) -> None:
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


def _islands(ranks: list[list[Vertex]], steps: Steps) -> dict[int, int]:
    """For each vertex one of those it is joined to, the same for all of them."""
    chief = {id(v): id(v) for rank in ranks for v in rank}

    def find(key: int) -> int:
        while chief[key] != key:
            chief[key] = key = chief[chief[key]]
        return key

    for a, b, _ in steps:
        chief[find(id(b))] = find(id(a))
    return {key: find(key) for key in chief}
