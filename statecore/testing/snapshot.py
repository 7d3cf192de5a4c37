"""Snapshots of a table, a trace and the paths: one file of plain text for each, beside the tests. Needs syrupy.

What is compared is the text, so a file that a review has accepted is also what is read first when a test fails.
"""

from collections.abc import Callable, Sequence
from typing import Any

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from statecore.log import Turn
from statecore.testing.paths import Path, paths_text
from statecore.testing.paths import paths as all_paths
from statecore.testing.play import Played
from statecore.testing.text import table_text, trace_text
from statecore.testing.walk import Walk
from statecore.workflow import Workflow

Matcher = Callable[..., Any]


class _Text(SingleFileSnapshotExtension):
    _write_mode = WriteMode.TEXT

    def serialize(self, data: Any, *, exclude: Any = None, include: Any = None, matcher: Matcher | None = None) -> str:
        """The text; `matcher` may replace in it what another run shows otherwise. Raises TypeError."""
        text = self.text(data)
        return str(matcher(data=text, path=())) if matcher else text

    def text(self, data: Any) -> str:
        raise NotImplementedError


class TableSnapshot(_Text):
    """`assert Answering == table_snapshot`"""

    file_extension = "fsm"

    def text(self, data: Any) -> str:
        if _is_workflow(data):
            return table_text(data)
        raise _unfit("table_snapshot", "a workflow class", data)


class TraceSnapshot(_Text):
    """`assert play(...) == trace_snapshot`"""

    file_extension = "trace"

    def text(self, data: Any) -> str:
        turns = data.turns if isinstance(data, Played | Walk) else data
        if isinstance(turns, Sequence) and all(isinstance(turn, Turn) for turn in turns):
            return trace_text(turns)
        raise _unfit("trace_snapshot", "what `play` gives, or turns of a log", data)


class PathsSnapshot(_Text):
    """`assert Answering == paths_snapshot`, or `assert paths(Answering, loops=0) == paths_snapshot`"""

    file_extension = "paths"

    def text(self, data: Any) -> str:
        found = all_paths(data) if _is_workflow(data) else data
        if isinstance(found, Sequence) and all(isinstance(path, Path) for path in found):
            return paths_text(found)
        raise _unfit("paths_snapshot", "a workflow class, or what `paths` gives", data)


def _is_workflow(data: Any) -> bool:
    return isinstance(data, type) and issubclass(data, Workflow)


def _unfit(fixture: str, expected: str, found: Any) -> TypeError:
    return TypeError(f"{fixture} expects {expected}, found {type(found).__name__} {found!r:.60}")
