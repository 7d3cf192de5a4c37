"""What was decided: a closed set of past-tense values, the only thing that is stored.

A turn of a run is a tuple of these, appended together. The turn carries the time, so no event does. A `Payload` crosses
as the bytes it is stored as; nothing in the fold of a run looks inside one, which is why a run whose classes are gone
still rebuilds.

Adding a field: give it a default. Changing what a field means: raise the version and register an upcaster.
"""

from typing import Any

import attrs


def state_of(call: str) -> str:
    """The state whose work a call is, or a plan: `state#entry`, `state#entry/part`."""
    return call.rpartition("#")[0]


def plan_of(call: str) -> str:
    """The plan that a call belongs to, as `state#entry`; the call itself where it belongs to none."""
    state, mark, rest = call.rpartition("#")
    return f"{state}{mark}{rest.partition('/')[0]}"


def part_of(call: str) -> str:
    """The part of a plan that a call is; "" where it is none. `state#entry/part`."""
    return call.rpartition("#")[2].partition("/")[2]


@attrs.frozen
class Payload:
    """A value of a contract: its name and its canonical JSON. `live` is the same value as an object, where it is at
    hand.
    """

    contract: str
    data: bytes
    live: Any = attrs.field(default=None, eq=False, repr=False)


ERASED = Payload("(erased)", b"null")
"""What stands where a payload was that somebody erased. No class has such a name."""


@attrs.frozen
class RunStarted:
    """`fingerprint`: of the table, policies and contracts that the run is pinned to. `root`: the run whose spend it
    counts to. `trusted`: the rule by which its input is, "" where it is not. `parent`: the run whose call it does, ""
    where nobody called it; `depth`: how many are above it.
    """

    workflow: str
    version: str
    fingerprint: str
    input: Payload
    tenant: str = ""
    root: str = ""
    trusted: str = ""
    parent: str = ""
    depth: int = 0


@attrs.frozen
class Moved:
    """Transitions taken together, the conditions and bounds asked on the way, and the answers that decided.

    `states`: the configuration after the move, in declaration order. `history`: what each history state remembers.
    `of`: the state whose outcome it answers. `instead`: the failure that took the outcome's place (Exhausted, Broken).
    """

    transitions: tuple[str, ...]
    states: tuple[str, ...]
    left: tuple[str, ...] = ()
    entered: tuple[str, ...] = ()
    asked: tuple[tuple[str, bool], ...] = ()
    history: tuple[tuple[str, tuple[str, ...]], ...] = ()
    of: str = ""
    instead: Payload | None = None


@attrs.frozen
class CallStarted:
    """An attempt of a call was authorised; what follows the commit is its dispatch.

    `specialist`: name@version. `rank`: 0 for the state's own, n for its n-th fallback. `reads`: ids of the values that
    the hand-over read. `request`: None where the value `reads[0]` is handed over as it is; on a later attempt both are
    left out and stay what they were. `cuts`: how often a crash cut this attempt. `kind`: person or workflow where the
    work is not a function of this process. `due`: by when a person is expected to answer.
    """

    call: str
    specialist: str
    attempt: int = 1
    rank: int = 0
    effect: str = "once"
    reads: tuple[int, ...] = ()
    request: Payload | None = None
    cuts: int = 0
    kind: str = ""
    due: float | None = None


@attrs.frozen
class CallAsked:
    """A call is due that a guard does not let start yet; the fields are those of `CallStarted`."""

    call: str
    specialist: str
    attempt: int = 1
    rank: int = 0
    effect: str = "once"
    reads: tuple[int, ...] = ()
    request: Payload | None = None
    cuts: int = 0
    kind: str = ""
    due: float | None = None


@attrs.frozen
class CallDeferred:
    """`wake`: when admission is asked again, in seconds since the epoch; None: when something else moves."""

    call: str
    guard: str
    why: str
    wake: float | None = None


@attrs.frozen
class CallRefused:
    """A guard would not let the call start. `failure`: what the chart is given for it. `next`: the fallback that is
    tried instead.
    """

    call: str
    guard: str
    why: str
    failure: Payload
    next: str = ""


@attrs.frozen
class CallCompleted:
    """`by` and `why` are set where a person answered or settled the call. Of a call to a person, without `by`: its
    deadline passed, and the answer is the declared one. `trusted`: the rule by which the value is, "" where it is not.
    """

    call: str
    value: Payload
    attempt: int = 1
    by: str = ""
    why: str = ""
    warnings: tuple[str, ...] = ()
    trusted: str = ""


@attrs.frozen
class CallFailed:
    """`again`: when the next attempt is due (None: there is none, the chart is asked). `next`: the specialist that it
    goes to.

    `output`: what was rejected, where something was. `detail`: the traceback. `untouched`: the failure proves that this
    attempt left the world as it was.
    """

    call: str
    failure: Payload
    attempt: int = 1
    again: float | None = None
    next: str = ""
    output: Payload | None = None
    by: str = ""
    why: str = ""
    detail: str = ""
    untouched: bool = False


@attrs.frozen
class CallUnknown:
    """The outcome cannot be known from here, and the call is not repeated: the run is parked until it is settled."""

    call: str
    why: str
    attempt: int = 1


@attrs.frozen
class CallLate:
    """An outcome of a call that is not open, or of an attempt that is over: recorded, and nothing fires."""

    call: str
    kind: str
    value: Payload
    attempt: int = 0


@attrs.frozen
class Planned:
    """A plan was made: its `parts`, so many, follow in the same turn. `call`: the plan, as `state#entry`.

    `width`: how many of its calls are open at once. `on_failure`: what follows when one has failed for good. `reads`:
    ids of the values that it was made of.
    """

    call: str
    parts: int
    width: int
    on_failure: str = "stop"
    reads: tuple[int, ...] = ()


@attrs.frozen
class TimerSet:
    """`state` (`start`: the run) was entered, and `due` is when its wait is over or its deadline passes, in seconds since
    the epoch. `reads`: ids of the values that the function read which said so.
    """

    state: str
    due: float
    reads: tuple[int, ...] = ()


@attrs.frozen
class CallPlanned:
    """A part of a plan: a call that starts when those it waits for are done.

    `call`: `state#entry/part`. `type`: the name of its specialist. `after`: ids of the parts that it waits for.
    `request`: None where it is made when the call starts. `expects`: seconds, for the schedule. `needed`: the plan
    fails without it. `answers`: the key of the question that several parts answer. `says`: what it is for.
    """

    call: str
    type: str
    after: tuple[str, ...] = ()
    request: Payload | None = None
    expects: float = 1.0
    needed: bool = False
    answers: str = ""
    says: str = ""

    @property
    def part(self) -> str:
        return part_of(self.call)


@attrs.frozen
class ConflictSettled:
    """Answers to one key differed. `rule`: what decided. `chosen`: the part whose answer stands, among `parts`."""

    call: str
    key: str
    rule: str
    chosen: str
    parts: tuple[str, ...]


@attrs.frozen
class Assembled:
    """A plan is over, and this was made of its results: the outcome of the state.

    `missing`: its parts without a result, each with the reason. `reads`: ids of the values that it was made of.
    `trusted`: the rule by which it is, "" where it is not. `warnings`: those of the results that it was made of, each
    with its part; `fallback`: one of them was given by a fallback.
    """

    call: str
    value: Payload
    missing: tuple[tuple[str, str], ...] = ()
    reads: tuple[int, ...] = ()
    trusted: str = ""
    warnings: tuple[str, ...] = ()
    fallback: bool = False


@attrs.frozen
class TimerFired:
    """The time of `state` is over."""

    state: str


@attrs.frozen
class SignalTaken:
    """`id`: by which its sender knows it; one of an id that was taken is not taken again. `reply`: what the sender is
    told.
    """

    value: Payload
    by: str = ""
    id: str = ""
    reply: Payload | None = None


@attrs.frozen
class SignalRefused:
    value: Payload
    why: str
    by: str = ""
    id: str = ""


@attrs.frozen
class Cancelled:
    by: str = ""
    why: str = ""


@attrs.frozen
class Finished:
    """`outcome`: completed, failed, partial or cancelled."""

    outcome: str


@attrs.frozen
class ForkedFrom:
    """Everything before it was copied from the first `at` events of `run`, whose own they are. From here on it is a run
    of its own, and nobody's child. Calls that were in flight there and may have changed the world are parked.
    """

    run: str
    at: int
    by: str = ""
    why: str = ""


@attrs.frozen
class Migrated:
    """The run goes on with another declaration. `before`: the fingerprint that it was pinned to until then. `states`,
    `history`: its configuration there. `renamed`: states of the old declaration with what they are called in the new.
    """

    by: str
    why: str
    before: str
    workflow: str
    version: str
    fingerprint: str
    states: tuple[str, ...]
    history: tuple[tuple[str, tuple[str, ...]], ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Erased:
    """The payloads of every turn before this one left the log. What happened, and the digests, are still there."""

    by: str
    why: str


@attrs.frozen
class Purged:
    """A finished run left the log, but for this. `head`: the last digest of its chain, in hex."""

    run: str
    outcome: str
    events: int
    head: str
    by: str
    why: str


@attrs.frozen
class Switched:
    """A specialist, by its name without version, was taken out of rotation, or put back."""

    specialist: str
    on: bool
    by: str
    why: str


Event = (
    RunStarted | Moved | CallStarted | CallAsked | CallDeferred | CallRefused | CallCompleted | CallFailed | CallUnknown | CallLate
    | Planned | CallPlanned | ConflictSettled | Assembled
    | TimerSet | TimerFired | SignalTaken | SignalRefused | Cancelled | Finished
    | Migrated | ForkedFrom | Erased | Purged | Switched
)  # fmt: skip
"""The closed set of events."""


@attrs.frozen
class Turn:
    """One stored row. `version`: of the stream after it. `position`: in the whole log. `head`: the chain's digest after
    it.

    `unreadable`: why its events could not be decoded and are (). Only `follow` and `read_many` give such a turn, since
    a reader of many streams must get past it; `read` raises.
    """

    stream: str
    version: int
    at: float
    cause: str
    events: tuple[Event, ...]
    position: int = 0
    head: bytes = attrs.field(default=b"", repr=False)
    unreadable: str = ""
