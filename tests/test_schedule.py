"""The order in which the parts of a plan start: what is ready, which goes first, and what it costs to find out."""

import heapq
import random
from typing import Any
from unittest.mock import patch

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecore import Completed, Failed, State, Workflow, any_state
from statecore.decider import step
from statecore.events import CallPlanned
from statecore.failures import PlanRefused
from statecore.messages import Start
from statecore.plan import Part, Plan, broken, described, needs
from statecore.run import Run
from statecore.schedule import Graph, Progress
from statecore.testing import play
from statecore.testing.script import After
from tests.plans import Look, Seen, look

WIDTH = 4


@attrs.frozen
class Node:
    id: str
    after: tuple[str, ...]
    seconds: float


@attrs.frozen
class Nodes:
    all: tuple[Node, ...]


@attrs.frozen
class Count:
    seen: int


def as_parts(nodes: Nodes) -> list[Part]:
    return [Part(look, id=n.id, request=Look(n.id), after=n.after, expects=n.seconds) for n in nodes.all]


def count(seen: list[Seen]) -> Count:
    return Count(len(seen))


class Scheduled(Workflow[Nodes], version="1"):
    working = State(
        Plan(of=[look], make=as_parts, assemble=count, width=WIDTH, at_most=10_000, depth=10_000), initial=True
    )
    worked = State(final=True)
    done = working.to(worked, on=Completed[Count])
    failed = any_state.to(worked, on=Failed)


def random_nodes(rng: random.Random, count: int, most: int = 3) -> Nodes:
    """A random graph: each node waits for up to `most` of those before it."""
    nodes = []
    for number in range(count):
        before = [f"n{each}" for each in rng.sample(range(number), min(number, rng.randint(0, most)))]
        nodes.append(Node(f"n{number}", tuple(before), rng.randint(1, 20) / 2))
    rng.shuffle(nodes)
    return Nodes(tuple(nodes))


def planned(nodes: Nodes) -> list[CallPlanned]:
    return [CallPlanned(f"working#1/{n.id}", "look", n.after, None, n.seconds) for n in nodes.all]


def list_schedule(nodes: Nodes, width: int) -> float:
    """The makespan of critical-path list scheduling, written without anything of the engine."""
    by_id = {node.id: node for node in nodes.all}
    ways: dict[str, float] = {}

    def way(id: str) -> float:
        if id not in ways:
            ways[id] = by_id[id].seconds + max((way(n.id) for n in nodes.all if id in n.after), default=0.0)
        return ways[id]

    now, running, done, left = 0.0, list[tuple[float, str]](), set[str](), set(by_id)
    while left or running:
        ready = sorted((id for id in left if done.issuperset(by_id[id].after)), key=way, reverse=True)
        for id in ready[: width - len(running)]:
            left.discard(id)
            heapq.heappush(running, (now + by_id[id].seconds, id))
        now, ended = heapq.heappop(running)
        done.add(ended)
    return now


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_takes_no_longer_than_critical_path_list_scheduling(seed: int) -> None:
    """On random graphs the makespan in virtual time is within 1.05 of the reference's, with the same width."""
    nodes = random_nodes(random.Random(seed), 30)
    script = {f"working#1/{n.id}": After(n.seconds, Seen(n.id, "")) for n in nodes.all}
    played = play(Scheduled, nodes, script)
    assert played.result == Count(30)
    assert played.seconds <= 1.05 * list_schedule(nodes, WIDTH)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Nodes, list[int], list[bool]]:
    """A graph, which of the open parts ends next, and whether well."""
    size = draw(st.integers(1, 12))
    nodes = random_nodes(random.Random(draw(st.integers(0, 10_000))), size)
    picks = draw(st.lists(st.integers(0, 11), min_size=size, max_size=size))
    return nodes, picks, draw(st.lists(st.booleans(), min_size=size, max_size=size))


@settings(max_examples=200, deadline=None)
@given(stories())
def test_what_is_ready_is_what_a_naive_reader_finds(story: tuple[Nodes, list[int], list[bool]]) -> None:
    """At each moment of a random course, with failures: pending parts whose dependencies are all done."""
    nodes, picks, well = story
    progress = Progress(len(nodes.all), 3, "continue")
    for part in planned(nodes):
        progress.add(part)
    open_, done, failed = list[str](), set[str](), set[str]()
    for turn, (pick, good) in enumerate(zip(picks, well, strict=True)):
        after = {n.id: n.after for n in nodes.all}
        lost = set(failed)
        while more := {id for id, before in after.items() if id not in lost and lost.intersection(before)}:
            lost |= more
        pending = set(after) - done - failed - set(open_) - lost
        naive = {id for id in pending if done.issuperset(after[id])}
        assert {progress.graph.ranked[rank] for rank in progress.ready} == naive
        assert set(progress.skipped) == lost - failed
        assert progress.open == len(open_) and progress.over == (not pending and not open_)
        while progress.ready:
            assert progress.next is not None
            open_.append(progress.next)
            progress.take(open_[-1])
        if not open_:
            return
        ended = open_.pop(pick % len(open_))
        (done if good else failed).add(ended)
        progress = progress.copy()
        progress.land(ended, turn, failed=not good)


class Counted(dict[str, int]):
    """A dict that counts how often it is written."""

    written = 0

    def __setitem__(self, key: str, value: int) -> None:
        type(self).written += 1
        super().__setitem__(key, value)


@pytest.mark.parametrize("size", [100, 1_000, 5_000])
def test_scheduling_counts_each_dependency_down_once(size: int) -> None:
    """The work is linear in parts and dependencies: one count for each of these, one push for each part at most."""
    nodes = random_nodes(random.Random(1), size)
    edges = sum(len(n.after) for n in nodes.all)
    progress = Progress(size, 8, "stop")
    for part in planned(nodes):
        progress.add(part)
    progress.waits, Counted.written = Counted(progress.waits), 0
    with patch("statecore.schedule.heapq.heappush", wraps=heapq.heappush) as pushed:
        ended = 0
        while (part := progress.next) is not None:
            progress.take(part)
            progress.land(part, ended, failed=False)
            ended += 1
    assert ended == size and progress.over
    assert Counted.written == edges
    assert pushed.call_count <= size


def test_a_thousand_calls_that_end_at_the_same_moment_are_all_kept() -> None:
    """No update is lost, however many workers end at once."""
    nodes = Nodes(tuple(Node(f"n{number}", (), 1.0) for number in range(1_000)))
    played = play(Wide, nodes, {look: After(1.0, Seen("x", ""))})
    assert played.result == Count(1_000) and played.seconds == 1.0
    assert len({value.part for value in played.run.values if value.part}) == 1_000


class Wide(Workflow[Nodes], version="1"):
    working = State(Plan(of=[look], make=as_parts, assemble=count, width=1_000, at_most=1_000), initial=True)
    worked = State(final=True)
    done = working.to(worked, on=Completed[Count])
    failed = any_state.to(worked, on=Failed)


def test_the_longest_way_starts_first() -> None:
    """Of what is ready, the part with the longest expected way to the end goes first, whatever stands before it."""
    graph = Graph(planned(Nodes((Node("a", (), 1.0), Node("b", (), 2.0), Node("c", ("a",), 5.0), Node("d", (), 9.0)))))
    assert graph.ranked == ["d", "a", "c", "b"]


RINGS = [
    (Nodes((Node("a", ("a",), 1.0),)), {"a"}),
    (Nodes((Node("a", ("b",), 1.0), Node("b", ("c",), 1.0), Node("c", ("b",), 1.0), Node("d", (), 1.0))), {"b", "c"}),
]


@pytest.mark.parametrize("nodes,ring", RINGS)
def test_a_ring_is_found_and_is_one(nodes: Nodes, ring: set[str]) -> None:
    """What is shown as a cycle waits for itself, and nothing else stands in it."""
    assert set(Graph(planned(nodes)).cycle()) == ring


def test_a_deep_plan_needs_no_recursion() -> None:
    """Ten thousand parts in one chain are ordered, measured and refused without a deep stack."""
    nodes = Nodes(tuple(Node(f"n{n}", (f"n{n - 1}",) if n else (), 1.0) for n in range(10_000)))
    found = broken(planned(nodes), Plan(look, assemble=count, at_most=10_000, depth=50))
    assert found is not None and found.rule == "depth" and len(found.parts) == 10_000


RULED: list[tuple[Any, str]] = [
    (needs("review", "generate"), "review needs generate"),
    (needs("test", "code", called="tests on code"), "tests on code"),
    (described(2), "described"),
]


@pytest.mark.parametrize("rule,name", RULED)
def test_a_rule_is_broken_by_its_name(rule: Any, name: str) -> None:
    """A part that waits for the other only at a distance keeps the rule; one that does not breaks it."""
    kinds = {"review": "generate", "test": "code"}
    parts = []
    for later, earlier in kinds.items():
        parts += [
            CallPlanned(f"s#1/{earlier}", earlier, says="makes it first"),
            CallPlanned(f"s#1/{earlier}2", "other", (earlier,), says="goes between them"),
            CallPlanned(f"s#1/{later}", later, (f"{earlier}2",), says="looks at it"),
        ]
    plan = Plan(look, assemble=count, rules=[rule])
    assert broken(parts, plan) is None
    worse = [attrs.evolve(part, after=(), says="x") if part.type in kinds else part for part in parts]
    found = broken(worse, plan)
    assert found is not None and found.rule == name and set(found.parts) <= {"review", "test"}


def test_refusing_a_thousand_calls_needs_no_deep_stack() -> None:
    """A guard that refuses each call of a plan ends it in one turn."""
    nodes = Nodes(tuple(Node(f"n{number}", (), 1.0) for number in range(1_000)))
    machine = Lenient.machine
    events, run = step(machine, Run(), Start("r", nodes, 1.0), Refusing())
    assert run.outcome == "completed" and sum(type(event).__name__ == "CallRefused" for event in events) == 1_000


class Lenient(Workflow[Nodes], version="1"):
    working = State(Plan(of=[look], make=as_parts, assemble=count, at_most=1_000, on_failure="partial"), initial=True)
    worked = State(final=True)
    done = working.to(worked, on=Completed[Count])
    failed = any_state.to(worked, on=Failed)


class Refusing:
    """Guards that let nothing start."""

    def ask(self, side: str, own: Any, question: Any) -> tuple[str, Any]:
        from statecore.guard import Refuse

        return "never", Refuse("no")

    def note(self, run: str, event: Any) -> None:
        return None


class Idle(Workflow[Nodes], version="1"):
    """Nothing to do is a result here."""

    working = State(Plan(of=[look], make=as_parts, assemble=count, at_least=0), initial=True)
    worked = State(final=True)
    done = working.to(worked, on=Completed[Count])
    failed = any_state.to(worked, on=Failed)


def test_a_plan_of_nothing_is_refused_unless_it_may_be() -> None:
    """A planner that forgot to plan does not complete the work; where nothing to do is a result, it is over at once."""
    assert play(Scheduled, Nodes(())).result == PlanRefused("at least", "expected at least 1 part, found 0")
    assert play(Idle, Nodes(())).result == Count(0)
    assert Idle.machine.fingerprint != Scheduled.machine.fingerprint
