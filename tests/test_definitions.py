"""What cannot be right fails while it is being defined, with fault, expected, found and remedy."""

import ast
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

import statecore
from statecore import Failure
from statecore.errors import DefinitionError
from tests import wrong, wrong_plans
from tests.charts import FLAT, NESTED
from tests.support import SupportTicket

Definition = Callable[[], object]
WRONG, RIGHT = wrong.WRONG + wrong_plans.WRONG, wrong.RIGHT + wrong_plans.RIGHT
PURE = Path(statecore.__file__).parent
CHECKED = (
    "admitted", "chartcheck", "check", "child", "contract", "declare", "handover", "migration", "oracle", "person", "plan",
    "plancheck", "planhandover", "scan", "specialist", "table", "versions", "workflow",
)  # fmt: skip


def refusal(define: Definition) -> DefinitionError:
    with pytest.raises(DefinitionError) as refused:
        define()
    return refused.value


@pytest.mark.parametrize("define", WRONG, ids=lambda define: define.__name__)
def test_a_wrong_definition_is_refused(define: Definition, snapshot: SnapshotAssertion) -> None:
    """Each is refused at the class statement, in words that a person can act on."""
    assert f"{define.__doc__}\n\n{refusal(define)}\n" == snapshot


@pytest.mark.parametrize("define", RIGHT, ids=lambda define: define.__name__)
def test_a_right_definition_is_accepted(define: Definition) -> None:
    """What looks like one of the wrong ones and is not."""
    define()


def test_our_own_charts_are_accepted() -> None:
    """The charts that the other tests walk pass every check."""
    assert all(workflow.machine.fingerprint for workflow in (SupportTicket, *NESTED, *FLAT))


def sites(name: str) -> Iterator[tuple[int, int]]:
    """Where a file refuses a definition: first and last line of each `wrong(...)` and `raise DefinitionError(...)`."""
    for node in ast.walk(ast.parse((PURE / f"{name}.py").read_text())):
        call = node.exc if isinstance(node, ast.Raise) else node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call):
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if called in ("wrong", "DefinitionError"):
                yield call.lineno, call.end_lineno or call.lineno


def lines(error: BaseException) -> Iterator[tuple[str, int]]:
    trace: types.TracebackType | None = error.__traceback__
    while trace is not None:
        yield Path(trace.tb_frame.f_code.co_filename).stem, trace.tb_lineno
        trace = trace.tb_next


def test_every_refusal_in_the_source_is_shown_here() -> None:
    """No check without a wrong definition that it refuses: a new one needs a new example."""
    hit = {line for define in WRONG for line in lines(refusal(define))}
    missed = [
        f"{name}.py:{first}"
        for name in CHECKED
        for first, last in sites(name)
        if not any((name, line) in hit for line in range(first, last + 1))
    ]
    assert not missed


def test_every_message_names_what_it_is_about() -> None:
    """A message begins with the class, specialist or contract at fault, and its first line is one that people read."""
    for define in WRONG:
        said = str(refusal(define))
        assert ":" in said, define
        assert len(said.splitlines()[0]) < 330, define


def test_a_failure_has_one_failure_parent() -> None:
    """Otherwise "the nearest named ancestor" would be two."""
    parents = (types.new_class("Left", (Failure,)), types.new_class("Right", (Failure,)))
    with pytest.raises(TypeError, match="one failure parent, found Left and Right"):
        types.new_class("Both", parents)


def test_a_workflow_is_not_made_instances_of() -> None:
    """The class is the declaration; runs are started by an engine."""
    with pytest.raises(TypeError, match=r"start a run with `Engine\.start`"):
        SupportTicket()


def test_a_refused_class_leaves_nothing_behind() -> None:
    """After a refusal the same states' workflow can be declared rightly."""
    for define in WRONG[:5]:
        refusal(define)
    RIGHT[0]()
