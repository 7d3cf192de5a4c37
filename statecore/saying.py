"""Who says something, and why: what is recorded with every decision of somebody, and what no log may lack. Pure."""

from statecore.errors import BadInput

SAID = {"by": "the name of who says so", "why": "the reason"}
"""What each of them is, in words."""


def said(by: object, why: object) -> None:
    """Whether both say something. Raises BadInput, before anything is done that they would be recorded with."""
    for name, value in (("by", by), ("why", why)):
        words(name, value)


def words(name: str, value: object) -> str:
    """A value for `by` or `why`. Raises BadInput where it is none, or white space only."""
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"expected `{name}` to be {SAID[name]}, found {value!r:.100}")
    return value
