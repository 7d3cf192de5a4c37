"""The Markdown page of a review. Its text depends on nothing but the Report: no clock, no place, no machine."""

from collections.abc import Iterator

from specialists.change.contracts import SEVERITIES, Change, FileChange, Finding, Report, Review, Verdict
from specialists.change.markdown import code, text

MAX_FILES = 30
"""Rows of the table of files."""

_SAYS: dict[Verdict, str] = {
    "approve": "**Approve.** Nothing stands against this change.",
    "discuss": "**Discuss.** Somebody should look at the findings before this is merged.",
    "reject": "**Reject.** This change must not be merged as it is.",
}


def markdown(report: Report) -> str:
    """The whole page, ending in a newline."""
    change, review = report.change, report.review
    parts = (
        _head(change, review),
        _findings(review),
        _files(change),
        _list("Looked at", review.looked_at),
        _list("Not looked at", review.missing),
        _list("Notes", review.notes),
    )
    return "\n".join(line for part in parts for line in part)


def _head(change: Change, review: Review) -> Iterator[str]:
    yield f"# Review of {code(change.commit[:7])}: {text(change.subject) or 'no subject'}"
    yield f"\n{_SAYS[review.verdict]}\n"
    yield f"{text(review.summary)}\n"
    yield f"- commit {code(change.commit)}"
    yield f"- by {text(change.author)}, {text(change.date)}"
    yield f"- repository {code(change.repository)}\n"


def _findings(review: Review) -> Iterator[str]:
    yield "## Findings\n"
    if not review.findings:
        yield "None.\n"
        return
    yield "| severity | where | what | kind |"
    yield "|---|---|---|---|"
    for severity in reversed(SEVERITIES):
        yield from (_finding(finding) for finding in review.findings if finding.severity == severity)
    yield f"\n{review.left_out} more are not listed.\n" if review.left_out else ""


def _finding(finding: Finding) -> str:
    return f"| {_bold(finding)} | {_where(finding)} | {text(finding.text)} | {text(finding.kind)} |"


def _bold(finding: Finding) -> str:
    return f"**{finding.severity}**" if finding.severity in ("CRITICAL", "HIGH") else finding.severity


def _where(finding: Finding) -> str:
    if not finding.path:
        return "the change"
    return code(f"{finding.path}:{finding.line}" if finding.line else finding.path)


def _files(change: Change) -> Iterator[str]:
    if not change.files:
        return
    yield "## Files\n"
    yield "| file | what | added | removed |"
    yield "|---|---|---:|---:|"
    yield from (
        f"| {code(file.path)} | {_what(file)} | {file.added:,} | {file.removed:,} |"
        for file in change.files[:MAX_FILES]
    )
    left_out = change.files_total - min(len(change.files), MAX_FILES)
    yield f"\n{left_out:,} more are not listed.\n" if left_out else ""


def _what(file: FileChange) -> str:
    said = [file.status if file.kind == "text" else f"{file.status} ({file.kind})"]
    if file.old_path is not None:
        said.append(f"from {code(file.old_path)}")
    if file.mode:
        said.append(f"mode {file.mode}")
    return ", ".join(said)


def _list(title: str, lines: tuple[str, ...]) -> Iterator[str]:
    if lines:
        yield f"## {title}\n"
        yield from (f"- {text(line)}" for line in lines)
        yield ""
