"""What can be asked of the process that holds a log: one table of requests, carried out here or handed over the socket."""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import attrs
import msgspec

from statecore import upkeep
from statecore.asks import how_it_ended
from statecore.call import CallState
from statecore.contract import Contract
from statecore.engine import OPEN, Engine
from statecore.errors import BadInput, Conflict, LogError, NotPossible, UnknownCall, UnknownRun
from statecore.events import Payload
from statecore.failures import NotDone
from statecore.family import ancestors
from statecore.finding import workflow
from statecore.form import shape
from statecore.hints import spelled
from statecore.log import InFile, position_of
from statecore.mailbox import Door, beside
from statecore.sqlitefile import REMEDY
from statecore.strictjson import parse
from statecore.upkeep import said, words
from statecore.versions import full_id, name_of
from statecore.workflow import Workflow

Request = dict[str, Any]

NAMED = re.compile(r"[^\W\d]\w{0,99}(@[1-9]\d{0,8})?")
"""The type of a signal as somebody types it: also of one that no workflow here knows, which is recorded."""


@attrs.frozen
class Operator:
    """Carries out requests on one engine."""

    engine: Engine

    async def perform(self, request: Request) -> list[str]:
        """Carry out a request and give the runs that it is about. Raises StatecoreError where it is refused."""
        what = str(request.get("do"))
        if what in upkeep.DO:
            done = await upkeep.perform(self.engine.log, self.engine.clock, request)
            await self.engine.reconfigure()
            return done
        do = _DO.get(what)
        if do is None:
            raise BadInput(f"expected a request to {', '.join((*_DO, *upkeep.DO))}, found {request.get('do')!r}")
        for ref, fingerprint in _refs(request):
            _loaded(self.engine, ref, fingerprint)
        return await do(self.engine, request)

    async def rest(self, runs: list[str], follow: bool) -> dict[str, str]:
        """Wait until these runs are at rest, or to their end where the request said `follow`; why each of them is parked
        here, "" where it is not. With the child runs that they wait for and that are.
        """
        found = {}
        for run in runs:
            with suppress(UnknownRun):  # it was purged
                found[run] = await self.engine.wait(run, follow=follow)
        below = {child: self.engine.parked(child) for run in found.values() for child in self.engine.below(run)}
        return {**{child: why for child, why in below.items() if why}, **{run: self.engine.parked(run) for run in runs}}


def serve(engine: Engine) -> Door | None:
    """Take the requests of other processes at the socket beside the log; None where no other process can read it, or no
    socket can be made.
    """
    held = engine.log.held if isinstance(engine.log, InFile) else None
    if held is None:
        return None
    door = Door(beside(held), Operator(engine))
    try:
        door.open()
    except OSError:
        return None
    return door


async def _start(engine: Engine, request: Request) -> list[str]:
    """Begin the run `run`; asked again, where the first answer was lost, it is the same one."""
    cls, run = _named(engine, request), _text(request, "run")
    value = cls.machine.takes.fit(request.get("input"))
    try:
        return [await engine.start(cls, value, run=run, tenant=_text(request, "tenant"))]
    except Conflict:
        return await engine.resume(run)


async def _resume(engine: Engine, request: Request) -> list[str]:
    """What became of a child is its parent's to say, where that is taken up too."""
    names = await engine.resume(_text(request, "run") if "run" in request else None)
    if not names and (lost := await _overlooked(engine)):
        raise LogError(f"{lost}: {REMEDY}")
    return [name for name in names if not any(ancestors(name, names))]


async def _overlooked(engine: Engine) -> str:
    """Why a log in which no open run was found may have some all the same: its file does not agree with itself."""
    infos = await engine.log.streams()
    if not infos and position_of(await engine.log.end()):
        return "the log has turns, and no run that they are of"
    open_ = [info.name for info in infos if info.label in OPEN]
    return f"{', '.join(open_[:5])} and the index of open runs do not agree" if open_ else ""


async def _answer(engine: Engine, request: Request) -> list[str]:
    run, call, value = (_text(request, name) for name in ("run", "call", "value"))
    by = said(request)
    try:
        await _not_finished(engine, run)
    except NotPossible as error:
        raise NotPossible(await how_it_ended(engine.log, run, call) or str(error)) from None
    gives = await _gives(engine, run, call)
    asked = await _asked(engine, run, call)
    outcome = NotDone(by["why"]) if value == "not-done" else _result(gives, value, asked)
    shown = _text(request, "shown") if "shown" in request else ""
    await engine.answer(run, call, outcome, **by, shown=shown)
    return [run]


async def _gives(engine: Engine, run: str, call: str) -> tuple[Contract[Any], ...]:
    try:
        return await engine.gives(run, call)
    except UnknownCall as error:
        if over := await how_it_ended(engine.log, run, call):
            raise NotPossible(over) from None
        raise error


async def _asked(engine: Engine, run: str, call: str) -> bool:
    """Whether it is a person who answers, and not somebody who settles a parked call."""
    calls = (await engine.state(run)).calls.values()
    return any(
        one.kind == "person" and one.status is CallState.STARTED and call in (one.id, one.state) for one in calls
    )


def _result(contracts: tuple[Contract[Any], ...], value: str, asked: bool) -> Any:
    """`done`, or JSON, as a value of the contract that admits it; where several do, `_type` says which is meant. `asked`:
    it is a person's answer.
    """
    shapes = " or ".join(map(shape, contracts))
    try:
        plain = {} if value == "done" else parse(value.encode("utf-8", "surrogateescape"))
    except BadInput as error:
        how = f"answer with JSON, {shapes}" if asked else "answer done, not-done, or the result as JSON"
        raise BadInput(f"{error}: {how}") from None
    meant = plain.pop("_type", None) if isinstance(plain, dict) else None
    found, faults = [], []
    for contract in contracts if meant is None else [one for one in contracts if one.name == meant]:
        try:
            found.append(contract.fit(plain))
        except BadInput as error:
            faults.append(str(error))
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(spelled(type(value)) for value in found)
        raise BadInput(f'this could be {names}: say which with "_type": "{name_of(type(found[0]))}" in the JSON')
    what = f"expected the answer {shapes}" if asked else f"expected the result {shapes} of a parked call"
    other = "" if asked else ", or not-done"
    raise BadInput(f"{what}; {'; '.join(faults)}: answer with JSON of that shape{other}")


async def _signal(engine: Engine, request: Request) -> list[str]:
    """The answer is in the log, under the id that whoever asks has given it."""
    run, kind, id = (_text(request, name) for name in ("run", "type", "id"))
    if not NAMED.fullmatch(kind):
        raise BadInput(f"expected the type of a signal, like Approve or Approve@2, found {kind!r:.100}")
    known, plain = await engine.signals(run), request.get("input")
    contract = next((contract for contract in known if kind in (contract.name, full_id(contract.cls))), None)
    value = contract.fit(plain) if contract else Payload(kind, msgspec.json.encode(plain))
    await engine.signal(run, value, by=words(request, "by"), id=id)
    return [run]


async def _fork(engine: Engine, request: Request) -> list[str]:
    run, new, at = _text(request, "run"), _text(request, "new"), request.get("at")
    if not isinstance(at, int):
        raise BadInput(f"expected `at` to be the number of an event, found {at!r}")
    await engine.fork(run, at, **said(request), new=new)
    return [new]


async def _cancel(engine: Engine, request: Request) -> list[str]:
    run = _text(request, "run")
    await _not_finished(engine, run)
    await engine.cancel(run, **said(request))
    return [run]


async def _not_finished(engine: Engine, run: str) -> None:
    """A finished run needs no workflow to say so."""
    if outcome := (await engine.state(run)).outcome:
        raise NotPossible(f"{run} is {outcome}: a finished run does not change any more")


def _text(request: Request, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise BadInput(f"expected `{name}` to be text, found {value!r}")
    return value


async def _migrate(engine: Engine, request: Request) -> list[str]:
    cls, runs = _named(engine, request), request.get("runs")
    if not (isinstance(runs, list) and all(isinstance(run, str) for run in runs)):
        raise BadInput(f"expected `runs` to be a list of ids, found {runs!r}")
    return await engine.migrate(runs, cls, **said(request))


def _refs(request: Request) -> list[tuple[str, str]]:
    """The workflows that whoever asks has loaded, each with its fingerprint."""
    refs = request.get("refs", {})
    if not (isinstance(refs, dict) and all(isinstance(fingerprint, str) for fingerprint in refs.values())):
        raise BadInput(f"expected `refs` to be an object of fingerprints by REF, found {refs!r:.200}")
    return list(refs.items())


def _named(engine: Engine, request: Request) -> type[Workflow[Any]]:
    """The workflow that a request is about, which whoever asks has loaded too. Raises NotPossible where it is another."""
    cls = _loaded(engine, _text(request, "ref"), _text(request, "fingerprint"))
    if cls.machine.fingerprint != request["fingerprint"]:
        raise NotPossible(
            f"the process that holds the log has another {cls.machine.name} loaded: start it again, or wait until it ends"
        )
    return cls


def _loaded(engine: Engine, ref: str, fingerprint: str) -> type[Workflow[Any]]:
    """What the engine has under a fingerprint; imported only where it has nothing, since it may have it from a module of
    another name, and to import that again would make its classes once more.
    """
    known = engine.registry.workflow(fingerprint)
    if known is None:
        known = workflow(ref)
        engine.registry.add(known)
    return known


_DO: dict[str, Callable[[Engine, Request], Awaitable[list[str]]]] = {
    "start": _start,
    "resume": _resume,
    "answer": _answer,
    "signal": _signal,
    "fork": _fork,
    "cancel": _cancel,
    "migrate": _migrate,
}
