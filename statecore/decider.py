"""Theory of operation. Everything that decides is in this file, and for plans in `planning.py`. It waits for nothing.

A run is where its chart is, the values recorded so far, and the calls that are open. An input (an outcome, a
signal, a wait that is over, a crash that cut a call) is answered by one turn: a list of events, appended together
or not at all.

1. An outcome belongs to an open call and its current attempt; any other is late: recorded, and nothing fires.
2. An output is judged before it is believed: by the contract, then by the after-guards. What is rejected counts as
   Failed[Rejected].
3. A failure that another attempt may mend waits for it (never around a `once` effect). Then come the fallbacks,
   after an effect only if every failure proves that nothing happened. Then the chart is asked. What cannot be known
   parks the call.
4. The table gives the row for (configuration, letter). Its questions are answered by the payload and by the run, and
   the answers are recorded with the move: a condition that changes later cannot rewrite the past. A used-up bound
   with nothing after it makes the outcome Failed[Exhausted]; a condition that raises makes it Failed[Broken].
   What a call of a plan ends in is asked of the plan instead (`planning.py`); what the plan ends in is the state's.
5. A place that is entered and has a time gets a timer; what it is over for is looked up as any outcome is, and never
   before its time. Every state entered that has something to do wants its call: the hand-over makes the request of
   recorded values, the guards are asked, and the call starts, is deferred, or is refused; a refusal goes through 3
   again, in the same turn.
6. A person who is asked is a call that nobody makes. What is no answer is refused to the one who gives it, and changes
   nothing; the deadline brings the next fallback, the declared answer, or Failed[TimedOut].

`decide` is a pure function of (machine, run, input, what the guards answer). Nothing here looks at a clock: an
input brings its time.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

import attrs

from statecore import planning
from statecore.admission import Admission, Guarded
from statecore.call import Call, CallState
from statecore.chart import START
from statecore.declare import State
from statecore.envelope import DERIVED
from statecore.errors import BadInput, NotPossible, StatecoreError
from statecore.events import (
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallRefused,
    CallStarted,
    CallUnknown,
    Cancelled,
    Event,
    Finished,
    Moved,
    Payload,
    RunStarted,
    SignalRefused,
    SignalTaken,
    TimerFired,
    TimerSet,
    plan_of,
)
from statecore.failures import (
    Broken,
    Crashed,
    Exhausted,
    Failure,
    NotDone,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    mendable,
    printable,
    told,
)
from statecore.guard import Defer, Pass, Question, Refuse, Side, Verdict
from statecore.handover import SIGNAL, Handover, Param, Recorded
from statecore.messages import Cancel, Completed, Elapsed, Failed, Input, Interrupted, Signal, Start
from statecore.person import Person
from statecore.plan import Part
from statecore.planning import first
from statecore.run import Draft, Run
from statecore.specialist import Specialist
from statecore.table import Ask, Move, Row
from statecore.trail import Value
from statecore.versions import id_of, name_of
from statecore.wait import moment_of, spoken
from statecore.workflow import Machine

RETRY_BASE, RETRY_CAP = 1.0, 60.0
"""Seconds before the second attempt, doubled for each further one, and their most. Half of each wait is jitter from
the call's key.
"""

MAX_CUTS = 5
"""How often a crash may cut the same attempt before the call is taken for what kills the process, and parked."""


MAX_DEPTH = 16
"""How many runs may stand above a child run. Deeper, the call is refused: a workflow that calls itself has an end."""


Asked = tuple[tuple[str, bool], ...]
"""Questions and the answers they got, in the order asked."""


def decide(machine: Machine, run: Run, input: Input, admission: Admission | None = None) -> tuple[Event, ...]:
    """The events of the turn that answers `input`; empty where nothing changes.

    Raises BadInput where the input of a start or a signal is not what its contract admits, NotPossible where the
    run is finished or was started on another fingerprint.
    """
    return step(machine, run, input, admission)[0]


def step(machine: Machine, run: Run, input: Input, admission: Admission | None = None) -> tuple[tuple[Event, ...], Run]:
    """`decide`, and the run as the events leave it."""
    if run.fingerprint and run.fingerprint != machine.fingerprint:
        raise NotPossible(
            f"{run.id} was started on {run.workflow} {run.version} with fingerprint {run.fingerprint[:12]}, and the"
            f" loaded one is {machine.fingerprint[:12]}: load the declaration that it was started on"
        )
    turn = _Turn(machine, run, input.at, admission or Guarded())
    turn.take(input)
    return tuple(turn.events), turn.run.run() if turn.events else run


class _Turn:
    """The events so far, and the run as they leave it."""

    def __init__(self, machine: Machine, run: Run, at: float, admission: Admission) -> None:
        self.machine, self.run, self.at, self.admission = machine, Draft(run, at), at, admission
        self.events: list[Event] = []
        self.going: set[str] = set()

    def emit(self, *events: Event) -> None:
        for event in events:
            self.events.append(event)
            self.run.apply(event)
            self.admission.note(self.run.id, event)

    def take(self, input: Input) -> None:
        match input:
            case Start():
                self.start(input)
            case Completed() | Failed():
                self.outcome(input)
            case Signal():
                self.signal(input)
            case Elapsed():
                self.elapsed(input)
            case Interrupted():
                self.interrupted(input)
            case Cancel(by=by, why=why):
                self.not_finished()
                self.emit(Cancelled(by, why), Finished("cancelled"))

    def not_finished(self) -> None:
        if self.run.outcome:
            raise NotPossible(f"{self.run.id} is {self.run.outcome}: a finished run does not change any more")

    # -- inputs

    def start(self, input: Start) -> None:
        if self.run.seq:
            raise NotPossible(f"{self.run.id} is there already: start a run under a name of its own")
        chart, value = self.machine.chart, self.machine.takes.pack(input.value)
        self.run.id = input.run
        named = (chart.name, chart.version, self.machine.fingerprint)
        whose = (input.tenant, input.root, input.trusted)
        self.emit(RunStarted(*named, value, *whose, input.parent, input.depth))
        if chart.within is not None:
            self.emit(TimerSet(START, input.at + chart.within))
        self.move(self.machine.table.start)

    def outcome(self, input: Completed[Any] | Failed[Failure]) -> None:
        call = self.open_call(input)
        if call is None:
            if not input.child:  # a child's end stands in the child's own log, and is heard of once
                self.late(input)
        elif call.kind == "person":
            self.answered(call, input)
        elif isinstance(input, Failed):
            self.failed(call, self.believable(call, input.value, bool(input.by)), input)
        else:
            self.completed(call, input)

    def open_call(self, input: Completed[Any] | Failed[Failure]) -> Call | None:
        """The call that an outcome answers; None where it is over, or another attempt is open, or only a person may
        settle it.
        """
        calls = self.run.calls
        id = input.call or (next(iter(calls)) if len(calls) == 1 else "")
        call = calls.get(id)
        if call is None or input.attempt not in (0, call.attempt) or input.rank not in (None, call.rank):
            return None
        expected = CallState.UNKNOWN if input.by and call.kind != "person" else CallState.STARTED
        return call if call.status is expected else None

    def late(self, input: Completed[Any] | Failed[Failure]) -> None:
        contract = self.machine.contract(type(input.value))
        try:
            value = contract.pack(input.value) if contract else None
        except BadInput:
            value = None
        kind = type(input).__name__
        fallback = Crashed("late", f"an outcome that is no contract of {self.machine.name}")
        self.emit(CallLate(input.call or "", kind, value or self.pack(fallback), input.attempt))

    def signal(self, input: Signal[Any]) -> None:
        value = self.machine.stated(input.value)
        if input.id and (input.by, input.id) in self.run.heard:
            return
        contract = self.machine.signal(value.contract)
        if contract is None:
            names = ", ".join(contract.name for contract in self.machine.signals) or "none"
            why = f"{self.machine.name} waits for no signal of this type, in no state: it knows {names}"
            self.emit(SignalRefused(value, why, input.by, input.id))
            return
        letter = self.machine.table.letter(None, Signal, contract.cls)
        row = self.machine.table.rows.get((self.run.config, letter)) if letter else None
        if self.run.outcome or row is None:
            where = self.run.outcome or str(self.run.config)
            self.emit(SignalRefused(value, f"nothing waits for it in {where}", input.by, input.id))
            return
        try:
            move, asked = self.walk(row, value.live)
            reply = self.reply(move, value)
        except _Raised as raised:
            self.emit(SignalRefused(value, str(raised.broken), input.by, input.id))
            return
        if move is None:
            said = " and ".join(text if yes else f"not {text}" for text, yes in asked)
            self.emit(SignalRefused(value, f"nothing answers it when {said}", input.by, input.id))
        else:
            self.emit(SignalTaken(value, input.by, input.id, reply))
            self.move(move, asked)

    def reply(self, move: Move | None, payload: Payload) -> Payload | None:
        """What the sender of a signal is told, made of the payload and of what is recorded so far."""
        replies = (
            [self.machine.replies[name] for name in move.transitions if name in self.machine.replies] if move else []
        )
        if not replies or replies[0].fn is None:
            return None
        fn, cls = replies[0].fn, type(payload.live)
        try:
            params = replies[0].params
            arguments, _ = self.read(tuple(param for param in params if param.many or not param.fits(SIGNAL, cls)))
            for param in params:
                if param.fits(SIGNAL, cls):
                    live = self.machine.read(payload, param.wants)
                    said = Recorded(live, SIGNAL, "", 0, False) if param.envelope else live
                    arguments[param.name] = [*arguments[param.name], said] if param.many else said
            return self.pack(fn(**arguments))
        except Exception as error:
            raise _Raised(Broken(getattr(fn, "__name__", "reply"), _text(error))) from None

    def elapsed(self, input: Elapsed) -> None:
        if input.state:
            self.over(input.state)
            return
        call = self.run.calls.get(input.call or "")
        if call is not None and call.kind == "person" and call.status is CallState.STARTED:
            self.overdue(call)
            return
        if call is None or call.status not in (CallState.WAITING, CallState.DEFERRED):
            return
        attempt, cuts = (call.attempt + 1, 0) if call.status is CallState.WAITING else (call.attempt, call.cuts)
        self.admit(again(call, self.specialist(call), attempt, cuts), call)

    def over(self, path: str) -> None:
        """The time of a place, unless it was left meanwhile, or entered anew."""
        timer = self.run.timers.get(path)
        if timer is None or self.at < timer.due:
            return
        self.emit(TimerFired(path))
        letter = self.machine.table.letter(path, Elapsed, type(None))
        if path != START or (letter and self.machine.table.rows.get((self.run.config, letter)) is not None):
            self.fire(path, Elapsed, None)

    def overdue(self, call: Call) -> None:
        """Nobody answered in time."""
        person = self.specialist(call)
        if not isinstance(person, Person) or person.within is None or call.wake is None or self.at < call.wake:
            return
        why = f"nobody answered within {spoken(person.within)}"
        if person.otherwise is None:
            failure = TimedOut(why, person.within)
            self.failed(call, failure, Failed(failure, call.id, at=self.at))
        else:
            value = self.pack(person.otherwise)
            self.emit(CallCompleted(call.id, value, call.attempt, why=why))
            self.ended(call, Completed, value.live)

    def interrupted(self, input: Interrupted) -> None:
        call = self.run.calls.get(input.call)
        if call is not None and call.copied and (plan := plan_of(call.id)) in self.run.plans:
            planning.go_on(self, plan)  # a fork parked it, and starts nothing: what does not wait for it goes on here
            return
        if call is None or call.status is not CallState.STARTED or call.kind:
            return
        if call.effect == "once":
            self.unknown(call, input.why)
        elif call.cuts >= MAX_CUTS:
            why = f"the process ended {call.cuts + 1} times while it was in flight"
            self.parked(CallUnknown(call.id, why, call.attempt))
        else:
            self.admit(again(call, self.specialist(call), call.attempt, call.cuts + 1), call)

    # -- outcomes of a call

    def answered(self, call: Call, input: Completed[Any] | Failed[Failure]) -> None:
        """What a person says, judged before anything is recorded. Raises BadInput, NotPossible."""
        person = self.specialist(call)
        gives = " or ".join(given.name for given in person.gives)
        if isinstance(input, Failed):
            raise NotPossible(
                f"{call.id} of {self.run.id} asks a person: expected {gives} for an answer, found a failure"
            )
        if not input.by.strip():
            raise BadInput(f"expected the name of who answers {call.id} of {self.run.id}, found none: say `by`")
        if isinstance(person, Person) and person.who and input.by not in person.who:
            raise NotPossible(
                f"{call.id} of {self.run.id} is not for {input.by} to answer: expected {' or '.join(person.who)}; let one"
                " of them answer"
            )
        contract = person.gives_named(name_of(type(input.value))) or person.gives[0]
        value = contract.pack(input.value)
        guard, verdict = self.judged("after", call, value.live)
        if isinstance(verdict, Refuse):
            raise BadInput(
                f"guard {guard} does not admit this answer to {call.id}: {verdict.why}: answer something else"
            )
        self.emit(CallCompleted(call.id, value, call.attempt, input.by, input.why, trusted=guard))
        self.ended(call, Completed, value.live)

    def completed(self, call: Call, input: Completed[Any]) -> None:
        specialist = self.specialist(call)
        contract = specialist.gives_named(name_of(type(input.value)))
        given = " | ".join(given.id for given in specialist.gives)
        if contract is None:
            contract = specialist.gives[0]
        try:
            value = contract.pack(input.value)
        except BadInput as fault:
            self.failed(call, Rejected(f"contract {given}", fault.faults), input)
            return
        guard, verdict = self.judged("after", call, value.live)
        if isinstance(verdict, Refuse):
            self.failed(call, self.named(call, verdict) or Rejected(guard, (verdict.why,)), input, value)
            return
        trusted = guard or (DERIVED if specialist.derives and self.trusted(call) else "")
        warnings = tuple(printable(warning)[:2000] for warning in input.warnings)
        self.emit(CallCompleted(call.id, value, call.attempt, input.by, input.why, warnings, trusted))
        self.ended(call, Completed, value.live)

    def believable(self, call: Call, failure: Failure, settled: bool) -> Failure:
        """The failure itself where it is one that the call may end in; Crashed for any other."""
        declared = (*self.specialist(call).may_fail(), *(f for guard in self.work(call).guards for f in guard.fails))
        if isinstance(failure, declared) or (settled and isinstance(failure, NotDone)):
            if isinstance(failure, OutcomeUnknown) or not (fault := self.unfit(call, failure)):
                return failure
        else:
            fault = f"not declared in `fails` of {call.specialist}"
        said = told(failure) if isinstance(failure, BaseException) else type(failure).__name__
        return Crashed(type(failure).__name__, f"{fault}: {said}"[:2000])

    def named(self, call: Call, verdict: Refuse) -> Failure | None:
        """The failure that a guard answered with, where the chart can be given it."""
        failure = verdict.failure
        return failure if isinstance(failure, Failure) and not self.unfit(call, failure) else None

    def unfit(self, call: Call, failure: Failure) -> str:
        """Why the chart cannot be given a failure; "" where it can."""
        contract = self.machine.contract(type(failure))
        if contract is None:
            return f"no failure that {self.machine.name} knows: list {type(failure).__name__} in `fails`"
        try:
            contract.pack(failure)
        except BadInput as fault:
            return f"a failure that breaks its own contract ({told(fault)})"
        letter = self.machine.table.letter(call.state, Failed, type(failure))
        answered = letter is not None and self.machine.table.rows.get((self.run.config, letter)) is not None
        if (plan := self.machine.plans.get(call.state)) and not plan.plan.ends_with(
            plan.plan.part(call.part, call.type)
        ):
            return ""
        return "" if answered else f"no failure that anything answers in `{self.run.config}`"

    def failed(
        self, call: Call, failure: Failure, input: Completed[Any] | Failed[Failure], output: Payload | None = None
    ) -> None:
        if isinstance(failure, OutcomeUnknown) or (
            isinstance(failure, TimedOut) and call.effect == "once" and not call.kind
        ):
            self.unknown(call, printable(failure.why) or told(failure))
            return
        settled = bool(input.by)
        untouched = failure.nothing_happened
        event = CallFailed(
            call.id, self.pack(failure), call.attempt, None, "", output, input.by, input.why, input.detail, untouched
        )
        if not settled and self.again(call, failure):
            self.emit(attrs.evolve(event, again=self.at + wait(call, failure)))
        elif not settled and (following := self.following(call, untouched)):
            self.emit(attrs.evolve(event, next=following.id))
            self.admit(first(call.id, following, call.rank + 1), call)
        else:
            self.emit(event)
            self.ended(call, Failed, failure)

    def again(self, call: Call, failure: Failure) -> bool:
        """Whether another attempt may mend it. A person is not asked the same thing twice."""
        able = call.effect != "once" and call.kind != "person" and mendable(failure)
        return able and call.attempt < self.work(call).attempts

    def following(self, call: Call, untouched: bool) -> Specialist[Any, Any] | None:
        """The fallback that may be tried: after an effect only if it is known of every attempt that nothing
        happened.
        """
        specialists = self.work(call).specialists
        safe = call.effect == "pure" or (call.untouched and untouched)
        return specialists[call.rank + 1] if safe and call.rank + 1 < len(specialists) else None

    def unknown(self, call: Call, why: str) -> None:
        """Parked, unless a transition names Failed[OutcomeUnknown]."""
        failure = OutcomeUnknown(why)
        if self.machine.table.letter(call.state, Failed, OutcomeUnknown) is None:
            self.parked(CallUnknown(call.id, why, call.attempt))
        else:
            self.emit(CallFailed(call.id, self.pack(failure), call.attempt))
            self.ended(call, Failed, failure)

    def parked(self, event: CallUnknown) -> None:
        self.emit(event)
        if (plan := plan_of(event.call)) in self.run.plans:
            planning.go_on(self, plan)

    def ended(self, call: Call, kind: type, value: Any) -> None:
        """A call has its outcome: of its plan, or of its state."""
        if plan_of(call.id) in self.run.plans:
            planning.landed(self, call.id, value if kind is Failed else None)
        else:
            self.fire(call.state, kind, value)

    # -- the chart

    def fire(self, of: str, kind: type, value: Any, instead: Failure | None = None, before: Asked = ()) -> None:
        """Look the outcome up and take the move. `instead`: the failure that took its place; `before`: what was
        asked until then.
        """
        table = self.machine.table
        letter = table.letter(of, kind, type(value))
        row = table.rows.get((self.run.config, letter)) if letter else None
        try:
            move, said = self.walk(row, value, lenient=instead is not None)
        except _Raised as raised:
            self.fire(of, Failed, raised.broken, raised.broken, before)
            return
        asked = (*before, *said)
        if move is not None:
            self.move(move, asked, of, self.pack(instead) if instead else None)
        elif (failure := self.exhausted(asked)) and not isinstance(instead, Exhausted):
            self.fire(of, Failed, failure, failure, asked)
        else:
            raise StatecoreError(
                f"{self.run.id}: nothing answers the outcome of `{of}` in `{self.run.config}`: the table is not"
                " complete"
            )

    def exhausted(self, asked: Asked) -> Exhausted | None:
        """The failure for the first bound that was used up on the way."""
        bounds = {f"{arrow.name} < {arrow.at_most}": arrow.name for arrow in self.machine.chart.arrows if arrow.at_most}
        name = next((bounds[text] for text, said in asked if not said and text in bounds), None)
        return Exhausted(name, self.run.taken.get(name, 0)) if name else None

    def walk(self, row: Row, value: Any, lenient: bool = False) -> tuple[Move | None, Asked]:
        """Answer the questions of a row. A condition that raises ends it, or, `lenient`, answers no."""
        asked: list[tuple[str, bool]] = []
        while isinstance(row, Ask):
            question = row.question
            if question.limit is not None:
                said = self.run.taken.get(question.transition, 0) < question.limit
            else:
                assert question.cond is not None
                try:
                    said = bool(question.cond(value))
                except Exception as error:
                    if not lenient:
                        raise _Raised(Broken(question.text, _text(error))) from None
                    said = False
            asked.append((question.text, said))
            row = row.yes if said else row.no
        return row, tuple(asked)

    def move(self, move: Move, asked: Asked = (), of: str = "", instead: Payload | None = None) -> None:
        config, of = move.config, of if instead else ""
        self.emit(Moved(move.transitions, config.states, move.left, move.entered, asked, config.history, of, instead))
        nodes = self.machine.chart.nodes
        for path in config.states:
            if nodes[path].final and nodes[path].parent is None:
                self.emit(Finished(nodes[path].outcome))
                return
        self.set_timers(move.entered)
        machine = self.machine
        due = {p: self.run.entries[p] for p in move.entered if p in machine.handovers or p in machine.plans}
        # What one state wants may fail at once and move the run on, out of the others or into them again.
        for path, entry in due.items():
            if path in self.run.config.states and self.run.entries[path] == entry and not self.run.outcome:
                self.want(path)

    # -- time

    def set_timers(self, entered: tuple[str, ...]) -> None:
        for path in entered:
            if (span := self.machine.chart.timed.get(path)) is not None:
                self.emit(TimerSet(path, self.at + span))

    def wait_until(self, path: str) -> None:
        compiled = self.machine.handovers[path]
        assert compiled.fn is not None
        try:
            arguments, reads = self.read(compiled.params)
            due = moment_of(compiled.fn(**arguments))
        except Exception as error:
            self.broken(path, compiled, error)
        else:
            self.emit(TimerSet(path, due, reads))

    # -- calls

    def want(self, path: str) -> None:
        """The call of a state that was just entered."""
        if path in self.machine.plans:
            planning.begin(self, path)
            return
        id = f"{path}#{self.run.entries[path]}"
        state = self.machine.chart.state(path)
        if state.wait is not None:
            self.wait_until(path)
            return
        compiled = self.machine.handovers[path]
        try:
            arguments, reads = self.read(compiled.params)
            assert state.does is not None
            request = self.request(state.does, compiled.fn, arguments, reads)
        except Exception as error:
            self.broken(path, compiled, error)
            return
        self.admit(first(id, state.specialists[0], 0, reads, request), None)

    def request(
        self,
        does: Specialist[Any, Any],
        fn: Callable[..., Any] | None,
        arguments: dict[str, Any],
        reads: tuple[int, ...],
    ) -> Payload | None:
        """What a call is asked; None where it is the value that was read first, as it is. One of another version is
        handed over as what it was made into.
        """
        read = self.run.value_at(reads[0]).payload if reads else None
        if fn is None and read is not None and read.contract == does.takes.id:
            return None
        made = does.takes.pack(fn(**arguments) if fn else arguments["request"])
        return None if made == read else made

    def broken(self, path: str, compiled: Handover, error: Exception) -> None:
        """A function of the workflow that raised: recorded under the call that it would have made."""
        broken = Broken(getattr(compiled.fn, "__name__", compiled.text), _text(error))
        self.emit(CallFailed(f"{path}#{self.run.entries[path]}", self.pack(broken)))
        self.fire(path, Failed, broken)

    def read(self, params: tuple[Param, ...]) -> tuple[dict[str, Any], tuple[int, ...]]:
        """The arguments of a hand-over, and the ids of the values they were made of."""
        arguments: dict[str, Any] = {}
        ids: list[int] = []
        for param in params:
            found = self.fitting(param)
            if not (found or param.many or param.optional):
                raise MissingContext(self.missing(param))
            ids += [value.id for value in found]
            made = [self.handed(param, value) for value in found]
            arguments[param.name] = made if param.many else made[0] if made else None
        return arguments, tuple(ids)

    def missing(self, param: Param) -> str:
        """A checked declaration always has it; a run that was moved to another one, or edited, may not."""
        gives = [node.path for node in self.machine.chart.working if self.may_give(node.path, param)]
        named = ", ".join(f"`{path}`" for path in gives) or "the run's input or a signal"
        return f"`{param}`, which {named} should have given; the dependency may have failed"

    def may_give(self, path: str, param: Param) -> bool:
        return any(param.fits(path, cls) for cls in self.machine.chart.gives(path))

    def fitting(self, param: Param) -> list[Value]:
        fits = self.machine.fits
        if param.many:
            return [value for value in self.run.recorded() if fits(param, value.by, value.payload.contract)]
        newest = [value for (by, contract), value in self.run.newest.items() if fits(param, by, contract)]
        return [max(newest, key=_place)] if newest else []

    def handed(self, param: Param, value: Value) -> Any:
        live = self.machine.read(value.payload, param.wants)
        if not param.envelope:
            return live
        made = (value.specialist, value.attempt, value.fallback)
        return Recorded(live, value.by, *made, value.warnings, value.trusted, value.part)

    def admit(self, wanted: CallStarted, before: Call | None) -> None:
        """Ask the guards; start, defer or refuse. `before`: the call as it is open already, where it is."""
        call = self.run.opening(wanted, CallState.STARTED)
        live = self.specialist(call).takes.unpack(call.request)
        guard, verdict = self.judged("before", call, live)
        if isinstance(verdict, Pass) and call.kind == "workflow" and self.run.depth >= MAX_DEPTH:
            guard, verdict = "depth", Refuse(f"{MAX_DEPTH} runs stand above {self.run.id}, which is as deep as it goes")
        if isinstance(verdict, Pass):
            asked = self.work(call).specialists[wanted.rank]
            within = asked.within if isinstance(asked, Person) else None
            self.emit(wanted if within is None else attrs.evolve(wanted, due=self.at + within))
        elif isinstance(verdict, Defer):
            self.defer(wanted, before, guard, verdict)
        else:
            self.refuse(call, guard, verdict)

    def defer(self, wanted: CallStarted, before: Call | None, guard: str, verdict: Defer) -> None:
        deferred = CallDeferred(wanted.call, guard, verdict.why, verdict.wake)
        same = before is not None and (before.rank, before.attempt) == (wanted.rank, wanted.attempt)
        if before is not None and same and before.status is CallState.DEFERRED:
            if (before.guard, before.why, before.wake) != (guard, verdict.why, verdict.wake):
                self.emit(deferred)
            return
        self.emit(CallAsked(**attrs.asdict(wanted, recurse=False)), deferred)

    def refuse(self, call: Call, guard: str, verdict: Refuse) -> None:
        failure = self.named(call, verdict) or Refused(guard, verdict.why)
        refused = CallRefused(call.id, guard, verdict.why, self.pack(failure))
        if following := self.following(call, True):
            wanted = first(call.id, following, call.rank + 1, call.reads, call.request)
            self.emit(attrs.evolve(refused, next=following.id))
            self.admit(wanted, self.run.calls.get(call.id))
        else:
            self.emit(refused)
            self.ended(call, Failed, failure)

    # -- look-ups

    def work(self, call: Call) -> State | Part:
        return self.machine.chart.work(call)

    def specialist(self, call: Call) -> Specialist[Any, Any]:
        return self.machine.chart.specialist(call)

    def pack(self, value: Any) -> Payload:
        return self.machine.contracts[id_of(type(value))].pack(value)

    def judged(self, side: Side, call: Call, value: Any) -> tuple[str, Verdict]:
        """What the guards say: who decided, and how."""
        return self.admission.ask(side, self.work(call).guards, partial(self.question, call, value))

    def question(self, call: Call, value: Any) -> Question[Any]:
        asked = (call.id, call.state, call.specialist, call.attempt, call.effect)
        sources = tuple(dict.fromkeys(self.run.value_at(id).by for id in call.reads))
        more = self.following(call, True) is not None
        return Question(value, self.run.id, *asked, self.at, self.run.tenant, sources, self.trusted(call), more)

    def trusted(self, call: Call) -> bool:
        """Whether everything that the request of a call was made of is trusted."""
        return all(self.run.value_at(id).trusted for id in call.reads)


def again(call: Call, specialist: Specialist[Any, Any], attempt: int, cuts: int) -> CallStarted:
    """A further attempt of the specialist that has the call, or the same one after a cut: of the version that is here
    now, whichever was called before.
    """
    return CallStarted(call.id, specialist.id, attempt, call.rank, call.effect, cuts=cuts, kind=call.kind)


class MissingContext(LookupError):
    """A hand-over needs a value that no state gave."""

    def __str__(self) -> str:
        return f"missing required context: {self.args[0]}"


class _Raised(Exception):
    def __init__(self, broken: Broken) -> None:
        self.broken = broken


_place = attrgetter("id")


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {told(error)}"


def wait(call: Call, failure: Failure) -> float:
    """Seconds before the next attempt. The jitter derives from the call's key, so a rebuild finds the same."""
    step = min(RETRY_CAP, RETRY_BASE * 2 ** min(call.attempt - 1, 30))
    spread = int.from_bytes(hashlib.sha256(f"{call.key}{call.attempt}".encode()).digest()[:4], "big") / 2**32
    asked = failure.retry_after or 0.0 if isinstance(failure, RateLimited) else 0.0
    return float(max(step * (0.5 + spread / 2), asked))
