"""Contracts: the typed shape of a hand-over, compiled once per attrs class and strict in both directions.

A value is packed to canonical JSON and read back at once, so that what a run goes on with is exactly what a rebuild
will find. Strict means: no coercion ("3" is no int, "false" no bool, None no str), no unknown field, no missing one, no
number that JSON or a database cannot hold (NaN, infinities, integers of 64 bits and more), no lone surrogate and no NUL
in text. Faults are reported all at once (of a value that is all faults, the first 100), each as `{what} @ {path}` with
`$` for the value itself. A value that would not be read back equal is refused.

A union of two or more classes inside a contract is stored with the name of the member under `_type`; a union whose
members JSON cannot tell apart is no contract.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

import attrs
import cattrs
import msgspec

from statecore.admitted import admit, contains_itself
from statecore.errors import BadInput, DefinitionError
from statecore.events import Payload
from statecore.failures import told
from statecore.hints import fields_of, is_class, is_union, spelled
from statecore.strict import converter, say, short
from statecore.strictjson import MAX_DEPTH
from statecore.versions import id_of, name_of, said, split, upcasters

T = TypeVar("T")

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
            raise self._unfit((f"expected {self.id}, found {self._other(type(value))} {short(value)} @ $",))
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
            raise self._unfit(_told(cattrs.transform_error(error, "$", say))) from None

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

    def _other(self, kind: type) -> str:
        """What another class is called; with the modules, where its name is the same."""
        apart = f" of {kind.__module__}, not of {self.cls.__module__}," if id_of(kind) == self.id else ""
        return f"{spelled(kind)}{apart}"

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
        admit(self.cls, self.cls.__name__, found)
        return tuple(found)


def _changeable(hint: Any) -> bool:
    return get_origin(hint) in (list, dict) or any(_changeable(arg) for arg in get_args(hint))


def _mentions(kind: type, hint: Any) -> bool:
    return hint is kind or any(_mentions(kind, arg) for arg in get_args(hint))


@cache
def contract_of(cls: type[T]) -> Contract[T]:
    """The compiled contract of an attrs class. Raises DefinitionError naming the field that no contract can hold."""
    if not is_class(cls):
        raise DefinitionError(
            f"{spelled(cls)} cannot be a contract: expected an attrs class (`@attrs.frozen class ...`), found {cls!r};"
            " give the value a class of its own with named fields"
        )
    admit(cls, cls.__name__, {})
    return Contract(
        cls,
        name_of(cls),
        id_of(cls),
        converter.get_unstructure_hook(cls),
        converter.get_structure_hook(cls),
        contains_itself(cls),
    )


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
        if is_class(type(was)) and type(was) is type(is_now):
            yield from _changed(was, is_now, where)
        else:
            yield (
                f"expected {spelled(field.type)}, found {type(was).__name__} {short(was)}, which would be read back as"
                f" {short(is_now)} @ {where}"
            )


def _told(faults: Sequence[str]) -> tuple[str, ...]:
    """What was wrong, within bounds: a value can be all faults, and a fault can name a key of any length."""
    cut = [fault if len(fault) <= MAX_FAULT else f"{fault[: MAX_FAULT - 3]}..." for fault in faults[:MAX_FAULTS]]
    return (*cut, f"{len(faults) - MAX_FAULTS:,} more @ $") if len(faults) > MAX_FAULTS else tuple(cut)


def _unwritable(value: Any, hint: Any, path: str) -> Iterable[str]:
    """Every fault of a value that cannot be written as a whole: what of it can be is judged as it would be read."""
    try:
        plain = converter.unstructure(value, unstructure_as=hint)
    except Exception:
        parts = list(_parts(value, hint, path))
        if not parts:
            yield f"expected {spelled(hint)}, found {type(value).__name__} {short(value)} @ {path}"
        for part, its, where in parts:
            yield from _unwritable(part, its, where)
        return
    try:
        converter.structure(plain, hint)
    except Exception as error:
        yield from cattrs.transform_error(error, path, say)


def _parts(value: Any, hint: Any, path: str) -> Iterable[tuple[Any, Any, str]]:
    """What a value is made of, each part with its type and path; nothing where it is not of its type at all."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        yield from _parts(value, args[0], path)
    elif is_union(hint):
        meant = next((arm for arm in args if type(value) is (get_origin(arm) or arm)), None)
        if meant is not None:
            yield from _parts(value, meant, path)
    elif is_class(hint) and type(value) is hint:
        for field in fields_of(hint):
            yield getattr(value, field.name), field.type, f"{path}.{field.name}"
    elif origin is dict and type(value) is dict:
        for key, item in value.items():
            yield item, args[1], f"{path}[{key!r}]"
    elif origin in (list, tuple) and type(value) is origin:
        every = origin is list or args[-1] is Ellipsis
        for index, item in enumerate(value) if every or len(value) == len(args) else ():
            yield item, args[0] if every else args[index], f"{path}[{index}]"
