"""Reading a change: which commit, and what differs between it and its first parent."""

import attrs

from specialists.change.contracts import Change, ChangeRequest, FileChange
from specialists.change.diff import Entry, listing, patch, spans
from specialists.change.failures import GitFailed, HistoryCut, NoSuchRepository, NoSuchRevision
from specialists.change.git import Repository, open_repository
from specialists.change.secret import shown
from statecore import TimedOut, Unavailable, specialist

MAX_FILES = 300
"""Files that a Change lists; more is no reading for anybody, and a payload has to stay small."""

MAX_SPANS = 20
"""Touched stretches of one file; beyond that the nearest are joined."""

READ_FAILS = (NoSuchRepository, NoSuchRevision, HistoryCut, GitFailed, TimedOut, Unavailable)


@attrs.frozen
class _Commit:
    id: str
    parents: tuple[str, ...]
    author: str
    date: str
    subject: str


@specialist("read_change", version="1", effect="pure", fails=READ_FAILS)
def read_change(request: ChangeRequest) -> Change:
    """The commit as a Change. A merge is compared with its first parent, a root commit with the empty tree."""
    repository = open_repository(request.repository)
    commit = _commit(repository, repository.commit(request.revision))
    parent = commit.parents[0] if commit.parents else None
    base = parent or repository.git("hash-object", "-t", "tree", "--stdin").decode("ascii").strip()
    entries = listing(repository, base, commit.id)
    return Change(
        repository=repository.path,
        commit=commit.id,
        parent=parent,
        base=base,
        author=commit.author,
        date=commit.date,
        subject=commit.subject,
        files=_files(repository, base, commit.id, entries),
        files_total=len(entries),
        added=sum(entry.added or 0 for entry in entries),
        removed=sum(entry.removed or 0 for entry in entries),
        notes=tuple(_notes(commit, entries)),
    )


def _commit(repository: Repository, id: str) -> _Commit:
    """Raises HistoryCut."""
    form = "%P%x00%an%x00%aI%x00%s"
    answer = repository.git(
        "show", "-s", "--no-notes", "--no-color", "--encoding=UTF-8", f"--format=tformat:{form}", id
    )
    parents, author, date, subject = answer.rstrip(b"\n").split(b"\0", 3)
    if not parents and b"\nparent " in repository.git("cat-file", "commit", id).partition(b"\n\n")[0]:
        raise HistoryCut(
            id,
            "its parent is not in this shallow clone: `git fetch --deepen=1` brings it",
        )
    return _Commit(id, tuple(parents.decode("ascii").split()), shown(author), shown(date), shown(subject))


def _files(repository: Repository, base: str, commit: str, entries: list[Entry]) -> tuple[FileChange, ...]:
    files = [_file(entry) for entry in entries[:MAX_FILES]]
    if any(file.is_python for file in files):
        touched: dict[bytes, list[tuple[int, int]]] = {}
        for entry, hunks in patch(repository, base, commit, entries).parts:
            if entry.name.endswith((b".py", b".pyi")):
                touched.setdefault(entry.name, []).extend(spans(hunks))
        files = [_with_spans(file, touched.get(entry.name, [])) for file, entry in zip(files, entries, strict=False)]
    return tuple(files)


def _with_spans(file: FileChange, touched: list[tuple[int, int]]) -> FileChange:
    return attrs.evolve(file, spans=joined(touched)) if file.is_python else file


def _file(entry: Entry) -> FileChange:
    statuses = {"A": "added", "D": "deleted", "R": "renamed"}
    modes = {entry.old_mode, entry.new_mode} - {"000000"}
    return FileChange(
        path=shown(entry.name),
        old_path=shown(entry.old_name) if entry.old_name != entry.name else None,
        status=statuses.get(entry.letter, "modified"),  # type: ignore[arg-type]
        kind=_kind(entry),  # type: ignore[arg-type]
        mode=f"{entry.old_mode} -> {entry.new_mode}" if len(modes) == 2 else "",
        added=entry.added or 0,
        removed=entry.removed or 0,
        blob=_present(entry.new),
        old_blob=_present(entry.old),
    )


def _present(id: str) -> str:
    return id if id.strip("0") else ""


def _kind(entry: Entry) -> str:
    mode = entry.new_mode if _present(entry.new) else entry.old_mode
    return {"160000": "submodule", "120000": "symlink"}.get(mode, "text" if entry.added is not None else "binary")


def joined(found: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """At most MAX_SPANS stretches that cover all those found: the smallest gaps are filled."""
    ordered = sorted(found)
    gaps = sorted(range(1, len(ordered)), key=lambda n: ordered[n][0] - sum(ordered[n - 1]), reverse=True)
    starts = [0, *sorted(gaps[: MAX_SPANS - 1])]
    groups = [ordered[start:end] for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True)]
    return tuple((group[0][0], sum(group[-1]) - group[0][0]) for group in groups if group)


def _notes(commit: _Commit, entries: list[Entry]) -> list[str]:
    notes = []
    if not commit.parents:
        notes.append("a root commit: compared with the empty tree")
    if len(commit.parents) > 1:
        notes.append(f"a merge of {len(commit.parents)} parents: compared with the first, {commit.parents[0][:7]}")
    if not entries:
        notes.append("an empty change: no file differs")
    if len(entries) > MAX_FILES:
        notes.append(
            f"of {len(entries)} files the first {MAX_FILES} were read; the added lines of all were searched for secrets"
        )
    return notes
