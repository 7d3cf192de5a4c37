"""Contracts: the typed shape of a hand-over, compiled once per attrs class and strict in both directions.

A value is packed to canonical JSON and read back at once, so that what a run goes on with is exactly what a rebuild
will find. Strict means: no coercion ("3" is no int, "false" no bool, None no str), no unknown field, no missing one, no
number that JSON or a database cannot hold (NaN, infinities, integers of 64 bits and more), no lone surrogate and no NUL
in text. Faults are reported all at once (of a value that is all faults, the first 100), each as `{what} @ {path}` with
`$` for the value itself. A value that would not be read back equal is refused.

A union of two or more classes inside a contract is stored with the name of the member under `_type`; a union whose
members JSON cannot tell apart is no contract.
"""

import math
import types
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from enum import Enum
from functools import cache, cached_property
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
import msgspec
from cattrs import cols
from cattrs.gen import make_dict_structure_fn, override

from statecore.errors import BadInput, DefinitionError
from statecore.events import Payload
from statecore.failures import told
from statecore.strictjson import MAX_DEPTH
from statecore.versions import id_of, name_of, said, split, upcasters

T = TypeVar("T")

INT_LIMIT = 2**63
"""Integers are kept below what SQLite and PostgreSQL store; larger ones belong in a string."""

PLAIN: tuple[type, ...] = (str, int, float, bool, types.NoneType, datetime, date)
COLLECTIONS = (list, tuple, dict)
MAX_FAULTS, MAX_FAULT = 100, 500
"""Faults of one value that are told, and characters of each: a person and a model need no more to begin with."""
TOO_DEEP = f"nested deeper than {MAX_DEPTH} @ $"


@attrs.frozen(eq=False)
class Contract(Generic[T]):
    """`cls`: the attrs class. `name`: what states and hand-overs call it, in whatever version. `id`: what is stored
    with a value, `Ticket` for the first version, `Ticket@2` for the second.
    """

    cls: type[T]
    name: str
    id: str
    _unstructure: Callable[[T], Any]
    _structure: Callable[[Any, Any], T]
    _recursive: bool

    def pack(self, value: T) -> Payload:
        """The value as it will be stored. Raises BadInput with every fault; `value` is not kept, its read-back is
        `live`. A whole number in the place of a float is stored as what it is read back as: whoever decides again from
        what was stored packs the same bytes.
        """
        if type(value) is not self.cls:
            raise self._unfit((f"expected {self.id}, found {spelled(type(value))} {_short(value)} @ $",))
        try:
            plain = self._unstructure(value)
        except RecursionError:
            raise self._unfit((TOO_DEEP,)) from None
        except Exception as fault:
            faults = _told([*_unwritable(value, self.cls, "$")])
            raise self._unfit(faults or (f"cannot be written as JSON: {fault} @ $",)) from None
        live = self.fit(plain)
        if live != value:
            raise self._unfit(_told([*_changed(value, live, "$")]))
        return Payload(self.id, msgspec.json.encode(self._unstructure(live) if self._widens else plain), live)

    def fit(self, plain: Any) -> T:
        """Parsed JSON as a value. Raises BadInput with every fault."""
        if self._recursive and _deeper(plain, MAX_DEPTH):
            raise self._unfit((TOO_DEEP,))
        try:
            return self._structure(plain, self.cls)
        except Exception as error:
            raise self._unfit(_told(cattrs.transform_error(error, "$", _say))) from None

    def unpack(self, payload: Payload) -> T:
        """A stored value as an object; one of another version as its upcasters make it. Raises BadInput where the
        stored shape is not this contract's, no upcaster leads there, or one of them fails.
        """
        if type(payload.live) is self.cls and self._fixed:
            return payload.live
        plain = msgspec.json.decode(payload.data)
        return self.fit(plain if payload.contract == self.id else self._upcast(payload.contract, plain))

    def _upcast(self, stored: str, plain: Any) -> Any:
        try:
            way = upcasters(self.cls, stored)
        except LookupError as gap:
            if split(stored)[0] != self.name:
                raise self._unfit((f"expected {self.id}, found {stored} @ $",)) from None
            raise BadInput(
                f"{self.id} cannot be made of a stored {stored}: nothing leads on from version {gap.args[0]}: write"
                f' @upcaster({self.cls.__name__}, "{gap.args[0]}")'
            ) from None
        for step in way:
            try:
                plain = step(plain)
            except Exception as fault:  # it meets what its author never saw
                what = f"{type(fault).__name__}: {told(fault)}"
                raise BadInput(f"{self.id}: upcaster `{said(step)}` failed on a stored {stored}: {what}") from fault
        return plain

    @cached_property
    def _fixed(self) -> bool:
        """Whether nobody can change a value in place. One that can be is read from its bytes for each who gets it."""
        hints = [field.type for kind in self.nested() for field in fields_of(kind)]
        return not any(_changeable(hint) for hint in hints)

    @cached_property
    def _widens(self) -> bool:
        """Whether a whole number may stand where it is read back as a float."""
        return any(_mentions(float, field.type) for kind in self.nested() for field in fields_of(kind))

    def _unfit(self, faults: tuple[str, ...]) -> BadInput:
        return BadInput(f"{self.id}: {'; '.join(faults)}", faults)

    def spec(self) -> dict[str, Any]:
        """The shape as plain data, for the fingerprint: field names with their types, members of an Enum among them, and
        whether they may be left out.
        """
        return {
            field.name: f"{spelled(field.type, members=True)}{'' if field.default is attrs.NOTHING else ' = ...'}"
            for field in fields_of(self.cls)
        }

    def nested(self) -> tuple[type, ...]:
        """The classes that it is made of, itself first."""
        found: dict[type, None] = {}
        _admit(self.cls, self.cls.__name__, found)
        return tuple(found)


def _changeable(hint: Any) -> bool:
    return get_origin(hint) in (list, dict) or any(_changeable(arg) for arg in get_args(hint))


def _mentions(kind: type, hint: Any) -> bool:
    return hint is kind or any(_mentions(kind, arg) for arg in get_args(hint))


@cache
def contract_of(cls: type[T]) -> Contract[T]:
    """The compiled contract of an attrs class. Raises DefinitionError naming the field that no contract can hold."""
    if not _is_class(cls):
        raise DefinitionError(
            f"{spelled(cls)} cannot be a contract: expected an attrs class (`@attrs.frozen class ...`), found {cls!r};"
            " give the value a class of its own with named fields"
        )
    _admit(cls, cls.__name__, {})
    return Contract(
        cls,
        name_of(cls),
        id_of(cls),
        _converter.get_unstructure_hook(cls),
        _converter.get_structure_hook(cls),
        _contains_itself(cls),
    )


def spelled(hint: Any, members: bool = False) -> str:
    """A type as a person writes it, without modules. `members`: an Enum with what it may be."""
    if members and _is_enum(hint):
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
    return str(name) if name else repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def fields_of(cls: type) -> Sequence[Any]:
    """The attributes of an attrs class, their types as they are."""
    attrs.resolve_types(cls, include_extras=True)
    fields: Sequence[Any] = attrs.fields(cls)
    return fields


def _admit(hint: Any, where: str, seen: dict[type, None]) -> None:
    """Walk a type and refuse what cannot be stored strictly and read back equal."""
    origin, args = get_origin(hint), get_args(hint)
    if hint in PLAIN or _is_text_or_number(hint):
        return
    if _is_class(hint):
        if hint not in seen:
            seen[hint] = None
            _admit_class(hint, where, seen)
    elif origin in (Union, types.UnionType, Annotated, list, tuple):
        if _is_union(hint):
            _told_apart(hint, where)
        for arg in args[:1] if origin is Annotated else args:
            if arg is not Ellipsis:
                _admit(arg, where, seen)
    elif origin is dict and args[0] is str:
        _admit(args[1], where, seen)
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
    return _is_enum(hint) and all(type(member.value) in (str, int) for member in hint)


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
        _admit(field.type, f"{where}.{field.name}", seen)


def compared(cls: Any) -> bool:
    """Whether its `==` sees every field. Not so with `eq=False`, nor for an exception whose decorator says no
    `auto_exc=False`.
    """
    by = next(base for base in cls.__mro__ if "__eq__" in vars(base))
    return by is cls or (attrs.has(by) and len(attrs.fields(by)) == len(attrs.fields(cls)))


def _told_apart(hint: Any, where: str) -> None:
    """Two members of a union may not be written alike and read differently."""
    arms = get_args(hint)
    classes = {arm for arm in arms if _is_class(arm)}
    arrays = [arm for arm in arms if get_origin(arm) in (list, tuple)]
    objects = [arm for arm in arms if get_origin(arm) is dict]
    texts = [arm for arm in arms if arm in (str, date, datetime) or _is_enum(arm) or get_origin(arm) is Literal]
    converted = any(arm in (date, datetime) or _is_enum(arm) for arm in arms)
    same_name = len({name_of(cls) for cls in classes}) < len(classes)
    if same_name or len(arrays) > 1 or len(objects) + bool(classes) > 1 or (converted and len(texts) > 1):
        raise DefinitionError(
            f"contract field `{where}: {spelled(hint)}` is stored so that its members cannot be told apart: "
            "give each a class of its own name (two or more classes are stored with their names)"
        )


def _contains_itself(cls: type) -> bool:
    def made_of(hint: Any) -> Iterable[Any]:
        return (
            (field.type for field in fields_of(hint))
            if _is_class(hint)
            else get_args(hint)
            if get_origin(hint) is not Literal
            else ()
        )

    def goes_round(hint: Any, inside: tuple[Any, ...]) -> bool:
        return hint in inside or any(
            goes_round(part, (*inside, hint) if _is_class(hint) else inside) for part in made_of(hint)
        )

    return goes_round(cls, ())


def _deeper(plain: Any, limit: int) -> bool:
    level = [plain]
    for _ in range(limit):
        level = [
            item
            for part in level
            if isinstance(part, dict | list | tuple)
            for item in (part.values() if isinstance(part, dict) else part)
        ]
        if not level:
            return False
    return any(isinstance(part, dict | list | tuple) for part in level)


def _changed(value: Any, live: Any, path: str) -> Iterable[str]:
    for field in attrs.fields(type(value)):
        was, is_now, where = getattr(value, field.name), getattr(live, field.name), f"{path}.{field.name}"
        if was == is_now:
            continue
        if _is_class(type(was)) and type(was) is type(is_now):
            yield from _changed(was, is_now, where)
        else:
            yield (
                f"expected {spelled(field.type)}, found {type(was).__name__} {_short(was)}, which would be read back as"
                f" {_short(is_now)} @ {where}"
            )


def _told(faults: Sequence[str]) -> tuple[str, ...]:
    """What was wrong, within bounds: a value can be all faults, and a fault can name a key of any length."""
    cut = [fault if len(fault) <= MAX_FAULT else f"{fault[: MAX_FAULT - 3]}..." for fault in faults[:MAX_FAULTS]]
    return (*cut, f"{len(faults) - MAX_FAULTS:,} more @ $") if len(faults) > MAX_FAULTS else tuple(cut)


def _unwritable(value: Any, hint: Any, path: str) -> Iterable[str]:
    """Every fault of a value that cannot be written as a whole: what of it can be is judged as it would be read."""
    try:
        plain = _converter.unstructure(value, unstructure_as=hint)
    except Exception:
        parts = list(_parts(value, hint, path))
        if not parts:
            yield f"expected {spelled(hint)}, found {type(value).__name__} {_short(value)} @ {path}"
        for part, its, where in parts:
            yield from _unwritable(part, its, where)
        return
    try:
        _converter.structure(plain, hint)
    except Exception as error:
        yield from cattrs.transform_error(error, path, _say)


def _parts(value: Any, hint: Any, path: str) -> Iterable[tuple[Any, Any, str]]:
    """What a value is made of, each part with its type and path; nothing where it is not of its type at all."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        yield from _parts(value, args[0], path)
    elif _is_union(hint):
        meant = next((arm for arm in args if type(value) is (get_origin(arm) or arm)), None)
        if meant is not None:
            yield from _parts(value, meant, path)
    elif _is_class(hint) and type(value) is hint:
        for field in fields_of(hint):
            yield getattr(value, field.name), field.type, f"{path}.{field.name}"
    elif origin is dict and type(value) is dict:
        for key, item in value.items():
            yield item, args[1], f"{path}[{key!r}]"
    elif origin in (list, tuple) and type(value) is origin:
        every = origin is list or args[-1] is Ellipsis
        for index, item in enumerate(value) if every or len(value) == len(args) else ():
            yield item, args[0] if every else args[index], f"{path}[{index}]"


def _say(error: BaseException, expected: type | None) -> str:
    """One fault in the words of a contract; path and separator are put behind it by cattrs."""
    if isinstance(error, KeyError):
        return f"required field missing: {error.args[0]}"
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        return f"unknown field: {', '.join(sorted(map(str, error.extra_fields)))}"
    if isinstance(error, cattrs.errors.StructureHandlerNotFoundError):
        return f"no value of {expected}"
    return str(error)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = "(that cannot be printed)"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {spelled(kind)}, found {type(value).__name__} {_short(value)}")
        return value

    return hook


def _int(value: Any, _: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"expected int, found {type(value).__name__} {_short(value)}")
    if not -INT_LIMIT <= value < INT_LIMIT:
        raise ValueError("expected an int of 64 bits, found a larger one: keep it as a string")
    return value


def _float(value: Any, _: Any) -> float:
    if type(value) is int and abs(value) <= 2**53:
        return float(value)
    if type(value) is not float:
        raise ValueError(f"expected float, found {type(value).__name__} {_short(value)}")
    if not math.isfinite(value):
        raise ValueError(f"expected a finite float, found {value}")
    return value


def _str(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"expected str, found {type(value).__name__} {_short(value)}")
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
    return lambda value, hint: _enum(value, hint) if _is_enum(hint) else hook(value, hint)


def _literal(value: Any, hint: Any) -> Any:
    for member in get_args(hint):
        if type(member) is type(value) and member == value:
            return value
    raise ValueError(f"expected {' or '.join(map(repr, get_args(hint)))}, found {_short(value)}")


def _datetime(value: Any, kind: Any) -> Any:
    try:
        return kind.fromisoformat(_str(value, None))
    except ValueError as fault:
        raise ValueError(f"expected an ISO 8601 {kind.__name__}: {fault}") from None


def _is_literal(hint: Any) -> bool:
    return get_origin(hint) is Literal


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Enum)


def _enum(value: Any, hint: Any) -> Any:
    """By value and by type: `Enum(1.0)` and `Enum(True)` would both find the member 1."""
    for member in hint:
        if value is member:  # a StrEnum, which cattrs leaves as it is until it is JSON
            return member
        if type(member.value) is type(value) and member.value == value:
            return member
    raise ValueError(
        f"expected {' or '.join(repr(member.value) for member in hint)}, found {type(value).__name__} {_short(value)}"
    )


def written(value: Any, hint: Any) -> Any:
    """A value of a type as plain data."""
    return _converter.unstructure(value, unstructure_as=hint)


def _is_class(hint: Any) -> bool:
    return isinstance(hint, type) and attrs.has(hint)


def _class(hint: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    plain = [field for field in fields_of(hint) if _is_plainest(field.type)]
    hooks: dict[str, Any] = {field.name: override(struct_hook=_PLAINEST[field.type]) for field in plain}
    structure = make_dict_structure_fn(hint, converter, _cattrs_forbid_extra_keys=True, **hooks)

    def hook(value: Any, kind: Any) -> Any:
        if type(value) is not dict:
            raise ValueError(f"expected {hint.__name__}, found {type(value).__name__} {_short(value)}")
        return structure(value, kind)

    return hook


def _is_collection(hint: Any) -> bool:
    return get_origin(hint) in COLLECTIONS


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
            raise ValueError(f"expected {spelled(hint)}, found {type(value).__name__} {_short(value)}")
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


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _arms(hint: Any) -> tuple[dict[str, type], list[Any]]:
    """The classes of a union by name, and its other arms."""
    arms = get_args(hint)
    classes = {name_of(arm): arm for arm in arms if _is_class(arm)}
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
        raise ValueError(f"expected {spelled(hint)}, found {type(value).__name__} {_short(value)}")

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
    made.register_structure_hook_factory(_is_enum, lambda _hint, _converter: _enum)
    made.register_unstructure_hook_factory(_is_enum, lambda _hint, _converter: lambda member: member.value)
    made.register_structure_hook_factory(_is_literal, lambda _hint, _converter: _literal)
    made.register_structure_hook_factory(_is_class, _class)
    made.register_structure_hook_factory(_is_collection, _collection)
    made.register_structure_hook_factory(_is_union, _union)
    made.register_unstructure_hook_factory(_is_union, _union_out)
    return made


_converter = _make_converter()
