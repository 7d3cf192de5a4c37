"""Runs as JSON lines: what leaves one log is in the other as it was, or is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from statecore.errors import BadInput, Conflict
from statecore.events import CallCompleted
from statecore.log import Log, MemoryLog
from statecore.retention import SYSTEM, erase, purge
from statecore.sqlite import SqliteLog
from statecore.testing.conformance import EVENTS, INLINE, one
from statecore.transfer import exported, restore
from tests.formats.make import rebuilt
from tests.test_codec import of
from tests.test_formats import FORMATS


async def lines(log: Log, run: str | None = None) -> list[bytes]:
    return [line async for line in exported(log, run)]


@pytest.fixture
async def filled() -> MemoryLog:
    """Two runs of three turns, one of them with a large payload."""
    log = MemoryLog()
    for version in (0, 3, 6):
        await log.append(one("b", version, *EVENTS, at=version, cause="Completed", label="running"))
        await log.append(one("a", version, *EVENTS))
    await log.append(one("a", 9, CallCompleted("x", of(INLINE + 1)), label="completed"))
    return log


@pytest.mark.parametrize("home", FORMATS, ids=lambda home: home.name)
async def test_a_round_trip_rebuilds_to_the_same_runs(home: Path, tmp_path: Path) -> None:
    """Every run of a log of any format is the same in another log, and is listed under the same condition."""
    async with (
        await SqliteLog.open(Path(shutil.copy(home / "log.db", tmp_path))) as log,
        await SqliteLog.open(tmp_path / "new.db") as new,
    ):
        runs = await restore(new, await lines(log))
        assert runs == list(json.loads((home / "runs.json").read_text()))
        assert await rebuilt(new) == await rebuilt(log) == json.loads((home / "runs.json").read_text())
        labels = [[(info.name, info.label, info.version) for info in await each.streams()] for each in (log, new)]
        labels[0] = [label for label in labels[0] if not label[0].startswith(SYSTEM)]
        assert labels[0] == labels[1]
        assert await new.verify() == []
        assert await lines(new) == await lines(log)


async def test_one_run_can_be_exported(filled: MemoryLog) -> None:
    """Only its lines are written, in order, and the last has its condition; large values come along."""
    found = [json.loads(line) for line in (await lines(filled, "a"))[1:]]
    assert [(line["stream"], line["version"]) for line in found] == [("a", 3), ("a", 6), ("a", 9), ("a", 10)]
    assert [line.get("label") for line in found] == [None, None, None, "completed"]
    assert found[0]["events"][1][0] == "Moved" and found[0]["payloads"][0][0] == "Draft@1"
    new = MemoryLog()
    assert await restore(new, await lines(filled, "a")) == ["a"]
    assert [turn async for turn in new.read("a")][-1].events == (CallCompleted("x", of(INLINE + 1)),)


async def test_an_erased_run_goes_without_its_payloads_and_purges_stay(filled: MemoryLog) -> None:
    """What was erased is not in an export and is erased in the new log; the record of a purge is the old log's own."""
    await erase(filled, "a", 1.0, by="ann", why="asked to")
    await filled.append(one("old", 0, at=0.0, label="completed"))
    await purge(filled, 1, 1.5, by="ann", why="old")
    text = await lines(filled)
    assert b"yyyy" not in b"".join(text) and not any(b"system/" in line for line in text)
    new = MemoryLog()
    assert await restore(new, text) == ["b", "a"]
    assert await new.verify() == []


async def test_a_run_that_is_there_already_is_refused(filled: MemoryLog) -> None:
    """Conflict names it, and no other run of the export is written either."""
    new = MemoryLog()
    await new.append(one("a", 0))
    with pytest.raises(Conflict, match="a was expected at version 0"):
        await restore(new, await lines(filled))
    assert [info.name for info in await new.streams()] == ["a"]


def edited(text: list[bytes], number: int, **changes: Any) -> list[bytes]:
    line = json.loads(text[number]) | changes
    return [*text[:number], json.dumps(line, ensure_ascii=False).encode(), *text[number + 1 :]]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:2] + text[3:],
        lambda text: [text[0], *text[2:]],
        lambda text: [text[0], text[2], text[1], *text[3:]],
        lambda text: [*text, text[-1]],
        lambda text: [line.replace(b"reviewing", b"sending") for line in text],
        lambda text: [line.replace(b"1.50", b"1.5") for line in text],
        lambda text: [line.replace(b"yyyy", b"zzzz") for line in text],
        lambda text: [line.replace(b",1,{", b",1, {") for line in text],
        lambda text: edited(text, 1, cause="other"),
        lambda text: edited(text, 1, at=7.0),
        lambda text: edited(text, 1, stream="c"),
        lambda text: edited(text, 2, head="00" * 32),
        lambda text: edited(text, 2, salt="00" * 16),
        lambda text: edited(text, 2, payloads=None),
        lambda text: edited(text, 7, aside={}),
    ],
)
async def test_what_was_changed_on_the_way_is_refused(filled: MemoryLog, change: Any) -> None:
    """A line that is missing, moved, repeated or edited, were it by a blank inside a value: BadInput, nothing written."""
    new = MemoryLog()
    with pytest.raises(BadInput):
        await restore(new, change(await lines(filled)))
    assert await new.streams() == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ([], "line 1 is not of an export"),
        ([b""], "line 1"),
        ([b"hello"], "line 1"),
        ([b'{"statecore_export":2}'], "has format 2, this release reads 1"),
        ([b'{"statecore_export":1}', b"[]"], "line 2"),
        ([b'{"statecore_export":1}', b'{"stream":"a"}'], "line 2"),
        ([b'{"statecore_export":1}', b"[" * 100_000], "line 2"),
    ],
)
async def test_what_is_no_export_is_refused(text: list[bytes], why: str) -> None:
    """Another file is told from an export by its first line, and a broken line is named by its number."""
    with pytest.raises(BadInput, match=why):
        await restore(MemoryLog(), text)


async def test_a_line_cannot_write_the_logs_own_streams(filled: MemoryLog) -> None:
    """A forged record of a purge is refused."""
    text = [line.replace(b'"stream":"a"', b'"stream":"system/purged"') for line in await lines(filled, "a")]
    with pytest.raises(BadInput, match="system/purged is no run"):
        await restore(MemoryLog(), text)
