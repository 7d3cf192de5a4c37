"""The log that lives in memory, and the chain that all logs share."""

from pathlib import Path

from statecore.log import GENESIS, Log, MemoryLog, link, sealed
from statecore.testing.conformance import EVENTS, LogConformance, one


class TestMemoryLog(LogConformance):
    async def make(self, home: Path) -> Log:
        return MemoryLog()


async def test_equal_salts_give_equal_chains() -> None:
    """With a repeatable salt source, the same appends give the same heads, so that whole runs can be snapshots."""
    heads = []
    for salt in (b"a", b"a", b"b"):
        log = MemoryLog(salts=lambda salt=salt: salt * 16)  # type: ignore[misc]
        heads.append((await log.append(one("run", 0, *EVENTS)))[0].head)
    assert heads[0] == heads[1] != heads[2]


def test_the_chain_is_what_it_is_said_to_be() -> None:
    """A stored log must verify for ever, so the formula and its spelling are fixed to the byte."""
    head = link(GENESIS, stream="r", version=2, at=1.5, cause="c", events=b"[]", digest=sealed(b"s" * 16, b"[1]"))
    assert head.hex() == "944e0a2ac72e9dd94c7170ab727bcb04fbe04d39a5922732211a4e64399ca86e"


def test_no_two_rows_are_spelt_alike() -> None:
    """Moving a byte from one field to its neighbour changes the head."""
    spelt = [("ab", "c", b"d", b"e"), ("a", "bc", b"d", b"e"), ("ab", "", b"cd", b"e"), ("ab", "c", b"", b"de")]
    heads = {
        link(GENESIS, stream=stream, version=1, at=0.0, cause=cause, events=events, digest=digest)
        for stream, cause, events, digest in spelt
    }
    assert len(heads) == 4
