"""A log in words: what a run did, why, and what it will do next. Pure text; whatever came from outside is made visible first."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec

from statecore.call import Call, CallState
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
)
from statecore.log import Turn
from statecore.run import Run

SUMMARY = 100
"""Characters of a payload that a line shows."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


def visible(text: str) -> str:
    """Text from outside with every control, direction and zero-width character spelled out: no line can be forged with it."""
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def summary(payload: Payload | None, width: int = SUMMARY) -> str:
    """`Draft {"text":"..."}`, cut to `width` characters of JSON."""
    if payload is None:
        return ""
    text = visible(payload.data.decode())
    return f"{payload.contract} {text if len(text) <= width else text[: width - 3] + '...'}"


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def took(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def said(event: Event) -> str:
    """One event as a sentence, without its time."""
    match event:
        case RunStarted():
            tenant = f" for {event.tenant}" if event.tenant else ""
            return f"started {event.workflow} {event.version}{tenant} with {summary(event.input)}"
        case Moved():
            return _moved(event)
        case CallStarted():
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            cut = f", again after {event.cuts} crash{'es' if event.cuts > 1 else ''}" if event.cuts else ""
            return f"{event.call} calls {event.specialist} ({event.effect}{again}{cut})" + (f" with {summary(event.request)}" if event.request else "")
        case CallAsked():
            return f"{event.call} wants {event.specialist} ({event.effect})"
        case CallDeferred():
            return f"{event.call} deferred by guard {event.guard}: {visible(event.why)}" + (f", until {moment(event.wake)}" if event.wake else "")
        case CallRefused():
            return f"{event.call} refused by guard {event.guard}: {visible(event.why)}" + (f"; {event.next} is tried instead" if event.next else "")
        case CallCompleted():
            return f"{event.call} gave {summary(event.value)}{_settled(event.by, event.why)}"
        case CallFailed():
            return _failed(event)
        case CallUnknown():
            return f"{event.call} is parked, its outcome unknown: {visible(event.why)}"
        case CallLate():
            return f"{event.call or 'no open call'}: late {event.kind} {summary(event.value)}, recorded and nothing fired"
        case SignalTaken():
            return f"signal {summary(event.value)}{_settled(event.by, '')}"
        case SignalRefused():
            return f"signal {summary(event.value)} refused: {visible(event.why)}{_settled(event.by, '')}"
        case Cancelled():
            return f"cancelled{_settled(event.by, event.why)}"
        case Finished():
            return f"finished: {event.outcome}"


def _settled(by: str, why: str) -> str:
    return f", said {visible(by)}" + (f": {visible(why)}" if why else "") if by else ""


def _moved(event: Moved) -> str:
    if not event.transitions:
        return f"enters {' + '.join(event.entered)}"
    asked = ", ".join(f"{text} = {'yes' if yes else 'no'}" for text, yes in event.asked)
    instead = f" on {summary(event.instead)}" if event.instead else ""
    where = " + ".join(state for state in event.states if not any(other.startswith(f"{state}/") for other in event.states))
    return f"{' + '.join(event.transitions)} -> {where}{instead}" + (f" because {asked}" if asked else "")


def _failed(event: CallFailed) -> str:
    then = f"; next attempt at {clock(event.again)}" if event.again is not None else f"; {event.next} is tried instead" if event.next else ""
    return f"{event.call} failed with {summary(event.failure)}{_settled(event.by, event.why)}{then}"


class Narrator:
    """Tells the turns of one run, in order: number of the event, time, what was decided and why, and how long a call took."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    def tell(self, turn: Turn) -> Iterator[str]:
        first = turn.version - len(turn.events) + 1
        for number, event in enumerate(turn.events, first):
            shown = clock(turn.at) if number == first else " " * 12
            yield f"{number:>5}  {shown}  {said(event)}{self._lasted(event, turn.at)}"

    def _lasted(self, event: Event, at: float) -> str:
        if isinstance(event, CallStarted):
            self._started[event.call] = at
        elif isinstance(event, CallCompleted | CallFailed) and event.call in self._started:
            return f"  [{took(at - self._started.pop(event.call))}]"
        return ""


def lines(turns: Iterable[Turn]) -> list[str]:
    """A whole run as its narrator tells it."""
    narrator = Narrator()
    return [line for turn in turns for line in narrator.tell(turn)]


def path(turns: Iterable[Turn]) -> list[str]:
    """The states entered, in order, each with the transition that led there: `-triaged-> drafting`."""
    moves = [event for turn in turns for event in turn.events if isinstance(event, Moved)]
    return [f"{f'-{move.transitions[-1]}-> ' if move.transitions else ''}{'+'.join(move.entered)}" for move in moves]


@attrs.frozen
class Work:
    """What became of one call. `dispatched`: how often it was started; `cuts`: how often a crash cut it; `seconds`: in flight."""

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
                seen[event.call] = attrs.evolve(known, specialist=event.specialist, dispatched=known.dispatched + 1, cuts=max(known.cuts, event.cuts))
            elif isinstance(event, CallCompleted | CallFailed | CallUnknown) and event.call in seen:
                known = seen[event.call]
                seen[event.call] = attrs.evolve(known, seconds=known.seconds + turn.at - since.pop(event.call, turn.at), ended=_ended(event))
    return list(seen.values())


def _ended(event: CallCompleted | CallFailed | CallUnknown) -> str:
    if isinstance(event, CallUnknown):
        return "unknown"
    return event.value.contract if isinstance(event, CallCompleted) else event.failure.contract


def following(run: Run, parked: str = "") -> list[str]:
    """What the run will do next, and what somebody must do for it."""
    if run.outcome:
        return [f"nothing: the run is {run.outcome}"]
    if parked:
        return [f"nothing here: {parked}"]
    return [_next(run, call) for call in run.calls.values()] or [f"waits for a signal in {run.config}"]


def _next(run: Run, call: Call) -> str:
    match call.status:
        case CallState.STARTED:
            return f"{call.id}: waits for {call.specialist}, called at {moment(call.since)}"
        case CallState.WAITING:
            return f"{call.id}: attempt {call.attempt + 1} of {call.specialist} at {moment(call.wake or 0)}"
        case CallState.DEFERRED:
            until = f" at {moment(call.wake)}" if call.wake else " when another call ends"
            return f"{call.id}: asked again{until}; held because {visible(call.why)}"
        case CallState.UNKNOWN:
            settle = f"statecore answer {run.id} {call.id} done|not-done|JSON --by YOU --why TEXT"
            return f"{call.id}: somebody must find out whether {call.specialist} did it, then `{settle}`"


def overview(run: Run, turns: Sequence[Turn], parked: str = "") -> list[str]:
    """`show`: a run on one screen."""
    where = " + ".join(run.config.states)
    out = [
        f"run       {run.id}  {run.workflow} {run.version}  {'parked' if parked and not run.outcome else run.condition} in {where}",
        f"started   {moment(run.started)}, last event {moment(run.at)}, {run.seq} events",
        *([f"tenant    {visible(run.tenant)}"] if run.tenant else []),
        f"input     {summary(run.input)}",
        f"path      {' '.join(path(turns))}",
    ]
    if run.result:
        out.append(f"last      {summary(run.result, 400)}")
    if run.why:
        out.append(f"why       {visible(run.why)}")
    if turns and turns[-1].version != run.seq:
        first = turns[-1].version - len(turns[-1].events) + 1
        return [*out, f"next      event {run.seq + 1}: events {first} to {turns[-1].version} were decided together"]
    return [*out, *(f"{'next' if n == 0 else '':<8}  {line}" for n, line in enumerate(following(run, parked)))]


def as_json(run: Run, parked: str = "") -> dict[str, Any]:
    """A run as plain data: every field of it, with payloads as JSON values."""
    return {
        "run": run.id,
        "workflow": run.workflow,
        "version": run.version,
        "fingerprint": run.fingerprint,
        "tenant": run.tenant,
        "condition": "parked" if parked and not run.outcome else run.condition,
        "parked": parked,
        "states": list(run.config.states),
        "history": {name: list(was) for name, was in run.config.history},
        "events": run.seq,
        "started": run.started,
        "at": run.at,
        "input": plain(run.input),
        "result": plain(run.result) if run.result else None,
        "calls": [_call(call) for call in run.calls.values()],
        "values": [{"by": value.by, "specialist": value.specialist, "attempt": value.attempt, **plain(value.payload)} for value in run.values],
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
    return {"event": type(event).__name__, **{name: plain(value) if isinstance(value, Payload) else value for name, value in fields.items()}}


def turn_json(turn: Turn) -> dict[str, Any]:
    return {
        "run": turn.stream,
        "version": turn.version,
        "at": turn.at,
        "cause": turn.cause,
        "head": turn.head.hex(),
        "events": [event_json(event) for event in turn.events],
    }
