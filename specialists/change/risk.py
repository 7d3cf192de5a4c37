"""Judging risk: size, churn, branches, tests, and added lines that look like a secret.

The numbers are limits at which a person should look, not truths. Size: reviewers find fewer faults beyond 200 to 400
lines (Cohen et al., "Best Kept Secrets of Peer Code Review", 2006). Branches: 10 is McCabe's limit (1976), 20 and 50
the steps of the SEI. Churn: ours.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from specialists.change import branches
from specialists.change.contracts import (
    SEVERITIES,
    BranchReport,
    Change,
    FileChange,
    Finding,
    RiskReport,
    SecretReport,
    Severity,
)
from specialists.change.diff import PATCH_LIMIT, Patch, added_lines, listing, patch
from specialists.change.failures import GitFailed, NoSuchRepository
from specialists.change.git import Repository, open_repository
from specialists.change.program import run
from specialists.change.secret import secrets_in, shown
from statecore import TimedOut, Unavailable, specialist

Steps = tuple[tuple[int, Severity], ...]

SIZE: Steps = ((10_000, "HIGH"), (2_000, "MEDIUM"), (400, "LOW"))
"""Lines added and removed."""

BRANCHES: Steps = ((50, "HIGH"), (20, "MEDIUM"), (10, "LOW"))
"""Ways through a touched function."""

CHURN: Steps = ((50, "MEDIUM"), (20, "LOW"))
"""Commits, of the last COMMITS, that touched the file."""

COMMITS = 200
UNTESTED_LINES = 100
"""Added lines of source without a touched test, from which on that is MEDIUM."""

MAX_FINDINGS = 100
"""Findings that a report lists, the worst of them."""

MEASURE_TIMEOUT = 20.0
"""Seconds for the syntax trees of a whole change."""

_TEST = re.compile(
    r"(^|/)(tests?|testing|__tests__|spec)/|(^|/)(test_[^/]*|[^/]*_test|conftest|[^/]*\.(test|spec))\.[a-z]+$",
    re.IGNORECASE,
)
_SOURCE = (
    ".py",
    ".pyi",
    ".js",
    ".ts",
    ".tsx",
    ".jsx",
    ".go",
    ".rs",
    ".java",
    ".kt",
    ".c",
    ".cc",
    ".cpp",
    ".h",
    ".rb",
    ".php",
    ".cs",
    ".swift",
    ".sh",
    ".sql",
)


FAILS = (NoSuchRepository, GitFailed, TimedOut, Unavailable)


@specialist("search_secrets", version="1", effect="pure", fails=FAILS)
def search_secrets(change: Change) -> SecretReport:
    """Every added line of every file, those beyond the list of the change too. A secret is CRITICAL, what could not be
    looked at is HIGH.
    """
    repository = open_repository(change.repository)
    everything = patch(repository, change.base, change.commit, listing(repository, change.base, change.commit))
    secrets = list(_secrets(everything))
    findings, left_out = _listed([*secrets, *_unseen(everything)])
    return SecretReport(findings, len(secrets), left_out)


@specialist("measure_branches", version="1", effect="pure", fails=FAILS)
def measure_branches(change: Change) -> BranchReport:
    """The ways through each touched function."""
    functions, unmeasured = _functions(open_repository(change.repository), change)
    findings, left_out = _listed([*_branchy(functions)])
    noted = f"branches of {unmeasured} Python files could not be counted: too large, or they do not parse"
    return BranchReport(findings, len(functions), left_out, (noted,) if unmeasured else ())


@specialist("judge_risk", version="2", effect="pure", fails=FAILS)
def judge_risk(change: Change) -> RiskReport:
    """The change as a whole: its size, how busy its files are, and whether tests came with it."""
    counts, commits = _churn(open_repository(change.repository), change)
    tests = any(_TEST.search(file.path) for file in change.files)
    findings, left_out = _listed([*_size(change), *_busy(counts, commits), *_untested(change, tests)])
    return RiskReport(findings, commits, tests, left_out)


def _listed(findings: list[Finding]) -> tuple[tuple[Finding, ...], int]:
    """The worst of them, and how many are left out."""
    findings.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
    return tuple(findings[:MAX_FINDINGS]), max(0, len(findings) - MAX_FINDINGS)


def _step(value: int, steps: Steps) -> Severity | None:
    return next((severity for limit, severity in steps if value > limit), None)


def _secrets(everything: Patch) -> Iterator[Finding]:
    """One finding for each secret of each added line, in every file that changed."""
    for entry, hunks in everything.parts:
        for number, line in added_lines(hunks):
            for secret in secrets_in(line):
                yield Finding("CRITICAL", "secret", shown(entry.name), number, secret.hint)


def _unseen(everything: Patch) -> Iterator[Finding]:
    if everything.cut:
        said = f"only the first {PATCH_LIMIT // 2**20} MiB of the patch were searched for secrets: split the change"
        yield Finding("HIGH", "unseen", "", 0, said)


def _size(change: Change) -> Iterator[Finding]:
    lines = change.added + change.removed
    if severity := _step(lines, SIZE):
        yield Finding(
            severity,
            "size",
            "",
            0,
            f"{lines:,} changed lines in {change.files_total:,} files are hard to review: split the change",
        )


def _churn(repository: Repository, change: Change) -> tuple[dict[str, int], int]:
    """How many of the last commits touched each file, merges not counted, and how many commits there were."""
    commits = repository.git("rev-list", f"--max-count={COMMITS}", change.commit)
    options = ("-r", "-z", "--root", "--no-commit-id", "--name-only", "--no-renames")
    counts = Counter(repository.git("diff-tree", "--stdin", *options, given=commits).split(b"\0"))
    paths = {file.path for file in change.files if file.status == "modified"}
    return {name: count for raw, count in counts.items() if (name := shown(raw)) in paths}, len(commits.splitlines())


def _busy(counts: dict[str, int], commits: int) -> Iterator[Finding]:
    for path, count in sorted(counts.items()):
        if severity := _step(count, CHURN):
            yield Finding(severity, "churn", path, 0, f"changed in {count} of the last {commits} commits")


def _functions(repository: Repository, change: Change) -> tuple[list[tuple[FileChange, str, int, int]], int]:
    """(file, function, line, branches) of the touched functions, and how many files could not be measured."""
    files = [file for file in change.files if file.is_python and file.spans]
    contents = repository.blobs(file.blob for file in files)
    asked = [(file, contents[file.blob].decode("utf-8", "replace")) for file in files if file.blob in contents]
    answers = _measured([{"source": source, "spans": file.spans} for file, source in asked])
    found = [
        (file, name, line, count)
        for (file, _), answer in zip(asked, answers, strict=False)
        for name, line, count in answer or ()
    ]
    return found, len(files) - sum(answer is not None for answer in answers)


def _measured(asked: Sequence[object]) -> list[list[tuple[str, int, int]] | None]:
    """The answers of `branches` as a program; fewer than asked where a source was too much for it."""
    if not asked:
        return []
    given = "".join(f"{json.dumps(each)}\n" for each in asked).encode("ascii")
    try:
        ran = run([sys.executable, "-I", "-S", "-W", "ignore", branches.__file__], given, timeout=MEASURE_TIMEOUT)
    except TimedOut:
        return []
    return [json.loads(line) for line in ran.output.splitlines(keepends=True) if line.endswith(b"\n")]


def _branchy(functions: list[tuple[FileChange, str, int, int]]) -> Iterator[Finding]:
    for file, name, line, count in functions:
        if severity := _step(count, BRANCHES):
            yield Finding(
                severity, "branches", file.path, line, f"{count} ways lead through `{shown(name, limit=150)}`"
            )


def _untested(change: Change, tests: bool) -> Iterator[Finding]:
    source = [file for file in change.files if file.status != "deleted" and file.path.endswith(_SOURCE) and file.added]
    lines = sum(file.added for file in source)
    if source and not tests:
        severity: Severity = "MEDIUM" if lines > UNTESTED_LINES else "LOW"
        yield Finding(severity, "untested", "", 0, f"source added ({lines:,} lines), and no test touched")
