"""What can be seen wrong in a plan as it is written, before its functions are looked into."""

import inspect
from collections.abc import Callable
from typing import Any, NoReturn, get_args

from statecore.events import CallPlanned
from statecore.hints import named
from statecore.plan import OnFailure, Part, Plan, Prefer, broken, fit_id, seconds
from statecore.specialist import Specialist

Wrong = Callable[[str], NoReturn]
"""Raises DefinitionError with what is wrong."""


def declared(plan: Plan, wrong: Wrong) -> None:
    """Raises DefinitionError at the first fault."""
    for look in (_shape, _bounds, _parts, _functions, _answers, _rules):
        look(plan, wrong)


def written(plan: Plan, call: str = "#") -> tuple[CallPlanned, ...]:
    """The parts of a plan that is written out, as they are recorded."""
    return tuple(
        CallPlanned(
            f"{call}/{part.id}",
            part.does.name,
            tuple(part.after),
            None,
            float(part.expects),
            part.needed,
            part.answers,
            part.says,
        )
        for part in plan.parts
    )


def _shape(plan: Plan, wrong: Wrong) -> None:
    if plan.written and (plan.made_of or plan.make):
        wrong("a plan is written out or made, found both: leave out the parts, or `of` and `make`")
    if bool(plan.made_of) != bool(plan.make):
        there, lacks = ("of", "make") if plan.made_of else ("make", "of")
        wrong(f"a plan has `{there}` and no `{lacks}`: a plan made at run time needs both")
    if not plan.parts:
        wrong("a plan has no parts: name at least one specialist")
    given: list[Any] = list(plan.parts)
    for part in given:
        if not isinstance(part, Part):
            wrong(f"a plan holds {named(part)}, expected a specialist or a Part(...)")
        elif not isinstance(part.does, Specialist):
            wrong(f"a part does {named(part.does)}, expected a specialist: decorate the function with @specialist(...)")


def _bounds(plan: Plan, wrong: Wrong) -> None:
    for name, least in (("width", 1), ("at_least", 0), ("at_most", 1), ("depth", 1)):
        value = getattr(plan, name)
        if not (type(value) is int and value >= least):
            wrong(f"{name}={value!r}, expected a whole number from {least} up")
    if plan.at_least > plan.at_most:
        wrong(f"at_least={plan.at_least} is above at_most={plan.at_most}: no plan has so many parts and so few")
    if plan.on_failure not in get_args(OnFailure):
        wrong(f"on_failure={plan.on_failure!r}, expected {', '.join(get_args(OnFailure))}")


def _parts(plan: Plan, wrong: Wrong) -> None:
    part: Any
    for part in plan.parts:
        if not fit_id(part.id):
            wrong(f"a part has id={part.id!r}, expected printable text without `#`")
        if not isinstance(part.answers, str):
            wrong(f"part `{part.id}`: answers={part.answers!r}, expected the name of a key")
        if not (isinstance(part.after, list | tuple) and all(isinstance(each, str) for each in part.after)):
            wrong(f'part `{part.id}`: after={part.after!r}, expected a list of ids: write after=["..."]')
        if not seconds(part.expects):
            wrong(f"part `{part.id}`: expects={part.expects!r}, expected seconds from 0 up")
        if part.needed and plan.on_failure != "partial":
            wrong(f"part `{part.id}` is needed, as all are without on_failure='partial': drop one or add the other")
        if part.request is not None:
            wrong(
                f"part `{part.id}` has a request, which `make` gives at run time: write `give=` a function that makes it"
            )
        if plan.make and (part.give or part.after or part.answers or part.id != part.does.name):
            wrong(f"`of` names part `{part.id}` with what `make` says at run time: leave only how it is called")


def _functions(plan: Plan, wrong: Wrong) -> None:
    for option, fn in (("assemble", plan.assemble), ("make", plan.make), ("complete", plan.complete)):
        if fn is not None and (not inspect.isroutine(fn) or inspect.iscoroutinefunction(fn)):
            what = "an async function" if inspect.iscoroutinefunction(fn) else named(fn)
            wrong(f"{option}={what}, expected a plain function with annotated parameters: write a `def`")
    if fault := plan.result_fault:
        wrong(fault)


def _answers(plan: Plan, wrong: Wrong) -> None:
    keys: dict[str, list[str]] = {}
    for part in plan.parts:
        if part.answers:
            keys.setdefault(part.answers, []).append(part.id)
    if plan.conflicts is not None and not callable(getattr(plan.conflicts, "choose", None)):
        wrong(f"conflicts={named(plan.conflicts)}, expected prefer(...), vote() or refer()")
    if keys and plan.conflicts is None:
        wrong(
            f"parts answer `{next(iter(keys))}`, and nothing says what follows where they differ: add conflicts=prefer(...), vote() or refer()"
        )
    if plan.conflicts is not None and not keys and not plan.make:
        wrong("`conflicts` settles nothing, as no part has `answers`: name the key that several answer, or drop it")
    ids = {part.id for part in plan.parts}
    for key, group in keys.items():
        if len(group) < 2:
            wrong(f"only part `{group[0]}` answers `{key}`: expected two or more")
        if key in ids - set(group):
            wrong(f"`{key}` is a part and a key that others answer: rename one")
    if isinstance(plan.conflicts, Prefer) and not plan.make and (lost := set(plan.conflicts.parts) - ids):
        wrong(f"prefer({min(lost)!r}) names no part: expected one of {', '.join(sorted(ids))}")


def _rules(plan: Plan, wrong: Wrong) -> None:
    types = {part.does.name for part in plan.parts}
    for rule in plan.rules:
        if not callable(getattr(rule, "broken", None)):
            wrong(f"a rule is {named(rule)}, expected needs(...), described() or what has a name and `broken`")
        elif lost := [each for each in rule.types if each not in types]:
            wrong(
                f"rule `{rule.name}` speaks of `{lost[0]}`, which no part does: expected one of {', '.join(sorted(types))}"
            )
    if not plan.make and (found := broken(written(plan), plan)):
        wrong(f"the plan breaks the rule `{found.rule}`: {found.why}")
