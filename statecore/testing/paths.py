"""Every path through a table, as scenarios that the decider plays: with failures, and each loop a bounded number of times.

    @pytest.mark.parametrize("path", paths(Answering), ids=str)
    def test_every_path_ends(path: Path) -> None:
        path.play(values=[Topic("other", 0.2)])

A path is made of the table alone. Played, its values are real: they must answer the conditions as the path does, and the
hand-overs are asked. No specialist is called; what a path says of a call is what the decider is told about it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from statecore.check import may_fail
from statecore.failures import Exhausted, Failure, TimedOut
from statecore.messages import Failed
from statecore.person import Person
from statecore.table import Config, Letter, Move, Question, leaves
from statecore.testing.walk import Walk
from statecore.workflow import Machine, Workflow

MAX_PATHS = 5_000
"""Nobody reads more, and a chart with more of them has parallel regions whose every interleaving is one."""

Said = tuple[tuple[Question, bool], ...]


@attrs.frozen
class Step:
    """One outcome or signal: its `letter`, the answers of the conditions (`said`), and the `move` it leads to.

    `fails`: the failure that is told, where it is one.
    """

    letter: Letter
    said: Said
    move: Move
    fails: type[Failure] | None = None

    @property
    def name(self) -> str:
        """The transitions, with the failure, and whose it is where several states may be active."""
        of = f" of {self.letter.of}" if "/" in (self.letter.of or "") else ""
        return "+".join(self.move.transitions) + (f"({self.fails.__name__}{of})" if self.fails else "")

    def __str__(self) -> str:
        return f"-{self.name}-> {'+'.join(self.move.entered)}"


@attrs.frozen
class Path:
    """From the beginning of a run to its end, or to where only a loop goes on. Printed, it is the names of its transitions.

    `outcome`: of the final state, or "" where the path stops before one.
    """

    machine: Machine = attrs.field(repr=False)
    steps: tuple[Step, ...]
    outcome: str

    @property
    def moves(self) -> tuple[str, ...]:
        """The transitions, in order."""
        return tuple(name for step in self.steps for name in step.move.transitions)

    def __str__(self) -> str:
        return "-".join(step.name for step in self.steps)

    @property
    def line(self) -> str:
        """The states and transitions, as a snapshot has them."""
        first = "+".join(self.machine.table.start.entered)
        return " ".join([f"{self.outcome or 'goes on':<10}{first}", *map(str, self.steps)])

    def play(self, value: Any = None, *, values: Sequence[Any] = ()) -> Walk:
        """Let the decider take this path, and give the run and its turns.

        `value`: the input of the run. `values`: examples of any contracts, tried in order before one that is made up.
        Raises AssertionError where no value answers the conditions so, or where the decider goes another way.
        """
        walk = Walk(self.machine, tuple(values))
        walk.begin(value, self._refused())
        before = 0
        for step in self.steps:
            if len(walk.moves) == before:  # else the turn before has taken this step already, by a refusal
                walk.take(step)
            before += len(step.move.transitions)
        if walk.moves != self.moves:
            told = f"expected {' '.join(self.moves)}\nfound    {' '.join(walk.moves)}"
            raise AssertionError(
                f"{self.machine.name} does not go the path of its table: a guard, a hand-over or a condition decided otherwise\n{told}"
            )
        return walk

    def _refused(self) -> dict[str, type[Failure]]:
        """Calls whose failure nothing but a refusal brings about here, as they are numbered on this path."""
        entered = Counter(self.machine.table.start.entered)
        out = {}
        for step in self.steps:
            of = step.letter.of
            if step.fails and of and step.fails not in told_by_outcome(self.machine, of):
                out[f"{of}#{entered[of]}"] = step.fails
            entered.update(step.move.entered)
        return out


def told_by_outcome(machine: Machine, state: str) -> tuple[type[Failure], ...]:
    """The failures that the calls of a state may themselves end in. Out of time, a `once` call is parked instead; and a
    person who comes last is always asked before the end.
    """
    specialists = machine.chart.state(state).specialists
    if isinstance(specialists[-1], Person):
        specialists = specialists[-1:]
    told = dict.fromkeys(failure for specialist in specialists for failure in specialist.may_fail())
    if any(specialist.effect == "once" for specialist in specialists):
        told.pop(TimedOut)
    return tuple(told)


def paths(workflow: type[Workflow[Any]], *, loops: int = 1, failures: bool = True) -> list[Path]:
    """Every path, in the order of the table. `loops`: how often a configuration may be come back to. `failures`: also these.

    A failure that only a raising condition or hand-over gives is told to the decider as a refusal of the call. Raises
    ValueError where there are more than MAX_PATHS.
    """
    found = []
    machine = workflow.machine
    for path in _Search(machine, loops, _failures(machine) if failures else {}).paths():
        found.append(path)
        if len(found) > MAX_PATHS:
            raise ValueError(
                f"{workflow.machine.name} has more than {MAX_PATHS:,} paths: ask for fewer with loops=0 or failures=False"
            )
    return found


def paths_text(found: Sequence[Path]) -> str:
    """One path a line, in the order of the table; a path that comes or goes changes no other line."""
    return "".join(f"{path.line}\n" for path in found)


@attrs.frozen
class _Search:
    machine: Machine
    loops: int
    failures: Mapping[Letter, type[Failure]]

    def paths(self) -> Iterator[Path]:
        """Depth first, without recursion: a chart may be deeper than Python's stack."""
        start = self.machine.table.start.config
        todo: list[tuple[Step, ...]] = [()]
        while todo:
            steps = todo.pop()
            config = steps[-1].move.config if steps else start
            onward = [step for step in self.onward(config, steps) if self._simple(steps, step)]
            if not onward:
                yield Path(self.machine, steps, self._outcome(config))
            todo += [(*steps, step) for step in reversed(onward)]

    def _simple(self, steps: tuple[Step, ...], step: Step) -> bool:
        configs = [self.machine.table.start.config, *(each.move.config for each in steps)]
        return configs.count(step.move.config) <= self.loops

    def _outcome(self, config: Config) -> str:
        nodes = [self.machine.chart.nodes[path] for path in config.states]
        return next((node.outcome for node in nodes if node.final and node.parent is None), "")

    def onward(self, config: Config, steps: tuple[Step, ...]) -> Iterator[Step]:
        """What may come next, one way to each move of each letter."""
        taken = Counter(name for step in steps for name in step.move.transitions)
        entered = (steps[-1].move if steps else self.machine.table.start).entered
        for letter in self.machine.table.letters:
            row = self.machine.table.rows.get((config, letter))
            fails = self.failures.get(letter)
            if row is None or (letter.kind == "Failed" and not self._comes(letter, fails, entered)):
                continue
            seen: set[Move] = set()
            for said, move in leaves(row):
                if not _counted(said, taken):
                    continue
                for reached in [move] if move else self._exhausted(config, letter, taken):
                    if reached not in seen:
                        seen.add(reached)
                        yield Step(letter, said, reached, fails)

    def _comes(self, letter: Letter, fails: type[Failure] | None, entered: tuple[str, ...]) -> bool:
        """Whether a state may fail so now. What only a refusal brings about comes in the turn that enters the state."""
        return fails is not None and (letter.of in entered or fails in told_by_outcome(self.machine, letter.of or ""))

    def _exhausted(self, config: Config, letter: Letter, taken: Counter[str]) -> list[Move]:
        """Where a used-up bound leads that nothing else answers."""
        spent = self.machine.table.letter(letter.of, Failed, Exhausted)
        row = self.machine.table.rows.get((config, spent)) if spent and self.failures else None
        return [move for said, move in leaves(row) if move is not None and _counted(said, taken)]


def _failures(machine: Machine) -> dict[Letter, type[Failure]]:
    """A failure for each letter: one that is looked up under it, of the state's own work if there is one."""
    table = machine.table
    found: dict[Letter, type[Failure]] = {}
    for letter in (letter for letter in table.letters if letter.kind == "Failed" and letter.of):
        state = letter.of or ""
        if not machine.chart.state(state).specialists:
            continue  # a function that says until when to wait: only its own fault makes it raise
        kinds = [*told_by_outcome(machine, state), *may_fail(machine.chart, machine.chart.nodes[state])]
        known = [kind for kind in kinds if machine.contract(kind)]
        same = [kind for kind in known if table.letter(state, Failed, kind) == letter]
        found |= {letter: same[0]} if same else {}
    return found


def _counted(said: Said, taken: Counter[str]) -> bool:
    """Whether the bounds answer so, after what was taken on the path."""
    return all(question.limit is None or (taken[question.transition] < question.limit) == yes for question, yes in said)
