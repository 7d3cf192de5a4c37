"""What travels beside a value and never inside it: warnings, and whose word makes it trusted.

A specialist returns `Warned(draft, ("two sources disagree",))` and is annotated `-> Warned[Draft]`; its contract is
Draft. Downstream a hand-over reads the envelope through `Recorded[Draft]`.

Every value is untrusted until a named rule says otherwise: what comes from the world (the input of a run, a signal, an
answer) and what a specialist gives. An after-guard with `vouches = True` that passes makes an output trusted; a
specialist that is declared with `derives=True` gives what is as trusted as all that its request was made of. The rule's
name is recorded with the value, so the mark outlives the declaration. A request is trusted where everything that it
was made of is.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

import attrs

from statecore.hints import named

T_co = TypeVar("T_co", covariant=True)

DERIVED = "derived"
"""The rule's name where a value follows from trusted ones alone."""


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    said = (given,) if isinstance(given, str) else tuple(given)
    for text in said:
        if not isinstance(text, str):
            raise TypeError(f"a warning is text, found {named(text)}: say it in words")
    return said


@attrs.frozen
class Warned(Generic[T_co]):
    """A specialist's output with what its readers should know about it. Raises TypeError where a warning is no text."""

    value: T_co
    warnings: tuple[str, ...] = attrs.field(default=(), converter=_texts)
