"""In which order the parts of a plan start, and how far an open plan is. Pure, and read from events alone.

A part is ready when all that it waits for is done. Of the ready ones that start first which begin the longest way to
the end, by the seconds their parts expect (critical-path list scheduling; its worst case is twice the best schedule,
Graham 1966). Each dependency is counted down once, so a plan costs what it has parts and dependencies.
"""

import heapq
from collections.abc import Iterable
from functools import cached_property
from typing import Protocol

import attrs

from statecore.events import CallPlanned


class Node(Protocol):
    """What the order of a part depends on."""

    @property
    def part(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def after(self) -> tuple[str, ...]: ...
    @property
    def expects(self) -> float: ...
    @property
    def says(self) -> str: ...


class Graph:
    """Parts of unique ids that wait for known ones. `order`: each after what it waits for; shorter than `nodes` where
    some wait for each other. `next`: what waits for a part. `rank`: in which order ready parts start.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.part: node for node in nodes}
        self.next: dict[str, list[str]] = {id: [] for id in self.nodes}
        self.waits = {id: len(set(node.after)) for id, node in self.nodes.items()}
        for id, node in self.nodes.items():
            for before in set(node.after):
                self.next[before].append(id)
        self.order = self._order()
        self.ways = self._ways()
        self.ranked = sorted(self.nodes, key=lambda id: -self.ways.get(id, 0.0))
        self.rank = {id: number for number, id in enumerate(self.ranked)}

    def _order(self) -> list[str]:
        left = dict(self.waits)
        order = [id for id, count in left.items() if not count]
        for id in order:
            for following in self.next[id]:
                left[following] -= 1
                if not left[following]:
                    order.append(following)
        return order

    def _ways(self) -> dict[str, float]:
        """The longest way from the start of each part to the end, in the seconds that are expected."""
        ways: dict[str, float] = {}
        for id in reversed(self.order):
            ways[id] = self.nodes[id].expects + max((ways[each] for each in self.next[id]), default=0.0)
        return ways

    def cycle(self) -> tuple[str, ...]:
        """Parts that wait for each other, each for the next and the last for the first; empty where none do."""
        stuck = set(self.nodes).difference(self.order)
        if not stuck:
            return ()
        path: dict[str, None] = {}
        id = min(stuck, key=self.rank.__getitem__)
        while id not in path:
            path[id] = None
            id = next(each for each in self.nodes[id].after if each in stuck)
        ring = list(path)
        return tuple(ring[ring.index(id) :])

    def longest(self) -> tuple[str, ...]:
        """The longest chain of parts, from its first to its last."""
        ends: dict[str, tuple[int, str]] = {}
        for id in self.order:
            ends[id] = max(((ends[each][0] + 1, each) for each in self.nodes[id].after), default=(1, ""))
        chain = []
        id = max(ends, key=lambda id: ends[id][0], default="")
        while id:
            chain.append(id)
            id = ends[id][1]
        return tuple(reversed(chain))

    def before(self, id: str) -> tuple[str, ...]:
        """All that a part waits for, at whatever distance, in the order of the plan."""
        found: set[str] = set()
        todo = list(self.nodes[id].after)
        while todo:
            if (each := todo.pop()) not in found:
                found.add(each)
                todo += self.nodes[each].after
        return tuple(each for each in self.nodes if each in found)


@attrs.define(slots=False)
class Progress:
    """How far an open plan is. `count`: of its parts. `parts`: in the order of the plan. `waits`: of each part that was not started, how many
    it still waits for. `ready`: ranks of those that wait for nothing, as a heap. `done`, `failed`: ids of the values.
    `skipped`: parts that will not start, each with the failed one that it waited for.

    A run owns it and never changes it: a draft copies it before its first change.
    """

    count: int
    width: int
    on_failure: str
    reads: tuple[int, ...] = ()
    parts: dict[str, CallPlanned] = attrs.field(factory=dict)
    waits: dict[str, int] = attrs.field(factory=dict)
    ready: list[int] = attrs.field(factory=list)
    done: dict[str, int] = attrs.field(factory=dict)
    failed: dict[str, int] = attrs.field(factory=dict)
    skipped: dict[str, str] = attrs.field(factory=dict)

    def copy(self) -> "Progress":
        made = Progress(
            self.count,
            self.width,
            self.on_failure,
            self.reads,
            self.parts if len(self.parts) == self.count else dict(self.parts),
            dict(self.waits),
            list(self.ready),
            dict(self.done),
            dict(self.failed),
            dict(self.skipped),
        )
        if "graph" in self.__dict__:
            made.__dict__["graph"] = self.graph
        return made

    @cached_property
    def graph(self) -> Graph:
        """Made once all parts are there, and shared by the copies."""
        return Graph(self.parts.values())

    @property
    def open(self) -> int:
        """Parts that were started and have not ended."""
        return len(self.parts) - len(self.waits) - len(self.done) - len(self.failed) - len(self.skipped)

    @property
    def over(self) -> bool:
        return not self.waits and not self.open

    @property
    def next(self) -> str | None:
        """The part that starts next; None where none is ready."""
        return self.graph.ranked[self.ready[0]] if self.ready else None

    def add(self, part: CallPlanned) -> None:
        """One of its parts. With the last of them it begins."""
        self.parts[part.part] = part
        if len(self.parts) == self.count:
            self._begin()

    def _begin(self) -> None:
        self.waits = dict(self.graph.waits)
        self.ready = sorted(self.graph.rank[part] for part, count in self.waits.items() if not count)

    def take(self, part: str) -> None:
        """A part was started."""
        if self.waits.pop(part, None) is not None:
            rank = self.graph.rank[part]
            if self.ready[0] == rank:
                heapq.heappop(self.ready)
            else:
                self.ready.remove(rank)
                heapq.heapify(self.ready)

    def land(self, part: str, value: int, *, failed: bool) -> None:
        """A part has ended: those that waited for it are one nearer, or will not start."""
        self.take(part)
        (self.failed if failed else self.done)[part] = value
        if failed:
            self._skip(part)
            return
        for following in self.graph.next[part]:
            if following in self.waits:
                self.waits[following] -= 1
                if not self.waits[following]:
                    heapq.heappush(self.ready, self.graph.rank[following])

    def _skip(self, failed: str) -> None:
        todo = [failed]
        while todo:
            for following in self.graph.next[todo.pop()]:
                if self.waits.pop(following, None) is not None:
                    self.skipped[following] = failed
                    todo.append(following)
