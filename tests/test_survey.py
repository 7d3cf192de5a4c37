"""What `check` promises of a workflow is what the decider does: every policy, and the worst case by trying all there is."""

import types
from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecore import (
    Completed,
    Failed,
    Failure,
    Newest,
    RateLimited,
    Signal,
    State,
    TimedOut,
    Transient,
    Unavailable,
    Workflow,
    any_state,
    specialist,
)
from statecore.call import Call, CallState
from statecore.decider import decide
from statecore.errors import DefinitionError
from statecore.events import CallFailed, CallStarted, CallUnknown, Event, Moved, state_of
from statecore.failures import Crashed, NotDone, OutcomeUnknown, Refused, Rejected
from statecore.guard import Pass, Refuse, Verdict
from statecore.hints import a, named
from statecore.messages import Elapsed, Input, Start
from statecore.run import Run, fold
from statecore.survey import TOO_MANY, Policy, policies, survey, worst_case
from statecore.testing.sample import sample
from statecore.workflow import Machine
from tests import charts
from tests.support import Draft, Receipt, Review, SupportTicket, Ticket, Triage, Untranslatable

# -- the worst case, by trying everything


@attrs.frozen
class Num:
    x: int = 0


@attrs.frozen
class Poke: ...


def odd(num: Num) -> bool:
    return num.x % 2 == 1


def newest(num: Newest[Num]) -> Num:
    return num


@specialist("count", version="1", effect="pure")
def count(num: Num) -> Num: ...  # type: ignore[empty-body]


@specialist("recount", version="1", effect="pure")
def recount(num: Num) -> Num: ...  # type: ignore[empty-body]


@specialist("tell", version="1")
def tell(num: Num) -> Num: ...  # type: ignore[empty-body]


@specialist("post", version="1", fails=[Unavailable])
def post(num: Num) -> Num: ...  # type: ignore[empty-body]


@specialist("store", version="1", effect="idempotent")
def store(num: Num) -> Num: ...  # type: ignore[empty-body]


@specialist("save", version="1", effect="idempotent", fails=[Unavailable])
def save(num: Num) -> Num: ...  # type: ignore[empty-body]


WORKS = ((count, 1), (count, 2), (count, 3), (tell, 1), (post, 1), (store, 1), (store, 2), (save, 1), (save, 3))


def small(random: Random) -> type[Workflow[Num]]:
    """A flat workflow of few states: loops with bounds, conditions, fallbacks, a signal. Raises DefinitionError."""
    names = [f"s{n}" for n in range(random.randint(1, 3))]
    body: dict[str, Any] = {}
    for name in names:
        fallback = [recount] if random.random() < 0.3 else []
        works, attempts = random.choice(WORKS)
        body[name] = State(
            works,
            give=newest,
            initial=name == "s0",
            attempts=attempts,
            fallback=fallback,
        )
    body["end"] = State(final=True)
    body["lost"] = State(final=True, outcome="failed")
    if random.random() < 0.4:
        body["held"] = State()
    places = [body[name] for name in (*names, "end", *(["held"] if "held" in body else []))]
    for n in range(random.randint(1, 4)):
        on = random.choice((Completed[Num], Completed[Num], Failed, Failed[TimedOut]))
        cond = odd if on is Completed[Num] and random.random() < 0.5 else None
        bound = random.choice((1, 2, 3, None))
        source = body[random.choice(names)]
        body[f"t{n}"] = source.to(random.choice(places), on=on, cond=cond, at_most=bound)
    if "held" in body:
        body["poked"] = body["held"].to(
            random.choice(places[:-1]), on=Signal[Poke], at_most=random.choice((None, 1, 2))
        )
    for name in names:
        body[f"{name}_on"] = body[name].to(random.choice(places[-2:]), on=Completed[Num])
    body["gave_up"] = any_state.to(body["lost"], on=Failed)
    return types.new_class("Small", (Workflow[Num],), {"version": "1"}, lambda space: space.update(body))


VARIANTS: dict[type, tuple[Any, ...]] = {
    Num: (Num(0), Num(1)),
    Triage: (Triage("bug", 0.9), Triage("bug", 0.1)),
    Draft: (Draft("short"), Draft("long enough")),
    Review: (Review(True, ""), Review(False, "")),
    Receipt: (Receipt("1"),),
    charts.Facts: (charts.Facts(("a",)),),
    Poke: (Poke(),),
    charts.Withdrawn: (charts.Withdrawn("urgent"), charts.Withdrawn("no")),
    charts.Resumed: (charts.Resumed("me"), charts.Resumed("")),
}
FAILURES = (
    TimedOut("late", 1.0),
    Crashed("E"),
    charts.Throttled("busy"),
    charts.Overloaded("busy"),
    Unavailable("gone"),
)


def tried(machine: Machine, value: Any) -> "Most":
    """The most calls per state, attempts per state, and calls altogether, over all runs that the decider lets happen."""
    once = {a.name for a in machine.chart.arrows if a.kind is Signal and not a.at_most}
    bounded = {a.name for a in machine.chart.arrows if a.at_most} | once
    known: dict[Any, tuple[Counter[str], Counter[str], int]] = {}

    def inputs(run: Run) -> list[Input]:
        found: list[Input] = [Elapsed(state=path, at=timer.due) for path, timer in run.timers.items()]
        for call in run.calls.values():
            if call.status is CallState.WAITING:
                found.append(Elapsed(call=call.id))
            elif call.kind == "person":
                giving = machine.chart.state(call.state).specialists[call.rank]
                found += [
                    Completed(v, call.id, by=(giving.who or ("me",))[0])
                    for given in giving.gives
                    for v in VARIANTS[given.cls]
                ]
            elif call.status is CallState.STARTED:
                giving = machine.chart.state(call.state).specialists[call.rank]
                found += [Completed(v, call.id) for given in giving.gives for v in VARIANTS[given.cls]]
                found += [Failed(f, call.id) for f in FAILURES if isinstance(f, giving.may_fail())]
            elif call.status is CallState.UNKNOWN:
                found.append(Failed(NotDone("no"), call.id, by="me"))
                giving = machine.chart.state(call.state).specialists[call.rank]
                found += [Completed(v, call.id, by="me") for given in giving.gives for v in VARIANTS[given.cls]]
        signals = {p for a in machine.chart.arrows if a.kind is Signal for p in a.payloads}
        return found + [Signal(v) for kind in signals for v in VARIANTS[kind]]

    def key(run: Run) -> Any:
        calls = [(c.state, c.rank, c.attempt, c.status, c.untouched) for c in run.calls.values()]
        return run.config, tuple(min(run.taken.get(name, 0), 9) for name in sorted(bounded)), tuple(sorted(calls))

    def made(run: Run, events: tuple[Event, ...]) -> tuple[Counter[str], Counter[str]]:
        starts = [event.call for event in events if isinstance(event, CallStarted)]
        return Counter(state_of(call) for call in starts if call not in run.calls), Counter(map(state_of, starts))

    def turns(run: Run, input: Input) -> list[tuple[Event, ...]]:
        refusing = _Refusing({machine.chart.state(node.path).specialists[0].id for node in machine.chart.working})
        return [decide(machine, run, input), decide(machine, run, input, refusing)]

    def most(run: Run) -> tuple[Counter[str], Counter[str], int]:
        if key(run) in known:
            return known[key(run)]
        best = Counter[str](), Counter[str](), 0
        for input in [] if run.outcome else inputs(run):
            for events in turns(run, input):
                again = {name for e in events if isinstance(e, Moved) for name in e.transitions if run.taken.get(name)}
                if (
                    any(isinstance(e, Moved | CallFailed | CallStarted | CallUnknown) for e in events)
                    and not once & again
                ):
                    best = larger(best, joined(made(run, events), most(fold(run, events, 0.0))))
        known[key(run)] = best
        return best

    run = Run(id="run")
    begun = turns(run, Start("run", value))
    return larger(*(joined(made(run, events), most(fold(run, events, 0.0))) for events in begun))


Most = tuple[Counter[str], Counter[str], int]


def joined(now: tuple[Counter[str], Counter[str]], later: Most) -> Most:
    return now[0] + later[0], now[1] + later[1], now[0].total() + later[2]


def larger(one: Most, other: Most) -> Most:
    return one[0] | other[0], one[1] | other[1], max(one[2], other[2])


@attrs.frozen
class _Refusing:
    """An engine whose guard lets some specialists do nothing."""

    named: set[str]

    def ask(self, side: str, own: Any, question: Any) -> tuple[str, Verdict]:
        return ("guard", Refuse("no")) if side == "before" and question().specialist in self.named else ("", Pass())

    def note(self, run: str, event: Event) -> None: ...


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_the_worst_case_is_the_most_that_any_run_does(seed: int) -> None:
    """Calls per state, attempts per state and calls on one path are those of trying every outcome at every place."""
    try:
        machine = small(Random(seed)).machine
    except DefinitionError:
        return
    worst = worst_case(machine.chart, machine.table)
    assert worst is not None
    calls, attempts, total = tried(machine, Num())
    assert worst.total == total
    assert Counter(worst.calls) == calls
    assert Counter(worst.attempts) == attempts


def test_most_small_workflows_are_good_enough_to_be_counted() -> None:
    """The property above would hold of nothing at all, too."""
    good = loops = signals = 0
    for seed in range(100):
        try:
            machine = small(Random(seed)).machine
        except DefinitionError:
            continue
        good += 1
        worst = worst_case(machine.chart, machine.table)
        loops += worst is not None and max(worst.calls.values()) > 1
        signals += any(letter.of is None for letter in machine.table.letters)
    assert good > 20 and loops > 10 and signals > 5


@pytest.mark.parametrize("workflow", [*charts.FLAT, charts.Shallow, charts.Scopes, charts.Settled, charts.Regions])
def test_no_run_of_a_larger_chart_exceeds_its_worst_case(workflow: type[Workflow[Ticket]]) -> None:
    """Regions, histories and Done included."""
    worst = worst_case(workflow.machine.chart, workflow.machine.table)
    assert worst is not None
    calls, attempts, total = tried(workflow.machine, Ticket("s", "b"))
    assert total <= worst.total
    assert calls <= Counter(worst.calls) and attempts <= Counter(worst.attempts)
    assert set(calls) == set(worst.calls)


def test_what_has_too_many_ways_is_not_counted() -> None:
    """It says so, instead of counting for an hour."""
    body: dict[str, Any] = {f"s{n}": State(count, give=newest, initial=n == 0) for n in range(8)}
    body |= {"end": State(final=True), "lost": State(final=True, outcome="failed")}
    for n in range(7):
        body[f"up{n}"] = body[f"s{n}"].to(body[f"s{n + 1}"], on=Completed[Num], cond=odd)
        body[f"down{n}"] = body[f"s{n + 1}"].to(body[f"s{n}"], on=Failed, at_most=9)
        body[f"out{n}"] = body[f"s{n}"].to(body["end"], on=Completed[Num])
    body["last"] = body["s7"].to(body["end"], on=Completed[Num])
    body["gave_up"] = any_state.to(body["lost"], on=Failed)
    machine = types.new_class("Wide", (Workflow[Num],), {"version": "1"}, lambda space: space.update(body)).machine
    found = survey(machine)
    assert found.worst is None and found.as_json()["worst_case"] is None
    assert f"  not counted: more than {TOO_MANY} ways through the bounds, or a workflow that calls itself" in list(
        found.lines()
    )


# -- policies, by asking the decider


@attrs.frozen
class Told:
    what: str


@attrs.frozen(auto_exc=False)
class Odd(Failure):
    why: str = ""


@specialist("ask", version="1", effect="pure", fails=[Unavailable, RateLimited, Odd])
def ask(num: Num) -> Told: ...  # type: ignore[empty-body]


@specialist("put", version="2", effect="idempotent", fails=[Unavailable, Odd])
def put(num: Num) -> Told: ...  # type: ignore[empty-body]


@specialist("send", version="3", fails=[Unavailable, Odd])
def send(num: Num) -> Told: ...  # type: ignore[empty-body]


class Many(Workflow[Num], version="1"):
    """Every effect, with and without attempts and fallbacks."""

    asking = State(ask, initial=True, attempts=3, fallback=[put])
    putting = State(put, attempts=2, fallback=[ask])
    keeping = State(put, fallback=[ask], give=newest)
    sending = State(send, fallback=[ask, put])
    checking = State(send)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    a = asking.to(putting, on=Completed[Told])
    b = putting.to(keeping, on=Completed[Told])
    c = keeping.to(sending, on=Completed[Told])
    d = sending.to(checking, on=Completed[Told])
    e = checking.to(done, on=Completed[Told])
    odd_one = asking.to(putting, on=Failed[Odd])
    unsure = checking.to(lost, on=Failed[OutcomeUnknown])
    gave_up = any_state.to(lost, on=Failed)


MADE = {
    TimedOut: TimedOut("late", 1.0),
    Rejected: Rejected("contract", ("x",)),
    Crashed: Crashed("E"),
    Odd: Odd("odd"),
    Unavailable: Unavailable("gone"),
    RateLimited: RateLimited("slow"),
    Transient: Transient("weak"),
    NotDone: NotDone("no"),
    OutcomeUnknown: OutcomeUnknown("cut"),
    Untranslatable: Untranslatable("no"),
}


def every_policy() -> list[Any]:
    found = [(workflow.machine, policy) for workflow in (Many, SupportTicket) for policy in policies(workflow.machine)]
    return [pytest.param(m, p, id=f"{p.state}-{p.specialist}-{p.failure}") for m, p in found]


@pytest.mark.parametrize(("machine", "policy"), every_policy())
def test_a_policy_is_what_the_decider_does(machine: Machine, policy: Policy) -> None:
    """Attempts until the last, then the fallback or the chart, for each failure of each specialist of each effect."""
    made = {type(f).__name__: f for f in MADE.values()}
    if policy.failure in ("Refused", "Broken", "LowConfidence"):
        return  # a guard's or a hand-over's, see below
    rank = [s.id for s in machine.chart.state(policy.state).specialists].index(policy.specialist)
    for touched in (False, True):
        for attempt in range(1, policy.attempts + 1):
            if touched and policy.attempts == 1:
                continue
            run = opened(machine, policy.state, rank, attempt, not touched)
            [call] = run.calls.values()
            failure = made[policy.failure]
            by = "me" if isinstance(failure, NotDone) else ""
            if by:
                run = attrs.evolve(run, calls={call.id: attrs.evolve(call, status=CallState.UNKNOWN)})
            events = decide(machine, run, Failed(failure, call.id, attempt, by=by))
            assert followed(events) == expected(policy, attempt, touched), policy


def opened(machine: Machine, path: str, rank: int, attempt: int, untouched: bool) -> Run:
    """A run in which one call is in flight, just so."""
    run = Run(id="run")
    run = fold(run, decide(machine, run, Start("run", Num() if machine is Many.machine else Ticket("s", "b"))), 0.0)
    config = next(config for config in machine.table.configs if path in config.states)
    specialist = machine.chart.state(path).specialists[rank]
    request = specialist.takes.pack(sample(specialist.takes.cls))
    named = (run.id, f"{path}#1", specialist.id, attempt, rank, specialist.effect)
    call = Call(*named, request, (0,), CallState.STARTED, 0.0, untouched=untouched)
    return attrs.evolve(run, config=config, calls={call.id: call})


def followed(events: tuple[Event, ...]) -> str:
    match events[0]:
        case CallFailed(again=again) if again is not None:
            return "again"
        case CallFailed(next=fallback) if fallback:
            return fallback
        case CallUnknown():
            return "parked"
    moved = next(event for event in events if isinstance(event, Moved))
    return f"{' + '.join(moved.transitions)} -> {' + '.join(moved.states)}"


def expected(policy: Policy, attempt: int, touched: bool) -> str:
    if attempt < policy.attempts:
        return "again"
    if policy.then and (policy.sure or not touched):
        return policy.then
    return policy.moves[0] if policy.moves else "parked"


def test_refusals_and_broken_hand_overs_follow_their_policies() -> None:
    """A guard before the call harmed nothing, so every fallback may be tried; a hand-over that raises has none."""
    found = {(p.state, p.specialist, p.failure): p for p in policies(Many.machine)}
    assert str(found["sending", "send@3", "Refused"]) == "reroute to ask@1"
    assert str(found["putting", "put@2", "Refused"]).startswith("reroute to ask@1")
    assert str(found["keeping", "put@2", "Broken"]) == "abandon by gave_up -> lost"
    assert ("keeping", "ask@1", "Broken") not in found
    assert str(found["asking", "ask@1", "TimedOut"]) == "retry, 3 attempts in all, then reroute to put@2"
    assert str(found["asking", "put@2", "Unavailable"]) == "retry, 3 attempts in all, then abandon by gave_up -> lost"
    assert str(found["sending", "send@3", "TimedOut"]) == "escalate: parked until somebody settles it"
    assert str(found["checking", "send@3", "TimedOut"]) == "abandon by unsure -> lost"


def test_check_tells_it_all_on_one_page() -> None:
    """States, transitions in the order in which they are asked, what follows failures, the worst case."""
    shown = "\n".join(survey(SupportTicket.machine).lines())
    assert "SupportTicket 2, takes Ticket" in shown
    assert "triaging               triage@3 (pure), 3 attempts, at most 600 s, guards confidence: finding out" in shown
    assert "redo                   reviewing -> drafting on Completed[Review], at most 3 times" in shown
    assert "sending                TimedOut, OutcomeUnknown: escalate: parked until somebody settles it" in shown
    assert "at most 10 calls on one path\n" in shown


def test_the_words_of_a_policy_are_retry_reroute_escalate_and_abandon() -> None:
    """In the order in which they happen; a state where only the world can move the run is an escalation."""

    @specialist("guess", version="1", effect="pure", fails=[Unavailable])
    async def guess(text: Num) -> Num:
        return text

    @specialist("guess_again", version="1", effect="pure")
    async def guess_again(text: Num) -> Num:
        return text

    class Guessing(Workflow[Num], version="1"):
        """Guess, or have somebody look."""

        guessing = State(guess, initial=True, attempts=2, fallback=[guess_again])
        checking = State(guess)
        stuck = State()
        done = State(final=True)
        lost = State(final=True, outcome="failed")

        guessed = (guessing | checking).to(done, on=Completed[Num])
        crashed = guessing.to(checking, on=Failed[Crashed])
        unclear = guessing.to(stuck, on=Failed[Refused])
        told = stuck.to(done, on=Signal[Num])
        gave_up = any_state.to(lost, on=Failed)

    found = {(p.specialist, p.failure): p.steps for p in policies(Guessing.machine) if p.state == "guessing"}
    assert found["guess@1", "Unavailable"] == ("retry", "reroute")
    assert found["guess_again@1", "Refused"] == ("escalate",)
    assert found["guess_again@1", "Crashed"] == ("reroute",)
    assert found["guess_again@1", "TimedOut"] == ("retry", "abandon")


def newest_of(num: Num) -> Num:
    return num


def test_more_than_seven_specialists_are_warned_of() -> None:
    """Seven is not too many, eight are."""

    def crowded(count: int) -> str:
        made = [specialist(f"work_{number}", version="1", effect="pure")(newest_of) for number in range(count)]
        states: dict[str, Any] = {f"s{n}": State(s, initial=not n, give=newest) for n, s in enumerate(made)}
        states |= {"done": State(final=True), "lost": State(final=True, outcome="failed")}
        chain = [*(states[f"s{n}"] for n in range(count)), states["done"]]
        states |= {f"t{n}": a.to(b, on=Completed[Num]) for n, (a, b) in enumerate(pairwise(chain))}
        states["gave_up"] = any_state.to(states["lost"], on=Failed)
        body = types.new_class("Crowded", (Workflow[Num],), {"version": "1"}, lambda ns: ns.update(states))
        return "\n".join(survey(body.machine).lines())

    assert "warning: 8 specialists in one workflow" in crowded(8)
    assert "warning" not in crowded(7)


def test_one_of_a_thing_is_told_as_one() -> None:
    """The sizes of a table, and what stands where something else was expected, in words that somebody would say."""

    class Waiting(Workflow[Ticket], version="1"):
        """Over at a word."""

        waiting = State(initial=True)
        over = State(final=True)
        heard = waiting.to(over, on=Signal[Draft])

    assert "  table: 2 configurations, 1 letter, 2 rows" in list(survey(Waiting.machine).lines())
    assert (named([]), named(()), a("Answer"), a("Draft")) == ("a list", "a tuple", "an Answer", "a Draft")
