"""What differs between two trees: the list of files from git's own NUL-separated listing, the hunks through unidiff.

A name can hold anything but NUL, so names are never read from the patch: the n-th part of the patch belongs to the
n-th entry of the listing, and unidiff gets the hunks behind headers of ours. (Given git's headers it refuses a file
named `x b/y`.)
"""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from specialists.change.failures import GitFailed
from specialists.change.git import Repository
from statecore import Unavailable

if TYPE_CHECKING:
    from unidiff.patch import Hunk

PATCH_LIMIT = 16 * 2**20
"""Bytes of a patch that are read: some 400,000 lines."""

_OPTIONS = (
    "-r",
    "-M",
    "-l500",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--ignore-submodules=none",
    "--submodule=short",
    "--diff-algorithm=myers",
)


@attrs.frozen
class Entry:
    """One file of the listing. `letter`: A, D, M, R or T. Modes as git writes them, "000000" for none; `old`, `new`:
    object ids. `added`, `removed`: None for a binary file. Names are bytes."""

    letter: str
    old_mode: str
    new_mode: str
    old: str
    new: str
    old_name: bytes
    name: bytes
    added: int | None = None
    removed: int | None = None


@attrs.frozen
class Patch:
    """`parts`: entry and the hunks' text. `cut`: the patch was longer than PATCH_LIMIT, and what lies behind is
    missing."""

    parts: tuple[tuple[Entry, bytes], ...]
    cut: bool


def listing(repository: Repository, base: str, commit: str) -> list[Entry]:
    """Every file that differs. Raises GitFailed."""
    answer = repository.git("diff-tree", *_OPTIONS, "--raw", "--no-abbrev", "--numstat", "-z", base, commit)
    fields = iter(answer.split(b"\0"))
    entries = []
    for field in fields:
        if field.startswith(b":"):
            entries.append(_entry(field, fields))
        elif field:
            break
    else:
        return entries
    counts = [_counts(field, fields), *(_counts(field, fields) for field in fields if field)]
    if len(counts) != len(entries):
        raise GitFailed("diff-tree", f"it lists {len(entries)} files and counts the lines of {len(counts)}")
    return [
        attrs.evolve(entry, added=added, removed=removed)
        for entry, (added, removed) in zip(entries, counts, strict=True)
    ]


def _entry(head: bytes, fields: Iterator[bytes]) -> Entry:
    """`:MODE MODE ID ID LETTER`, then one name, or two of a renamed file."""
    old_mode, new_mode, old, new, letter = head[1:].decode("ascii").split()
    old_name = next(fields)
    return Entry(letter[0], old_mode, new_mode, old, new, old_name, next(fields) if letter[0] in "RC" else old_name)


def _counts(field: bytes, fields: Iterator[bytes]) -> tuple[int | None, int | None]:
    """`ADDED TAB REMOVED TAB NAME`; of a renamed file NAME is empty, and two names follow."""
    added, removed, name = field.split(b"\t", 2)
    if not name:
        next(fields)
        next(fields)
    return (None, None) if added == b"-" else (int(added), int(removed))


def patch(repository: Repository, base: str, commit: str, entries: list[Entry]) -> Patch:
    """The hunks of every entry, without context lines. Raises GitFailed."""
    text, cut = repository.git_up_to(PATCH_LIMIT, "diff-tree", *_OPTIONS, "-p", "-U0", "--full-index", base, commit)
    parts = (b"\n" + text).split(b"\ndiff --git ")[1:]
    if cut:
        parts = parts[:-1]
    # git shows a file that became a link (letter T) as one deletion and one creation
    owners = [entry for entry in entries for _ in range(2 if entry.letter == "T" else 1)]
    if len(parts) != len(owners) and not cut:
        raise GitFailed("diff-tree", f"it lists {len(owners)} files and shows {len(parts)}")
    return Patch(tuple((entry, _hunks(part)) for entry, part in zip(owners, parts, strict=False)), cut)


def _hunks(part: bytes) -> bytes:
    at = part.find(b"\n@@ ")
    return b"" if at < 0 else part[at + 1 :] + b"\n"


def spans(hunks: bytes) -> list[tuple[int, int]]:
    """(first line, number of lines) of each hunk after the change; of removed lines, the one line before them."""
    return [(max(hunk.target_start, 1), max(hunk.target_length, 1)) for hunk in _parsed(hunks, metadata_only=True)]


def added_lines(hunks: bytes) -> Iterator[tuple[int, str]]:
    """(line number, text) of each added line. Bytes that are no UTF-8 are escaped."""
    for hunk in _parsed(hunks, metadata_only=False):
        for line in hunk:
            if line.is_added:
                yield line.target_line_no or 0, line.value


def _parsed(hunks: bytes, metadata_only: bool) -> "list[Hunk]":
    if not hunks:
        return []
    try:
        from unidiff.errors import UnidiffParseError
        from unidiff.patch import PatchSet
    except ImportError:
        raise Unavailable(why="unidiff is not installed beside this Python: install statecore[change]") from None
    text = "--- a/file\n+++ b/file\n" + hunks.decode("utf-8", "backslashreplace")
    try:
        return list(PatchSet(io.StringIO(text, newline="\n"), metadata_only=metadata_only)[0])
    except UnidiffParseError:  # its text holds the line that it stumbled over, which may hold a secret
        raise GitFailed("diff-tree", "its patch could not be parsed") from None
