"""Migrations: which runs of an older declaration may go on with this one, and what their states are called here.

Declared with the workflow that they lead to, and found with it. Nothing happens by itself: a run stays with the
declaration that it was started on until somebody migrates it.
"""

import re
from collections.abc import Mapping, Sequence

import attrs

from statecore.chart import SIGNAL, START, Chart
from statecore.hints import spelled
from statecore.run import Run

_FINGERPRINT = re.compile("[0-9a-f]{12,64}")
_VERSION = re.compile(r"([^\W\d]\w*)@(.+)", re.DOTALL)


@attrs.frozen
class Migration:
    """Of runs of `old` (`SupportTicket@2`, or a fingerprint, or its first 12 digits or more) to the workflow that lists
    it in its `migrations`. `states`: those that are called otherwise here, with what they are called; one inside a
    compound goes with it.
    """

    old: str
    states: Mapping[str, str] = attrs.field(factory=dict)

    def covers(self, run: Run) -> bool:
        if _FINGERPRINT.fullmatch(self.old):
            return run.fingerprint.startswith(self.old)
        return self.old == f"{run.workflow}@{run.version}"


def declared(chart: Chart, migrations: Sequence[Migration]) -> tuple[Migration, ...]:
    """The migrations to a workflow. Raises DefinitionError where one leads to what the workflow does not have."""
    if not isinstance(migrations, list | tuple):
        chart.wrong(f"migrations={spelled(type(migrations))}, expected a list: write migrations=[Migration(...)]")
    for migration in migrations:
        if not isinstance(migration, Migration):
            chart.wrong(f"migrations=[{migration!r}], expected Migration(...): write what it leads from")
        _declared(chart, migration)
    twice = {one.old for one in migrations if sum(one.old == other.old for other in migrations) > 1}
    if twice:
        chart.wrong(f"two migrations lead from {twice.pop()}, expected one: drop the other")
    return tuple(migrations)


def _declared(chart: Chart, migration: Migration) -> None:
    where = f"migration from {migration.old!r}"
    if not (
        isinstance(migration.old, str) and (_FINGERPRINT.fullmatch(migration.old) or _VERSION.fullmatch(migration.old))
    ):
        chart.wrong(
            f"{where}: expected a workflow with its version, or a fingerprint of 12 digits or more: write"
            f' Migration("{chart.name}@1")'
        )
    for old, new in migration.states.items():
        if old in (START, SIGNAL):
            chart.wrong(f"{where}: `{old}` is no state, and what was recorded of it keeps its name: drop it")
        if new not in chart.nodes:
            chart.wrong(
                f"{where}: `{old}` is to be `{new}`, which is no state here (states: {', '.join(chart.nodes)}): name"
                " one of them"
            )
