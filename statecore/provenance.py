"""Where a value comes from: every value that it rests on, across the runs that call each other. A projection of their
turns; pure.

A call records which values its request was made of (`reads`), so what it gave rests on these. What a child run gave
rests on that run's own values, and its input on what its parent's call read. What a value rests on is older than it is,
so there is no circle.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from statecore.call import Call
from statecore.errors import UnknownCall
from statecore.events import Assembled, CallCompleted, CallFailed, Event, Moved, SignalTaken, Turn, state_of
from statecore.handover import SIGNAL, START
from statecore.history import deciders
from statecore.present import plain
from statecore.run import Draft, Run
from statecore.trail import Value
from statecore.versions import full
from statecore.wording import moment, short, summary, visible

Key = tuple[str, int]
"""A value anywhere: its run, and its id there."""


@attrs.frozen
class Origin:
    """A recorded value and how it came about. `event`: its number in the run; `at`: seconds since the epoch. `call`: whose
    outcome it is, "" where nobody was called. `effect`: the label of who was. `receipt`: it is what an effect in the world
    gave. `by`: who said it, where a person did. `child`: the run that did the work. `moved`: the transitions that entered
    its state, and `on`: the event that fired them, 0 where a time did.
    """

    run: str
    event: int
    at: float
    value: Value
    call: str = ""
    effect: str = ""
    receipt: bool = False
    by: str = ""
    child: str = ""
    moved: tuple[str, ...] = ()
    on: int = 0

    @property
    def key(self) -> Key:
        return self.run, self.value.id

    @property
    def what(self) -> str:
        """`the input`, `a signal`, the call, or the state whose outcome it is."""
        return {START: "the input", SIGNAL: "a signal"}.get(self.value.by) or self.call or self.value.by


def origins(run: str, turns: Sequence[Turn]) -> tuple[Run, tuple[Origin, ...]]:
    """The run that turns lead to, and how each of its values came about, in the order of their ids."""
    draft, found, entered = Draft(Run(id=run), 0.0), list[Origin](), dict[str, dict[str, Any]]()
    for turn, decider in zip(turns, deciders(turns), strict=True):
        draft.at, first = turn.at, draft.seq
        for event in turn.events:
            call = draft.calls.get(getattr(event, "call", ""))
            draft.apply(event)
            while len(found) < len(draft.values) + len(draft.new):
                value = draft.value_at(len(found))
                why = entered.get(value.by, {}) if value.by not in (START, SIGNAL) else {}
                found.append(Origin(run, draft.seq, turn.at, value, **_made(event, call, decider), **why))
            if isinstance(event, Moved) and event.transitions:
                on = found[-1].event if found and found[-1].event > first else 0
                entered |= {state: {"moved": event.transitions, "on": on} for state in event.entered}
    whole = draft.run()
    return whole, tuple(attrs.evolve(each, value=whole.values[each.value.id]) for each in found)


def _made(event: Event, call: Call | None, decider: str) -> dict[str, Any]:
    """`decider`: the run under whose name it was done, and which a child is called after."""
    match event:
        case CallCompleted() | CallFailed() if call is not None:
            receipt = isinstance(event, CallCompleted) and call.effect != "pure"
            child = attrs.evolve(call, run=decider).child if call.kind == "workflow" else ""
            return {"call": call.id, "effect": call.effect, "receipt": receipt, "by": event.by, "child": child}
        case CallFailed(call=id) | Assembled(call=id):
            return {"call": id}
        case SignalTaken(by=by):
            return {"by": by}
        case _:
            return {}


@attrs.define
class Trace:
    """What one value, or one call, of `run` rests on. `add` it the runs that are `missing` until none is.

    `call`: "" for what the run ended on, or has come to so far.
    """

    run: str
    call: str = ""
    _runs: dict[str, tuple[Run, tuple[Origin, ...]]] = attrs.field(factory=dict)

    def add(self, run: str, turns: Sequence[Turn]) -> None:
        """Without turns where a log has no such run: what is known then ends there."""
        self._runs[run] = origins(run, turns) if turns else (Run(), ())

    def missing(self) -> list[str]:
        if self.run not in self._runs:
            return [self.run]
        return sorted({run for origin in self.origins() for run in self._elsewhere(origin) if run not in self._runs})

    def _elsewhere(self, origin: Origin) -> Iterator[str]:
        """The runs in which what it was made of stands."""
        if origin.child:
            yield origin.child
        if origin.value.by == START and (parent := self._runs[origin.run][0].parent):
            yield parent

    # -- the walk

    def ends(self) -> list[Key]:
        """The values that are traced: those that the call gave, or that it was asked with. Raises UnknownCall."""
        run, found = self._runs[self.run]
        if not self.call:
            return [found[-1].key]
        gave = [each.key for each in found if self.call in (each.call, state_of(each.call))]
        if gave:
            return gave
        for call in run.calls.values():
            if self.call in (call.id, call.state):
                return [(self.run, id) for id in call.reads]
        known = ", ".join(dict.fromkeys([*(each.call for each in found if each.call), *run.calls])) or "none"
        raise UnknownCall(f"{self.run} made no call {self.call} (its calls: {known})")

    def sources(self, origin: Origin) -> tuple[Key, ...]:
        """What it was made of."""
        if origin.child and (found := self._runs.get(origin.child, (Run(), ()))[1]):
            return (found[-1].key,)
        if origin.value.by == START:
            return self._asked_with(self._runs[origin.run][0])
        return tuple((origin.run, id) for id in origin.value.reads)

    def _asked_with(self, child: Run) -> tuple[Key, ...]:
        """What the call that began a child run read."""
        parent, found = self._runs.get(child.parent, (Run(), ()))
        reads = next((each.value.reads for each in found if each.child == child.id), ())
        calls = (call.reads for call in parent.calls.values() if call.child == child.id)
        return tuple((child.parent, id) for id in reads or next(calls, ()))

    def origins(self) -> list[Origin]:
        """All that is traced and all that it rests on, each before what it was made of."""
        order, seen = list[Origin](), set[Key]()
        todo: list[tuple[Key, bool]] = [(key, False) for key in self.ends()]
        while todo:
            key, done = todo.pop()
            origin = self._at(key)
            if done:
                order.append(origin)
            elif key not in seen:
                seen.add(key)
                todo.append((key, True))
                todo += [(source, False) for source in self.sources(origin)]
        return order[::-1]

    def _at(self, key: Key) -> Origin:
        return self._runs[key[0]][1][key[1]]

    def untrusted(self) -> Origin | None:
        """Where what is wrong may have come in: a value that nothing vouched for on its way here, and that was made of
        none such. Of several the one listed first: which of them is older, no clock of two runs can say.
        """
        reached, todo = set[Key](), self.ends()
        while todo:
            key = todo.pop()
            if key not in reached and not (origin := self._at(key)).value.trusted:
                reached.add(key)
                todo += self.sources(origin)
        first = (each for each in self.origins() if each.key in reached and reached.isdisjoint(self.sources(each)))
        return next(first, None)

    # -- in words

    def inputs(self) -> list[Origin]:
        """What came from the world: the inputs of runs that nobody called, signals, and what people said."""
        return [
            each for each in self.origins() if each.by or (each.value.by in (START, SIGNAL) and not self.sources(each))
        ]

    def receipts(self) -> list[Origin]:
        return [each for each in self.origins() if each.receipt]

    def specialists(self) -> list[str]:
        """By name@version, the newest first."""
        return list(dict.fromkeys(each.value.specialist for each in self.origins() if each.value.specialist))

    def lines(self) -> Iterator[str]:
        """Each value before what it was made of; `from` names the events that gave that."""
        found = self.origins()
        width = max(len(self._named(origin)) for origin in found)
        for origin in found:
            gave = "" if origin.value.by in (START, SIGNAL) else "gave "
            at = f"{self._named(origin):>{width}}  {moment(origin.at)}"
            yield visible(f"{at}  {origin.what} {gave}") + summary(origin.value.payload)
            if about := "; ".join(self._about(origin)):
                yield visible(f"{'':{width}}  {about}")
        yield visible(f"inputs      {self._listed(self.inputs())}")
        yield visible(f"specialists {', '.join(self.specialists()) or 'none'}")
        yield visible(f"receipts    {self._listed(self.receipts())}")
        first = self.untrusted()
        yield visible(f"untrusted   since {self._named(first)}, {first.what}" if first else "untrusted   nothing")

    def _named(self, origin: Origin) -> str:
        """The number of its event, with the run where that is another."""
        return self._place(origin.run, origin.event)

    def _place(self, run: str, event: int) -> str:
        return f"{event}" if run == self.run else f"{run}:{event}"

    def _listed(self, found: Iterable[Origin]) -> str:
        return ", ".join(f"{self._named(each)} {full(each.value.payload.contract)}" for each in found) or "none"

    def _about(self, origin: Origin) -> Iterator[str]:
        """Who gave it, from what, and whether that is to be trusted."""
        value = origin.value
        if value.specialist:
            again = f", attempt {value.attempt}" if value.attempt > 1 else ""
            yield f"{value.specialist} ({origin.effect}{again}{', the fallback' if value.fallback else ''})"
        if origin.by:
            yield f"said {short(origin.by)}"
        if sources := self.sources(origin):
            yield f"from {', '.join(self._named(self._at(key)) for key in sources)}"
        if origin.moved:
            yield f"called because {' + '.join(origin.moved)}" + (
                f" on {self._place(origin.run, origin.on)}" if origin.on else ""
            )
        yield from (f"warned: {short(warning)}" for warning in value.warnings)
        if value.trusted:
            yield f"trusted by {short(value.trusted)}"

    def as_json(self) -> dict[str, Any]:
        first = self.untrusted()
        return {
            "run": self.run,
            "call": self.call,
            "values": [self._plain(origin) for origin in self.origins()],
            "inputs": [_place(each) for each in self.inputs()],
            "specialists": self.specialists(),
            "receipts": [_place(each) for each in self.receipts()],
            "untrusted_since": _place(first) if first else None,
        }

    def _plain(self, origin: Origin) -> dict[str, Any]:
        value = origin.value
        return {
            **_place(origin),
            "at": origin.at,
            "state": value.by,
            "part": value.part,
            "call": origin.call,
            "specialist": value.specialist,
            "effect": origin.effect,
            "receipt": origin.receipt,
            "attempt": value.attempt,
            "fallback": value.fallback,
            "by": origin.by,
            "warnings": list(value.warnings),
            "trusted": value.trusted,
            "from": [_place(self._at(key)) for key in self.sources(origin)],
            "moved": list(origin.moved),
            "on": origin.on or None,
            **plain(value.payload),
        }


def _place(origin: Origin) -> dict[str, Any]:
    return {"run": origin.run, "event": origin.event}
