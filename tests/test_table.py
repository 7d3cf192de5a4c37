"""The table is the machine: walked beside a live python-statemachine machine of the same chart, it never disagrees."""

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Collection
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import attrs
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from statemachine.exceptions import TransitionNotAllowed
from statemachine.orderedset import OrderedSet
from syrupy.assertion import SnapshotAssertion

from statecore import Completed, Compound, Failed, Parallel, State, Workflow, any_state, oracle, specialist, table
from statecore.chart import Chart
from statecore.errors import DefinitionError
from statecore.failures import OutcomeUnknown, TimedOut, Transient
from statecore.messages import Signal
from statecore.oracle import Oracle, Trace, event_id, machine
from statecore.table import Ask, Config, Letter, Table, _compile_flat, _compile_nested, alphabet, compile_table
from tests import generated
from tests.charts import FLAT, NESTED, Ancestry, Facts, Late, Regions, Scopes, Shallow, Throttled
from tests.support import Draft, Review, SupportTicket, Ticket


@attrs.frozen(auto_exc=False)
class Exact(Transient): ...


@specialist("once_only", version="1", fails=[Exact])
def once_only(ticket: Ticket) -> Facts:
    return Facts(())


def sure(facts: Facts) -> bool:
    return bool(facts.known)


class BothAsked(Workflow[Ticket], version="1"):
    working = State(once_only, initial=True)
    over = State(final=True)
    again = working.to(working, on=Completed[Facts], cond=sure, at_most=2)
    done = working.to(over, on=Completed[Facts])
    gave_up = working.to(over, on=Failed)


OURS = [SupportTicket, *NESTED, *FLAT]
by_name = pytest.mark.parametrize("workflow", OURS, ids=lambda workflow: workflow.__name__)


def live(chart: Chart) -> Any:
    return machine(chart, alphabet(chart), ends=True)


def walk(live_machine: Any, compiled: Table, random: Random, steps: int = 40) -> None:
    """Feed both the same random letters and answers. The machine is never reset, as the oracle's own is.

    Only the order of its active states is set to that of declaration before each letter: where one signal leaves two
    regions in two directions, SCXML lets the region declared first win, python-statemachine the one entered first.
    """
    trace = Trace()
    m = live_machine(listeners=[trace])
    config = compiled.start.config
    assert set(m.configuration_values) == set(config.states)
    for _ in range(steps):
        letters = [letter for letter in compiled.letters if letter.of is None or letter.of in config.states]
        if not letters:
            return
        letter = random.choice(letters)
        answers: dict[Any, bool] = {}
        m.answer = lambda question, answers=answers: answers.setdefault(question, random.random() < 0.5)
        m.current_state_value = OrderedSet(config.states) if len(config.states) > 1 else config.states[0]
        expected = sent(m, trace, letter)
        row = compiled.rows[config, letter]
        while isinstance(row, Ask):
            row = row.yes if m.answer(row.question) else row.no
        found = row and (set(row.config.states), sorted(row.left), sorted(row.entered), list(row.transitions))
        assert found == expected, f"{config} | {letter}"
        if row is not None:
            config = row.config
        if m.is_terminated:
            return


def sent(m: Any, trace: Trace, letter: Letter) -> Any:
    """What the live machine does with a letter: where it is then, what it left, entered, took. None: no answer."""
    trace.clear()
    try:
        m.send(event_id(letter))
    except TransitionNotAllowed:
        return None
    return set(m.configuration_values), sorted(set(trace.left)), sorted(set(trace.entered)), trace.taken


def legal(chart: Chart, states: Collection[str]) -> bool:
    """Whether these can be active together: with each what is around it, in a compound one, in a parallel all."""

    def inside(path: str | None) -> bool:
        children = [node for node in chart.children(path) if not node.kind.startswith("history")]
        active = [node for node in children if node.path in states]
        expected = len(children) if path is not None and chart.nodes[path].kind == "parallel" else 1
        return not children or (len(active) == expected and all(inside(node.path) for node in active))

    return inside(None) and all(chart.nodes[path].parent in (None, *states) for path in states)


@by_name
def test_our_tables_equal_a_live_machine(workflow: type[Workflow[Any]]) -> None:
    """At every step of 100 random walks, our own charts' tables say what a live machine does."""
    truth = live(workflow.machine.chart)
    for seed in range(100):
        walk(truth, workflow.machine.table, Random(seed))


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.booleans())
def test_generated_tables_equal_a_live_machine(seed: int, nested: bool) -> None:
    """The same for charts that nobody thought of; and no configuration of theirs is half a one."""
    generated_walk(seed, nested, largest=50)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_many_generated_tables_equal_a_live_machine(seed: int) -> None:
    """The campaign: more charts, and larger ones."""
    generated_walk(seed, nested=True, largest=120)


def generated_walk(seed: int, nested: bool, largest: int) -> None:
    random = Random(seed)
    try:
        chart = generated.chart(random, nested=nested)
        with patch.object(table, "MAX_CONFIGURATIONS", largest):
            compiled = compile_table(chart)
    except DefinitionError:
        reject()
    assert all(legal(chart, config.states) for config in compiled.configs)
    truth = live(chart)
    for _ in range(4):
        walk(truth, compiled, random)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_flat_chart_read_from_its_text_equals_the_oracle(seed: int) -> None:
    """The short cut for flat charts gives the very rows, letters and start that the oracle gives."""
    try:
        chart = generated.chart(Random(seed), nested=False)
    except DefinitionError:
        reject()
    assert _compile_flat(chart) == nested_compiled(chart)


@pytest.mark.parametrize("workflow", [SupportTicket, *FLAT], ids=lambda workflow: workflow.__name__)
def test_our_flat_charts_equal_the_oracle(workflow: type[Workflow[Any]]) -> None:
    """Our own flat charts too, down to the text of each question."""
    chart = workflow.machine.chart
    assert _compile_flat(chart).lines() == nested_compiled(chart).lines()


def nested_compiled(chart: Chart) -> Table:
    return _compile_nested(chart, Oracle(chart, alphabet(chart)))


# -- the tests above, tested: each planted bug must be found by them


def forget_history(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Oracle._read
    monkeypatch.setattr(Oracle, "_read", lambda self: attrs.evolve(read(self), config=Config(read(self).config.states)))


def forget_what_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Oracle._read
    monkeypatch.setattr(Oracle, "_read", lambda self: attrs.evolve(read(self), left=read(self).left[:1]))


def swap_yes_and_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "Ask", lambda question, yes, no: Ask(question, no, yes))


def outer_answers_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "_connect", reversed_connect(oracle._connect))


def reversed_connect(connect: Callable[..., None]) -> Callable[..., None]:
    """The machine of the table gets its transitions in the wrong order; the live one was built before."""
    waiting: list[Any] = []

    def later(made: Any, arrow: Any, letters: Any) -> None:
        waiting.append((made, arrow, letters))
        if len(waiting) == len(Regions.machine.chart.arrows):
            for args in reversed(waiting):
                connect(*args)

    return later


@pytest.mark.parametrize(
    "plant",
    [forget_history, forget_what_was_left, swap_yes_and_no, outer_answers_first],
    ids=lambda plant: plant.__name__,
)
def test_a_bug_in_the_nested_compiler_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk that cannot fail proves nothing: with a planted bug in the oracle it does."""
    chart = Regions.machine.chart
    truth = live(chart)
    plant(monkeypatch)
    with pytest.raises((AssertionError, KeyError)):
        wrong = nested_compiled(chart)
        for seed in range(500):
            walk(truth, wrong, Random(seed))


def bounds_before_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = table.questions
    monkeypatch.setattr(table, "questions", lambda arrow: asked(arrow)[::-1])


def last_declared_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = table.alphabet
    monkeypatch.setattr(
        table, "alphabet", lambda chart: {letter: arrows[::-1] for letter, arrows in letters(chart).items()}
    )


def any_state_not_last(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = table.alphabet

    def text_order(chart: Chart) -> dict[Letter, Any]:
        order = list(vars(Late))
        return {
            letter: tuple(sorted(arrows, key=lambda a: order.index(a.name)))
            for letter, arrows in letters(chart).items()
        }

    monkeypatch.setattr(table, "alphabet", text_order)


def failures_without_ancestors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "answers", lambda pattern, payload: pattern is payload)


PLANTED_IN_THE_FLAT = [
    (bounds_before_conditions, BothAsked),
    (last_declared_wins, SupportTicket),
    (any_state_not_last, Late),
    (failures_without_ancestors, Ancestry),
]


@pytest.mark.parametrize(("plant", "workflow"), PLANTED_IN_THE_FLAT, ids=lambda value: value.__name__)
def test_a_bug_in_the_flat_compiler_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], workflow: type[Workflow[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison with the oracle, and the walk, both find a planted bug in the short cut for flat charts."""
    chart = workflow.machine.chart
    right, truth = nested_compiled(chart), live(chart)
    plant(monkeypatch)
    wrong = _compile_flat(chart)
    assert wrong.lines() != right.lines()
    if plant is not bounds_before_conditions:  # which asks in another order and comes to the same end
        with pytest.raises((AssertionError, KeyError)):
            for seed in range(100):
                walk(truth, wrong, Random(seed))


# -- what a table says


def test_the_table_of_support_ticket(snapshot: SnapshotAssertion) -> None:
    """A change of any row is seen in review."""
    assert json.dumps(SupportTicket.machine.table.lines(), indent=2) == snapshot


def test_a_failure_is_looked_up_under_the_nearest_ancestor_that_is_named() -> None:
    """Throttled is named for `a` and `c`; in `b`, where it is not, it is answered as the Overloaded that it is."""
    found = Ancestry.machine.table.letter
    assert str(found("a", Failed, Throttled)) == "Failed[Throttled] of a"
    assert str(found("b", Failed, Throttled)) == "Failed[Overloaded] of b"
    assert str(found("a", Failed, TimedOut)) == "Failed[Transient] of a"
    assert str(found("b", Failed, TimedOut)) == "Failed[Failure] of b"


def test_only_a_transition_that_names_it_answers_outcome_unknown() -> None:
    """Bare Failed does not, and neither does one that is declared before."""
    assert SupportTicket.machine.table.letter("sending", Failed, OutcomeUnknown) is None
    lines = settled().machine.table.lines()
    assert lines["sending | Failed[OutcomeUnknown] of sending"] == "asked -> unsure"
    assert lines["sending | Failed[Failure] of sending"] == "gave_up -> lost"


def settled() -> type[Workflow[Ticket]]:
    class Settling(Workflow[Ticket], version="1"):
        sending = State(once_only, initial=True)
        sent = State(final=True)
        unsure = State(final=True, outcome="partial")
        lost = State(final=True, outcome="failed")
        gave_up = sending.to(lost, on=Failed)
        asked = sending.to(unsure, on=Failed[OutcomeUnknown])
        done = sending.to(sent, on=Completed[Facts])

    return Settling


def test_the_inner_any_state_wins_over_the_outer() -> None:
    """`any_state` is any other state of the body it is written in, and inner transitions are asked first."""
    lines = Scopes.machine.table.lines()
    assert lines["body body/one | Failed[Transient] of body/one"] == "body/calm -> body body/rest"
    assert lines["body body/one | Failed[Failure] of body/one"] == "gave_up -> lost"
    assert lines["body body/two | Completed[Draft] of body/two"] == "body/wrote + finished -> done"
    assert {arrow.source for arrow in Scopes.machine.chart.arrows if arrow.name == "body/calm"} == {
        "body/one",
        "body/two",
    }


def test_any_state_comes_last_wherever_it_is_written() -> None:
    """A transition that names its source is asked before."""
    assert Late.machine.table.lines()["a | Failed[Transient] of a"] == "flaky -> cool"


def test_a_failure_that_leaves_a_parallel_leaves_both_regions() -> None:
    """The sibling's state is among those left, which is what cancels its call."""
    config = next(config for config in Regions.machine.table.configs if "both/left/reading" in config.states)
    row = Regions.machine.table.rows[config, Letter("both/left/reading", "Failed", "Failure")]
    assert row is not None and not isinstance(row, Ask)
    assert {"both/left/reading", "both/right/writing"} < set(row.left)


def test_deep_history_returns_into_the_regions_and_shallow_history_begins_them_anew() -> None:
    """`where` remembers the leaves, `was` only which compound it was."""
    lines = [str(line) for line in Regions.machine.table.lines().values()]
    assert any("back -> both both/left both/left/read both/right both/right/polishing" in line for line in lines)
    held = "held work/was=work/writing | Signal[Resumed]"
    assert Shallow.machine.table.lines()[held] == "resume -> work work/writing work/writing/rough work/was=work/writing"


def test_two_lambdas_are_two_questions() -> None:
    """Both are called <lambda>; each is named after its transition and asked by itself."""

    class Lambdas(Workflow[Ticket], version="1"):
        a = State(once_only, initial=True)
        b, c = State(final=True), State(final=True)
        one = a.to(b, on=Completed[Facts], cond=lambda facts: len(facts.known) == 1)
        two = a.to(c, on=Completed[Facts], cond=lambda facts: len(facts.known) == 2)
        rest = a.to(b, on=Completed[Facts])
        gave_up = a.to(b, on=Failed)

    assert Lambdas.machine.table.lines()["a | Completed[Facts] of a"] == {
        "condition of one?": {"yes": "one -> b", "no": {"condition of two?": {"yes": "two -> c", "no": "rest -> b"}}}
    }


# -- the fingerprint


def variant(**changed: Any) -> Any:
    """The fingerprint of a small workflow in which one thing may be different."""
    fields = {name: attrs.field(type=of) for name, of in changed.pop("fields", {"x": int}).items()}
    effect = changed.pop("effect", "pure")
    doc, says, version = changed.pop("doc", "One."), changed.pop("says", ""), changed.pop("specialist", "1")
    body, bound, cond = changed.pop("fn", lambda request: None), changed.pop("at_most", 2), changed.pop("cond", sure_of)
    Given: Any = attrs.make_class("Given", fields, frozen=True)
    body.__annotations__ = {"request": Ticket, "return": Given}
    work = specialist("work", version, effect=effect)(body)

    def declare(namespace: dict[str, Any]) -> None:
        a, b = State(work, initial=True, says=says, **changed), State(final=True)
        namespace |= {"__doc__": doc, "a": a, "b": b}
        namespace["again"] = a.to(a, on=Completed[Given], cond=cond, at_most=bound, says=says)
        namespace |= {"done": a.to(b, on=Completed[Given]), "gave_up": any_state.to(b, on=Failed)}

    made: Any = types.new_class("Variant", (Workflow[Ticket],), {"version": "1"}, declare)
    return made.machine.fingerprint


def sure_of(given: Any) -> bool:
    return True


def doubtful(given: Any) -> bool:
    return False


CHANGES = {
    "bound": {"at_most": 3},
    "timeout": {"timeout": 5.0},
    "attempts": {"attempts": 2},
    "contract field": {"fields": {"x": int, "y": int}},
    "contract field's type": {"fields": {"x": str}},
    "effect": {"effect": "idempotent"},
    "condition": {"cond": doubtful},
}
"""Everything that a run is pinned to."""

SAME = {
    "docstring": {"doc": "Another."},
    "says": {"says": "working on it"},
    "function body": {"fn": lambda request: 1 / 0},
    "specialist version": {"specialist": "2"},
}
"""What may change under a run: it is recorded per call, or it is prose."""


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_the_fingerprint_changes_with_what_a_run_is_pinned_to(changed: dict[str, Any]) -> None:
    """A bound, policy, contract, effect or condition that differs is another machine."""
    assert variant(**changed) != variant()


@pytest.mark.parametrize("changed", SAME.values(), ids=SAME)
def test_the_fingerprint_does_not_change_with_prose_bodies_or_versions(changed: dict[str, Any]) -> None:
    """A run goes on after a mended sentence or a new version of a specialist."""
    assert variant(**changed) == variant()


PRINT = """
import json
from tests.charts import NESTED, FLAT
from tests.support import SupportTicket
print(json.dumps([[w.machine.table.lines(), w.machine.fingerprint] for w in (SupportTicket, *NESTED, *FLAT)]))
"""


def test_table_and_fingerprint_are_the_same_in_every_process() -> None:
    """No hash seed shows in them: what one process started, another resumes under the same fingerprint."""
    root = Path(__file__).parents[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT], cwd=root, stdout=subprocess.PIPE, env=os.environ | {"PYTHONHASHSEED": seed}
        )
        for seed in "012"
    ]
    printed = {process.communicate(timeout=60)[0] for process in processes}
    assert all(process.returncode == 0 for process in processes)
    assert len(printed) == 1
    assert json.loads(printed.pop()) == [[w.machine.table.lines(), w.machine.fingerprint] for w in OURS]


# -- what no table can be made of


def test_a_nested_chart_of_more_than_300_configurations_is_refused() -> None:
    """Three regions of seven states would be 343 rows times letters, which nobody reads."""
    with pytest.raises(DefinitionError, match="more than 300 configurations"):

        class Wide(Workflow[Ticket], version="1"):
            class all(Parallel, initial=True):
                one, two, three = region(7, Ticket), region(7, Facts), region(7, Draft)

            over = State(final=True)
            stop = all.to(over, on=Signal[Review])


def region(states: int, signal: type) -> type[Compound]:
    def body(namespace: dict[str, Any]) -> None:
        made = [State(initial=n == 0) for n in range(states)]
        namespace |= {f"s{n}": state for n, state in enumerate(made)}
        namespace |= {f"t{n}": state.to(made[(n + 1) % states], on=Signal[signal]) for n, state in enumerate(made)}  # type: ignore[valid-type]

    return types.new_class("region", (Compound,), {}, body)


def test_a_flat_chart_of_more_than_300_states_is_refused() -> None:
    """The limit is the same for a chart that needs no oracle."""

    def body(namespace: dict[str, Any]) -> None:
        made = [State(initial=n == 0, final=n == 300) for n in range(301)]
        namespace |= {f"s{n}": state for n, state in enumerate(made)}
        namespace |= {f"t{n}": state.to(made[n + 1], on=Signal[Ticket]) for n, state in enumerate(made[:-1])}

    with pytest.raises(DefinitionError, match="more than 300 configurations"):
        types.new_class("Long", (Workflow[Ticket],), {"version": "1"}, body)
