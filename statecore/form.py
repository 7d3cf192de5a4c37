"""A typed value on paper: every field on a line of its own for whoever reads it, and a blank form for an answer. Pure.

Nothing is cut. Whatever a terminal would obey or hide is spelled out, long blanks are counted, and a line of a text begins
with `|`, so that no text can look like a field, or push one out of sight.
"""

import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from enum import Enum
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs

from statecore.contract import Contract
from statecore.hints import spelled
from statecore.messages import members
from statecore.wording import visible

BLANKS = 24
"""Blanks in a row that are shown as they are; no more of them say anything."""

EMPTY = 3
"""Empty lines in a row that are shown as they are."""


def paper(plain: Any, name: str = "", indent: str = "") -> Iterator[str]:
    """A value that JSON gave, a line for each field."""
    head = f"{indent}{visible(name)}" if name else indent.rstrip()
    if isinstance(plain, dict | list) and plain:
        parts = plain.items() if isinstance(plain, dict) else [(f"[{place}]", part) for place, part in enumerate(plain)]
        inner = indent
        if name:
            yield f"{head}:"
            inner = f"{indent}  "
        for key, part in parts:
            yield from paper(part, key, inner)
    elif isinstance(plain, str) and "\n" in plain:
        yield f"{head}: a text of {len(plain):,} characters"
        yield from (f"{indent}  | {line}" for line in _text(plain))
    else:
        yield f"{head}: {_spaced(visible(plain)) if isinstance(plain, str) else json.dumps(plain)}"


def _text(text: str) -> Iterator[str]:
    empty = 0
    for line in [*text.split("\n"), None]:
        if line is not None and not line.strip():
            empty += 1
            continue
        yield from [""] * empty if empty <= EMPTY else [f"[{empty:,} empty lines]"]
        empty = 0
        if line is not None:
            yield _spaced(visible(line))


def _spaced(text: str) -> str:
    return re.sub(f"[ ]{{{BLANKS},}}", lambda found: f"[{len(found.group()):,} blanks]", text)


# -- an answer


@attrs.frozen
class Blank:
    """A field to be filled in. `choices`: all that it can be, as plain data with what to call it; () for anything of
    `kind`. `given`: it may be left out.
    """

    name: str
    hint: Any
    choices: tuple[tuple[str, Any], ...]
    given: bool

    @property
    def kind(self) -> str:
        return spelled(self.hint)

    def read(self, text: str) -> Any:
        """What somebody typed, as plain data: the number of a choice, or a value. Raises ValueError."""
        if self.choices:
            if text.isascii() and text.isdigit() and 1 <= int(text) <= len(self.choices):
                return self.choices[int(text) - 1][1]
            found = [value for said, value in self.choices if said == text]
            if len(found) != 1:
                raise ValueError(f"expected a number from 1 to {len(self.choices)}, found {text!r}")
            return found[0]
        if not {str, datetime, date}.isdisjoint(members(self.hint)):
            return text
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(f"expected {self.kind} as JSON, found {text!r}") from None


def blanks(contract: Contract[Any]) -> list[Blank]:
    """The fields of an answer."""
    return _blanks(contract.cls)


def _blanks(cls: Any) -> list[Blank]:
    hints = get_type_hints(cls)
    fields = [(field, hints[field.name]) for field in attrs.fields(cls) if field.init]
    return [Blank(field.name, hint, _choices(hint), field.default is not attrs.NOTHING) for field, hint in fields]


def _choices(hint: Any) -> tuple[tuple[str, Any], ...]:
    if hint is bool:
        return ("yes", True), ("no", False)
    if hint is NoneType:
        return (("none", None),)
    if get_origin(hint) is Literal:
        return tuple((visible(str(value)), value) for value in get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple((each.name, each.value) for each in hint)
    parts = members(hint)
    found = [_choices(part) for part in parts] if len(parts) > 1 else [()]
    return tuple(choice for each in found for choice in each) if all(found) else ()


def shape(contract: Contract[Any]) -> str:
    """`Decision(approved: bool, note: str = ...)`"""
    fields = ", ".join(f"{name}: {kind}" for name, kind in contract.spec().items())
    return f"{contract.name}({fields})"


def example(contract: Contract[Any]) -> str:
    """JSON of the shape of an answer, with the fields that must be given."""
    return json.dumps(
        {blank.name: _example(blank) for blank in blanks(contract) if not blank.given}, ensure_ascii=False
    )


def _example(blank: Blank) -> Any:
    if blank.choices:
        return blank.choices[0][1]
    first = members(blank.hint)[0]
    if isinstance(first, type) and attrs.has(first):
        return {inner.name: _example(inner) for inner in _blanks(first) if not inner.given}
    plain: dict[Any, Any] = {str: "...", int: 0, float: 0.0}
    return plain.get(first, [] if get_origin(first) in (list, tuple) else {} if get_origin(first) is dict else "...")
