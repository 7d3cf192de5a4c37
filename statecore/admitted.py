"""What may be a contract: what can be stored strictly, and is read back equal."""

import types
from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs

from statecore.errors import DefinitionError
from statecore.hints import fields_of, is_class, is_enum, is_union, spelled
from statecore.versions import name_of

PLAIN: tuple[type, ...] = (str, int, float, bool, types.NoneType, datetime, date)


def admit(hint: Any, where: str, seen: dict[type, None]) -> None:
    """Walk a type and refuse what cannot be stored strictly and read back equal."""
    origin, args = get_origin(hint), get_args(hint)
    if hint in PLAIN or _is_text_or_number(hint):
        return
    if is_class(hint):
        if hint not in seen:
            seen[hint] = None
            _admit_class(hint, where, seen)
    elif origin in (Union, types.UnionType, Annotated, list, tuple):
        if is_union(hint):
            _told_apart(hint, where)
        for arg in args[:1] if origin is Annotated else args:
            if arg is not Ellipsis:
                admit(arg, where, seen)
    elif origin is dict and args[0] is str:
        admit(args[1], where, seen)
    else:
        raise DefinitionError(
            f"contract field `{where}: {spelled(hint)}` cannot be stored strictly: expected str, int, float, bool,"
            " None, date, datetime, Literal, Enum, an attrs class, list[...], tuple[...], dict[str, ...] or a union of"
            " these"
        )


def _is_text_or_number(hint: Any) -> bool:
    """A Literal or Enum whose members are what JSON writes them as."""
    if get_origin(hint) is Literal:
        return all(type(member) in (str, int, bool, types.NoneType) for member in get_args(hint))
    return is_enum(hint) and all(type(member.value) in (str, int) for member in hint)


def _admit_class(cls: Any, where: str, seen: dict[type, None]) -> None:
    if not compared(cls):
        raise DefinitionError(
            f"contract {where}: {cls.__name__} is not compared by its fields, so equal would not mean equal: write"
            " @attrs.frozen above it"
        )
    own = [name for name, hint in vars(cls).get("__annotations__", {}).items() if "ClassVar" not in str(hint)]
    if own and "__attrs_attrs__" not in vars(cls):
        raise DefinitionError(
            f"contract {where}: {cls.__name__} is not an attrs class itself, so its {', '.join(own)} would be lost:"
            " write @attrs.frozen above it"
        )
    try:
        fields = fields_of(cls)
    except NameError as fault:
        raise DefinitionError(
            f"contract {where}: its annotations cannot be read ({fault}): define the types at module level"
        ) from None
    for field in fields:
        admit(field.type, f"{where}.{field.name}", seen)


def compared(cls: Any) -> bool:
    """Whether its `==` sees every field. Not so with `eq=False`, nor for an exception whose decorator says no
    `auto_exc=False`.
    """
    by = next(base for base in cls.__mro__ if "__eq__" in vars(base))
    return by is cls or (attrs.has(by) and len(attrs.fields(by)) == len(attrs.fields(cls)))


def _told_apart(hint: Any, where: str) -> None:
    """Two members of a union may not be written alike and read differently."""
    arms = get_args(hint)
    classes = {arm for arm in arms if is_class(arm)}
    arrays = [arm for arm in arms if get_origin(arm) in (list, tuple)]
    objects = [arm for arm in arms if get_origin(arm) is dict]
    texts = [arm for arm in arms if arm in (str, date, datetime) or is_enum(arm) or get_origin(arm) is Literal]
    converted = any(arm in (date, datetime) or is_enum(arm) for arm in arms)
    same_name = len({name_of(cls) for cls in classes}) < len(classes)
    if same_name or len(arrays) > 1 or len(objects) + bool(classes) > 1 or (converted and len(texts) > 1):
        raise DefinitionError(
            f"contract field `{where}: {spelled(hint)}` is stored so that its members cannot be told apart: "
            "give each a class of its own name (two or more classes are stored with their names)"
        )


def contains_itself(cls: type) -> bool:
    def made_of(hint: Any) -> Iterable[Any]:
        return (
            (field.type for field in fields_of(hint))
            if is_class(hint)
            else get_args(hint)
            if get_origin(hint) is not Literal
            else ()
        )

    def goes_round(hint: Any, inside: tuple[Any, ...]) -> bool:
        return hint in inside or any(
            goes_round(part, (*inside, hint) if is_class(hint) else inside) for part in made_of(hint)
        )

    return goes_round(cls, ())
