"""Values, times and counts in words that a terminal may be given: whatever came from outside is made visible first."""

import re
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

from statecore.events import Payload

SUMMARY = 100
"""Characters of a payload that a line shows."""

WORDS = 400
"""Characters of a reason that a line shows."""

_UNSEEN = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Counted as printable by Unicode, and seen by nobody."""

_WORD = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./#@:-]*")


def visible(text: str) -> str:
    """Text from outside with whatever a terminal would obey or hide spelled out: controls, directions, line ends, zero
    widths, lone surrogates. No line can be forged with it.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _spelled(char) for char in text)
    return _UNSEEN.sub(lambda found: _spelled(found.group()), text)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode()


def typed(name: str) -> str:
    """A name within a command that somebody may copy: a shell takes it for one word, whatever is in it."""
    return name if _WORD.fullmatch(name) else shlex.quote(name)


def summary(payload: Payload | None, width: int = SUMMARY) -> str:
    """`Draft {"text":"..."}`, cut to `width` characters of JSON; what was cut says how long it is."""
    if payload is None:
        return ""
    text = visible(payload.data[: 4 * width].decode(errors="ignore"))
    if len(text) <= width and len(payload.data) <= 4 * width:
        return f"{visible(payload.contract)} {text}"
    return f"{visible(payload.contract)} {text[: width - 3]}... ({len(payload.data):,} bytes)"


def short(text: str, width: int = WORDS) -> str:
    """What somebody said, on one line."""
    return visible(text[:width]) + (f"... ({len(text):,} characters)" if len(text) > width else "")


def clock(at: float) -> str:
    return _spoken(at, "%H:%M:%S.%f")[:-3]


def moment(at: float) -> str:
    return _spoken(at, "%Y-%m-%d %H:%M:%S UTC")


def _spoken(at: float, form: str) -> str:
    """A time that no calendar has (of a log that somebody edited) is shown as what it is."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return f"at {at:g}"


def took(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def where(states: Sequence[str]) -> str:
    """A configuration by its innermost states."""
    return " + ".join(state for state in states if not any(other.startswith(f"{state}/") for other in states))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of one length in columns; those that are empty throughout are left out."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip() for row in rows
    ]


def times(count: int, what: str) -> str:
    """`1 event`, `2 events`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
