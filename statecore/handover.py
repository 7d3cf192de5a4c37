"""Hand-overs: functions over recorded values, filled by the types of their parameters.

`T` is the newest value of that type, `T | None` the same or None, `list[T]` all of them in order, `Recorded[T]` the
newest with its envelope. Where the newest could be one of two states' values, the parameter is named after the state
that is meant (`start` is the run's input), or written `Newest[T]`. What was read is recorded with the call: context
contract and provenance in one.
"""

import inspect
from collections.abc import Callable
from datetime import datetime
from types import NoneType
from typing import Annotated, Any, Generic, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import attrs

from statecore.chart import SIGNAL as SIGNAL
from statecore.chart import START as START
from statecore.chart import Arrow, Chart, replied
from statecore.hints import named, spelled
from statecore.messages import members
from statecore.unmade import unmade
from statecore.versions import id_of, reads

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

NEWEST = "statecore.Newest"
Newest = Annotated[T, NEWEST]
"""Whichever state gave it last; a type checker sees T."""


@attrs.frozen
class Recorded(Generic[T_co]):
    """A value with its envelope. `state`: whose outcome it was. `specialist`: name@version. `fallback`: not the state's
    own gave it. `trusted`: the rule by which it is, "" where it is not. `part`: the part of that state's plan.
    """

    value: T_co
    state: str
    specialist: str
    attempt: int
    fallback: bool
    warnings: tuple[str, ...] = ()
    trusted: str = ""
    part: str = ""


@attrs.frozen(cache_hash=True)
class Param:
    """What one parameter asks for. `by`: only values of that state (and the states inside it)."""

    name: str
    wants: type
    many: bool = False
    optional: bool = False
    newest: bool = False
    envelope: bool = False
    by: str | None = None

    def __str__(self) -> str:
        kind = spelled(self.wants)
        return f"{self.name}: {f'list[{kind}]' if self.many else f'{kind} | None' if self.optional else kind}"

    def fits(self, by: str, given: type) -> bool:
        return made_into(given, self.wants) and self.of(by)

    def of(self, by: str) -> bool:
        """Whether it may be filled with what that state gave."""
        return self.by is None or f"{by}/".startswith(f"{self.by}/")


def made_into(given: type, wants: type) -> bool:
    """Whether a value of one class is one of another, or upcasters make it one."""
    return issubclass(given, wants) or reads(wants, id_of(given))


@attrs.frozen
class Handover:
    """`fn`: None where the newest value of the type is handed over as it is. `text`: how a message names it."""

    fn: Callable[..., Any] | None
    params: tuple[Param, ...]
    text: str


def handover(chart: Chart, path: str) -> Handover:
    """The compiled hand-over of a state. Raises DefinitionError where a parameter cannot be filled by its type."""
    state = chart.state(path)
    if state.wait is not None and state.wait.until is not None:
        return _until(chart, path, state.wait.until)
    assert state.does is not None
    takes = state.does.takes.cls
    if state.give is None:
        return Handover(None, (Param("request", takes),), f"`{path}` takes {spelled(takes)}")
    fn = state.give
    text = f"hand-over `{named(fn)}` of `{path}`"
    hints = hints_of(chart, fn, text)
    returns = hints.pop("return", None)
    if returns is not takes:
        chart.wrong(
            f"{text} returns {spelled(returns) if returns else 'nothing that it says'}, expected {spelled(takes)},"
            f" which `{state.does.name}` takes: annotate or mend it"
        )
    return _filled(chart, fn, text, hints)


def _filled(chart: Chart, fn: Callable[..., Any], text: str, hints: dict[str, Any]) -> Handover:
    return Handover(fn, tuple(param_of(chart, text, p, hints) for p in inspect.signature(fn).parameters.values()), text)


def reply(chart: Chart, arrow: Arrow) -> Handover:
    """The compiled reply of a transition. Raises DefinitionError as `handover` does."""
    assert arrow.reply is not None
    text = f"reply `{named(arrow.reply)}` of `{arrow.name}`"
    hints = hints_of(chart, arrow.reply, text)
    returns = hints.pop("return", None)
    if replied(arrow) is None:
        chart.wrong(
            f"{text} returns {spelled(returns) if returns else 'nothing that it says'}, expected an attrs class, which"
            " the sender is told: annotate or mend it"
        )
    return _filled(chart, arrow.reply, text, hints)


def _until(chart: Chart, path: str, fn: Callable[..., Any]) -> Handover:
    text = f"`{named(fn)}`, until when `{path}` waits,"
    hints = hints_of(chart, fn, text)
    returns = hints.pop("return", None)
    if not members(returns) or not set(members(returns)) <= {datetime, float, int}:
        chart.wrong(
            f"{text} returns {spelled(returns) if returns else 'nothing that it says'}, expected a datetime or seconds"
            " since the epoch (float): annotate or mend it"
        )
    return _filled(chart, fn, text, hints)


def hints_of(chart: Chart, fn: Callable[..., Any], text: str) -> dict[str, Any]:
    if not inspect.isroutine(fn):
        chart.wrong(
            f"{text} cannot be read, expected a function with annotated parameters, found {named(fn)}: write a `def`"
        )
    if inspect.iscoroutinefunction(fn):
        chart.wrong(
            f"{text} is async, expected a plain function over recorded values: let a specialist fetch what it waits for"
        )
    try:
        hints = get_type_hints(fn, include_extras=True)
    except NameError as fault:
        chart.wrong(f"{text}: its annotations cannot be read ({fault}): define the types at module level")
    if gap := unmade(fn):
        chart.wrong(f"{text} would raise where it returns {gap}: give each field that has no default, and no other")
    return hints


def param_of(chart: Chart, text: str, parameter: inspect.Parameter, hints: dict[str, Any]) -> Param:
    """What a parameter asks for. Raises DefinitionError where its annotation says nothing that can be filled."""
    name = parameter.name
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        chart.wrong(f"{text}: `{parameter}` cannot be filled by its name: name each value that it needs")
    if name not in hints:
        chart.wrong(f"{text}: parameter `{name}` has no type, so nothing can fill it: annotate it")
    hint = hints[name]
    newest = get_origin(hint) is Annotated and NEWEST in get_args(hint)[1:]
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    many = get_origin(hint) is list
    inner = get_args(hint)[0] if many else hint
    parts = tuple(part for part in members(inner) if part is not NoneType)
    optional = len(parts) != len(members(inner))
    envelope = bool(parts) and get_origin(parts[0]) is Recorded
    wants = get_args(parts[0])[0] if envelope else parts[0] if parts else None
    if len(parts) != 1 or not isinstance(wants, type):
        _unfillable(chart, text, name, hint)
    owners = _owners(chart, name, wants)
    if len(owners) > 1:
        chart.wrong(
            f"{text}: `{name}` names {len(owners)} states ({', '.join(owners)}), expected one: rename one of the states"
        )
    return Param(
        name, wants, many, optional, newest, envelope, owners[0] if owners else START if name == START else None
    )


def _unfillable(chart: Chart, text: str, name: str, hint: Any) -> NoReturn:
    chart.wrong(
        f"{text}: `{name}: {spelled(hint)}` cannot be filled, expected T, `T | None`, list[T], Newest[T] or Recorded[T]"
        " of one type"
    )


def _owners(chart: Chart, name: str, wants: type) -> list[str]:
    """The states of that name that give such a value, themselves or inside. A name that gives none is only a name."""
    return [
        node.path
        for node in chart.nodes.values()
        if node.name == name and any(made_into(g, wants) for g in _gives(chart, node.path))
    ]


def _gives(chart: Chart, path: str) -> list[type]:
    inside = [node.path for node in chart.working if path in chart.chain(node.path)]
    specialists = [specialist for state in inside for specialist in chart.state(state).specialists]
    given = [cls for state in inside for cls in chart.gives(state)]
    return [*given, *(cls for s in specialists for cls in (*(given.cls for given in s.gives), *s.may_fail()))]
