"""What `check` says of a workflow before its first call: states, transitions, what follows which failure, and the worst case.

The worst case is the longest path over (configuration, bounds used), which has an end because every cycle of calls has a bound. What
signals add is left out: how often the world speaks is not the workflow's to bound.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from statecore.chart import Arrow, Chart, Node
from statecore.check import may_fail
from statecore.failures import RETRIED, Exhausted, OutcomeUnknown, TimedOut
from statecore.messages import Failed
from statecore.table import Config, Move, Question, Table, leaves
from statecore.workflow import Machine

TOO_MANY = 50_000
"""Nodes of the worst-case search; beyond that no figure is given."""

Used = tuple[tuple[str, int], ...]
Place = tuple[Config, Used]


@attrs.frozen
class WorstCase:
    """Upper bounds: `calls` per specialist of a state, `attempts` with every retry and fallback, and the most calls on one path."""

    calls: Mapping[str, int]
    attempts: Mapping[str, int]
    total: int


@attrs.frozen
class Survey:
    machine: Machine
    worst: WorstCase | None

    def lines(self) -> Iterator[str]:
        chart, table = self.machine.chart, self.machine.table
        yield f"{chart.name} {chart.version}, takes {chart.takes.__name__}"
        if chart.doc:
            yield f"  {chart.doc.splitlines()[0]}"
        yield f"  fingerprint {self.machine.fingerprint}"
        yield f"  table: {len(table.configs)} configurations, {len(table.letters)} letters, {len(table.rows)} rows"
        yield "\nstates"
        for node in chart.nodes.values():
            yield f"  {node.path:<22} {_state(chart, node)}"
        yield "\ntransitions, asked in this order"
        for arrow, sources in _bundled(chart):
            yield f"  {arrow.name:<22} {', '.join(sources)} -> {arrow.target} on {arrow.on}{_when(arrow.condition, arrow.at_most)}"
        yield "\nfailures: what follows"
        for (path, policy), failures in _by_policy(self.machine).items():
            yield f"  {path:<22} {', '.join(failures)}: {policy}"
        yield "\nworst case"
        yield from self._worst()

    def _worst(self) -> Iterator[str]:
        if self.worst is None:
            yield f"  not counted: more than {TOO_MANY} ways through the bounds"
            return
        yield f"  at most {self.worst.total} calls on one path"
        for name, calls in self.worst.calls.items():
            yield f"  {name:<22} {calls} calls, {self.worst.attempts[name]} attempts"

    def as_json(self) -> dict[str, Any]:
        chart, table, worst = self.machine.chart, self.machine.table, self.worst
        return {
            "workflow": chart.name,
            "version": chart.version,
            "takes": chart.takes.__name__,
            "fingerprint": self.machine.fingerprint,
            "states": {node.path: _state(chart, node) for node in chart.nodes.values()},
            "transitions": [
                {"name": a.name, "from": a.source, "to": a.target, "on": a.on, "cond": a.condition, "at_most": a.at_most} for a in chart.arrows
            ],
            "failures": [{"state": path, "failure": failure, "policy": policy} for path, failure, policy in policies(self.machine)],
            "table": {"configurations": len(table.configs), "letters": len(table.letters), "rows": len(table.rows), "lines": table.lines()},
            "worst_case": {"calls": dict(worst.calls), "attempts": dict(worst.attempts), "total": worst.total} if worst else None,
        }


def survey(machine: Machine) -> Survey:
    return Survey(machine, worst_case(machine.chart, machine.table))


def _state(chart: Chart, node: Node) -> str:
    if node.state is None:
        return node.kind
    if node.final:
        return f"final, {node.outcome}" if node.parent is None else "final"
    if node.state.does is None:
        return node.kind.replace("history*", "deep history").replace("state", "waits for a signal")
    works = ", then ".join(f"{s.id} ({s.effect})" for s in node.state.specialists)
    attempts = f", {node.state.attempts} attempts" if node.state.attempts > 1 else ""
    guards = f", guards {', '.join(guard.name for guard in node.state.guards)}" if node.state.guards else ""
    return f"{works}{attempts}, {node.state.timeout:g} s{guards}{', initial' if node.initial else ''}"


def _when(condition: str, at_most: int | None) -> str:
    return (f" if {condition}" if condition else "") + (f", at most {at_most} times" if at_most else "")


def _bundled(chart: Chart) -> list[tuple[Arrow, list[str]]]:
    """The arrows of one transition together: one line, several sources."""
    bundles: dict[str, tuple[Arrow, list[str]]] = {}
    for arrow in chart.arrows:
        bundles.setdefault(arrow.name, (arrow, []))[1].append(arrow.source)
    return list(bundles.values())


def _by_policy(machine: Machine) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for path, failure, policy in policies(machine):
        found.setdefault((path, policy), []).append(failure)
    return found


def policies(machine: Machine) -> Iterator[tuple[str, str, str]]:
    """State, failure, and what follows it: attempts, fallbacks, then where the chart goes."""
    chart, table = machine.chart, machine.table
    for node in chart.working:
        state = chart.state(node.path)
        for failure in may_fail(chart, node):
            first = state.specialists[0]
            steps = [f"{state.attempts} attempts"] if state.attempts > 1 and first.effect != "once" and issubclass(failure, RETRIED) else []
            safe = first.effect == "pure" or failure.nothing_happened
            steps += [s.id for s in state.fallback] if safe else []
            told = OutcomeUnknown if first.effect == "once" and issubclass(failure, TimedOut) else failure
            letter = table.letter(node.path, Failed, told)
            steps.append(" or ".join(_targets(machine, node, letter)) if letter else "parked until it is settled")
            yield node.path, failure.__name__, ", then ".join(steps)


def _targets(machine: Machine, node: Node, letter: Any) -> list[str]:
    rows = [row for (config, asked), row in machine.table.rows.items() if asked == letter]
    moves = [move for row in rows for _, move in leaves(row) if move is not None]
    return list(dict.fromkeys(f"{' + '.join(move.transitions)} -> {move.config}" for move in moves))


def worst_case(chart: Chart, table: Table) -> WorstCase | None:
    """None where there are too many ways to count."""
    limits = {arrow.name: arrow.at_most for arrow in chart.arrows if arrow.at_most}
    start = (table.start.config, tuple((name, 0) for name in limits))
    ways: dict[Place, list[tuple[Move, Place]]] = {}
    todo = [start]
    while todo:
        place = todo.pop()
        if place not in ways:
            ways[place] = list(_onward(table, place))
            todo += [after for _, after in ways[place]]
        if len(ways) > TOO_MANY:
            return None
    return _longest(chart, table.start, start, ways)


def _onward(table: Table, place: Place) -> Iterator[tuple[Move, Place]]:
    config, used = place
    counts, seen = dict(used), set()
    for letter in table.letters:
        if letter.of is None or (config, letter) not in table.rows:
            continue
        for asked, move in leaves(table.rows[config, letter]):
            if not _possible(asked, counts):
                continue
            moves = [move] if move else _when_exhausted(table, config, letter.of, counts)
            for taken in moves:
                after = tuple((name, count + (name in taken.transitions)) for name, count in used)
                if (taken, after) not in seen:
                    seen.add((taken, after))
                    yield taken, (taken.config, after)


def _possible(asked: tuple[tuple[Question, bool], ...], counts: dict[str, int]) -> bool:
    return all(question.limit is None or (counts[question.transition] < question.limit) == said for question, said in asked)


def _when_exhausted(table: Table, config: Config, of: str, counts: dict[str, int]) -> list[Move]:
    letter = table.letter(of, Failed, Exhausted)
    row = table.rows.get((config, letter)) if letter else None
    return [move for asked, move in leaves(row) if move is not None and _possible(asked, counts)]


def _longest(chart: Chart, first: Move, start: Place, ways: dict[Place, list[tuple[Move, Place]]]) -> WorstCase:
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
            total = max(total, made.total() + below[1])
        best[place] = calls, total
    begun = _called(chart, first)
    calls, total = begun + best[start][0], begun.total() + best[start][1]
    attempts = {path: count * _attempts(chart, path) for path, count in calls.items()}
    return WorstCase({path: calls[path] for path in sorted(calls)}, attempts, total)


def _called(chart: Chart, move: Move) -> Counter[str]:
    return Counter(node.path for node in chart.working if node.path in move.entered)


def _attempts(chart: Chart, path: str) -> int:
    state = chart.state(path)
    return sum(1 if specialist.effect == "once" else state.attempts for specialist in state.specialists)
