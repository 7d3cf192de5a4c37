"""How a run came to be where it is, read from its turns: its path, what it was forked from, when it was over. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from statecore.events import Cancelled, Event, Finished, ForkedFrom, Migrated, Moved, Turn

STEPS = 60
"""Steps of a path that a line shows, a repeated one counted once; of a longer path the first and the last half of so
many.
"""


def path(turns: Iterable[Turn]) -> list[str]:
    """The states entered, in order, each with the transition, or the migration, that led there: `-triaged-> drafting`."""
    return [step for turn in turns for event in turn.events if (step := _step(event))]


def _step(event: Event) -> str:
    if isinstance(event, Migrated):
        return f"-migrated to {event.version}-> {'+'.join(event.states)}"
    if isinstance(event, Moved):
        return f"{f'-{event.transitions[-1]}-> ' if event.transitions else ''}{'+'.join(event.entered)}"
    return ""


def shortened(steps: Sequence[str]) -> str:
    """A path on one line: a step that is repeated once with its count, and what is too long cut in the middle."""
    folded = [(step, len(list(same))) for step, same in groupby(steps)]
    shown = [f"{step} x{count:,}" if count > 1 else step for step, count in folded]
    if len(shown) > STEPS:
        half = STEPS // 2
        left_out = sum(count for _, count in folded[half:-half])
        shown = [*shown[:half], f"... {left_out:,} more steps ...", *shown[-half:]]
    return " ".join(shown)


def forked(turns: Iterable[Turn]) -> ForkedFrom | None:
    """What a run was forked from; None where it was not."""
    events = [event for turn in turns for event in turn.events if isinstance(event, ForkedFrom)]
    return events[-1] if events else None


def deciders(turns: Sequence[Turn]) -> list[str]:
    """For each turn the run that decided it. Of what a fork shares that is another, and all that derives from the name
    of a run is its own: how long it waited for a further attempt, what its child runs are called.
    """
    found, decider = [], turns[-1].stream if turns else ""
    for turn in reversed(turns):
        found.append(decider)
        if isinstance(turn.events[0], ForkedFrom):
            decider = turn.events[0].run
    return found[::-1]


def finished(turns: Iterable[Turn]) -> float | None:
    """When a run was over; None while it is not."""
    for turn in turns:
        if any(isinstance(event, Finished | Cancelled) for event in turn.events):
            return turn.at
    return None
