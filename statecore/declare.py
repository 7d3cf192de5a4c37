"""The words of a declaration: plain values in a class body. `chart.py` reads them; nothing here decides anything."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import attrs

from statecore.errors import DefinitionError
from statecore.guard import Guard
from statecore.messages import Trigger
from statecore.plan import TIMEOUT as TIMEOUT
from statecore.plan import Part, Plan, listed
from statecore.specialist import I, O, Specialist
from statecore.wait import Span, Wait

P = TypeVar("P")
Outcome = Literal["completed", "failed", "partial"]


@attrs.define(eq=False)
class Transition:
    """Source, trigger, condition, target. The attribute that it is assigned to is its name, which is printed as the
    reason.
    """

    sources: tuple["Place", ...] | None
    target: "Place"
    on: Any
    cond: Callable[[Any], bool] | None = None
    at_most: int | None = None
    says: str = ""
    reply: Callable[..., Any] | None = None
    names: list[str] = attrs.field(factory=list)

    def __set_name__(self, owner: type, name: str) -> None:
        self.names.append(name)


class _Source:
    """What a transition can leave."""

    def places(self) -> "tuple[Place, ...] | None":
        raise NotImplementedError

    def to(
        self,
        target: "Place",
        *,
        on: type[Trigger[P]],
        cond: Callable[[P], bool] | None = None,
        at_most: int | None = None,
        says: str = "",
        reply: Callable[..., Any] | None = None,
    ) -> Transition:
        """A transition from here. `cond`: a pure, synchronous predicate over the trigger's payload. `at_most`: how
        often a run may take it; used up, the next declared transition is asked, and where none is left the chart gets
        Failed[Exhausted]. `reply`: of a signal, the function that makes what its sender is told; its parameters are
        filled as those of a hand-over, with the payload recorded.
        """
        return _transition(self.places(), target, on, cond, at_most, says, reply)


def _transition(
    sources: "tuple[Place, ...] | None",
    target: "Place",
    on: Any,
    cond: Any,
    at_most: int | None,
    says: str,
    reply: Callable[..., Any] | None,
) -> Transition:
    if not (isinstance(target, State) or is_compound(target)):
        raise DefinitionError(
            f"a transition leads to {target!r:.60}, expected a state: write the state itself, not its name; it stands above"
            " the transition"
        )
    made = Transition(sources, target, on, cond, at_most, says, reply)
    for place in (*(sources or ()), target):
        place.touching.append(made)
    return made


class State(_Source):
    """A named place; may have one thing to do.

    `does`: the specialist called when the state is entered, a plan of calls, or the `Wait` until it is left. `give`: the
    function that makes its request of recorded values, filled by the types of its parameters; without one, the newest
    value of the type that the specialist takes.
    `attempts`: of each specialist, for failures that another attempt may mend. `fallback`: specialists of the same
    contracts, tried in turn. `guards`: asked before and after each attempt. `timeout`: seconds an attempt may take,
    600 where it says nothing, and of a child workflow as long as that takes. `within`: the deadline of the state, from
    each time it is entered; its passing is `Elapsed`. `says`: a sentence for operators.
    """

    def __init__(
        self,
        does: Specialist[I, O] | Plan | Wait | None = None,
        *,
        initial: bool = False,
        final: bool = False,
        outcome: Outcome = "completed",
        give: Callable[..., I] | None = None,
        attempts: int = 1,
        fallback: Sequence[Specialist[I, O]] = (),
        guards: Sequence[Guard[I] | Guard[O]] = (),
        timeout: float | None = None,
        within: Span | None = None,
        says: str = "",
    ) -> None:
        self.plan = does if isinstance(does, Plan) else None
        self.wait = does if isinstance(does, Wait) else None
        self.does: Specialist[Any, Any] | None = None if isinstance(does, Plan | Wait) else does
        self.give, self.attempts, self.within, self.says = give, attempts, within, says
        self.timeout, self.limited = TIMEOUT if timeout is None else timeout, timeout is not None
        self.initial, self.final, self.outcome = initial, final, outcome
        self.fallback, self.guards = listed("State", "fallback", fallback), listed("State", "guards", guards)
        self.touching: list[Transition] = []

    def places(self) -> "tuple[Place, ...]":
        return (self,)

    def __or__(self, other: "State | Several") -> "Several":
        return Several((*self.places(), *other.places()))

    @property
    def limit(self) -> float | None:
        """Seconds that an attempt may take; None for a child workflow where nothing was said."""
        child = self.does is not None and self.does.kind == "workflow"
        return self.timeout if self.limited or not child else None

    @property
    def specialists(self) -> tuple[Specialist[Any, Any], ...]:
        """Its own specialist and then the fallbacks, in the order in which they are tried; of a plan, all of its
        parts.
        """
        if self.plan is not None:
            return self.plan.specialists
        return (self.does, *self.fallback) if self.does else ()

    @property
    def works(self) -> "tuple[State | Part, ...]":
        """What says how a call is made: the state itself, or each part of its plan."""
        return self.plan.parts if self.plan is not None else (self,) if self.does else ()


class Several(_Source):
    """`(drafting | reviewing).to(...)`: one transition with several sources."""

    def __init__(self, places: "tuple[Place, ...]") -> None:
        self._places = places

    def places(self) -> "tuple[Place, ...]":
        return self._places

    def __or__(self, other: "State | Several") -> "Several":
        return Several((*self._places, *other.places()))


class _AnyState(_Source):
    def places(self) -> None:
        return None


any_state = _AnyState()
"""Every other non-final state of the body it is written in; asked after all transitions that name their source."""


class History(State):
    """A target: where its compound was when it was last left. `deep`: also inside nested compounds."""

    def __init__(self, *, deep: bool = False) -> None:
        super().__init__()
        self.deep = deep


class Compound:
    """A state with a body, written as a nested class: one of the states inside is active. Left on `Done` by
    `name.to(...)`. `within`: its deadline, as a state's.
    """

    touching: ClassVar[list[Transition]]
    initial: ClassVar[bool]
    parallel: ClassVar[bool] = False
    within: ClassVar[Span | None]

    def __init_subclass__(cls, *, initial: bool = False, within: Span | None = None) -> None:
        if any(base.__module__ != __name__ for base in cls.__bases__):
            raise DefinitionError(
                f"{cls.__name__}: a compound is composed, not refined: derive from Compound or Parallel alone"
            )
        if words := [
            word
            for word in ("touching", "initial", "parallel", "within", "to")
            if isinstance(vars(cls).get(word), State | Transition | type)
        ]:
            raise DefinitionError(
                f"{cls.__name__}: `{words[0]}` is a word of {cls.__bases__[0].__name__} itself: choose another name"
            )
        cls.touching, cls.initial, cls.within = [], initial, within

    @classmethod
    def to(
        cls,
        target: "Place",
        *,
        on: type[Trigger[P]],
        cond: Callable[[P], bool] | None = None,
        at_most: int | None = None,
        says: str = "",
        reply: Callable[..., Any] | None = None,
    ) -> Transition:
        return _transition((cls,), target, on, cond, at_most, says, reply)


class Parallel(Compound):
    """A state whose compounds inside, its regions, are all active at once."""

    parallel = True


Place = State | type[Compound]


def is_compound(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Compound)
