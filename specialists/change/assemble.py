"""Assembling a review: all findings in one order, counted, and a verdict."""

from collections import Counter
from collections.abc import Sequence

from specialists.change.contracts import (
    SEVERITIES,
    Change,
    Evidence,
    Finding,
    LintReport,
    Review,
    RiskReport,
    Severity,
    Verdict,
)
from statecore import specialist

MAX_FINDINGS = 100
"""Findings that a review lists."""


@specialist("assemble_review", version="1", effect="pure")
def assemble_review(evidence: Evidence) -> Review:
    """The worst findings first, then by path and line. Counts include what the specialists left out of their lists."""
    change, lint, risk = evidence.change, evidence.lint, evidence.risk
    findings = sorted([*lint.findings, *risk.findings], key=_rank)
    worst = findings[0].severity if findings else "INFO"
    counts: Counter[Severity] = Counter(finding.severity for finding in findings)
    left_out = lint.left_out + risk.left_out + max(0, len(findings) - MAX_FINDINGS)
    return Review(
        verdict=_verdict(worst),
        worst=worst,
        summary=_summary(change, counts, left_out),
        findings=tuple(findings[:MAX_FINDINGS]),
        counts={severity: counts[severity] for severity in reversed(SEVERITIES) if counts[severity]},
        left_out=left_out,
        looked_at=tuple(_looked_at(change, lint, risk)),
        notes=(*change.notes, *lint.notes, *risk.notes),
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


def _looked_at(change: Change, lint: LintReport, risk: RiskReport) -> Sequence[str]:
    since = change.parent[:12] if change.parent else "the empty tree"
    older = f"; {_number(lint.older, 'older finding')} left aside" if lint.older else ""
    return (
        f"git: {change.commit[:12]} against {since}, {_number(change.files_total, 'file')}",
        f"{lint.tool}: {_number(lint.files, 'changed Python file')} as of this commit{older}",
        f"branches: {_number(risk.functions, 'touched function')}",
        f"churn: the last {_number(risk.commits, 'commit')}",
        f"secrets: {_number(change.added, 'added line')}, {_number(risk.secrets, 'hit')}",
        f"tests: {'touched' if risk.tests_touched else 'none touched'}",
    )


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
