"""What can be asked of the process that holds a log: one table of requests, carried out here or handed over the socket."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from statecore.contract import Contract
from statecore.engine import Engine
from statecore.errors import BadInput, LogHeld
from statecore.failures import NotDone
from statecore.finding import workflow
from statecore.mailbox import NobodyThere, beside, post
from statecore.present import as_json
from statecore.sqlite import SqliteLog
from statecore.strictjson import parse

Request = dict[str, Any]
Reply = dict[str, Any]

PATIENCE = 100
"""How often a log that is held, and whose holder does not answer yet, is tried again, every 50 ms."""


async def open_or_hand_over(database: Path, request: Request) -> SqliteLog | Reply:
    """The log, opened for writing; or the reply of the process that holds it. Raises LogHeld where that serves no socket."""
    for last in [False] * (PATIENCE - 1) + [True]:
        try:
            return await SqliteLog.open(database)
        except LogHeld:
            try:
                return await post(beside(database), request)
            except NobodyThere:
                if last:
                    raise
        await asyncio.sleep(0.05)
    raise AssertionError("the last try returns or raises")


async def perform(engine: Engine, request: Request) -> Reply:
    """Carry out a request. Raises StatecoreError where it is refused."""
    do = _DO.get(str(request.get("do")))
    if do is None:
        raise BadInput(f"expected a request to {', '.join(_DO)}, found {request.get('do')!r}")
    return await do(engine, request)


async def _start(engine: Engine, request: Request) -> Reply:
    cls = workflow(_text(request, "ref"))
    value = cls.machine.contracts[cls.machine.chart.takes.__name__].fit(request.get("input"))
    run = await engine.start(cls, value, tenant=_text(request, "tenant", ""))
    return {"runs": [run]}


async def _resume(engine: Engine, request: Request) -> Reply:
    for ref in request.get("refs", []):
        engine.registry.add(workflow(ref))
    runs = await engine.resume(request.get("run"))
    return {"runs": runs, "parked": {run: why for run in runs if (why := engine.parked(run))}}


async def _answer(engine: Engine, request: Request) -> Reply:
    for ref in request.get("refs", []):
        engine.registry.add(workflow(ref))
    run, call, value = (_text(request, name) for name in ("run", "call", "value"))
    outcome = NotDone(_text(request, "why")) if value == "not-done" else _result(await engine.gives(run, call), value)
    settled = await engine.answer(run, call, outcome, by=_text(request, "by"), why=_text(request, "why"))
    return {"runs": [run], "state": as_json(settled)}


def _result(contracts: tuple[Contract[Any], ...], value: str) -> Any:
    """`done`, or JSON, as a value of the first contract that admits it."""
    try:
        plain = {} if value == "done" else parse(value.encode())
    except BadInput as error:
        raise BadInput(f"{error}: answer done, not-done, or the result as JSON") from None
    faults = []
    for contract in contracts:
        try:
            return contract.fit(plain)
        except BadInput as error:
            faults.append(str(error))
    shapes = " or ".join(f"{contract.name} {msgspec.json.encode(contract.spec()).decode()}" for contract in contracts)
    raise BadInput(f"the result of this call is {shapes}; {'; '.join(faults)}: answer with JSON of that shape, or not-done")


async def _cancel(engine: Engine, request: Request) -> Reply:
    for ref in request.get("refs", []):
        engine.registry.add(workflow(ref))
    run = _text(request, "run")
    return {"runs": [run], "state": as_json(await engine.cancel(run, by=_text(request, "by"), why=_text(request, "why")))}


def _text(request: Request, name: str, default: str | None = None) -> str:
    value = request.get(name, default)
    if not isinstance(value, str):
        raise BadInput(f"expected `{name}` to be text, found {value!r}")
    return value


_DO: dict[str, Callable[[Engine, Request], Awaitable[Reply]]] = {"start": _start, "resume": _resume, "answer": _answer, "cancel": _cancel}
