"""ChangeReview: what a team would put before a merge, with no key and no network."""

from specialists.change import (
    Change,
    ChangeRequest,
    Evidence,
    LintReport,
    Published,
    Report,
    Review,
    RiskReport,
    assemble_review,
    judge_risk,
    lint_change,
    publish_report,
    read_change,
)
from statecore import Completed, Failed, State, Workflow, any_state


def evidence(change: Change, lint: LintReport, risk: RiskReport) -> Evidence:
    return Evidence(change, lint, risk)


def report(change: Change, review: Review) -> Report:
    return Report(change, review)


def critical(published: Published) -> bool:
    return published.worst == "CRITICAL"


class ChangeReview(Workflow[ChangeRequest], version="1"):
    """Review one commit: read it, lint it, judge its risk, and publish what was found."""

    reading = State(read_change, initial=True, attempts=3, says="reading the change from git")
    linting = State(lint_change, attempts=3, says="linting the changed Python files")
    judging = State(judge_risk, attempts=3, says="judging how risky it is")
    assembling = State(assemble_review, give=evidence, says="putting the findings together")
    publishing = State(publish_report, give=report, attempts=3, says="writing the report")
    reviewed = State(final=True, says="the report is written")
    rejected = State(final=True, outcome="failed", says="the report is written; the change must not be merged")
    failed = State(final=True, outcome="failed", says="there is no review")

    change_read = reading.to(linting, on=Completed[Change], says="the change was read")
    linted = linting.to(judging, on=Completed[LintReport], says="the linter is done")
    judged = judging.to(assembling, on=Completed[RiskReport], says="the risk is known")
    assembled = assembling.to(publishing, on=Completed[Review], says="the review is complete")
    refused = publishing.to(rejected, on=Completed[Published], cond=critical, says="something critical was found")
    accepted = publishing.to(reviewed, on=Completed[Published], says="nothing critical was found")
    gave_up = any_state.to(failed, on=Failed, says="a specialist could not do its work")
