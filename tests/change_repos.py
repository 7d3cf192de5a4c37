"""Building git repositories for tests, through `git fast-import`: any name, any mode, any parents, and no user's
configuration."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import attrs

Content = str | bytes | tuple[str, bytes] | None
"""Text, bytes, (mode, bytes; for a submodule its commit id), or None to delete."""

_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
_ENVIRONMENT = _CLEAN | {"LC_ALL": "C", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@attrs.define
class Repo:
    path: Path
    commits: int = 0

    @classmethod
    def make(cls, path: Path) -> "Repo":
        subprocess.run(
            ["git", "init", "--quiet", "--template=", str(path)], env=_ENVIRONMENT, check=True, capture_output=True
        )
        made = cls(path)
        made.git("symbolic-ref", "HEAD", "refs/heads/main")
        return made

    def git(self, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], input=given, env=_ENVIRONMENT, check=True, capture_output=True
        )
        return done.stdout

    def commit(
        self,
        files: Mapping[str | bytes, Content] | None = None,
        subject: str = "a change",
        parents: tuple[str, ...] | None = None,
        author: str = "Ann",
        branch: str = "main",
    ) -> str:
        """A commit on top of the branch, or on `parents`; its id."""
        self.commits += 1
        stamp = f"{author} <ann@example.org> {1_700_000_000 + self.commits} +0000"
        out = [f"commit refs/heads/{branch}\nmark :1\ncommitter {stamp}\n".encode()]
        out.append(_data(subject.encode()))
        if parents is None:
            parents = (f"refs/heads/{branch}^0",) if self.commits > 1 else ()
        out += [f"{'merge' if n else 'from'} {parent}\n".encode() for n, parent in enumerate(parents)]
        out += [
            _change(name.encode() if isinstance(name, str) else name, content)
            for name, content in (files or {}).items()
        ]
        return self.git("fast-import", "--quiet", "--force", given=b"".join([*out, b"get-mark :1\n"])).decode().strip()


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _change(name: bytes, content: Content) -> bytes:
    quoted = b'"%s"' % b"".join(b"\\%03o" % byte for byte in name)
    if content is None:
        return b"D %s\n" % quoted
    mode, data = content if isinstance(content, tuple) else ("100644", content)
    data = data.encode() if isinstance(data, str) else data
    if mode == "160000":
        return b"M 160000 %s %s\n" % (data, quoted)
    return b"M %s inline %s\n%s" % (mode.encode(), quoted, _data(data))
