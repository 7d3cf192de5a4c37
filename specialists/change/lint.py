"""Linting: ruff over the changed Python files as they stand at the revision, minus what it already found there
before.
"""

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import attrs

from specialists.change.contracts import Change, FileChange, Finding, LintReport, Severity
from specialists.change.failures import GitFailed, NoSuchRepository, ToolFailed
from specialists.change.git import open_repository
from specialists.change.program import run
from specialists.change.secret import Secret, secrets_in, shown
from statecore import TimedOut, Unavailable, specialist

RULES = "E4,E7,E9,F"
"""Ruff's classic defaults, pinned so that a newer ruff does not change a review."""

MAX_FINDINGS = 100
"""Findings that a report lists."""

_BUGS = ("F402", "F502", "F50", "F52", "F601", "F62", "F63", "F70", "F81", "F82", "E9")
"""Pyflakes rules that mean a fault at run time rather than untidiness."""


@attrs.frozen
class _Fault:
    """One diagnostic of ruff. `code` is "syntax" where the file does not parse. `line` counts from 1."""

    file: FileChange
    code: str
    line: int
    message: str

    @property
    def touched(self) -> bool:
        return any(first <= self.line < first + length for first, length in self.file.spans)


@specialist(
    "lint_change", version="1", effect="pure", fails=(NoSuchRepository, GitFailed, ToolFailed, TimedOut, Unavailable)
)
def lint_change(change: Change) -> LintReport:
    """What ruff finds in the changed Python files that it did not find before the change. A file that does not parse
    is HIGH."""
    tool = f"ruff {_version()}"
    files = [file for file in change.files if file.is_python]
    if not files:
        return LintReport(tool, 0, (), notes=("no Python file to lint",))
    contents = open_repository(change.repository).blobs(id for file in files for id in (file.blob, file.old_blob) if id)
    looked_at = [file for file in files if file.blob in contents]
    with tempfile.TemporaryDirectory(prefix="statecore-lint-") as directory:
        now = _lay_out(directory, "now", [(file, file.blob) for file in looked_at], contents)
        before = _lay_out(directory, "before", [(file, file.old_blob) for file in looked_at if file.old_blob], contents)
        found = _ruff(directory, [*now, *before])
    values = frozenset(secret.value for content in contents.values() for secret in _secrets(content))
    faults = [_fault(file, each, values) for name, file in now.items() for each in found.get(name, ())]
    known = [_fault(file, each, values) for name, file in before.items() for each in found.get(name, ())]
    return _report(tool, files, looked_at, faults, known)


def _version() -> str:
    try:
        return metadata.version("ruff")
    except metadata.PackageNotFoundError:
        raise Unavailable(why="ruff is not installed beside this Python: install statecore[change]") from None


def _lay_out(
    directory: str, side: str, wanted: list[tuple[FileChange, str]], contents: Mapping[str, bytes]
) -> dict[str, FileChange]:
    """Write each content below a directory of its own, under its last name, which is all of the path that the rules
    look at.

    A path from a tree is not to be trusted (`../`, names that the file system folds or finds too long).
    """
    written = {}
    for n, (file, blob) in enumerate(wanted):
        if blob in contents:
            last = file.path.rpartition("/")[2]
            name = f"{side}/{n}/{last if len(last.encode()) < 200 else 'file.py'}"
            path = Path(directory, name)
            path.parent.mkdir(parents=True)
            path.write_bytes(contents[blob])
            written[name] = file
    return written


def _ruff(directory: str, names: Sequence[str]) -> dict[str, list[dict[str, object]]]:
    """Its diagnostics by file name. No configuration, cache, exclusion or project of the reviewed repository has a
    say."""
    options = [
        "check",
        "--isolated",
        "--no-cache",
        "--exit-zero",
        "--output-format=json",
        f"--select={RULES}",
    ]
    ran = run([sys.executable, "-P", "-m", "ruff", *options, "--", *names], directory=directory)
    if ran.cut:
        raise ToolFailed("ruff", "it has more to say than can be read")
    try:
        found: dict[str, list[dict[str, object]]] = {}
        for each in json.loads(ran.output):
            found.setdefault(os.path.relpath(each["filename"], os.path.realpath(directory)), []).append(each)
        return found
    except (ValueError, KeyError, TypeError):
        why = next((line for line in reversed(ran.errors.splitlines()) if line.strip()), b"its answer is no JSON")
        raise ToolFailed("ruff", shown(why)) from None


def _secrets(content: bytes) -> Iterator[Secret]:
    for line in content.decode("utf-8", "backslashreplace").split("\n"):
        yield from secrets_in(line)


def _fault(file: FileChange, each: Mapping[str, object], values: frozenset[str]) -> _Fault:
    code = str(each.get("code") or "syntax")
    location = each.get("location")
    line = location.get("row", 1) if isinstance(location, Mapping) else 1
    return _Fault(file, "syntax" if code == "invalid-syntax" else code, line, shown(str(each.get("message")), values))


def _report(
    tool: str, files: list[FileChange], looked_at: list[FileChange], faults: list[_Fault], known: list[_Fault]
) -> LintReport:
    brought = _brought(_parse_once(faults), _parse_once(known))
    findings = [_finding(fault) for fault in brought]
    notes = []
    if len(looked_at) < len(files):
        notes.append(f"{len(files) - len(looked_at)} changed Python files were not linted: too large")
    return LintReport(
        tool=tool,
        files=len(looked_at),
        findings=tuple(findings[:MAX_FINDINGS]),
        older=len(_parse_once(faults)) - len(brought),
        left_out=max(0, len(findings) - MAX_FINDINGS),
        notes=tuple(notes),
    )


def _parse_once(faults: list[_Fault]) -> list[_Fault]:
    """Of a file that does not parse, its first syntax fault: the others follow from it."""
    broken: dict[int, _Fault] = {}
    for fault in faults:
        if fault.code == "syntax":
            broken.setdefault(id(fault.file), fault)
    return [fault for fault in faults if broken.get(id(fault.file), fault) is fault]


def _brought(faults: list[_Fault], known: list[_Fault]) -> list[_Fault]:
    """The faults beyond those of the same message that were there before; where it is open which, those on touched
    lines."""
    before = Counter((id(fault.file), fault.code, fault.message) for fault in known if fault.code != "syntax")
    brought = []
    for fault in sorted(faults, key=lambda fault: fault.touched):
        key = (id(fault.file), fault.code, fault.message)
        if before[key] > 0:
            before[key] -= 1
        else:
            brought.append(fault)
    ranks = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}
    return sorted(brought, key=lambda fault: (ranks[_severity(fault)], fault.file.path, fault.line))


def _severity(fault: _Fault) -> Severity:
    if fault.code == "syntax":
        return "HIGH"
    return "MEDIUM" if fault.code.startswith(_BUGS) else "LOW"


def _finding(fault: _Fault) -> Finding:
    text = f"the file does not parse: {fault.message}" if fault.code == "syntax" else fault.message
    return Finding(_severity(fault), fault.code, fault.file.path, fault.line, text)
