"""What `check` says of a workflow before its first call: states, transitions, what follows which failure, the worst
case.

The worst case is the longest path over (configuration, bounds used), which has an end because every cycle of calls has
a bound or waits for a signal or a person. How often the world speaks is not the workflow's to bound: each transition on
a signal or a person's answer that has no bound of its own is counted as taken once. Crashes are left out: what they repeat is bounded by `MAX_CUTS`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from statecore.chart import Arrow, Chart, Node
from statecore.check import from_outside, may_fail, plan_fails, work_fails
from statecore.declare import State
from statecore.failures import RETRIED, Broken, Exhausted, Failure, NotDone, OutcomeUnknown, Refused, TimedOut
from statecore.hints import spelled
from statecore.messages import Failed
from statecore.person import Person
from statecore.plan import Part, Plan
from statecore.specialist import Specialist
from statecore.table import Config, Letter, Move, Question, Table, leaves
from statecore.wait import describe, spoken
from statecore.wording import times, where
from statecore.workflow import Machine

TOO_MANY = 10_000
"""Nodes of the worst-case search, which takes some 0.2 ms for each; beyond that no figure is given."""

MANY = 7
"""Specialists of one workflow that are not warned of: what one reads at a glance (Miller, The magical number seven)."""

Used = tuple[tuple[str, int], ...]
Place = tuple[Config, Used]


@attrs.frozen
class WorstCase:
    """Upper bounds: `calls` per state, `attempts` with every retry and fallback, and `total`, the most calls on one
    path. `below`: per state whose work is a child workflow, the calls that its child runs make for one call of it; the
    total counts them.
    """

    calls: Mapping[str, int]
    attempts: Mapping[str, int]
    total: int
    below: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen
class Policy:
    """What follows a failure of one specialist of a state.

    `attempts`: how often it is called before that; `then`: the fallback that is called, `sure`: whatever happened
    before, or only where nothing did; `moves`: where the chart goes where no fallback is called, empty for a run that
    is parked; `kinds`: of each of them, whether that is to abandon the run, to escalate or to reroute it.
    """

    state: str
    specialist: str
    failure: str
    attempts: int
    then: str
    sure: bool
    moves: tuple[str, ...]
    kinds: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The words for what is done, in the order in which it is done."""
        ends = () if self.then and self.sure else tuple(dict.fromkeys(self.kinds)) or ("escalate",)
        return (*(["retry"] if self.attempts > 1 else []), *(["reroute"] if self.then else []), *ends)

    def __str__(self) -> str:
        moves = [f"{kind} by {move}" for kind, move in zip(self.kinds, self.moves, strict=True)]
        ends = " or ".join(moves) or "escalate: parked until somebody settles it"
        fallback = f"reroute to {self.then}" if self.then else ""
        steps = [f"retry, {self.attempts} attempts in all"] if self.attempts > 1 else []
        if fallback and self.sure:
            steps.append(fallback)
        else:
            steps.append(f"{fallback} if nothing happened, else {ends}" if fallback else ends)
        return ", then ".join(steps)


@attrs.frozen
class Survey:
    machine: Machine
    worst: WorstCase | None

    def lines(self) -> Iterator[str]:
        chart, table = self.machine.chart, self.machine.table
        within = f", within {spoken(chart.within)}" if chart.within is not None else ""
        yield f"{chart.name} {chart.version}, takes {spelled(chart.takes)}{within}"
        if chart.doc:
            yield f"  {chart.doc.splitlines()[0]}"
        yield f"  fingerprint {self.machine.fingerprint}"
        sizes = ((len(table.configs), "configuration"), (len(table.letters), "letter"), (len(table.rows), "row"))
        yield f"  table: {', '.join(times(*size) for size in sizes)}"
        yield f"\nstates, from {table.start.config} on"
        for node in chart.nodes.values():
            yield f"  {node.path:<22} {_state(chart, node)}"
            if node.state is not None and node.state.plan is not None:
                yield from (f"    {part!s:<20} {_called_so(part)}" for part in node.state.plan.parts)
        yield "\ntransitions, asked in this order"
        for arrow, sources in _bundled(chart):
            yield (
                f"  {arrow.name:<22} {', '.join(sources)} -> {arrow.target} on"
                f" {arrow.on}{_when(arrow.condition, arrow.at_most)}"
            )
        yield "\nfailures: what follows"
        for (path, who, policy), failures in _by_policy(self.machine).items():
            several = len(chart.state(path).specialists) > 1
            yield f"  {path:<22} {', '.join(failures)}{f' of {who}' if several else ''}: {policy}"
        if len(known := {s.name for node in chart.working for s in chart.state(node.path).specialists}) > MANY:
            yield (
                f"\nwarning: {len(known)} specialists in one workflow, and above {MANY} nobody keeps an overview: move"
                " some into a workflow of their own"
            )
        yield "\nworst case, crashes aside"
        yield from self._worst()

    def _worst(self) -> Iterator[str]:
        chart = self.machine.chart
        if self.worst is None:
            yield f"  not counted: more than {TOO_MANY} ways through the bounds, or a workflow that calls itself"
            return
        letters = [letter for letter in self.machine.table.letters if from_outside(chart, letter)]
        signals = ", each signal taken once" if any(letter.of is None for letter in letters) else ""
        people = ", each person answering once" if any(letter.kind == "Completed" for letter in letters) else ""
        once = signals + people
        yield f"  at most {times(self.worst.total, 'call')} on one path{once}"
        for name, calls in self.worst.calls.items():
            runs = (
                f", each call {times(self.worst.below[name], 'call')} of child runs" if name in self.worst.below else ""
            )
            yield f"  {name:<22} {times(calls, 'call')}, {times(self.worst.attempts[name], 'attempt')}{runs}"

    def as_json(self) -> dict[str, Any]:
        chart, table, worst = self.machine.chart, self.machine.table, self.worst
        return {
            "workflow": chart.name,
            "version": chart.version,
            "takes": spelled(chart.takes),
            "fingerprint": self.machine.fingerprint,
            "states": {node.path: _state(chart, node) for node in chart.nodes.values()},
            "plans": {
                node.path: {part.id: {"after": list(part.after), "does": _called_so(part)} for part in state.plan.parts}
                for node in chart.working
                if (state := chart.state(node.path)).plan is not None
            },
            "transitions": [
                {
                    "name": a.name,
                    "from": a.source,
                    "to": a.target,
                    "on": a.on,
                    "cond": a.condition,
                    "at_most": a.at_most,
                }
                for a in chart.arrows
            ],
            "failures": [
                {
                    "state": p.state,
                    "specialist": p.specialist,
                    "failure": p.failure,
                    "steps": list(p.steps),
                    "policy": str(p),
                }
                for p in policies(self.machine)
            ],
            "table": {
                "configurations": len(table.configs),
                "letters": len(table.letters),
                "rows": len(table.rows),
                "lines": table.lines(),
            },
            "worst_case": (
                {
                    "calls": dict(worst.calls),
                    "attempts": dict(worst.attempts),
                    "total": worst.total,
                    "below": dict(worst.below),
                }
                if worst
                else None
            ),
        }


def survey(machine: Machine) -> Survey:
    return Survey(machine, worst_case(machine.chart, machine.table))


def _state(chart: Chart, node: Node) -> str:
    within = f", within {spoken(node.within)}" if node.within is not None else ""
    if node.state is None:
        return node.kind + within
    if node.final:
        return (f"final, {node.outcome}" if node.parent is None else "final") + _says(node)
    if node.state.plan is not None:
        return f"{described(node.state.plan)}{_says(node)}"
    if node.state.does is None:
        waits = describe(node.state.wait) if node.state.wait else "waits for a signal"
        return node.kind.replace("history*", "deep history").replace("state", waits) + within
    return f"{_called_so(node.state, within)}{_says(node)}"


def _called_so(work: State | Part, within: str = "") -> str:
    works = ", then ".join(f"{s.called(s.id)} ({s.about()})" for s in work.specialists)
    attempts = f", {work.attempts} attempts" if work.attempts > 1 else ""
    guards = f", guards {', '.join(guard.name for guard in work.guards)}" if work.guards else ""
    called = any(not isinstance(specialist, Person) for specialist in work.specialists)
    timeout = f", at most {work.limit:g} s" if called and work.limit else ""
    return f"{works}{attempts}{timeout}{within}{guards}"


def described(plan: Plan) -> str:
    """A plan in one line."""
    calls = f"up to {times(plan.at_most, 'call')}" if plan.make else times(len(plan.parts), "call")
    rules = f", rules {', '.join(rule.name for rule in plan.rules)}" if plan.rules else ""
    settles = f", conflicts by {plan.conflicts.name}" if plan.conflicts else ""
    return f"plan of {calls}, {plan.width} at once, on failure {plan.on_failure}{rules}{settles}"


def _says(node: Node) -> str:
    return f": {node.says}" if node.says else ""


def _when(condition: str, at_most: int | None) -> str:
    return (f" if {condition}" if condition else "") + (
        f", at most {'once' if at_most == 1 else f'{at_most} times'}" if at_most else ""
    )


def _bundled(chart: Chart) -> list[tuple[Arrow, list[str]]]:
    """The arrows of one transition together: one line, several sources."""
    bundles: dict[str, tuple[Arrow, list[str]]] = {}
    for arrow in chart.arrows:
        bundles.setdefault(arrow.name, (arrow, []))[1].append(arrow.source)
    return list(bundles.values())


def _by_policy(machine: Machine) -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for policy in policies(machine):
        found.setdefault((policy.state, policy.specialist, str(policy)), []).append(policy.failure)
    return found


def policies(machine: Machine) -> Iterator[Policy]:
    """What follows each failure of each specialist, and of the guards and hand-overs around it."""
    chart = machine.chart
    for node in chart.failing:
        state = chart.state(node.path)
        if not state.works:
            broken = machine.table.letter(node.path, Failed, Broken)
            yield Policy(node.path, "", Broken.__name__, 1, "", True, *_followed(machine, broken))
        for work in state.works:
            if isinstance(work, Part) and state.plan and not state.plan.ends_with(work):
                yield from _left_out(machine, node, work)
                continue
            for rank, specialist in enumerate(work.specialists):
                for failure in may_fail(chart, node):
                    if failure in specialist.may_fail() or _may_come(work, specialist, failure):
                        yield _policy(machine, node, work, rank, failure)
        if state.plan is not None:
            yield from (_ends(machine, node, failure) for failure in plan_fails(state.plan))


def _may_come(work: State | Part, specialist: Specialist[Any, Any], failure: type[Failure]) -> bool:
    """A failure that is not the specialist's own: a guard's, a person's, or a hand-over's, which no fallback mends."""
    if failure is NotDone:
        return specialist.unknowable
    if failure is Broken:
        return isinstance(work, State) and specialist is work.specialists[0]
    return failure is Refused or any(failure in guard.fails for guard in work.guards)


def _left_out(machine: Machine, node: Node, part: Part) -> Iterator[Policy]:
    """Failures of a part that a plan goes on without."""
    for rank, specialist in enumerate(part.specialists):
        for failure in work_fails(part):
            if failure in specialist.may_fail() or _may_come(part, specialist, failure):
                found = _policy(machine, node, part, rank, failure)
                parked = failure is OutcomeUnknown or (specialist.effect == "once" and issubclass(failure, TimedOut))
                yield found if parked else attrs.evolve(found, moves=("leaving the part out",), kinds=("continue",))


def _ends(machine: Machine, node: Node, failure: type[Failure]) -> Policy:
    """A failure of the plan itself."""
    letter = machine.table.letter(node.path, Failed, failure)
    return Policy(node.path, "the plan", failure.__name__, 1, "", True, *_followed(machine, letter))


def _policy(machine: Machine, node: Node, state: State | Part, rank: int, failure: type[Failure]) -> Policy:
    specialist = state.specialists[rank]
    once = specialist.unknowable
    unknown = failure is OutcomeUnknown or (once and issubclass(failure, TimedOut))
    untouched = failure.nothing_happened or any(
        failure in guard.fails and guard.side == "before" for guard in state.guards
    )
    settled = failure in (NotDone, Broken) or unknown
    falls = not settled and (specialist.effect == "pure" or untouched) and rank + 1 < len(state.specialists)
    letter = machine.table.letter(node.path, Failed, OutcomeUnknown if unknown else failure)
    return Policy(
        node.path,
        specialist.id,
        failure.__name__,
        state.attempts if issubclass(failure, RETRIED) and not isinstance(specialist, Person) else 1,
        state.specialists[rank + 1].id if falls else "",
        specialist.effect == "pure" or once or state.attempts == 1,
        *_followed(machine, letter),
    )


def _followed(machine: Machine, letter: Letter | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where the chart goes on a letter, and of which kind each of these moves is."""
    moves = _targets(machine, letter) if letter else []
    where_to = tuple(f"{' + '.join(move.transitions)} -> {where(move.config.states)}" for move in moves)
    return where_to, tuple(_kind(machine.chart, move) for move in moves)


def _targets(machine: Machine, letter: Letter) -> list[Move]:
    """The moves that may answer, each once where they name the same transitions and states."""
    rows = [row for (_, asked), row in machine.table.rows.items() if asked == letter]
    moves = [move for row in rows for _, move in leaves(row) if move is not None]
    return list({(move.transitions, move.config.states): move for move in moves}.values())


def _kind(chart: Chart, move: Move) -> str:
    """Abandoned: the run ends as failed. Escalated: somebody outside is asked. Else the work goes another way."""
    nodes = [chart.nodes[path] for path in move.entered if chart.nodes[path].state is not None]
    if any(node.final and node.parent is None and node.outcome == "failed" for node in nodes):
        return "abandon"
    outside = [not node.final and all(s.kind == "person" for s in _workers(node)) for node in nodes]
    return "escalate" if outside and all(outside) else "reroute"


def _workers(node: Node) -> tuple[Specialist[Any, Any], ...]:
    return node.state.specialists if node.state else ()


def worst_case(chart: Chart, table: Table, above: tuple[Chart, ...] = ()) -> WorstCase | None:
    """None where there are too many ways to count, or a workflow calls itself. `above`: those whose child it is."""
    below = _below(chart, (*above, chart))
    if below is None:
        return None
    outside = frozenset(letter for letter in table.letters if from_outside(chart, letter))
    moved = {
        name
        for (_, came), row in table.rows.items()
        if came in outside
        for _, m in leaves(row)
        if m
        for name in m.transitions
    }
    counted = dict.fromkeys(arrow.name for arrow in chart.arrows if arrow.at_most or arrow.name in moved)
    once = {arrow.name for arrow in chart.arrows if arrow.name in moved and not arrow.at_most}
    start = (table.start.config, tuple((name, 0) for name in counted))
    coming = tuple(_coming(chart, table))
    ways: dict[Place, list[tuple[Move, Place]]] = {}
    todo = [start]
    while todo:
        place = todo.pop()
        if place not in ways:
            ways[place] = list(_onward(table, coming, place, dict.fromkeys(outside, once)))
            todo += [after for _, after in ways[place]]
        if len(ways) > TOO_MANY:
            return None
    return _longest(chart, table.start, start, ways, below)


def _below(chart: Chart, above: tuple[Chart, ...]) -> dict[str, int] | None:
    """Per state, the most calls that the child runs of one call make; None where that is not counted."""
    found: dict[str, int] = {}
    for node in chart.working:
        state = chart.state(node.path)
        for specialist in state.specialists:
            if specialist.machine is not None:
                child = specialist.machine()
                worst = None if child.chart in above else worst_case(child.chart, child.table, above)
                if worst is None:
                    return None
                attempts = 1 if specialist.effect == "once" else state.attempts
                found[node.path] = found.get(node.path, 0) + attempts * worst.total
    return found


def _coming(chart: Chart, table: Table) -> Iterator[Letter]:
    """The letters that something gives. A `once` call that takes too long ends in no TimedOut: its outcome is unknown."""
    failed = set()
    for node in chart.failing:
        specialists = chart.state(node.path).specialists
        once = bool(specialists) and all(specialist.unknowable for specialist in specialists)
        for failure in may_fail(chart, node):
            unknown = once and issubclass(failure, TimedOut)
            failed.add(table.letter(node.path, Failed, OutcomeUnknown if unknown else failure))
    yield from (letter for letter in table.letters if letter.kind != "Failed" or letter in failed)


def _onward(
    table: Table, letters: Iterable[Letter], place: Place, once: Mapping[Letter, set[str]]
) -> Iterator[tuple[Move, Place]]:
    """The moves that may come next. `once`: transitions that what comes from outside takes no second time."""
    config, used = place
    counts, seen = dict(used), set()
    for letter in letters:
        for asked, move in leaves(table.rows.get((config, letter))):
            if not _possible(asked, counts):
                continue
            for taken in [move] if move else _when_exhausted(table, config, letter.of, counts):
                after = tuple((name, count + (name in taken.transitions)) for name, count in used)
                spent = any(counts[name] for name in once.get(letter, set()).intersection(taken.transitions))
                if not spent and (taken, after) not in seen:
                    seen.add((taken, after))
                    yield taken, (taken.config, after)


def _possible(asked: tuple[tuple[Question, bool], ...], counts: dict[str, int]) -> bool:
    return all(
        question.limit is None or (counts[question.transition] < question.limit) == said for question, said in asked
    )


def _when_exhausted(table: Table, config: Config, of: str | None, counts: dict[str, int]) -> list[Move]:
    letter = table.letter(of, Failed, Exhausted)
    row = table.rows.get((config, letter)) if letter else None
    return [move for asked, move in leaves(row) if move is not None and _possible(asked, counts)]


def _longest(
    chart: Chart, first: Move, start: Place, ways: dict[Place, list[tuple[Move, Place]]], runs: dict[str, int]
) -> WorstCase:
    """Longest paths from every place, each specialist's on its own, found in post-order."""
    best: dict[Place, tuple[Counter[str], int]] = {}
    todo = [start]
    while todo:
        place = todo[-1]
        missing = [after for _, after in ways[place] if after not in best]
        if missing:
            todo += missing
            continue
        todo.pop()
        calls: Counter[str] = Counter()
        total = 0
        for move, after in ways[place]:
            made, below = _called(chart, move), best[after]
            calls |= made + below[0]
            total = max(total, _counted(made, runs) + below[1])
        best[place] = calls, total
    begun = _called(chart, first)
    calls, total = begun + best[start][0], _counted(begun, runs) + best[start][1]
    attempts = {path: count // _calls(chart, path) * _attempts(chart, path) for path, count in calls.items()}
    return WorstCase({path: calls[path] for path in sorted(calls)}, attempts, total, runs)


def _counted(made: Counter[str], runs: dict[str, int]) -> int:
    """Calls, with those of their child runs."""
    return sum(count * (1 + runs.get(path, 0)) for path, count in made.items())


def _called(chart: Chart, move: Move) -> Counter[str]:
    return Counter({node.path: _calls(chart, node.path) for node in chart.working if node.path in move.entered})


def _calls(chart: Chart, path: str) -> int:
    """How many calls a state makes each time that it is entered."""
    state = chart.state(path)
    return state.plan.at_most if state.plan and state.plan.make else len(state.works)


def _attempts(chart: Chart, path: str) -> int:
    """Of a state each time that it is entered: of its calls, or of the worst so many that its plan may have."""
    state = chart.state(path)
    each = [_tries(work) for work in state.works]
    return max(each) * state.plan.at_most if state.plan and state.plan.make else sum(each)


def _tries(state: State | Part) -> int:
    """Of one call: every attempt of its specialist, and of the fallbacks where they may be called after it was."""
    judged = [failure for guard in state.guards if guard.side == "after" for failure in guard.fails]
    most = 0
    for specialist in reversed(state.specialists):
        own = 1 if specialist.effect == "once" or isinstance(specialist, Person) else state.attempts
        harmless = any(failure.nothing_happened for failure in (*specialist.may_fail(), *judged))
        most = own + most if specialist.effect == "pure" or harmless else max(own, most)
    return most
