"""Who works here: the specialists of the loaded workflows, where they stand, and what they are doing."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from statecore.call import Call, CallState
from statecore.declare import State
from statecore.errors import LogError, UnknownSpecialist
from statecore.events import CallCompleted, CallFailed, CallStarted, CallUnknown, Event, Switched
from statecore.log import Log, StreamInfo
from statecore.nearest import meant
from statecore.person import Person
from statecore.plan import Part
from statecore.registry import Registry
from statecore.replay import rebuilt
from statecore.retention import FINISHED, not_system
from statecore.specialist import Specialist
from statecore.switches import switches
from statecore.versions import full
from statecore.wording import moment, short
from statecore.workflow import Workflow

AT = ("busy", "cut", "asked", "waiting", "paused", "parked")
"""What can be said of a call that was started, the first first where several are open: a process is at it; none is; a
person is asked; its child run waits, is paused or parked.
"""

LOOKED_AT = 50
"""Finished runs, the newest, in which the last outcome of a specialist is looked for, besides all that are open."""


@attrs.frozen
class Place:
    """A state that calls a specialist. `rank`: 0 for its own, n for its n-th fallback. `timeout`: seconds that an attempt
    may take, or a person has; None: as long as it takes.
    """

    workflow: str
    state: str
    rank: int
    attempts: int
    timeout: float | None
    guards: tuple[str, ...]

    def __str__(self) -> str:
        as_what = f"fallback {self.rank}" if self.rank else "first"
        tries = f", {self.attempts} attempts" if self.attempts > 1 else ""
        guards = f", guards {', '.join(self.guards)}" if self.guards else ""
        limit = f", at most {self.timeout:g} s" if self.timeout is not None else ""
        return f"{self.workflow}.{self.state}: {as_what}{limit}{tries}{guards}"


@attrs.frozen
class Doing:
    """What the log says of a specialist. `calls`: open ones that are its turn, with the run of each. `last`: how the
    last call that ended did: "" where none is known. `off`: by whom it was taken out of rotation, and why. `served`: a
    process is at work on the log. `below`: the condition of each child run.
    """

    calls: tuple[Call, ...] = ()
    last: str = ""
    off: Switched | None = None
    served: bool = True
    below: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def status(self) -> str:
        """disabled, else what it is at: busy, cut, asked, waiting, paused or parked; else failed or idle."""
        if self.off:
            return "disabled"
        at = {self.at(call) for call in self.calls if call.status is CallState.STARTED}
        if found := next((word for word in AT if word in at), ""):
            return found
        return "failed" if self.last not in ("", "completed") else "idle"

    def at(self, call: Call) -> str:
        """What is done about an open call: that of a started one is one of `AT`, of any other its status."""
        if call.status is not CallState.STARTED:
            return call.status.value
        if call.kind == "person":
            return "asked"
        condition = self.below.get(call.child, "") if call.kind == "workflow" else ""
        if condition in AT:
            return condition
        return "busy" if self.served else "cut"


@attrs.frozen
class Entry:
    specialist: Specialist[Any, Any]
    places: tuple[Place, ...]
    doing: Doing

    def lines(self) -> Iterator[str]:
        made, doing = self.specialist, self.doing
        yield f"{made.id}  {doing.status}"
        yield f"  {made.kind}, effect {made.effect}{', derives' if made.derives else ''}"
        fails = f", fails with {', '.join(f.__name__ for f in made.fails)}" if made.fails else ""
        yield f"  takes {full(made.takes.id)}, gives {' | '.join(full(given.id) for given in made.gives)}{fails}"
        if details := made.details():
            yield f"  {', '.join(f'{name} {value}' for name, value in details.items())}"
        if made.can:
            yield f"  can {', '.join(made.can)}"
        for place in self.places:
            yield f"  in {place}"
        for call in doing.calls:
            idle = ", and no statecore process works on it" if doing.at(call) == "cut" else ""
            yield f"  {doing.at(call)} {call.run} {call.id}, since {moment(call.since)}{idle}"
        if doing.off:
            yield f"  disabled by {short(doing.off.by)}: {short(doing.off.why)}"
        if doing.last:
            yield f"  its last call: {doing.last}"

    def as_json(self) -> dict[str, Any]:
        made, doing = self.specialist, self.doing
        return {
            "name": made.name,
            "version": made.version,
            "status": doing.status,
            "kind": made.kind,
            "effect": made.effect,
            "derives": made.derives,
            "can": list(made.can),
            "details": made.details(),
            "takes": full(made.takes.id),
            "gives": [full(given.id) for given in made.gives],
            "fails": [failure.__name__ for failure in made.fails],
            "places": [attrs.asdict(place) for place in self.places],
            "calls": [
                {
                    "run": call.run,
                    "call": call.id,
                    "status": call.status.value,
                    "at": doing.at(call),
                    "since": call.since,
                }
                for call in doing.calls
            ],
            "last": doing.last,
            "disabled": {"by": doing.off.by, "why": doing.off.why} if doing.off else None,
        }


def registered(workflows: Iterable[type[Workflow[Any]]]) -> dict[str, tuple[Specialist[Any, Any], tuple[Place, ...]]]:
    """Every specialist of these workflows, by name@version, with the states that call it."""
    found: dict[str, tuple[Specialist[Any, Any], tuple[Place, ...]]] = {}
    for machine in Registry(workflows).machines:
        chart = machine.chart
        for node in chart.working:
            state = chart.state(node.path)
            for work in state.works:
                path = f"{node.path}/{work.id}" if isinstance(work, Part) else node.path
                guards = tuple(guard.name for guard in work.guards)
                for rank, made in enumerate(work.specialists):
                    limits = work.attempts, _limit(work, made)
                    place = Place(f"{chart.name} {chart.version}", path, rank, *limits, guards)
                    found[made.id] = made, (*found.get(made.id, (made, ()))[1], place)
    return found


def _limit(work: State | Part, made: Specialist[Any, Any]) -> float | None:
    if isinstance(made, Person):
        return made.within
    return work.timeout if made.kind != "workflow" or work.limited else None


def named(workflows: Iterable[type[Workflow[Any]]], name: str) -> Specialist[Any, Any]:
    """By name or name@version. Raises UnknownSpecialist."""
    known = {id: made for id, (made, _) in registered(workflows).items()}
    found = known.get(name) or next((made for made in known.values() if made.name == name), None)
    if found is None:
        names = ", ".join(sorted(known)) or "none: name a workflow with --workflow"
        raise UnknownSpecialist(
            f"no specialist {name} in the loaded workflows (there are: {names}){meant(name, (m.name for m in known.values()))}"
        )
    return found


async def roster(
    log: Log | None, workflows: Iterable[type[Workflow[Any]]], name: str = "", served: bool = True
) -> list[Entry]:
    """The specialists, or those called `name` (with its version or without). `served`: a process is at work on the log.

    Raises UnknownSpecialist, LogError.
    """
    if name:
        named(workflows, name)
    wanted = {id: made for id, made in registered(workflows).items() if name in ("", id, made[0].name)}
    off = (await switches(log)).off if log else {}
    calls, last = await _looked(log) if log else ([], {})
    below = {info.name: info.condition for info in await log.streams()} if log else {}

    def doing(id: str, made: Specialist[Any, Any]) -> Doing:
        its = tuple(call for call in calls if call.specialist == id)
        return Doing(its, last.get(id, ""), off.get(made.name), served, below)

    return [Entry(made, places, doing(id, made)) for id, (made, places) in sorted(wanted.items())]


async def _looked(log: Log) -> tuple[list[Call], dict[str, str]]:
    """Open calls of all runs that go on, and how the last call of each specialist ended."""
    infos = not_system(await log.streams())
    finished = [info for info in infos if info.label in FINISHED]
    calls: list[Call] = []
    ended: dict[str, tuple[float, str]] = {}
    for info in [*finished[-LOOKED_AT:], *(info for info in infos if info.label not in FINISHED)]:
        calls += await _open_calls(log, info, ended)
    return calls, {specialist: how for specialist, (_, how) in ended.items()}


async def _open_calls(log: Log, info: StreamInfo, ended: dict[str, tuple[float, str]]) -> list[Call]:
    """The open calls of a run; how those that are over ended is noted. None of a run that cannot be read."""
    who: dict[str, str] = {}
    turns = []
    try:
        async for turn in log.read(info.name):
            turns.append(turn)
            for event in turn.events:
                _note(event, turn.at, who, ended)
        return [] if info.label in FINISHED else list(rebuilt(turns).calls.values())
    except LogError:
        return []


def _note(event: Event, at: float, who: dict[str, str], ended: dict[str, tuple[float, str]]) -> None:
    if isinstance(event, CallStarted):
        who[event.call] = event.specialist
    elif isinstance(event, CallCompleted | CallFailed | CallUnknown) and event.call in who:
        how = event.failure.contract if isinstance(event, CallFailed) else "unknown"
        how = "completed" if isinstance(event, CallCompleted) else how
        ended[who[event.call]] = max(ended.get(who[event.call], (at, how)), (at, how))
