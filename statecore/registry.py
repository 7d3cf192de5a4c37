"""Which workflows a process may run: a stored name only ever selects among these, it never imports anything."""

from collections.abc import Iterable
from typing import Any

from statecore.child import specialists
from statecore.errors import UnknownSpecialist, UnknownWorkflow
from statecore.run import Run
from statecore.specialist import Specialist
from statecore.workflow import Machine, Workflow


class Registry:
    """Machines by fingerprint: versions of one workflow stand side by side, and a run finds the one that it was started
    on.
    """

    def __init__(self, workflows: Iterable[type[Workflow[Any]]] = ()) -> None:
        self._machines: dict[str, Machine] = {}
        self._workflows: dict[str, type[Workflow[Any]]] = {}
        for workflow in workflows:
            self.add(workflow)

    def add(self, workflow: type[Workflow[Any]]) -> Machine:
        """With the child workflows that it names, and theirs. Raises DefinitionError where one is not as declared."""
        self._workflows.setdefault(workflow.machine.fingerprint, workflow)
        return self._add(workflow.machine)

    def workflow(self, fingerprint: str) -> type[Workflow[Any]] | None:
        """The class that was added under a fingerprint."""
        return self._workflows.get(fingerprint)

    def _add(self, machine: Machine) -> Machine:
        if machine.fingerprint not in self._machines:
            self._machines[machine.fingerprint] = machine
            for specialist in specialists(machine):
                if specialist.machine is not None:
                    self._add(specialist.machine())
        return self._machines[machine.fingerprint]

    @property
    def machines(self) -> tuple[Machine, ...]:
        return tuple(self._machines.values())

    def leading(self, run: Run) -> list[Machine]:
        """Those that have a migration for it."""
        return [machine for machine in self.machines if any(migration.covers(run) for migration in machine.migrations)]

    def of(self, run: Run) -> Machine:
        """The machine that a run is pinned to. Raises UnknownWorkflow, saying what is loaded instead."""
        if found := self._machines.get(run.fingerprint):
            return found
        same = [machine for machine in self.machines if machine.name == run.workflow]
        wanted = f"{run.workflow} {run.version} with fingerprint {run.fingerprint[:12]}"
        if same:
            loaded = ", ".join(f"{machine.chart.version} with {machine.fingerprint[:12]}" for machine in same)
            raise UnknownWorkflow(
                f"{run.id} was started on {wanted}; loaded is {loaded}: load the declaration that it was started on"
                f" beside the new one{', or migrate it' if self.leading(run) else ''}"
            )
        loaded = ", ".join(sorted({machine.name for machine in self.machines})) or "none"
        raise UnknownWorkflow(
            f"{run.id} was started on {wanted}, which is not loaded (loaded: {loaded}): load it (--workflow"
            f" MODULE:{run.workflow}, or `workflows` in statecore.toml)"
        )

    def specialist(self, name: str) -> Specialist[Any, Any]:
        """A specialist of any loaded workflow, by name or name@version. Raises UnknownSpecialist."""
        known = {
            s.id: s
            for machine in self.machines
            for node in machine.chart.working
            for s in machine.chart.state(node.path).specialists
        }
        for id, found in known.items():
            if name in (id, found.name):
                return found
        raise UnknownSpecialist(
            f"No specialist registered for task type: {name} (registered: {', '.join(sorted(known)) or 'none'})"
        )
