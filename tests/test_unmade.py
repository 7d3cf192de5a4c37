"""Functions whose text shows that what they return cannot be made, and others that only look like it."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import attrs
import pytest

from statecore.unmade import unmade


@attrs.frozen
class Note:
    title: str
    text: str


@attrs.frozen
class Notes:
    notes: tuple[Note, ...]


def left_out(title: str) -> Note:
    return Note(title)  # type: ignore[call-arg]


def one_more(title: str) -> Note:
    return Note(title, text="", by="ana")  # type: ignore[call-arg]


def inside(title: str) -> Notes:
    return Notes((Note(title, ""), Note(text=title)))  # type: ignore[call-arg]


def in_a_branch(title: str) -> Note:
    for letter in title:
        if letter == "x":
            return Note(title, "")
        else:
            match letter:
                case "y":
                    return Note(title)  # type: ignore[call-arg]
    return Note(title, "")


@pytest.mark.parametrize(
    ("fn", "why"),
    [
        (left_out, "Note(title) (missing a required argument: 'text')"),
        (one_more, "Note(title, text='', by='ana') (got an unexpected keyword argument 'by')"),
        (inside, "Note(text=title) (missing a required argument: 'title')"),
        (in_a_branch, "Note(title) (missing a required argument: 'text')"),
    ],
)
def test_what_cannot_be_made_is_named_with_the_reason(fn: Callable[..., Any], why: str) -> None:
    """Wherever the text returns it, or makes it a part of what it returns."""
    assert unmade(fn) == why


def whole(title: str) -> Note:
    return Note(title, text="")


def tried(title: str) -> Note:
    try:
        return Note(title)  # type: ignore[call-arg]
    except TypeError:
        return Note(title, "")


def suppressed(title: str) -> Note:
    with suppress(TypeError):
        return Note(title)  # type: ignore[call-arg]
    return Note(title, "")


def behind_a_return(title: str) -> Note:
    if title:
        return Note(title, "")
    else:
        raise ValueError(title)
    return Note(title)  # type: ignore[unreachable]


def not_returned(title: str) -> Note:
    def never() -> Note:
        return Note(title)  # type: ignore[call-arg]

    return Note(title, str(never))


def for_later(title: str) -> Note:
    return Note(title, str(lambda: Note(title)))  # type: ignore[call-arg]


def whatever_comes(*parts: str, **named: str) -> Note:
    return Note(*parts) if parts else Note(**named)


def forgiving(fn: Callable[[str], Note]) -> Callable[[str], Note]:
    @wraps(fn)
    def kept(title: str) -> Note:
        return fn(title) if title else Note(title, "")

    return kept


@forgiving
def decorated(title: str) -> Note:
    return Note(title)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "fn",
    [whole, tried, suppressed, behind_a_return, not_returned, for_later, whatever_comes, decorated, str.upper],
)
def test_what_need_not_raise_is_left_alone(fn: Callable[..., Any]) -> None:
    """Where somebody may answer the fault, where nothing leads there, and where the text does not say enough."""
    assert unmade(fn) == ""
