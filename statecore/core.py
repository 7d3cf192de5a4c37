"""The parts of an engine, which call each other, and what they share.

turns      decide, append in one commit
acts       do what the log now says: dispatch, stop, wait
flights    calls in flight, each from its dispatch to the turn of its outcome
runs       the runs that are in memory
children   the runs of other workflows that calls wait for
tasks      whatever is under way

What the world says to a run (`hearing.py`) and what a user asks for (`engine.py`) stand on all of them.
"""

from collections.abc import Iterable
from typing import Any

from statecore.acts import Acts
from statecore.children import Children
from statecore.clock import Clock
from statecore.errors import StatecoreError
from statecore.flights import Flights
from statecore.guard import Guard
from statecore.held import HeldRuns
from statecore.ledger import Ledger
from statecore.log import Log
from statecore.registry import Registry
from statecore.tasks import Tasks
from statecore.turns import Turns


class Core:
    """`broken`: why nothing is appended any more. `closing`: no call starts any more; `stopped`: none is dispatched."""

    def __init__(self, log: Log, registry: Registry, guards: Iterable[Guard[Any]], clock: Clock) -> None:
        self.log, self.registry, self.clock, self.ledger = log, registry, clock, Ledger()
        self.broken: StatecoreError | None = None
        self.closing = self.stopped = False
        self.tasks, self.runs, self.turns = Tasks(self), HeldRuns(self), Turns(self, tuple(guards))
        self.acts, self.flights, self.children = Acts(self), Flights(self), Children(self)

    def fail(self, error: StatecoreError) -> None:
        """What is in the log is not known any more: nothing is started, and whoever waits is told."""
        self.broken = error
        self.runs.tell_all()
