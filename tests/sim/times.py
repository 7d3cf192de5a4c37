"""What must hold of the waits and deadlines of a run: each is over once, never early by the clock that does not jump,
and not late.
"""

from collections.abc import Iterator

import attrs

from statecore.call import Call
from statecore.events import (
    CallCompleted,
    CallFailed,
    CallStarted,
    Event,
    Finished,
    Moved,
    TimerFired,
    TimerSet,
    state_of,
)
from statecore.log import Turn
from statecore.run import Run
from tests.sim.world import Commit, World

TURN = 0.1
"""Seconds that may pass between a decision and its commit."""


@attrs.define
class _Set:
    """`since`, `at`: the turn that set it, by its commit and its own time. `copied`: it was one of the run that this one was
    forked from. `latest`: the time of the latest turn since.
    """

    due: float
    at: float
    since: Commit
    copied: bool
    latest: float


class Times:
    """Of one run. `late`: seconds that may pass after a wait in the process that began it, and in another."""

    def __init__(self, world: World, late: tuple[float, float], jumps: bool) -> None:
        self.world, self.late, self.jumps = world, late, jumps
        self._set: dict[tuple[str, int], _Set] = {}
        self._limits: dict[str, _Set] = {}

    def limited(self, call: Call, limit: float, turn: Turn, commit: Commit, copied: bool) -> None:
        """An attempt began that has only so long."""
        self._limits[call.child] = _Set(turn.at + limit, turn.at, commit, copied, turn.at)

    def ended(self, call: Call, commit: Commit) -> Iterator[str]:
        """An attempt is over, for whatever reason."""
        found = self._limits.pop(call.child, None)
        if found is not None and not (found.copied or self.jumps):
            yield from (f"{call.child}: {said}" for said in self._late(found, commit))

    def event(self, event: Event, turn: Turn, commit: Commit, run: Run, copied: bool) -> Iterator[str]:
        """`run`: as it was before."""
        for each in self._set.values():
            each.latest = max(each.latest, run.at)
        match event:
            case TimerSet():
                self._set[event.state, 0] = _Set(event.due, turn.at, commit, copied, turn.at)
            case CallStarted(kind="person", due=float() as due):
                self._set[event.call, event.rank] = _Set(due, turn.at, commit, copied, turn.at)
            case TimerFired():
                yield from self._over(event.state, 0, turn, commit, copied)
            case CallCompleted() | CallFailed() if (call := run.calls.get(event.call)) and call.kind == "person":
                yield from self._answered(event, call, turn, commit, copied)
            case Moved():
                self._set = {key: each for key, each in self._set.items() if state_of(key[0]) not in event.left}
                for state in event.left:
                    self._set.pop((state, 0), None)
            case Finished():
                self._set.clear()
            case _:
                pass

    def _answered(
        self, event: CallCompleted | CallFailed, call: Call, turn: Turn, commit: Commit, copied: bool
    ) -> Iterator[str]:
        if event.by:
            self._set.pop((call.id, call.rank), None)
        else:
            yield from self._over(call.id, call.rank, turn, commit, copied)

    def _over(self, name: str, rank: int, turn: Turn, commit: Commit, copied: bool) -> Iterator[str]:
        found = self._set.pop((name, rank), None)
        if found is None:
            yield f"{turn.stream} {name}: its time is over, and it had none"
        elif not (copied or self.jumps):
            yield from (f"{turn.stream} {name}: {said}" for said in self._kept(found, commit))

    def _kept(self, found: _Set, commit: Commit) -> Iterator[str]:
        begun, span, here = self._reckoned(found, commit)
        waited, read = commit.at - begun.at, self.world.read[commit.life]
        if here and not begun.stalled and waited < span - TURN:
            yield f"waited {waited:.3f} s, and was to wait {span:.3f}"
        if not here and commit.clock + max(0.0, found.latest - read) < found.due - TURN:
            yield f"was over at {commit.clock:.3f}, and is due at {found.due:.3f}"
        yield from self._late(found, commit)

    def _late(self, found: _Set, commit: Commit) -> Iterator[str]:
        begun, span, here = self._reckoned(found, commit)
        late = commit.at - begun.at - (commit.stalled - begun.stalled) - max(0.0, span)
        if late > self.late[not here]:
            yield f"waited {late:.3f} s longer than the {span:.3f} it was to wait"

    def _reckoned(self, found: _Set, commit: Commit) -> tuple[Commit, float, bool]:
        """Since when this process waits, for how long it has to, and whether the wait began in it."""
        if found.since.life == commit.life and not found.copied:
            return found.since, found.due - found.at, True
        begun = Commit(commit.life, self.world.begun[commit.life], 0.0)
        return begun, found.due - max(self.world.read[commit.life], found.at), False
