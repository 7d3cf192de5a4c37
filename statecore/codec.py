"""Events to stored bytes and back.

A turn is stored as two JSON texts. Its events, each by name, version and the fields that differ from their default:
`[["Moved",1,{"transitions":["triaged"],"states":["drafting"]}], ...]`, where a `Payload` is the number of its place in
the second text. That has contract and value of each, `[["Ticket",{"subject":...}], ...]`, put together from their
bytes and taken apart into the same bytes; no value is ever written anew. So it can be erased and the first still says
what happened. A value of more than 64 KiB is stored aside, and its place has its digest: `["Ticket",null,"9f86d0..."]`.

Reading is strict: a name, version or field that is not known, not there or of another type makes the turn Unreadable.
An event of an older version is first made a new one by its upcasters. Names select among the classes of
`statecore.events` and nothing else: stored text imports and builds nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from hashlib import sha256
from math import isfinite
from operator import attrgetter, or_
from types import GenericAlias
from typing import Annotated, Any, Literal, Optional, get_args, get_type_hints

import attrs
import msgspec

from statecore.errors import BadInput, Unreadable
from statecore.events import ERASED, Event, Payload
from statecore.failures import printable
from statecore.upcast import UPCASTERS, Upcasters, upcast, version_of

INLINE = 64 * 1024
"""Bytes of a value up to which it is stored within its turn."""

MAX_BYTES = 8 * 1024 * 1024
"""Of one value, and of each text of a turn. More is handed over by reference."""

Asides = Mapping[bytes, bytes]
"""Values that are stored aside, by the SHA-256 of their bytes."""

NOTHING: Asides = {}

_Place = Annotated[int, msgspec.Meta(ge=0)]
_json = msgspec.json.Encoder()


@attrs.frozen
class _Shape:
    """How one class of event is stored. `fields` mirrors it for msgspec, numbers for payloads; `row` is its line."""

    event: type
    version: int
    values: Callable[[Event], tuple[Any, ...]]
    fields: type[msgspec.Struct]
    row: type[msgspec.Struct]
    payloads: tuple[int, ...]
    floats: tuple[int, ...]

    def write(self, event: Event, payloads: list[Payload]) -> msgspec.Struct:
        values: Any = self.values(event)
        for place in self.floats:
            if values[place] is not None and not isfinite(values[place]):
                raise BadInput(f"{self.event.__name__} holds the time {values[place]}: finite seconds are expected")
        for place in self.payloads:
            if values[place] is not None:
                payloads.append(values[place])
                values = (*values[:place], len(payloads) - 1, *values[place + 1 :])
        return self.row(self.version, self.fields(*values))

    def read(self, fields: msgspec.Struct, payloads: list[Payload]) -> Event:
        values = msgspec.structs.astuple(fields)
        if self.payloads:
            filled = list(values)
            for place in self.payloads:
                if filled[place] is not None:
                    filled[place] = payloads[filled[place]]
            return self.event(*filled)  # type: ignore[no-any-return]
        return self.event(*values)  # type: ignore[no-any-return]


def _shape(event: type, upcasters: Upcasters) -> _Shape:
    version = version_of(event.__name__, upcasters)
    hints = get_type_hints(event)
    names = tuple(hints)
    stored: dict[Any, Any] = {Payload: _Place, Payload | None: Optional[_Place]}  # noqa: UP045 - an Annotated has no `|`
    mirror = [
        (field.name, stored.get(hints[field.name], hints[field.name]), *_default(field))
        for field in attrs.fields(event)
    ]
    strict: dict[str, Any] = {"forbid_unknown_fields": True, "gc": False}
    fields = msgspec.defstruct(event.__name__, mirror, omit_defaults=True, **strict)
    line = [("version", Literal[version]), ("fields", fields)]
    row = msgspec.defstruct(event.__name__, line, tag=event.__name__, array_like=True, **strict)
    only = attrgetter(*names)
    return _Shape(
        event,
        version,
        only if len(names) > 1 else lambda event: (only(event),),
        fields,
        row,
        payloads=tuple(place for place, name in enumerate(names) if hints[name] in stored),
        floats=tuple(place for place, name in enumerate(names) if hints[name] in (float, float | None)),
    )


def _default(field: "attrs.Attribute[Any]") -> list[Any]:
    return [] if field.default is attrs.NOTHING else [field.default]


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """The place of a payload in the second text. `aside`: the digest of its value in hex, where it is stored aside."""

    contract: str
    value: msgspec.Raw
    aside: str = ""

    def payload(self, asides: Asides) -> Payload:
        """Raises ValueError where its value is not what it was."""
        if not self.aside:
            return Payload(self.contract, bytes(self.value))
        data = asides.get(bytes.fromhex(self.aside))
        if data is None:
            raise ValueError(f"a {self.contract} that is stored aside is missing")
        if sha256(data).hexdigest() != self.aside:
            raise ValueError(f"a {self.contract} that is stored aside was changed")
        return Payload(self.contract, data)


class _Erased(list[Payload]):
    def __getitem__(self, place: Any) -> Any:
        return ERASED


_stored = msgspec.json.Decoder(list[_Stored])
_value = msgspec.json.Decoder(msgspec.Raw)


class Codec:
    """Writes the newest version of each event, and reads what the upcasters lead to it."""

    def __init__(self, upcasters: Upcasters) -> None:
        self._upcasters = upcasters
        self._shapes: dict[type, _Shape] = {event: _shape(event, upcasters) for event in get_args(Event)}
        self._by_row: dict[type, _Shape] = {shape.row: shape for shape in self._shapes.values()}
        self._versions = {event.__name__: shape.version for event, shape in self._shapes.items()}
        self._events = msgspec.json.Decoder(GenericAlias(list, (reduce(or_, self._by_row),)))

    def encode(self, events: Iterable[Event]) -> tuple[bytes, bytes | None, Asides]:
        """The two texts of a turn, and what is stored aside; the second is None where no event carries a payload.

        What was written is read once more before it is given, so that nothing is stored that cannot be read, or reads
        as something else. Raises BadInput: a field of another type than its class says, text with NUL or a lone
        surrogate, a payload that is not one JSON value without white space around it, a value or a text of more than
        8 MiB.
        """
        payloads: list[Payload] = []
        events = tuple(events)
        try:
            rows = [self._shapes[type(event)].write(event, payloads) for event in events]
            text = _json.encode(rows)
            if self._events.decode(text) != rows:
                raise TypeError("it would be read back as another: give each field the type that its class says")
            if b"\\u0000" in text:
                _texts_that_can_be_kept(events)
        except KeyError as fault:
            known = ", ".join(sorted(self._versions))
            raise BadInput(f"{fault.args[0].__name__} is no event: one of {known} is expected") from None
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as fault:
            if isinstance(fault, BadInput):
                raise
            _texts_that_can_be_kept(events)
            raise BadInput(f"an event cannot be stored: {fault}") from fault
        _bounded("events", len(text))
        joined, asides = _join(payloads) if payloads else (None, NOTHING)
        return text, joined, asides

    def decode(
        self,
        stream: str,
        version: int,
        events: bytes,
        payloads: bytes | None,
        asides: Asides = NOTHING,
        *,
        erased: bool = False,
    ) -> tuple[Event, ...]:
        """The events of the turn after which `stream` is at `version`; where its payloads were erased, `ERASED` stands
        for each. Raises Unreadable with the reason.
        """
        values: Any = _Erased() if erased else []
        try:
            rows = self._rows(events)
            if payloads is not None:
                values = [stored.payload(asides) for stored in _stored.decode(payloads)]
            return tuple([self._by_row[type(row)].read(row.fields, values) for row in rows])
        except IndexError:
            why = "its payloads are missing" if payloads is None else f"it names a payload beyond its {len(values)}"
        except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
            why = self._why(events) or str(fault)
        raise Unreadable(stream, version, why)

    def _rows(self, events: bytes) -> list[Any]:
        try:
            return self._events.decode(events)  # type: ignore[no-any-return]
        except msgspec.ValidationError:
            return self._events.decode(upcast(events, self._upcasters))  # type: ignore[no-any-return]

    def _why(self, events: bytes) -> str:
        """The reason in the reader's words where it is a name or a version that only another release knows."""
        try:
            lines = msgspec.json.decode(events, type=list[tuple[str, int, Any]])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""
        for name, version, _ in lines:
            if name not in self._versions:
                return f"{name!r} is no event that this release knows: use the release that wrote it"
            known = self._versions[name]
            if not 1 <= version <= known:
                return f"{name} has version {version}, this release knows {known}: use the release that wrote it"
        return ""


def _texts_that_can_be_kept(events: Iterable[Event]) -> None:
    """Raises BadInput naming the first text that JSON or a database would lose."""
    for event in events:
        for field in attrs.fields(type(event)):
            for text in _texts(getattr(event, field.name)):
                if printable(text) != text:
                    raise BadInput(
                        f"{field.name} of {type(event).__name__}: expected text without NUL and lone surrogates,"
                        f" found {text[:60]!a}: leave them out"
                    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _texts(part)


def _join(payloads: list[Payload]) -> tuple[bytes, Asides]:
    asides: dict[bytes, bytes] = {}
    text = b"[%b]" % b",".join([_place(payload, asides) for payload in payloads])
    _bounded("payloads", len(text))
    try:
        back = [
            asides.get(bytes.fromhex(stored.aside)) if stored.aside else bytes(stored.value)
            for stored in _stored.decode(text)
        ]
        whole = all(bytes(_value.decode(data)) == data for data in asides.values())
    except (msgspec.MsgspecError, ValueError) as fault:
        raise BadInput(f"a payload is not JSON: {fault}: encode it with its contract") from None
    if not whole or back != [payload.data for payload in payloads]:
        raise BadInput("a payload is not one JSON value without white space around it: encode it with its contract")
    return text, asides


def _place(payload: Payload, asides: dict[bytes, bytes]) -> bytes:
    contract = _json.encode(payload.contract)
    if len(payload.data) <= INLINE:
        return b"[%b,%b]" % (contract, payload.data)
    _bounded("a payload", len(payload.data))
    digest = sha256(payload.data)
    asides[digest.digest()] = payload.data
    return b'[%b,null,"%b"]' % (contract, digest.hexdigest().encode())


def _bounded(what: str, size: int) -> None:
    if size > MAX_BYTES:
        raise BadInput(f"{what} of {size:,} bytes: at most {MAX_BYTES:,} are stored, hand over a reference to more")


_codec = Codec(UPCASTERS)
encode, decode = _codec.encode, _codec.decode
