"""A value of a contract, made up from its shape alone: for paths on which nobody cares what the value is."""

from datetime import UTC, date, datetime
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import attrs

from statecore.errors import BadInput
from statecore.hints import spelled
from statecore.messages import members
from statecore.testing.given import payload

T = TypeVar("T")

PLAIN: dict[Any, Any] = {
    str: "text",
    int: 1,
    float: 0.5,
    bool: True,
    NoneType: None,
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    date: date(2026, 1, 1),
}


class NoSample(ValueError):
    """Nothing that the contract admits could be made up."""


def sample(cls: type[T]) -> T:
    """A value of the attrs class: defaults as they are, the first of several, collections empty.

    Raises NoSample where the class does not admit that (a validator, say).
    """
    hints = get_type_hints(cls, include_extras=True)
    needed = [field for field in attrs.fields(cls) if field.init and field.default is attrs.NOTHING]  # type: ignore[arg-type]
    try:
        made = cls(**{field.alias: _of(hints[field.name]) for field in needed})
        payload(made)
    except (ValueError, TypeError, BadInput, RecursionError) as fault:
        raise NoSample(f"no {cls.__name__} can be made up ({fault}): give one in `values`") from None
    return made


def _of(hint: Any) -> Any:
    first, origin = members(hint)[0], get_origin(hint)
    if first is not hint and origin not in (Literal, Annotated):
        return _of(first)
    if origin is Literal:
        return get_args(hint)[0]
    if origin is Annotated:
        return _of(get_args(hint)[0])
    if origin is tuple and Ellipsis not in get_args(hint):
        return tuple(_of(each) for each in get_args(hint))
    if origin in (list, tuple, dict):
        return origin()
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if isinstance(hint, type) and attrs.has(hint):
        return sample(hint)
    raise NoSample(f"{spelled(hint)} is no type that a sample is known of")
