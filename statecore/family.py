"""Who stands above whom, by name: the run `a` has the children `a/writing#1` and, on a second attempt, `a/writing#1~2`."""

from collections.abc import Collection, Iterable, Iterator

from statecore.chain import StreamInfo


def ancestors(run: str, names: Collection[str]) -> Iterator[str]:
    """Those of `names` that stand above a run, nearest first."""
    while "/" in run:
        run = run.rpartition("/")[0]
        if run in names:
            yield run


def descendants(run: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that stand below a run."""
    return [name for name in names if name.startswith(f"{run}/")]


def families(infos: Iterable[StreamInfo]) -> list[list[StreamInfo]]:
    """Runs with all that stand below them, in the order in which the uppermost began."""
    infos = list(infos)
    began = {info.name: place for place, info in enumerate(infos)}
    found: dict[str, list[tuple[list[int], StreamInfo]]] = {}
    for info in infos:
        line = [info.name, *ancestors(info.name, began)][::-1]
        found.setdefault(line[0], []).append(([began[name] for name in line], info))
    return [[info for _, info in sorted(family, key=lambda each: each[0])] for family in found.values()]
