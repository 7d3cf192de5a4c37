"""Events to bytes and back: exact, strict, and refusing what could not be read again."""

import json
from hashlib import sha256
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecore.codec import INLINE, MAX_BYTES, Codec, decode, encode
from statecore.errors import BadInput, Unreadable
from statecore.events import (
    CallCompleted,
    CallDeferred,
    CallFailed,
    Cancelled,
    Event,
    Finished,
    Moved,
    Payload,
    RunStarted,
    SignalTaken,
)
from statecore.upcast import Fields

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
payloads = st.builds(
    Payload,
    text,
    st.builds(
        lambda value, ascii: json.dumps(value, ensure_ascii=ascii, separators=(",", ":")).encode(),
        json_values,
        st.booleans(),
    ),
)
BY_HINT: dict[Any, st.SearchStrategy[Any]] = {
    str: text,
    float: st.floats(allow_nan=False, allow_infinity=False),
    float | None: st.none() | st.floats(allow_nan=False, allow_infinity=False),
    Payload: payloads,
    Payload | None: st.none() | payloads,
    tuple[str, ...]: st.lists(text, max_size=3).map(tuple),
    tuple[tuple[str, str], ...]: st.lists(st.tuples(text, text), max_size=3).map(tuple),
    tuple[tuple[str, bool], ...]: st.lists(st.tuples(text, st.booleans()), max_size=3).map(tuple),
    tuple[tuple[str, str], ...]: st.lists(st.tuples(text, text), max_size=3).map(tuple),
    tuple[tuple[str, tuple[str, ...]], ...]: st.lists(
        st.tuples(text, st.lists(text, max_size=3).map(tuple)), max_size=3
    ).map(tuple),
}


def events_of(event: type[Event]) -> st.SearchStrategy[Event]:
    hints = get_type_hints(event)
    return st.builds(event, **{name: BY_HINT.get(hint, st.from_type(hint)) for name, hint in hints.items()})


def read(events: Any, payloads: bytes | None = None) -> tuple[Event, ...]:
    return decode("run", 7, events if isinstance(events, bytes) else json.dumps(events).encode(), payloads)


@pytest.mark.parametrize("event", get_args(Event))
def test_every_event_comes_back(event: type[Event]) -> None:
    """Any event of the closed set, alone or among others, comes back equal, and its payloads byte for byte."""

    @settings(deadline=None)
    @given(st.lists(events_of(event) | st.just(Cancelled("x")), min_size=1, max_size=3))
    def check(events: list[Event]) -> None:
        back = decode("run", 1, *encode(events))
        assert back == tuple(events)
        assert repr(back) == repr(tuple(events))

    check()


def test_stored_events_read_like_what_happened() -> None:
    """The stored text is short JSON that an operator can read: name, version, and what differs from the default."""
    stored = encode([Moved(("sent",), ("done",)), CallCompleted("a#1", Payload("Draft@1", b'{"x": 1.0}'))])
    assert (
        stored[0]
        == b'[["Moved",1,{"transitions":["sent"],"states":["done"]}],["CallCompleted",1,{"call":"a#1","value":0}]]'
    )
    assert stored[1] == b'[["Draft@1",{"x": 1.0}]]'
    assert encode([Finished("completed")])[1] is None


def test_payload_bytes_are_never_written_anew() -> None:
    """Numbers, escapes, key order and inner white space of payloads come back as they were, and in order."""
    datas = [
        b'{"b":1.50,"a":1e2}',
        rb'"\u00e9\/"',
        '"\u00e9"'.encode(),
        b"[ 1 ]",
        b"-0.0",
        b"123456789012345678901234567890",
    ]
    back = decode("run", 1, *encode([CallCompleted("c", Payload(f"T{n}", data)) for n, data in enumerate(datas)]))
    assert [event.value for event in back if isinstance(event, CallCompleted)] == [
        Payload(f"T{n}", data) for n, data in enumerate(datas)
    ]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([["Exploded", 1, {}]], "'Exploded' is no event that this release knows"),
        ([["Payload", 1, {"contract": "x", "data": "eA=="}]], "'Payload' is no event"),
        ([["Finished", 1, {"outcome": "x"}], ["Moved", 2, {}]], "Moved has version 2, this release knows 1"),
        ([["Finished", 1, {}]], "missing required field `outcome`"),
        ([["Finished", 1, {"outcome": "x", "extra": 1}]], "unknown field `extra`"),
        ([["Finished", 1, {"outcome": "x"}, 1]], "length"),
        ([["Finished", 1, {"outcome": 3}]], "Expected `str`, got `int`"),
        ([["CallUnknown", 1, {"call": "a", "why": "b", "attempt": "3"}]], "Expected `int`, got `str`"),
        ([["CallUnknown", 1, {"call": "a", "why": "b", "attempt": 3.9}]], "Expected `int`, got `float`"),
        ([["CallUnknown", 1, {"call": "a", "why": None}]], "Expected `str`, got `null`"),
        ([["Moved", 1, {"transitions": [], "states": [], "asked": [["a", "false"]]}]], "Expected `bool`, got `str`"),
        ([["SignalTaken", 1, {"value": 0}]], "its payloads are missing"),
        ([["SignalTaken", 1, {"value": -1}]], ">= 0"),
        ([["SignalTaken", 1, {"value": {"contract": "x", "data": ""}}]], "Expected `int`"),
        (b"[[", "truncated"),
        (b'[["Finished",1,{"outcome":"\xff"}]]', "utf-8"),
        (b"\x00\x01", "malformed"),
        (b"{}", "Expected `array`"),
    ],
)
def test_what_is_not_known_is_unreadable(events: Any, why: str) -> None:
    """Unknown names, versions and fields, wrong types and broken bytes raise Unreadable with stream, version and
    reason.
    """
    with pytest.raises(Unreadable) as caught:
        read(events)
    assert (caught.value.stream, caught.value.version) == ("run", 7)
    assert why in caught.value.why


@pytest.mark.parametrize("payloads", [b"[]", b'[["x"]]', b'["x",1]', b"[[1,2]]", b'[["x",', b"null"])
def test_broken_payloads_are_unreadable(payloads: bytes) -> None:
    """Payloads that are fewer than the events say, or no pairs, raise Unreadable."""
    with pytest.raises(Unreadable):
        read([["SignalTaken", 1, {"value": 0}]], payloads)


@settings(deadline=None)
@given(st.binary(max_size=100), st.none() | st.binary(max_size=50))
def test_any_bytes_are_read_or_unreadable(events: bytes, payloads: bytes | None) -> None:
    """Whatever a damaged row holds, reading it raises Unreadable or nothing."""
    try:
        read(events, payloads)
    except Unreadable:
        return


def test_what_could_not_be_read_is_not_written() -> None:
    """A field of another type, a time that is no number, a value that is no event and a payload that is no JSON:
    BadInput.
    """
    refused: list[Any] = [
        Finished(1),  # type: ignore[arg-type]
        Moved(("a",), ("b",), asked=(("c", 1),)),  # type: ignore[arg-type]
        CallDeferred("a", "g", "w", wake=float("nan")),
        CallFailed("a", Payload("F", b"{}"), again=float("inf")),
        Finished("\ud800"),
        "Finished",
        Payload("x", b"{}"),
        *[
            CallCompleted("a", Payload("x", data))
            for data in (b"", b" 1", b"1 ", b"nan", b'1],["x",2', b"\xff", b'{"a":1')
        ],
    ]
    for event in refused:
        with pytest.raises(BadInput):
            encode([event])


def of(size: int) -> Payload:
    return Payload("Draft", b'"%b"' % (b"y" * (size - 2)))


def test_a_payload_has_at_most_8_mib() -> None:
    """A value of 8 MiB is stored, a byte more is refused before anything is parsed; so are events of more."""
    encode([CallCompleted("a", of(MAX_BYTES)), CallCompleted("b", of(MAX_BYTES))])
    with pytest.raises(BadInput, match=r"8,388,609 bytes"):
        encode([CallCompleted("a", of(MAX_BYTES + 1))])
    with pytest.raises(BadInput, match="events of"):
        encode([Cancelled("y" * MAX_BYTES)])


def test_a_large_payload_is_stored_aside_under_its_digest() -> None:
    """Up to 64 KiB a value is in the turn's text, a byte more leaves its digest there; both come back byte for byte."""
    events = (CallCompleted("a", of(INLINE)), CallCompleted("b", of(INLINE + 1)), CallCompleted("c", of(INLINE + 1)))
    text, payloads, asides = encode(events)
    assert payloads and len(payloads) < INLINE + 300 and len(asides) == 1
    assert {sha256(data).digest(): data for data in asides.values()} == dict(asides)
    assert decode("run", 3, text, payloads, asides) == events


@pytest.mark.parametrize(
    ("asides", "why"), [({}, "is missing"), ({sha256(of(INLINE + 1).data).digest(): b'"other"'}, "was changed")]
)
def test_what_is_stored_aside_is_checked(asides: dict[bytes, bytes], why: str) -> None:
    """A value that is gone from its place, or that does not have its digest, makes the turn unreadable."""
    text, payloads, _ = encode([CallCompleted("a", of(INLINE + 1))])
    with pytest.raises(Unreadable, match=f"a Draft that is stored aside {why}"):
        decode("run", 1, text, payloads, asides)


@pytest.mark.parametrize("data", [b" %b", b"%b ", b"%b,1", b"[%b", b"\xff%b", b'null,"%b"'])
def test_a_large_payload_is_json_as_well(data: bytes) -> None:
    """What is stored aside is held to the same: one JSON value and no white space around it."""
    with pytest.raises(BadInput):
        encode([CallCompleted("a", Payload("Draft", data % of(INLINE).data))])


def test_a_payload_cannot_pose_as_one_that_is_stored_aside() -> None:
    """The bytes of a value that spell a place aside are refused."""
    with pytest.raises(BadInput):
        encode([CallCompleted("a", Payload("Draft", b'null,"%b"' % (b"0" * 64)))])


# Upcasters


def marked(fields: Fields) -> Fields:
    """Version 1 of Finished as an imagined release had it, to today's."""
    return {"outcome": fields["how"].lower()}


RAISED = {("Finished", 1): lambda fields: {"how": fields["end"].upper()}, ("Finished", 2): marked}


def test_an_old_event_is_raised_to_the_newest_version() -> None:
    """Fields of each older version pass one upcaster after the other; new ones are written in the newest version."""
    codec = Codec(RAISED)
    for old in ("1,{'end':'completed'}", "2,{'how':'COMPLETED'}", "3,{'outcome':'completed'}"):
        text = f"[['Cancelled',1,{{'by':'me'}}],['Finished',{old}]]".replace("'", '"').encode()
        assert codec.decode("run", 2, text, None) == (Cancelled("me"), Finished("completed"))
    assert codec.encode([Finished("failed")])[0] == b'[["Finished",3,{"outcome":"failed"}]]'


def test_payloads_of_an_old_event_stay_at_their_places() -> None:
    """An upcaster passes a payload on as its number, and the value comes back byte for byte."""
    codec = Codec({("SignalTaken", 1): lambda fields: {"value": fields["payload"]}})
    text = b'[["SignalTaken",1,{"payload":1}]]'
    assert codec.decode("run", 1, text, b'[["A",1],["B",1.50]]') == (SignalTaken(Payload("B", b"1.50")),)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('["Finished",4,{"outcome":"x"}]', "Finished has version 4, this release knows 3"),
        ('["Finished",0,{"outcome":"x"}]', "Finished has version 0, this release knows 3"),
        ('["Finished",1,{"start":"x"}]', "Finished of version 1 cannot be read as version 2 (KeyError: 'end')"),
        ('["Finished",2,{"how":3}]', "Finished of version 2 cannot be read as version 3 (AttributeError"),
        ('["Finished",1,[]]', "Expected `object`, got `array`"),
        ('["Finished",1,{"end":"x"},3]', "Expected `array` of length 3"),
    ],
)
def test_what_no_upcaster_leads_on_is_unreadable(line: str, why: str) -> None:
    """A version that is newer than this release, and an upcaster that fails, make the turn unreadable and say so."""
    with pytest.raises(Unreadable) as caught:
        Codec(RAISED).decode("run", 1, f"[{line}]".encode(), None)
    assert why in caught.value.why


def test_deep_events_are_unreadable() -> None:
    """Text that is nested deeper than any reader goes is a damaged row like another."""
    with pytest.raises(Unreadable):
        read(b'[["Finished",1,{"outcome":%b%b}]]' % (b"[" * 100_000, b"]" * 100_000))


def test_names_only_select_among_events() -> None:
    """A stored name that is a class, a builtin or a path is as unknown as any other."""
    for name in ("Payload", "Exception", "os.system", "statecore.events.Moved", "__class__", ""):
        with pytest.raises(Unreadable, match="no event"):
            read(msgspec.json.encode([[name, 1, {}]]))


def test_a_run_begins_as_it_was_stored_on_the_first_day() -> None:
    """Stored text of this version must be read for ever; this is some of it."""
    back = read(
        b'[["RunStarted",1,{"workflow":"W","version":"2","fingerprint":"f","input":0,"tenant":"t"}]]',
        b'[["Ticket@1",{"a":1}]]',
    )
    assert back == (RunStarted("W", "2", "f", Payload("Ticket@1", b'{"a":1}'), tenant="t"),)
