"""Routing: which specialist is called for a piece of work, read from a table and never guessed.

A specialist is asked for by its name, which is the type of work, or by a type that it says it `can` do; and only where
it can do all that the work needs (a tool, a language). The first that fits, in the order given, is it. Nobody that
fits is a failure by name, before anybody is called.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from statecore.errors import UnknownSpecialist
from statecore.specialist import Specialist


def route(type: str, of: Sequence[Specialist[Any, Any]], needs: Iterable[str] = ()) -> Specialist[Any, Any]:
    """Raises UnknownSpecialist, naming what there is."""
    needs = tuple(needs)
    fit = [each for each in of if type == each.name or type in each.can]
    if not fit:
        known = ", ".join(sorted({name for each in of for name in (each.name, *each.can)})) or "none"
        raise UnknownSpecialist(f"No specialist registered for task type: {type} (registered: {known})")
    able = [each for each in fit if set(needs) <= {each.name, *each.can}]
    if not able:
        said = "; ".join(f"{each.name} can {', '.join(each.can) or 'nothing besides'}" for each in fit)
        raise UnknownSpecialist(f"No specialist for task type {type} can {', '.join(needs)} ({said})")
    return able[0]
