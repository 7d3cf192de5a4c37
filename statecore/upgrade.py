"""What becomes of the open runs when these declarations are loaded: who goes on, who needs a migration, who is stuck and
why. It reads, and changes nothing.
"""

from typing import Literal

import attrs

from statecore.errors import LogError, NotPossible, UnknownWorkflow
from statecore.log import Log
from statecore.registry import Registry
from statecore.replay import rebuild
from statecore.retention import FINISHED, not_system
from statecore.run import Run
from statecore.standing import migrated, stuck


@attrs.frozen
class Standing:
    """One open run. `how`: goes on, is to be migrated to `to`, or is stuck, with every reason in `why`."""

    run: Run
    how: Literal["goes on", "migrate", "stuck"]
    to: str = ""
    why: tuple[str, ...] = ()


async def upgrade_check(log: Log, registry: Registry) -> list[Standing]:
    """How each open run stands with the loaded declarations, in the order in which they began."""
    found = []
    for info in not_system(await log.streams()):
        if info.label not in FINISHED:
            try:
                found.append(standing(registry, await rebuild(log, info.name)))
            except LogError as error:
                found.append(Standing(Run(id=info.name), "stuck", why=(str(error),)))
    return found


def standing(registry: Registry, run: Run) -> Standing:
    """A run goes on where its own declaration is loaded and reads all that it has; else a migration may lead on."""
    reasons: list[str] = []
    try:
        reasons += stuck(registry.of(run), run)
        if not reasons:
            return Standing(run, "goes on")
    except UnknownWorkflow as error:
        reasons.append(str(error))
    for machine in registry.leading(run):
        try:
            migrated(machine, run, by="upgrade-check", why="to see")
            return Standing(run, "migrate", f"{machine.name} {machine.chart.version}")
        except NotPossible as error:
            reasons.append(str(error))
    return Standing(run, "stuck", why=tuple(reasons))
