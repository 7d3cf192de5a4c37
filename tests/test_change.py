"""The specialists that review a change, on repositories built for each case."""

import asyncio
import hashlib
import importlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import attrs
import pytest
from markdown_it import MarkdownIt

import specialists.change as room
from specialists.change import (
    BranchReport,
    Change,
    ChangeRequest,
    Finding,
    LintReport,
    Published,
    Report,
    Review,
    RiskReport,
    SecretReport,
    assemble_review,
    judge_risk,
    lint_change,
    measure_branches,
    publish_report,
    read_change,
    search_secrets,
)
from specialists.change import branches as branches_program
from specialists.change.diff import added_lines
from specialists.change.failures import GitFailed, HistoryCut, NoSuchRepository, NoSuchRevision, NotPublished
from specialists.change.markdown import code, text
from specialists.change.program import run
from specialists.change.read import MAX_FILES, MAX_SPANS, joined
from specialists.change.report import markdown
from specialists.change.secret import printable, redact, secrets_in, shown
from statecore import Failure, TimedOut, Unavailable
from statecore.contract import Contract, contract_of
from statecore.demo import ChangeReview
from statecore.demo.sample import make_sample
from statecore.engine import Engine
from statecore.plan import Missing
from statecore.run import Run
from statecore.sqlite import SqliteLog
from tests.change_repos import Content, Repo

T = TypeVar("T")

AWS = "AKIA" + "Q3EGTUZJH7XKMPLD"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
PASSWORD = "vR7" + "xQ2pLm9zKt4w"
KEY_HEADER = "-----BEGIN RSA " + "PRIVATE KEY-----"
PUBLISHING: Any = SimpleNamespace(key=hashlib.sha256(b"run publishing#1").hexdigest(), home="")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo.make(tmp_path / "repo")


def read(repo: Repo, revision: str = "HEAD") -> Change:
    change: Change = read_change.fn(ChangeRequest(str(repo.path), revision))
    return packed(change)


def packed(value: T) -> T:
    """The value as a rebuild would find it; raises where its contract does not hold."""
    live: T = _contract(value).pack(value).live
    return live


def stored(value: Any) -> bytes:
    return _contract(value).pack(value).data


def _contract(value: Any) -> Contract[Any]:
    kind: type[object] = type(value)
    return contract_of(kind)  # type: ignore[arg-type]  # a cached function wants a Hashable, which mypy sees in no `type`


@attrs.frozen
class Reviewed:
    change: Change
    lint: LintReport
    branches: BranchReport
    secrets: SecretReport
    risk: RiskReport
    review: Review

    def kinds(self) -> set[str]:
        return {finding.kind for finding in self.review.findings}

    def of(self, kind: str) -> list[Finding]:
        return [finding for finding in self.review.findings if finding.kind == kind]


def review(repo: Repo, revision: str = "HEAD") -> Reviewed:
    change = read(repo, revision)
    lint, risk = packed(lint_change.fn(change)), packed(judge_risk.fn(change))
    branches, secrets = packed(measure_branches.fn(change)), packed(search_secrets.fn(change))
    made = packed(assemble_review(change, [lint], [branches], [secrets], [risk], []))
    return Reviewed(change, lint, branches, secrets, risk, made)


def publish(reviewed: Reviewed, directory: Path) -> Published:
    call = SimpleNamespace(key=PUBLISHING.key, home=str(directory))
    published: Published = publish_report.fn(Report(reviewed.change, reviewed.review), call)
    return packed(published)


def a_page(findings: tuple[Finding, ...] = (), missing: list[Missing] | None = None, **changes: Any) -> Report:
    """A report on a change that exists nowhere."""
    change = Change("/repo", "c" * 40, "p" * 40, "p" * 40, "Ann", "2026-01-01", "a change", (), 0, 0, 0)
    lint, risk = LintReport("ruff 1", 0, findings), RiskReport((), 0, False)
    change = attrs.evolve(change, **changes)
    review = assemble_review(change, [lint], [BranchReport((), 0)], [SecretReport((), 0)], [risk], missing or [])
    return Report(change, review)


# What cannot be read


def test_a_path_that_is_no_repository_is_a_typed_failure(tmp_path: Path) -> None:
    """A missing directory, a file and a directory without git are NoSuchRepository, each with its own reason."""
    (tmp_path / "file").touch()
    said = []
    for path in (tmp_path / "none", tmp_path / "file", tmp_path):
        with pytest.raises(NoSuchRepository) as caught:
            read_change.fn(ChangeRequest(str(path), "HEAD"))
        said.append(packed(caught.value).why)
    assert said == ["there is no such directory", "there is no such directory", "the directory is in no git repository"]


@pytest.mark.parametrize(
    "revision", ["", "nothing", "deadbeef", "HEAD~9", "HEAD^{tree}", "--all", "-1", "HEAD HEAD", "a\nb", "é", "^HEAD"]
)
def test_a_revision_that_names_no_commit_is_a_typed_failure(repo: Repo, revision: str) -> None:
    """What is not the name of exactly one commit is NoSuchRevision and repeats what was asked for."""
    repo.commit({"a": "a\n"})
    with pytest.raises(NoSuchRevision) as caught:
        read(repo, revision)
    assert packed(caught.value).revision == revision


def test_a_range_is_refused_with_a_hint(repo: Repo) -> None:
    """A range is no commit, and the failure says to name one."""
    repo.commit({"a": "a\n"})
    repo.commit({"a": "b\n"})
    with pytest.raises(NoSuchRevision, match="name one"):
        read(repo, "HEAD~1..HEAD")


def test_a_repository_without_commits_has_no_head(repo: Repo) -> None:
    """In a fresh repository HEAD is NoSuchRevision."""
    with pytest.raises(NoSuchRevision):
        read(repo)


def test_a_revision_is_never_an_option(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revision that looks like an option writes no file and is NoSuchRevision."""
    repo.commit({"a": "a\n"})
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for revision in (f"--output={tmp_path / 'x'}", "--output=x", "--upload-pack=touch x"):
        with pytest.raises(NoSuchRevision):
            read(repo, revision)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_shallow_clone_says_what_is_missing(repo: Repo, tmp_path: Path) -> None:
    """A commit whose parent was not fetched is HistoryCut, not a root commit that adds everything."""
    repo.commit({"a": "a\n"})
    repo.commit({"a": "b\n"})
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow")],
        check=True,
        capture_output=True,
    )
    with pytest.raises(HistoryCut, match="deepen"):
        read(Repo(tmp_path / "shallow"))


def test_a_missing_git_is_unavailable(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git on the machine the failure is Unavailable and says so."""
    repo.commit({"a": "a\n"})
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable, match="'git'"):
        read(repo)


def test_a_program_that_hangs_is_stopped() -> None:
    """A program that does not end is killed and gives TimedOut with the seconds it had."""
    started = time.perf_counter()
    with pytest.raises(TimedOut) as caught:
        run(["sleep", "30"], timeout=0.2)
    assert caught.value.after == 0.2
    assert time.perf_counter() - started < 5


def test_the_environment_of_a_hook_leads_nowhere(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIT_DIR and GIT_EXTERNAL_DIFF of the caller do not reach git."""
    other = Repo.make(tmp_path / "other")
    other.commit({"other": "x\n"})
    commit = repo.commit({"a": "a\n"})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert read(repo).commit == commit


# What a change can be


def test_an_ordinary_change(repo: Repo) -> None:
    """Commit, parent, author, date, subject, files and counts are git's."""
    first = repo.commit({"a.py": "one\ntwo\n", "kept": "k\n"})
    second = repo.commit({"a.py": "one\n2\nthree\n", "b.txt": "b\n"}, "Say more", author="Bea")
    change = read(repo)
    assert (change.commit, change.parent, change.base) == (second, first, first)
    assert (change.author, change.subject, change.date) == ("Bea", "Say more", "2023-11-14T22:13:22+00:00")
    assert [(f.path, f.status, f.kind, f.added, f.removed, f.spans) for f in change.files] == [
        ("a.py", "modified", "text", 2, 1, ((2, 2),)),
        ("b.txt", "added", "text", 1, 0, ()),
    ]
    assert (change.files_total, change.added, change.removed, change.notes) == (2, 3, 1, ())


def test_a_root_commit_is_compared_with_the_empty_tree(repo: Repo) -> None:
    """A root commit adds all its files, and a note says why."""
    repo.commit({"a.py": "x = 1\n"})
    reviewed = review(repo)
    assert reviewed.change.parent is None
    assert [(f.path, f.status, f.old_blob) for f in reviewed.change.files] == [("a.py", "added", "")]
    assert any("root" in note for note in reviewed.review.notes)


def test_a_merge_is_compared_with_its_first_parent(repo: Repo) -> None:
    """A merge shows what it brings to its first parent, and a note says so."""
    base = repo.commit({"a": "a\n"})
    side = repo.commit({"side": "s\n"}, parents=(base,), branch="side")
    main = repo.commit({"a": "b\n"}, parents=(base,))
    repo.commit({"side": "s\n"}, "merge", parents=(main, side))
    change = read(repo)
    assert change.parent == main
    assert [file.path for file in change.files] == ["side"]
    assert any("merge of 2 parents" in note for note in change.notes)


def test_binary_files_are_named_and_not_read(repo: Repo) -> None:
    """A binary file is listed as such, without lines, whether it is added, changed or deleted."""
    repo.commit({"old.png": b"\x89PNG\0\1", "gone.png": b"\x89PNG\0\2"})
    repo.commit({"old.png": b"\x89PNG\0\3", "new.py": b"\0\1\2", "gone.png": None})
    reviewed = review(repo)
    assert {(f.path, f.status, f.kind, f.added, f.removed) for f in reviewed.change.files} == {
        ("old.png", "modified", "binary", 0, 0),
        ("new.py", "added", "binary", 0, 0),
        ("gone.png", "deleted", "binary", 0, 0),
    }
    assert reviewed.lint.files == 0


def test_attributes_in_the_tree_hide_nothing(repo: Repo) -> None:
    """A `.gitattributes` that calls Python binary, in the tree, the worktree (also one that the
    configuration names, as in a submodule) and the index, keeps no secret from the
    review."""
    repo.commit({".gitattributes": "*.py binary\n", "a.py": "a = 1\n"})
    repo.commit({"a.py": f'a = "{AWS}"\n'})
    repo.git("reset", "--hard", "--quiet")
    assert review(repo).review.worst == "CRITICAL"
    repo.git("config", "core.worktree", str(repo.path))
    assert review(repo).review.worst == "CRITICAL"


def test_renames_and_deletions(repo: Repo) -> None:
    """A renamed file keeps its old path and counts what differs; a deleted one is listed; neither breaks the review."""
    body = "".join(f"value_{n} = {n}\n" for n in range(30))
    repo.commit({"old.py": body, "dead.py": "import os\n"})
    repo.commit({"old.py": None, "sub/new.py": body + "more = 1\n", "dead.py": None})
    reviewed = review(repo)
    renamed, deleted = sorted(reviewed.change.files, key=lambda file: file.status, reverse=True)
    assert (renamed.path, renamed.old_path, renamed.status, renamed.added, renamed.spans) == (
        "sub/new.py",
        "old.py",
        "renamed",
        1,
        ((31, 1),),
    )
    assert (deleted.path, deleted.status, deleted.blob) == ("dead.py", "deleted", "")
    assert reviewed.lint.files == 1


def test_an_empty_change_is_approved(repo: Repo) -> None:
    """A commit that changes no file gives an empty, approving review that says so."""
    repo.commit({"a": "a\n"})
    repo.commit({})
    reviewed = review(repo)
    assert reviewed.change.files == ()
    assert (reviewed.review.verdict, reviewed.review.worst, reviewed.review.findings) == ("approve", "INFO", ())
    assert "nothing found" in reviewed.review.summary
    assert any("empty" in note for note in reviewed.review.notes)


def test_modes_links_and_submodules(repo: Repo) -> None:
    """Mode changes, a file that becomes a link, and submodules keep their place in the list, and the hunks theirs."""
    repo.commit({"run.sh": "x\n", "turn.py": "turn = 1\n", "z.py": "z = 1\n", "lib": ("160000", b"1" * 40)})
    repo.commit(
        {
            "run.sh": ("100755", b"x\n"),
            "turn.py": ("120000", b"z.py"),
            "z.py": "z = 1\ny = 2\n",
            "lib": ("160000", b"2" * 40),
        }
    )
    files = {file.path: file for file in review(repo).change.files}
    assert (files["run.sh"].mode, files["run.sh"].added) == ("100644 -> 100755", 0)
    assert (files["turn.py"].kind, files["turn.py"].mode) == ("symlink", "100644 -> 120000")
    assert files["lib"].kind == "submodule"
    assert files["z.py"].spans == ((2, 1),)


def test_a_change_of_20000_lines_is_read_in_seconds(repo: Repo) -> None:
    """20,000 changed lines are read in less than two seconds, judged as too many, and give a payload of a few
    kilobytes."""
    body = "".join(f"def f{n}(a):\n    return [a, {n}]\n" for n in range(10_000))
    repo.commit({"big.py": "x = 1\n"})
    repo.commit({"big.py": body})
    started = time.perf_counter()
    change = read(repo)
    assert time.perf_counter() - started < 2
    reviewed = review(repo)
    assert change.added == 20_000
    assert [finding.severity for finding in reviewed.of("size")] == ["HIGH"]
    assert reviewed.branches.functions == 10_000
    assert sum(len(stored(each)) for each in (change, reviewed.lint, reviewed.branches, reviewed.risk)) < 5_000


def test_many_files_are_bounded_and_still_searched(repo: Repo) -> None:
    """Of many files the first are listed and all are counted and searched for secrets; the note says so."""
    many: dict[str | bytes, Content] = {f"f{n:04}.py": f"x = {n}\n" for n in range(MAX_FILES + 50)}
    repo.commit({**many, "zz.py": f'x = "{AWS}"\n'})
    reviewed = review(repo)
    assert (len(reviewed.change.files), reviewed.change.files_total) == (MAX_FILES, MAX_FILES + 51)
    assert reviewed.change.added == MAX_FILES + 51
    assert [finding.path for finding in reviewed.of("secret")] == ["zz.py"]
    assert any(str(MAX_FILES) in note for note in reviewed.review.notes)


def test_a_patch_beyond_the_bound_is_a_finding(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not searched for secrets is never silent: it is a HIGH finding, and the part before is still
    searched."""
    repo.commit({"a.py": f'x = "{AWS}"\n', "b.txt": "long line of text\n" * 500})
    monkeypatch.setattr("specialists.change.diff.PATCH_LIMIT", 2_000)
    found = review(repo).review.findings
    assert [(finding.severity, finding.kind) for finding in found][:2] == [("CRITICAL", "secret"), ("HIGH", "unseen")]


NAMES = [
    b"x b/y.py",
    b"new\nline.py",
    b'quo"te.py',
    b"tab\t.py",
    b"caf\xc3\xa9.py",
    b"\xff\xfe.py",
    b"-rf.py",
    b" a b/ c.py",
    b"a/dev/null.py",
]


def test_names_of_any_bytes(repo: Repo) -> None:
    """A name of any bytes keeps its own counts, touched lines and findings, and is printable in every payload."""
    repo.commit(dict.fromkeys(NAMES, "import os\n"))
    repo.commit({name: "import os\n" + "x = 1\n" * n + "import sys\n" for n, name in enumerate(NAMES, 1)})
    reviewed = review(repo)
    assert {file.path: file.added for file in reviewed.change.files} == {
        printable(name): n for n, name in enumerate(NAMES, 2)
    }
    assert {file.path: file.spans for file in reviewed.change.files} == {
        printable(name): ((2, n),) for n, name in enumerate(NAMES, 2)
    }
    assert {f.path: f.line for f in reviewed.of("F401")} == {printable(name): n + 1 for n, name in enumerate(NAMES, 2)}
    assert all(file.path.isprintable() for file in reviewed.change.files)


def test_contents_of_any_bytes(repo: Repo) -> None:
    """Contents that are no UTF-8 are read, linted, searched and reported without a fault of ours."""
    repo.commit(
        {
            "latin.py": b"# caf\xe9\nx = 1\n",
            "odd.txt": b"\xff\xfe\r\n\x0c\x1c\x85 bare\rreturn\n" + AWS.encode() + b"\xff",
        }
    )
    reviewed = review(repo)
    assert [(finding.path, finding.line) for finding in reviewed.of("secret")] == [("odd.txt", 3)]


def test_foreign_text_is_printable() -> None:
    """Control characters, direction overrides and bytes that are no text become escapes; letters of any script stay."""
    assert printable(b"a\xff") == "a\\xff"
    assert printable("a\0b\n\x1b[1m\u202e") == "a\\x00b\\n\\x1b[1m\\u202e"
    assert printable("naïve 日本 ") == "naïve 日本 "
    assert shown("a" * 1000 + "/b.py").endswith("a/b.py") and len(shown("x" * 1000)) == 300


def test_touched_lines_are_joined_and_lose_none() -> None:
    """However many stretches were touched, the joined ones are few, in order, and cover them all."""
    found = [(n * n + 1, 1 + n % 3) for n in range(100)]
    spans = joined(found)
    assert len(spans) == MAX_SPANS
    assert spans == tuple(sorted(spans))
    assert all(any(first <= at and at + length <= first + size for first, size in spans) for at, length in found)
    assert joined([]) == ()
    assert joined([(5, 2), (1, 1)]) == ((1, 1), (5, 2))


# Lint


def test_only_what_the_change_brought_is_a_finding(repo: Repo) -> None:
    """Old faults are counted and left aside, also when they moved; a fault caused on an untouched line is found."""
    repo.commit({"a.py": "import os\nimport re\nre.compile('x')\n"})
    repo.commit({"a.py": "\n\nimport os\nimport re\nprint(undefined)\n"})
    reviewed = review(repo)
    assert [(f.kind, f.line, f.severity) for f in reviewed.lint.findings] == [("F821", 5, "MEDIUM"), ("F401", 4, "LOW")]
    assert (reviewed.lint.files, reviewed.lint.older) == (1, 1)
    assert reviewed.lint.tool.startswith("ruff ")


def test_of_equal_faults_the_one_on_a_touched_line_is_new(repo: Repo) -> None:
    """Where a fault comes once more, the finding points to the line that the change touched."""
    repo.commit({"a.py": "\n\nprint(x)\n"})
    repo.commit({"a.py": "print(x)\n\n\nprint(x)\n"})
    assert [finding.line for finding in review(repo).lint.findings] == [1]


def test_no_configuration_of_ruff_has_a_say(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file above the temporary directory nor the user's own changes what a review finds."""
    repo.commit({"a.py": "import os\n"})
    for place in (tmp_path / "ruff.toml", tmp_path / "config/ruff/ruff.toml"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('[lint.per-file-ignores]\n"*.py" = ["F401"]\n')
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert [finding.kind for finding in review(repo).lint.findings] == ["F401"]


def test_files_are_linted_as_of_the_revision(repo: Repo) -> None:
    """Neither the worktree nor a later commit nor the repository's configuration has a say."""
    repo.commit(
        {"a.py": "x = 1\n", "ruff.toml": 'lint.ignore = ["F401"]\n', "pyproject.toml": "[tool.ruff]\nexclude = ['*']\n"}
    )
    faulty = repo.commit({"a.py": "import os\n"})
    repo.commit({"a.py": "x = 2\n"})
    repo.git("reset", "--hard", "--quiet")
    assert [finding.kind for finding in review(repo, faulty).lint.findings] == ["F401"]
    assert review(repo).lint.findings == ()


def test_a_file_that_does_not_parse_is_one_high_finding(repo: Repo) -> None:
    """A syntax error is HIGH, once for each file, and the other files are still linted and measured."""
    repo.commit({"bad.py": "def f(:\n  x = = 1\n)\n", "good.py": "import os\n\n\ndef f():\n    pass\n"})
    reviewed = review(repo)
    assert [(f.severity, f.path) for f in reviewed.of("syntax")] == [("HIGH", "bad.py")]
    assert "does not parse" in reviewed.of("syntax")[0].text
    assert [finding.path for finding in reviewed.of("F401")] == ["good.py"]
    assert reviewed.branches.functions == 1
    assert any("could not be counted" in note for note in reviewed.branches.notes)


def test_todays_grammar_parses(repo: Repo) -> None:
    """Source of the newest Python is not called broken because ruff by default assumes an old one."""
    repo.commit({"a.py": "type A = int\n\n\ndef f[T](x: T) -> T:\n    return x\n"})
    assert review(repo).lint.findings == ()


def test_a_missing_ruff_is_unavailable(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ruff beside this Python the failure is Unavailable and names the remedy."""
    repo.commit({"a.py": "x = 1\n"})
    change = read(repo)

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("specialists.change.lint.metadata.version", missing)
    with pytest.raises(Unavailable, match=r"statecore\[change\]"):
        lint_change.fn(change)


def test_a_hostile_path_is_written_nowhere(repo: Repo, tmp_path: Path) -> None:
    """Files are laid out for ruff under names of ours, so that no path of the tree leads out of the directory."""
    repo.commit(
        {
            "deep/" * 40 + "n" * 250 + ".py": "import os\n",
            "ruff/__main__.py": "import sys\n",
            "ruff.py": "import re\n",
            b"\xff" * 250 + b".py": "import re\n",
        }
    )
    assert len(review(repo).of("F401")) == 4


# Risk


def test_churn_is_counted_over_the_last_commits(repo: Repo) -> None:
    """A file that changes again and again is LOW, from fifty commits on MEDIUM; a fresh one is not mentioned."""
    for n in range(52):
        repo.commit({"busy": f"{n}\n", **({"half": f"{n}\n"} if n % 2 else {})})
    repo.commit({"busy": "x\n", "half": "x\n", "fresh": "x\n"})
    assert [(f.path, f.severity, f.text) for f in review(repo).of("churn")] == [
        ("busy", "MEDIUM", "changed in 53 of the last 53 commits"),
        ("half", "LOW", "changed in 27 of the last 53 commits"),
    ]


def test_only_touched_functions_are_measured(repo: Repo) -> None:
    """A tangled function is a finding where the change touched it, and none where it did not."""
    tangled = "def tangled(a):\n" + "".join(f"    if a == {n}:\n        return {n}\n" for n in range(12))
    repo.commit({"a.py": "x = 1\n" + tangled})
    repo.commit({"a.py": "x = 2\n" + tangled})
    assert review(repo).of("branches") == []
    repo.commit({"a.py": "x = 2\n" + tangled + "    return a\n"})
    (finding,) = review(repo).of("branches")
    assert (finding.severity, finding.line, finding.text) == ("LOW", 2, "13 ways lead through `tangled`")


def test_branches_are_mccabes() -> None:
    """Each decision counts once, also in methods; a nested function counts for itself."""
    source = """
class C:
    async def m(self, a, b):
        if a and b or a:
            return [x for x in a if x]
        while a:
            try:
                assert b
            except ValueError:
                return 1 if a else 2
        match a:
            case 1: pass
            case _: pass
        def inner():
            for x in a: pass
"""
    assert sorted(branches_program.measured(source, [[1, 99]])) == [("C.m", 3, 11), ("C.m.inner", 14, 2)]
    assert branches_program.measured(source, [[1, 1]]) == []


def test_source_that_breaks_a_parser_breaks_nothing_else(repo: Repo) -> None:
    """Source that is too much for Python's parser is left out and said so, and the files beside it are measured."""
    repo.commit(
        {
            "deep.py": "x = " + "(" * 5_000 + ")" * 5_000 + "\n",
            "a_minus.py": "x = " + "-" * 200_000 + "1\n",
            "fine.py": "def f(): pass\n",
        }
    )
    branches = measure_branches.fn(read(repo))
    assert branches.functions == 1
    assert any("could not be counted" in note for note in branches.notes)


@pytest.mark.parametrize(
    "path", ["tests/a.py", "test_a.py", "src/a_test.go", "pkg/conftest.py", "a.spec.ts", "src/test/A.java"]
)
def test_touched_tests_are_recognised(repo: Repo, path: str) -> None:
    """Source with a test beside it is not called untested."""
    repo.commit({"a.py": "x = 1\n", path: "x = 1\n"})
    assert "untested" not in review(repo).kinds()


def test_untested_source_is_a_finding_by_size(repo: Repo) -> None:
    """Source without a touched test is LOW, much of it MEDIUM, and prose alone is neither."""
    found = []
    cases: list[dict[str | bytes, Content]] = [
        {"contest.py": "x = 1\n"},
        {"b.py": "x = 1\n" * 101},
        {"README.md": "x\n"},
    ]
    for files in cases:
        repo.commit(files)
        found.append([finding.severity for finding in review(repo).of("untested")])
    assert found == [["LOW"], ["MEDIUM"], []]


# Secrets

LEAKS = [
    KEY_HEADER,
    f"key = {AWS}",
    GITHUB,
    f'password = "{PASSWORD}"',
    f"db = connect(password='{PASSWORD}')",
    f'{{"api_key": "{PASSWORD}"}}',
    f'token: str = "{PASSWORD}"',
    f"export DB_PASSWORD={PASSWORD}",
    f"postgres://admin:{PASSWORD}@db/x",
    "xoxb-" + "123456789012-abcdefGHIJ",
    "sk-ant-" + "api03-abcdefghijklmnopqrst",
]
HARMLESS = [
    "password = get_password()",
    'password = "changeme123"',
    'token = "${GITHUB_TOKEN_1}"',
    'password = ""',
    "tokens = 12345678901234",
    'secret_name = "database"',
    'token = "left-parenthesis"',
    "api_key: SomeType2",
    "see https://example.org:8080/a@b and git@github.com:x/y",
    'pwd = "aaaaaaaa1111"',
    "task-abcdefghijklmnopqrstuvwxyz",
]


@pytest.mark.parametrize("line", LEAKS)
def test_what_looks_like_a_secret_is_critical(repo: Repo, line: str) -> None:
    """An added line with a secret is one CRITICAL finding with path and line, and the review rejects the change."""
    repo.commit({"settings.txt": "fine\n"})
    repo.commit({"settings.txt": f"fine\n{line}\n"})
    reviewed = review(repo)
    assert [(f.severity, f.path, f.line) for f in reviewed.of("secret")] == [("CRITICAL", "settings.txt", 2)]
    assert (reviewed.review.verdict, reviewed.review.worst, reviewed.secrets.secrets) == ("reject", "CRITICAL", 1)


@pytest.mark.parametrize("line", HARMLESS)
def test_what_only_sounds_like_a_secret_is_none(line: str) -> None:
    """Calls, stand-ins, references, names and addresses are no secrets."""
    assert list(secrets_in(line)) == []


def test_a_removed_secret_is_not_this_changes_fault(repo: Repo) -> None:
    """Only added lines count: taking a secret out is no reason to reject."""
    repo.commit({"a": f"{AWS}\nb\n"})
    repo.commit({"a": "b\n"})
    assert review(repo).of("secret") == []


def test_no_payload_ever_holds_a_secret(repo: Repo, tmp_path: Path) -> None:
    """Canaries in lines, names, subject, author, and where ruff quotes the source, are in no payload, report or
    failure."""
    source = (
        f'password = "{PASSWORD}"\nd = {{"{PASSWORD}": 1, "{PASSWORD}": 2, "{AWS}": 1, "{AWS}": 2}}\n'
        f'__all__ = ["{GITHUB}2"]\nimport {AWS}\n{GITHUB} = = 1\n'
    )
    tangled = f"def {GITHUB}(a):\n" + "    if a: pass\n" * 12
    files: dict[str | bytes, Content] = {
        f"{AWS}.py": source,
        "b.py": source.replace(" = = ", " = "),
        "c.py": tangled,
        f"{GITHUB}/x": "x\n",
    }
    repo.commit(files, subject=f"use {AWS}, password='{PASSWORD}'", author=f"Ann {GITHUB}")
    reviewed = review(repo)
    published = publish(reviewed, tmp_path)
    values = [reviewed.change, reviewed.lint, reviewed.risk, reviewed.review, published]
    written = b"\n".join(map(stored, values)) + Path(published.path).read_bytes()
    assert {"F601", "F822", "syntax", "branches", "secret"} <= reviewed.kinds()
    for canary in (AWS, GITHUB, PASSWORD):
        assert canary.encode() not in written
    with pytest.raises(NoSuchRevision) as caught:
        read(repo, "nothing")
    assert AWS not in str(caught.value)


def test_a_patch_that_cannot_be_parsed_is_not_quoted() -> None:
    """The failure of the parser carries no line of the patch."""
    with pytest.raises(GitFailed) as caught:
        list(added_lines(f"@@ -0,0 +1,2 @@\n+x\n?{AWS}\n".encode()))
    assert AWS not in str(caught.value) and caught.value.__cause__ is None


def test_redaction_takes_known_values_too() -> None:
    """A value known from elsewhere is taken out of any text, the longest first."""
    assert redact("a abc1 abc", frozenset({"abc", "abc1"})) == "a [secret not shown] [secret not shown]"


def test_our_own_sources_hold_nothing_that_looks_like_a_secret() -> None:
    """The detector is not set off by its own patterns and tests, so that this project can be reviewed by itself."""
    here = Path(__file__).parent
    for path in [
        *Path(room.__file__).parent.glob("*.py"),
        *here.glob("*change*.py"),
        *(here.parent / "statecore/demo").glob("*.py"),
    ]:
        for number, line in enumerate(path.read_text().split("\n"), 1):
            assert not list(secrets_in(line)), f"{path.name}:{number}"


# The review


def test_findings_are_sorted_counted_and_bounded() -> None:
    """Worst first, at most a hundred, and the counts and the number left out are those of all."""
    many = tuple(Finding("LOW", "F401", f"f{n:03}", n, "unused") for n in range(150))
    page = a_page((*many, Finding("HIGH", "syntax", "z", 1, "broken")))
    assert page.review.findings[0].severity == "HIGH"
    assert len(page.review.findings) == 100
    assert page.review.counts == {"HIGH": 1, "LOW": 150}
    assert page.review.left_out == 51
    assert "51" in page.review.summary and "51 more" in markdown(page)


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [("CRITICAL", "reject"), ("HIGH", "discuss"), ("MEDIUM", "discuss"), ("LOW", "approve"), ("INFO", "approve")],
)
def test_the_verdict_is_that_of_the_worst_finding(severity: Any, verdict: str) -> None:
    """CRITICAL rejects, HIGH and MEDIUM are to be discussed, the rest does not stand in the way."""
    found = a_page((Finding("INFO", "k", "", 0, "t"), Finding(severity, "k", "", 0, "t"))).review
    assert (found.verdict, found.worst) == (verdict, severity)


# The report


def test_publishing_twice_changes_nothing(tmp_path: Path) -> None:
    """The same call gives one file with the same bytes, and the second time the file is not even touched."""
    page, call = a_page(), SimpleNamespace(key=PUBLISHING.key, home=str(tmp_path))
    first = publish_report.fn(page, call)
    before = os.stat(first.path)
    second = publish_report.fn(page, call)
    after = os.stat(first.path)
    assert first == second
    assert [entry.name for entry in tmp_path.iterdir()] == [f"review-ccccccc-{PUBLISHING.key[:8]}.md"]
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert hashlib.sha256(Path(first.path).read_bytes()).hexdigest() == first.sha256


def test_a_publication_that_was_cut_is_completed(tmp_path: Path) -> None:
    """What a killed attempt left behind, a draft or other bytes, is replaced, and no draft stays."""
    page, call = a_page(), SimpleNamespace(key=PUBLISHING.key, home=str(tmp_path))
    name = f"review-ccccccc-{PUBLISHING.key[:8]}.md"
    (tmp_path / f".{name}.0123abcd").write_text("half")
    (tmp_path / name).write_text("other")
    published = publish_report.fn(page, call)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert Path(published.path).read_text() == markdown(page)


def test_a_report_without_a_home_is_written_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log in memory has no directory: the report goes to the current one, and its path is absolute."""
    monkeypatch.chdir(tmp_path)
    assert Path(publish_report.fn(a_page(), PUBLISHING).path).parent == tmp_path


def test_a_directory_that_cannot_be_written_is_a_typed_failure(tmp_path: Path) -> None:
    """A report that cannot be written is NotPublished, which proves that nothing happened."""
    with pytest.raises(NotPublished) as caught:
        publish_report.fn(a_page(), SimpleNamespace(key=PUBLISHING.key, home=str(tmp_path / "none")))
    assert packed(caught.value).why == "No such file or directory"
    assert caught.value.nothing_happened


def test_a_failed_replacement_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last step fails the draft is removed and the directory is as it was."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(NotPublished, match="No space"):
        publish_report.fn(a_page(), SimpleNamespace(key=PUBLISHING.key, home=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


HOSTILE = [
    "a|b.py",
    "a\\|b.py",
    "`a` | `b`.py",
    "``x` <img src=x onerror=alert(1)>.py",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<script>alert(1)</script>",
    "**bold** _it_ ~~no~~",
    "&lt;b&gt;",
    "# title",
    "- list",
    "</td></tr></table>",
    "<!-- -->",
    "https://evil.example www.evil.example @team #1",
    "$x$ a^b",
    "x\\",
    " lead",
]


def test_hostile_text_means_nothing_in_the_report() -> None:
    """Names, subjects and messages full of markup come out of a Markdown renderer as the text that they are."""
    findings = tuple(Finding("LOW", name, name, n, name) for n, name in enumerate(HOSTILE, 1))
    for hostile in HOSTILE:
        page = markdown(a_page(findings, subject=hostile, author=hostile))
        tokens = list(_tokens(page))
        assert not {"html_inline", "html_block", "image", "link_open"} & {token.type for token in tokens}
        assert {token.type for token in tokens if token.type in ("em_open", "s_open")} == set()
        rows = page[page.index("|---") :].split("\n\n")[0].splitlines()
        assert [row.count("|") for row in rows] == [5] * (1 + len(HOSTILE))  # a renderer drops what is too much
        assert sum(token.type == "td_open" for token in tokens) == 4 * len(HOSTILE)


def _tokens(page: str) -> Iterator[Any]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize("foreign", HOSTILE)
def test_hostile_text_is_still_legible(foreign: str) -> None:
    """Rendered, an escaped text reads as it was written, and nothing in it links by itself."""
    for escaped in (text(foreign), code(foreign)):
        said = "".join(
            token.content for token in _tokens(f"x {escaped}") if token.type in ("text", "code_inline", "text_special")
        )
        assert said.replace("`", "").split() == ["x", *foreign.replace("`", "").split()]
    assert "www." not in text(foreign) and "://" not in text(foreign) and "@" not in text(foreign)


def test_the_report_reads_well() -> None:
    """Title, verdict, findings by severity, files, what was looked at, notes: the whole page, as a reader sees it."""
    page = a_page(
        (Finding("MEDIUM", "F821", "a.py", 3, "Undefined name `x`"),), files_total=1, added=2, notes=("a root commit",)
    )
    assert markdown(page) == (
        "# Review of `ccccccc`: a change\n\n"
        "**Discuss.** Somebody should look at the findings before this is merged.\n\n"
        "1 file, +2 -0 lines: 1 MEDIUM\n\n"
        f"- commit `{'c' * 40}`\n- by Ann, 2026-01-01\n- repository `/repo`\n\n"
        "## Findings\n\n"
        "| severity | where | what | kind |\n|---|---|---|---|\n"
        "| MEDIUM | `a.py:3` | Undefined name `x` | F821 |\n\n"
        "## Looked at\n\n"
        f"- git: cccccccccccc against {'p' * 12}, 1 file\n- ruff 1: 0 changed Python files as of this commit\n"
        "- branches: 0 touched functions\n- churn: the last 0 commits\n- secrets: 2 added lines, 0 hits\n"
        "- tests: none touched\n\n"
        "## Notes\n\n- a root commit\n"
    )


def test_a_check_that_came_to_nothing_is_named_in_the_report() -> None:
    """With the reason, so that nobody takes what was not looked at for fine."""
    page = a_page(missing=[Missing("lint:a.py", "Unavailable: ruff is not installed")])
    assert "## Not looked at\n\n- lint:a.py: Unavailable: ruff is not installed" in markdown(page)


# The workflow, and the sample


def ran(request: ChangeRequest, directory: Path) -> Run:
    async def main() -> Run:
        async with Engine(await SqliteLog.open(directory / "statecore.db")) as engine:
            return await engine.run(ChangeReview, request)

    return asyncio.run(main())


def test_a_change_is_reviewed_and_the_report_lies_beside_the_database(repo: Repo, tmp_path: Path) -> None:
    """An ordinary change ends in `reviewed`, and what was published is the file that the run gives as its result."""
    repo.commit({"a.py": "import os\n"})
    run = ran(ChangeRequest(str(repo.path), "HEAD"), tmp_path)
    assert (run.outcome, str(run.config)) == ("completed", "reviewed")
    assert run.result is not None and isinstance(run.result.live, Published)
    (page,) = tmp_path.glob("review-*.md")
    assert run.result.live.path == str(page)
    assert run.result.live.sha256 == hashlib.sha256(page.read_bytes()).hexdigest()


def test_a_secret_ends_in_rejected_with_a_report(repo: Repo, tmp_path: Path) -> None:
    """A CRITICAL finding ends in the failed state `rejected`, with a report, and no file holds the secret."""
    repo.commit({"a.py": f'key = "{AWS}"\n'})
    run = ran(ChangeRequest(str(repo.path), "HEAD"), tmp_path)
    assert (run.outcome, str(run.config)) == ("failed", "rejected")
    (page,) = tmp_path.glob("review-*.md")
    assert "CRITICAL" in page.read_text()
    for path in tmp_path.iterdir():
        assert not path.is_file() or AWS.encode() not in path.read_bytes()


@pytest.mark.parametrize(("path", "failure"), [("none", NoSuchRepository), ("repo", NoSuchRevision)])
def test_what_cannot_be_read_ends_in_failed(repo: Repo, tmp_path: Path, path: str, failure: type[Failure]) -> None:
    """A bad repository and an unknown revision end in `failed` with the typed failure as result, and no report."""
    run = ran(ChangeRequest(str(tmp_path / path), "nothing"), tmp_path)
    assert (run.outcome, str(run.config)) == ("failed", "failed")
    assert run.result is not None and isinstance(run.result.live, failure)
    assert list(tmp_path.glob("review-*.md")) == []


def test_the_sample_is_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any user's configuration, and made twice, the sample has the same commits, something to say and nothing
    CRITICAL."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    requests = [make_sample(tmp_path / "a"), make_sample(tmp_path / "b"), make_sample(tmp_path / "b")]
    reviews = [review(Repo(Path(request.repository)), request.revision) for request in requests]
    assert len({reviewed.change.commit for reviewed in reviews}) == 1
    assert reviews[0].review.worst == "MEDIUM"
    assert reviews[0].risk.commits == 4
    assert (tmp_path / "a/basket.py").is_file()


def test_every_specialist_declares_what_it_raises() -> None:
    """Each failure that this room raises is declared by the specialists that can raise it, and is a failure value."""
    assert {failure.__name__ for failure in read_change.fails} == {
        "NoSuchRepository",
        "NoSuchRevision",
        "HistoryCut",
        "GitFailed",
        "TimedOut",
        "Unavailable",
    }
    assert all(
        issubclass(f, Failure)
        for s in (read_change, lint_change, judge_risk, search_secrets, publish_report)
        for f in s.fails
    )
    assert json.loads(stored(GitFailed("show", "why"))) == {"command": "show", "why": "why"}
