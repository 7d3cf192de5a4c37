"""The ledger: what guards may ask about, folded from the turns that this engine has taken since it was opened.

A guard never looks at a clock, a file or another run; what it may know is here. Costs are counted per specialist,
so a question is one look-up however long the log is.
"""

from collections.abc import Iterable

import attrs

from statecore.events import (
    CallCompleted,
    CallFailed,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    Event,
    Moved,
    state_of,
)


@attrs.define
class Tally:
    """Of one specialist name: calls in flight, calls started and ended so far, failures since the last success."""

    running: int = 0
    started: int = 0
    completed: int = 0
    failed: int = 0
    failed_in_a_row: int = 0


@attrs.define
class Ledger:
    """`of(name)` gives a specialist's tally. Mutable on purpose and owned by one engine, whose turns it counts before
    they are committed, so that two of them cannot both take the last of something.

    A person who is asked is nobody's call in flight: days of it would keep the others out.

    Weakness: it begins empty. What ended before this engine was opened is not counted.
    """

    _tallies: dict[str, Tally] = attrs.field(factory=dict)
    _flying: dict[str, dict[str, tuple[str, bool]]] = attrs.field(factory=dict)
    running: int = 0
    """Calls in flight, of all specialists: work of this process. What a person or another run does is not counted, or a
    bound that it used up would keep that run's own calls from starting.
    """

    def of(self, specialist: str) -> Tally:
        """The tally of a specialist, by its name without version."""
        tally = self._tallies.get(specialist)
        if tally is None:
            tally = self._tallies[specialist] = Tally()
        return tally

    def fold(self, run: str, events: Iterable[Event]) -> None:
        """Count what one turn of `run` decided."""
        for event in events:
            match event:
                case CallStarted(call=call, kind="person"):
                    self._land(run, call)
                case CallStarted(call=call, specialist=specialist, kind=kind):
                    self._launch(run, call, specialist.partition("@")[0], not kind)
                case CallCompleted(call=call):
                    if tally_or_none := self._land(run, call):
                        tally_or_none.completed += 1
                        tally_or_none.failed_in_a_row = 0
                case CallFailed(call=call):
                    if tally_or_none := self._land(run, call):
                        tally_or_none.failed += 1
                        tally_or_none.failed_in_a_row += 1
                case CallUnknown(call=call) | CallRefused(call=call):
                    self._land(run, call)
                case Moved(left=left):
                    self._leave(run, set(left))
                case Cancelled():
                    self._leave(run, None)
                case _:
                    pass

    def forget(self, run: str, events: Iterable[Event]) -> None:
        """Take back a turn that the log refused: exact for the first turn of a run, of a later one only the calls
        it started.
        """
        for event in events:
            if isinstance(event, CallStarted) and (tally := self._land(run, event.call)):
                tally.started -= 1

    def _launch(self, run: str, call: str, name: str, here: bool) -> None:
        self._land(run, call)
        self._flying.setdefault(run, {})[call] = name, here
        tally = self.of(name)
        tally.running += 1
        tally.started += 1
        self.running += here

    def _land(self, run: str, call: str) -> Tally | None:
        flying = self._flying.get(run, {})
        if call not in flying:
            return None
        name, here = flying.pop(call)
        if not flying:
            del self._flying[run]
        tally = self.of(name)
        tally.running -= 1
        self.running -= here
        return tally

    def _leave(self, run: str, states: set[str] | None) -> None:
        for call in list(self._flying.get(run, ())):
            if states is None or state_of(call) in states:
                self._land(run, call)
