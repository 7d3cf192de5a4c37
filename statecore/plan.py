"""A plan: calls with dependencies inside one state, as it is declared.

    checking = State(Plan(lint, risk, assemble=findings))
    checking = State(Plan(Part(read, id="read"), Part(lint, after=["read"], give=lint_request), assemble=findings))
    checking = State(Plan(of=[lint, risk], make=one_for_each_file, assemble=findings, at_most=200))

A part is one call: a specialist, what its request is made of, and the parts it waits for. Written out, the plan is the
same for every run, and is checked with the class. Made at run time, `make` is a hand-over that gives the parts with
their requests; what it gives is held to the rules, and refused by the name of the rule that it breaks.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar, get_type_hints

import attrs

from statecore.errors import DefinitionError
from statecore.guard import Guard
from statecore.hints import named, spelled
from statecore.schedule import Graph, Node
from statecore.specialist import I, O, Specialist
from statecore.wording import times

V = TypeVar("V")
R = TypeVar("R")

TIMEOUT = 600.0
"""Seconds an attempt may take where nothing is said: long enough for a slow model, short enough that a hang is seen."""

WIDTH = 8
"""Calls of a plan that are open at once where it does not say."""

AT_LEAST = 1
"""Calls of a plan that is made at run time, where it does not say: nothing planned is rather a mistake than a result."""

AT_MOST = 200
"""Calls of a plan that is made at run time, where it does not say."""

DEPTH = 20
"""Calls in its longest chain, where it does not say: what is deeper is no plan any more, but a loop written out."""

OnFailure = Literal["stop", "continue", "partial"]
"""What follows when a part has failed for good. `stop`: nothing new starts, what is in flight is stopped, and the chart
gets that failure. `continue`: what does not depend on it runs, then the chart gets the first failure. `partial`: the
same runs, and then what is there is assembled.
"""


class Part:
    """One call of a plan.

    `id`: what it is called in the plan, the specialist's name where nothing is said; no `#`. `request`: what it is
    asked, of a part that is made at run time. `give`: makes the request of one that is written out, of recorded values
    and of the results of the parts it waits for. `after`: ids of those. `expects`: seconds it probably takes, for the
    schedule. `needed`: a `partial` plan fails without it (of a
    plan that is made at run time, said in `of`). `answers`: a key; parts of one key answer the same question.
    `attempts`, `fallback`, `guards`, `timeout`: as of a state. `says`: what it is for.
    """

    def __init__(
        self,
        does: Specialist[I, O],
        *,
        id: str = "",
        request: I | None = None,
        give: Callable[..., I] | None = None,
        after: Sequence[str] = (),
        expects: float = 1.0,
        needed: bool = False,
        answers: str = "",
        attempts: int = 1,
        fallback: Sequence[Specialist[I, O]] = (),
        guards: Sequence[Guard[I] | Guard[O]] = (),
        timeout: float = TIMEOUT,
        says: str = "",
    ) -> None:
        self.does: Specialist[Any, Any] = does
        self.request: Any = request
        self.give = give
        self.id: str = id or getattr(does, "name", "")
        self.after, self.answers, self.says = after, answers, says
        self.expects, self.needed = expects, needed
        self.attempts, self.timeout = attempts, timeout
        self.fallback, self.guards = listed("Part", "fallback", fallback), listed("Part", "guards", guards)

    @property
    def specialists(self) -> tuple[Specialist[Any, Any], ...]:
        """Its own specialist and then the fallbacks, in the order in which they are tried."""
        return (self.does, *self.fallback)

    @property
    def limited(self) -> bool:
        return self.timeout != TIMEOUT

    @property
    def limit(self) -> float | None:
        """Seconds that an attempt may take; None for a child workflow where nothing was said."""
        child = isinstance(self.does, Specialist) and self.does.kind == "workflow"
        return self.timeout if self.limited or not child else None

    def __str__(self) -> str:
        """`lint after read, parse`"""
        return f"{self.id} after {', '.join(self.after)}" if self.after else self.id

    @property
    def policy(self) -> tuple[Any, ...]:
        """How it is called, which is the plan's to say and not that of who makes a part at run time."""
        return self.attempts, self.timeout, [each.id for each in self.fallback], [each.name for each in self.guards]


def listed(what: str, option: str, given: Sequence[V]) -> tuple[V, ...]:
    if not isinstance(given, list | tuple):
        raise DefinitionError(
            f"{what}(..., {option}=...): expected a list, found a {type(given).__name__}: write {option}=[...]"
        )
    return tuple(given)


class Plan:
    """Calls with dependencies, inside one state. Its outcome is what `assemble` makes of their results.

    `parts`: written out; a specialist alone is a part of its name that waits for none. Or `make`, a hand-over that
    gives a list of parts, `of` these specialists (a `Part` among them says how they are called). `assemble`: a pure
    function over the results; a parameter is named after a part or a key, or is found by its type; `list[T]` are all,
    in the order of the plan, failures among them; `list[Missing]` the parts without a result. `complete`: a pure
    function of recorded values and of the assembly that gives what is missing in it, as a list of texts; none is good.
    `rules`: what a plan must keep. `on_failure`: stop, continue or partial. `conflicts`: how answers to one key are
    settled that differ. `width`: calls open at once. `at_least`, `at_most`: calls, `depth`: calls in the longest chain.
    """

    def __init__(
        self,
        *parts: Part | Specialist[Any, Any],
        assemble: Callable[..., Any],
        of: Sequence[Part | Specialist[Any, Any]] = (),
        make: Callable[..., Sequence[Part]] | None = None,
        complete: Callable[..., Sequence[str]] | None = None,
        rules: Sequence["Rule"] = (),
        on_failure: OnFailure = "stop",
        conflicts: "Settle | None" = None,
        width: int = WIDTH,
        at_least: int = AT_LEAST,
        at_most: int = AT_MOST,
        depth: int = DEPTH,
    ) -> None:
        self.written, self.made_of = bool(parts), bool(of)
        self.parts = tuple(_part(part) for part in (*parts, *listed("Plan", "of", of)))
        self.assemble, self.make, self.complete, self.conflicts = assemble, make, complete, conflicts
        self.rules, self.on_failure = listed("Plan", "rules", rules), on_failure
        self.width, self.at_least, self.at_most, self.depth = width, at_least, at_most, depth

    def part(self, id: str, type: str) -> Part:
        """How a recorded part is called: that of its id where the plan is written out, else that of its type. Raises
        LookupError.
        """
        wanted = type if self.make else id
        for each in self.parts:
            if (each.does.name if self.make else each.id) == wanted:
                return each
        raise LookupError(f"no part of this plan is `{wanted}`")

    @property
    def specialists(self) -> tuple[Specialist[Any, Any], ...]:
        return tuple(dict.fromkeys(each for part in self.parts for each in part.specialists))

    @cached_property
    def gives(self) -> type:
        """The class that `assemble` returns; `result_fault` says why it is none."""
        found: type = self._returns()
        return found

    @property
    def result_fault(self) -> str:
        try:
            found = self._returns()
        except Exception as fault:
            return f"the annotations of `{named(self.assemble)}` cannot be read ({fault}): define the types at module level"
        if not (isinstance(found, type) and attrs.has(found)):
            what = spelled(found) if found is not None else "nothing that it says"
            return f"`{named(self.assemble)}` returns {what}, expected an attrs class, which is what the plan gives"
        return ""

    def _returns(self) -> Any:
        return get_type_hints(self.assemble).get("return")

    def ends_with(self, part: Part) -> bool:
        """Whether the final failure of a part is one of the state."""
        return self.on_failure != "partial" or part.needed


def _part(given: Part | Specialist[Any, Any]) -> Part:
    return given if isinstance(given, Part) or not isinstance(given, Specialist) else Part(given)


@attrs.frozen
class Missing:
    """A part without a result. `why`: how it failed, or which part it waited for in vain."""

    part: str
    why: str


# -- rules


class Rule(Protocol):
    """What a plan must keep. `name` is what a refusal is called by."""

    @property
    def name(self) -> str: ...
    @property
    def types(self) -> tuple[str, ...]:
        """Names of specialists that it speaks of; a plan without one of them is a mistake."""
        ...

    def broken(self, graph: Graph) -> tuple[str, ...]:
        """The ids of the parts that break it."""
        ...


@attrs.frozen
class Needs:
    later: str
    earlier: str
    called: str = ""

    @property
    def name(self) -> str:
        return self.called or f"{self.later} needs {self.earlier}"

    @property
    def types(self) -> tuple[str, ...]:
        return self.later, self.earlier

    @property
    def lacks(self) -> str:
        return f"expected to wait for a part of `{self.earlier}`, itself or through others"

    def broken(self, graph: Graph) -> tuple[str, ...]:
        after: set[str] = set()
        for id in graph.order:
            before = graph.nodes[id].after
            if any(each in after or graph.nodes[each].type == self.earlier for each in before):
                after.add(id)
        return tuple(id for id, node in graph.nodes.items() if node.type == self.later and id not in after)


def needs(later: str, earlier: str, *, called: str = "") -> Rule:
    """Every part of the specialist `later` waits, at whatever distance, for one of `earlier`: a review for what it
    reviews. `called`: the name of the rule.
    """
    return Needs(later, earlier, called)


@attrs.frozen
class Described:
    words: int

    @property
    def name(self) -> str:
        return "described"

    @property
    def types(self) -> tuple[str, ...]:
        return ()

    @property
    def lacks(self) -> str:
        return f"expected `says` of at least {self.words} words"

    def broken(self, graph: Graph) -> tuple[str, ...]:
        return tuple(id for id, node in graph.nodes.items() if len(node.says.split()) < self.words)


def described(words: int = 3) -> Rule:
    """Every part says what it is for, in at least so many words."""
    return Described(words)


@attrs.frozen
class Broke:
    """A plan that is refused: by which rule, why, and which parts."""

    rule: str
    why: str
    parts: tuple[str, ...] = ()


def broken(nodes: Sequence[Node], plan: Plan) -> Broke | None:
    """The first rule that a plan breaks, in the order: its ids, their number, dependencies, order, depth, rules of its own."""
    counts = Counter(node.part for node in nodes)
    if twice := tuple(id for id, count in counts.items() if count > 1):
        return Broke("unique ids", f"expected one part of each id, found several called {_named(twice)}", twice)
    if len(nodes) < plan.at_least:
        return Broke("at least", f"expected at least {times(plan.at_least, 'part')}, found {len(nodes)}")
    if len(nodes) > plan.at_most:
        return Broke("at most", f"expected at most {times(plan.at_most, 'part')}, found {len(nodes)}")
    if lost := {node.part: each for node in nodes for each in node.after if each not in counts}:
        said = ", ".join(f"`{id}` waits for `{each}`" for id, each in list(lost.items())[:SHOWN])
        return Broke("known dependency", f"{said}, which is no part", tuple(lost))
    graph = Graph(nodes)
    if ring := graph.cycle():
        return Broke("acyclic", f"these wait for each other: {' after '.join((*ring, ring[0]))}", ring)
    if len(chain := graph.longest()) > plan.depth:
        return Broke(
            "depth",
            f"expected at most {times(plan.depth, 'part')} in a chain, found {len(chain)}: {_named(chain)}",
            chain,
        )
    for rule in plan.rules:
        if found := rule.broken(graph):
            lacks = getattr(rule, "lacks", "")
            why = f": {lacks}" if lacks else " breaks it" if len(found) == 1 else " break it"
            return Broke(rule.name, f"{_named(found)}{why}", found)
    return None


SHOWN = 10
"""Ids that a refusal spells out; it carries all of them."""


def _named(ids: Sequence[str]) -> str:
    return ", ".join(f"`{id}`" for id in ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")


def fit_id(id: Any) -> bool:
    """Whether a call can be called so: a `#` ends the name of its state."""
    return isinstance(id, str) and bool(id) and id.isprintable() and "#" not in id


def seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


# -- answers that differ


class Settle(Protocol):
    """How answers to one key are settled that differ. `name` is recorded with what it chose."""

    @property
    def name(self) -> str: ...
    @property
    def on(self) -> Callable[[Any], Any] | None:
        """What of an answer is compared; None: all of it."""
        ...

    def choose(self, answers: dict[str, Any]) -> str | None:
        """The part whose answer stands, of what each gave; None: the rule cannot tell, and the chart is asked."""
        ...


@attrs.frozen
class Prefer:
    parts: tuple[str, ...]
    on: Callable[[Any], Any] | None = None

    @property
    def name(self) -> str:
        return f"prefer {', '.join(self.parts)}"

    def choose(self, answers: dict[str, Any]) -> str | None:
        return next((part for part in self.parts if part in answers), None)


@attrs.frozen
class Vote:
    on: Callable[[Any], Any] | None = None

    @property
    def name(self) -> str:
        return "vote"

    def choose(self, answers: dict[str, Any]) -> str | None:
        votes = [sum(other == value for other in answers.values()) for value in answers.values()]
        first = next(part for part, count in zip(answers, votes, strict=True) if count == max(votes))
        rivals = [value for value, count in zip(answers.values(), votes, strict=True) if count == max(votes)]
        return first if all(value == answers[first] for value in rivals) else None


@attrs.frozen
class Refer:
    on: Callable[[Any], Any] | None = None

    @property
    def name(self) -> str:
        return "refer"

    def choose(self, answers: dict[str, Any]) -> str | None:
        return None


def prefer(*parts: str, on: Callable[[Any], Any] | None = None) -> Settle:
    """The answer of the first of these parts that gave one. `on`: what of an answer is compared."""
    return Prefer(parts, on)


def vote(*, on: Callable[[Any], Any] | None = None) -> Settle:
    """The answer that most parts gave; a tie goes to the chart as Failed[Conflicting]."""
    return Vote(on)


def refer(*, on: Callable[[Any], Any] | None = None) -> Settle:
    """Every difference goes to the chart, as Failed[Conflicting] with all answers: to a person, say."""
    return Refer(on)
