"""Workflows that a table must get right: regions, nesting, history, Done, signals, bounds, ancestry of failures."""

from datetime import UTC, datetime, timedelta

import attrs

from statecore import (
    Completed,
    Compound,
    Done,
    Elapsed,
    Failed,
    History,
    Newest,
    Parallel,
    Person,
    State,
    Transient,
    Wait,
    Workflow,
    any_state,
    specialist,
)
from statecore.messages import Signal
from tests.support import (
    Draft,
    Receipt,
    Review,
    Ticket,
    Triage,
    approved,
    confident,
    critic,
    triage,
)


@attrs.frozen
class Withdrawn:
    why: str


@attrs.frozen
class Resumed:
    by: str


@attrs.frozen
class Facts:
    known: tuple[str, ...]


@attrs.frozen
class Both:
    triage: Triage
    draft: Draft


@attrs.frozen(auto_exc=False)
class Overloaded(Transient): ...


@attrs.frozen(auto_exc=False)
class Throttled(Overloaded): ...


@specialist("write_plain", version="1", effect="pure", fails=[Throttled, Overloaded])
async def write_plain(ticket: Ticket) -> Draft:
    return Draft(ticket.body)


@specialist("polish", version="1", effect="pure", fails=[Throttled])
async def polish(draft: Draft) -> Draft:
    return Draft(draft.text.strip())


@specialist("look_up", version="1", effect="pure")
async def look_up(ticket: Ticket) -> Facts:
    return Facts((ticket.subject,))


@specialist("join", version="1", effect="pure")
async def join(both: Both) -> Review:
    return Review(both.triage.confidence > 0, both.draft.text)


@specialist("file_away", version="1", effect="idempotent")
async def file_away(facts: Facts) -> Receipt:
    return Receipt(str(len(facts.known)))


def both_of(triage: Triage, draft: Newest[Draft]) -> Both:
    return Both(triage, draft)


def newest_draft(draft: Newest[Draft]) -> Draft:
    return draft


def urgent(withdrawn: Withdrawn) -> bool:
    return withdrawn.why == "urgent"


def long(draft: Draft) -> bool:
    return len(draft.text) > 5


class Regions(Workflow[Ticket], version="1"):
    """Two regions with a deep history beside them, left early by signals and failures, joined on Done."""

    idle = State(triage, initial=True)

    class both(Parallel):
        class left(Compound):
            reading = State(triage, initial=True)
            read = State(final=True)
            read_ok = reading.to(read, on=Completed[Triage], cond=confident)
            read_again = reading.to(reading, on=Completed[Triage], at_most=2)

        class right(Compound):
            writing = State(write_plain, initial=True)
            polishing = State(polish)
            written = State(final=True)
            wrote = writing.to(polishing, on=Completed[Draft], cond=long)
            short = writing.to(written, on=Completed[Draft])
            polished = polishing.to(written, on=Completed[Draft])

        where = History(deep=True)

    held = State()
    joining = State(join, give=both_of)
    over = State(final=True)
    dropped = State(final=True, outcome="failed")

    begin = idle.to(both, on=Completed[Triage], cond=confident)
    no = idle.to(dropped, on=Completed[Triage])
    park = both.to(held, on=Failed[Transient], at_most=2)
    hurry = both.to(dropped, on=Signal[Withdrawn], cond=urgent)
    hold = both.to(held, on=Signal[Withdrawn])
    back = held.to(both.where, on=Signal[Resumed], cond=lambda resumed: resumed.by != "")
    afresh = held.to(both, on=Signal[Resumed])
    joined = both.to(joining, on=Done)
    done = joining.to(over, on=Completed[Review])
    gave_up = any_state.to(dropped, on=Failed)


class Shallow(Workflow[Ticket], version="1"):
    """A compound in a compound, entered through a shallow history that at first has nothing to remember."""

    class work(Compound):
        sorting = State(triage, initial=True)

        class writing(Compound):
            rough = State(write_plain, initial=True)
            fine = State(polish, give=newest_draft)
            written = State(final=True)
            wrote = rough.to(fine, on=Completed[Draft])
            polished = fine.to(written, on=Completed[Draft])

        checking = State(critic)
        checked = State(final=True)
        was = History()
        sorted_out = sorting.to(writing, on=Completed[Triage])
        ready = writing.to(checking, on=Done)
        fit = checking.to(checked, on=Completed[Review], cond=approved)
        unfit = checking.to(writing.fine, on=Completed[Review], at_most=2)

    held = State(initial=True)
    over = State(final=True)
    lost = State(final=True, outcome="failed")
    hold = work.to(held, on=Signal[Withdrawn])
    resume = held.to(work.was, on=Signal[Resumed])
    finished = work.to(over, on=Done)
    gave_up = any_state.to(lost, on=Failed)


class Ancestry(Workflow[Ticket], version="1"):
    """A failure is looked up under the nearest ancestor that the workflow names."""

    a = State(write_plain, initial=True, attempts=2)
    b = State(critic)
    c = State(polish)
    cool = State(look_up)
    over = State(final=True)
    dropped = State(final=True, outcome="failed")

    wrote = a.to(b, on=Completed[Draft])
    yes = b.to(over, on=Completed[Review], cond=approved)
    again = b.to(c, on=Completed[Review], at_most=2)
    no = b.to(dropped, on=Completed[Review])
    polished = c.to(over, on=Completed[Draft])
    limited = (a | c).to(cool, on=Failed[Throttled], at_most=3)
    cooled = cool.to(a, on=Completed[Facts])
    flaky = a.to(cool, on=Failed[Transient], at_most=1)
    hot = any_state.to(dropped, on=Failed[Overloaded])
    gave_up = any_state.to(dropped, on=Failed)


class Scopes(Workflow[Ticket], version="1"):
    """`any_state` in a body means any other state of that body; the inner answer wins over the outer."""

    class body(Compound, initial=True):
        one = State(triage, initial=True)
        two = State(write_plain)
        rest = State(look_up)
        over = State(final=True)
        go = one.to(two, on=Completed[Triage])
        wrote = two.to(over, on=Completed[Draft])
        rested = rest.to(over, on=Completed[Facts])
        calm = any_state.to(rest, on=Failed[Transient])

    done = State(final=True)
    lost = State(final=True, outcome="failed")
    finished = body.to(done, on=Done)
    gave_up = any_state.to(lost, on=Failed)


class Late(Workflow[Ticket], version="1"):
    """`any_state` is written first, and still comes last."""

    a = State(write_plain, initial=True)
    cool = State(look_up)
    over = State(final=True)
    lost = State(final=True, outcome="failed")

    gave_up = any_state.to(lost, on=Failed)
    flaky = a.to(cool, on=Failed[Transient])
    wrote = a.to(over, on=Completed[Draft])
    cooled = cool.to(over, on=Completed[Facts])


class Settled(Workflow[Ticket], version="1"):
    """Regions three deep whose Done goes up by itself, with conditions and bounds on the way."""

    class outer(Parallel, initial=True):
        class facts(Compound):
            looking = State(look_up, initial=True)
            filing = State(file_away)
            filed = State(final=True)
            looked = looking.to(filing, on=Completed[Facts])
            stored = filing.to(filed, on=Completed[Receipt])
            again = any_state.to(looking, on=Failed, at_most=1)

        class words(Compound):
            class inner(Parallel, initial=True):
                class sense(Compound):
                    sorting = State(triage, initial=True)
                    sorted_out = State(final=True)
                    sure = sorting.to(sorted_out, on=Completed[Triage])

                class style(Compound):
                    writing = State(write_plain, initial=True)
                    written = State(final=True)
                    wrote = writing.to(written, on=Completed[Draft])

            judged = State(critic)
            fit = State(final=True)
            both = inner.to(judged, on=Done)
            right = judged.to(fit, on=Completed[Review], cond=approved)
            wrong = judged.to(inner, on=Completed[Review], at_most=2)

    over = State(final=True)
    lost = State(final=True, outcome="failed")
    finished = outer.to(over, on=Done)
    gave_up = outer.to(lost, on=Failed)


ask = Person("ask", version="1", takes=Ticket, gives=Review, who=("ana", "ben"), within=timedelta(hours=4))
boss = Person("boss", version="1", takes=Ticket, gives=Review, within=60, otherwise=Review(False, "nobody looked"))


def tomorrow(ticket: Ticket) -> datetime:
    return datetime(2026, 1, 2, tzinfo=UTC)


class Timed(Workflow[Ticket], version="1", within=timedelta(days=30)):
    """A wait and a person beside each other, in a compound with a deadline, in a run with one."""

    class both(Parallel, initial=True, within=timedelta(days=7)):
        class left(Compound):
            cooling = State(Wait(timedelta(days=3)), initial=True)
            looking = State(look_up, within=3600)
            looked = State(final=True)
            cooled = cooling.to(looking, on=Elapsed)
            found = looking.to(looked, on=Completed[Facts])
            again = looking.to(cooling, on=Elapsed, at_most=2)

        class right(Compound):
            asking = State(ask, initial=True, fallback=[boss], within=timedelta(days=2))
            asked = State(final=True)
            yes = asking.to(asked, on=Completed[Review])
            anew = asking.to(asking, on=Elapsed, at_most=1)

    resting = State(Wait(until=tomorrow))
    held = State(within=10)
    over = State(final=True)
    lost = State(final=True, outcome="failed")

    done = both.to(resting, on=Done)
    rested = resting.to(over, on=Elapsed)
    hold = both.to(held, on=Elapsed)
    freed = held.to(resting, on=Signal[Resumed])
    gave_up = any_state.to(lost, on=Failed)
    late = any_state.to(lost, on=Elapsed)


class Patient(Workflow[Ticket], version="1", within=timedelta(days=30)):
    """Wait, look, wait longer; late, it still asks somebody."""

    resting = State(Wait(60.0), initial=True)
    looking = State(look_up, within=5)
    last = State(ask)
    over = State(final=True)
    lost = State(final=True, outcome="failed")

    rested = resting.to(looking, on=Elapsed)
    again = looking.to(resting, on=Completed[Facts], at_most=1)
    enough = looking.to(over, on=Completed[Facts])
    slow = looking.to(resting, on=Elapsed, at_most=1)
    answered = last.to(over, on=Completed[Review])
    gave_up = any_state.to(lost, on=Failed)
    late = any_state.to(last, on=Elapsed)


NESTED = (Regions, Shallow, Scopes, Settled, Timed)
FLAT = (Ancestry, Late, Patient)
