"""What can be seen wrong in a table before the first call. Each fault names the culprit, what was found, and the
remedy.

All of it is search over one graph whose nodes are configurations and whose edges are moves. Definite assignment is the
search for the shortest run that avoids every move giving the value: what is found is the offending path, and finding
none is the proof.
"""

from collections import deque
from collections.abc import Callable, Iterable
from types import NoneType

import attrs

from statecore.chart import Arrow, Chart, Node
from statecore.declare import State
from statecore.failures import Broken, Conflicting, Exhausted, Failure, Incomplete, NotDone, PlanRefused, Refused
from statecore.handover import SIGNAL, START, Handover, Param, handover, reply
from statecore.hints import spelled
from statecore.messages import Elapsed, Failed
from statecore.person import Person
from statecore.plan import Part, Plan
from statecore.planhandover import PlanOf, plan_handover
from statecore.table import Config, Letter, Move, Question, Table, answers, leaves, payload_types
from statecore.versions import full_id, id_of, name_of, version_of


@attrs.frozen
class Edge:
    """One way a run may move, and the value that moved it. `by`: whose value. `spent`: a bound was used up first."""

    source: Config | None
    letter: Letter | None
    move: Move
    by: str
    gives: type
    spent: str = ""

    def __str__(self) -> str:
        return f"{' + '.join(self.move.transitions) or 'start'} -> {self.move.config}"


@attrs.frozen
class Facts:
    """What every check asks: the chart, its table, and the table's moves as edges."""

    chart: Chart
    table: Table
    edges: tuple[Edge, ...]


def check(chart: Chart, table: Table) -> tuple[dict[str, Handover], dict[str, PlanOf]]:
    """The compiled hand-over of each working state, and the plan of each that has one. Raises DefinitionError at the
    first thing that cannot be right.
    """
    facts = Facts(chart, table, edges_of(chart, table))
    for rule in (_reached, _failures_come, _answered, _overdue_answered, _not_shadowed, _ends, _bounded):
        rule(facts)
    states = {node.path: chart.state(node.path) for node in chart.failing}
    handovers = {path: handover(chart, path) for path, state in states.items() if state.plan is None}
    for path, compiled in handovers.items():
        _assigned(facts, compiled, _taker(chart, path, compiled), f"`{path}`", _entering(path))
    plans = {path: plan_handover(chart, path) for path, state in states.items() if state.plan is not None}
    for path, plan in plans.items():
        for function in plan.functions():
            _assigned(facts, function.outer, function.outer.text, f"`{path}`", _entering(path))
    return handovers, plans


def replies(chart: Chart, table: Table) -> dict[str, Handover]:
    """The compiled replies, by transition. Raises DefinitionError where one could not be made on some path."""
    found = {arrow.name: reply(chart, arrow) for arrow in chart.arrows if arrow.reply is not None}
    facts = Facts(chart, table, edges_of(chart, table) if found else ())
    for name, compiled in found.items():
        _assigned(facts, compiled, compiled.text, f"transition `{name}`", _taking(name))
    return found


def _entering(path: str) -> Callable[[Edge], bool]:
    return lambda edge: path in edge.move.entered


def _taking(name: str) -> Callable[[Edge], bool]:
    return lambda edge: name in edge.move.transitions


def may_fail(chart: Chart, node: Node) -> dict[type[Failure], str]:
    """How the work of a state may fail, each failure with who gives it."""
    state = chart.state(node.path)
    if state.wait is not None:
        return {Broken: "a function that raises"}
    found: dict[type[Failure], str] = {}
    for work in state.works:
        if state.plan is None or state.plan.ends_with(work):  # type: ignore[arg-type]
            found |= {failure: who for failure, who in work_fails(work).items() if failure not in found}
    if state.plan is not None:
        found |= plan_fails(state.plan)
    elif state.give or any(arrow.cond for arrow in chart.arrows if arrow.source in chart.chain(node.path)):
        found.setdefault(Broken, "a hand-over or condition that raises")
    return found


def work_fails(work: State | Part) -> dict[type[Failure], str]:
    """How a call may fail, each failure with who gives it."""
    found: dict[type[Failure], str] = {}
    for specialist in work.specialists:
        found |= {failure: f"`{specialist.name}`" for failure in specialist.may_fail() if failure not in found}
        if specialist.unknowable:
            found.setdefault(NotDone, "a person who settles the call")
    for guard in work.guards:
        found |= {failure: f"guard `{guard.name}`" for failure in guard.fails if failure not in found}
    found.setdefault(Refused, "a guard of the engine")
    return found


def plan_fails(plan: Plan) -> dict[type[Failure], str]:
    """How a plan may fail besides its parts."""
    found: dict[type[Failure], str] = {Broken: "a function of the plan that raises"}
    if plan.make:
        found[PlanRefused] = "a plan that breaks a rule"
    if plan.complete:
        found[Incomplete] = f"`{plan.complete.__name__}`"
    if plan.conflicts:
        found[Conflicting] = "answers that differ"
    return found


def edges_of(chart: Chart, table: Table) -> tuple[Edge, ...]:
    """Every way a run of the chart may move."""
    return tuple(_edges(chart, table))


def _edges(chart: Chart, table: Table) -> Iterable[Edge]:
    types = payload_types(chart)
    yield Edge(None, None, table.start, START, chart.takes)
    for (config, letter), row in table.rows.items():
        for asked, move in leaves(row):
            by = letter.of or SIGNAL
            if move is not None:
                yield Edge(config, letter, move, by, types[letter])
            elif (spent := _spent(asked)) and (exhausted := table.letter(letter.of, Failed, Exhausted)):
                for _, other in leaves(table.rows[config, exhausted]):
                    if other is not None:
                        yield Edge(config, letter, other, by, types[letter], spent)


def _spent(asked: tuple[tuple[Question, bool], ...]) -> str:
    """The bound that was used up on the way, if one was."""
    return next((question.transition for question, said in asked if question.limit and not said), "")


def path_avoiding(
    edges: Iterable[Edge], goal: Callable[[Edge], bool], avoid: Callable[[Edge], bool], start: Config | None = None
) -> list[Edge] | None:
    """The shortest way from `start` (None: the beginning) to `goal` over no edge that `avoid`s. None: there is none
    (definite assignment).
    """
    leaving: dict[Config | None, list[Edge]] = {}
    for edge in edges:
        leaving.setdefault(edge.source, []).append(edge)
    todo: deque[tuple[Config | None, tuple[Edge, ...]]] = deque([(start, ())])
    seen: set[Config | None] = {start}
    while todo:
        at, path = todo.popleft()
        for edge in leaving.get(at, []):
            if avoid(edge):
                continue
            if goal(edge):
                return [*path, edge]
            if edge.move.config not in seen:
                seen.add(edge.move.config)
                todo.append((edge.move.config, (*path, edge)))
    return None


def story(path: list[Edge]) -> str:
    """A path as lines: what came, and where it led."""
    came = [
        f"{edge.letter or 'Start'}{f' ({edge.spent} used up: Failed[Exhausted])' if edge.spent else ''}"
        for edge in path
    ]
    width = max(map(len, came))
    return "\n".join(f"      {what:<{width}}  {edge}" for what, edge in zip(came, path, strict=True))


def _reached(facts: Facts) -> None:
    reached = {place for edge in facts.edges for place in (*edge.move.entered, *edge.move.config.states)}
    for node in facts.chart.nodes.values():
        if node.path not in reached and not node.kind.startswith("history"):
            facts.chart.wrong(
                f"`{node.path}` cannot be reached: no transition that can fire leads there; add one or drop the state"
            )


def _ends(facts: Facts) -> None:
    chart = facts.chart
    finals = {node.path for node in chart.nodes.values() if node.final and node.parent is None}
    back: dict[Config, set[Config | None]] = {}
    for edge in facts.edges:
        back.setdefault(edge.move.config, set()).add(edge.source)
    good: set[Config | None] = {config for config in back if finals & set(config.states)}
    todo = list(good)
    while todo:
        for before in back.get(todo.pop(), ()):  # type: ignore[arg-type]
            if before is not None and before not in good:
                good.add(before)
                todo.append(before)
    for config in back:
        if config not in good:
            chart.wrong(
                f"a run in `{config}` can never end: no final state can be reached from there; add a transition that"
                " leads on"
            )


def _failures_come(facts: Facts) -> None:
    """A transition that waits for a failure which none of its sources gives."""
    chart = facts.chart
    for name in dict.fromkeys(arrow.name for arrow in chart.arrows if arrow.kind is Failed):
        arrows = [arrow for arrow in chart.arrows if arrow.name == name]
        sources = {arrow.source for arrow in arrows}
        come = {f for node in chart.failing if sources & set(chart.chain(node.path)) for f in may_fail(chart, node)} | {
            Exhausted
        }
        for payload in arrows[0].payloads:
            if not any(issubclass(failure, payload) for failure in come):
                given = ", ".join(sorted(failure.__name__ for failure in come))
                chart.wrong(
                    f"transition `{name}` waits for Failed[{payload.__name__}], which never comes: expected one of"
                    f" {given}; declare it in `fails=[...]` of the specialist or drop the transition"
                )


def _answered(facts: Facts) -> None:
    chart, table = facts.chart, facts.table
    for config in table.configs:
        for node in chart.failing:
            if node.path in config.states:
                _completions_answered(facts, config, node)
                for failure, who in may_fail(chart, node).items():
                    letter = table.letter(node.path, Failed, failure)
                    if letter and (gap := _gap(table, config, letter)) is not None:
                        chart.wrong(
                            f"`{node.path}`: {who} may end it in Failed[{failure.__name__}], and nothing answers"
                            f" that{_when(gap)}: add `... = {node.name}.to(..., on=Failed[{failure.__name__}])` or"
                            " `any_state.to(..., on=Failed)`"
                        )


def _overdue_answered(facts: Facts) -> None:
    """A wait or a deadline that nothing answers. That of the run is, in the states that its own transition leads to."""
    chart, table = facts.chart, facts.table
    late = {a.target for a in chart.arrows if a.kind is Elapsed and a.anywhere and "/" not in a.name}
    for config in table.configs:
        ended = any(chart.nodes[path].final and chart.nodes[path].parent is None for path in config.states)
        for path in () if ended else chart.timed:
            letter = Letter(path, "Elapsed", NoneType.__name__)
            spared = path == START and not late.isdisjoint(config.states)
            if letter.active(config.states) and not spared and (gap := _gap(table, config, letter)) is not None:
                add = "any_state.to" if path == START else f"{chart.nodes[path].name}.to"
                what = "the deadline of the run" if path == START else f"the time of `{path}`"
                chart.wrong(
                    f"{what} may be over in `{config}`, and nothing answers it{_when(gap)}: add `... = {add}(...,"
                    " on=Elapsed)`"
                )


def _completions_answered(facts: Facts, config: Config, node: Node) -> None:
    for letter in facts.table.letters:
        if (
            letter.of == node.path
            and letter.kind == "Completed"
            and (gap := _gap(facts.table, config, letter)) is not None
        ):
            exhausted = ", or let `Failed[Exhausted]` be answered" if _spent(gap) else ""
            facts.chart.wrong(
                f"`{node.path}` may end in Completed[{letter.type}], and nothing answers it{_when(gap)}: "
                f"add `... = {node.name}.to(..., on=Completed[{letter.type}])`{exhausted}"
            )


def _gap(table: Table, config: Config, letter: Letter) -> tuple[tuple[Question, bool], ...] | None:
    """The answers that lead nowhere. None: every way ends in a move, or in a Failed[Exhausted] that does."""
    for asked, move in leaves(table.rows[config, letter]):
        if move is None:
            exhausted = table.letter(letter.of, Failed, Exhausted) if _spent(asked) else None
            if exhausted is None or exhausted == letter or _gap(table, config, exhausted) is not None:
                return asked
    return None


def _when(asked: tuple[tuple[Question, bool], ...]) -> str:
    said = " and ".join(question.text if yes else f"not {question.text}" for question, yes in asked)
    return f" when {said}" if said else ""


def _not_shadowed(facts: Facts) -> None:
    chart = facts.chart
    taken = {name for edge in facts.edges for name in edge.move.transitions}
    for arrow in chart.arrows:
        if arrow.name not in taken:
            chart.wrong(f"transition `{arrow.name}` never fires: {_why_not(chart, arrow, taken)}")


def _why_not(chart: Chart, arrow: Arrow, taken: set[str]) -> str:
    other = _shadow(chart, arrow, taken)
    if other is None:
        return f"all that it waits for in `{arrow.source}` is answered before it is asked; drop it"
    does = "asks the same condition" if other.cond else f"answers every {arrow.on} in `{arrow.source}`"
    return f"`{other.name}` is declared before it and {does}; put it first or drop it"


def _shadow(chart: Chart, arrow: Arrow, taken: set[str]) -> Arrow | None:
    def covers(other: Arrow) -> bool:
        same = (
            other is not arrow and other.kind is arrow.kind and other.cond in (None, arrow.cond) and other.name in taken
        )
        return (
            same
            and other.source in chart.chain(arrow.source)
            and all(any(answers(other_p, p) for other_p in other.payloads) for p in arrow.payloads)
        )

    return next(filter(covers, chart.arrows), None)


def _bounded(facts: Facts) -> None:
    """Every cycle of calls has a bound, or needs the world outside (a signal, a person) to go round."""
    limited = {arrow.name for arrow in facts.chart.arrows if arrow.at_most}
    leaving: dict[Config, list[Edge]] = {}
    for edge in facts.edges:
        if (
            edge.source is not None
            and not from_outside(facts.chart, edge.letter)
            and not limited & set(edge.move.transitions)
        ):
            leaving.setdefault(edge.source, []).append(edge)
    for first in leaving:
        if ring := _ring(first, leaving):
            places = " -> ".join(str(edge.move.config) for edge in ring)
            names = " -> ".join(edge.move.transitions[-1] for edge in ring)
            facts.chart.wrong(
                f"the loop {first} -> {places} ({names}) has no bound: give one of its transitions `at_most=`"
            )


def from_outside(chart: Chart, letter: Letter | None) -> bool:
    """What the workflow cannot bring about by itself, nor twice: a signal, a person's answer, the deadline of the run."""
    if letter is None or letter.of in (None, START):
        return True
    if letter.kind != "Completed":
        return False
    return all(isinstance(one, Person) and one.otherwise is None for one in chart.state(letter.of).specialists)


def _ring(first: Config, leaving: dict[Config, list[Edge]]) -> list[Edge] | None:
    todo: deque[tuple[Config, tuple[Edge, ...]]] = deque([(first, ())])
    seen: set[Config] = set()
    while todo:
        at, path = todo.popleft()
        for edge in leaving.get(at, []):
            if edge.move.config == first:
                return [*path, edge]
            if edge.move.config not in seen:
                seen.add(edge.move.config)
                todo.append((edge.move.config, (*path, edge)))
    return None


def _assigned(facts: Facts, compiled: Handover, taker: str, where: str, goal: Callable[[Edge], bool]) -> None:
    """Every parameter can be filled on every path, and by one state's value only."""
    for param in compiled.params:
        _led(facts, taker, param)
        if compiled.fn is None:
            _exactly(facts, compiled, param)
        if param.many:
            continue
        producers = list(dict.fromkeys(edge.by for edge in facts.edges if param.fits(edge.by, edge.gives)))
        if producers:
            _one_meant(facts, goal, compiled, param, producers)
        if not param.optional:
            _always_given(facts, where, goal, compiled, param, producers)


def _taker(chart: Chart, path: str, compiled: Handover) -> str:
    does = chart.state(path).does
    return compiled.text if compiled.fn or does is None else f"`{does.name}` of `{path}`"


def _led(facts: Facts, taker: str, param: Param) -> None:
    """A value of another version is handed over through upcasters, or not at all."""
    wants = param.wants
    for edge in facts.edges:
        same = name_of(edge.gives) == name_of(wants) and id_of(edge.gives) != id_of(wants)
        if same and param.of(edge.by) and not param.fits(edge.by, edge.gives):
            facts.chart.wrong(
                f"{taker} takes {full_id(wants)}, and `{edge.by}` gives {full_id(edge.gives)}, from which nothing leads"
                f' there: write @upcaster({wants.__name__}, "{version_of(edge.gives)}"), a `give=` function that makes'
                f" one of the other, or let it take {full_id(edge.gives)}"
            )


def _exactly(facts: Facts, compiled: Handover, param: Param) -> None:
    """A contract takes its own class; what is derived from it must be made one by a function."""
    for edge in facts.edges:
        if param.fits(edge.by, edge.gives) and edge.gives is not param.wants and issubclass(edge.gives, param.wants):
            facts.chart.wrong(
                f"{compiled.text}, and `{edge.by}` gives {spelled(edge.gives)}, which only derives from it: write"
                " `give=` a function that makes one of it"
            )


def _one_meant(
    facts: Facts, goal: Callable[[Edge], bool], compiled: Handover, param: Param, producers: list[str]
) -> None:
    if len(producers) < 2 or param.newest or len(meant := _reaching(facts.edges, goal, param)) < 2:
        return
    could = " or of ".join(f"`{state}`" for state in meant)
    kind = spelled(param.wants)
    remedy = (
        "name the parameter after the state, or write"
        if compiled.fn
        else "write `give=` a function whose parameter is named after the state, or takes"
    )
    facts.chart.wrong(
        f"{compiled.text}: `{param}` could be the one of {could}: {remedy} Newest[{kind}] or list[{kind}]"
    )


def _always_given(
    facts: Facts, where: str, goal: Callable[[Edge], bool], compiled: Handover, param: Param, producers: list[str]
) -> None:
    if not producers:
        given = ", ".join(
            dict.fromkeys(
                f"`{edge.by}` gives {spelled(edge.gives)}"
                for edge in facts.edges
                if not issubclass(edge.gives, (Failure, NoneType))
            )
        )
        what = f"{compiled.text} needs `{param}`, which" if compiled.fn else f"{compiled.text}, which"
        remedy = (
            "take one of these, or add a state that gives it"
            if compiled.fn
            else "write `give=` a function that makes it of what is recorded"
        )
        facts.chart.wrong(f"{what} nothing here gives ({given}): {remedy}")
    offending = path_avoiding(facts.edges, goal, lambda e: param.fits(e.by, e.gives))
    if offending is not None:
        through = " or ".join(f"`{state}`" for state in producers)
        optional = (
            f"write `{param} | None`, or " if compiled.fn else "write `give=` a function that does without it, or "
        )
        facts.chart.wrong(
            f"{compiled.text} needs `{param}`, and this path gives none:\n{story(offending)}\n    {optional}let every"
            f" way to {where} pass through {through}"
        )


def _reaching(edges: tuple[Edge, ...], goal: Callable[[Edge], bool], param: Param) -> list[str]:
    """Reaching definitions: whose value of the type can be the newest when the state is entered."""
    into: dict[Config | None, list[Edge]] = {}
    for edge in edges:
        into.setdefault(edge.move.config, []).append(edge)
    todo = [edge for edge in edges if goal(edge)]
    seen = {id(edge) for edge in todo}
    found: set[str] = set()
    while todo:
        edge = todo.pop()
        if param.fits(edge.by, edge.gives):
            found.add(edge.by)
            continue
        for before in into.get(edge.source, []):
            if id(before) not in seen:
                seen.add(id(before))
                todo.append(before)
    return sorted(found)
