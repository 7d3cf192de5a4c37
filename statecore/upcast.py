"""Old shapes of events to new ones, on reading. Pure. What is stored stays as it was written, and so does its chain.

A field that gets another meaning, or that is new and has no default, raises the version of its event. Write the
function that makes the new fields from the old, and register it under the version that it reads: that is what raises
the version. A payload is its number in `fields`; the function may move it and cannot look inside.

There are none yet: every event is as it was on the first day.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Fields = dict[str, Any]
Upcasters = Mapping[tuple[str, int], Callable[[Fields], Fields]]

UPCASTERS: Upcasters = {}
"""By name of the event and version of the fields that it takes; what it gives has the next version."""


def version_of(event: str, upcasters: Upcasters) -> int:
    """The version that an event is written in today: one above the last that has an upcaster."""
    version = 1
    while (event, version) in upcasters:
        version += 1
    return version


def upcast(events: bytes, upcasters: Upcasters) -> bytes:
    """The text of a turn with each event in its newest version.

    Raises MsgspecError where it is none, and ValueError where an upcaster fails.
    """
    return msgspec.json.encode([_newest(*line, upcasters) for line in msgspec.json.decode(events, type=_Lines)])


_Lines = list[tuple[str, int, Fields]]


def _newest(event: str, version: int, fields: Fields, upcasters: Upcasters) -> tuple[str, int, Fields]:
    while raising := upcasters.get((event, version)):
        try:
            fields, version = raising(fields), version + 1
        except Exception as fault:  # it meets what its author never saw
            said = f"{type(fault).__name__}: {fault}"
            raise ValueError(
                f"{event} of version {version} cannot be read as version {version + 1} ({said})"
            ) from fault
    return event, version, fields
