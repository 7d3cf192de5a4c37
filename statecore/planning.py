"""What the decider does about a plan: make it, start what is ready, and assemble what came of it.

Entering its state makes the plan, in one turn with the calls that it starts. From then on each outcome of a call is
recorded and fires nothing in the chart; it starts what waited for it, as long as fewer than `width` calls are open. A
parked call takes no place among these. With the last call the plan is over: answers that differ are settled, the
results assembled, and the assembly is the state's outcome.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import attrs

from statecore.call import CallState
from statecore.envelope import DERIVED
from statecore.errors import BadInput
from statecore.events import (
    Assembled,
    CallFailed,
    CallPlanned,
    CallStarted,
    ConflictSettled,
    Payload,
    Planned,
    part_of,
    plan_of,
    state_of,
)
from statecore.failures import Answer, Broken, Conflicting, Failure, Incomplete, PlanRefused, printable, told
from statecore.hints import named
from statecore.messages import Completed, Failed
from statecore.plan import Missing, Part, Plan, broken, fit_id, seconds
from statecore.planhandover import Filled, Inner, PlanOf
from statecore.schedule import Progress
from statecore.specialist import Specialist
from statecore.trail import Value
from statecore.versions import id_of

SAYS = 2_000
"""Characters of what a part is for that are kept."""

if TYPE_CHECKING:
    from statecore.decider import _Turn


def begin(turn: "_Turn", path: str) -> None:
    """The plan of a state that was just entered."""
    of, call = turn.machine.plans[path], f"{path}#{turn.run.entries[path]}"
    reads: tuple[int, ...] = ()
    try:
        if of.make is None:
            parts = tuple(attrs.evolve(part, call=f"{call}/{part.part}") for part in of.parts)
        else:
            assert of.make.fn is not None
            arguments, reads = turn.read(of.make.outer.params)
            parts = _made(of.plan, call, of.make.fn(**arguments))
    except PlanRefused as refused:
        fail(turn, call, refused)
    except Exception as error:
        fail(turn, call, _broken(of.make, error))
    else:
        turn.emit(Planned(call, len(parts), of.plan.width, of.plan.on_failure, reads), *parts)
        go_on(turn, call)


def landed(turn: "_Turn", call: str, failure: Failure | None) -> None:
    """A call of a plan has ended for good."""
    plan = plan_of(call)
    progress = turn.run.plans[plan]
    if failure is not None and (progress.on_failure == "stop" or progress.parts[part_of(call)].needed):
        fail(turn, plan, failure)
    else:
        go_on(turn, plan)


def go_on(turn: "_Turn", plan: str) -> None:
    """Start what is ready, or end the plan. What ends at once (refused, say) lands while this goes on, and is seen by
    it.
    """
    if plan in turn.going:
        return
    turn.going.add(plan)
    calls = turn.run.calls.values()
    parked = sum(call.status is CallState.UNKNOWN and plan_of(call.id) == plan for call in calls)
    while (progress := turn.run.plans.get(plan)) and progress.ready and progress.open - parked < progress.width:
        _start(turn, plan, progress)
    turn.going.discard(plan)
    if (progress := turn.run.plans.get(plan)) and progress.over:
        _conclude(turn, plan, progress)


def fail(turn: "_Turn", plan: str, failure: Failure, output: Payload | None = None) -> None:
    """The plan ends badly, and the chart gets this failure."""
    try:
        packed = turn.pack(failure)
    except BadInput as fault:  # what somebody's `make` or `complete` said may be text that no log holds
        failure = Broken("the plan", f"its {type(failure).__name__} cannot be stored: {told(fault)}")
        packed = turn.pack(failure)
    turn.emit(CallFailed(plan, packed, output=output, untouched=failure.nothing_happened))
    turn.fire(state_of(plan), Failed, failure)


# -- starting


def _made(plan: Plan, call: str, given: Any) -> tuple[CallPlanned, ...]:
    """The parts that `make` gave, as they are recorded. Raises PlanRefused by the name of the rule that is broken."""
    if not (isinstance(given, list | tuple) and all(isinstance(part, Part) for part in given)):
        raise TypeError(f"expected a list of Part(...), found {named(given)}")
    parts = tuple(_part(plan, call, part) for part in given)
    if found := broken(parts, plan):
        raise PlanRefused(found.rule, found.why, found.parts)
    return parts


def _part(plan: Plan, call: str, part: Part) -> CallPlanned:
    if not fit_id(part.id):
        raise PlanRefused(
            "printable ids", f"expected printable text without `#`, found {part.id!r}", (printable(f"{part.id}"),)
        )
    listed = isinstance(part.after, list | tuple) and all(isinstance(each, str) for each in part.after)
    texts = isinstance(part.says, str) and isinstance(part.answers, str)
    if not (listed and texts and seconds(part.expects)):
        raise PlanRefused(
            "shape", f"expected ids in after={part.after!r} and seconds in expects={part.expects!r}", (part.id,)
        )
    declared = next((each for each in plan.parts if each.does.id == getattr(part.does, "id", "")), None)
    if declared is None:
        known = ", ".join(each.does.name for each in plan.parts)
        raise PlanRefused("known type", f"expected one of {known}, found {named(part.does)}", (part.id,))
    if (
        part.give is not None
        or part.needed
        or (part.policy != declared.policy and part.policy != Part(part.does).policy)
    ):
        raise PlanRefused("policy", "how a part is called stands in `of`: leave it out here", (part.id,))
    if part.answers and plan.conflicts is None:
        raise PlanRefused("conflicts", f"it answers `{part.answers}`, and the plan has no `conflicts=`", (part.id,))
    try:
        request = part.does.takes.pack(part.request)
    except BadInput as fault:
        raise PlanRefused("contract", told(fault), (part.id,)) from None
    return CallPlanned(
        f"{call}/{part.id}",
        part.does.name,
        tuple(part.after),
        request,
        float(part.expects),
        declared.needed,
        printable(part.answers),
        printable(part.says)[:SAYS],
    )


def _start(turn: "_Turn", plan: str, progress: Progress) -> None:
    """The part that is due next."""
    id = progress.next
    assert id is not None
    of, call, planned = turn.machine.plans[state_of(plan)], f"{plan}/{id}", progress.parts[id]
    work, reads, request = of.plan.part(id, planned.type), progress.reads, planned.request
    if planned.request is None:
        function = of.gives[id]
        try:
            arguments, reads = _arguments(turn, function, progress)
            request = turn.request(work.does, function.fn, arguments, reads)
        except Exception as error:
            failure = _broken(function, error)
            turn.emit(CallFailed(call, turn.pack(failure)))
            landed(turn, call, failure)
            return
    else:
        request = None
    turn.admit(first(call, work.specialists[0], 0, reads, request), None)


# -- what a function of the plan reads


def _arguments(
    turn: "_Turn", function: Filled, progress: Progress, stands: frozenset[str] | None = None
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """`stands`: the parts whose answers count; None: all."""
    arguments, reads = turn.read(function.outer.params)
    ids = list(reads)
    for inner in function.inner:
        found = list(_results(turn, inner, progress, stands))
        ids += [value.id for value in found]
        made = [turn.handed(inner.param, value) for value in found]
        arguments[inner.param.name] = made if inner.param.many else made[0] if made else None
    return arguments, tuple(ids)


def _results(turn: "_Turn", inner: Inner, progress: Progress, stands: frozenset[str] | None) -> Iterator[Value]:
    """Results of the plan that fit a parameter, in the order of the plan; of one that takes a single one, the first."""
    for part in progress.parts if inner.parts is None else inner.parts:
        id = progress.done.get(part, progress.failed.get(part))
        if id is None or (stands is not None and part not in stands):
            continue
        value = turn.run.value_at(id)
        if turn.machine.reader(value.payload.contract, inner.param.wants) is not None:
            yield value
            if not inner.param.many:
                return


# -- ending


def _conclude(turn: "_Turn", plan: str, progress: Progress) -> None:
    """All that could run has ended."""
    of = turn.machine.plans[state_of(plan)]
    if progress.failed and progress.on_failure == "continue":
        fail(turn, plan, _live(turn, min(progress.failed.values())))
        return
    try:
        settled = _settled(turn, of.plan, plan, progress)
        missing = tuple(_missing(turn, progress))
        payload, reads = _assembled(turn, of, progress, settled, missing)
        items = _lacking(turn, of, payload)
    except _Ends as ends:
        fail(turn, plan, ends.failure)
        return
    turn.emit(*settled)
    if items:
        assert of.plan.complete is not None
        fail(turn, plan, Incomplete(named(of.plan.complete), items), payload)
    else:
        turn.emit(_made_of(turn, Assembled(plan, payload, tuple((each.part, each.why) for each in missing), reads)))
        turn.fire(state_of(plan), Completed, payload.live)


def _settled(turn: "_Turn", plan: Plan, call: str, progress: Progress) -> list[ConflictSettled]:
    """How answers to one key are settled that differ. Raises _Ends with Conflicting where the rule cannot tell."""
    groups: dict[str, list[str]] = {}
    for id, part in progress.parts.items():
        if part.answers and id in progress.done:
            groups.setdefault(part.answers, []).append(id)
    out = []
    for key, parts in groups.items():
        if plan.conflicts is None or len(parts) < 2:
            continue
        live = {part: _live(turn, progress.done[part]) for part in parts}
        try:
            on = plan.conflicts.on
            answers = {part: on(value) if on else value for part, value in live.items()}
            first = answers[parts[0]]
            if all(answer == first for answer in answers.values()):
                continue
            chosen = plan.conflicts.choose(answers)
        except Exception as error:
            raise _Ends(Broken(plan.conflicts.name, _text(error))) from None
        if chosen is None:
            said = tuple(Answer(part, _json(turn, progress.done[part])) for part in parts)
            raise _Ends(Conflicting(key, said))
        out.append(ConflictSettled(call, key, plan.conflicts.name, chosen, tuple(parts)))
    return out


def _missing(turn: "_Turn", progress: Progress) -> Iterator[Missing]:
    for id in progress.parts:
        if id in progress.failed:
            yield Missing(id, told(_live(turn, progress.failed[id])))
        elif id in progress.skipped:
            yield Missing(id, f"waited for `{progress.skipped[id]}`, which failed")


def _assembled(
    turn: "_Turn", of: PlanOf, progress: Progress, settled: Iterable[ConflictSettled], missing: tuple[Missing, ...]
) -> tuple[Payload, tuple[int, ...]]:
    """What `assemble` makes. Of parts that answered one key alike, the first stands. Where it is told what is missing, it
    is made of these failures too. Raises _Ends.
    """
    lost = {part for each in settled for part in each.parts if part != each.chosen}
    first: dict[str, str] = {}
    for id, part in progress.parts.items():
        if part.answers and id in progress.done and id not in lost and first.setdefault(part.answers, id) != id:
            lost.add(id)
    stands = frozenset(progress.parts).difference(lost)
    function = of.assemble
    assert function.fn is not None
    try:
        arguments, reads = _arguments(turn, function, progress, stands)
        arguments |= {name: list(missing) for name in function.missing}
        reads = tuple(dict.fromkeys((*reads, *(progress.failed.values() if function.missing else ()))))
        return turn.machine.contracts[id_of(of.plan.gives)].pack(function.fn(**arguments)), reads
    except Exception as error:
        raise _Ends(_broken(function, error)) from None


def _made_of(turn: "_Turn", assembled: Assembled) -> Assembled:
    """With what travels beside the values that it was made of."""
    values = [turn.run.value_at(id) for id in assembled.reads]
    parts = [value for value in values if value.part and value.by == state_of(assembled.call)]
    return attrs.evolve(
        assembled,
        trusted=DERIVED if all(value.trusted for value in values) else "",
        warnings=tuple(dict.fromkeys(f"{value.part}: {warning}" for value in parts for warning in value.warnings)),
        fallback=any(value.fallback for value in parts),
    )


def _lacking(turn: "_Turn", of: PlanOf, payload: Payload) -> tuple[str, ...]:
    """What was asked for and is not in the assembly. Raises _Ends."""
    if (function := of.complete) is None:
        return ()
    assert function.fn is not None
    try:
        arguments, _ = turn.read(function.outer.params)
        found = function.fn(**arguments, **{function.assembly: payload.live})
        if not all(isinstance(item, str) for item in found):
            raise TypeError(f"expected a list of texts, found {found!r}")
        return tuple(found)
    except Exception as error:
        raise _Ends(_broken(function, error)) from None


class _Ends(Exception):
    """The plan ends in this failure."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


def _live(turn: "_Turn", id: int) -> Any:
    return turn.machine.read(turn.run.value_at(id).payload)


def _json(turn: "_Turn", id: int) -> str:
    return turn.run.value_at(id).payload.data.decode()


def _broken(function: Filled | None, error: Exception) -> Broken:
    return Broken(named(function.fn) if function and function.fn else "the plan", _text(error))


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {told(error)}"


def first(
    id: str, specialist: Specialist[Any, Any], rank: int, reads: tuple[int, ...] = (), request: Payload | None = None
) -> CallStarted:
    """The first attempt of a specialist."""
    kind = "" if specialist.here else specialist.kind
    return CallStarted(id, specialist.id, 1, rank, specialist.effect, reads, request, kind=kind)
