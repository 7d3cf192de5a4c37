"""Who stands above whom, by name: the run `a` has the children `a/writing#1` and, on a second attempt, `a/writing#1~2`."""

import re
from collections.abc import Collection, Iterable, Iterator

from statecore.chain import StreamInfo

CALL = r"(?:\w+/)*\w+#\d"
"""How the name of a call begins, which is what stands below a run. A user's own `a/b` is no child of `a`."""

_call = re.compile(CALL)
_child = re.compile(f"/{CALL}")


def named_like_a_child(run: str) -> bool:
    """Whether a run could be taken for somebody's child."""
    return _child.search(run) is not None


def ancestors(run: str, names: Collection[str]) -> Iterator[str]:
    """Those of `names` that stand above a run, nearest first."""
    above, _, _ = run.rpartition("/")
    while above:
        if above in names and _call.match(run, len(above) + 1):
            yield above
        above, _, _ = above.rpartition("/")


def descendants(run: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that stand below a run."""
    return [name for name in names if name.startswith(f"{run}/") and _call.match(name, len(run) + 1)]


def families(infos: Iterable[StreamInfo]) -> list[list[StreamInfo]]:
    """Runs with all that stand below them, in the order in which the uppermost began."""
    infos = list(infos)
    began = {info.name: place for place, info in enumerate(infos)}
    found: dict[str, list[tuple[list[int], StreamInfo]]] = {}
    for info in infos:
        line = [info.name, *ancestors(info.name, began)][::-1]
        found.setdefault(line[0], []).append(([began[name] for name in line], info))
    return [[info for _, info in sorted(family, key=lambda each: each[0])] for family in found.values()]
