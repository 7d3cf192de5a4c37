"""Random charts, flat and nested, as random class bodies: what compiler and checks must get right beyond our examples.

They pass `scan` by construction (each transition waits for what its source gives) and are mostly refused by `check`, so
they are scanned and compiled but never made workflows.
"""

import types
from random import Random
from typing import Any

import attrs

from statecore.chart import Chart
from statecore.declare import Compound, History, Parallel, State, any_state, is_compound
from statecore.failures import OutcomeUnknown, TimedOut, Transient
from statecore.messages import Completed, Done, Elapsed, Failed, Signal
from statecore.person import Person
from statecore.scan import scan
from statecore.specialist import specialist
from statecore.wait import Wait


@attrs.frozen
class Begin: ...


@attrs.frozen
class A:
    x: int = 0


@attrs.frozen
class A2(A): ...


@attrs.frozen
class B:
    y: int = 0


@attrs.frozen
class Poke: ...


@attrs.frozen
class Prod: ...


@specialist("gives_a", version="1", effect="pure", fails=[Transient])
def gives_a(start: A) -> A: ...  # type: ignore[empty-body]


@specialist("gives_both", version="1", effect="pure")
def gives_both(start: A) -> A | A2 | B: ...  # type: ignore[empty-body]


@specialist("effect_b", version="1")
def effect_b(start: A) -> B: ...  # type: ignore[empty-body]


def odd(value: Any) -> bool: ...  # type: ignore[empty-body]


def even(value: Any) -> bool: ...  # type: ignore[empty-body]


asked = Person("asked", version="1", takes=A, gives=B, within=60)

WORKERS: tuple[Any, ...] = (gives_a, gives_both, effect_b, None, asked, Wait(5.0))
SPANS = (None, None, 30.0)
FAILURES = (Failed, Failed, Failed[TimedOut], Failed[Transient], Failed[OutcomeUnknown])
CONDITIONS = (None, None, odd, even, lambda value: value.x > 0)
BOUNDS = (None, None, None, 1, 2)

Body = dict[str, Any]


def chart(random: Random, *, nested: bool) -> Chart:
    """A chart that `scan` admits."""
    body = _Bodies(random).body("s", depth=2 if nested else 0)
    made = types.new_class("Generated", (), {}, lambda namespace: namespace.update(body))
    return scan(made, Begin, "1", random.choice(SPANS))


class _Bodies:
    def __init__(self, random: Random) -> None:
        self.random = random

    def body(self, name: str, depth: int) -> Body:
        """States and compounds, the first of them initial, a final state, and transitions among all that is inside."""
        body: Body = {}
        for n in range(self.random.randint(1, 2 if name != "s" else 4 - depth)):
            body[f"{name}{n}"] = self.place(f"{name}{n}_", depth, initial=n == 0)
        if self.random.random() < 0.8:
            body[f"{name}_end"] = State(final=True)
        if name != "s" and self.random.random() < 0.5:
            body[f"{name}_was"] = History(deep=self.random.random() < 0.5)
        return body | self.transitions(name, body)

    def place(self, name: str, depth: int, initial: bool) -> Any:
        kinds = ("state", "state", "compound", "parallel") if name != "s0_" else ("compound", "parallel")
        kind = self.random.choice(kinds) if depth else "state"
        if kind == "compound":
            return _class(name, Compound, self.body(name, depth - 1), initial, self.random.choice(SPANS))
        if kind == "parallel":
            bodies = {f"{name}r{n}": self.body(f"{name}r{n}_", depth - 1) for n in range(2)}
            regions = {region: _class(region, Compound, body, False) for region, body in bodies.items()}
            return _class(name, Parallel, regions, initial)
        does = self.random.choice(WORKERS)
        return State(does, initial=initial, within=None if isinstance(does, Wait) else self.random.choice(SPANS))

    def transitions(self, name: str, body: Body) -> Body:
        inside = list(_inside(body))
        sources = [place for place in inside if is_compound(place) or not (place.final or isinstance(place, History))]
        made: Body = {}
        for n in range(self.random.randint(1, 2 * len(sources) + 1)):
            source, target = self.random.choice(sources), self.random.choice(inside)
            on = self.random.choice(_triggers(source))
            cond = self.random.choice(CONDITIONS) if on not in (Done, Elapsed) else None
            everywhere = on in (Signal[Poke], Elapsed) and self.random.random() < 0.5 and _has_others(body, target)
            made[f"t{n}_{name}"] = (any_state if everywhere else source).to(
                target, on=on, cond=cond, at_most=self.random.choice(BOUNDS)
            )
        return made


def _class(name: str, base: Any, body: Body, initial: bool, within: float | None = None) -> Any:
    return types.new_class(
        name, (base,), {"initial": initial, "within": within}, lambda namespace: namespace.update(body)
    )


def _has_others(body: Body, target: Any) -> bool:
    """Whether `any_state` means anything besides the target and what is around it."""
    around = [
        place for place in body.values() if place is target or (is_compound(place) and target in _inside(vars(place)))
    ]
    return any(
        is_compound(place) or not (place.final or isinstance(place, History))
        for place in body.values()
        if place not in around
    )


def _inside(body: Any) -> Any:
    for value in body.values():
        if isinstance(value, State):
            yield value
        elif is_compound(value):
            yield value
            yield from _inside(vars(value))


def _triggers(source: Any) -> list[Any]:
    """What a transition from there may wait for."""
    inside = [source, *([] if isinstance(source, State) else _inside(vars(source)))]
    workers = [place.does for place in inside if isinstance(place, State)]
    on: list[Any] = [Signal[Poke], Signal[Prod]]
    if any(workers):
        on += [*FAILURES, *(Completed[given.cls] for worker in workers if worker for given in worker.gives)]  # type: ignore[name-defined]
    if any(place.within is not None or (isinstance(place, State) and place.wait) for place in inside):
        on += [Elapsed] * 3
    return on + [Done] * 3 if is_compound(source) else on
