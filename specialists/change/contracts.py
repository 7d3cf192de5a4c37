"""What the specialists of a change hand to each other. Everything is bounded: a payload says what there is, git keeps
the text.

All text that stems from the repository went through `secret.shown`: printable, bounded, and without anything that looks
like a secret.
"""

from typing import Literal, get_args

import attrs

Severity = Literal["INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Mildest first."""

Verdict = Literal["approve", "discuss", "reject"]
"""`reject`: something CRITICAL. `discuss`: something MEDIUM or HIGH. `approve`: nothing that is worse than LOW."""


@attrs.frozen
class ChangeRequest:
    """`repository`: a directory in a git repository. `revision`: what `git rev-parse` takes for one commit."""

    repository: str
    revision: str


@attrs.frozen
class FileChange:
    """One path that differs between base and commit.

    `old_path`: where it was, for a renamed file. `mode`: "100644 -> 100755" where the mode changed. `added`,
    `removed`: lines, 0 for binary files. `blob`, `old_blob`: object ids after and before, "" where there is none.
    `spans`: (first line, number of lines) after the change, together covering every touched line; neighbours are
    joined to keep the list short. A span of removed lines is the one line before them. Python files only."""

    path: str
    status: Literal["added", "modified", "deleted", "renamed"]
    kind: Literal["text", "binary", "submodule", "symlink"]
    added: int
    removed: int
    blob: str
    old_blob: str
    old_path: str | None = None
    mode: str = ""
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def is_python(self) -> bool:
        """Whether there is Python text to look at after the change."""
        return bool(self.blob) and self.kind == "text" and self.path.endswith((".py", ".pyi"))


@attrs.frozen
class Change:
    """One commit against its first parent.

    `repository`: the absolute path. `commit`, `parent`: full object ids; `base`: what was compared with, which is the
    parent or the empty tree. `date`: of the author, ISO 8601. `files`: at most `read.MAX_FILES`, of `files_total`.
    `added` and `removed` count all of them."""

    repository: str
    commit: str
    parent: str | None
    base: str
    author: str
    date: str
    subject: str
    files: tuple[FileChange, ...]
    files_total: int
    added: int
    removed: int
    notes: tuple[str, ...] = ()


@attrs.frozen
class Finding:
    """`kind`: a ruff code or one of our words. `path` is "" and `line` 0 where it concerns the change as a whole."""

    severity: Severity
    kind: str
    path: str
    line: int
    text: str


@attrs.frozen
class LintReport:
    """`tool`: with its version. `files`: looked at. `findings`: those that the change brought. `older`: how many it
    found there. `left_out`: findings beyond the bound."""

    tool: str
    files: int
    findings: tuple[Finding, ...]
    older: int = 0
    left_out: int = 0
    notes: tuple[str, ...] = ()


@attrs.frozen
class SecretReport:
    """`secrets`: how many added lines look like one. `left_out`: findings beyond the bound."""

    findings: tuple[Finding, ...]
    secrets: int
    left_out: int = 0


@attrs.frozen
class BranchReport:
    """`functions`: touched ones that were measured."""

    findings: tuple[Finding, ...]
    functions: int
    left_out: int = 0
    notes: tuple[str, ...] = ()


@attrs.frozen
class RiskReport:
    """Of a change as a whole. `commits`: how far back churn was counted. `left_out`: findings beyond the bound."""

    findings: tuple[Finding, ...]
    commits: int
    tests_touched: bool
    left_out: int = 0


@attrs.frozen
class Review:
    """`findings`: worst first. `counts`: of all findings by severity, those `left_out` of the list included. `worst`
    is INFO where there are none. `looked_at`: a line for each thing that was looked at; `notes`: what the reader must
    know beside it; `missing`: checks that came to nothing, each with the reason."""

    verdict: Verdict
    worst: Severity
    summary: str
    findings: tuple[Finding, ...]
    counts: dict[str, int]
    left_out: int
    looked_at: tuple[str, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...] = ()


@attrs.frozen
class Report:
    """What the published page shows."""

    change: Change
    review: Review


@attrs.frozen
class Published:
    """`path`: of the Markdown file, absolute. `sha256`: of its bytes. `missing`: how many checks came to nothing."""

    path: str
    sha256: str
    worst: Severity
    verdict: Verdict
    missing: int = 0
