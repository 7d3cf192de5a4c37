"""One call of a run in full: what it was asked, each of its attempts, what held it, what came of it and by whom."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from statecore.call import key
from statecore.errors import UnknownCall
from statecore.events import (
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallPlanned,
    CallRefused,
    CallStarted,
    CallUnknown,
    Event,
    Finished,
    Moved,
    Payload,
    Turn,
    part_of,
    plan_of,
    state_of,
)
from statecore.handed import handed
from statecore.history import deciders
from statecore.nearest import meant
from statecore.present import plain
from statecore.record import Record, changed, records
from statecore.run import Run
from statecore.wording import typed

NAMED = 10
"""Calls that an error names."""


def account(run: Run, turns: Sequence[Turn], name: str) -> dict[str, Any]:
    """As plain data. `name`: the id of a call, or of its state where that has one only, in its last entry. Raises
    UnknownCall.
    """
    call = _named(run.id, turns, name)
    said = [(turn.at, event) for turn in turns for event in turn.events if getattr(event, "call", "") == call]
    started = [event for _, event in said if isinstance(event, CallStarted | CallAsked)]
    planned = {each.call: each for each in records(turns)}.get(call)
    known = planned or _alone(turns, call)
    sent = [message.as_json() for message in handed(run, turns) if message.call == call]
    ended = [(at, event) for at, event in said if _ends(event)]
    _, last = ended[-1] if ended else (None, None)
    wanted = next((event.request for _, event in said if isinstance(event, CallPlanned) and event.request), None)
    return {
        "run": run.id,
        "call": call,
        "state": state_of(call),
        **({name: getattr(planned, name) for name in ("plan", "part", "type", "says", "after")} if planned else {}),
        "key": key(_caller(turns, call), call),
        "specialist": known.specialist,
        "kind": started[-1].kind if started else "",
        "effect": started[-1].effect if started else "",
        "status": known.status,
        "why": getattr(last, "why", "") or known.why,
        "by": getattr(last, "by", ""),
        "request": sent[-1]["request"] if sent else wanted and plain(wanted),
        "from": sent[-1]["from"] if sent else [],
        "outcome": known.outcome and plain(known.outcome),
        "warnings": list(getattr(last, "warnings", ())),
        "trusted": getattr(last, "trusted", ""),
        "started": next((at for at, event in said if isinstance(event, CallStarted)), None),
        "ended": ended[-1][0] if ended else None,
        "attempts": list(_attempts(said)),
        "held": [
            {"at": at, "guard": event.guard, "why": event.why, "wake": event.wake}
            for at, event in said
            if isinstance(event, CallDeferred)
        ],
    }


def _caller(turns: Sequence[Turn], call: str) -> str:
    """The run by whose name it was called last: of what a fork copied, the one that it was copied from."""
    said = [
        decider
        for turn, decider in zip(turns, deciders(turns), strict=True)
        if any(isinstance(event, CallStarted | CallAsked) and event.call == call for event in turn.events)
    ]
    return said[-1] if said else turns[-1].stream


def _named(run: str, turns: Iterable[Turn], name: str) -> str:
    events = (event for turn in turns for event in turn.events)
    known = list(dict.fromkeys(e.call for e in events if isinstance(e, CallStarted | CallAsked | CallPlanned)))
    if name in known:
        return name
    entries = [call for call in known if state_of(call) == name]
    last = [call for call in entries if plan_of(call) == plan_of(entries[-1])] if entries else []
    inside = [call for call in known if plan_of(call) == name]
    if len(last) == 1:
        return last[0]
    if several := last or inside:
        raise UnknownCall(f"{name} of {run} has {len(several)} calls: name one of {', '.join(several[:NAMED])}")
    there = ", ".join(known[:NAMED]) or "none"
    raise UnknownCall(
        f"{run} has no call {name} (calls: {there}): `statecore log {typed(run)}` tells of all{meant(name, known)}"
    )


def _alone(turns: Iterable[Turn], call: str) -> Record:
    """What became of a call that is no part of a plan; one that was open when its state was left, or the run was over, is
    stopped.
    """
    known = Record("", part_of(call), "", "", ())
    for event in (event for turn in turns for event in turn.events):
        if getattr(event, "call", "") == call:
            known = changed(known, event)
        elif known.status == "in progress" and (
            isinstance(event, Finished) or (isinstance(event, Moved) and state_of(call) in event.left)
        ):
            known = attrs.evolve(known, status="stopped", why="the run went on without it")
    return known


def _ends(event: Event) -> bool:
    """Whether a call is over with this event."""
    match event:
        case CallFailed(next="", again=None) | CallRefused(next="") | CallCompleted():
            return True
    return False


def _attempts(said: Iterable[tuple[float, Event]]) -> Iterator[dict[str, Any]]:
    """Each dispatch with what came of it; of one that was cut, or is in flight, nothing did."""
    open_: dict[str, Any] | None = None
    for at, event in said:
        match event:
            case CallStarted():
                if open_:
                    yield open_
                open_ = {
                    "specialist": event.specialist,
                    "attempt": event.attempt,
                    "cuts": event.cuts,
                    "started": at,
                    "due": event.due,
                    "ended": None,
                    "outcome": None,
                }
            case CallCompleted() | CallFailed() | CallUnknown() | CallLate() if open_:
                yield {**open_, "ended": at, **_came(event)}
                open_ = None
    if open_:
        yield open_


def _came(event: CallCompleted | CallFailed | CallUnknown | CallLate) -> dict[str, Any]:
    match event:
        case CallFailed():
            rejected: Payload | None = event.output
            more = {"rejected": rejected and plain(rejected), "detail": event.detail, "again": event.again}
            return {"outcome": plain(event.failure), **more}
        case CallUnknown():
            return {"unknown": event.why}
        case _:
            return {"outcome": plain(event.value)}
