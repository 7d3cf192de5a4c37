"""Workflow: the class in whose body a machine is declared. Everything is compiled and checked once, while the class is
made.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import attrs

from statecore.chart import Chart, contracts
from statecore.check import check, replies
from statecore.contract import Contract, contract_of
from statecore.declare import State
from statecore.errors import BadInput, DefinitionError
from statecore.events import Payload
from statecore.failures import ENGINE_FAILURES as ENGINE_FAILURES
from statecore.handover import Handover, Param
from statecore.hints import named, spelled
from statecore.messages import Signal
from statecore.migration import Migration, declared
from statecore.person import Person
from statecore.plan import AT_LEAST, Part, Plan
from statecore.planhandover import PlanOf
from statecore.scan import scan
from statecore.table import Table, compile_table, digest, payload_types
from statecore.versions import id_of, name_of, reads, split
from statecore.wait import Span

T = TypeVar("T")


@attrs.frozen(eq=False)
class Machine:
    """A compiled declaration: all that the decider needs of a workflow class. `contracts`: by name and version, as they
    are stored.
    """

    chart: Chart
    table: Table
    handovers: dict[str, Handover]
    plans: dict[str, PlanOf]
    contracts: dict[str, Contract[Any]]
    fingerprint: str
    replies: dict[str, Handover] = attrs.field(factory=dict)
    migrations: tuple[Migration, ...] = ()
    _readers: dict[tuple[str, type], Contract[Any] | None] = attrs.field(factory=dict, init=False)
    _fitting: dict[tuple[Param, str, str], bool] = attrs.field(factory=dict, init=False)

    @property
    def name(self) -> str:
        return self.chart.name

    @property
    def takes(self) -> Contract[Any]:
        """Of the run's input."""
        return self.contracts[id_of(self.chart.takes)]

    def contract(self, cls: type) -> Contract[Any] | None:
        return self.contracts.get(id_of(cls))

    @property
    def signals(self) -> tuple[Contract[Any], ...]:
        """The contracts that transitions wait for as a signal."""
        types = payload_types(self.chart)
        return tuple(contract_of(types[letter]) for letter in self.table.letters if letter.of is None)

    def signal(self, stored: str) -> Contract[Any] | None:
        """The contract under which a stored signal is read; None where no transition ever waits for one of its kind."""
        contract = self.reader(stored)
        return contract if contract and self.table.letter(None, Signal, contract.cls) else None

    def stated(self, value: Any) -> Payload:
        """What the world said, as it is stored: in the version that is known here, and what is not known as it came.

        Raises BadInput where it is no value of a contract.
        """
        kind: Any = type(value)
        try:
            payload = value if kind is Payload else contract_of(kind).pack(value)
        except DefinitionError as fault:
            raise BadInput(f"expected a signal, which is a value of an attrs class, found {value!r:.100}") from fault
        known = self.signal(payload.contract)
        return payload if known is None or type(payload.live) is known.cls else known.pack(known.unpack(payload))

    def reader(self, stored: str, wants: type = object) -> Contract[Any] | None:
        """The contract under which a stored value is read as a `wants`: its own, or another version of it to which
        upcasters lead. None: there is none, which is remembered only of the contracts here, since anybody may send a
        signal of any name.
        """
        if (stored, wants) in self._readers:
            return self._readers[stored, wants]
        found = next((each for each in self.versions(stored, wants) if reads(each.cls, stored)), None)
        if found is not None or stored in self.contracts:
            self._readers[stored, wants] = found
        return found

    def fits(self, param: Param, by: str, stored: str) -> bool:
        """Whether a parameter may be filled with what a state gave."""
        if (param, by, stored) not in self._fitting:
            contract = self.reader(stored, param.wants)
            self._fitting[param, by, stored] = contract is not None and param.fits(by, contract.cls)
        return self._fitting[param, by, stored]

    def versions(self, stored: str, wants: type = object) -> list[Contract[Any]]:
        """The contracts of the name of a stored one whose values are a `wants`, that one first, in whatever version."""
        own, name = self.contracts.get(stored), split(stored)[0]
        known = [*([own] if own else []), *self.contracts.values()]
        if wants is not object and name_of(wants) == name:
            known.append(contract_of(wants))
        return [each for each in known if each.name == name and issubclass(each.cls, wants)]

    def read(self, payload: Payload, wants: type = object) -> Any:
        """A stored value as an object. Raises BadInput where nothing here reads it."""
        if (contract := self.reader(payload.contract, wants)) is not None:
            return contract.unpack(payload)
        for other in self.versions(payload.contract, wants):
            return other.unpack(payload)  # which says what is missing
        raise BadInput(f"{self.name} has no contract that reads a stored {payload.contract}")


def compile_machine(
    cls: type, takes: type, version: str, migrations: Sequence[Migration] = (), within: Any = None
) -> Machine:
    """Scan, compile, check and fingerprint a class body. Raises DefinitionError."""
    chart = scan(cls, takes, version, within)
    known = {id_of(kind): contract_of(kind) for kind in contracts(chart)}
    table = compile_table(chart)
    handovers, plans = check(chart, table)
    essence = digest(_essence(chart, table, known))
    migrated = declared(chart, migrations)
    return Machine(chart, table, handovers, plans, known, essence, replies(chart, table), migrated)


def _essence(chart: Chart, table: Table, known: dict[str, Contract[Any]]) -> dict[str, Any]:
    """What a run is pinned to: table, policies and contracts; no function bodies, no specialist versions, no prose."""
    shapes = {id_of(kind): contract_of(kind).spec() for contract in known.values() for kind in contract.nested()}
    replying = [arrow for arrow in chart.arrows if arrow.reply is not None]
    return {
        "workflow": chart.name,
        "version": chart.version,
        "takes": id_of(chart.takes),
        "start": str(table.start.config),
        "rows": table.lines(),
        "policies": {node.path: _policy(chart, node.path) for node in chart.working},
        "outcomes": {node.path: node.outcome for node in chart.nodes.values() if node.final and node.parent is None},
        "contracts": shapes,
        **({"replies": {arrow.name: named(arrow.reply) for arrow in replying}} if replying else {}),
        **({"times": times} if (times := _times(chart)) else {}),
    }


def _times(chart: Chart) -> dict[str, Any]:
    """How long what may last; a function, and the names of the people who may answer, are no part of it."""
    return {path: "until" if span is None else span for path, span in chart.timed.items()}


def _policy(chart: Chart, path: str) -> dict[str, Any]:
    state = chart.state(path)
    return _called(state) if state.plan is None else _planned(state.plan)


def _called(work: State | Part) -> dict[str, Any]:
    people = [_asked(one) if isinstance(one, Person) else None for one in work.specialists]
    return {
        **({"people": people} if any(people) else {}),
        "attempts": work.attempts,
        "timeout": work.limit,
        "specialists": [
            [
                *(s.name, s.effect, s.takes.id, [g.id for g in s.gives], sorted(id_of(f) for f in s.fails)),
                *(["derives"] if s.derives else []),
            ]
            for s in work.specialists
        ],
        "guards": [f"{guard.name}{' vouches' if getattr(guard, 'vouches', False) else ''}" for guard in work.guards],
        "give": getattr(work.give, "__name__", "") if work.give else "",
    }


def _planned(plan: Plan) -> dict[str, Any]:
    functions = {"assemble": plan.assemble, "make": plan.make, "complete": plan.complete}
    return {
        "parts": {
            part.id: {**_called(part), "after": list(part.after), "needed": part.needed, "answers": part.answers}
            for part in plan.parts
        },
        "expects": {part.id: float(part.expects) for part in plan.parts},
        "on_failure": plan.on_failure,
        "bounds": [plan.width, plan.at_most, plan.depth, *([plan.at_least] if plan.at_least != AT_LEAST else [])],
        "rules": [rule.name for rule in plan.rules],
        "conflicts": plan.conflicts.name if plan.conflicts else "",
        **{name: fn.__name__ if fn else "" for name, fn in functions.items()},
    }


def _asked(person: Person[Any, Any]) -> dict[str, Any]:
    other: Any = person.otherwise
    contract = person.gives_named(name_of(type(other)))
    said = contract.pack(other).data.decode() if contract else None
    return {"within": person.within, "otherwise": said}


class Workflow(Generic[T]):
    """Derive from `Workflow[Input]` with a version, and declare states and transitions in the body:

        class Greeting(Workflow[Name], version="1"):
            greeting = State(greet, initial=True)
            greeted  = State(final=True)
            ok       = greeting.to(greeted, on=Completed[Hello])
            failed   = ...

    `within`: the deadline of a run, a timedelta or seconds from its start. Its passing is answered by the workflow's own
    `any_state.to(..., on=Elapsed)`, wherever the run is but in the states that this leads to.

    Raises DefinitionError at the class statement where the declaration cannot be right. `machine` is the compiled
    declaration.
    """

    machine: ClassVar[Machine]

    def __init__(self) -> None:  # not NoReturn, with which mypy forgets __init_subclass__ and refuses `version=`
        raise TypeError(
            f"{type(self).__name__} is a declaration, not something to make instances of: start a run with"
            " `Engine.start`"
        )

    def __init_subclass__(
        cls, *, version: str = "", migrations: Sequence[Migration] = (), within: Span | None = None
    ) -> None:
        if cls.__bases__ != (Workflow,):
            raise DefinitionError(f"{cls.__name__}: workflows are composed, not refined: derive from Workflow alone")
        takes = _input_of(cls)
        if not (isinstance(version, str) and version):
            raise DefinitionError(
                f"{cls.__name__}: expected a version, found {version!r}: write `class"
                f' {cls.__name__}(Workflow[{takes.__name__}], version="1")`'
            )
        if "machine" in vars(cls):
            raise DefinitionError(f"{cls.__name__}: `machine` is a word of Workflow itself: choose another name")
        cls.machine = compile_machine(cls, takes, version, migrations, within)


def _input_of(cls: type) -> type:
    base = cls.__dict__.get("__orig_bases__", (None,))[0]
    takes = get_args(base)[0] if get_origin(base) is Workflow else None
    if not (isinstance(takes, type) and attrs.has(takes)):
        found = spelled(takes) if takes is not None else "none"
        raise DefinitionError(
            f"{cls.__name__}: expected the class of its input, an attrs class, found {found}: write `class"
            f" {cls.__name__}(Workflow[Ticket], version=...)`"
        )
    return takes
