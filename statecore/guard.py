"""The guard seam: a pure question to the ledger, before a call starts or after its output came.

A guard is any object with a name, a side, the failures it may answer with, and one method. It answers with a
Verdict and touches nothing; a guard that raises refuses. Guards of a state stand in its declaration, guards of a
whole engine in `Engine(guards=...)`; the engine's are asked first, each list in its order, and the first that does
not pass decides.
"""

import math
from typing import Any, Generic, Literal, Protocol, TypeVar

import attrs

from statecore.failures import Failure, printable, told
from statecore.ledger import Ledger

V_co = TypeVar("V_co", covariant=True)
V_contra = TypeVar("V_contra", contravariant=True)

Side = Literal["before", "after"]

SWITCH = "switch"
"""The name of the guard that keeps a specialist out of rotation: what it holds, somebody can let go."""


@attrs.frozen
class Question(Generic[V_co]):
    """`value`: the request before a call, its output after. `specialist`: name@version. `at`: seconds since the
    epoch. `sources`: the states that gave what the request was made of (`start`, `signal`: the world). `trusted`:
    whether all of that is trusted. `fallback`: whether another specialist is called where this call is refused.
    """

    value: V_co
    run: str
    call: str
    state: str
    specialist: str
    attempt: int
    effect: str
    at: float
    tenant: str = ""
    sources: tuple[str, ...] = ()
    trusted: bool = False
    fallback: bool = False


@attrs.frozen
class Pass:
    """Nothing to say against it."""


PASS = Pass()


@attrs.frozen
class Refuse:
    """Not this call, not this output. `failure`: what the chart is given; None: Refused before a call, Rejected
    after.
    """

    why: str
    failure: Failure | None = None


@attrs.frozen
class Defer:
    """Not yet. `wake`: when to ask again, in seconds since the epoch; None: whenever another call ends. Only before
    a call.
    """

    why: str
    wake: float | None = None


Verdict = Pass | Refuse | Defer


class Guard(Protocol[V_contra]):
    """An after-guard that also has `vouches = True` makes the outputs that it passes trusted, in its name.

    A guard that also has `unfit(cls)` is asked at the class statement, of each class that it will be asked about: why it
    cannot judge its values, "" where it can.
    """

    @property
    def name(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def fails(self) -> tuple[type[Failure], ...]:
        """Failures of its own that it may answer with, besides Refused and Rejected."""
        ...

    def ask(self, question: Question[V_contra], ledger: Ledger) -> Verdict: ...


def judged(guard: Guard[Any], question: Question[Any], ledger: Ledger) -> Verdict:
    """Ask one guard; what raises, refuses, and so does what is no answer. A wake that is not in the future is none."""
    try:
        verdict = guard.ask(question, ledger)
    except Exception as error:
        return Refuse(f"the guard itself failed: {type(error).__name__}: {told(error)}")
    match verdict:
        case Pass():
            return verdict
        case Refuse(why=str(why)):
            return attrs.evolve(verdict, why=printable(why))
        case Defer() if guard.side == "after":
            return Refuse("an after-guard cannot defer: the output is there")
        case Defer(why=str(why), wake=float() | int() | None as wake) if wake is None or math.isfinite(wake):
            return Defer(printable(why), float(wake) if wake is not None and wake > question.at else None)
        case _:
            return Refuse(f"the guard answered with a {type(verdict).__name__} that is no verdict")
