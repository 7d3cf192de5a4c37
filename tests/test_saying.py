"""What is decided about a log says who decided it, and why."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from statecore import Engine
from statecore.errors import BadInput
from statecore.fork import fork
from statecore.log import Log, MemoryLog
from statecore.replay import rebuild
from statecore.retention import erase, purge
from statecore.saying import SAID, said
from statecore.standing import migrating
from statecore.switches import switch
from tests.playground import Errand, Quick


async def migrate(log: Log, **who: str) -> None:
    migrating(Quick.machine, [await rebuild(log, "r")], 0.0, **who)


DECISIONS: dict[str, Callable[..., Awaitable[Any]]] = {
    "erase": lambda log, **who: erase(log, "r", 9.0, **who),
    "purge": lambda log, **who: purge(log, 0.0, 5e9, **who),
    "switch": lambda log, **who: switch(log, "work", False, 9.0, **who),
    "fork": lambda log, **who: fork(log, "r", 3, "f", 9.0, **who),
    "migrate": migrate,
}


@pytest.mark.parametrize("what", DECISIONS)
@pytest.mark.parametrize("who", [{"by": "", "why": "w"}, {"by": "ana", "why": " \n"}], ids=["nobody", "no reason"])
async def test_nothing_is_decided_by_nobody_or_for_no_reason(what: str, who: dict[str, str]) -> None:
    """Whoever calls it: a command, another process, or a program that has the log. Nothing is written."""
    log = MemoryLog()
    await Engine(log, [Quick]).run(Quick, Errand(), run="r")
    before = await log.end()
    lacking = next(name for name in who if not who[name].strip())
    with pytest.raises(BadInput, match=f"expected `{lacking}` to be {SAID[lacking]}"):
        await DECISIONS[what](log, **who)
    assert await log.end() == before


def test_who_and_why_are_words() -> None:
    """Of any kind; what is no text is none."""
    said("ana", "x")
    for by, why in ((None, "x"), ("ana", 3), (b"ana", "x")):
        with pytest.raises(BadInput):
            said(by, why)


async def test_an_engine_asks_who_and_why_too() -> None:
    """Of whoever cancels, answers or settles; a person who answers may keep their reasons."""
    async with Engine(MemoryLog(), [Quick]) as engine:
        await engine.start(Quick, Errand(seconds=3600), run="r")
        for by, why in ((" ", "enough"), ("ana", "")):
            with pytest.raises(BadInput, match="to be the"):
                await engine.cancel("r", by=by, why=why)
        with pytest.raises(BadInput, match="expected `by`"):
            await engine.answer("r", "working", Errand(), by="", why="looked")
        assert not (await engine.state("r")).outcome
