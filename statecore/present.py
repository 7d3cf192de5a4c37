"""A log in words: what a run did, why, and what it will do next. Pure text; whatever came from outside is made visible
first.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec

from statecore.call import Call, CallState, child_of
from statecore.chart import START
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
)
from statecore.history import finished, forked, path, shortened
from statecore.log import Turn
from statecore.run import Run
from statecore.switches import disabled
from statecore.wait import Timer, spoken

SUMMARY = 100
"""Characters of a payload that a line shows."""

WORDS = 400
"""Characters of a reason that a line shows."""

NONE: Mapping[str, list[str]] = {}

RESULT = 400
"""Characters of a result that a line shows."""

_UNSEEN = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Counted as printable by Unicode, and seen by nobody."""


_WORD = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./#@:-]*")


def visible(text: str) -> str:
    """Text from outside with whatever a terminal would obey or hide spelled out: controls, directions, line ends, zero
    widths, lone surrogates. No line can be forged with it.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _spelled(char) for char in text)
    return _UNSEEN.sub(lambda found: _spelled(found.group()), text)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode()


def typed(name: str) -> str:
    """A name within a command that somebody may copy: a shell takes it for one word, whatever is in it."""
    return name if _WORD.fullmatch(name) else shlex.quote(name)


def summary(payload: Payload | None, width: int = SUMMARY) -> str:
    """`Draft {"text":"..."}`, cut to `width` characters of JSON; what was cut says how long it is."""
    if payload is None:
        return ""
    text = visible(payload.data[: 4 * width].decode(errors="ignore"))
    if len(text) <= width and len(payload.data) <= 4 * width:
        return f"{visible(payload.contract)} {text}"
    return f"{visible(payload.contract)} {text[: width - 3]}... ({len(payload.data):,} bytes)"


def short(text: str, width: int = WORDS) -> str:
    """What somebody said, on one line."""
    return visible(text[:width]) + (f"... ({len(text):,} characters)" if len(text) > width else "")


def clock(at: float) -> str:
    return _spoken(at, "%H:%M:%S.%f")[:-3]


def moment(at: float) -> str:
    return _spoken(at, "%Y-%m-%d %H:%M:%S UTC")


def _spoken(at: float, form: str) -> str:
    """A time that no calendar has (of a log that somebody edited) is shown as what it is."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"at {at:g}"


def took(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def said(event: Event) -> str:
    """One event as a sentence, without its time."""
    match event:
        case RunStarted():
            tenant = f" for {short(event.tenant)}" if event.tenant else ""
            return f"started {event.workflow} {event.version}{tenant} with {summary(event.input)}"
        case Moved():
            return _moved(event)
        case CallStarted():
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            cut = f", again after {times(event.cuts, 'cut')}" if event.cuts else ""
            if event.kind == "person":
                limit = f", until {moment(event.due)}" if event.due is not None else ""
                return f"{event.call} asks {event.specialist}{limit}" + (
                    f" with {summary(event.request)}" if event.request else ""
                )
            does = "begins the child" if event.kind == "workflow" else "calls"
            return f"{event.call} {does} {event.specialist} ({event.effect}{again}{cut})" + (
                f" with {summary(event.request)}" if event.request else ""
            )
        case CallAsked():
            return f"{event.call} wants {event.specialist} ({event.effect})"
        case CallDeferred():
            return f"{event.call} deferred by guard {event.guard}: {short(event.why)}" + (
                f", until {moment(event.wake)}" if event.wake else ""
            )
        case CallRefused():
            return f"{event.call} refused by guard {event.guard}: {short(event.why)}" + (
                f"; {event.next} is tried instead" if event.next else ""
            )
        case CallCompleted():
            by = _settled(event.by, event.why) or (f": {short(event.why)}" if event.why else "")
            return f"{event.call} gave {summary(event.value)}{by}{_beside(event)}"
        case CallFailed():
            return _failed(event)
        case CallUnknown():
            return f"{event.call} is parked, its outcome unknown: {short(event.why)}"
        case CallLate():
            return (
                f"{event.call or 'no open call'}: late {event.kind} {summary(event.value)}, recorded and nothing fired"
            )
        case Planned():
            return f"{event.call} is a plan of {times(event.parts, 'call')}, {event.width} at once"
        case CallPlanned():
            return _planned(event)
        case ConflictSettled():
            others = ", ".join(part for part in event.parts if part != event.chosen)
            return f"{event.call} answers {short(event.key)} as {event.chosen} does, against {others}: rule {short(event.rule)}"
        case Assembled():
            missing = "; ".join(f"{part} ({short(why, SUMMARY)})" for part, why in event.missing)
            lacks = f", missing: {missing}" if missing else ""
            return f"{event.call} assembled {summary(event.value)}{lacks}{_beside(event)}"
        case TimerSet():
            return f"{_whose(event.state)} is due at {moment(event.due)}"
        case TimerFired():
            return f"{_whose(event.state)} is over"
        case SignalTaken():
            reply = f", told {summary(event.reply)}" if event.reply else ""
            return f"signal {summary(event.value)}{_settled(event.by, '')}{reply}"
        case SignalRefused():
            return f"signal {summary(event.value)} refused: {short(event.why)}{_settled(event.by, '')}"
        case Cancelled():
            return f"cancelled{_settled(event.by, event.why)}"
        case Finished():
            return f"finished: {event.outcome}"
        case Switched():
            return f"{event.specialist} {'enabled' if event.on else 'disabled'}{_settled(event.by, event.why)}"
        case ForkedFrom():
            return (
                f"forked from the first {times(event.at, 'event')} of {short(event.run)}{_settled(event.by, event.why)}"
            )
        case Migrated():
            pinned = f"{event.workflow} {event.version} with fingerprint {event.fingerprint[:12]}"
            return f"migrated to {pinned}, in {where(event.states)}{_settled(event.by, event.why)}"
        case Erased():
            return f"payloads erased{_settled(event.by, event.why)}"
        case Purged():
            return f"purged {short(event.run)}, {event.outcome}, {times(event.events, 'event')}{_settled(event.by, event.why)}"


def _beside(event: CallCompleted | Assembled) -> str:
    """What travels beside a value."""
    trusted = f", trusted by {short(event.trusted)}" if event.trusted else ""
    return trusted + "".join(f"; warning: {short(warning)}" for warning in event.warnings)


def _planned(event: CallPlanned) -> str:
    after = f", after {', '.join(event.after)}" if event.after else ""
    answers = f", answers {short(event.answers)}" if event.answers else ""
    asked = f" with {summary(event.request)}" if event.request and not event.says else ""
    return f"{event.call} will call {event.type}{asked}{after}{answers}" + (
        f": {short(event.says)}" if event.says else ""
    )


def _whose(state: str) -> str:
    return "the deadline of the run" if state == START else f"the time of {state}"


def _settled(by: str, why: str) -> str:
    return f", said {short(by)}" + (f": {short(why)}" if why else "") if by else ""


def _moved(event: Moved) -> str:
    if not event.transitions:
        return f"enters {' + '.join(event.entered)}"
    asked = ", ".join(f"{text} = {'yes' if yes else 'no'}" for text, yes in event.asked)
    instead = f" on {summary(event.instead)}" if event.instead else ""
    because = f" because {asked}" if asked else ""
    return f"{' + '.join(event.transitions)} -> {where(event.states)}{instead}{because}"


def where(states: Sequence[str]) -> str:
    """A configuration by its innermost states."""
    return " + ".join(state for state in states if not any(other.startswith(f"{state}/") for other in states))


def _failed(event: CallFailed) -> str:
    then = (
        f"; next attempt at {clock(event.again)}"
        if event.again is not None
        else f"; {event.next} is tried instead"
        if event.next
        else ""
    )
    return f"{event.call} failed with {summary(event.failure)}{_settled(event.by, event.why)}{then}"


class Narrator:
    """Tells the turns of one run, in order: number of the event, time, what was decided and why, and how long a call
    took.

    A day other than that of the turn before has a line of its own.
    """

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._copied: set[str] = set()
        self._day = ""

    def tell(self, turn: Turn) -> Iterator[str]:
        day, before = moment(turn.at)[:10], self._day
        self._day = day
        if before not in ("", day):
            yield f"       {day}"
        if turn.unreadable:
            yield visible(f"       cannot be read: {turn.unreadable}")
        first = turn.version - len(turn.events) + 1
        for number, event in enumerate(turn.events, first):
            shown = clock(turn.at) if number == first else " " * 12
            yield visible(f"{number:>5}  {shown}  {self._said(event)}{self._lasted(event, turn.at)}")

    def _said(self, event: Event) -> str:
        """A call that was open where a run was forked begins anew: nothing cut it there, though it is counted as cut."""
        if isinstance(event, ForkedFrom):
            self._copied = set(self._started)
        elif isinstance(event, CallStarted) and event.call in self._copied:
            self._copied.discard(event.call)
            if event.cuts:
                return f"{said(attrs.evolve(event, cuts=event.cuts - 1))}, anew in the fork"
        return said(event)

    def _lasted(self, event: Event, at: float) -> str:
        if isinstance(event, CallStarted):
            self._started[event.call] = at
        elif isinstance(event, CallCompleted | CallFailed) and event.call in self._started:
            return f"  [{took(at - self._started.pop(event.call))}]"
        return ""


def lines(turns: Sequence[Turn]) -> list[str]:
    """A whole run as its narrator tells it."""
    narrator = Narrator()
    return [*(header(turn) for turn in turns[:1]), *(line for turn in turns for line in narrator.tell(turn))]


def header(turn: Turn) -> str:
    """Which run is told of, from which moment on."""
    return visible(f"run {turn.stream}  {moment(turn.at)}")


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
            off = call.why.startswith(disabled(name))
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
            open_ = {call: begun for call, begun in open_.items() if call.rpartition("#")[0] not in event.left}
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


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of one length in columns; those that are empty throughout are left out."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip() for row in rows
    ]


def times(count: int, what: str) -> str:
    """`1 event`, `2 events`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


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
