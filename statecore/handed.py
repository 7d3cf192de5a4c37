"""Every hand-over of a run: who gave what to whom, on which contract. A projection of its turns."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from statecore.events import CallAsked, CallPlanned, CallStarted, Payload, Turn
from statecore.handover import SIGNAL, START
from statecore.present import plain
from statecore.run import Run
from statecore.trail import Value
from statecore.versions import full
from statecore.wording import clock, summary, visible

DIGEST = 12
"""Hex digits of a digest that a line shows."""


@attrs.frozen
class Source:
    """One value that a request was made of. `by`: the state that gave it, with the part of its plan; `start` or `signal`
    for the world.
    """

    by: str
    specialist: str
    contract: str
    fallback: bool
    warnings: tuple[str, ...]
    trusted: str

    def __str__(self) -> str:
        who = {START: "the input", SIGNAL: "a signal"}.get(self.by) or f"{self.by} ({self.specialist or 'failed'})"
        marks = [*(["by the fallback"] if self.fallback else []), *(f"warned: {warning}" for warning in self.warnings)]
        return f"{who} {full(self.contract)}" + (f" [{'; '.join(marks)}]" if marks else "")


@attrs.frozen
class Message:
    """A request as one specialist was handed it. `at`: seconds since the epoch. `sources`: what it was made of."""

    at: float
    call: str
    to: str
    sources: tuple[Source, ...]
    request: Payload

    @property
    def digest(self) -> str:
        """sha256 of the stored bytes, in hex."""
        return hashlib.sha256(self.request.data).hexdigest()

    def lines(self) -> Iterator[str]:
        size = f"{len(self.request.data):,} bytes, sha256 {self.digest[:DIGEST]}"
        yield visible(f"{clock(self.at)}  {self.call} -> {self.to}  {full(self.request.contract)}, {size}")
        yield visible(f"{'':>14}from {', '.join(map(str, self.sources)) or 'nothing recorded'}")
        yield f"{'':>14}{summary(self.request)}"

    def as_json(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "call": self.call,
            "to": self.to,
            "from": [{**attrs.asdict(source), "contract": full(source.contract)} for source in self.sources],
            "bytes": len(self.request.data),
            "sha256": self.digest,
            "request": {**plain(self.request), "contract": full(self.request.contract)},
        }


def handed(run: Run, turns: Iterable[Turn]) -> Iterator[Message]:
    """The hand-overs of a run, in order: one for each specialist that a call went to, whatever its attempts."""
    seen: set[tuple[str, int]] = set()
    requests: dict[str, tuple[tuple[int, ...], Payload]] = {}
    for turn in turns:
        for event in turn.events:
            if isinstance(event, CallPlanned) and event.request is not None:
                requests[event.call] = (), event.request
            if isinstance(event, CallStarted | CallAsked) and (event.call, event.rank) not in seen:
                seen.add((event.call, event.rank))
                reads, request = _request(event, run.values, requests)
                requests[event.call] = reads, request
                sources = tuple(_source(run.values[id]) for id in reads)
                yield Message(turn.at, event.call, event.specialist, sources, request)


def _request(
    event: CallStarted | CallAsked, values: Sequence[Value], before: dict[str, tuple[tuple[int, ...], Payload]]
) -> tuple[tuple[int, ...], Payload]:
    """What an event leaves out stayed what it was or was planned, or is the value that was read, handed over as it is."""
    if (known := before.get(event.call)) is not None:
        return event.reads or known[0], event.request or known[1]
    return event.reads, event.request or values[event.reads[0]].payload


def _source(value: Value) -> Source:
    by = f"{value.by}/{value.part}" if value.part else value.by
    made_of = "the plan" if value.reads else ""
    return Source(
        by, value.specialist or made_of, value.payload.contract, value.fallback, value.warnings, value.trusted
    )
