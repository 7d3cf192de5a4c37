"""Required context: fields of a request that may not be empty, checked before anybody is called.

    assembling = State(assemble, give=material, guards=[required("code", "tests")])

A hand-over already promises that each value is there. This is for the fields inside, where a specialist before gave a
value with nothing in it. Weakness: a field full of nonsense is not empty; `plausible` asks for more.
"""

from collections.abc import Sized
from types import NoneType
from typing import Any

import attrs

from statecore.errors import DefinitionError
from statecore.failures import Failure
from statecore.guard import Pass, Question, Refuse, Side, Verdict
from statecore.hints import fields_of, is_class, spelled
from statecore.ledger import Ledger
from statecore.messages import members


@attrs.frozen
class Required:
    """`fields`: names of attributes of the request, `a.b` for one inside another. None and what has no length are
    empty; so is text of white space only.
    """

    fields: tuple[str, ...]
    side: Side = "before"
    fails: tuple[type[Failure], ...] = ()

    @property
    def name(self) -> str:
        return f"required {', '.join(self.fields)}"

    def unfit(self, cls: type) -> str:
        """Which field no value of a class has."""
        for field in self.fields:
            if (gap := _gap(cls, field)) is not None:
                return gap
        return ""

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        missing = [field for field in self.fields if _empty(_at(question.value, field))]
        if not missing:
            return Pass()
        fields = ", ".join(f"`{field}`" for field in missing)
        sources = ", ".join(question.sources) or "nobody"
        return Refuse(
            f"missing required context: {fields} of {type(question.value).__name__} made of what {sources} gave; the"
            " dependency may have failed"
        )


def required(*fields: str) -> Required:
    """Raises DefinitionError where no field is named."""
    if not fields or not all(isinstance(field, str) and field for field in fields):
        raise DefinitionError(
            f'required{fields!r}: expected the names of the fields that are required: write required("code")'
        )
    return Required(fields)


def _gap(cls: type, field: str) -> str | None:
    """What is missing on the way to a field; None where it is there, or may be."""
    kinds: list[Any] = [cls]
    for name in field.split("."):
        classes = [kind for kind in kinds if is_class(kind)]
        if any(_otherwise(kind, name) for kind in classes):
            return None
        found = [each.type for kind in classes for each in fields_of(kind) if each.name == name]
        if classes and not found and len(classes) == len(kinds):
            known = ", ".join(dict.fromkeys(each.name for kind in classes for each in fields_of(kind)))
            return f"`{field}`: {' or '.join(map(spelled, classes))} has no field `{name}` (it has {known}): name one of these"
        kinds = [part for hint in found for part in members(hint) if part is not NoneType]
    return None


def _otherwise(kind: type, name: str) -> bool:
    """Whether a class has what is no field of it, a property for one: of what kind that is, is not looked into."""
    fields = {each.name for each in fields_of(kind)}
    return name not in fields and (hasattr(kind, name) or hasattr(kind, "__getattr__"))


def _at(value: Any, field: str) -> Any:
    for name in field.split("."):
        value = getattr(value, name) if value is not None else None
    return value


def _empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Sized) and len(value) == 0)
