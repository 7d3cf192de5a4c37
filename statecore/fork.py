"""A run that goes its own way from a past event of another: `statecore fork RUN --at N`.

The new run has the turns of the old one up to there, copied under a chain of its own, and then says where they come
from. It decides nothing, so no workflow need be loaded; the old run is only read. Its calls have keys of their own. What
was in flight there and may have changed the world is parked, since nobody here can know whether the old run did it.
"""

from collections.abc import Sequence

from statecore.errors import BadInput, NotPossible, UnknownRun
from statecore.events import Erased, ForkedFrom, RunStarted
from statecore.family import named_like_a_child
from statecore.history import deciders
from statecore.log import Append, Batch, Log, Turn
from statecore.replay import rebuilt, turns_of
from statecore.retention import SYSTEM
from statecore.run import fold
from statecore.saying import said


async def fork(log: Log, run: str, at: int, new: str, now: float, *, by: str, why: str) -> None:
    """Begin the run `new` with the first `at` events of `run`, at the time `now`.

    Raises UnknownRun, Unreadable; BadInput where no turn ends at `at`, the id is one of a child run, or who or why says
    nothing; NotPossible where the payloads are gone or the run was finished there; Conflict where `new` is there.
    """
    said(by, why)
    if not new or new.startswith(SYSTEM) or named_like_a_child(new):
        raise BadInput(
            f"a run cannot be called {new!r}, like the log's own or another's child: give it a name of its own"
        )
    turns = await turns_of(log, run)
    if not isinstance(turns[0].events[0], RunStarted):
        raise UnknownRun(f"{run} is no run: `statecore runs` lists those that are there")
    if any(isinstance(event, Erased) for turn in turns for event in turn.events):
        raise NotPossible(f"the payloads of {run} were erased: a run cannot go on from values that are gone")
    shared = _until(turns, at)
    begun = ForkedFrom(deciders(turns)[len(shared) - 1], at, by, why)
    forked = fold(rebuilt(shared), (begun,), now)
    if forked.outcome:
        raise NotPossible(
            f"{run} was {forked.outcome} at event {at}: fork it at an earlier one, from which it can go on"
        )
    copies = [Append(new, turn.version - len(turn.events), turn.events, turn.at, turn.cause) for turn in shared]
    await log.append(Batch((*copies, Append(new, at, (begun,), now, "Fork", forked.label))))


def _until(turns: Sequence[Turn], at: int) -> list[Turn]:
    """The turns up to event `at`, whole: within a turn a run is never at rest."""
    ends = [turn.version for turn in turns]
    if at not in ends:
        near = [
            str(end)
            for end in (max((e for e in ends if e < at), default=None), min((e for e in ends if e > at), default=None))
            if end
        ]
        raise BadInput(
            f"event {at} of {turns[0].stream} does not end a turn: a run is at rest only where one does, so fork it at"
            f" {' or '.join(near)}"
        )
    return [turn for turn in turns if turn.version <= at]
