"""Which contract a class is, in which version, and what leads from one version to another. Pure.

A class is the contract of its own name in version 1, unless `@contract` says otherwise. What is stored names both:
`Ticket` for the first version, `Ticket@2` for the second. States, letters and hand-overs go by the name; a value goes by
name and version. An upcaster takes plain data of one version one step nearer to that of its class; several of them make
a chain. What is stored stays as it was written.

A class inside another has no version of its own in what is stored: whoever changes it raises the version of the
contracts that hold it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from statecore.errors import DefinitionError

C = TypeVar("C", bound=type)

Plain = dict[str, Any]
Upcaster = Callable[[Plain], Plain]
F = TypeVar("F", bound=Upcaster)

FIRST = "1"


def contract(name: str = "", *, version: str = FIRST) -> Callable[[C], C]:
    """Say which contract a class is, where it is not version 1 of its own name: `@contract(version="2")`, or
    `@contract("Ticket", version="1")` above a `TicketV1` that is kept beside its successor.

    Versions are whole numbers as text, from "1" up. Raises DefinitionError.
    """
    if not (isinstance(name, str) and (not name or name.isidentifier())):
        raise DefinitionError(
            f'@contract: expected the name of a contract, found {name!r}: write @contract(version="2"), with the name'
            " before it where it is not that of the class"
        )
    _number(version, "@contract")

    def named(cls: C) -> C:
        cls.__contract__ = (name or cls.__name__, version)  # type: ignore[attr-defined]
        return cls

    return named


def upcaster(to: type, version: str) -> Callable[[F], F]:
    """Register what makes plain data of the next version from plain data of `version`, on the way to the class `to`.

        @upcaster(Ticket, "1")
        def with_language(stored: dict[str, Any]) -> dict[str, Any]:
            return {**stored, "language": "en"}

    A version above that of the class leads down to it, so that a specialist of yesterday takes what is given today.
    Raises DefinitionError.
    """
    where = f"@upcaster({id_of(to)})"
    _number(version, where)
    if version == version_of(to):
        raise DefinitionError(f"{where}: {to.__name__} is version {version} itself: name the version that it reads")
    known: dict[str, Upcaster] = vars(to).get("__upcasters__", {})
    if version in known:
        raise DefinitionError(
            f"{where}: version {version} has `{said(known[version])}` already, found another: drop one of them"
        )

    def registered(made: F) -> F:
        to.__upcasters__ = {**known, version: made}  # type: ignore[attr-defined]
        return made

    return registered


def _number(version: object, where: str) -> None:
    if not (isinstance(version, str) and version.isascii() and version.isdigit() and not version.startswith("0")):
        raise DefinitionError(f'{where}: expected a version like "2", a whole number from "1" up, found {version!r}')


def name_of(cls: type) -> str:
    return _identity(cls)[0]


def version_of(cls: type) -> str:
    return _identity(cls)[1]


def id_of(cls: type) -> str:
    """What is stored with a value of the class: `Ticket`, or `Ticket@2`."""
    name, version = _identity(cls)
    return name if version == FIRST else f"{name}@{version}"


def full_id(cls: type) -> str:
    """Name and version, the first one too: `Ticket@1`."""
    return "@".join(_identity(cls))


def _identity(cls: type) -> tuple[str, str]:
    """A class that derives from a contract is one of its own name."""
    found: tuple[str, str] = vars(cls).get("__contract__", (cls.__name__, FIRST))
    return found


def split(stored: str) -> tuple[str, str]:
    """Name and version of what is stored."""
    name, _, version = stored.partition("@")
    return name, version or FIRST


def full(stored: str) -> str:
    """A stored contract with its version, the first one too."""
    return "@".join(split(stored))


def upcasters(cls: type, stored: str) -> tuple[Upcaster, ...]:
    """What leads from a stored contract to a class, in order; nothing where it is its own.

    Raises LookupError, with the first version from which nothing leads on, where the way is cut.
    """
    (name, version), known = split(stored), vars(cls).get("__upcasters__", {})
    if name != name_of(cls) or not (version.isascii() and version.isdigit()):
        raise LookupError(stored)
    at, goal, way = int(version), int(version_of(cls)), []
    while at != goal:
        if str(at) not in known:
            raise LookupError(str(at))
        way.append(known[str(at)])
        at += 1 if at < goal else -1
    return tuple(way)


def reads(cls: type, stored: str) -> bool:
    """Whether a class is the stored contract, or upcasters lead to it from there."""
    try:
        upcasters(cls, stored)
    except LookupError:
        return False
    return True


def said(fn: Upcaster) -> str:
    return getattr(fn, "__name__", type(fn).__name__)
