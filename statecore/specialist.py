"""Specialists: named, versioned workers behind two contracts.

The annotations of the decorated function are the contracts: one parameter of an attrs class, and an attrs class (or a
union of them) returned. A second parameter annotated `Call` is told the key, the attempt and why the last one was
rejected. An async function runs on the engine's loop, any other in a thread.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    Protocol,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import attrs

from statecore.admitted import compared
from statecore.call import Call
from statecore.contract import Contract, contract_of
from statecore.envelope import Warned
from statecore.errors import DefinitionError
from statecore.failures import Crashed, Failure, OutcomeUnknown, Rejected, TimedOut
from statecore.hints import spelled
from statecore.messages import members
from statecore.versions import name_of

if TYPE_CHECKING:
    from statecore.workflow import Machine

I = TypeVar("I")  # noqa: E741 - input and output, as everywhere in the typing of specialists
O = TypeVar("O")  # noqa: E741
O_co = TypeVar("O_co", covariant=True)

Effect = Literal["pure", "idempotent", "once"]
"""`pure`: nothing outside changes. `idempotent`: the receiver honours the call's key. `once`: neither, so never run
again.
"""

Kind = Literal["function", "model", "person", "workflow"]
"""Who does the work: code that the engine calls here, a model that it asks from here, somebody outside who answers, or a
run of another workflow. Only the first two can be cut by the end of the process; what the others do goes on without it.
"""

Reconcile = Callable[[Call], Awaitable[Any]]
"""Asks the receiver what became of a call that was cut: the result, raises NotDone, or gives None where it cannot tell.
"""


@attrs.frozen(eq=False)
class Specialist(Generic[I, O_co]):
    """`takes`, `gives`: contracts. `fails`: the declared failures. `fn`: the function as written, to be called in unit
    tests. `derives`: its output comes from its request alone, and is as trusted as what that was made of. `can`: types of
    work besides its name, tools and languages, by which it is found (`routing.py`). `machine`: of a child workflow, its
    declaration.
    """

    name: str
    version: str
    takes: Contract[I]
    gives: tuple[Contract[Any], ...]
    fails: tuple[type[Failure], ...]
    effect: Effect
    fn: Callable[..., Any]
    told_call: bool = False
    reconcile: Reconcile | None = None
    kind: Kind = "function"
    derives: bool = False
    machine: "Callable[[], Machine] | None" = None
    can: tuple[str, ...] = ()
    is_async: bool = attrs.field(
        init=False, default=attrs.Factory(lambda self: inspect.iscoroutinefunction(self.fn), takes_self=True)
    )

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"

    def may_fail(self) -> tuple[type[Failure], ...]:
        """The declared failures, and those that the engine may give in their place."""
        engine: tuple[type[Failure], ...] = (TimedOut, Rejected, Crashed)
        return tuple(dict.fromkeys((*self.fails, *engine, *((OutcomeUnknown,) if self.unknowable else ()))))

    def called(self, name: str) -> str:
        """How a picture calls it: by `name`, and as what it is where it is asked no question and is no function."""
        return f"child {name}" if self.kind == "workflow" else f"model {name}" if self.kind == "model" else name

    def about(self) -> str:
        """What it is, in a few words behind its name."""
        return self.effect

    def details(self) -> dict[str, str | int]:
        """What a list of specialists says of it besides."""
        return {}

    @property
    def here(self) -> bool:
        """Whether the engine calls it in this process, whose end cuts the call."""
        return self.kind in ("function", "model")

    @property
    def unknowable(self) -> bool:
        """Whether nobody may know what became of a call: of an effect that the end of the process can cut."""
        return self.effect == "once" and self.here

    def gives_named(self, contract: str) -> Contract[Any] | None:
        return next((given for given in self.gives if given.name == contract), None)


class _Decorator(Protocol):
    @overload
    def __call__(self, fn: Callable[[I], Awaitable[Warned[O]]], /) -> Specialist[I, O]: ...
    @overload
    def __call__(self, fn: Callable[[I, Call], Awaitable[Warned[O]]], /) -> Specialist[I, O]: ...
    @overload
    def __call__(self, fn: Callable[[I], Awaitable[O]], /) -> Specialist[I, O]: ...
    @overload
    def __call__(self, fn: Callable[[I, Call], Awaitable[O]], /) -> Specialist[I, O]: ...
    @overload
    def __call__(self, fn: Callable[[I], O], /) -> Specialist[I, O]: ...
    @overload
    def __call__(self, fn: Callable[[I, Call], O], /) -> Specialist[I, O]: ...
    def __call__(self, fn: Callable[..., Any], /) -> Specialist[Any, Any]: ...


def specialist(
    name: str,
    version: str,
    effect: Effect = "once",
    fails: Sequence[type[Failure]] = (),
    reconcile: Reconcile | None = None,
    *,
    derives: bool = False,
    can: Sequence[str] = (),
) -> _Decorator:
    """Make a specialist of a function. Raises DefinitionError where its annotations are no contracts.

    An exception that is one of `fails` becomes that failure; any other becomes Crashed, with its traceback in the log.
    """

    def made(fn: Callable[..., Any]) -> Specialist[Any, Any]:
        wrong = _Wrong(name)
        if not (isinstance(name, str) and name.isidentifier()):
            raise wrong(f"expected a name like `write_reply`, found {name!r}")
        if not (isinstance(version, str) and version):
            raise wrong(f'expected a version like "1", found {version!r}')
        if effect not in get_args(Effect):
            raise wrong(f"expected effect pure, idempotent or once, found {effect!r}")
        if isinstance(can, str) or not all(isinstance(word, str) and word for word in can):
            raise wrong(f'can={can!r}, expected words: write can=["git"]')
        if OutcomeUnknown in fails and effect != "once":
            raise wrong(
                f"fails=[OutcomeUnknown] with effect {effect}, which is called again: leave it out, or label the effect once"
            )
        for failure in fails:
            if not (isinstance(failure, type) and issubclass(failure, Failure)):
                raise wrong(f"fails=[...] lists {spelled(failure)}: derive it from Failure")
            check_failure(failure)
        takes, gives, told = _contracts(fn, wrong)
        if len({name_of(cls) for cls in gives}) < len(gives):
            both = " and ".join(spelled(cls) for cls in gives)
            raise wrong(f"it gives {both}, and transitions tell them apart by their names alone: give each its own")
        return Specialist(
            name,
            version,
            contract_of(takes),
            tuple(contract_of(g) for g in gives),
            tuple(fails),
            effect,
            fn,
            told,
            reconcile,
            derives=derives,
            can=tuple(can),
        )

    return made


@attrs.frozen
class _Wrong:
    name: str

    def __call__(self, what: str) -> DefinitionError:
        return DefinitionError(f"specialist {self.name!r}: {what}")


def check_failure(failure: Any) -> None:
    """Raises DefinitionError where `==` does not see the fields of a failure, which is what attrs does to exceptions by
    itself.
    """
    if not compared(failure):
        raise DefinitionError(
            f"failure {failure.__name__} is not compared by its fields, so equal would not mean equal: write"
            " @attrs.frozen(auto_exc=False) above it"
        )
    contract_of(failure)


def _contracts(fn: Callable[..., Any], wrong: _Wrong) -> tuple[type, tuple[type, ...], bool]:
    """What a function takes, what it may give, and whether it is told its call."""
    try:
        hints = get_type_hints(fn)
    except NameError as fault:
        raise wrong(f"its annotations cannot be read ({fault}): define the types at module level") from None
    parameters = list(inspect.signature(fn).parameters)
    if len(parameters) not in (1, 2) or any(name not in hints for name in parameters) or "return" not in hints:
        raise wrong(
            "expected one annotated parameter (and at most a second one, of type Call) and an annotated result, found"
            f" {inspect.signature(fn)}"
        )
    if len(parameters) == 2 and hints[parameters[1]] is not Call:
        raise wrong(
            f"its second parameter is told the Call: annotate `{parameters[1]}: Call`, found"
            f" {spelled(hints[parameters[1]])}"
        )
    returned = [get_args(hint)[0] if get_origin(hint) is Warned else hint for hint in members(hints["return"])]
    gives = tuple(dict.fromkeys(member for hint in returned for member in members(hint)))
    for hint in (hints[parameters[0]], *gives):
        if not (isinstance(hint, type) and attrs.has(hint)):
            raise wrong(
                f"its annotations are its contracts: expected attrs classes, found {spelled(hint)}; give the value a"
                " class with named fields"
            )
    return hints[parameters[0]], gives, len(parameters) == 2
