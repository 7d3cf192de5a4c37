"""ChangeReview: what a team would put before a merge, with no key and no network."""

import attrs

from specialists.change import (
    Change,
    ChangeRequest,
    FileChange,
    Published,
    Report,
    Review,
    assemble_review,
    judge_risk,
    lint_change,
    measure_branches,
    publish_report,
    read_change,
    search_secrets,
)
from specialists.change.read import MAX_FILES
from statecore import Completed, Failed, Part, Plan, State, Workflow, any_state


def checks(change: Change) -> list[Part]:
    """The change as a whole is searched for secrets and judged; each Python file is linted and measured for itself."""
    parts = [
        Part(search_secrets, request=change, expects=2.0, says="search all added lines for secrets"),
        Part(judge_risk, request=change, expects=2.0, says="judge size, churn and tests"),
    ]
    for number, file in enumerate(change.files):
        if file.is_python:
            alone = attrs.evolve(change, files=(file,), notes=())
            name = _name(change, number, file)
            parts += [
                Part(lint_change, id=f"lint:{name}", request=alone, says="lint the file as of this commit"),
                Part(measure_branches, id=f"branches:{name}", request=alone, says="measure its touched functions"),
            ]
    return parts


def _name(change: Change, number: int, file: FileChange) -> str:
    """The path, with its number where another is shown alike."""
    alike = sum(other.path == file.path for other in change.files) > 1
    path = file.path.replace("#", "\\x23")
    return f"{path}~{number}" if alike else path


def report(change: Change, review: Review) -> Report:
    return Report(change, review)


def critical(published: Published) -> bool:
    return published.worst == "CRITICAL"


def whole(published: Published) -> bool:
    return not published.missing


class ChangeReview(Workflow[ChangeRequest], version="2"):
    """Review one commit: read it, check every file of it, and publish what was found."""

    reading = State(read_change, initial=True, attempts=3, says="reading the change from git")
    checking = State(
        Plan(
            of=[
                Part(search_secrets, attempts=3, needed=True),
                Part(judge_risk, attempts=3),
                Part(lint_change, attempts=3),
                Part(measure_branches, attempts=3),
            ],
            make=checks,
            assemble=assemble_review,
            on_failure="partial",
            at_most=2 + 2 * MAX_FILES,
            width=2,
        ),
        says="checking the files, and the change as a whole",
    )
    publishing = State(publish_report, give=report, attempts=3, says="writing the report")
    reviewed = State(final=True, says="the report is written")
    partly = State(final=True, outcome="partial", says="the report is written; some checks came to nothing")
    rejected = State(final=True, outcome="failed", says="the report is written; the change must not be merged")
    failed = State(final=True, outcome="failed", says="there is no review")

    change_read = reading.to(checking, on=Completed[Change], says="the change was read")
    checked = checking.to(publishing, on=Completed[Review], says="the review is put together")
    refused = publishing.to(rejected, on=Completed[Published], cond=critical, says="something critical was found")
    accepted = publishing.to(reviewed, on=Completed[Published], cond=whole, says="nothing critical was found")
    in_part = publishing.to(partly, on=Completed[Published], says="nothing critical was found in what was looked at")
    gave_up = any_state.to(failed, on=Failed, says="a specialist could not do its work")
