"""JSON that comes from outside, read without mercy: what every database, language and Python version reads alike, or
BadInput.

Refused: more than 8 MiB (before anything is parsed), nesting deeper than 64 (by a scan before parsing, so that no
recursion limit decides), NaN, Infinity and numbers that overflow to it, integers beyond 63 bits, a key twice in one
object, NUL and lone surrogates (PostgreSQL can store neither), a byte order mark, bytes that are not UTF-8, anything
after the value. RFC 8259 leaves most of these to the reader, which is how two readers come to see two documents.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from statecore.errors import BadInput

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
LONGEST_KEY = 100
"""Characters of a key that a message shows."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)
"""A string, or what is left of the text where it does not end: linear on every input."""
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@attrs.frozen
class _Bad:
    """Stands in the parsed tree where a value was refused."""

    why: str


def parse(text: bytes) -> Any:
    """The value that `text` spells: dict, list, str, int, float, bool or None.

    Raises BadInput; where the text is JSON, its `faults` has every refused value as `{what} @ {path}`.
    """
    if len(text) > MAX_BYTES:
        raise BadInput(f"JSON of {len(text):,} bytes: at most {MAX_BYTES:,} are taken: hand a reference over instead")
    if text.startswith(b"\xef\xbb\xbf"):
        raise BadInput("JSON begins with a byte order mark at byte 0: send UTF-8 without one")
    if _too_deep(text):
        raise BadInput(f"JSON is nested deeper than {MAX_DEPTH}: flatten it")
    suspects: list[_Bad] = []
    tree = _tree(text, suspects)
    if suspects or b"\\u" in text or b"\x00" in text:
        faults = tuple(_faults(tree, "$"))
        if faults:
            raise BadInput(f"JSON holds what cannot be kept: {'; '.join(faults[:10])}", faults)
    return tree


def _too_deep(text: bytes) -> bool:
    """Each replacement removes the innermost pairs everywhere: what is left after 64 was deeper, or never closed."""
    brackets = _STRING.sub(b"", text).translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH


def _tree(text: bytes, suspects: list[_Bad]) -> Any:
    def bad(why: str) -> _Bad:
        suspects.append(_Bad(why))
        return suspects[-1]

    def integer(digits: str) -> int | _Bad:
        if len(digits) > 20 or abs(int(digits)) >= 2**63:
            return bad(f"the integer {digits[:24]} has more than 63 bits")
        return int(digits)

    def real(digits: str) -> float | _Bad:
        number = float(digits)
        return number if math.isfinite(number) else bad(f"the number {digits[:24]} is too large")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Bad:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return bad(f"the key {_cut(twice)!r} occurs twice")

    try:
        return json.loads(
            text.decode(),
            object_pairs_hook=members,
            parse_int=integer,
            parse_float=real,
            parse_constant=lambda name: bad(f"{name} is no JSON number"),
        )
    except UnicodeDecodeError as fault:
        raise BadInput(f"JSON is not UTF-8 at byte {fault.start}: {fault.reason}") from None
    except json.JSONDecodeError as fault:
        raise BadInput(f"not JSON: {fault.msg} at line {fault.lineno}, column {fault.colno}") from None


def _faults(node: Any, path: str) -> Iterator[str]:
    match node:
        case _Bad(why=why):
            yield f"{why} @ {path}"
        case str() if found := _UNSTORABLE.search(node):
            yield f"the text holds {found[0]!a}, which no database keeps @ {path}"
        case list():
            for index, child in enumerate(node):
                yield from _faults(child, f"{path}[{index}]")
        case dict():
            for key, child in node.items():
                if found := _UNSTORABLE.search(key):
                    yield f"the key {_cut(key)!a} holds {found[0]!a} @ {path}"
                yield from _faults(child, f"{path}.{_cut(key)}")


def _cut(key: str) -> str:
    return key if len(key) <= LONGEST_KEY else f"{key[: LONGEST_KEY - 3]}..."
