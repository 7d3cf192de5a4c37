"""Naughty text and bytes where a log is read: a request over the socket, an export, rows that somebody edited by hand.
A reader raises typed errors and no others, and other runs go on.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecore.codec import decode
from statecore.engine import Engine
from statecore.errors import BadInput, StatecoreError, Unreadable
from statecore.inquiry import listing, shown, verified
from statecore.log import MemoryLog
from statecore.mailbox import connected, serving
from statecore.operations import Operator
from statecore.present import as_json, overview, turn_json
from statecore.replay import rebuild
from statecore.sqlite import SqliteLog
from statecore.telling import lines
from statecore.transfer import exported, restore
from tests.naughty import DOCUMENTS, TEXTS, one_line_each, storable
from tests.playground import QUICK, Errand, Quick

CLASSES = pytest.mark.parametrize("kind", TEXTS)

# -- the socket


@asynccontextmanager
async def door(path: Path) -> AsyncIterator[Engine]:
    """A holder, who at the end carries out a request like any other."""
    async with Engine(MemoryLog(), [Quick]) as engine, serving(path, Operator(engine)):
        yield engine
        assert await asked(path, start("after")) == ["after"]
        assert (await engine.wait("after")).outcome == "completed"


def start(run: Any, text: Any = "tea", tenant: Any = "", ref: Any = QUICK) -> dict[str, Any]:
    fingerprint = Quick.machine.fingerprint
    plain = {"text": text}
    return {"do": "start", "ref": ref, "run": run, "fingerprint": fingerprint, "input": plain, "tenant": tenant}


async def asked(path: Path, request: dict[str, Any] | bytes) -> list[str]:
    """The runs that a request is about. Raises what it is refused with."""
    async with connected(path) as holder:
        holder.writer.write((request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n")
        answer = json.loads(await holder.reader.readline())
    if "error" in answer:
        raise StatecoreError(answer["message"])
    runs: list[str] = answer["runs"]
    return runs


@CLASSES
async def test_a_request_is_carried_out_as_it_was_said_or_refused(tmp_path: Path, kind: str) -> None:
    """Texts in every place of a request: the run has them as they are, or there is none."""
    path = tmp_path / "s"
    async with door(path) as engine:
        for number, text in enumerate(TEXTS[kind]):
            run = f"run {number} {text}"
            if storable(text):
                assert await asked(path, start(run, text, text)) == [run]
                state = await engine.wait(run)
                assert (state.id, state.tenant, state.outcome) == (run, text, "completed")
                assert json.loads(state.values[-1].payload.data) == {"text": text}
            else:
                for request in (start(run), start("run", text), start("run", "tea", text)):
                    with pytest.raises(StatecoreError):
                        await asked(path, request)
            whom = {"run": run, "call": text, "by": text, "why": text}
            for request in (
                {**start("other", ref=text), "fingerprint": text},
                {"do": text},
                {"do": "answer", "value": text, **whom},
                {"do": "cancel", **whom},
                {"do": "resume", "refs": {text: text}},
                {"do": "erase", **whom, "run": f"no {text}"},
                {"do": "import", "file": f"no {text}"},
                {"do": "purge", "older": text},
            ):
                with pytest.raises(StatecoreError) as caught:
                    await asked(path, request)
                assert "the process that holds the log" not in str(caught.value), (request, str(caught.value))


@pytest.mark.parametrize("kind", DOCUMENTS)
async def test_a_document_is_no_request(tmp_path: Path, kind: str) -> None:
    """Whatever is sent, on a line of its own or within a request, is answered with what is wrong with it."""
    path = tmp_path / "s"
    async with door(path):
        for text in DOCUMENTS[kind]:
            begun = json.dumps({**start("r"), "input": "HERE"}).encode().replace(b'"HERE"', text)
            for request in [text, begun] if b"\n" not in text and text.strip() not in (b"", b"{}") else []:
                with pytest.raises(StatecoreError) as caught:
                    await asked(path, request)
                assert len(str(caught.value)) < 100_000


# -- rows


async def history(path: Path) -> None:
    async with Engine(await SqliteLog.open(path), [Quick]) as engine:
        await engine.run(Quick, Errand(text="kept"), run="edited", tenant="t")
        await engine.run(Quick, Errand(text="kept"), run="whole")


def edit(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement, values)
        database.commit()


async def looked_at(path: Path) -> None:
    """Everything that reads, on a log that may be wrong: typed errors, lines that nobody forged, and the run beside it
    as it was.
    """
    for look in (
        lambda: listing(path),
        lambda: shown(path, "edited"),
        lambda: verified(path, None, [Quick]),
        lambda: _told(path),
        lambda: _resumed(path),
    ):
        with suppress(StatecoreError):
            await look()
    async with await SqliteLog.open(path) as log:
        assert (await rebuild(log, "whole")).outcome == "completed"


async def _told(path: Path) -> None:
    found = await shown(path, "edited")
    one_line_each([*lines(found.turns), *overview(found.run, found.turns)])
    json.dumps([as_json(found.run), *map(turn_json, found.turns)])


async def _resumed(path: Path) -> None:
    async with Engine(await SqliteLog.open(path), [Quick]) as engine:
        await engine.resume()
        await engine.resume("edited")
        assert (await engine.run(Quick, Errand(text="new"))).outcome == "completed"


@CLASSES
async def test_a_row_that_was_edited_by_hand_is_told_or_refused(tmp_path: Path, kind: str) -> None:
    """Texts in the place of events, of payloads, of names within them, of cause, name and label."""
    path = tmp_path / "statecore.db"
    await history(path)
    original = path.read_bytes()
    for text in TEXTS[kind][:3]:
        bare = text.encode("utf-8", "surrogatepass")
        quoted = json.dumps(text).encode()
        for column, value in (
            ("events", bare),
            ("events", quoted),
            ("events", b'[["Finished",1,{"outcome":%b}]]' % quoted),
            ("events", b'[["Cancelled",1,{"by":%b,"why":%b}]]' % (quoted, quoted)),
            ("events", b'[["SignalRefused",1,{"value":0,"why":%b}]]' % quoted),
            ("events", b'[["RunStarted",1,{"workflow":%b,"version":"1","fingerprint":"f","input":0}]]' % quoted),
            ("payloads", bare),
            ("payloads", b'[["Errand",%b]]' % quoted),
            ("payloads", b"[[%b,{}]]" % quoted),
            ("cause", bare),
        ):
            path.write_bytes(original)
            edit(path, f"UPDATE turns SET {column} = CAST(? AS TEXT) WHERE stream = 1 AND version = "
                 "(SELECT min(version) FROM turns WHERE stream = 1)", value)  # fmt: skip
            await looked_at(path)


@pytest.mark.parametrize("value", [None, 7, -1.5, "x", b"\xff\x00", 2**62, 1e308])
@pytest.mark.parametrize("column", ["version", "at", "cause", "events", "payloads", "salt", "digest", "head"])
async def test_a_row_of_wrong_types_is_told_or_refused(tmp_path: Path, column: str, value: Any) -> None:
    """SQLite keeps whatever is put into a column: the reader does not believe it."""
    path = tmp_path / "statecore.db"
    await history(path)
    try:
        edit(path, f"UPDATE turns SET {column} = ? WHERE stream = 1 AND version = "
             "(SELECT max(version) FROM turns WHERE stream = 1)", value)  # fmt: skip
    except sqlite3.IntegrityError:
        return
    await looked_at(path)


# -- an export


async def written() -> list[bytes]:
    log = MemoryLog()
    async with Engine(log, [Quick]) as engine:
        await engine.run(Quick, Errand(text="kept"), run="r")
        return [text async for text in exported(log)]


FIELDS = ["stream", "version", "at", "cause", "events", "payloads", "head", "salt", "digest", "aside", "label"]


@CLASSES
async def test_an_export_with_such_text_in_any_field_is_refused_or_harmless(kind: str) -> None:
    """A field that was replaced breaks the chain or the form. Nothing hangs on the label, which is a listing's, nor on a
    digest where the payloads are there.
    """
    good = await written()
    for text in TEXTS[kind]:
        for field in FIELDS:
            bad = [good[0], *(msgspec.json.encode({**msgspec.json.decode(each), field: "HERE"}) for each in good[1:])]
            quoted = json.dumps(text).encode()
            new = MemoryLog()
            if (field == "label" and storable(text)) or (field == "digest" and not text.strip("\t\n\r\v\f 08")):
                await restore(new, [each.replace(b'"HERE"', quoted) for each in bad])
                assert (await rebuild(new, "r")).outcome == "completed"
                continue
            with pytest.raises(BadInput):
                await restore(new, [each.replace(b'"HERE"', quoted) for each in bad])
            assert await new.streams() == []


# -- any bytes

BYTES = st.binary(max_size=120) | st.text(alphabet='[]{}",:01eN-ulFinshdo', max_size=80).map(str.encode)
ROWS = st.builds(
    lambda name, version, fields: b'[["%b",%b,%b]]' % (name, version, fields),
    st.sampled_from([b"Finished", b"Moved", b"CallStarted", b"RunStarted", b"Erased", b"Payload", b"x\\u0000"]),
    st.sampled_from([b"1", b"0", b"-1", b"9", b"1.0", b'"1"', b"null", b"9" * 30]),
    BYTES | st.sampled_from([b"{}", b'{"outcome":1}', b'{"input":99}', b'{"transitions":[[[]]]}', b'{"value":-1}']),
)


@settings(deadline=None, max_examples=400)
@given(BYTES | ROWS, st.none() | BYTES | st.sampled_from([b"[]", b"[[1]]", b'[["a",1,"zz"]]', b'[["a",null,"00"]]']))
def test_any_bytes_are_a_turn_or_unreadable(events: bytes, payloads: bytes | None) -> None:
    """Reading a row raises Unreadable or gives events, whatever its bytes are."""
    try:
        found = decode("run", 1, events, payloads)
    except Unreadable:
        return
    assert isinstance(found, tuple)


@settings(deadline=None, max_examples=300)
@given(st.lists(BYTES, max_size=4), st.booleans())
def test_any_lines_are_an_export_or_refused(given: list[bytes], headed: bool) -> None:
    """Reading an export raises BadInput or gives runs, whatever its lines are."""
    log = MemoryLog()
    try:
        asyncio.run(restore(log, [b'{"statecore_export":1}', *given] if headed else given))
    except BadInput:
        assert asyncio.run(log.streams()) == []
