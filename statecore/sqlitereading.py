"""What can be asked of a log in SQLite: all that needs a connection which cannot write, and no lock.

Every page is a query of its own, so that no read transaction outlives a step, however slow the reader: the write-ahead
log can always be written back. What is stored aside is fetched with its row, one row at a time.
"""

import json
import os
import sqlite3
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiosqlite

from statecore.chain import Audit, Flaw, Row, StreamInfo, Turn
from statecore.checkpoint import Checkpoint
from statecore.errors import ForkedLog, LogError
from statecore.log import absent, position_of
from statecore.sqlitefile import fault_of

PAGE = 500

HEAVY = 32 * 1024 * 1024
"""Bytes of payloads after which a page of the feed ends early."""

LOWEST = -(2**63)

_END = "SELECT coalesce(max(position), 0) FROM turns"
SCOPES = "SELECT name, version FROM scopes WHERE name IN (SELECT value FROM json_each(?))"
_ROW = """
SELECT t.position, coalesce(s.name, '(unnamed stream ' || t.stream || ')'), t.version, t.at, t.cause,
CAST(t.events AS BLOB), CAST(t.payloads AS BLOB), t.salt, t.digest, t.head, t.stream,
EXISTS (SELECT 1 FROM asides WHERE turn = t.position)
FROM turns AS t LEFT JOIN streams AS s ON s.id = t.stream
"""
_READ = _ROW + "WHERE s.name = ? AND t.version > ? ORDER BY t.version LIMIT ?"
_FOLLOW = _ROW + "WHERE t.position > ? ORDER BY t.position LIMIT ?"
_WALK = _ROW + "WHERE (t.stream, t.version) > (?, ?) ORDER BY t.stream, t.version LIMIT ?"
_MANY = (
    _ROW
    + """WHERE t.stream IN (SELECT value FROM json_each(?)) AND (t.stream, t.version) > (?, ?)
ORDER BY t.stream, t.version LIMIT ?"""
)
_IDS = "SELECT id FROM streams WHERE name IN (SELECT value FROM json_each(?)) ORDER BY id"
_ASIDES = "SELECT digest, CAST(data AS BLOB) FROM asides WHERE turn = ?"
_LISTING = """
SELECT s.name, last.version, s.label, first.at, last.at
FROM streams AS s
JOIN turns AS first ON first.stream = s.id AND first.version = (SELECT min(version) FROM turns WHERE stream = s.id)
JOIN turns AS last ON last.stream = s.id AND last.version = (SELECT max(version) FROM turns WHERE stream = s.id)
"""
_STREAMS = _LISTING + "ORDER BY s.id"
_LABELLED = _LISTING + "WHERE s.label IN (SELECT value FROM json_each(?)) ORDER BY s.id"
_CHECKPOINTS = """
SELECT s.name, c.version, c.head, c.fold, c.first, c."end", c."values", c.state
FROM checkpoints AS c JOIN streams AS s ON s.id = c.stream WHERE s.name = ? ORDER BY c.version
"""
_INTEGRITY = "PRAGMA integrity_check"
_TABLES = ("streams", "turns", "asides", "scopes", "checkpoints")
_EMPTY = "SELECT name FROM streams WHERE NOT EXISTS (SELECT 1 FROM turns WHERE stream = streams.id)"


class Reading:
    """A log file as a reader sees it. Raises LogError where SQLite cannot read, ForkedLog in another process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = os.getpid()
        self._closing = False
        self._reader: aiosqlite.Connection | None = None

    @property
    def home(self) -> Path:
        return self.path.parent

    async def read(self, stream: str, after: int = 0) -> AsyncIterator[Turn]:
        async for row in self._rows(stream, after):
            yield row.turn()

    async def read_many(self, streams: Iterable[str]) -> AsyncIterator[Turn]:
        ids, key, after = [id for (id,) in await self._query(_IDS, names_of(streams))], LOWEST, LOWEST
        while ids:
            found = await self._query(_MANY, json.dumps(ids), key, after, PAGE)
            for line in found:
                yield (await self._row(line)).turn_or_reason()
            if len(found) < PAGE:
                return
            key, after = found[-1][-2], found[-1][2]
            ids = ids[bisect_left(ids, key) :]

    async def streams(self, *, labels: frozenset[str] | None = None) -> list[StreamInfo]:
        found = self._query(_STREAMS) if labels is None else self._query(_LABELLED, names_of(labels))
        return [StreamInfo(*line) for line in await found]

    async def checkpoints(self, stream: str) -> list[Checkpoint]:
        return [Checkpoint(*line) for line in await self._query(_CHECKPOINTS, stream)]

    async def scope(self, name: str) -> int:
        return next((version for _, version in await self._query(SCOPES, names_of([name]))), 0)

    async def follow(self, cursor: str = "", limit: int = 1000) -> tuple[list[Turn], str]:
        page: list[Turn] = []
        weight = 0
        for line in await self._query(_FOLLOW, position_of(cursor), limit):
            row = await self._row(line)
            page.append(row.turn_or_reason())
            weight += sum(map(len, row.asides.values()))
            if weight > HEAVY:
                break
        return page, str(page[-1].position) if page else cursor

    async def end(self) -> str:
        [(position,)] = await self._query(_END)
        return str(position)

    async def verify(self, stream: str | None = None) -> list[Flaw]:
        self._usable()
        flaws: list[Flaw] = []
        audit, seen = Audit(), False
        try:
            if stream is None:
                flaws += [Flaw("", None, f"SQLite: {said}") for said in await self._damage()]
                flaws += [Flaw(name, None, "has no rows any more") for (name,) in await self._query(_EMPTY)]
            async for row in self.rows(stream):
                flaws += audit.see(row)
                seen = True
        except LogError as fault:
            return [*flaws, Flaw(stream or "", None, f"cannot be read any further: {fault.__cause__ or fault}")]
        return [*flaws, *audit.end()] if seen or stream is None else [absent(stream)]

    async def _damage(self) -> list[str]:
        """What SQLite finds wrong with its file. It may give up in the middle, and Python then loses the lines before:
        the first is asked for alone, and which tables it gives up on.
        """
        try:
            said = [line for (line,) in await self._query(f"{_INTEGRITY}(20)")]
        except LogError:
            said = [line for (line,) in await self._query(f"{_INTEGRITY}(1)")]
            said += [f"the table {table} is damaged" for table in _TABLES if not await self._sound(table)]
        return [line for text in said for line in text.split("\n") if line != "ok" and not line.startswith("***")]

    async def _sound(self, table: str) -> bool:
        try:
            return [line for (line,) in await self._query(f"{_INTEGRITY}({table})")] == ["ok"]
        except LogError:
            return False

    def rows(self, stream: str | None = None) -> AsyncIterator[Row]:
        return self._rows(stream, LOWEST)

    async def _rows(self, stream: str | None, after: int) -> AsyncIterator[Row]:
        """Rows by stream and version: of one stream above a version, or of all."""
        key, more = LOWEST, True
        while more:
            found = await (
                self._query(_WALK, key, after, PAGE) if stream is None else self._query(_READ, stream, after, PAGE)
            )
            for line in found:
                yield await self._row(line)
            if found:
                key, after = found[-1][-2], found[-1][2]
            more = len(found) == PAGE

    async def _row(self, line: tuple[Any, ...]) -> Row:
        *fields, _, has_asides = line
        row = Row(*fields)
        return row._replace(asides=dict(await self._query(_ASIDES, row.position))) if has_asides else row

    def _usable(self) -> None:
        if self._pid != os.getpid():
            raise ForkedLog(
                f"{self.path} was opened by process {self._pid} and this is {os.getpid()}, its fork: open it anew"
            )
        if self._closing:
            raise LogError(f"{self.path} is closed: open it again")

    async def _query(self, sql: str, *parameters: Any) -> list[Any]:
        self._usable()
        try:
            if self._reader is None:
                raise sqlite3.OperationalError("it could not be opened again")
            return list(await self._reader.execute_fetchall(sql, parameters))
        except sqlite3.Error as fault:
            raise LogError(f"{self.path} cannot be read, see `statecore verify`: {fault_of(fault)}") from fault


def names_of(names: Iterable[str]) -> str:
    """Names as the JSON that a query takes for a list."""
    return json.dumps(list(names), ensure_ascii=False)
