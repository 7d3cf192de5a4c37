"""A person as a specialist: asked by a typed question, and answering with a typed value, minutes or days later.

No function is called. The call starts, and the run waits for `Engine.answer` (or `statecore answer`), through restarts
and without a process. The answer is judged before it is recorded: what its contract, an after-guard or `who` does not
admit is refused to the one who answers, and changes nothing.
"""

from collections.abc import Sequence
from typing import Any

import attrs

from statecore.contract import Contract, contract_of
from statecore.errors import BadInput, DefinitionError
from statecore.failures import Failure, TimedOut
from statecore.hints import spelled
from statecore.messages import members
from statecore.specialist import I, O, Specialist
from statecore.wait import LENGTH, Span, seconds, spoken


@attrs.frozen(eq=False, init=False)
class Person(Specialist[I, O]):
    """Somebody who answers. `takes`: the question. `gives`: the answer. `who`: the names of those who may give it, ()
    for anybody. `within`: the deadline, from when it is asked; what follows its passing is the next fallback, or
    Failed[TimedOut], or, where `otherwise` says one, that answer. `says`: a sentence for those who are asked.

        approve = Person("approve", version="1", takes=Proposal, gives=Decision, who=("ops",), within=timedelta(days=2))

    Asking changes nothing outside, so its effect label is pure. Raises DefinitionError.
    """

    who: tuple[str, ...] = ()
    within: float | None = None
    otherwise: O | None = None
    says: str = ""

    def __init__(
        self,
        name: str,
        *,
        version: str,
        takes: type[I],
        gives: type[O],
        who: Sequence[str] = (),
        within: Span | None = None,
        otherwise: O | None = None,
        says: str = "",
    ) -> None:
        def wrong(what: str) -> DefinitionError:
            return DefinitionError(f"person {name!r}: {what}")

        if not (isinstance(version, str) and version):
            raise wrong(f'expected a version, found {version!r}: write Person({name!r}, version="1", ...)')
        for hint in (takes, *members(gives)):
            if not (isinstance(hint, type) and attrs.has(hint)):
                raise wrong(f"expected attrs classes for takes and gives, found {spelled(hint)}: name its fields")
        if isinstance(who, str) or not all(isinstance(one, str) and one.strip() for one in who):
            raise wrong(f"who={who!r}, expected names: write who=(...) with one text for each, or leave it out")
        limit = None if within is None else seconds(within)
        if within is not None and limit is None:
            raise wrong(f"within={within!r}, expected {LENGTH}")
        taken: Contract[I] = contract_of(takes)  # type: ignore[arg-type]
        contracts = tuple(contract_of(each) for each in members(gives))
        if otherwise is not None:
            if limit is None:
                raise wrong("`otherwise` is what counts when nobody answers in time: say `within` as well, or drop it")
            contract = next((one for one in contracts if one.cls is type(otherwise)), contracts[0])
            try:
                contract.pack(otherwise)
            except BadInput as fault:
                raise wrong(f"otherwise={otherwise!r} is no answer ({fault}): give a value of its contract") from None
        make: Any = self
        make.__attrs_init__(
            name, version, taken, contracts, (), "pure", _nobody, kind="person", who=tuple(who),
            within=limit, otherwise=otherwise, says=says,
        )  # fmt: skip

    def may_fail(self) -> tuple[type[Failure], ...]:
        """A person does not crash: only time runs out, where that is no answer of its own."""
        return (TimedOut,) if self.within is not None and self.otherwise is None else ()

    def about(self) -> str:
        """`person: ana or ben, within 2 d`"""
        names = " or ".join(self.who) if self.who else "anybody"
        limit = f", within {spoken(self.within)}" if self.within is not None else ""
        return f"person: {names}{limit}"


def _nobody(request: Any) -> Any:
    raise TypeError("a person is asked, not called: answer with `Engine.answer`")
