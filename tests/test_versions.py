"""Contracts in several versions: what is stored names the version, and what leads from one to another is a function."""

from enum import Enum
from typing import Any

import attrs
import pytest

from statecore import Completed, Engine, Failed, State, Workflow, any_state, contract, specialist, upcaster
from statecore.contract import contract_of
from statecore.errors import BadInput, DefinitionError
from statecore.events import CallCompleted, CallFailed, CallStarted, Payload, RunStarted
from statecore.log import MemoryLog
from statecore.registry import Registry
from statecore.replay import turns_of, verify
from statecore.testing import given
from statecore.versions import full_id, id_of, name_of, reads
from tests.releases import (
    Letter,
    LetterV1,
    Mixed,
    New,
    Old,
    Request,
    RequestV1,
    Sent,
    post_v1,
    unlined,
    write,
)
from tests.support import Ticket


def test_what_is_stored_names_the_version_but_for_the_first() -> None:
    """A log of today's contracts reads like those that were written before there were versions."""
    assert [id_of(cls) for cls in (Ticket, RequestV1, Request)] == ["Ticket", "Request", "Request@3"]
    assert [full_id(cls) for cls in (Ticket, Request)] == ["Ticket@1", "Request@3"]
    assert [name_of(cls) for cls in (RequestV1, Request)] == ["Request", "Request"]
    assert contract_of(RequestV1).pack(RequestV1("a")).contract == "Request"
    assert contract_of(Request).pack(Request("a", "en")).contract == "Request@3"


def test_a_class_that_derives_from_a_versioned_one_has_a_name_of_its_own() -> None:
    """Version and upcasters belong to the class that says them."""

    @attrs.frozen
    class Further(Request): ...

    assert (id_of(Further), reads(Further, "Request")) == ("Further", False)


def test_the_decorator_may_stand_below_that_of_attrs() -> None:
    """A class with slots is made anew by attrs, and keeps what was said of it."""

    @attrs.frozen
    @contract("Named", version="4")
    class Any_:
        x: int

    assert contract_of(Any_).pack(Any_(1)).contract == "Named@4"


def test_a_stored_value_is_read_through_every_step() -> None:
    """From 1 to 2 to 3, each function once, and the bytes stay as they were."""
    stored = Payload("Request", b'{"title":"late"}')
    assert contract_of(Request).unpack(stored) == Request("late", "en")
    assert contract_of(Request).unpack(Payload("Request@2", b'{"subject":"late"}')) == Request("late", "en")
    assert stored.data == b'{"title":"late"}'
    assert contract_of(LetterV1).unpack(Payload("Letter@2", b'{"lines":["a","b"]}')) == LetterV1("a\nb")


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (Payload("Request@4", b"{}"), 'nothing leads on from version 4: write @upcaster(Request, "4")'),
        (Payload("Request@0", b"{}"), "nothing leads on from version 0"),
        (Payload("Request@x", b"{}"), "nothing leads on from version"),
        (Payload("Letter", b"{}"), "expected Request@3, found Letter @ $"),
        (Payload("Request", b'{"subject":"a"}'), "upcaster `renamed` failed on a stored Request: KeyError: 'title'"),
        (Payload("Request", b'{"title":7}'), "Request@3: expected str, found int 7 @ $.subject"),
        (Payload("Request", b"[]"), "upcaster `renamed` failed on a stored Request: TypeError"),
    ],
    ids=["later", "none", "garbled", "another", "raises", "unfit", "no object"],
)
def test_what_cannot_be_read_says_why(stored: Payload, said: str) -> None:
    """A missing step, a step that fails, and a result that the contract of today refuses are each named."""
    with pytest.raises(BadInput) as refused:
        contract_of(Request).unpack(stored)
    assert said in str(refused.value)


def test_what_a_step_gives_is_judged_like_anything_else() -> None:
    """A function that returns no plain data of the next shape is found by the contract, with every fault."""

    @contract(version="2")
    @attrs.frozen
    class Odd:
        a: int
        b: int

    @upcaster(Odd, "1")
    def made(stored: dict[str, Any]) -> dict[str, Any]:
        return {"a": "1", "c": 2}

    with pytest.raises(BadInput) as refused:
        contract_of(Odd).unpack(Payload("Odd", b"{}"))
    assert refused.value.faults == (
        "expected int, found str '1' @ $.a",
        "required field missing: b @ $.b",
        "unknown field: c @ $",
    )


def test_the_fingerprint_knows_the_version_and_the_members_of_an_enum() -> None:
    """A class that is renamed and keeps its name and version as a contract changes nothing; another version does."""
    assert New.machine.takes.id == "Request@3"

    def made(takes: Any) -> str:
        @specialist("write", version="1", effect="pure")
        async def again(request: takes) -> LetterV1: ...

        again.fn.__annotations__["request"] = takes

        class Same(Workflow[takes], version="1"):  # type: ignore[valid-type]
            drafting = State(again, initial=True)
            sent = State(final=True)
            drafted = drafting.to(sent, on=Completed[LetterV1])
            gave_up = any_state.to(sent, on=Failed)

        return Same.machine.fingerprint

    @contract("Request", version="1")
    @attrs.frozen
    class Kept:
        title: str

    @contract("Request", version="2")
    @attrs.frozen
    class Raised:
        title: str

    assert made(RequestV1) == made(Kept) != made(Raised)

    def toned(*tones: str) -> str:
        tone = Enum("Tone", {name.upper(): name for name in tones})  # type: ignore[misc]
        return made(attrs.make_class("Toned", {"tone": attrs.field(type=list[tone])}, frozen=True))  # type: ignore[valid-type]

    assert toned("kind", "curt") == toned("kind", "curt") != toned("kind")


async def test_two_versions_of_a_workflow_run_side_by_side() -> None:
    """Each with the contracts that it was declared with; what is stored tells which."""
    async with Engine(MemoryLog(), [Old, New]) as engine:
        one = await engine.run(Old, RequestV1("a"), run="one", tenant="acme")
        two = await engine.run(New, Request("b", "de"), run="two", tenant="byte")
        assert [value.payload.contract for value in one.values] == ["Request", "Letter"]
        assert [value.payload.contract for value in two.values] == ["Request@3", "Letter@2"]
        begun = [(await turns_of(engine.log, run))[0].events[0] for run in ("one", "two")]
        assert all(isinstance(event, RunStarted) for event in begun)
        assert [(e.tenant, e.version, e.fingerprint) for e in begun if isinstance(e, RunStarted)] == [
            ("acme", "1", Old.machine.fingerprint),
            ("byte", "2", New.machine.fingerprint),
        ]
        assert await verify(engine.log, engine.registry) == []


async def test_a_value_of_another_version_is_handed_over_as_what_upcasters_make_of_it() -> None:
    """The specialist is given its own class, and the request that it was given is what the log has."""
    async with Engine(MemoryLog(), [Mixed]) as engine:
        run = await engine.run(Mixed, Request("late", "en"), run="mixed")
        assert run.outcome == "completed"
        assert run.result is not None and contract_of(Sent).unpack(run.result) == Sent("late\nen")
        turns = await turns_of(engine.log, "mixed")
        started = [e for turn in turns for e in turn.events if isinstance(e, CallStarted)]
        assert started[1].request == Payload("Letter", b'{"text":"late\\nen"}')
        assert started[1].reads == (1,)
        assert await verify(engine.log, Registry([Mixed])) == []


def test_a_bridge_that_fails_is_a_hand_over_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two values of one run a step is as any hand-over: it is Broken, and the workflow answers that."""

    def torn(stored: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("torn")

    monkeypatch.setattr(LetterV1, "__upcasters__", {"2": torn})
    decided = given(Mixed, Request("late", "en")).when(Completed(Letter(("a",))))
    failed = next(event for event in decided.events if isinstance(event, CallFailed))
    assert failed.failure.contract == "Broken"
    assert b"upcaster `torn` failed on a stored Letter@2: ValueError: torn" in failed.failure.data


def test_an_output_of_another_version_is_rejected() -> None:
    """A specialist gives what it declares, and says which version that is."""
    decided = given(New, Request("a", "en")).when(Completed(LetterV1("text")))
    failed = next(event for event in decided.events if isinstance(event, CallFailed))
    assert b"expected Letter@2, found Letter LetterV1(text='text') @ $" in failed.failure.data
    assert not any(isinstance(event, CallCompleted) for event in decided.events)


def test_a_new_version_that_nobody_bridges_names_who_would_be_broken() -> None:
    """The receiver, what it takes, who gives the other version, and each way out; with the bridge there is nothing."""

    @contract("Note", version="1")
    @attrs.frozen
    class NoteV1:
        text: str

    @contract("Note", version="2")
    @attrs.frozen
    class Note:
        body: str

    def declared() -> type[Workflow[Any]]:
        a = attrs.evolve(write, name="a", gives=(contract_of(Note),))
        b = attrs.evolve(post_v1, name="b", takes=contract_of(NoteV1))

        class Chain(Workflow[Request], version="1"):
            one = State(a, initial=True)
            two = State(b)
            end = State(final=True)
            first = one.to(two, on=Completed[Note])
            last = two.to(end, on=Completed[Sent])
            gave_up = any_state.to(end, on=Failed)

        return Chain

    with pytest.raises(DefinitionError) as refused:
        declared()
    assert str(refused.value) == (
        "Chain: `b` of `two` takes Note@1, and `one` gives Note@2, from which nothing leads there: write"
        ' @upcaster(NoteV1, "2"), a `give=` function that makes one of the other, or let it take Note@2'
    )
    upcaster(NoteV1, "2")(lambda stored: {"text": stored["body"]})
    assert declared().machine.handovers["two"].params[0].wants is NoteV1


def test_an_upcaster_stays_the_function_that_it_was() -> None:
    """It is tested by calling it."""
    assert unlined({"lines": ["a", "b"]}) == {"text": "a\nb"}
