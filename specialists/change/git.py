"""Asking a git repository that nobody vouches for.

Only reading commands, no index, and for a worktree the git directory itself: neither `.gitattributes` of the tree
(which could declare a source file binary and so hide it), nor filters, hooks, textconv, external diffs, replacements
or a lazy fetch have a say. The user's own configuration is kept, because `safe.directory` stands there. An argument
that stems from outside follows `--end-of-options`.
"""

import os
from collections.abc import Iterable

import attrs

from specialists.change.failures import GitFailed, NoSuchRepository, NoSuchRevision
from specialists.change.program import LIMIT, Ran, run
from specialists.change.secret import shown

BLOB_LIMIT = 2**20
"""Bytes of one file that are looked at; larger Python files are generated."""

BLOBS_LIMIT = 32 * 2**20
"""Bytes of all files of a change together."""

_OPTIONS = (
    *("--no-pager", "--no-replace-objects", "--literal-pathspecs"),
    *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}"),
    *("-c", f"core.attributesFile={os.devnull}", "-c", "protocol.allow=never", "-c", "log.showSignature=false"),
)
_KEPT = ("GIT_CONFIG", "GIT_EXEC_PATH")


def environment() -> dict[str, str]:
    """Ours, without what would lead git to another repository, index or diff program (a hook's GIT_DIR, say)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_KEPT)}
    return kept | {
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_INDEX_FILE": "no-index",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def open_repository(path: str) -> "Repository":
    """The repository that `path` is in. Raises NoSuchRepository; GitFailed where git knows it and refuses (its owner
    is another)."""
    if not os.path.isabs(path):
        raise NoSuchRepository(path, "the path is relative, and a run may go on in another directory: give it whole")
    absolute = os.path.normpath(path)
    if not os.path.isdir(absolute):
        raise NoSuchRepository(path, "there is no such directory")
    ran = run(["git", "-C", absolute, "rev-parse", "--absolute-git-dir"], environment=environment())
    if ran.code == 0:
        return Repository(absolute, os.fsdecode(ran.output.rstrip(b"\n")))
    if b"not a git repository" in ran.errors:
        raise NoSuchRepository(path, "the directory is in no git repository")
    raise GitFailed("rev-parse", _complaint(ran))


@attrs.frozen
class Repository:
    path: str
    git_dir: str

    def git(self, *arguments: str, given: bytes = b"") -> bytes:
        """What a command prints. Raises GitFailed."""
        output, cut = self.git_up_to(LIMIT, *arguments, given=given)
        if cut:
            raise GitFailed(arguments[0], f"its answer is larger than {LIMIT // 2**20} MiB")
        return output

    def git_up_to(self, limit: int, *arguments: str, given: bytes = b"") -> tuple[bytes, bool]:
        """The first bytes of what a command prints, and whether there would have been more. Raises GitFailed."""
        command = [
            "git",
            "-C",
            self.git_dir,
            f"--git-dir={self.git_dir}",
            f"--work-tree={self.git_dir}",
            *_OPTIONS,
            *arguments,
        ]
        ran = run(command, given, limit=limit, environment=environment())
        if ran.code and not ran.cut:
            raise GitFailed(arguments[0], _complaint(ran))
        return ran.output, ran.cut

    def commit(self, revision: str) -> str:
        """The full id of the one commit that a revision names. Raises NoSuchRevision."""
        try:
            id = self.git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode("ascii").strip()
        except GitFailed as fault:
            hint = "; a range is more than one commit: name one" if ".." in revision else ""
            raise NoSuchRevision(self.path, revision, f"no commit has this name here ({fault.why}){hint}") from None
        if not id.isalnum():
            raise NoSuchRevision(self.path, revision, "it excludes a commit (`^`) instead of naming one")
        return id

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Contents by object id. Left out: what is no blob, is larger than BLOB_LIMIT, or would go beyond
        BLOBS_LIMIT."""
        wanted, total = [], 0
        for line in self._batch("--batch-check", dict.fromkeys(ids)).splitlines():
            id, kind, size = [*line.split(), b"", b""][:3]
            if kind == b"blob" and int(size) <= BLOB_LIMIT and total + int(size) <= BLOBS_LIMIT:
                total += int(size)
                wanted.append(id.decode("ascii"))
        return _contents(self._batch("--batch", wanted))

    def _batch(self, option: str, ids: Iterable[str]) -> bytes:
        given = "".join(f"{id}\n" for id in ids).encode("ascii")
        return self.git("cat-file", option, given=given) if given else b""


def _contents(answer: bytes) -> dict[str, bytes]:
    """The answer of `git cat-file --batch`: `ID blob SIZE`, newline, SIZE bytes, newline; again and again."""
    found, at = {}, 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        id, _, size = answer[at:end].split()
        found[id.decode("ascii")] = answer[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
    return found


def _complaint(ran: Ran) -> str:
    lines = [line.removeprefix(b"fatal: ") for line in ran.errors.splitlines() if line.strip()]
    return shown(b"; ".join(lines)) or f"it ended with code {ran.code}"
