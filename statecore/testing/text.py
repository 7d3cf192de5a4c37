"""A table and a run as text that reviews well as a difference: one row a line, in the order of declaration.

Columns are as wide as the next multiple of eight, so that a longer name seldom moves the lines that did not change.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from statecore.chart import Chart, Node
from statecore.declare import State
from statecore.hints import spelled
from statecore.log import Turn
from statecore.person import Person
from statecore.plan import Part, Plan
from statecore.specialist import Specialist
from statecore.table import Config, Letter, Move, Row, leaves
from statecore.telling import said
from statecore.wait import describe, spoken
from statecore.wording import times, where
from statecore.workflow import Machine, Workflow

STEP = 8
"""Columns end at multiples of this."""


def table_text(workflow: type[Workflow[Any]]) -> str:
    """What `table_snapshot` keeps: the states with their policies, then a line for each way through each row.

    The version of a specialist is no part of it, as it is none of the fingerprint.
    """
    machine = workflow.machine
    head = f"{machine.name} {machine.chart.version}, takes {spelled(machine.chart.takes)}"
    states = aligned([(node.path, _policy(machine.chart, node)) for node in machine.chart.nodes.values()])
    return "\n".join([head, "", *states, "", *aligned(list(_rows(machine)))]) + "\n"


def trace_text(turns: Sequence[Turn]) -> str:
    """What `trace_snapshot` keeps: the events of a run, a line each, with the seconds since its beginning."""
    begun = turns[0].at if turns else 0.0
    lines = []
    for turn in turns:
        times = [f"{turn.at - begun:>12.3f} s", *[" " * 14] * (len(turn.events) - 1)]
        lines += [f"{time}  {said(event)}" for time, event in zip(times, turn.events, strict=True)]
    return "".join(f"{line}\n" for line in lines)


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of one width in columns."""
    widths = [_wide(max(map(len, column))) for column in zip(*rows, strict=True)]
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _wide(longest: int) -> int:
    return 0 if longest == 0 else (longest + 1) // STEP * STEP + STEP


def _policy(chart: Chart, node: Node) -> str:
    within = f", within {spoken(node.within)}" if node.within is not None else ""
    if node.state is None or node.kind.startswith("history"):
        return f"{node.kind}{within}{', initial' if node.initial else ''}".replace("history*", "deep history")
    if node.final:
        return f"final, {node.outcome}" if node.parent is None else "final"
    initial = ", initial" if node.initial else ""
    if node.state.plan is not None:
        return f"{_planned(node.state.plan)}{initial}"
    if node.state.does is None:
        waits = describe(node.state.wait) if node.state.wait else "waits for a signal"
        return f"{waits}{within}{initial}"
    return f"{_called(node.state, within)}{initial}"


def _called(work: State | Part, within: str = "") -> str:
    works = ", then ".join(f"{each.called(each.name)} ({_kind(each)})" for each in work.specialists)
    attempts = f", {work.attempts} attempts" if work.attempts > 1 else ""
    guards = f", guards {', '.join(guard.name for guard in work.guards)}" if work.guards else ""
    called = any(not isinstance(each, Person) for each in work.specialists)
    timeout = f", {work.limit:g} s" if called and work.limit else ""
    return f"{works}{attempts}{timeout}{within}{guards}"


def _kind(specialist: Specialist[Any, Any]) -> str:
    return specialist.about() if isinstance(specialist, Person) else specialist.effect


def _planned(plan: Plan) -> str:
    calls = f"up to {times(plan.at_most, 'call')}" if plan.make else times(len(plan.parts), "call")
    parts = [f"{part}: {_called(part)}" for part in plan.parts]
    return f"plan of {calls}, {plan.width} at once, on failure {plan.on_failure} ({'; '.join(parts)})"


def _rows(machine: Machine) -> Iterator[tuple[str, ...]]:
    """Configuration, what comes, by which transition, where to, and under which answers."""
    yield "start", "", "", f"-> {_place(machine.table.start.config)}", ""
    for config in _in_order(machine):
        for letter in machine.table.letters:
            yield from _ways(config, letter, machine.table.rows.get((config, letter)))


def _in_order(machine: Machine) -> list[Config]:
    """Configurations by the declaration of their states."""
    places = {path: number for number, path in enumerate(machine.chart.nodes)}
    return sorted(machine.table.configs, key=lambda config: ([places[path] for path in config.states], config.history))


def _ways(config: Config, letter: Letter, row: Row) -> Iterator[tuple[str, ...]]:
    if row is None:
        return
    for asked, move in leaves(row):
        answers = ", ".join(question.text if yes else f"not {question.text}" for question, yes in asked)
        by, to = _led(move, letter)
        yield _place(config), _spelled(letter, config), by, to, f"if {answers}" if answers else ""


def _led(move: Move | None, letter: Letter) -> tuple[str, str]:
    if move is not None:
        return " + ".join(move.transitions), f"-> {_place(move.config)}"
    return "nothing", "is refused" if letter.of is None else "counts as Failed[Exhausted]"


def _spelled(letter: Letter, config: Config) -> str:
    kind = "Failed" if (letter.kind, letter.type) == ("Failed", "Failure") else letter.what
    return f"{kind} of {letter.of}" if letter.of and letter.of != where(config.states) else kind


def _place(config: Config) -> str:
    return where(config.states) + "".join(f" {name}={'+'.join(was)}" for name, was in config.history)
