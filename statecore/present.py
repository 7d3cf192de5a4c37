"""A run in words and as plain data: where it is, how it got there, and what it will do next."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from statecore.call import Call, CallState, child_of
from statecore.chart import START
from statecore.events import (
    CallCompleted,
    CallFailed,
    CallStarted,
    CallUnknown,
    Event,
    ForkedFrom,
    Moved,
    Payload,
    Turn,
    state_of,
)
from statecore.guard import SWITCH
from statecore.history import finished, forked, path, shortened
from statecore.run import Run
from statecore.wait import Timer, spoken
from statecore.wording import aligned, moment, short, summary, times, took, typed, visible, where

NONE: Mapping[str, list[str]] = {}

RESULT = 400
"""Characters of a result that a line shows."""


@attrs.frozen
class Work:
    """What became of one call. `dispatched`: how often it was started; `cuts`: how often a crash cut it; `seconds`: in
    flight.
    """

    call: str
    specialist: str
    dispatched: int = 0
    cuts: int = 0
    seconds: float = 0.0
    ended: str = "in flight"


def work(turns: Iterable[Turn]) -> list[Work]:
    """What each call did, in the order in which they were first started."""
    seen: dict[str, Work] = {}
    since: dict[str, float] = {}
    for turn in turns:
        for event in turn.events:
            if isinstance(event, CallStarted):
                known = seen.get(event.call, Work(event.call, event.specialist))
                since[event.call] = turn.at
                seen[event.call] = attrs.evolve(
                    known,
                    specialist=event.specialist,
                    dispatched=known.dispatched + 1,
                    cuts=max(known.cuts, event.cuts),
                )
            elif isinstance(event, CallCompleted | CallFailed | CallUnknown) and event.call in seen:
                known = seen[event.call]
                seen[event.call] = attrs.evolve(
                    known, seconds=known.seconds + turn.at - since.pop(event.call, turn.at), ended=_ended(event)
                )
    return list(seen.values())


def _ended(event: CallCompleted | CallFailed | CallUnknown) -> str:
    if isinstance(event, CallUnknown):
        return "unknown"
    return event.value.contract if isinstance(event, CallCompleted) else event.failure.contract


def following(
    run: Run, parked: str = "", options: str = "", now: float | None = None, below: Mapping[str, list[str]] = NONE
) -> list[str]:
    """What the run will do next, and what somebody must do for it. `options`: what a command needs besides, `--db` say.
    `now`: the time, to say how long it is until then. `below`: by child run, where it is and what comes next there.
    """
    if run.outcome:
        return [f"nothing: the run is {run.outcome}"]
    if parked:
        return [f"nothing here: {short(parked, 2000)}"]
    timers = sorted(run.timers.values(), key=lambda timer: (timer.state == START, timer.due))
    lines = [
        *(line for call in run.calls.values() for line in _next(run, call, options, now, below)),
        *(visible(_due(timer, run, now)) for timer in timers),
    ]
    if not run.calls and not any(timer.state != START for timer in timers):
        lines.insert(0, visible(f"waits for a signal in {where(run.config.states)}"))
    return lines


def children(
    runs: Iterable[Run], parked: Mapping[str, str], options: str = "", now: float | None = None
) -> dict[str, list[str]]:
    """For `following`: the child runs that one waits for. `parked`: why a process can do nothing with one."""
    found: dict[str, list[str]] = {}
    for run in reversed(list(runs)):
        why = parked.get(run.id, "")
        condition = "parked" if why and not run.outcome else run.condition
        head = f"{run.id}, which is {condition} in {where(run.config.states)}"
        found[run.id] = [head, *following(run, why, options, now, found)]
    return found


def _next(run: Run, call: Call, options: str, now: float | None, below: Mapping[str, list[str]]) -> list[str]:
    if call.kind != "workflow" or call.status is not CallState.STARTED:
        return [visible(_comes(run, call, options, now))]
    head, *rest = below.get(call.child, [call.child])
    return [visible(f"{call.id}: waits for child {head}"), *(f"  {line}" for line in rest)]


def _due(timer: Timer, run: Run, now: float | None) -> str:
    if timer.state == START:
        return f"the run's deadline is {awaited(timer.due, now)}"
    working = any(call.state == timer.state or call.state.startswith(f"{timer.state}/") for call in run.calls.values())
    return f"{timer.state}: {'has time' if working else 'waits'} until {awaited(timer.due, now)}"


def awaited(due: float, now: float | None) -> str:
    """`2026-11-24 09:00:00 UTC (in 2 d 23 h)`"""
    if now is None:
        return moment(due)
    return f"{moment(due)} ({f'in {spoken(int(due - now))}' if due > now else 'due'})"


def _comes(run: Run, call: Call, options: str, now: float | None) -> str:
    match call.status:
        case CallState.STARTED if call.kind == "person":
            limit = f" until {awaited(call.wake, now)}" if call.wake is not None else ""
            answer = f"statecore answer {typed(run.id)} {typed(call.id)} JSON --by YOU --why TEXT{options}"
            return (
                f"{call.id}: waits for {call.specialist} to answer{limit}: `statecore asks{options}`, then `{answer}`"
            )
        case CallState.STARTED:
            return f"{call.id}: waits for {call.specialist}, called at {moment(call.since)}"
        case CallState.WAITING:
            return f"{call.id}: attempt {call.attempt + 1} of {call.specialist} at {moment(call.wake or 0)}"
        case CallState.DEFERRED:
            name = typed(call.specialist.partition("@")[0])
            off = call.guard == SWITCH
            until = (
                " when it is enabled" if off else f" at {moment(call.wake)}" if call.wake else " when another call ends"
            )
            remedy = f": `statecore specialists {name} --enable --by YOU --why TEXT{options}`" if off else ""
            return f"{call.id}: asked again{until}; held because {short(call.why)}{remedy}"
        case CallState.UNKNOWN:
            told = f": {short(call.why)}" if call.copied else ""
            which = f"{typed(run.id)} {typed(call.id)}"
            settle = f"statecore answer {which} done|not-done|JSON --by YOU --why TEXT{options}"
            return f"{call.id}: somebody must find out whether {call.specialist} did it, then `{settle}`{told}"


def headline(run: Run, parked: str = "") -> str:
    condition = "parked" if parked and not run.outcome else run.condition
    place = f"{run.workflow} {run.version}  {condition} in {where(run.config.states)}" if run.seq else condition
    return visible(f"run       {run.id}  {place}")


def result(run: Run) -> list[str]:
    return [f"result    {summary(run.result, RESULT)}"] if run.result else []


def overview(
    run: Run,
    turns: Sequence[Turn],
    whole: bool = True,
    options: str = "",
    now: float | None = None,
    below: Iterable[Run] = (),
    plans: Iterable[str] = (),
) -> list[str]:
    """`show`: a run on one screen. `turns`: those that led there, the last perhaps cut short; `whole`: it was not.
    `below`: the open child runs. `plans`: what there is to say of its plans.
    """
    out = [
        headline(run),
        *([f"forked    from {short(fork.run)} at {fork.at}"] if (fork := forked(turns)) else []),
        f"started   {moment(run.started)}, last event {moment(run.at)}, {times(run.seq, 'event')}",
        *([f"finished  {moment(over)}"] if (over := finished(turns)) is not None else []),
        *([f"pinned    {short(run.fingerprint)}"] if run.fingerprint else []),
        *([f"tenant    {short(run.tenant)}"] if run.tenant else []),
        *([visible(f"parent    {run.parent}{_of(run)}")] if run.parent else []),
        f"input     {summary(run.input)}",
        visible(f"path      {shortened(path(turns))}"),
        *([visible(f"children  {', '.join(begun)}")] if (begun := _begun(run.id, turns)) else []),
        *result(run),
        *([f"why       {short(run.why)}"] if run.why else []),
        *plans,
    ]
    if not whole:
        return [
            *out,
            f"next      event {run.seq + 1}, decided together with this one: a run is never at rest in between",
        ]
    comes = following(run, "", options, now, children(below, {}, options, now))
    return [*out, *(f"{'next' if n == 0 else '':<8}  {line}" for n, line in enumerate(comes))]


def _of(run: Run) -> str:
    return f", of {run.root}" if run.root != run.parent else ""


def to_do(run: Run, below: Iterable[Run] = ()) -> bool:
    """Whether a process has something to do for a run that is at rest, or may have: something is due, or was cut, or has
    a time to come. What a person or a signal is waited for, is not. `below`: the child runs that it waits for.
    """

    def its(call: Call) -> bool:
        if call.status is CallState.STARTED and call.kind:
            return call.wake is not None  # of a child run, what it has to do itself
        return call.status is not CallState.UNKNOWN

    return any(one.timers or any(map(its, one.calls.values())) for one in (run, *below) if not one.outcome)


def _begun(run: str, turns: Iterable[Turn]) -> list[str]:
    """The child runs that its calls began, one for each attempt. Of those that were copied into a fork, the ones that
    were open there and change nothing began anew.
    """
    found: list[str] = []
    open_: dict[str, CallStarted] = {}
    for event in (event for turn in turns for event in turn.events):
        if isinstance(event, CallStarted) and event.kind == "workflow":
            open_[event.call] = event
            found.append(_child(run, event))
        elif isinstance(event, CallCompleted | CallFailed):
            open_.pop(event.call, None)
        elif isinstance(event, Moved):
            open_ = {call: begun for call, begun in open_.items() if state_of(call) not in event.left}
        elif isinstance(event, ForkedFrom):
            open_ = {call: begun for call, begun in open_.items() if begun.effect != "once"}
            found = [_child(run, begun) for begun in open_.values()]
    return found


def _child(run: str, begun: CallStarted) -> str:
    return child_of(run, begun.call, begun.rank, begun.attempt)


def table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """`runs`: a line each, under a header. Tenants, and what was forked, have a column where there are any."""
    tenants = any(line["tenant"] for line in lines)
    forks = any(line.get("forked") for line in lines)
    more = ["tenant"] if tenants else [], ["forked from"] if forks else []
    rows = [["run", *more[0], "workflow", "pinned to", "condition", "started", "lasted", "events", *more[1]]]
    for line in lines:
        workflow = f"{line['workflow']} {line['version']}"
        rows.append(
            [
                "  " * line.get("depth", 0) + line["run"],
                *([line["tenant"]] if tenants else []),
                workflow,
                line["fingerprint"][:8],
                line["condition"] + (f" until {moment(line['until'])}" if line.get("until") is not None else ""),
                moment(line["started"]),
                took(line["at"] - line["started"]),
                str(line["events"]),
                *([f"{fork['run']} at {fork['at']}" if (fork := line.get("forked")) else ""] if forks else []),
            ]
        )
    shown = [[visible(cell) for cell in row] for row in rows]
    return aligned(shown)


def line(run: Run) -> dict[str, Any]:
    """Which run it is, whose, and what it is pinned to."""
    named = {"run": run.id, "workflow": run.workflow, "version": run.version, "fingerprint": run.fingerprint}
    return {**named, "tenant": run.tenant, "condition": run.condition if run.seq else "parked"}


def as_json(run: Run, parked: str = "") -> dict[str, Any]:
    """A run as plain data: every field of it, with payloads as JSON values."""
    return {
        "run": run.id,
        "workflow": run.workflow,
        "version": run.version,
        "fingerprint": run.fingerprint,
        "tenant": run.tenant,
        **({"parent": run.parent, "root": run.root} if run.parent else {}),
        "condition": "parked" if parked and not run.outcome else run.condition,
        "parked": parked,
        "outcome": run.outcome or None,
        "states": list(run.config.states),
        "history": {name: list(was) for name, was in run.config.history},
        "events": run.seq,
        "started": run.started,
        "at": run.at,
        "input": plain(run.input) if run.seq else None,
        "result": plain(run.result) if run.result else None,
        "calls": [_call(call) for call in run.calls.values()],
        "timers": {timer.state: timer.due for timer in run.timers.values()},
        "values": [
            {
                "by": value.by,
                "part": value.part,
                "specialist": value.specialist,
                "attempt": value.attempt,
                "fallback": value.fallback,
                "reads": list(value.reads),
                "warnings": list(value.warnings),
                "trusted": value.trusted,
                **plain(value.payload),
            }
            for value in run.values
        ],
        "taken": dict(run.taken),
        "next": following(run, parked),
    }


def plain(payload: Payload) -> dict[str, Any]:
    return {"contract": payload.contract, "value": msgspec.json.decode(payload.data)}


def _call(call: Call) -> dict[str, Any]:
    shown = attrs.asdict(call, filter=lambda field, _: field.name not in ("request", "home", "run"), recurse=False)
    return {**shown, "key": call.key, "status": call.status.value, "request": plain(call.request)}


def event_json(event: Event) -> dict[str, Any]:
    """An event as plain data, its type under `event`."""
    fields = {field.name: getattr(event, field.name) for field in attrs.fields(type(event))}
    return {
        "event": type(event).__name__,
        **{name: plain(value) if isinstance(value, Payload) else value for name, value in fields.items()},
    }


def turn_json(turn: Turn) -> dict[str, Any]:
    return {
        "run": turn.stream,
        "version": turn.version,
        "at": turn.at,
        "cause": turn.cause,
        "head": turn.head.hex(),
        "events": [event_json(event) for event in turn.events],
    }
