"""What the simulated engine runs: workflows written by hand, workflows that are generated, and guards that are in a
mood.
"""

import types
from functools import cache
from random import Random
from typing import Any, ClassVar, Literal

import attrs

from statecore import Call, Completed, Compound, Done, Failed, Parallel, Signal, State, Workflow, any_state, specialist
from statecore.failures import OutcomeUnknown, Transient
from statecore.guard import Defer, Pass, Question, Refuse, Verdict
from statecore.ledger import Ledger
from tests.sim.world import Job, Piece, World

TIMEOUT = 6.0


class Here:
    """The world of the seed that is being simulated."""

    world: ClassVar[World]


@attrs.frozen
class Nudge: ...


def crew(name: str, effect: Any = "pure", *, sync: bool = False, reconcile: bool = False) -> Any:
    async def waits(job: Job, call: Call) -> Piece:
        return await Here.world.serve(call, effect)  # type: ignore[no-any-return]

    def blocks(job: Job, call: Call) -> Piece:
        return Here.world.serve_at_once(call, effect)  # type: ignore[no-any-return]

    async def ask(call: Call) -> Any:
        return await Here.world.reconcile(call)

    work: Any = blocks if sync else waits
    return specialist(name, "1", effect, fails=[Transient], reconcile=ask if reconcile else None)(work)


cut, saw = crew("cut"), crew("saw", sync=True)
glue, nail, screw = crew("glue", "idempotent"), crew("nail", "idempotent", sync=True), crew("screw", "idempotent")
sell, ship = crew("sell", "once", reconcile=True), crew("ship", "once", sync=True)
bill, send = crew("bill", "once"), crew("send", "once", sync=True, reconcile=True)
CREW = (cut, saw, glue, nail, screw, sell, ship, bill, send)


@attrs.frozen
class Moody:
    """Passes, refuses, fails, and lets wait for a time or for whatever moves next."""

    side: Literal["before", "after"] = "before"
    name: str = "moody"
    fails: tuple[Any, ...] = ()

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        world = Here.world
        if not world.faulty:
            return Pass()
        asked = (self.side, question.run, question.call, question.attempt)
        world.asked[asked] += 1
        share = world.draw("guard", *asked, world.asked[asked])
        if share < 0.03:
            return Refuse("in no mood")
        if share < 0.04:
            raise ValueError("the guard is broken")
        if share < 0.22 and self.side == "before":
            return Defer("not now", question.at + 5 * share if share < 0.10 else None)
        return Pass()


@attrs.frozen
class AtMost:
    """Lets so many calls fly at a time."""

    most: int
    name: str = "at_most"
    side: Literal["before", "after"] = "before"
    fails: tuple[Any, ...] = ()

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        return Pass() if ledger.running < self.most else Defer(f"{self.most} are in flight")


def even(piece: Piece) -> bool:
    return piece.made % 2 == 0


def job_of(start: Job, cutting: Piece) -> Job:
    return Job(f"{start.text} {cutting.made}")


class Line(Workflow[Job], version="1"):
    """Flat: attempts, a bounded loop, a hand-over, a fallback, an effect that the receiver can be asked about."""

    cutting = State(cut, initial=True, attempts=3, timeout=TIMEOUT, guards=[Moody("after")])
    gluing = State(nail, give=job_of, attempts=3, fallback=[glue], timeout=TIMEOUT, guards=[Moody()])
    selling = State(sell, timeout=TIMEOUT)
    sold = State(final=True)
    lost = State(final=True, outcome="failed")
    cut_well = cutting.to(gluing, on=Completed[Piece], cond=even)
    cut_again = cutting.to(cutting, on=Completed[Piece], at_most=2)
    glued = gluing.to(selling, on=Completed[Piece])
    paid = selling.to(sold, on=Completed[Piece])
    gave_up = any_state.to(lost, on=Failed)


class Twin(Workflow[Job], version="1"):
    """Nested: two regions side by side, entered once more on a failure, left together."""

    class both(Parallel, initial=True):
        class goods(Compound):
            sawing = State(saw, initial=True, attempts=2, timeout=TIMEOUT)
            shipping = State(ship, timeout=TIMEOUT, guards=[Moody()])
            out = State(final=True)
            sawn = sawing.to(shipping, on=Completed[Piece])
            shipped = shipping.to(out, on=Completed[Piece])

        class money(Compound):
            billing = State(bill, initial=True, fallback=[send], timeout=TIMEOUT)
            noting = State(screw, attempts=2, fallback=[glue], timeout=TIMEOUT, guards=[Moody()])
            paid = State(final=True)
            billed = billing.to(noting, on=Completed[Piece])
            noted = noting.to(paid, on=Completed[Piece])

    over = State(final=True)
    lost = State(final=True, outcome="failed")
    once_more = both.to(both, on=Failed[Transient], at_most=1)
    joined = both.to(over, on=Done)
    gave_up = any_state.to(lost, on=Failed)


class Told(Workflow[Job], version="1"):
    """Waits for a signal before and between, and has an answer to an unknown outcome."""

    waiting = State(initial=True)
    sending = State(send, timeout=TIMEOUT, guards=[Moody()])
    asking = State()
    fixing = State(nail, attempts=3, timeout=TIMEOUT)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    begin = waiting.to(sending, on=Signal[Nudge])
    sent = sending.to(asking, on=Completed[Piece])
    unknown = sending.to(fixing, on=Failed[OutcomeUnknown])
    told = asking.to(fixing, on=Signal[Nudge])
    fixed = fixing.to(done, on=Completed[Piece])
    gave_up = any_state.to(lost, on=Failed)


WRITTEN: tuple[Any, ...] = (Line, Twin, Told)
GENERATED = 16


@cache
def generated(number: int) -> Any:
    """A chain of two to five states with random specialists, attempts, fallbacks, guards and loops back."""
    chance = Random(f"workflow {number}")
    states = [_state(chance, first=n == 0) for n in range(chance.randint(2, 5))]
    body: dict[str, Any] = {f"s{n}": state for n, state in enumerate(states)}
    done, lost = State(final=True), State(final=True, outcome="failed")
    body |= {"done": done, "lost": lost}
    for n, state in enumerate(states):
        if chance.random() < 0.3:
            back = states[chance.randint(0, n)]
            body[f"back{n}"] = state.to(back, on=Completed[Piece], cond=even, at_most=chance.randint(1, 2))
        body[f"on{n}"] = state.to([*states, done][n + 1], on=Completed[Piece])
    body["gave_up"] = any_state.to(lost, on=Failed)
    return types.new_class(f"Generated{number}", (Workflow[Job],), {"version": "1"}, lambda names: names.update(body))


def _state(chance: Random, first: bool) -> State:
    does = chance.choice(CREW)
    options: dict[str, Any] = {"timeout": chance.choice((2.0, TIMEOUT))}
    if chance.random() < 0.4:
        options["fallback"] = [chance.choice([other for other in CREW if other is not does])]
    if all(each.effect != "once" for each in (does, *options.get("fallback", ()))):
        options["attempts"] = chance.randint(1, 3)
    if chance.random() < 0.4:
        options["guards"] = [Moody(chance.choice(("before", "after")))]
    return State(does, initial=first, **options)
