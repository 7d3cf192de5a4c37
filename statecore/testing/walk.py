"""A walk of the decider along given steps: values are found that answer the conditions as they should, and told to it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from statecore.admission import Asking, Guarded
from statecore.call import Call, CallState
from statecore.decider import step as decided
from statecore.events import plan_of, state_of
from statecore.failures import Failure
from statecore.guard import Guard, Refuse, Side, Verdict
from statecore.log import Turn
from statecore.messages import Completed, Elapsed, Failed, Input, Signal, Start
from statecore.person import Person
from statecore.run import Run
from statecore.table import Letter, payload_types
from statecore.testing.given import RUN
from statecore.testing.planwalk import calls_of, standing_in, to_fail
from statecore.testing.play import moves
from statecore.testing.sample import NoSample, sample
from statecore.workflow import Machine

if TYPE_CHECKING:
    from statecore.testing.paths import Step

TRIES = 1_000
"""Attempts of one call that may fail before its failure is given up on: more than any state declares."""


@attrs.frozen
class _Refusing(Guarded):
    """Guards that refuse these calls, and else answer as they are."""

    calls: Mapping[str, Failure] = attrs.field(factory=dict)

    def ask(self, side: Side, own: tuple[Guard[Any], ...], question: Asking) -> tuple[str, Verdict]:
        if side == "before" and (call := plan_of(question().call)) in self.calls:
            return "path", Refuse("this path says so", self.calls[call])
        return super().ask(side, own, question)


@attrs.define
class Walk:
    """`run` and `turns`: as far as the walk went."""

    machine: Machine = attrs.field(repr=False)
    values: tuple[Any, ...] = attrs.field(repr=False)
    run: Run = attrs.field(factory=lambda: Run(id=RUN))
    turns: list[Turn] = attrs.field(factory=list)
    _types: Mapping[Letter, type] = attrs.field(init=False, repr=False)
    _admission: Guarded = attrs.field(factory=Guarded, repr=False)
    _assembly: dict[str, Any] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        self._types = payload_types(self.machine.chart)
        if self.machine.plans:
            self.machine = standing_in(self.machine, self._example, self._assembly.__getitem__)

    @property
    def moves(self) -> tuple[str, ...]:
        """The transitions taken so far, in order."""
        return moves(self.turns)

    def begin(self, value: Any, refused: Mapping[str, type[Failure]]) -> None:
        """Start the run. `refused`: calls that guards refuse, each with its failure."""
        self._admission = _Refusing(calls={call: self._example(kind) for call, kind in refused.items()})
        self._tell(Start(RUN, value if value is not None else self._example(self.machine.chart.takes)))

    def take(self, step: "Step") -> None:
        """Tell the decider what leads to the step. Raises AssertionError where no value does."""
        of = step.letter.of
        if of is None:
            self._tell(Signal(self._answering(step), at=self.run.at + 1))
        elif step.letter.kind == "Elapsed":
            timer = self.run.timers.get(of)
            self._tell(Elapsed(state=of, at=max(timer.due, self.run.at) if timer else self.run.at))
        elif call := next((id for id in self.run.calls if state_of(id) == of), ""):
            if calls_of(self.run, of):
                self._end_plan(of, step)
            else:
                self._end(call, self._answering(step), bool(step.fails))

    def _end_plan(self, state: str, step: "Step") -> None:
        """End the calls of a plan well, until the one that fails as the step says may start, or the plan is over."""
        value = self._assembly[state] = self._answering(step)
        while calls := calls_of(self.run, state):
            failing = to_fail(self.machine, calls, step.fails) if step.fails else None
            call = failing or calls[0]
            gives = self.machine.chart.specialist(call).gives[0].cls
            self._end(call.id, value if failing else self._example(gives), bool(failing))
            if call.id in self.run.calls:
                return

    def _end(self, call: str, value: Any, fails: bool) -> None:
        """End the call so: every attempt and every fallback, where it fails."""
        outcome: Completed[Any] | Failed[Failure] = Failed(value, call) if fails else Completed(value, call)
        for _ in range(TRIES):
            found = self.run.calls.get(call)
            if found is None or found.status is CallState.UNKNOWN:
                return
            waits = found.status is not CallState.STARTED
            by = self._asked(found)
            late = waits or (bool(by) and fails)
            at = max(found.wake or 0.0, self.run.at) if late else self.run.at + 1
            self._tell(Elapsed(call=call, at=at) if late else attrs.evolve(outcome, at=at, by=by))

    def _asked(self, call: Call) -> str:
        """Who answers a call to a person; "" where it is none."""
        person = self.machine.chart.specialist(call)
        return (person.who[0] if person.who else "somebody") if isinstance(person, Person) else ""

    def _tell(self, input: Input) -> None:
        events, self.run = decided(self.machine, self.run, input, self._admission)
        if events:
            self.turns.append(Turn(RUN, self.run.seq, input.at, type(input).__name__, events))

    # -- values

    def _answering(self, step: "Step") -> Any:
        """A value of the step's type for which its conditions answer as the step says."""
        kind = step.fails or self._types[step.letter]
        asked = [(question, said) for question, said in step.said if question.cond is not None]
        for value in self._examples(kind):
            if all(bool(question.cond(value)) == said for question, said in asked if question.cond):
                return value
        wanted = " and ".join(f"`{question.text}` is {'true' if said else 'false'}" for question, said in asked)
        raise AssertionError(
            f"{self.machine.name}: no {kind.__name__} at hand{f' for which {wanted}' if wanted else ''}: give one in `values`"
        )

    def _example(self, kind: type) -> Any:
        for value in self._examples(kind):
            return value
        raise AssertionError(f"{self.machine.name}: no {kind.__name__} can be made up: give one in `values`")

    def _examples(self, kind: type) -> Iterator[Any]:
        yield from (value for value in self.values if type(value) is kind)
        try:
            yield sample(kind)
        except NoSample:
            return
