"""Who is called for a piece of work: a table, and a failure by name where nobody fits."""

import attrs
import pytest

from statecore import specialist
from statecore.errors import DefinitionError, UnknownSpecialist
from statecore.failures import PlanRefused
from statecore.proposal import Proposal, Proposed, parts_of
from statecore.routing import route


@attrs.frozen
class Code:
    text: str


@specialist("review", version="1", effect="pure")
async def review(code: Code) -> Code:
    return code


@specialist("review_rust", version="1", effect="pure", can=["review", "rust"])
async def review_rust(code: Code) -> Code:
    return code


@specialist("deploy", version="1", can=["git", "ssh"])
async def deploy(code: Code) -> Code:
    return code


ALL = [review, review_rust, deploy]


def test_work_goes_to_the_first_who_can_do_it() -> None:
    """By name, by a type that it says it can do, and only where it can do all that is needed."""
    assert route("review", ALL) is review
    assert route("review", ALL, ["rust"]) is review_rust
    assert route("review", [review_rust, review]) is review_rust
    assert route("ssh", ALL, ["git"]) is deploy
    assert route("deploy", ALL, ["deploy", "ssh"]) is deploy


def test_where_nobody_fits_the_failure_names_who_there_is() -> None:
    """An unknown type, and a need that nobody of that type has."""
    with pytest.raises(UnknownSpecialist, match="No specialist registered for task type: foo") as unknown:
        route("foo", ALL)
    assert str(unknown.value).endswith("(registered: deploy, git, review, review_rust, rust, ssh)")
    with pytest.raises(UnknownSpecialist, match="No specialist for task type review can cobol") as unable:
        route("review", ALL, ["cobol"])
    assert str(unable.value).endswith("(review can nothing besides; review_rust can review, rust)")
    with pytest.raises(UnknownSpecialist, match="registered: none"):
        route("review", [])


def test_a_proposal_is_routed_before_anybody_is_called() -> None:
    """A model names types and needs; who does it is the table's to say."""
    asked = Proposed("a", "review", "review the parser code", '{"text": "x"}', needs=("rust",))
    [part] = parts_of(Proposal((asked,)), ALL)
    assert part.does is review_rust and part.request == Code("x")
    with pytest.raises(PlanRefused) as refused:
        parts_of(Proposal((attrs.evolve(asked, needs=("cobol",)),)), ALL)
    assert (refused.value.rule, refused.value.parts) == ("known type", ("a",))


def test_what_a_specialist_can_do_is_a_list_of_words() -> None:
    """One text is no list."""
    with pytest.raises(DefinitionError, match=r"""can='git', expected words: write can=\["git"\]"""):
        specialist("deploy", version="1", can="git")(deploy.fn)
