"""Types as they stand in annotations: what kind each is, and how a person writes it."""

import types
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs

from statecore.versions import id_of

COLLECTIONS = (list, tuple, dict)


def spelled(hint: Any, members: bool = False) -> str:
    """A type as a person writes it, without modules. `members`: an Enum with what it may be."""
    if members and is_enum(hint):
        return f"{hint.__name__}[{', '.join(repr(member.value) for member in hint)}]"
    if isinstance(hint, type) and get_origin(hint) is None:
        return "None" if hint is types.NoneType else id_of(hint)
    if hint is Ellipsis:
        return "..."
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " | ".join(spelled(arg, members) for arg in args)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is Annotated:
        return spelled(args[0], members)
    return f"{origin.__name__}[{', '.join(spelled(arg, members) for arg in args)}]" if origin else str(hint)


def named(value: object) -> str:
    """How a message calls what somebody wrote: by its name, or by what it is."""
    name = getattr(value, "__name__", None)
    if name:
        return str(name)
    return repr(value) if isinstance(value, str | int | float) else a(type(value).__name__)


def a(name: str) -> str:
    """`a Draft`, `an Answer`"""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def fields_of(cls: type) -> Sequence[Any]:
    """The attributes of an attrs class, their types as they are."""
    attrs.resolve_types(cls, include_extras=True)
    fields: Sequence[Any] = attrs.fields(cls)
    return fields


def is_class(hint: Any) -> bool:
    return isinstance(hint, type) and attrs.has(hint)


def is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Enum)


def is_literal(hint: Any) -> bool:
    return get_origin(hint) is Literal


def is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def is_collection(hint: Any) -> bool:
    return get_origin(hint) in COLLECTIONS
