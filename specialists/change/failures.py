"""How work on a change can end badly, beside the failures that every call may have (TimedOut, Unavailable ...)."""

from typing import ClassVar

import attrs

from statecore import Failure


@attrs.frozen(auto_exc=False)
class NoSuchRepository(Failure):
    """`path` is no directory, or in no git repository."""

    path: str
    why: str


@attrs.frozen(auto_exc=False)
class NoSuchRevision(Failure):
    """`revision` names no commit of the repository, or more than one."""

    repository: str
    revision: str
    why: str


@attrs.frozen(auto_exc=False)
class HistoryCut(Failure):
    """The parent of `commit` is not in a shallow clone, so that nobody can say what the commit changed."""

    commit: str
    why: str


@attrs.frozen(auto_exc=False)
class GitFailed(Failure):
    """`command`: the git command; `why`: what it said, or what could not be understood of its answer."""

    command: str
    why: str


@attrs.frozen(auto_exc=False)
class ToolFailed(Failure):
    """`tool` ran and its answer is of no use."""

    tool: str
    why: str


@attrs.frozen(auto_exc=False)
class NotPublished(Failure):
    """The report could not be written in `directory`; nothing was left there."""

    nothing_happened: ClassVar[bool] = True
    directory: str
    why: str
