"""What was decided, told in sentences: one for each event, numbered and timed for a whole run."""

from collections.abc import Iterator, Sequence

import attrs

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
    Planned,
    Purged,
    RunStarted,
    SignalRefused,
    SignalTaken,
    Switched,
    TimerFired,
    TimerSet,
    Turn,
)
from statecore.wording import SUMMARY, clock, moment, short, summary, times, took, visible, where


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
