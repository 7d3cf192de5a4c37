"""The pytest plugin as its users meet it: snapshots that review as a difference, and transitions that no test took."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from statecore import Completed
from statecore.testing import Played, given, play
from statecore.testing.coverage import Coverage
from tests.crew import Crew, Job, Piece, line
from tests.support import SupportTicket, Ticket, Triage

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent
SAMPLE = """
from tests.support import *
from statecore.testing import *

TICKET, SURE = Ticket("late", "invoice"), Triage("bug", 0.9)
"""
TABLE = SAMPLE + "def test_table(table_snapshot):\n    assert SupportTicket == table_snapshot\n"
UNSURE = SAMPLE + (
    "def test_unsure():\n"
    "    given(SupportTicket, TICKET).when(Completed(Triage('bug', 0.4))).moved('unsure')\n"
    "def test_sure():\n"
    "    given(SupportTicket, TICKET).when(Completed(SURE)).moved('triaged')\n"
)
NONE_OF = "SupportTicket 2  2 of 7 transitions, not taken: drafted, accepted, redo, delivered, gave_up"


@pytest.fixture
def at_home(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of its own that can import the charts of these tests."""
    monkeypatch.syspath_prepend(HERE.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]))
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def test_nothing_heavy_is_imported_by_the_plugin() -> None:
    """Whoever has statecore installed pays less than 5 ms for it in a test run that does not use it."""
    code = (
        "import pytest, sys, time; before = set(sys.modules); begun = time.perf_counter(); import _statecore_pytest;"
        "print(time.perf_counter() - begun, *set(sys.modules) - before)"
    )
    ran = [subprocess.check_output([sys.executable, "-c", code], text=True).split() for _ in range(3)]
    assert [modules for _, *modules in ran] == [["_statecore_pytest"]] * 3
    assert min(float(took) for took, *_ in ran) < 0.005


def test_a_changed_condition_shows_as_a_line(at_home: pytest.Pytester) -> None:
    """A table is written with --snapshot-update, accepted as it is, and a changed condition shows as the lines that it changed."""
    at_home.makepyfile(test_it=TABLE)
    at_home.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(failed=1)
    at_home.runpytest_inprocess("--snapshot-update").assert_outcomes(passed=1)
    at_home.runpytest_inprocess().assert_outcomes(passed=1)
    kept = at_home.path / "__snapshots__" / "test_it" / "test_table.fsm"
    assert "reviewing       Completed[Review]       accepted        -> sending" in kept.read_text()
    kept.write_text(kept.read_text().replace("if approved", "if praised"))
    failed = at_home.runpytest_inprocess()
    failed.assert_outcomes(failed=1)
    changed = [row for row in failed.outlines if row.startswith("E") and "accepted  " in row and "-> sending" in row]
    assert len(changed) == 2 and "if praised" in changed[0] and "if approved" in changed[1]


def test_traces_and_paths_are_kept_in_files_of_their_own(at_home: pytest.Pytester) -> None:
    """One test may keep a table, a trace and the paths, each as text, and compares them again."""
    at_home.makepyfile(
        test_it=SAMPLE + "def test_all(table_snapshot, trace_snapshot, paths_snapshot):\n"
        "    assert SupportTicket == table_snapshot\n"
        "    assert play(SupportTicket, TICKET, {'triaging': [After(3, Triage('bug', 0.4))]}) == trace_snapshot\n"
        "    assert SupportTicket == paths_snapshot\n"
    )
    at_home.runpytest_inprocess("--snapshot-update").assert_outcomes(passed=1)
    at_home.runpytest_inprocess().assert_outcomes(passed=1)
    kept = {path.suffix: path.read_text() for path in (at_home.path / "__snapshots__" / "test_it").iterdir()}
    assert set(kept) == {".fsm", ".trace", ".paths"}
    assert kept[".trace"].splitlines()[-2:] == [
        " " * 16 + "unsure -> escalated because confident = no",
        " " * 16 + "finished: failed",
    ]


def test_what_is_no_table_is_refused(at_home: pytest.Pytester) -> None:
    """Each snapshot says what it expects and what it was given."""
    at_home.makepyfile(test_it="def test_it(table_snapshot):\n    assert [1] == table_snapshot\n")
    failed = at_home.runpytest_inprocess("--snapshot-update")
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*table_snapshot expects a workflow class, found list*"])


def test_syrupy_is_asked_for_where_it_is_missing(at_home: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without syrupy everything but a snapshot works, and a snapshot says what to install."""
    at_home.makepyfile(test_it=TABLE + "def test_other():\n    given(SupportTicket, TICKET)\n")
    at_home.makeconftest("import sys\nsys.modules['syrupy'] = sys.modules['syrupy.extensions.single_file'] = None\n")
    ran = at_home.runpytest_subprocess("-p", "no:syrupy")
    ran.assert_outcomes(errors=1, passed=1)
    ran.stdout.fnmatch_lines(["*table_snapshot needs syrupy: pip install 'statecore?testing?'*"])


def test_transitions_that_no_test_took_are_named(at_home: pytest.Pytester) -> None:
    """At the end of a run stands for each workflow that was used what no test took, in the order of declaration."""
    at_home.makepyfile(test_it=UNSURE)
    ran = at_home.runpytest_inprocess("--statecore-coverage")
    ran.assert_outcomes(passed=2)
    ran.stdout.fnmatch_lines([NONE_OF, "transition coverage 29 %"])
    assert "transition coverage" not in at_home.runpytest_inprocess().stdout.str()


def test_too_few_transitions_fail_the_run(at_home: pytest.Pytester) -> None:
    """`--statecore-coverage-fail-under` fails a run whose tests pass, and only below that."""
    at_home.makepyfile(test_it=UNSURE)
    failed = at_home.runpytest_inprocess("--statecore-coverage-fail-under=30", "--statecore-coverage-of=SupportTicket")
    assert failed.ret == pytest.ExitCode.TESTS_FAILED
    failed.stdout.fnmatch_lines(["FAIL: at least 30 % was asked for*"])
    assert at_home.runpytest_inprocess("--statecore-coverage-fail-under=28").ret == pytest.ExitCode.OK


def test_workers_count_together(at_home: pytest.Pytester) -> None:
    """Under pytest-xdist, what each process took counts for all, and the run fails or passes as a whole."""
    at_home.makepyfile(test_it=UNSURE)
    ran = at_home.runpytest_subprocess("-n2", "--statecore-coverage-fail-under=29")
    ran.stdout.fnmatch_lines([NONE_OF, "*FAIL: at least 29 %*"])
    assert ran.ret == pytest.ExitCode.TESTS_FAILED


# -- what counts as taken


def watched(*works: object) -> Iterable[str]:
    """The lines that are reported after these calls."""
    coverage = Coverage()
    with coverage.watching():
        for work in works:
            work()  # type: ignore[operator]
    return list(coverage.lines())


def test_engines_and_deciders_count_alike() -> None:
    """A transition is taken by whoever asked the decider: an engine, given and when, or a path."""
    workflow = line(Crew())
    given_when = lambda: given(SupportTicket, Ticket("a", "b")).when(Completed(Triage("bug", 0.4)))  # noqa: E731

    def played() -> Played:
        return play(workflow, Job(), {"cutting": Piece(), "gluing": ZeroDivisionError()})

    assert watched(given_when, played) == [
        "Line 1           2 of 5 transitions, not taken: cut_again, glued, paid",
        "SupportTicket 2  1 of 7 transitions, not taken: triaged, drafted, accepted, redo, delivered, gave_up",
        "transition coverage 25 %",
    ]
    assert watched() == ["no workflow was used"]
    assert list(Coverage().lines()) == ["no workflow was used"]
