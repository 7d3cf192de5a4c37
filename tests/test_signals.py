"""Signals that are answered: a typed reply or a typed refusal, once for each id."""

import asyncio
from typing import Any

import attrs
import pytest

from statecore import (
    Completed,
    Engine,
    Failed,
    Newest,
    Signal,
    State,
    Workflow,
    any_state,
    contract,
    specialist,
    upcaster,
)
from statecore.errors import BadInput, DefinitionError, NotPossible
from statecore.events import Event, Payload, SignalRefused, SignalTaken
from statecore.log import Log, MemoryLog
from statecore.messages import Signal as Said
from statecore.replay import rebuild, turns_of, verify
from statecore.retention import erase
from statecore.signals import NotTaken, Taken
from statecore.sqlite import SqliteLog
from statecore.testing import given


@attrs.frozen
class Offer:
    item: str


@attrs.frozen
class Price:
    euros: int


@attrs.frozen
class Bid:
    euros: int


@attrs.frozen
class Standing:
    """What a bidder is told."""

    item: str
    best: int
    bids: int


@attrs.frozen
class Close:
    pass


@specialist("appraise", version="1", effect="pure")
async def appraise(offer: Offer) -> Price:
    await asyncio.sleep(0.02)
    return Price(len(offer.item))


def standing(offer: Offer, bid: Newest[Bid], bids: list[Bid]) -> Standing:
    if bid.euros == 13:
        raise ValueError("unlucky")
    return Standing(offer.item, max(each.euros for each in bids), len(bids))


def fair(bid: Bid) -> bool:
    return bid.euros > 0


class Auction(Workflow[Offer], version="1"):
    """Bids are answered with how things stand."""

    appraising = State(appraise, initial=True)
    open = State()
    sold = State(final=True)
    lost = State(final=True, outcome="failed")
    appraised = appraising.to(open, on=Completed[Price])
    bid = open.to(open, on=Signal[Bid], cond=fair, reply=standing)
    close = open.to(sold, on=Signal[Close])
    gave_up = any_state.to(lost, on=Failed)


async def events(log: Log, *kinds: type[Event]) -> list[Any]:
    return [event for turn in await turns_of(log, "r") for event in turn.events if isinstance(event, kinds)]


async def at_rest(engine: Engine) -> None:
    await engine.start(Auction, Offer("oak"), run="r")
    await engine.wait("r")


async def test_the_sender_is_told_what_the_transition_replies() -> None:
    """The reply is made of the payload and of what is recorded, and recorded itself."""
    async with Engine(MemoryLog(), [Auction]) as engine:
        await at_rest(engine)
        assert await engine.signal("r", Bid(5), by="ana") == Taken(("bid",), ("open",), Standing("oak", 5, 1))
        assert await engine.signal("r", Bid(3), by="bob") == Taken(("bid",), ("open",), Standing("oak", 5, 2))
        assert await engine.signal("r", Close()) == Taken(("close",), ("sold",))
        assert [e.reply.data for e in await events(engine.log, SignalTaken) if e.reply][1] == (
            b'{"item":"oak","best":5,"bids":2}'
        )
        assert await verify(engine.log, engine.registry) == []


async def test_the_sender_is_told_why_it_was_refused() -> None:
    """A signal that nothing waits for, that a condition turns down, or whose reply raises, moves nothing and says so."""
    async with Engine(MemoryLog(), [Auction]) as engine:
        await engine.start(Auction, Offer("oak"), run="r")
        assert await engine.signal("r", Bid(5)) == NotTaken("nothing waits for it in appraising")
        await engine.wait("r")
        assert await engine.signal("r", Bid(-1)) == NotTaken("nothing answers it when not fair")
        assert await engine.signal("r", Bid(13)) == NotTaken("Broken: what='standing', ValueError: unlucky")
        assert len(await events(engine.log, SignalRefused)) == 3
        await engine.signal("r", Close())
        assert await engine.signal("r", Close()) == NotTaken("nothing waits for it in completed")
        assert await verify(engine.log, engine.registry) == []


async def test_a_signal_is_taken_once_for_each_id() -> None:
    """Sent again under its id it is answered as it was then, also by another engine, and after the end of the run."""
    log = MemoryLog()
    first = Taken(("bid",), ("open",), Standing("oak", 5, 1))
    async with Engine(log, [Auction]) as engine:
        await at_rest(engine)
        said = await asyncio.gather(*(engine.signal("r", Bid(5), by="ana", id="b1") for _ in range(20)))
        assert said == [first] * 20
        assert await engine.signal("r", Bid(5), by="bob", id="b1") == Taken(("bid",), ("open",), Standing("oak", 5, 2))
        await engine.signal("r", Close())
        assert await engine.signal("r", Bid(5), by="ana", id="b1") == first
        with pytest.raises(BadInput, match="the signal 'b1' of ana was taken by r with another value"):
            await engine.signal("r", Bid(6), by="ana", id="b1")
        assert len(await events(log, SignalTaken)) == 3 and not await events(log, SignalRefused)


@attrs.frozen
class Hammer:
    """No transition waits for it."""

    blows: int = 3


async def test_a_signal_that_no_transition_names_is_refused_and_recorded() -> None:
    """Of a class that the workflow never heard of, of one that is no signal here, or of a name alone: each is in the log
    with its payload, is decided the same again, and uses up no id.
    """
    async with Engine(MemoryLog(), [Auction]) as engine:
        await at_rest(engine)
        why = NotTaken("Auction waits for no signal of this type, in no state: it knows Bid, Close")
        named = Payload("Knock", b'{"times":[2,3]}')
        unfit = Payload("Price", b'"not what the contract Price admits"')
        for value in (Hammer(), Price(3), named, unfit):
            assert await engine.signal("r", value, by="eve", id="b") == why
        refused = [event.value for event in await events(engine.log, SignalRefused)]
        assert [value.contract for value in refused] == ["Hammer", "Price", "Knock", "Price"]
        assert refused[0].data == b'{"blows":3}' and refused[2] == named
        assert await verify(engine.log, engine.registry) == []
        assert isinstance(await engine.signal("r", Bid(5), by="eve", id="b"), Taken)
        with pytest.raises(BadInput, match="was taken by r with another value"):
            await engine.signal("r", named, by="eve", id="b")
        with pytest.raises(BadInput, match="expected a signal, which is a value of an attrs class"):
            await engine.signal("r", "knock")
        with pytest.raises(BadInput, match="euros"):
            await engine.signal("r", Payload("Bid", b'{"pounds":5}'))
        told = await engine.signal("r", Payload("Bid", b'{"euros":7}'))
        assert told == Taken(("bid",), ("open",), Standing("oak", 7, 2))


async def test_a_signal_that_came_as_it_is_stored_is_taken_once_for_its_id() -> None:
    """Also by its name and JSON alone, or in another version: sent again, it is answered and not taken again."""
    async with Engine(MemoryLog(), [Auction]) as engine:
        await at_rest(engine)
        first = await engine.signal("r", Payload("Bid", b'{"euros":7}'), by="ana", id="b1")
        for again in (Payload("Bid", b'{"euros":7}'), Bid(7), BidInCents(700)):
            assert await engine.signal("r", again, by="ana", id="b1") == first
        with pytest.raises(BadInput, match="was taken by r with another value"):
            await engine.signal("r", Payload("Bid", b'{"euros":8}'), by="ana", id="b1")
        assert len(await events(engine.log, SignalTaken)) == 1


async def test_nothing_is_kept_of_names_that_are_none_here() -> None:
    """Senders may make them up for ever, also versions of a name that is known."""
    async with Engine(MemoryLog(), [Auction]) as engine:
        await at_rest(engine)
        kept = len(Auction.machine._readers)
        for number in range(2, 12):
            for name in (f"Knock{number}", f"Bid@{number}0"):
                assert isinstance(await engine.signal("r", Payload(name, b"{}")), NotTaken)
        assert len(Auction.machine._readers) == kept


@contract("Bid", version="2")
@attrs.frozen
class BidInCents:
    cents: int


@upcaster(Bid, "2")
def in_euros(stored: dict[str, Any]) -> dict[str, Any]:
    return {"euros": stored["cents"] // 100}


async def test_a_signal_of_another_version_is_read_as_the_one_that_is_known() -> None:
    """A sender may be ahead of the workflow, where an upcaster leads back to its version."""
    async with Engine(MemoryLog(), [Auction]) as engine:
        await at_rest(engine)
        assert await engine.signal("r", BidInCents(700)) == Taken(("bid",), ("open",), Standing("oak", 7, 1))
        [taken] = await events(engine.log, SignalTaken)
        assert taken.value == Payload("Bid", b'{"euros":7}')
        assert await verify(engine.log, engine.registry) == []


async def test_a_refused_signal_may_come_again() -> None:
    """An id is used up only by a signal that was taken."""
    async with Engine(MemoryLog(), [Auction]) as engine:
        await engine.start(Auction, Offer("oak"), run="r")
        assert isinstance(await engine.signal("r", Bid(5), by="ana", id="b"), NotTaken)
        await engine.wait("r")
        assert isinstance(await engine.signal("r", Bid(5), by="ana", id="b"), Taken)


async def test_an_id_outlives_the_process(tmp_path: Any) -> None:
    """The next process knows from the log what was taken; where the payloads were erased it says that."""
    async with await SqliteLog.open(tmp_path / "log.db") as log, Engine(log, [Auction]) as engine:
        await at_rest(engine)
        first = await engine.signal("r", Bid(5), by="ana", id="b")
        await engine.signal("r", Close())
    async with await SqliteLog.open(tmp_path / "log.db") as log, Engine(log, [Auction]) as engine:
        assert await engine.signal("r", Bid(5), by="ana", id="b") == first
        await erase(log, "r", 0.0, by="me", why="asked")
        with pytest.raises(NotPossible, match="its payloads were erased since"):
            await engine.signal("r", Bid(5), by="ana", id="b")


def test_a_decision_about_a_reply_needs_no_engine() -> None:
    """Given, when, then: the reply is in the event."""
    decided = given(Auction, Offer("oak"), Completed(Price(1))).when(Said(Bid(5), by="ana", id="b"))
    taken = decided.events[0]
    assert isinstance(taken, SignalTaken) and taken.reply is not None
    assert (taken.id, taken.reply.contract) == ("b", "Standing")
    assert (
        given(Auction, Offer("oak"), Completed(Price(1)), Said(Bid(5), by="a", id="b"))
        .when(Said(Bid(5), by="a", id="b"))
        .events
        == ()
    )


def body(reply: Any, on: Any = Signal[Bid]) -> Any:
    class Wrong(Workflow[Offer], version="1"):
        appraising = State(appraise, initial=True)
        open = State()
        sold = State(final=True)
        early = appraising.to(open, on=Signal[Close])
        appraised = appraising.to(open, on=Completed[Price])
        bid = open.to(sold, on=on, reply=reply)
        other = open.to(sold, on=Signal[Standing])
        gave_up = appraising.to(sold, on=Failed)

    return Wrong


def says_nothing(bid: Bid):  # type: ignore[no-untyped-def]
    return bid


def needs_a_price(price: Price) -> Standing:
    return Standing("", price.euros, 0)


async def waits(bid: Bid) -> Standing:
    return Standing("", 0, 0)


def test_a_reply_that_cannot_be_made_is_refused() -> None:
    """What a reply reads is there on every path, what it gives is a contract, and only a signal has a sender."""
    with pytest.raises(DefinitionError, match="reply `says_nothing` of `bid` returns nothing that it says"):
        body(says_nothing)
    with pytest.raises(
        DefinitionError, match="reply `needs_a_price` of `bid` needs `price: Price`, and this path gives"
    ):
        body(needs_a_price)
    with pytest.raises(DefinitionError, match="reply `waits` of `bid` is async"):
        body(waits)
    with pytest.raises(DefinitionError, match="reply= on Failed, which nobody sent"):
        body(standing, Failed)


async def test_a_reply_is_there_for_whoever_reads_the_log() -> None:
    """A run rebuilds with the ids that it has heard."""
    async with Engine(MemoryLog(), [Auction]) as engine:
        await at_rest(engine)
        await engine.signal("r", Bid(5), by="ana", id="b1")
        assert list((await rebuild(engine.log, "r")).heard) == [("ana", "b1")]
