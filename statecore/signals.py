"""What the sender of a signal is told: that it was taken, with the reply of the transition, or why it was refused.

Both are read from the turn that the signal led to, so a signal that is sent again under its id is told the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from statecore.events import Event, Moved, Payload, SignalRefused, SignalTaken
from statecore.workflow import Machine


@attrs.frozen
class Taken:
    """`transitions`: which it fired. `states`: where they led. `reply`: what the transition's `reply=` made of it."""

    transitions: tuple[str, ...]
    states: tuple[str, ...]
    reply: Any = None


@attrs.frozen
class NotTaken:
    """Nothing moved. It may be sent again."""

    why: str


Answer = Taken | NotTaken


def heard(machine: Machine, events: Sequence[Event]) -> Answer:
    """The answer to the signal that a turn begins with, its reply as an object."""
    return told(events, machine.read)


def told(events: Sequence[Event], read: Callable[[Payload], Any]) -> Answer:
    """The same, its reply as `read` has it."""
    match events[0]:
        case SignalRefused(why=why):
            return NotTaken(why)
        case SignalTaken(reply=reply):
            moved = next(event for event in events if isinstance(event, Moved))
            live = read(reply) if reply else None
            return Taken(moved.transitions, moved.states, live)
        case other:
            raise LookupError(f"a turn that begins with {type(other).__name__} answers no signal")
