"""How plain data becomes a value, without coercion: a hook for each kind of type. A fault says what was expected and
found; where it stands is put behind it by cattrs.
"""

import math
import types
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, get_args, get_origin

import attrs
import cattrs
from cattrs import cols
from cattrs.gen import make_dict_structure_fn, override

from statecore.hints import fields_of, is_class, is_collection, is_enum, is_literal, is_union, spelled
from statecore.versions import name_of

INT_LIMIT = 2**63
"""Integers are kept below what SQLite and PostgreSQL store; larger ones belong in a string."""


def say(error: BaseException, expected: type | None) -> str:
    """One fault in the words of a contract; path and separator are put behind it by cattrs."""
    if isinstance(error, KeyError):
        return f"required field missing: {error.args[0]}"
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        return f"unknown field: {', '.join(sorted(map(str, error.extra_fields)))}"
    if isinstance(error, cattrs.errors.StructureHandlerNotFoundError):
        return f"no value of {expected}"
    return str(error)


def short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = "(that cannot be printed)"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {spelled(kind)}, found {type(value).__name__} {short(value)}")
        return value

    return hook


def _int(value: Any, _: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"expected int, found {type(value).__name__} {short(value)}")
    if not -INT_LIMIT <= value < INT_LIMIT:
        raise ValueError("expected an int of 64 bits, found a larger one: keep it as a string")
    return value


def _float(value: Any, _: Any) -> float:
    if type(value) is int and abs(value) <= 2**53:
        return float(value)
    if type(value) is not float:
        raise ValueError(f"expected float, found {type(value).__name__} {short(value)}")
    if not math.isfinite(value):
        raise ValueError(f"expected a finite float, found {value}")
    return value


def _str(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"expected str, found {type(value).__name__} {short(value)}")
    if "\0" in value:
        raise ValueError("expected text without NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("expected Unicode text, found a lone surrogate") from None
    return value


_PLAINEST: dict[type, Callable[[Any, Any], Any]] = {int: _int, float: _float, str: _str, bool: _exactly(bool)}
"""Known for a field without asking whether its type is an Enum, which costs twice what the hook itself does."""


def _is_plainest(hint: Any) -> bool:
    return isinstance(hint, type) and hint in _PLAINEST


def _but_enums(hook: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """cattrs finds these hooks for subclasses too, of which an IntEnum and a StrEnum are some."""
    return lambda value, hint: _enum(value, hint) if is_enum(hint) else hook(value, hint)


def _literal(value: Any, hint: Any) -> Any:
    for member in get_args(hint):
        if type(member) is type(value) and member == value:
            return value
    raise ValueError(f"expected {' or '.join(map(repr, get_args(hint)))}, found {short(value)}")


def _datetime(value: Any, kind: Any) -> Any:
    try:
        return kind.fromisoformat(_str(value, None))
    except ValueError as fault:
        raise ValueError(f"expected an ISO 8601 {kind.__name__}: {fault}") from None


def _enum(value: Any, hint: Any) -> Any:
    """By value and by type: `Enum(1.0)` and `Enum(True)` would both find the member 1."""
    for member in hint:
        if value is member:  # a StrEnum, which cattrs leaves as it is until it is JSON
            return member
        if type(member.value) is type(value) and member.value == value:
            return member
    raise ValueError(
        f"expected {' or '.join(repr(member.value) for member in hint)}, found {type(value).__name__} {short(value)}"
    )


def _class(hint: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    plain = [field for field in fields_of(hint) if _is_plainest(field.type)]
    hooks: dict[str, Any] = {field.name: override(struct_hook=_PLAINEST[field.type]) for field in plain}
    structure = make_dict_structure_fn(hint, converter, _cattrs_forbid_extra_keys=True, **hooks)

    def hook(value: Any, kind: Any) -> Any:
        if type(value) is not dict:
            raise ValueError(f"expected {hint.__name__}, found {type(value).__name__} {short(value)}")
        return structure(value, kind)

    return hook


def _collection(hint: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """cattrs takes any iterable for a list, a string among them; a JSON array is a list, an object a dict, and nothing
    else.
    """
    origin, args = get_origin(hint), get_args(hint)
    wanted: type = dict if origin is dict else list
    structure: Callable[[Any, Any], Any]
    if origin is dict:
        structure = cols.mapping_structure_factory(hint, converter)
    elif origin is tuple and args[-1] is not Ellipsis:
        structure = _fixed(args, converter)
    else:
        item: Any = args[0]
        structure = cols.list_structure_factory(list[item], converter)
    finish = tuple if origin is tuple else None

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not wanted and not (wanted is list and type(value) is tuple):  # a tuple until it is JSON
            raise ValueError(f"expected {spelled(hint)}, found {type(value).__name__} {short(value)}")
        made: Any = structure(value, hint)  # type: ignore[arg-type]
        return finish(made) if finish else made

    return hook


def _fixed(args: tuple[Any, ...], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if len(value) != len(args):
            raise ValueError(f"expected {len(args)} items, found {len(value)}")
        made, faults = [], []
        for index, (item, arg) in enumerate(zip(value, args, strict=True)):
            try:
                made.append(converter.structure(item, arg))
            except Exception as fault:
                fault.__notes__ = [
                    *getattr(fault, "__notes__", ()),
                    cattrs.IterableValidationNote(f"item {index}", index, arg),
                ]
                faults.append(fault)
        if faults:
            raise cattrs.IterableValidationError("items", faults, tuple)  # pyright: ignore[reportCallIssue]
        return made

    return hook


def _arms(hint: Any) -> tuple[dict[str, type], list[Any]]:
    """The classes of a union by name, and its other arms."""
    arms = get_args(hint)
    classes = {name_of(arm): arm for arm in arms if is_class(arm)}
    return classes, [arm for arm in arms if arm not in classes.values()]


def _union(hint: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    classes, others = _arms(hint)

    def class_arm(value: dict[str, Any]) -> Any:
        if len(classes) == 1:
            return converter.structure(value, next(iter(classes.values())))
        name = value.get("_type")
        if name not in classes:
            raise ValueError(f"expected `_type` to be {' or '.join(classes)}, found {name!r}")
        return converter.structure({key: item for key, item in value.items() if key != "_type"}, classes[name])

    def hook(value: Any, _: Any) -> Any:
        if value is None and types.NoneType in others:
            return None
        if classes and type(value) is dict and not any(get_origin(arm) is dict for arm in others):
            return class_arm(value)
        for arm in others:
            try:
                return converter.structure(value, arm)
            except Exception:
                continue
        raise ValueError(f"expected {spelled(hint)}, found {type(value).__name__} {short(value)}")

    return hook


def _union_out(hint: Any, converter: cattrs.Converter) -> Callable[[Any], Any]:
    tagged = len(_arms(hint)[0]) > 1

    def hook(value: Any) -> Any:
        plain = converter.unstructure(value)
        return (
            {"_type": name_of(type(value)), **plain}
            if tagged and isinstance(plain, dict) and attrs.has(type(value))
            else plain
        )

    return hook


def _make_converter() -> cattrs.Converter:
    made = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for plain, hook in ((int, _int), (float, _float), (str, _str)):
        made.register_structure_hook(plain, _but_enums(hook))
    made.register_structure_hook(bool, _exactly(bool))
    made.register_structure_hook(types.NoneType, _exactly(types.NoneType))
    for kind in (datetime, date):
        made.register_structure_hook(kind, _datetime)
        made.register_unstructure_hook(kind, lambda value: value.isoformat())
    made.register_structure_hook_factory(is_enum, lambda _hint, converter: _enum)
    made.register_unstructure_hook_factory(is_enum, lambda _hint, converter: lambda member: member.value)
    made.register_structure_hook_factory(is_literal, lambda _hint, converter: _literal)
    made.register_structure_hook_factory(is_class, _class)
    made.register_structure_hook_factory(is_collection, _collection)
    made.register_structure_hook_factory(is_union, _union)
    made.register_unstructure_hook_factory(is_union, _union_out)
    return made


converter = _make_converter()


def written(value: Any, hint: Any) -> Any:
    """A value of a type as plain data."""
    return converter.unstructure(value, unstructure_as=hint)
