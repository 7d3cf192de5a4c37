"""A name that is like the one that nothing here has."""

from collections.abc import Iterable
from difflib import get_close_matches

CLOSE = 0.6
"""How alike two names are, of 1, for one to be taken for the other misspelt: difflib's own measure and default."""


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean Quick?`, to be put behind a message; "" where nothing is near. The case of letters is no matter."""
    by_case = {one.casefold(): one for one in known}
    near = get_close_matches(name.casefold(), by_case, 1, CLOSE)
    return f"; did you mean {by_case[near[0]]}?" if near else ""
