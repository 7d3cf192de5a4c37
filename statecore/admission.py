"""Admission: what a turn asks of the guards, and what it tells the ledger while it is being decided."""

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from statecore.events import Event
from statecore.guard import PASS, Guard, Pass, Question, Side, Verdict, judged
from statecore.ledger import Ledger

Asking = Callable[[], Question[Any]]


class Admission(Protocol):
    """What a turn asks of the guards. `ask` gives the name of the guard that decided, and its verdict; where all pass,
    that of the last one that vouches for the value. `question` makes what they are asked, where there is one to ask.
    """

    def ask(self, side: Side, own: tuple[Guard[Any], ...], question: Asking) -> tuple[str, Verdict]: ...

    def note(self, run: str, event: Event) -> None:
        """An event of this turn, so that the next question of the same turn already counts it."""
        ...


@attrs.frozen
class Guarded:
    """The guards of an engine before those of the state, over one ledger."""

    ledger: Ledger = attrs.field(factory=Ledger)
    guards: tuple[Guard[Any], ...] = ()

    def ask(self, side: Side, own: tuple[Guard[Any], ...], question: Asking) -> tuple[str, Verdict]:
        guards, voucher = [guard for guard in (*self.guards, *own) if guard.side == side], ""
        asked = question() if guards else None
        for guard in guards:
            assert asked is not None
            if not isinstance(verdict := judged(guard, asked, self.ledger), Pass):
                return guard.name, verdict
            voucher = guard.name if getattr(guard, "vouches", False) else voucher
        return voucher, PASS

    def note(self, run: str, event: Event) -> None:
        self.ledger.fold(run, (event,))
