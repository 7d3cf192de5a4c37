"""Assembling a review: what the checks found in one order, counted, and a verdict."""

from collections import Counter
from collections.abc import Sequence

from specialists.change.contracts import (
    SEVERITIES,
    BranchReport,
    Change,
    Finding,
    LintReport,
    Review,
    RiskReport,
    SecretReport,
    Severity,
    Verdict,
)
from statecore.plan import Missing

MAX_FINDINGS = 100
"""Findings that a review lists."""


def assemble_review(
    change: Change,
    lint: list[LintReport],
    branches: list[BranchReport],
    secrets: list[SecretReport],
    risk: list[RiskReport],
    missing: list[Missing],
) -> Review:
    """The worst findings first, then by path and line. Counts include what the checks left out of their lists."""
    reports: list[LintReport | BranchReport | SecretReport | RiskReport] = [*lint, *branches, *secrets, *risk]
    findings = sorted((finding for report in reports for finding in report.findings), key=_rank)
    worst = findings[0].severity if findings else "INFO"
    counts: Counter[Severity] = Counter(finding.severity for finding in findings)
    left_out = sum(report.left_out for report in reports) + max(0, len(findings) - MAX_FINDINGS)
    noted: list[LintReport | BranchReport] = [*lint, *branches]
    notes = [note for report in noted for note in report.notes]
    return Review(
        verdict=_verdict(worst),
        worst=worst,
        summary=_summary(change, counts, left_out),
        findings=tuple(findings[:MAX_FINDINGS]),
        counts={severity: counts[severity] for severity in reversed(SEVERITIES) if counts[severity]},
        left_out=left_out,
        looked_at=tuple(_looked_at(change, lint, branches, secrets, risk)),
        notes=tuple(dict.fromkeys((*change.notes, *notes))),
        missing=tuple(f"{each.part}: {each.why}" for each in missing),
    )


def _rank(finding: Finding) -> tuple[int, str, int, str]:
    return -SEVERITIES.index(finding.severity), finding.path, finding.line, finding.kind


def _verdict(worst: Severity) -> Verdict:
    if worst == "CRITICAL":
        return "reject"
    return "discuss" if worst in ("HIGH", "MEDIUM") else "approve"


def _summary(change: Change, counts: Counter[Severity], left_out: int) -> str:
    parts = [f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if counts[severity]]
    found = ", ".join(parts) if parts else "nothing found"
    more = f", and {left_out} that are not listed" if left_out else ""
    return f"{_number(change.files_total, 'file')}, +{change.added:,} -{change.removed:,} lines: {found}{more}"


def _looked_at(
    change: Change,
    lint: list[LintReport],
    branches: list[BranchReport],
    secrets: list[SecretReport],
    risk: list[RiskReport],
) -> Sequence[str]:
    since = change.parent[:12] if change.parent else "the empty tree"
    older = sum(report.older for report in lint)
    aside = f"; {_number(older, 'older finding')} left aside" if older else ""
    files, functions = sum(report.files for report in lint), sum(report.functions for report in branches)
    hits = sum(report.secrets for report in secrets)
    return (
        f"git: {change.commit[:12]} against {since}, {_number(change.files_total, 'file')}",
        f"{lint[0].tool if lint else 'ruff'}: {_number(files, 'changed Python file')} as of this commit{aside}",
        f"branches: {_number(functions, 'touched function')}",
        *(f"churn: the last {_number(report.commits, 'commit')}" for report in risk),
        f"secrets: {_number(change.added, 'added line')}, {_number(hits, 'hit')}",
        *(f"tests: {'touched' if report.tests_touched else 'none touched'}" for report in risk),
    )


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
