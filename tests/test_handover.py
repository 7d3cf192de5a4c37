"""Definite assignment: a hand-over is accepted exactly where every path to it has given what it needs."""

from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecore import Completed, Failed, Newest, Recorded, State, Workflow, any_state, check, specialist, table
from statecore.chart import Chart
from statecore.check import Edge, path_avoiding
from statecore.errors import DefinitionError
from statecore.failures import Failure
from statecore.handover import Param, handover
from statecore.table import Config, Move, compile_table
from tests import generated
from tests.charts import FLAT, NESTED
from tests.generated import A2, A, B
from tests.support import Draft, ReplyRequest, Review, SupportTicket, Ticket, Triage, triage

Fact = tuple[str | None, type]
"""Such a value is there: of any state, or of that one."""

PLACES = [Config((name,)) for name in "pqrstu"]
OURS = [SupportTicket, *NESTED, *FLAT]


class C: ...


# -- the textbook, to compare with


def given_by(edge: Edge) -> frozenset[Fact]:
    return frozenset((by, base) for base in edge.gives.__mro__ if base is not object for by in (None, edge.by))


def must_have(edges: Iterable[Edge]) -> dict[Config | None, frozenset[Fact]]:
    """Greatest fixpoint of: on entering c is there what all edges into c bring. Absent: not reached."""
    edges = list(edges)
    facts: dict[Config | None, frozenset[Fact]] = {None: frozenset()}
    while True:
        before = dict(facts)
        for edge in edges:
            if edge.source in facts:
                brings, at = facts[edge.source] | given_by(edge), edge.move.config
                facts[at] = facts[at] & brings if at in facts else brings
        if facts == before:
            return facts


def always(edges: Iterable[Edge], path: str, param: Param) -> bool:
    edges = list(edges)
    facts = must_have(edges)
    entering = [edge for edge in edges if path in edge.move.entered and edge.source in facts]
    return all((param.by, param.wants) in facts[edge.source] | given_by(edge) for edge in entering)


def avoiding(edges: Iterable[Edge], path: str, param: Param) -> list[Edge] | None:
    return path_avoiding(edges, lambda edge: path in edge.move.entered, lambda edge: param.fits(edge.by, edge.gives))


def edge(source: Config | None, target: Config, gives: type) -> Edge:
    return Edge(source, None, Move(("t",), target, (), target.states), source.states[0] if source else "start", gives)


edge_sets = st.lists(
    st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES), st.sampled_from([A, A2, B, C])), max_size=14
)


@settings(max_examples=500, deadline=None)
@given(edge_sets, st.sampled_from([A, A2, B]), st.sampled_from([None, *"pq"]))
def test_no_path_avoids_a_value_iff_every_path_gives_it(
    arrows: list[tuple[Config, Config, type]], wants: type, by: str | None
) -> None:
    """Searching without the giving edges is the textbook's must-analysis, and finds a path that gives none."""
    edges = [edge(None, PLACES[0], C), *(edge(*arrow) for arrow in arrows)]
    param = Param("x", wants, by=by)
    for place in "pqrstu":
        found = avoiding(edges, place, param)
        assert (found is None) == always(edges, place, param)
        if found:
            assert found[0].source is None and place in found[-1].move.entered
            assert all(one.move.config == other.source for one, other in pairwise(found))
            assert not any(param.fits(step.by, step.gives) for step in found)


@pytest.mark.parametrize("workflow", OURS, ids=lambda workflow: workflow.__name__)
def test_our_own_hand_overs_agree_with_the_textbook(workflow: type[Workflow[Any]]) -> None:
    """What our charts promise their hand-overs is on every path."""
    machine = workflow.machine
    edges = list(check.edges_of(machine.chart, machine.table))
    for path, compiled in machine.handovers.items():
        for param in compiled.params:
            assert always(edges, path, param) or param.optional or param.many, f"{path}: {param}"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([A, A2, B]))
def test_generated_charts_agree_with_the_textbook(seed: int, nested: bool, wants: type) -> None:
    """The same on the moves of random charts."""
    compiled = edges_of(seed, nested)
    if compiled is None:
        return
    chart, edges = compiled
    for node in chart.working:
        for by in (None, node.path):
            param = Param("x", wants, by=by)
            assert (avoiding(edges, node.path, param) is None) == always(edges, node.path, param)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)), min_size=5, max_size=18))
def test_the_path_found_is_a_shortest_one(arrows: list[tuple[Config, Config]]) -> None:
    """A person reads it: no detour is printed."""
    edges = [edge(None, PLACES[0], C), *(edge(*arrow, C) for arrow in arrows)]
    for place in "pqrstu":
        found = avoiding(edges, place, Param("x", A))
        lengths = [len(run) for run in runs(edges, 8) if place in run[-1].move.entered]
        assert (len(found) if found else None) == min(lengths, default=None)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([A, A2, B]))
def test_every_path_of_a_small_flat_chart_was_looked_at(seed: int, wants: type) -> None:
    """All runs of up to eight moves, one by one: the shortest that gives none is as long as the one found."""
    compiled = edges_of(seed, nested=False)
    if compiled is None:
        return
    chart, edges = compiled
    for node in chart.working:
        param = Param("x", wants)
        entering = [run for run in runs(edges, 8) if node.path in run[-1].move.entered]
        lengths = [len(run) for run in entering if not any(param.fits(step.by, step.gives) for step in run)]
        found = avoiding(edges, node.path, param)
        assert (len(found) if found else None) == min(lengths, default=None)


def edges_of(seed: int, nested: bool) -> tuple[Chart, list[Edge]] | None:
    try:
        chart = generated.chart(Random(seed), nested=nested)
        with patch.object(table, "MAX_CONFIGURATIONS", 50):
            return chart, list(check.edges_of(chart, compile_table(chart)))
    except DefinitionError:
        return None


def runs(edges: list[Edge], longest: int) -> Iterable[tuple[Edge, ...]]:
    """Every run, one move at a time; of those that come to the same place with the same kinds of values, the first."""
    level: list[tuple[Edge, ...]] = [(edge,) for edge in edges if edge.source is None]
    seen: set[Any] = set()
    while level and len(level[0]) <= longest:
        yield from level
        further = [(*run, edge) for run in level for edge in edges if edge.source == run[-1].move.config]
        level = []
        for run in further:
            essence = (run[-1].move.config, run[-1].move.entered, frozenset(step.gives for step in run))
            if essence not in seen:
                seen.add(essence)
                level.append(run)


def test_the_comparison_can_fail() -> None:
    """A search that lets the giving edges pass is found out by the textbook."""
    edges = [edge(None, PLACES[0], C), edge(PLACES[0], PLACES[1], A)]
    param = Param("x", A)
    careless = path_avoiding(edges, lambda step: "q" in step.move.entered, lambda step: False)
    assert careless is not None and always(edges, "q", param) and avoiding(edges, "q", param) is None


# -- what a parameter means


def of_all_kinds(
    ticket: Ticket,
    triage: Triage | None,
    drafts: list[Draft],
    newest: Newest[Draft],
    writing: Draft,
    review: Recorded[Review],
    start: Ticket,
    failure: Failure | None,
) -> ReplyRequest:
    return ReplyRequest(start, "", newest.text)


@specialist("write_again", version="1", effect="pure")
def write_again(request: ReplyRequest) -> Draft: ...  # type: ignore[empty-body]


@specialist("judge", version="1", effect="pure")
def judge(draft: Draft) -> Review: ...  # type: ignore[empty-body]


@specialist("first_draft", version="1", effect="pure")
def first_draft(ticket: Ticket) -> Draft: ...  # type: ignore[empty-body]


class Rework(Workflow[Ticket], version="1"):
    sorting = State(triage, initial=True)
    writing = State(first_draft)
    judging = State(judge)
    mending = State(write_again, give=of_all_kinds)
    over = State(final=True)
    lost = State(final=True, outcome="failed")
    sorted_out = sorting.to(writing, on=Completed[Triage])
    written = writing.to(judging, on=Completed[Draft])
    judged = judging.to(mending, on=Completed[Review])
    mended = mending.to(over, on=Completed[Draft])
    gave_up = any_state.to(lost, on=Failed)


def test_each_annotation_means_one_thing() -> None:
    """T, T | None, list[T], Newest[T], Recorded[T], and a name that is a state's or the run's input."""
    params = {param.name: param for param in handover(Rework.machine.chart, "mending").params}
    assert params == {
        "ticket": Param("ticket", Ticket),
        "triage": Param("triage", Triage, optional=True),
        "drafts": Param("drafts", Draft, many=True),
        "newest": Param("newest", Draft, newest=True),
        "writing": Param("writing", Draft, by="writing"),
        "review": Param("review", Review, envelope=True),
        "start": Param("start", Ticket, by="start"),
        "failure": Param("failure", Failure, optional=True),
    }


def test_without_a_function_the_newest_value_of_the_type_is_handed_over() -> None:
    """`reviewing = State(critic)` takes the draft as it is."""
    compiled = SupportTicket.machine.handovers["reviewing"]
    assert compiled.fn is None
    assert compiled.params == (Param("request", Draft),)


def test_a_name_that_gives_no_such_value_is_only_a_name() -> None:
    """`ticket: Ticket` need not be the name of a state, and `triage` names none either."""
    assert [param.by for param in SupportTicket.machine.handovers["drafting"].params] == [None, None, None]


def test_a_state_inside_belongs_to_the_compound_that_is_named() -> None:
    """A parameter named after a compound means the values of the states in it, and of no neighbour."""
    param = Param("left", Draft, by="both/left")
    assert param.fits("both/left/writing", Draft) and param.fits("both/left", Draft)
    assert not param.fits("both/leftover", Draft) and not param.fits("both/left/writing", Review)
