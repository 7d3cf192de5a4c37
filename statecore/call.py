"""One request to one specialist in one run, while it is open: what the fold keeps of it, and what its specialist is
told.
"""

import hashlib
from enum import StrEnum

import attrs

from statecore.events import Payload, part_of, state_of

Flight = tuple[str, int, int, int]
"""What makes one dispatch of a call another than the next: id, rank, attempt, cuts."""


class CallState(StrEnum):
    """Of an open call. `started`: in flight, or cut. `waiting`: its next attempt has a time. `deferred`: a guard holds
    it. `unknown`: parked until somebody settles it.
    """

    STARTED = "started"
    WAITING = "waiting"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"


@attrs.frozen
class Call:
    """`id` is `state#entry`: the n-th time that the state was entered; of a part of a plan, `state#entry/part`, and
    `type` is then the name of the specialist that was planned. `specialist` is name@version. `attempt` counts from 1
    for each specialist; `rank` is 0 for the state's own specialist and n for its n-th fallback. `faults`: why the last
    attempt was rejected. `untouched`: every attempt of this specialist that is over is known to have left the world as
    it was. `kind`: as in `CallStarted`. `since` and `wake`: seconds since the epoch; a person's deadline is the wake of
    the call.
    """

    run: str
    id: str
    specialist: str
    attempt: int
    rank: int
    effect: str
    request: Payload
    reads: tuple[int, ...]
    status: CallState
    since: float
    wake: float | None = None
    cuts: int = 0
    faults: tuple[str, ...] = ()
    why: str = ""
    untouched: bool = True
    kind: str = ""
    type: str = ""
    copied: bool = False
    home: str = attrs.field(default="", eq=False)
    """The directory of the log, told to the specialist at dispatch; "" where the log has none."""
    guard: str = ""
    """The name of the one that held it last, "" where none did."""
    renamed: str = ""
    """What its state is called since a migration; the id, and with it the key, stay as they were."""

    @property
    def state(self) -> str:
        return self.renamed or state_of(self.id)

    @property
    def child(self) -> str:
        """The run that does the work of this attempt, where a workflow does: a stream of its own for each attempt."""
        return child_of(self.run, self.id, self.rank, self.attempt)

    @property
    def flight(self) -> Flight:
        return self.id, self.rank, self.attempt, self.cuts

    @property
    def part(self) -> str:
        return part_of(self.id)

    @property
    def key(self) -> str:
        """The idempotency key: the same for all attempts of the call, in every process, and for no other call."""
        return key(self.run, self.id)


def child_of(run: str, call: str, rank: int, attempt: int) -> str:
    """`run/state#1`; with `~2` on the second attempt, and `~1.1` on the first one of the first fallback. A `~` in the name
    of a part is doubled, so that its child is no further attempt of another's.
    """
    again = f"~{rank}.{attempt}" if rank else f"~{attempt}" if attempt > 1 else ""
    return f"{run}/{call.replace('~', '~~')}{again}"


def key(run: str, call: str) -> str:
    """sha256 over run, state and entry, as 64 hex digits."""
    return hashlib.sha256(f"{run}\0{call}".encode()).hexdigest()
