"""The functions of a plan, and what fills their parameters: results of the plan, or values that were recorded before it.

A part reads results of what it waits for, at whatever distance, and of nothing else: any other might not be there yet.
The assembly reads all of them. What the plan does not give is a hand-over like any other.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from statecore.chart import Chart
from statecore.events import CallPlanned
from statecore.handover import Handover, Param, hints_of, made_into, param_of
from statecore.hints import named, spelled
from statecore.plan import Missing, Part, Plan
from statecore.plancheck import written
from statecore.schedule import Graph
from statecore.versions import reads


@attrs.frozen
class Inner:
    """A parameter that the plan fills. `parts`: whose results may; None: any part's. A single one takes the first that
    is there.
    """

    param: Param
    parts: tuple[str, ...] | None


@attrs.frozen
class Filled:
    """A function of a plan. `outer`: what it reads besides the plan. `missing`: parameters that are told the parts
    without a result; `assembly`: the one that is given the assembly.
    """

    outer: Handover
    inner: tuple[Inner, ...] = ()
    missing: tuple[str, ...] = ()
    assembly: str = ""

    @property
    def fn(self) -> Callable[..., Any] | None:
        return self.outer.fn


@attrs.frozen
class PlanOf:
    """The compiled plan of a state. `gives`: by part, what makes its request."""

    plan: Plan
    parts: tuple[CallPlanned, ...]
    gives: dict[str, Filled]
    make: Filled | None
    assemble: Filled
    complete: Filled | None

    def functions(self) -> tuple[Filled, ...]:
        return tuple(filter(None, (*self.gives.values(), self.make, self.assemble, self.complete)))


def plan_handover(chart: Chart, path: str) -> PlanOf:
    """Raises DefinitionError where a parameter cannot be filled by its type."""
    plan = chart.state(path).plan
    assert plan is not None
    look = _Look(chart, path, plan)
    parts = () if plan.make else written(plan)
    gives = {} if plan.make else {part.id: look.give(part) for part in plan.parts}
    make = look.plain("make", plan.make, list[Part]) if plan.make else None
    complete = look.plain("complete", plan.complete, list[str], plan.gives) if plan.complete else None
    return PlanOf(plan, parts, gives, make, look.assemble(), complete)


class _Look:
    def __init__(self, chart: Chart, path: str, plan: Plan) -> None:
        self.chart, self.path, self.plan = chart, path, plan
        self.by_id = {part.id: part for part in plan.parts}
        self.graph = Graph(written(plan)) if not plan.make else None

    # -- one function each

    def plain(self, option: str, fn: Callable[..., Any], returns: Any, assembly: type | None = None) -> Filled:
        text = f"`{option}={named(fn)}` of `{self.path}`"
        hints = hints_of(self.chart, fn, text)
        if (found := hints.pop("return", None)) != returns:
            said = spelled(found) if found is not None else "nothing that it says"
            self.chart.wrong(f"{text} returns {said}, expected {spelled(returns)}: annotate or mend it")
        params = self.params(fn, text, hints)
        given = next((param.name for param in params if param.wants is assembly), "")
        if assembly is not None and not given:
            self.chart.wrong(f"{text} is not told the assembly: add a parameter of type {assembly.__name__}")
        return Filled(Handover(fn, tuple(p for p in params if p.name != given), text), assembly=given)

    def give(self, part: Part) -> Filled:
        """What makes the request of a part."""
        assert self.graph is not None
        before = [self.by_id[id] for id in self.graph.before(part.id)]
        takes = part.does.takes.cls
        if part.give is None:
            text = f"part `{part.id}` of `{self.path}` takes a {takes.__name__}"
            params = [Param("request", takes)]
        else:
            text = f"hand-over `{named(part.give)}` of part `{part.id}` of `{self.path}`"
            hints = hints_of(self.chart, part.give, text)
            if (returns := hints.pop("return", None)) is not takes:
                found = spelled(returns) if returns else "nothing that it says"
                self.chart.wrong(
                    f"{text} returns {found}, expected {takes.__name__}, which it takes: annotate or mend it"
                )
            params = self.params(part.give, text, hints)
        inner = list(filter(None, [self.inner(text, param, before, sure=True) for param in params]))
        for each in inner:
            if part.give is None and any(not _exactly(self.by_id[id], takes) for id in each.parts or ()):
                self.chart.wrong(f"{text}, and what it waits for gives more than that: write `give=` a function")
        filled = {each.param.name for each in inner}
        outer = tuple(param for param in params if param.name not in filled)
        for param in outer:
            self.waits_for(text, part, param)
        return Filled(Handover(part.give, outer, text), tuple(inner))

    def assemble(self) -> Filled:
        fn = self.plan.assemble
        text = f"`assemble={named(fn)}` of `{self.path}`"
        hints = hints_of(self.chart, fn, text)
        hints.pop("return", None)
        missing = tuple(name for name, hint in hints.items() if hint == list[Missing])
        named_only = {name: hint for name, hint in hints.items() if name not in missing}
        params = self.params(fn, text, named_only, missing)
        inner = list(filter(None, [self.inner(text, param, self.plan.parts, sure=False) for param in params]))
        filled = {each.param.name for each in inner}
        outer = tuple(param for param in params if param.name not in filled)
        return Filled(Handover(fn, outer, text), tuple(inner), missing)

    def params(
        self, fn: Callable[..., Any], text: str, hints: dict[str, Any], without: Iterable[str] = ()
    ) -> list[Param]:
        parameters = inspect.signature(fn).parameters.values()
        return [param_of(self.chart, text, each, hints) for each in parameters if each.name not in without]

    # -- one parameter

    def inner(self, text: str, param: Param, parts: Sequence[Part], *, sure: bool) -> Inner | None:
        """What of the plan fills a parameter; None: it reads what was recorded before. `sure`: what is there, is done."""
        if param.by is not None and param.name not in self.by_id:
            return None
        able = [part for part in parts if any(made_into(cls, param.wants) for cls in _ends(part, sure))]
        if not able:
            return None
        if param.many:
            return Inner(param, None if self.plan.make else tuple(part.id for part in able))
        if self.plan.make:
            kind = param.wants.__name__
            self.chart.wrong(
                f"{text}: `{param}` is one of as many as the plan has calls: write list[{kind}], or name the parameter"
                " after the state that is meant"
            )
        unit = self.unit(text, param, able)
        if not (param.optional or self.surely(param, unit, sure)):
            who = " and ".join(f"`{part.id}`" for part in unit)
            self.chart.wrong(
                f"{text} needs `{param}`, and {who} may end otherwise: write `{param.name}: {param.wants.__name__} | None`"
                + ("" if sure else ", or mark the part `needed=True`")
            )
        return Inner(param, tuple(part.id for part in unit))

    def unit(self, text: str, param: Param, able: list[Part]) -> list[Part]:
        """The part that is meant, or all that answer the key that is meant."""
        units: dict[str, list[Part]] = {}
        for part in able:
            units.setdefault(part.answers or part.id, []).append(part)
        if param.name in units:
            return units[param.name]
        if exact := [part for part in able if part.id == param.name]:
            return exact
        if len(units) > 1:
            could = " or of ".join(f"`{name}`" for name in units)
            self.chart.wrong(
                f"{text}: `{param}` could be the one of {could}: name the parameter after the part, or write"
                f" list[{param.wants.__name__}]"
            )
        return next(iter(units.values()))

    def surely(self, param: Param, unit: list[Part], sure: bool) -> bool:
        whole = all(
            made_into(given.cls, param.wants) for part in unit for each in part.specialists for given in each.gives
        )
        return whole and (sure or any(self.plan.ends_with(part) for part in unit))

    def waits_for(self, text: str, part: Part, param: Param) -> None:
        """A value that only a part gives which this one does not wait for."""
        others = [each for each in self.plan.parts if any(made_into(cls, param.wants) for cls in _ends(each, True))]
        chart = self.chart
        elsewhere = [chart.takes, *(cls for node in chart.working for cls in chart.gives(node.path))]
        if others and not param.many and not any(made_into(cls, param.wants) for cls in elsewhere):
            chart.wrong(
                f"{text} needs `{param}`, which part `{others[0].id}` gives, and `{part.id}` does not wait for it: add"
                f' after=["{others[0].id}"]'
            )


def _ends(part: Part, well: bool) -> list[type]:
    """What a part may end in; `well`: without its failures."""
    gives = [given.cls for each in part.specialists for given in each.gives]
    return gives if well else [*gives, *(failure for each in part.specialists for failure in each.may_fail())]


def _exactly(part: Part, takes: type) -> bool:
    return all(given.cls is takes or reads(takes, given.id) for each in part.specialists for given in each.gives)
