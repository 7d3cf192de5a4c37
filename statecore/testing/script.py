"""Scripted specialists: what each call does, in place of the real functions. Declaration and fingerprint stay as they are.

    {"sorting": Topic("billing", 0.9), "drafting": [Transient("busy"), After(3.0, Reply("..."))]}

A key is a state, a call (`drafting#2`) or a specialist; the call goes before the state, and the state before the
specialist. A list has one entry for each attempt, in order; anything else is what every attempt does. An entry is an
answer, an exception to raise, `After`, `Hang`, `Garbage`, or a specialist whose own function is called. Where a person is
asked, an answer is theirs, and `Hang` or TimedOut that nobody answers.

A child workflow is scripted like any specialist, and no run of it begins; or its entry is a `Script` of that workflow,
which its run then plays: `{"writing": scripted(Article, {...})}`. The child itself as an entry runs it as it is written.
"""

import asyncio
import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import attrs

from statecore.call import Call
from statecore.declare import State
from statecore.failures import Failure, NotDone
from statecore.person import Person
from statecore.plan import Part
from statecore.specialist import Specialist
from statecore.workflow import Machine, Workflow

T = TypeVar("T")
W = TypeVar("W", State, Part)

Entries = Mapping[str, Any] | Mapping[Specialist[Any, Any], Any] | Mapping[str | Specialist[Any, Any], Any]
"""What a test writes: per state, call or specialist, one entry for all attempts or a list with one for each."""


@attrs.frozen
class After:
    """`then` happens `seconds` after the attempt began."""

    seconds: float
    then: Any


@attrs.frozen
class Hang:
    """No outcome, until the state's timeout or for ever."""


@attrs.frozen
class Garbage:
    """`value` is given as it is, whatever the contract says."""

    value: Any


class ScriptError(AssertionError):
    """A script that does not fit the workflow, or was not played as it is written."""


@attrs.frozen
class Scripted:
    """A machine in the place of its workflow class."""

    machine: Machine


@attrs.define
class _Part:
    """The entries of one key. `once`: one for each attempt."""

    entries: tuple[Any, ...]
    once: bool
    used: int = 0


class Script(Generic[T]):
    """A workflow whose specialists do as `entries` say; without entries, as they are written.

    `workflow`: what an engine is given instead. `work`: how often the work of each call was begun, by (call, specialist).
    `done`: the answers given so far, by call. An attempt that is made again after a crash gets the same entry again.
    `delay`: seconds that an attempt is held back before its outcome. `gave`: told every answer.
    Raises ScriptError where an entry is none that its state could end in.
    """

    def __init__(self, workflow: type[Workflow[T]], entries: Entries | None = None) -> None:
        self.declared, self.entries = workflow, entries
        self.work: Counter[tuple[str, str]] = Counter()
        self.done: dict[str, Any] = {}
        self.faults: list[str] = []
        self.delay: Callable[[Call], float] = lambda call: 0.0
        self.gave: Callable[[Call, Any], None] = lambda call, value: None
        self._parts = {key: _part(value) for key, value in dict[Any, Any](entries or {}).items()}
        self._given: dict[tuple[str, str, int, int], Any] = {}
        _check(workflow.machine, self._parts)
        chart, plans = self._chart(), workflow.machine.plans
        plans = {path: attrs.evolve(of, plan=chart.state(path).plan) for path, of in plans.items()}
        machine = attrs.evolve(workflow.machine, chart=chart, plans=plans)
        self.workflow = cast(type[Workflow[T]], Scripted(machine))

    def again(self) -> "Script[T]":
        """The same script from its beginning, in a world where nothing has happened yet."""
        return Script(self.declared, self.entries)

    def finish(self, told: str = "") -> None:
        """Raises ScriptError where an attempt was not scripted, or an entry was left over. `told`: what the run did."""
        for part in self._parts.values():
            for entry in part.entries:
                if isinstance(entry, Script):
                    entry.finish(told)
        left = [
            f"`{_named(key)}` was not asked for {part.entries[part.used :]!r}"
            for key, part in self._parts.items()
            if part.once and part.used < len(part.entries) and not _runs(part)
        ]
        if self.faults or left:
            faults = [*self.faults, *(f"{each}: drop it, or see why the run did not get there" for each in left)]
            name = self.declared.machine.name
            raise ScriptError(
                "\n".join([f"the script of {name} was not played as written", *faults, *([told] if told else [])])
            )

    def below(self, call: Call) -> "Script[Any] | None":
        """The script of the child run that a call waits for; None where it has none of its own."""
        real = self.workflow.machine.chart.specialist(call).machine
        scripts = (entry for part in self._parts.values() for entry in part.entries if isinstance(entry, Script))
        return next((each for each in scripts if real is not None and each.workflow.machine is real()), None)

    # -- the machine with other functions

    def _chart(self) -> Any:
        chart = self.declared.machine.chart
        working = {
            node.path: attrs.evolve(node, state=self._state(node.path, chart.state(node.path)))
            for node in chart.working
        }
        return attrs.evolve(chart, nodes=chart.nodes | working)

    def _state(self, path: str, state: State) -> State:
        made = copy.copy(state)
        if state.plan is None:
            return self._work(path, made)
        made.plan = copy.copy(state.plan)
        made.plan.parts = tuple(self._work(path, copy.copy(part)) for part in state.plan.parts)
        return made

    def _work(self, path: str, made: W) -> W:
        made.does, *fallback = [self._stand_in(path, each) for each in made.specialists]
        made.fallback = tuple(fallback)
        return made

    def _stand_in(self, path: str, real: Specialist[Any, Any]) -> Specialist[Any, Any]:
        if isinstance(real, Person):
            return real

        async def act(request: Any, call: Call) -> Any:
            return await self._act(real, request, call)

        if real.machine is not None and (run := self._run(path, real)) is not None:
            return attrs.evolve(real, machine=lambda: run)
        reconcile = self._reconcile if real.reconcile else None
        if real.kind == "workflow":
            return attrs.evolve(real, fn=act, told_call=True, kind="function", machine=None)
        declared = {field.name: getattr(real, field.name) for field in attrs.fields(Specialist) if field.init}
        return Specialist(**{**declared, "fn": act, "told_call": True, "reconcile": reconcile})

    def _run(self, path: str, real: Specialist[Any, Any]) -> Machine | None:
        """The machine that a child really runs on; None where an entry stands in for the child."""
        assert real.machine is not None
        if self.entries is None:
            return real.machine()
        keys = (path, *(key for key in self._parts if isinstance(key, Specialist) and key.id == real.id))
        part = next((self._parts[key] for key in keys if key in self._parts), None)
        match part.entries if part else ():
            case (Script() as script,) if script.declared.machine is real.machine():
                return script.workflow.machine
            case (Specialist(kind="workflow"),):
                return real.machine()
        return None

    async def _act(self, real: Specialist[Any, Any], request: Any, call: Call) -> Any:
        entry = self._entry(real, call)
        self.work[call.id, real.name] += 1
        await asyncio.sleep(self.delay(call))
        value = await _perform(entry, request, call)
        self.done[call.id] = value
        self.gave(call, value)
        return value

    def says(self, person: Specialist[Any, Any], call: Call) -> tuple[float, Any] | None:
        """What a person answers, and how many seconds after the question; None where nobody does."""
        entry: Any = Hang() if self.entries is None else self._entry(person, call)
        seconds = 0.0
        while isinstance(entry, After):
            seconds, entry = seconds + entry.seconds, entry.then
        if isinstance(entry, Hang | BaseException):
            return None
        return seconds, entry.value if isinstance(entry, Garbage) else entry

    async def _reconcile(self, call: Call) -> Any:
        if call.id in self.done:
            return self.done[call.id]
        raise NotDone("the script never gave an outcome")

    # -- which entry

    def _entry(self, real: Specialist[Any, Any], call: Call) -> Any:
        if self.entries is None:
            return real
        attempt = (call.run, call.id, call.rank, call.attempt)
        if attempt not in self._given:
            self._given[attempt] = self._next(real, call)
        return self._given[attempt]

    def _next(self, real: Specialist[Any, Any], call: Call) -> Any:
        keys = (call.id, call.state, *(key for key in self._parts if isinstance(key, Specialist) and key.id == real.id))
        key, part = next(((key, self._parts[key]) for key in keys if key in self._parts), (call.state, _Part((), True)))
        if part.once and part.used == len(part.entries):
            scripted = f"has {len(part.entries)} entries" if part.entries else "is in no entry"
            fault = (
                f"`{call.id}` calls {real.id}, attempt {call.attempt}, but `{_named(key)}` {scripted}: add what it does"
            )
            self.faults.append(fault)
            return ScriptError(fault)
        part.used += 1
        return part.entries[part.used - 1] if part.once else part.entries[0]


def scripted(workflow: type[Workflow[T]], entries: Entries) -> Script[T]:
    """A script of every call that a run will make. Give `Engine` its `.workflow`. Raises ScriptError."""
    return Script(workflow, entries)


async def _perform(entry: Any, request: Any, call: Call) -> Any:
    match entry:
        case After():
            await asyncio.sleep(entry.seconds)
            return await _perform(entry.then, request, call)
        case Hang():
            return await asyncio.Event().wait()
        case Garbage():
            return entry.value
        case Specialist():
            args = (request, call) if entry.told_call else (request,)
            return await entry.fn(*args) if entry.is_async else await asyncio.to_thread(entry.fn, *args)
        case BaseException():
            raise copy.copy(entry)
        case _:
            return entry


def _part(value: Any) -> _Part:
    return _Part(tuple(value), True) if isinstance(value, list) else _Part((value,), False)


def _runs(part: _Part) -> bool:
    return len(part.entries) == 1 and isinstance(part.entries[0], Script | Specialist)


def _named(key: Any) -> str:
    return key.name if isinstance(key, Specialist) else str(key)


def _check(machine: Machine, parts: Mapping[Any, _Part]) -> None:
    states = {node.path: machine.chart.state(node.path).specialists for node in machine.chart.working}
    for key, part in parts.items():
        path = str(key).partition("#")[0]
        known = [
            each
            for each in {s.id: s for all in states.values() for s in all}.values()
            if each.id == getattr(key, "id", "")
        ]
        able: Sequence[Specialist[Any, Any]] = known or states.get(path, ())
        if not able:
            names = ", ".join(states)
            raise ScriptError(
                f"{machine.name}: the script names `{_named(key)}`, expected a state with work ({names}), one of its calls (`state#1`), or a specialist"
            )
        for entry in part.entries:
            if isinstance(entry, Script) and key != path and isinstance(key, str):
                raise ScriptError(
                    f"{machine.name}: `{key}` is scripted with a run of {entry.declared.machine.name}: a child has its"
                    " script under its state, or under its specialist where a plan calls it"
                )
            for fault in _faults(machine, entry, able):
                raise ScriptError(f"{machine.name}: `{_named(key)}` is scripted with {entry!r}: {fault}")


def _faults(machine: Machine, entry: Any, able: Sequence[Specialist[Any, Any]]) -> Iterator[str]:
    """What is wrong with an entry of a state or specialist."""
    gives = {given.cls for each in able for given in each.gives}
    fails = {failure.__name__ for each in able for failure in each.may_fail()}
    match entry:
        case After():
            yield from [] if entry.seconds >= 0 else ["expected seconds from 0 up"]
            yield from _faults(machine, entry.then, able)
        case Failure() if type(entry).__name__ not in fails:
            yield f"expected one of the failures that it declares ({', '.join(sorted(fails))}), any other would count as Crashed: declare it"
        case Script():
            real = [each for each in able if each.machine and each.machine() is entry.declared.machine]
            yield from (
                [] if real else [f"it is a script of {entry.declared.machine.name}, which is no child of this state"]
            )
        case Specialist() if not {given.cls for given in entry.gives} <= gives:
            yield "it gives something else than the state's own"
        case Hang() | Garbage() | Specialist() | BaseException():
            return
        case _ if type(entry) not in gives:
            names = " or a ".join(sorted(kind.__name__ for kind in gives))
            yield f"expected {names}, an exception, After, Hang or a specialist; what breaks the contract on purpose is Garbage({type(entry).__name__}(...))"
