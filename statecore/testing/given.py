"""Given, when, then: what a workflow decides, asked of the decider alone. No engine, no clock, no specialist.

given(Answering, Ticket("My invoice")).when(Completed(Topic("billing", 0.4))).moved("unsure").finished("failed")
"""

import difflib
from collections.abc import Sequence
from typing import Any, Self, get_args, get_origin

import attrs

from statecore.admission import Admission, Guarded
from statecore.contract import contract_of
from statecore.decider import step
from statecore.events import CallLate, CallStarted, Event, Finished, Moved, Payload, state_of
from statecore.guard import Guard
from statecore.ledger import Ledger
from statecore.messages import Elapsed, Input, Start
from statecore.run import Run, fold
from statecore.telling import said
from statecore.workflow import Machine, Workflow

RUN = "run"
"""The name of a run that a test did not name. Keys and waits derive from it, so that they are the same every time."""

INPUTS = tuple(get_origin(kind) or kind for kind in get_args(Input))
EVENTS = get_args(Event)


def payload(value: Any) -> Payload:
    """A value as events carry it. Raises BadInput, DefinitionError."""
    kind: Any = type(value)
    return contract_of(kind).pack(value)


@attrs.frozen
class Given:
    """`run`: what the history led to. `when(input)` decides the next turn."""

    machine: Machine
    run: Run
    admission: Admission = attrs.field(factory=Guarded)

    def when(self, input: Any) -> "Decided":
        """Decide about an input. A value that the workflow takes starts a run, and an `Elapsed` that says no time comes
        when it is due. Raises as `decide` does.
        """
        input = _in_time(self.run, _input(self.machine, self.run.id, input))
        events, after = step(self.machine, self.run, input, self.admission)
        return Decided(input, events, after, self.run)


@attrs.frozen
class Decided:
    """One turn: the `input`, the `events` it led to, the `run` after it and `before` it. Each expectation raises
    AssertionError, or gives this turn again for the next."""

    input: Any
    events: tuple[Event, ...]
    run: Run
    before: Run

    def then(self, *events: Event) -> Self:
        """Exactly these events, in this order. None: nothing was decided."""
        if self.events != events:
            raise AssertionError(difference(events, self.events, f"{self._about()} are not as expected"))
        return self

    def moved(self, *transitions: str) -> Self:
        """The transitions taken, in order. None: the run did not move."""
        return self._same("transitions taken", transitions, _moves(self.events))

    def calls(self, *states: str) -> Self:
        """The states whose specialist was called, in order."""
        called = (state_of(event.call) for event in self.events if isinstance(event, CallStarted))
        return self._same("calls started", states, tuple(called))

    def finished(self, outcome: str) -> Self:
        """The run is over, with this outcome."""
        ended = tuple(event.outcome for event in self.events if isinstance(event, Finished))
        return self._same("outcomes", (outcome,), ended)

    def _same(self, what: str, expected: tuple[str, ...], found: tuple[str, ...]) -> Self:
        if expected != found:
            told = "\n".join(f"    {said(event)}" for event in self.events) or "    nothing"
            raise AssertionError(
                f"{what}: expected {_listed(expected)}, found {_listed(found)}. {self._about()}:\n{told}"
            )
        return self

    def _about(self) -> str:
        where = str(self.before.config) or "the beginning"
        return f"the events that {type(self.input).__name__} led to in `{where}`"


def given(workflow: type[Workflow[Any]], *history: Any, run: str = RUN, guards: Sequence[Guard[Any]] = ()) -> Given:
    """A run as `history` left it: inputs (decided in turn), events (folded as they are), or first the workflow's own input.

    `guards`: of the engine. Raises AssertionError at an input that fires nothing, since what follows would mean another run.
    """
    at = Given(workflow.machine, Run(id=run), Guarded(Ledger(), tuple(guards)))
    for number, item in enumerate(history, 1):
        if isinstance(item, EVENTS):
            at.admission.note(run, item)
            at = attrs.evolve(at, run=fold(at.run, (item,), at.run.at))
        else:
            decided = at.when(item)
            _fires(number, item, decided)
            at = attrs.evolve(at, run=decided.run)
    return at


def _fires(number: int, item: Any, decided: Decided) -> None:
    if not decided.events or isinstance(decided.events[0], CallLate):
        waits = ", ".join(decided.before.calls) or "none"
        raise AssertionError(
            f"given: number {number} of the history, {item!r}, fires nothing: expected an outcome of an open call, open are: {waits}; "
            "leave it out, or ask about it with `when`"
        )


def _input(machine: Machine, run: str, item: Any) -> Any:
    if isinstance(item, INPUTS):
        return item
    if type(item) is machine.chart.takes:
        return Start(run, item)
    kinds = ", ".join(kind.__name__ for kind in INPUTS)
    raise TypeError(
        f"{item!r} is neither an input ({kinds}), nor an event, nor the {machine.chart.takes.__name__} that {machine.name} takes"
    )


def _in_time(run: Run, input: Any) -> Any:
    if not isinstance(input, Elapsed) or input.at:
        return input
    timer, call = run.timers.get(input.state), run.calls.get(input.call or "")
    due = timer.due if timer else call.wake if call else None
    return input if due is None else attrs.evolve(input, at=due)


def difference(expected: Sequence[Event], found: Sequence[Event], what: str) -> str:
    """Two lists of events as one, a line for each event, with the fields in which the first pair differs."""
    lines = difflib.ndiff([said(event) for event in expected], [said(event) for event in found])
    shown = [f"  {line}" for line in lines if not line.startswith("?")]
    pairs = zip(expected, found, strict=False)
    first = next((pair for pair in pairs if pair[0] != pair[1]), None)
    fields = _fields(*first) if first and type(first[0]) is type(first[1]) else []
    return "\n".join([f"{what} (- expected, + found):", *shown, *fields])


def _fields(expected: Event, found: Event) -> list[str]:
    names = [field.name for field in attrs.fields(type(expected)) if field.eq]
    pairs = [(name, getattr(expected, name), getattr(found, name)) for name in names]
    head = f"  the first {type(expected).__name__} that differs:"
    return [head, *(f"    {name}: expected {then!r}, found {now!r}" for name, then, now in pairs if then != now)]


def _moves(events: Sequence[Event]) -> tuple[str, ...]:
    return tuple(name for event in events if isinstance(event, Moved) for name in event.transitions)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
