"""Required context: fields of a request that may not be empty, checked before anybody is called.

    assembling = State(assemble, give=material, guards=[required("code", "tests")])

A hand-over already promises that each value is there. This is for the fields inside, where a specialist before gave a
value with nothing in it. Weakness: a field full of nonsense is not empty; `plausible` asks for more.
"""

from collections.abc import Sized
from typing import Any

import attrs

from statecore.failures import Failure
from statecore.guard import Pass, Question, Refuse, Side, Verdict
from statecore.ledger import Ledger


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
    """Raises ValueError where no field is named."""
    if not fields:
        raise ValueError('expected the fields that are required, found none: write required("code")')
    return Required(fields)


def _at(value: Any, field: str) -> Any:
    for name in field.split("."):
        value = getattr(value, name) if value is not None else None
    return value


def _empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Sized) and len(value) == 0)
