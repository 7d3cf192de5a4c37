"""Paths: every way through a table, bounded, readable, and taken by the decider as it is written."""

from collections.abc import Sequence
from typing import Any, Literal

import attrs
import pytest

from statecore import Completed, Failed, State, Workflow, specialist
from statecore.demo import ChangeReview
from statecore.testing import Path, paths, paths_text
from statecore.testing.sample import NoSample, sample
from tests import charts
from tests.crew import Crew, Jammed, Piece, line, twin, typed
from tests.support import Review, SupportTicket, Ticket, Triage

VALUES: Sequence[Any] = (
    Triage("bug", 0.9),
    Triage("bug", 0.4),
    Review(True, ""),
    Review(False, "x"),
    Piece(),
    Piece(mark="bad"),
    Jammed("old"),
    Jammed("new"),
)
PLAYED = {
    "support": SupportTicket,
    "line": line(Crew()),
    "typed": typed(Crew()),
    "twin": twin(Crew()),
    "scopes": charts.Scopes,
    "late": charts.Late,
    "ancestry": charts.Ancestry,
}


@pytest.mark.parametrize("name", PLAYED)
def test_the_decider_goes_every_path(name: str) -> None:
    """Flat, nested, parallel, with typed failures, bounds and signals: what the table says is what is decided."""
    found = paths(PLAYED[name])
    assert len(found) == len({str(path) for path in found}) > 3
    for path in found:
        walk = path.play(values=VALUES)
        assert walk.moves == path.moves and walk.run.outcome == path.outcome


def test_paths_read_as_a_list() -> None:
    """One line for each path: outcome, states and transitions, with the failures that were told."""
    assert paths_text(paths(SupportTicket, loops=0)) == (
        "completed triaging -triaged-> drafting -drafted-> reviewing -accepted-> sending -delivered-> sent\n"
        "failed    triaging -triaged-> drafting -drafted-> reviewing -accepted-> sending -gave_up(Rejected)-> escalated\n"
        "failed    triaging -triaged-> drafting -drafted-> reviewing -gave_up(TimedOut)-> escalated\n"
        "failed    triaging -triaged-> drafting -gave_up(Untranslatable)-> escalated\n"
        "failed    triaging -unsure-> escalated\n"
        "failed    triaging -gave_up(Transient)-> escalated\n"
    )


def test_loops_and_failures_are_asked_for() -> None:
    """`loops` says how often a configuration is come back to, and `failures` leaves the unhappy ends out."""
    happy = [str(path) for path in paths(SupportTicket, loops=2, failures=False) if path.outcome == "completed"]
    redo = "redo-drafted-"
    assert happy == [f"triaged-drafted-{redo * times}accepted-delivered" for times in (0, 1, 2)]
    assert [path.outcome for path in paths(SupportTicket, loops=0, failures=False)] == ["completed", "failed"]


def test_a_used_up_bound_leads_on() -> None:
    """On a path that takes a bounded transition as often as it may, the next one is what follows."""
    again = [path for path in paths(line(Crew()), loops=3, failures=False) if path.moves.count("cut_again") == 2]
    assert again and all("cut_well" in path.moves for path in again)
    spent = [
        path for path in paths(SupportTicket, loops=3) if path.moves.count("redo") == 3 and path.moves[-1] == "gave_up"
    ]
    assert [path.play(values=VALUES).run.outcome for path in spent] == ["failed"] * len(spent)
    assert any(str(path).endswith("redo-drafted-gave_up") for path in spent)


def test_a_value_that_is_missing_is_asked_for() -> None:
    """Where no value at hand answers the conditions as the path does, the message says which and of what type."""
    sure = next(path for path in paths(SupportTicket) if path.moves == ("triaged", "gave_up"))
    with pytest.raises(AssertionError, match="no Triage at hand for which `confident` is true: give one in `values`"):
        sure.play(values=[Triage("bug", 0.4)])
    assert sure.play(values=[Triage("bug", 0.9)]).run.outcome == "failed"


def test_a_path_that_is_not_taken_is_said() -> None:
    """A guard that decides otherwise makes the walk leave the path, and both ways are shown."""
    path = next(path for path in paths(SupportTicket) if path.outcome == "completed")
    with pytest.raises(AssertionError, match=r"(?s)does not go the path of its table.*expected triaged.*found"):
        attrs.evolve(path, steps=path.steps[:2] + path.steps[3:]).play(values=VALUES)


def test_too_many_paths_are_refused() -> None:
    """A chart whose regions interleave in thousands of ways is refused with what to ask for instead."""
    with pytest.raises(ValueError, match="more than 5,000 paths: ask for fewer with loops=0"):
        paths(charts.Settled)


@pytest.mark.parametrize("path", paths(ChangeReview, failures=False), ids=str)
def test_paths_are_parameters(path: Path) -> None:
    """A path has a name that a test can be called by."""
    assert str(path).startswith("change_read-checked-")


@attrs.frozen
class Odd:
    kind: Literal["a", "b"]
    many: list[str]
    pair: tuple[int, str]
    inner: Triage | None
    deep: Ticket


@attrs.frozen
class Picky:
    even: int = attrs.field(validator=attrs.validators.ge(10))


def test_a_sample_is_what_its_contract_admits() -> None:
    """A made-up value has every field that is needed, and what cannot be made up is asked for."""
    assert sample(Odd) == Odd("a", [], (1, "text"), Triage("billing", 0.5), Ticket("text", "text"))
    with pytest.raises(NoSample, match="no Picky can be made up"):
        sample(Picky)


@specialist("pick", version="1", effect="pure")
async def pick(ticket: Ticket) -> Picky:
    return Picky(10)


class Picking(Workflow[Ticket], version="1"):
    picking = State(pick, initial=True)
    picked = State(final=True)
    lost = State(final=True, outcome="failed")
    ok = picking.to(picked, on=Completed[Picky])
    gave_up = picking.to(lost, on=Failed)


def test_what_cannot_be_made_up_is_asked_for() -> None:
    """A contract with a rule of its own needs an example."""
    path = paths(Picking, failures=False)[0]
    with pytest.raises(AssertionError, match="no Picky at hand: give one in `values`"):
        path.play()
    assert path.play(values=[Picky(12)]).run.outcome == "completed"
