"""Events to stored bytes and back. Pure.

A turn is stored as two JSON texts. Its events, each by name, version and the fields that differ from their default:
`[["Moved",1,{"transitions":["triaged"],"states":["drafting"]}], ...]`, where a `Payload` is the number of its place in
the second text. That has contract and value of each, `[["Ticket@1",{"subject":...}], ...]`, put together from their
bytes and taken apart into the same bytes; no value is ever written anew. So it can be erased and the first still says
what happened.

Reading is strict: a name, version or field that is not known, not there or of another type makes the turn Unreadable.
Names select among the classes of `statecore.events` and nothing else: stored text imports and builds nothing.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from math import isfinite
from operator import attrgetter, or_
from types import GenericAlias
from typing import Annotated, Any, Literal, Optional, get_args, get_type_hints

import attrs
import msgspec

from statecore.errors import BadInput, Unreadable
from statecore.events import Event, Payload

MAX_BYTES = 8 * 1024 * 1024
"""Of a turn's payloads, and of its events. More is handed over by reference."""

_VERSION = 1
_Place = Annotated[int, msgspec.Meta(ge=0)]
_json = msgspec.json.Encoder()


@attrs.frozen
class _Shape:
    """How one class of event is stored. `fields` mirrors it for msgspec, numbers for payloads; `row` is its line."""

    event: type
    values: Callable[[Event], tuple[Any, ...]]
    fields: type[msgspec.Struct]
    row: type[msgspec.Struct]
    payloads: tuple[int, ...]
    floats: tuple[int, ...]

    def write(self, event: Event, payloads: list[Payload]) -> msgspec.Struct:
        values = self.values(event)
        if self.payloads or self.floats:
            values = self._replace(values, payloads)
        return self.row(_VERSION, self.fields(*values))

    def _replace(self, values: tuple[Any, ...], payloads: list[Payload]) -> tuple[Any, ...]:
        replaced = list(values)
        for place in self.floats:
            if values[place] is not None and not isfinite(values[place]):
                raise BadInput(f"{self.event.__name__} holds the time {values[place]}: finite seconds are expected")
        for place in self.payloads:
            if values[place] is not None:
                replaced[place] = len(payloads)
                payloads.append(values[place])
        return tuple(replaced)

    def read(self, fields: msgspec.Struct, payloads: list[tuple[str, msgspec.Raw]]) -> Event:
        values = msgspec.structs.astuple(fields)
        if self.payloads:
            filled = list(values)
            for place in self.payloads:
                if filled[place] is not None:
                    contract, data = payloads[filled[place]]
                    filled[place] = Payload(contract, bytes(data))
            return self.event(*filled)  # type: ignore[no-any-return]
        return self.event(*values)  # type: ignore[no-any-return]


def _shape(event: type) -> _Shape:
    hints = get_type_hints(event)
    names = tuple(hints)
    stored: dict[Any, Any] = {Payload: _Place, Payload | None: Optional[_Place]}  # noqa: UP045 - an Annotated has no `|`
    mirror = [
        (field.name, stored.get(hints[field.name], hints[field.name]), *_default(field))
        for field in attrs.fields(event)
    ]
    strict: dict[str, Any] = {"forbid_unknown_fields": True, "gc": False}
    fields = msgspec.defstruct(event.__name__, mirror, omit_defaults=True, **strict)
    line = [("version", Literal[_VERSION]), ("fields", fields)]
    row = msgspec.defstruct(event.__name__, line, tag=event.__name__, array_like=True, **strict)
    only = attrgetter(*names)
    return _Shape(
        event,
        only if len(names) > 1 else lambda event: (only(event),),
        fields,
        row,
        payloads=tuple(place for place, name in enumerate(names) if hints[name] in stored),
        floats=tuple(place for place, name in enumerate(names) if hints[name] in (float, float | None)),
    )


def _default(field: "attrs.Attribute[Any]") -> list[Any]:
    return [] if field.default is attrs.NOTHING else [field.default]


_SHAPES: dict[type, _Shape] = {event: _shape(event) for event in get_args(Event)}
_BY_ROW: dict[type, _Shape] = {shape.row: shape for shape in _SHAPES.values()}
_NAMES = {event.__name__ for event in _SHAPES}
_events = msgspec.json.Decoder(GenericAlias(list, (reduce(or_, _BY_ROW),)))
_payloads = msgspec.json.Decoder(list[tuple[str, msgspec.Raw]])


def encode(events: Iterable[Event]) -> tuple[bytes, bytes | None]:
    """The two texts of a turn; the second is None where no event carries a payload.

    What was written is read once more before it is given, so that nothing is stored that cannot be read. Raises
    BadInput: a field of another type than its class says, a payload that is not one JSON value without white space
    around it, a text of more than 8 MiB.
    """
    payloads: list[Payload] = []
    try:
        text = _json.encode([_SHAPES[type(event)].write(event, payloads) for event in events])
        _events.decode(text)
    except KeyError as fault:
        known = ", ".join(sorted(_NAMES))
        raise BadInput(f"{fault.args[0].__name__} is no event: one of {known} is expected") from None
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as fault:
        raise fault if isinstance(fault, BadInput) else BadInput(f"an event cannot be stored: {fault}") from fault
    _bounded("events", len(text))
    return text, _join(payloads) if payloads else None


def _join(payloads: list[Payload]) -> bytes:
    pairs = [b"[%b,%b]" % (_json.encode(payload.contract), payload.data) for payload in payloads]
    text = b"[%b]" % b",".join(pairs)
    _bounded("payloads", len(text))
    try:
        back = [bytes(data) for _, data in _payloads.decode(text)]
    except msgspec.MsgspecError as fault:
        raise BadInput(f"a payload is not JSON: {fault}: encode it with its contract") from None
    if back != [payload.data for payload in payloads]:
        raise BadInput("a payload is not one JSON value without white space around it: encode it with its contract")
    return text


def _bounded(what: str, size: int) -> None:
    if size > MAX_BYTES:
        raise BadInput(f"a turn's {what} take {size:,} bytes, at most {MAX_BYTES:,} are stored: hand over a reference")


def decode(stream: str, version: int, events: bytes, payloads: bytes | None) -> tuple[Event, ...]:
    """The events of the turn after which `stream` is at `version`. Raises Unreadable with the reason."""
    values: list[tuple[str, msgspec.Raw]] = []
    try:
        rows = _events.decode(events)
        values = [] if payloads is None else _payloads.decode(payloads)
        return tuple([_BY_ROW[type(row)].read(row.fields, values) for row in rows])
    except IndexError:
        why = "its payloads are missing" if payloads is None else f"it names a payload beyond its {len(values)}"
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        why = _why(events) or str(fault)
    raise Unreadable(stream, version, why)


def _why(events: bytes) -> str:
    """The reason in the reader's words where it is a name or a version that only another release knows."""
    try:
        lines = msgspec.json.decode(events, type=list[tuple[str, int, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    for name, version, _ in lines:
        if name not in _NAMES:
            return f"{name!r} is no event that this release knows: use the release that wrote it"
        if version != _VERSION:
            return f"{name} has version {version}, this release knows {_VERSION}: use the release that wrote it"
    return ""
