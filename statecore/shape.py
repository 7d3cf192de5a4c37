"""A contract as JSON Schema, Draft 2020-12. Pure.

It admits whatever the contract admits, and says what JSON Schema can say of it: the fields and their types, no unknown
one and no missing one, the name of a class in a union under `_type`. The contract itself is stricter still: the
validators of the class, text without NUL or lone surrogates, no float where an int is meant, and how deep a value may be
nested are not in the schema.
"""

import types
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
import msgspec

from statecore.contract import Contract, contract_of
from statecore.hints import fields_of
from statecore.specialist import Specialist
from statecore.strict import INT_LIMIT, written
from statecore.versions import full_id, id_of, name_of
from statecore.workflow import Machine

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer", "minimum": -INT_LIMIT, "maximum": INT_LIMIT - 1},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    datetime: {"type": "string", "description": "a time in ISO 8601"},
    date: {"type": "string", "description": "a date in ISO 8601"},
}


def contract_schema(contract: Contract[Any]) -> Schema:
    """The schema of one contract, titled with its name and version."""
    made = _Made()
    whole = made.of(contract.cls)
    return {"$schema": DRAFT, "title": full_id(contract.cls), **whole, "$defs": made.defs}


def specialist_schema(specialist: Specialist[Any, Any]) -> Schema:
    """The schemas of both contracts of a specialist: an object with what it `takes` and what it `gives`."""
    made = _Made()
    gives = [made.of(given.cls) for given in specialist.gives]
    sides = {"takes": made.of(specialist.takes.cls), "gives": gives[0] if len(gives) == 1 else {"anyOf": gives}}
    whole = {"type": "object", "properties": sides, "required": ["takes", "gives"], "additionalProperties": False}
    return {"$schema": DRAFT, "title": specialist.id, **whole, "$defs": made.defs}


def answer_schema(gives: Sequence[Contract[Any]]) -> Schema:
    """The schema of a value of one of these contracts; of several, with its name under `_type`, as in a union."""
    made = _Made()
    classes = [given.cls for given in gives]
    whole = made.union(tuple(classes)) if len(classes) > 1 else made.object(classes[0], False)
    return {**whole, "$defs": made.defs} if made.defs else whole


@attrs.define
class _Made:
    """Schemas of classes, each once, under `$defs`. `keys`: of a class, and of one that is named under `_type`."""

    defs: dict[str, Schema] = attrs.field(factory=dict)
    keys: dict[tuple[type, bool], str] = attrs.field(factory=dict)

    def of(self, hint: Any) -> Schema:
        origin, args = get_origin(hint), get_args(hint)
        if hint in _PLAIN:
            return dict(_PLAIN[hint])
        if origin is Literal:
            return {"enum": list(args)}
        if origin is Annotated:
            return self.of(args[0])
        if origin in (Union, types.UnionType):
            return self.union(args)
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(args[1])}
        if origin in (list, tuple):
            return self.array(origin, args)
        return self.named(hint, False) if attrs.has(hint) else {"enum": [member.value for member in hint]}

    def array(self, origin: type, args: tuple[Any, ...]) -> Schema:
        if origin is list or args[-1] is Ellipsis:
            return {"type": "array", "items": self.of(args[0])}
        items = [self.of(arg) for arg in args]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items), "maxItems": len(items)}

    def union(self, arms: tuple[Any, ...]) -> Schema:
        classes = [arm for arm in arms if isinstance(arm, type) and attrs.has(arm)]
        tagged = len(classes) > 1
        return {"anyOf": [self.named(arm, tagged) if arm in classes else self.of(arm) for arm in arms]}

    def named(self, cls: type, tagged: bool) -> Schema:
        """A reference to the schema of a class; it is there before its fields are, so that one may contain itself."""
        if (cls, tagged) not in self.keys:
            base = id_of(cls) + ("-tagged" if tagged else "")
            same = sum(key.partition(".")[0] == base for key in self.defs)
            key = self.keys[cls, tagged] = f"{base}.{same + 1}" if same else base
            self.defs[key] = {}
            self.defs[key] = self.object(cls, tagged)
        return {"$ref": f"#/$defs/{self.keys[cls, tagged]}"}

    def object(self, cls: type, tagged: bool) -> Schema:
        fields = [field for field in fields_of(cls) if field.init]
        properties = {field.name: {**self.of(field.type), **_default(field)} for field in fields}
        required = [field.name for field in fields if field.default is attrs.NOTHING]
        if tagged:
            properties, required = {"_type": {"const": name_of(cls)}, **properties}, ["_type", *required]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _default(field: "attrs.Attribute[Any]") -> Schema:
    """What a field is where it is left out; nothing where a function makes it."""
    if field.default is attrs.NOTHING or isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        return {}
    try:
        return {"default": msgspec.json.decode(msgspec.json.encode(written(field.default, field.type)))}
    except Exception:  # a default that its own type does not admit shows when a value is packed
        return {}


def schemas(machines: Iterable[Machine]) -> dict[str, list[Schema]]:
    """By name@version, those of every contract of some workflows, what each is made of, and every specialist; more than
    one where different ones are called the same.
    """
    found: dict[str, list[Schema]] = {}
    for machine in machines:
        classes = dict.fromkeys(kind for contract in machine.contracts.values() for kind in contract.nested())
        working = [one for node in machine.chart.working for one in machine.chart.state(node.path).specialists]
        for made in (*map(contract_schema, map(contract_of, classes)), *map(specialist_schema, working)):
            known = found.setdefault(made["title"], [])
            if made not in known:
                known.append(made)
    return found
