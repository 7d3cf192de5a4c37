"""Runs as JSON lines, out of one log and into another.

One line is one stored turn: `stream`, `version`, `at`, `cause`, `events`, `payloads` (pairs of contract and value), and
what the chain needs: `salt`, `digest` (where payloads were erased), `head`, all in hex. `aside` has the large values by
digest. The last line of a run has its `label`. A first line says which format that is.

Events and values are the stored bytes, so the chain holds in the new log as it did in the old: what was changed in
between, were it a blank, is refused. Runs that the log has already are refused too, and nothing is written.
"""

from collections.abc import AsyncIterator, Iterable, Iterator

import msgspec

from statecore.errors import BadInput
from statecore.failures import told
from statecore.family import descendants
from statecore.log import Log, Row
from statecore.retention import SYSTEM

FORMAT = 1


class _Line(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    stream: str
    version: int
    at: float
    cause: str
    events: msgspec.Raw
    head: str
    payloads: msgspec.Raw = msgspec.Raw(b"null")
    salt: str | None = None
    digest: str | None = None
    aside: dict[str, msgspec.Raw] = {}
    label: str = ""

    def row(self, position: int) -> Row:
        payloads = bytes(self.payloads)
        return Row(
            position,
            self.stream,
            self.version,
            self.at,
            self.cause,
            bytes(self.events),
            None if payloads == b"null" else payloads,
            _bytes(self.salt),
            _bytes(self.digest),
            bytes.fromhex(self.head),
            {bytes.fromhex(digest): bytes(data) for digest, data in self.aside.items()},
        )


class _First(msgspec.Struct, forbid_unknown_fields=True):
    statecore_export: int


_line = msgspec.json.Decoder(_Line)
_first = msgspec.json.Decoder(_First)


async def exported(log: Log, run: str | None = None) -> AsyncIterator[bytes]:
    """The lines of one run and its child runs, or of all. What the log keeps for itself (`system/`) stays in it."""
    yield msgspec.json.encode(_First(FORMAT))
    labels = {info.name: info.label for info in await log.streams()}
    for stream in [None] if run is None else [run, *descendants(run, labels)]:
        last: Row | None = None
        async for row in log.rows(stream):
            if last is not None:
                yield _encode(last, labels[last.stream] if row.stream != last.stream else "")
            last = None if row.stream.startswith(SYSTEM) else row
        if last is not None:
            yield _encode(last, labels[last.stream])


def _encode(row: Row, label: str) -> bytes:
    return msgspec.json.encode(
        _Line(
            row.stream,
            row.version,
            row.at,
            row.cause,
            msgspec.Raw(row.events),
            row.head.hex(),
            msgspec.Raw(row.payloads or b"null"),
            row.salt.hex() if row.salt is not None else None,
            row.digest.hex() if row.digest is not None else None,
            {digest.hex(): msgspec.Raw(data) for digest, data in row.asides.items()},
            label,
        )
    )


async def restore(log: Log, lines: Iterable[bytes]) -> list[str]:
    """Commit what was exported, all of it or nothing; the runs, in the order of the lines.

    Raises BadInput where a line is none or was changed, Conflict where the log has one of the runs, LogFailed.
    """
    labels: dict[str, str] = {}
    rows = list(_rows(lines, labels))
    if rows:
        await log.restore(rows, labels)
    return list(dict.fromkeys(row.stream for row in rows))


def _rows(lines: Iterable[bytes], labels: dict[str, str]) -> Iterator[Row]:
    number = 0
    for number, text in enumerate(lines, 1):
        try:
            if number == 1:
                if (found := _first.decode(text).statecore_export) != FORMAT:
                    raise ValueError(f"it has format {found}, this release reads {FORMAT}")
                continue
            line = _line.decode(text)
            if line.stream.startswith(SYSTEM):
                raise ValueError(f"{line.stream} is no run")
            if "\0" in line.label:
                raise ValueError("its label holds NUL")
            labels[line.stream] = line.label or labels.get(line.stream, "")
            yield line.row(number)
        except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
            raise BadInput(f"line {number} is not of an export: {told(fault)[:500]}") from None
    if not number:
        raise BadInput("line 1 is not of an export: there is none")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
