"""A run is the fold of its log: `evolve(run, event, at)`. Frozen, equal by value, and independent of every class that
it was made by.

What it keeps is bounded by the chart (open calls, how often a transition was taken, the newest value of each state and
contract), but for `values`, all recorded values in order; those share one list, so a step costs the same at the
ten-thousandth as at the tenth.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import attrs
import msgspec

from statecore.call import Call, CallState
from statecore.events import (
    Assembled,
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallPlanned,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    ConflictSettled,
    Erased,
    Event,
    Finished,
    ForkedFrom,
    Migrated,
    Moved,
    Payload,
    Planned,
    Purged,
    RunStarted,
    SignalRefused,
    SignalTaken,
    Switched,
    TimerFired,
    TimerSet,
    part_of,
    plan_of,
    state_of,
)
from statecore.handover import SIGNAL, START
from statecore.schedule import Progress
from statecore.table import Config
from statecore.trail import Trail, Value
from statecore.wait import Timer

ASKS = " asks"
"""Ends the label of a run that waits for a person, so that their questions are found without reading any other run."""


@attrs.frozen
class Run:
    """`seq`: events folded. `started`, `at`: times of the first and the last of them. `config`: where the chart is.

    `newest`: per state and contract, the last value. `taken`: per transition, how often. `entries`: per state, how
    often entered. `calls`: the open ones, by id. `plans`: the open ones, by `state#entry`. `timers`: the open ones, by
    their state. `outcome`: completed, failed, partial or cancelled once the run is finished, "" before. `root`,
    `parent`, `depth`: where it stands among the runs that call each other, as in `RunStarted`. `by`: who cancelled it.
    `heard`: the signals taken that had an id, by sender and id, each with the number of its event.
    """

    id: str = ""
    workflow: str = ""
    version: str = ""
    fingerprint: str = ""
    tenant: str = ""
    root: str = ""
    seq: int = 0
    started: float = 0.0
    at: float = 0.0
    config: Config = Config(())
    values: Trail = attrs.field(factory=Trail)
    newest: Mapping[tuple[str, str], Value] = attrs.field(factory=dict)
    taken: Mapping[str, int] = attrs.field(factory=dict)
    entries: Mapping[str, int] = attrs.field(factory=dict)
    calls: Mapping[str, Call] = attrs.field(factory=dict)
    plans: Mapping[str, Progress] = attrs.field(factory=dict)
    outcome: str = ""
    why: str = ""
    timers: Mapping[str, Timer] = attrs.field(factory=dict)
    parent: str = ""
    depth: int = 0
    by: str = ""
    heard: Mapping[tuple[str, str], int] = attrs.field(factory=dict)

    @property
    def input(self) -> Payload:
        """What the run was started with."""
        return self.values[0].payload

    @property
    def result(self) -> Payload | None:
        """The newest value; None while the run is not finished."""
        return self.values[-1].payload if self.outcome and len(self.values) > 1 else None

    @property
    def condition(self) -> str:
        """In one word: running, waiting, paused, parked, completed, failed, partial or cancelled."""
        if self.outcome:
            return self.outcome
        found = {call.status for call in self.calls.values()}
        if CallState.UNKNOWN in found:
            return "parked"
        if any(call.status is CallState.STARTED and not call.kind for call in self.calls.values()):
            return "running"
        return "paused" if CallState.DEFERRED in found else "waiting"

    @property
    def asks(self) -> bool:
        """Whether a person's answer is waited for."""
        return any(call.kind == "person" and call.status is CallState.STARTED for call in self.calls.values())

    @property
    def label(self) -> str:
        """What the log lists the run under: its condition, with ASKS where a person is asked."""
        return self.condition + ASKS if self.asks else self.condition

    @property
    def due(self) -> float | None:
        """When the next thing is due that the clock brings about: a wait, a deadline, a further attempt; None: nothing."""
        calls = [call.wake for call in self.calls.values() if call.wake is not None]
        return min([*calls, *(timer.due for timer in self.timers.values())], default=None)


def evolve(run: Run, event: Event, at: float) -> Run:
    """The run after one event."""
    return fold(run, (event,), at)


def fold(run: Run, events: Iterable[Event], at: float) -> Run:
    """The run after the events of one turn."""
    draft = Draft(run, at)
    draft.take(events, at)
    return draft.run()


def replay(run: str, turns: Iterable[tuple[float, Sequence[Event]]]) -> Run:
    """The run that turns (their times and events) lead to, in one pass."""
    draft = Draft(Run(id=run), 0.0)
    for at, events in turns:
        draft.take(events, at)
    return draft.run()


class Draft:
    """A run being folded: the one place where its parts are mutable. It has the fields of a Run; what was recorded
    since it was drafted is in `new` until `run` freezes it. `own`: plans that were copied, and so may be changed.
    """

    __slots__ = (*(field.name for field in attrs.fields(Run)), "new", "own")

    id: str
    seq: int
    at: float
    started: float
    workflow: str
    version: str
    fingerprint: str
    tenant: str
    root: str
    config: Config
    values: Trail
    newest: dict[tuple[str, str], Value]
    taken: dict[str, int]
    entries: dict[str, int]
    calls: dict[str, Call]
    plans: dict[str, Progress]
    outcome: str
    why: str
    timers: dict[str, Timer]
    parent: str
    depth: int
    by: str
    heard: dict[tuple[str, str], int]
    new: list[Value]
    own: set[str]

    def __init__(self, run: Run, at: float) -> None:
        self.id, self.workflow, self.version, self.fingerprint = run.id, run.workflow, run.version, run.fingerprint
        self.tenant, self.root, self.seq, self.started, self.at = run.tenant, run.root, run.seq, run.started, at
        self.config, self.values, self.outcome, self.why, self.new = run.config, run.values, run.outcome, run.why, []
        self.newest, self.taken = dict(run.newest), dict(run.taken)
        self.entries, self.calls, self.timers = dict(run.entries), dict(run.calls), dict(run.timers)
        self.parent, self.depth, self.by, self.heard = run.parent, run.depth, run.by, dict(run.heard)
        self.plans, self.own = dict(run.plans), set()

    def run(self) -> Run:
        """The run as it is now. The draft is used up: its parts belong to the run."""
        self.values = self.values.added(self.new)
        return Run(*_FIELDS_OF(self))

    def take(self, events: Iterable[Event], at: float) -> None:
        self.at = at
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        self.seq += 1
        _APPLY[type(event)](self, event)

    def value(
        self,
        by: str,
        payload: Payload,
        call: Call | None = None,
        warnings: tuple[str, ...] = (),
        trusted: str = "",
        part: str = "",
    ) -> int:
        made = (call.specialist, call.attempt, call.rank > 0, call.reads) if call else ("", 0, False, ())
        return self.keep(Value(len(self.values) + len(self.new), by, payload, *made, warnings, trusted, part))

    def keep(self, value: Value) -> int:
        """A value is recorded; what a part of a plan gave is newest of nothing: what a plan promises is its assembly."""
        self.new.append(value)
        if not value.part:
            self.newest[value.by, value.payload.contract] = value
        return value.id

    def ended(
        self, id: str, payload: Payload, warnings: tuple[str, ...] = (), trusted: str = "", *, failed: bool = False
    ) -> None:
        """A call has its outcome."""
        call, progress = self.calls.pop(id, None), self.progress(plan_of(id)) if self.plans else None
        part = part_of(id) if progress is not None else ""
        value = self.value(call.state if call else state_of(id), payload, call, warnings, trusted, part)
        if progress is not None:
            progress.land(part, value, failed=failed)

    def progress(self, plan: str) -> Progress | None:
        """An open plan, to be changed."""
        found = self.plans.get(plan)
        if found is not None and plan not in self.own:
            found = self.plans[plan] = found.copy()
            self.own.add(plan)
        return found

    def value_at(self, id: int) -> Value:
        known = len(self.values)
        return self.values[id] if id < known else self.new[id - known]

    def recorded(self) -> Iterator[Value]:
        """All values, in order."""
        yield from self.values
        yield from self.new

    def opening(self, event: CallStarted | CallAsked, status: CallState) -> Call:
        """The call as an event opens it, or opens it again: what the event leaves out stays as it was."""
        before = self.calls.get(event.call)
        reads = event.reads or (before.reads if before else event.reads)
        plan = self.plans.get(plan_of(event.call)) if self.plans else None
        planned = plan.parts.get(part_of(event.call)) if plan else None
        request = event.request or (before.request if before else planned.request if planned else None)
        request = request or self.value_at(reads[0]).payload
        again = before if before and before.rank == event.rank else None
        faults, untouched = (again.faults, again.untouched and not event.cuts) if again else ((), True)
        named = (self.id, event.call, event.specialist, event.attempt, event.rank, event.effect)
        told = (event.cuts, faults, "", untouched, event.kind, planned.type if planned else "")
        call = Call(*named, request, reads, status, self.at, event.due, *told)
        return attrs.evolve(call, renamed=before.renamed) if before and before.renamed else call


def _run_started(draft: Draft, event: RunStarted) -> None:
    draft.workflow, draft.version, draft.fingerprint = event.workflow, event.version, event.fingerprint
    draft.tenant, draft.root, draft.started = event.tenant, event.root or draft.id, draft.at
    draft.parent, draft.depth = event.parent, event.depth
    draft.value(START, event.input, trusted=event.trusted)


def _moved(draft: Draft, event: Moved) -> None:
    if event.instead is not None:
        draft.value(event.of, event.instead)
    draft.config = Config(event.states, event.history)
    for name in event.transitions:
        draft.taken[name] = draft.taken.get(name, 0) + 1
    for state in event.entered:
        draft.entries[state] = draft.entries.get(state, 0) + 1
    if draft.calls:
        left = set(event.left)
        draft.calls = {id: call for id, call in draft.calls.items() if call.state not in left}
    if draft.plans:
        draft.plans = {id: plan for id, plan in draft.plans.items() if state_of(id) not in event.left}
    if draft.timers:
        draft.timers = {state: timer for state, timer in draft.timers.items() if state not in event.left}


def _call_started(draft: Draft, event: CallStarted) -> None:
    _open(draft, event, CallState.STARTED)


def _call_asked(draft: Draft, event: CallAsked) -> None:
    _open(draft, event, CallState.DEFERRED)


def _open(draft: Draft, event: CallStarted | CallAsked, status: CallState) -> None:
    if draft.plans and event.call not in draft.calls and (progress := draft.progress(plan_of(event.call))):
        progress.take(part_of(event.call))
    draft.calls[event.call] = draft.opening(event, status)


def _changed(draft: Draft, call: str, **changes: Any) -> None:
    draft.calls[call] = attrs.evolve(draft.calls[call], **changes)


def _call_deferred(draft: Draft, event: CallDeferred) -> None:
    _changed(draft, event.call, status=CallState.DEFERRED, wake=event.wake, why=event.why, guard=event.guard)


def _call_refused(draft: Draft, event: CallRefused) -> None:
    if not event.next:
        draft.ended(event.call, event.failure, failed=True)


def _call_completed(draft: Draft, event: CallCompleted) -> None:
    draft.ended(event.call, event.value, event.warnings, event.trusted)


def _call_failed(draft: Draft, event: CallFailed) -> None:
    if (progress := draft.plans.pop(event.call, None)) is not None:
        _plan_failed(draft, event, progress)
    elif event.again is None and not event.next:
        draft.ended(event.call, event.failure, failed=True)
    elif event.again is not None:
        faults = (
            tuple(msgspec.json.decode(event.failure.data)["faults"]) if event.failure.contract == "Rejected" else ()
        )
        untouched = draft.calls[event.call].untouched and event.untouched
        _changed(draft, event.call, status=CallState.WAITING, wake=event.again, faults=faults, untouched=untouched)


def _plan_failed(draft: Draft, event: CallFailed, progress: Progress) -> None:
    """The failure of the part that stopped the plan in this turn becomes that of the state, and is no second value."""
    last = draft.value_at(len(draft.values) + len(draft.new) - 1)
    stopped = progress.on_failure != "continue" and last.part and last.by == state_of(event.call)
    if stopped and last.payload == event.failure:
        draft.newest[last.by, last.payload.contract] = last
    else:
        draft.value(state_of(event.call), event.failure)


def _planned(draft: Draft, event: Planned) -> None:
    draft.plans[event.call] = Progress(event.parts, event.width, event.on_failure, event.reads)
    draft.own.add(event.call)


def _call_planned(draft: Draft, event: CallPlanned) -> None:
    progress = draft.progress(plan_of(event.call))
    assert progress is not None
    progress.add(event)


def _assembled(draft: Draft, event: Assembled) -> None:
    draft.plans.pop(event.call)
    made = (state_of(event.call), event.value, "", 0, event.fallback, event.reads, event.warnings, event.trusted)
    draft.keep(Value(len(draft.values) + len(draft.new), *made))


def _call_unknown(draft: Draft, event: CallUnknown) -> None:
    _changed(draft, event.call, status=CallState.UNKNOWN, wake=None, why=event.why)


def _timer_set(draft: Draft, event: TimerSet) -> None:
    draft.timers[event.state] = Timer(event.state, event.due, draft.at)


def _timer_fired(draft: Draft, event: TimerFired) -> None:
    draft.timers.pop(event.state, None)


def _signal_taken(draft: Draft, event: SignalTaken) -> None:
    draft.value(SIGNAL, event.value)
    if event.id:
        draft.heard[event.by, event.id] = draft.seq


def _cancelled(draft: Draft, event: Cancelled) -> None:
    draft.why = f"cancelled by {event.by}: {event.why}" if event.by or event.why else "cancelled"
    draft.by = event.by


def _finished(draft: Draft, event: Finished) -> None:
    draft.outcome = event.outcome
    draft.calls, draft.plans, draft.timers = {}, {}, {}


def _migrated(draft: Draft, event: Migrated) -> None:
    """What was counted under an old name goes on under the new one, and stays under the old: a state that is called so
    now does not begin its entries, and so the keys of its calls, once more.
    """
    draft.workflow, draft.version, draft.fingerprint = event.workflow, event.version, event.fingerprint
    draft.config = Config(event.states, event.history)
    names = dict(event.renamed)
    if not names:
        return
    values = [attrs.evolve(value, by=called(value.by, names)) for value in draft.recorded()]
    draft.values, draft.new = Trail(values), []
    kept = sorted(value.id for value in draft.newest.values())
    draft.newest = {(values[id].by, values[id].payload.contract): values[id] for id in kept}
    for state, count in list(draft.entries.items()):
        now = called(state, names)
        draft.entries[now] = max(count, draft.entries.get(now, 0))
    draft.calls = {id: attrs.evolve(call, renamed=called(call.state, names)) for id, call in draft.calls.items()}


def called(path: str, names: Mapping[str, str]) -> str:
    """What a state is called after a migration; one inside a compound goes with it."""
    inside, rest = path, ""
    while inside:
        if inside in names:
            return names[inside] + rest
        inside, slash, name = inside.rpartition("/")
        rest = slash + name + rest
    return path


def _forked_from(draft: Draft, event: ForkedFrom) -> None:
    """What is pure or idempotent is made again, under a key of this run; what is neither is not. A child begins now."""
    draft.root, draft.parent, draft.depth = draft.id, "", 0
    why = f"it was in flight in {event.run} when that was forked, which may have done it; here nothing was done"
    for call in list(draft.calls.values()):
        if call.status is CallState.STARTED and call.effect == "once" and call.kind != "person":
            _changed(draft, call.id, status=CallState.UNKNOWN, wake=None, why=why, copied=True)
        elif call.status is CallState.UNKNOWN:
            _changed(draft, call.id, copied=True)
        elif call.status is CallState.STARTED and call.kind == "workflow":
            _changed(draft, call.id, since=draft.at)


def _noted(draft: Draft, event: CallLate | ConflictSettled | SignalRefused | Erased | Purged | Switched) -> None:
    """Recorded, and nothing fires."""


_FIELDS = tuple(field.name for field in attrs.fields(Run))
_FIELDS_OF = attrgetter(*_FIELDS)
_APPLY: dict[type, Callable[[Any, Any], None]] = {
    RunStarted: _run_started,
    Moved: _moved,
    CallStarted: _call_started,
    CallAsked: _call_asked,
    CallDeferred: _call_deferred,
    CallRefused: _call_refused,
    CallCompleted: _call_completed,
    CallFailed: _call_failed,
    CallUnknown: _call_unknown,
    CallLate: _noted,
    Planned: _planned,
    CallPlanned: _call_planned,
    ConflictSettled: _noted,
    Assembled: _assembled,
    TimerSet: _timer_set,
    TimerFired: _timer_fired,
    SignalTaken: _signal_taken,
    SignalRefused: _noted,
    Cancelled: _cancelled,
    Finished: _finished,
    ForkedFrom: _forked_from,
    Migrated: _migrated,
    Erased: _noted,
    Purged: _noted,
    Switched: _noted,
}
