"""ChangeReview, tested as a user would test a workflow: its table, its paths, its decisions, its trace, and a kill."""

from pathlib import Path as FilePath
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from specialists.change import Change, ChangeRequest, LintReport, Published, Review, RiskReport
from specialists.change.failures import NoSuchRevision
from statecore import Completed, Failed
from statecore.demo import ChangeReview
from statecore.demo.sample import make_sample
from statecore.testing import After, Garbage, Path, given, paths, play, survives
from statecore.testing.coverage import Coverage

REQUEST = ChangeRequest("/srv/shop", "HEAD")
CHANGE = Change("/srv/shop", "c0ffee", None, "4b825dc", "Ada", "2026-01-01T00:00:00+00:00", "Take coupons", (), 0, 0, 0)
LINT = LintReport("ruff 0.17", 2, ())
RISK = RiskReport((), 0, 4, 1, True)
REVIEW = Review("approve", "INFO", "Nothing was found.", (), {}, 0, (), ())
FINE = Published("/srv/report.md", "0" * 64, "INFO", "approve")
CRITICAL = Published("/srv/report.md", "0" * 64, "CRITICAL", "reject")
SCRIPT: dict[Any, Any] = {"reading": CHANGE, "linting": LINT, "judging": RISK, "assembling": REVIEW, "publishing": FINE}
PATHS = paths(ChangeReview)


def test_its_table(table_snapshot: SnapshotAssertion) -> None:
    """Every row of the table, and the policy of every state, is as it was reviewed."""
    assert ChangeReview == table_snapshot


def test_its_paths(paths_snapshot: SnapshotAssertion) -> None:
    """Every way from the request to an end, with its failures, is as it was reviewed."""
    assert paths_snapshot == PATHS


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_each_path_ends(path: Path) -> None:
    """The decider goes each path of the table to its end."""
    assert path.play(REQUEST, values=[FINE, CRITICAL]).run.outcome == path.outcome != ""


def test_no_transition_is_left_out() -> None:
    """The paths take every transition that is declared."""
    coverage = Coverage()
    with coverage.watching():
        for path in PATHS:
            path.play(REQUEST, values=[FINE, CRITICAL])
    assert list(coverage.lines()) == ["ChangeReview 1  7 of 7 transitions", "transition coverage 100 %"]


def test_what_is_critical_is_rejected() -> None:
    """A published report with something critical in it ends the run as failed, and any other as completed."""
    published = [REQUEST, *(Completed(SCRIPT[state]) for state in ("reading", "linting", "judging", "assembling"))]
    given(ChangeReview, *published).when(Completed(CRITICAL)).moved("refused").finished("failed")
    given(ChangeReview, *published).when(Completed(FINE)).moved("accepted").finished("completed")


def test_no_such_revision_ends_it_at_once() -> None:
    """What another attempt does not mend is not tried again."""
    failed = given(ChangeReview, REQUEST).when(Failed(NoSuchRevision("/srv/shop", "HEAD", "no commit")))
    failed.moved("gave_up").calls().finished("failed")


def test_its_trace(trace_snapshot: SnapshotAssertion) -> None:
    """With a garbled answer and a slow one, every event of a run is as it was reviewed."""
    script = {**SCRIPT, "reading": [Garbage("?"), CHANGE], "judging": After(90.0, RISK)}
    assert play(ChangeReview, REQUEST, script) == trace_snapshot


def test_it_survives() -> None:
    """Killed at every turn, with outcomes twice, late and reordered, a scripted review ends the same."""
    survives(ChangeReview, REQUEST, {**SCRIPT, "linting": [Garbage("?"), LINT]})


def test_it_survives_for_real(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a real review of a real commit, by git and ruff, with a report that is written anew."""
    monkeypatch.chdir(tmp_path)
    assert survives(ChangeReview, make_sample(tmp_path / "shop")).kills == 11
