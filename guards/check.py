"""A named predicate over a request or an output: what a type cannot say, said once and printed as the reason.

    reviewing = State(review, guards=[plausible("code of at least 20 characters", lambda asked: len(asked.code) >= 20)])

Weakness: it sees one value at a time. Whether two of them fit together is for a condition or for the next specialist.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from statecore.errors import DefinitionError
from statecore.failures import Failure
from statecore.guard import Pass, Question, Refuse, Side, Verdict
from statecore.ledger import Ledger

V = TypeVar("V")

SHOWN = 200
"""Characters of the value that a refusal quotes."""


@attrs.frozen
class Check(Generic[V]):
    """`name`: what has to hold, in words. `vouches`: an output for which it holds is trusted in this name."""

    name: str
    side: Side
    holds: Callable[[V], bool]
    vouches: bool = False
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[V], ledger: Ledger) -> Verdict:
        if self.holds(question.value):
            return Pass()
        shown = repr(question.value)
        found = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}... ({len(shown):,} characters)"
        given = f", which {_given_by(question)}" if self.side == "before" else ""
        return Refuse(f"expected {self.name}, found {found}{given}")


def _given_by(question: Question[V]) -> str:
    return f"was made of what {', '.join(question.sources) or 'nobody'} gave"


def _check(says: str, side: Side, holds: Callable[[V], bool], vouches: bool = False) -> Check[V]:
    if not (isinstance(says, str) and says.strip()):
        raise DefinitionError(
            f"a check says {says!r}, expected what has to hold, in words: it is what a refusal prints"
        )
    if not callable(holds):
        raise DefinitionError(f"check {says!r}: expected a function that says whether it holds, found {holds!r:.60}")
    return Check(says, side, holds, vouches)


def plausible(says: str, holds: Callable[[V], bool]) -> Check[V]:
    """Before a call: a request for which `holds` is false starts no call, and the chart is given Refused.

    Raises DefinitionError.
    """
    return _check(says, "before", holds)


def quality(says: str, holds: Callable[[V], bool], *, vouches: bool = False) -> Check[V]:
    """After a call: an output for which `holds` is false is Rejected; the next attempt is told why.

    Raises DefinitionError.
    """
    return _check(says, "after", holds, vouches)
