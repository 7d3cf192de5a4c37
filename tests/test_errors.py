"""The text of an error: lines of its own making, whatever the names in it hold."""

import asyncio
from pathlib import Path

import pytest

from statecore import errors
from statecore.engine import Engine
from statecore.errors import DefinitionError, NotPossible, StatecoreError, UnknownRun
from statecore.inquiry import run_named
from statecore.log import MemoryLog
from statecore.registry import Registry
from statecore.replay import examine
from statecore.sqlite import SqliteLog
from tests.desk import Desk
from tests.naughty import one_line_each
from tests.playground import Errand, Quick


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capsys, monkeypatch)


FORGED = "ab\nerror: all is lost\x1b[31m"

ONE_LINERS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, StatecoreError) and not issubclass(kind, DefinitionError)
]


@pytest.mark.parametrize("kind", ONE_LINERS)
def test_no_name_in_an_error_forges_a_line(kind: type[StatecoreError]) -> None:
    """A run may have been called anything."""
    given = {"Conflict": (FORGED, 1, 2), "RunExists": (FORGED, 2), "Unreadable": (FORGED, 1, "torn")}
    said = str(kind(*given.get(kind.__name__, (FORGED,))))
    assert said.isprintable() and r"ab\nerror: all is lost\x1b[31m" in said


def test_an_error_of_several_lines_is_given_them_one_by_one() -> None:
    """So that each is still one line, and a definition's own text stays as it was laid out."""
    assert str(NotPossible("a is not", FORGED)).split("\n") == ["a is not", r"ab\nerror: all is lost\x1b[31m"]
    assert str(DefinitionError("this\nway")) == "this\nway"


async def test_runs_that_are_listed_in_an_error_stay_in_their_line() -> None:
    """Where the beginning of an id fits several, where none does and one is near, and where verify says what it left."""
    log = MemoryLog()
    for run in (FORGED, "ab\nc"):
        await Engine(log, [Quick]).run(Quick, Errand(), run=run)
    for prefix, told in (("ab", r"ab\nerror: all"), ("abb\nc", r"did you mean ab\nc?"), ("x\x1b", "there is none")):
        with pytest.raises(UnknownRun) as found:
            await run_named(log, prefix)
        assert str(found.value).isprintable() and told in str(found.value)
    skipped = (await examine(log, Registry([]))).skipped
    assert skipped.keys() == {FORGED, "ab\nc"} and len(set(skipped.values())) == 1
    assert next(iter(skipped.values())).startswith("was started on Quick 1")


def test_a_command_tells_of_a_run_of_any_name_in_lines_of_its_own(desk: Desk) -> None:
    """Whether it does what was asked or refuses it, no line of it begins as the id has it."""

    async def begun() -> None:
        async with await SqliteLog.open(desk.here / "statecore.db") as log, Engine(log, [Quick]) as engine:
            await engine.run(Quick, Errand(), run=FORGED)

    asyncio.run(begun())
    said = ["--by", "me", "--why", "w"]
    for command in (
        *(["show"], ["log"], ["messages"], ["trace"], ["verify"], ["fork", "--at", "2", *said], ["cancel", *said]),
        *(
            ["answer", *said, FORGED, "working", "done"],
            ["erase", *said],
            ["erase", *said],
            ["fork", "--at", "3", *said],
        ),
    ):
        told = desk(*command, *([] if "answer" in command else [FORGED]))
        assert not any(line.startswith("error: all is lost") for line in told.both.splitlines()), command
        one_line_each(told.both.rstrip("\n").split("\n"))
