"""What travels beside a value: warnings, and whose word makes it trusted."""

from typing import Any

import attrs
import pytest

from statecore import Completed, Engine, Failed, Recorded, Run, State, Warned, Workflow, any_state, specialist
from statecore.guard import Pass, Question, Verdict
from statecore.ledger import Ledger
from statecore.log import MemoryLog
from statecore.present import as_json
from statecore.replay import turns_of, verify
from statecore.telling import lines
from statecore.workflow import Machine


@attrs.frozen
class Text:
    words: str


@attrs.frozen
class Fact:
    number: int


@attrs.frozen
class Report:
    text: str


@specialist("extract", version="1", effect="pure")
async def extract(text: Text) -> Warned[Fact]:
    """Says what it is unsure about."""
    return Warned(Fact(len(text.words)), ["two sources disagree", "\x1b[2J"])


@specialist("double", version="1", effect="pure", derives=True)
def double(fact: Fact) -> Fact:
    return Fact(fact.number * 2)


@specialist("write", version="1", effect="pure")
async def write(report: Report) -> Report:
    return report


def told(fact: Recorded[Fact], extracting: Recorded[Fact]) -> Report:
    return Report(f"{fact.value.number} {extracting.warnings} {extracting.trusted} {fact.trusted}")


@attrs.frozen
class Ranged:
    """Vouches for numbers below a bound."""

    most: int
    name: str = "ranged"
    side: str = "after"
    fails: tuple[Any, ...] = ()
    vouches: bool = True

    def ask(self, question: Question[Fact], ledger: Ledger) -> Verdict:
        return Pass()


def reporting(*guards: Any) -> type[Workflow[Text]]:
    def request(doubling: Recorded[Fact], extracting: Recorded[Fact]) -> Report:
        return told(doubling, extracting)

    class Reporting(Workflow[Text], version="1"):
        """Extract, compute, write."""

        extracting = State(extract, initial=True, guards=guards)
        doubling = State(double)
        writing = State(write, give=request)
        written = State(final=True)
        lost = State(final=True, outcome="failed")

        extracted = extracting.to(doubling, on=Completed[Fact])
        doubled = doubling.to(writing, on=Completed[Fact])
        wrote = writing.to(written, on=Completed[Report])
        gave_up = any_state.to(lost, on=Failed)

    return Reporting


async def played(workflow: type[Workflow[Text]], trusted: str = "") -> tuple[Run, MemoryLog]:
    log = MemoryLog()
    engine = Engine(log, [workflow])
    run = await engine.wait(await engine.start(workflow, Text("four"), trusted=trusted))
    assert not await verify(log, engine.registry)
    return run, log


async def test_warnings_reach_whoever_reads_the_envelope_and_never_the_value() -> None:
    """The value is the contract's; its warnings are recorded beside it, shown, and read through Recorded[T]."""
    run, log = await played(reporting())
    extracted = run.values[1]
    assert extracted.payload.data == b'{"number":4}' and extracted.warnings == ("two sources disagree", "\x1b[2J")
    assert run.result is not None and b"two sources disagree" in run.result.data
    shown = "\n".join(lines(await turns_of(log, run.id)))
    assert "warning: two sources disagree; warning: \\x1b[2J" in shown
    assert as_json(run)["values"][1]["warnings"] == ["two sources disagree", "\x1b[2J"]


async def test_nothing_is_trusted_by_itself() -> None:
    """Input and outputs are untrusted where no rule says otherwise, also what is computed from them."""
    run, _ = await played(reporting())
    assert [value.trusted for value in run.values] == ["", "", "", ""]


async def test_a_guard_vouches_and_the_mark_goes_on_to_what_is_derived() -> None:
    """The guard's name is recorded; what follows from trusted values alone is trusted, what a specialist writes is not."""
    run, _ = await played(reporting(Ranged(10)))
    assert [value.trusted for value in run.values] == ["", "ranged", "derived", ""]


async def test_a_trusted_input_makes_no_output_trusted() -> None:
    """Only the rule that stands beside a value counts."""
    run, _ = await played(reporting(), trusted="signed by the ledger")
    assert [value.trusted for value in run.values] == ["signed by the ledger", "", "", ""]


async def test_a_guard_is_told_where_a_request_comes_from() -> None:
    """Before a call it sees the states that gave what the request was made of, and whether that is trusted."""
    seen: list[tuple[tuple[str, ...], bool]] = []

    @attrs.frozen
    class Watch:
        name: str = "watch"
        side: str = "before"
        fails: tuple[Any, ...] = ()

        def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
            seen.append((question.sources, question.trusted))
            return Pass()

    log = MemoryLog()
    workflow = reporting(Ranged(10))
    engine = Engine(log, [workflow], guards=[Watch()])
    await engine.run(workflow, Text("four"))
    assert seen == [(("start",), False), (("extracting",), True), (("doubling", "extracting"), True)]


def test_vouching_and_deriving_are_policies_of_the_workflow() -> None:
    """A run is pinned to them: another guard's word is another fingerprint."""
    machines: list[Machine] = [
        reporting(*guards).machine for guards in ((), (Ranged(10),), (Ranged(1, vouches=False),))
    ]
    assert len({machine.fingerprint for machine in machines}) == 3


def test_a_warning_is_text() -> None:
    """One text is one warning, and nothing else is any."""
    assert Warned(Fact(1), "late").warnings == ("late",)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a warning is text, found 7"):
        Warned(Fact(1), [7])  # type: ignore[list-item]
