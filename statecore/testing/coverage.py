"""Transition coverage: which transitions of the workflows that were used nothing took, by name.

A workflow is used once a run of it begins, and a transition is taken when the decider takes it: in an engine, in
`given(...).when(...)`, or on a path that is played. What another process decides is not seen.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import attrs

from statecore.decider import _Turn
from statecore.table import Move
from statecore.workflow import Machine


@attrs.define
class Seen:
    """One workflow: its transitions in the order of declaration, and those that were taken."""

    title: str
    names: tuple[str, ...]
    taken: set[str] = attrs.field(factory=set)

    @property
    def missed(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in self.taken)


@attrs.define
class Coverage:
    """`seen`: by fingerprint, so that versions of one workflow are counted each for itself."""

    seen: dict[str, Seen] = attrs.field(factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count what every decider of this process takes meanwhile."""
        real = _Turn.move

        def move(turn: _Turn, move: Move, *args: Any) -> None:
            self.note(turn.machine, move.transitions)
            real(turn, move, *args)

        with patch.object(_Turn, "move", move):
            yield

    def note(self, machine: Machine, taken: Iterable[str]) -> None:
        if machine.fingerprint not in self.seen:
            names = dict.fromkeys(arrow.name for arrow in machine.chart.arrows)
            self.seen[machine.fingerprint] = Seen(f"{machine.name} {machine.chart.version}", tuple(names))
        self.seen[machine.fingerprint].taken.update(taken)

    def only(self, names: Iterable[str]) -> "Coverage":
        """Of these workflows only; of all where `names` is empty."""
        wanted = set(names)
        chosen = {key: seen for key, seen in self.seen.items() if not wanted or seen.title.partition(" ")[0] in wanted}
        return Coverage(chosen)

    @property
    def percent(self) -> float:
        """Of all transitions, how many were taken; 100 where there are none."""
        total = sum(len(seen.names) for seen in self.seen.values())
        missed = sum(len(seen.missed) for seen in self.seen.values())
        return 100.0 * (total - missed) / total if total else 100.0

    def lines(self) -> Iterator[str]:
        """The report: a line for each workflow, with what was missed."""
        width = max((len(seen.title) for seen in self.seen.values()), default=0)
        for seen in sorted(self.seen.values(), key=lambda seen: seen.title):
            counts = f"{len(seen.names) - len(seen.missed)} of {len(seen.names)} transitions"
            yield f"{seen.title:<{width}}  {counts}" + (f", not taken: {', '.join(seen.missed)}" if seen.missed else "")
        yield f"transition coverage {self.percent:.0f} %" if self.seen else "no workflow was used"

    # -- between processes

    def plain(self) -> dict[str, list[Any]]:
        """As plain data, which another process can add."""
        return {key: [seen.title, list(seen.names), sorted(seen.taken)] for key, seen in self.seen.items()}

    def add(self, plain: Mapping[str, list[Any]]) -> None:
        for key, (title, names, taken) in plain.items():
            self.seen.setdefault(key, Seen(title, tuple(names))).taken.update(taken)
