"""ChangeReview, tested as a user would test a workflow: its table, its paths, its decisions, its trace, and a kill."""

from pathlib import Path as FilePath
from typing import Any

import attrs
import msgspec
import pytest
from syrupy.assertion import SnapshotAssertion

from specialists.change import (
    BranchReport,
    Change,
    ChangeRequest,
    FileChange,
    LintReport,
    Published,
    Review,
    RiskReport,
    SecretReport,
    judge_risk,
    lint_change,
    measure_branches,
    search_secrets,
)
from specialists.change.failures import NoSuchRevision
from statecore import Failed, Unavailable
from statecore.demo import ChangeReview
from statecore.demo.review import checks
from statecore.demo.sample import make_sample
from statecore.record import records
from statecore.testing import After, Garbage, Path, given, paths, play, survives
from statecore.testing.coverage import Coverage

REQUEST = ChangeRequest("/srv/shop", "HEAD")
FILES = tuple(FileChange(name, "modified", "text", 1, 0, "b10b", "") for name in ("basket.py", "README.md", "shop.py"))
WHEN = "2026-01-01T00:00:00+00:00"
CHANGE = Change("/srv/shop", "c0ffee", None, "4b825dc", "Ada", WHEN, "Take coupons", FILES, 3, 3, 0)
LINT = LintReport("ruff 0.17", 2, ())
RISK = RiskReport((), 4, True)
SECRETS = SecretReport((), 0)
BRANCHES = BranchReport((), 1)
REVIEW = Review("approve", "INFO", "Nothing was found.", (), {}, 0, (), ())
FINE = Published("/srv/report.md", "0" * 64, "INFO", "approve")
CRITICAL = Published("/srv/report.md", "0" * 64, "CRITICAL", "reject")
PARTLY = Published("/srv/report.md", "0" * 64, "INFO", "approve", missing=1)
CHECKS = {search_secrets: SECRETS, judge_risk: RISK, lint_change: LINT, measure_branches: BRANCHES}
SCRIPT: dict[Any, Any] = {"reading": CHANGE, **CHECKS, "publishing": FINE}
VALUES = [FINE, CRITICAL, PARTLY]
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
    assert path.play(REQUEST, values=VALUES).run.outcome == path.outcome != ""


def test_no_transition_is_left_out() -> None:
    """The paths take every transition that is declared."""
    coverage = Coverage()
    with coverage.watching():
        for path in PATHS:
            path.play(REQUEST, values=VALUES)
    assert list(coverage.lines()) == ["ChangeReview 2  6 of 6 transitions", "transition coverage 100 %"]


def test_what_is_critical_is_rejected() -> None:
    """A published report with something critical in it ends the run as failed, any other as completed or in part."""
    for published, transition, outcome in (
        (CRITICAL, "refused", "failed"),
        (FINE, "accepted", "completed"),
        (PARTLY, "in_part", "partial"),
    ):
        played = play(ChangeReview, REQUEST, {**SCRIPT, "publishing": published})
        assert (played.moves[-1], played.run.outcome) == (transition, outcome)


def test_one_call_for_each_file_and_kind_of_check() -> None:
    """Python files are linted and measured one by one, in parallel; the change as a whole is searched and judged."""
    played = play(ChangeReview, REQUEST, SCRIPT)
    assert [each.part for each in records(played.turns)] == [
        "search_secrets", "judge_risk", "lint:basket.py", "branches:basket.py", "lint:shop.py", "branches:shop.py",
    ]  # fmt: skip


def test_a_checker_that_is_missing_makes_the_review_partial() -> None:
    """What could be looked at is, and the report and the run say what could not, and why."""
    script = {**SCRIPT, lint_change: Unavailable("ruff is not installed"), "publishing": PARTLY}
    played = play(ChangeReview, REQUEST, script)
    review = next(value for value in played.run.values if value.payload.contract == "Review")
    missing = msgspec.json.decode(review.payload.data)["missing"]
    assert missing == [f"lint:{name}: Unavailable: ruff is not installed" for name in ("basket.py", "shop.py")]
    assert played.run.outcome == "partial" and played.moves[-1] == "in_part"


def test_a_change_that_was_not_searched_for_secrets_is_not_reviewed() -> None:
    """That part is needed: without it there is no report that anybody could take for one."""
    played = play(ChangeReview, REQUEST, {**SCRIPT, search_secrets: Unavailable("no git"), "publishing": []})
    assert played.moves == ("change_read", "gave_up") and played.run.outcome == "failed"


def test_names_of_any_kind_are_told_apart() -> None:
    """Files that are shown alike, and names with a `#`, have calls of their own."""
    files = (attrs.evolve(FILES[0], path="C#/x.py"), FILES[0], FILES[0])
    names = [part.id for part in checks(attrs.evolve(CHANGE, files=files))]
    assert len(set(names)) == len(names) and not any("#" in name for name in names)


def test_no_such_revision_ends_it_at_once() -> None:
    """What another attempt does not mend is not tried again."""
    failed = given(ChangeReview, REQUEST).when(Failed(NoSuchRevision("/srv/shop", "HEAD", "no commit")))
    failed.moved("gave_up").calls().finished("failed")


def test_its_trace(trace_snapshot: SnapshotAssertion) -> None:
    """With a garbled answer and a slow one, every event of a run is as it was reviewed."""
    script = {**SCRIPT, "reading": [Garbage("?"), CHANGE], judge_risk: After(90.0, RISK)}
    assert play(ChangeReview, REQUEST, script) == trace_snapshot


def test_it_survives() -> None:
    """Killed at every turn, with outcomes twice, late and reordered, a scripted review ends the same."""
    survives(ChangeReview, REQUEST, {**SCRIPT, "checking#1/lint:basket.py": [Garbage("?"), LINT]})


def test_it_survives_for_real(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a real review of a real commit, by git and ruff, with a report that is written anew."""
    monkeypatch.chdir(tmp_path)
    assert survives(ChangeReview, make_sample(tmp_path / "shop")).kills == 13
