"""Child workflows: what they give, how they fail, how they end with their parent, and every crash between the two."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statecore import (
    ChildFailed,
    Completed,
    Compound,
    Done,
    Engine,
    Failed,
    Failure,
    Parallel,
    Recorded,
    Signal,
    State,
    Workflow,
    any_state,
    child,
    specialist,
)
from statecore.child import completions
from statecore.decider import MAX_DEPTH
from statecore.errors import BadInput, DefinitionError
from statecore.events import (
    CallCompleted,
    CallFailed,
    CallLate,
    CallRefused,
    CallStarted,
    Cancelled,
    Event,
    Finished,
    Moved,
    RunStarted,
)
from statecore.failures import OutcomeUnknown, TimedOut
from statecore.fork import fork
from statecore.guard import Defer, Question, Verdict
from statecore.ledger import Ledger
from statecore.log import Batch, MemoryLog, Turn
from statecore.replay import rebuild, turns_of, verify
from statecore.run import Run
from statecore.testing import ScriptError, play, scripted, survives
from statecore.testing import given as given_run
from statecore.testing.virtual import VirtualClock, run_virtual


@attrs.frozen
class Topic:
    text: str
    seconds: float = 1.0


@attrs.frozen
class Text:
    text: str


@attrs.frozen
class Stop:
    pass


@attrs.frozen
class Page:
    text: str


@specialist("write", version="1", effect="pure")
async def write(topic: Topic) -> Text:
    await asyncio.sleep(topic.seconds)
    if topic.text.startswith("bad"):
        raise ValueError(topic.text)
    return Text(topic.text.upper())


@specialist("publish", version="1", effect="pure")
async def publish(text: Text) -> Page:
    return Page(text.text)


@specialist("spare", version="1", effect="pure")
async def spare(topic: Topic) -> Text:
    return Text("spare")


@specialist("post", version="1")
async def post(topic: Topic) -> Text:
    await asyncio.sleep(topic.seconds)
    return Text(topic.text)


class Article(Workflow[Topic], version="3"):
    """One text. A word lets it go on where it waits."""

    writing = State(write, initial=True)
    written = State(final=True)
    lost = State(final=True, outcome="failed")
    wrote = writing.to(written, on=Completed[Text])
    gave_up = writing.to(lost, on=Failed)


class Section(Workflow[Topic], version="1"):
    """A child that has a child."""

    drafting = State(child(Article), initial=True)
    drafted = State(final=True)
    lost = State(final=True, outcome="failed")
    made = drafting.to(drafted, on=Completed[Text])
    gave_up = drafting.to(lost, on=Failed)


class Book(Workflow[Topic], version="1"):
    """A parent, that a word stops."""

    writing = State(child(Section), initial=True)
    publishing = State(publish)
    published = State(final=True)
    stopped = State(final=True, outcome="failed")
    lost = State(final=True, outcome="failed")
    wrote = writing.to(publishing, on=Completed[Text])
    stop = writing.to(stopped, on=Signal[Stop])
    out = publishing.to(published, on=Completed[Page])
    gave_up = any_state.to(lost, on=Failed)


class Hurried(Workflow[Topic], version="1"):
    """Two attempts of two seconds each, and then somebody else."""

    writing = State(child(Article), initial=True, attempts=2, timeout=2, fallback=[spare])
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    wrote = writing.to(done, on=Completed[Text])
    gave_up = writing.to(lost, on=Failed[ChildFailed | TimedOut])
    else_ = writing.to(lost, on=Failed)


class Tree(Workflow[Topic], version="1"):
    """Calls itself, as deep as it may."""

    growing = State(
        child(lambda: Tree, name="Tree", version="1", takes=Topic, gives=Text), initial=True, fallback=[spare]
    )
    grown = State(final=True)
    lost = State(final=True, outcome="failed")
    grew = growing.to(grown, on=Completed[Text])
    gave_up = growing.to(lost, on=Failed)


@specialist("count", version="1", effect="pure")
async def count(page: Page) -> Text:
    return Text(page.text)


def warned(text: Recorded[Text]) -> Page:
    return Page(f"{len(text.warnings)} warning")


class Half(Workflow[Topic], version="1"):
    """Whatever it finds is not all."""

    writing = State(write, initial=True)
    some = State(final=True, outcome="partial")
    lost = State(final=True, outcome="failed")
    wrote = writing.to(some, on=Completed[Text])
    gave_up = writing.to(lost, on=Failed)


class Summing(Workflow[Topic], version="1"):
    """Says how much it was warned."""

    halving = State(child(Half), initial=True)
    counting = State(count, give=warned)
    done = State(final=True)
    lost = State(final=True, outcome="failed")
    halved = halving.to(counting, on=Completed[Text])
    counted = counting.to(done, on=Completed[Text])
    gave_up = any_state.to(lost, on=Failed)


class Recorder(MemoryLog):
    """Keeps the batches, so that the log can be had as it was after each of them."""

    def __init__(self, batches: Iterator[Batch] | list[Batch] = ()) -> None:  # type: ignore[assignment]
        super().__init__()
        self.first, self.batches = list(batches), list[Batch]()

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        turns = await super().append(batch)
        self.batches.append(batch)
        return turns

    async def ready(self) -> "Recorder":
        for batch in self.first:
            await super().append(batch)
        return self


def engine(log: MemoryLog, *workflows: type[Workflow[Topic]]) -> Engine:
    return Engine(log, workflows or (Book, Hurried, Tree), clock=VirtualClock())


async def events(log: MemoryLog, run: str) -> list[Event]:
    return [event for turn in await turns_of(log, run) for event in turn.events]


async def ended(log: MemoryLog) -> dict[str, str]:
    return {info.name: info.label for info in await log.streams()}


def played(workflow: type[Workflow[Topic]], topic: Topic) -> tuple[MemoryLog, Run]:
    async def main() -> tuple[MemoryLog, Run]:
        log = MemoryLog()
        async with engine(log) as on:
            return log, await on.run(workflow, topic, run="r", tenant="acme")

    return run_virtual(main())


def test_a_child_gives_what_it_completes_on() -> None:
    """The parent goes on with the value of its child's child, and says whose it was."""
    log, run = played(Book, Topic("a"))
    assert (run.outcome, run.values[-1].payload.data) == ("completed", b'{"text":"A"}')
    assert run.values[1].specialist == "Section@1"
    assert asyncio.run(ended(log)) == {
        "r": "completed",
        "r/writing#1": "completed",
        "r/writing#1/drafting#1": "completed",
    }


def test_children_inherit_tenant_and_root() -> None:
    """A child is its root's, and its tenant's, however deep it stands."""
    log, _ = played(Book, Topic("a"))
    leaf = asyncio.run(rebuild(log, "r/writing#1/drafting#1"))
    assert (leaf.tenant, leaf.root, leaf.parent, leaf.depth) == ("acme", "r", "r/writing#1", 2)


def test_a_call_and_its_child_are_one_batch() -> None:
    """Parent, child and grandchild begin in one commit."""

    async def main() -> list[list[str]]:
        log = Recorder()
        async with engine(log) as on:
            await on.run(Book, Topic("a"), run="r")
        return [[append.stream for append in batch.appends] for batch in log.batches]

    assert run_virtual(main())[0] == ["r", "r/writing#1", "r/writing#1/drafting#1"]


def test_a_child_that_fails_is_a_typed_failure() -> None:
    """The failure names the run, how it ended, and on what."""
    log, run = played(Section, Topic("bad"))
    failed = next(event for event in asyncio.run(events(log, "r")) if isinstance(event, CallFailed))
    assert run.outcome == "failed" and failed.failure.contract == "ChildFailed"
    assert b'"run":"r/drafting#1","outcome":"failed"' in failed.failure.data
    assert b"ValueError" in failed.failure.data


def test_a_child_that_takes_too_long_is_ended_and_tried_anew() -> None:
    """Each attempt is a run of its own; one that has no time left is cancelled; then comes the fallback."""
    log, run = played(Hurried, Topic("slow", 60.0))
    assert asyncio.run(ended(log)) == {"r": "completed", "r/writing#1": "cancelled", "r/writing#1~2": "cancelled"}
    assert run.values[-1].specialist == "spare@1"
    assert asyncio.run(rebuild(log, "r/writing#1")).why == "cancelled by run r: its parent r went on without it"


def test_a_child_that_failed_is_tried_anew() -> None:
    """Attempts are for children that failed too, and each has its own log."""
    log, run = played(Hurried, Topic("bad", 0.1))
    assert asyncio.run(ended(log)) == {"r": "completed", "r/writing#1": "failed", "r/writing#1~2": "failed"}
    assert run.values[-1].payload.data == b'{"text":"spare"}'


def test_a_workflow_may_call_itself_within_bounds() -> None:
    """The deepest call is refused, and its fallback answers all the way up; all of it is decided again the same."""

    async def main() -> None:
        log = MemoryLog()
        async with engine(log) as on:
            run = await on.run(Tree, Topic("x"), run="r")
            assert run.outcome == "completed" and len(await log.streams()) == MAX_DEPTH + 1
            deepest = "r" + "/growing#1" * MAX_DEPTH
            refused = [event for event in await events(log, deepest) if isinstance(event, CallRefused)]
            assert [(event.guard, event.next) for event in refused] == [("depth", "spare@1")]
            assert await verify(log, on.registry) == []

    run_virtual(main())


def test_cancelling_reaches_children_and_grandchildren() -> None:
    """Each of them says who, and with whom it was cancelled."""

    async def main() -> None:
        log = MemoryLog()
        async with engine(log) as on:
            await on.start(Book, Topic("a", 60.0), run="r")
            await asyncio.sleep(1)
            await on.cancel("r", by="ana", why="wrong title")
            await on.wait("r")
            assert set((await ended(log)).values()) == {"cancelled"}
            said = [e for name in await ended(log) for e in await events(log, name) if isinstance(e, Cancelled)]
            whys = ["wrong title", "cancelled with its parent r", "cancelled with its parent r/writing#1"]
            assert [(event.by, event.why) for event in said] == [("ana", why) for why in whys]
            assert await verify(log, on.registry) == []

    run_virtual(main())


def test_a_child_of_a_run_that_nobody_has_in_memory_is_cancelled_too() -> None:
    """A cancellation by the first command after a crash reaches all below."""

    async def main() -> None:
        log = Recorder()
        async with engine(log) as on:
            await on.start(Book, Topic("a", 60.0), run="r")
        later = await Recorder(log.batches).ready()
        async with engine(later) as on:
            await on.cancel("r", by="ana", why="enough")
            await on.wait("r")
        assert set((await ended(later)).values()) == {"cancelled"}

    run_virtual(main())


def test_a_cancelled_child_fails_its_parent_and_is_not_tried_again() -> None:
    """Somebody ended the child: the parent hears that, at once, and no further attempt is made."""

    async def main() -> None:
        log = MemoryLog()
        async with engine(log) as on:
            await on.start(Section, Topic("a", 60.0), run="r")
            await on.cancel("r/drafting#1", by="ana", why="no")
            assert (await on.wait("r")).outcome == "failed"
            failure = (await events(log, "r"))[3]
            assert isinstance(failure, CallFailed) and b'"why":"cancelled by ana: no"' in failure.failure.data

    run_virtual(main())


def test_a_state_that_is_left_ends_its_child() -> None:
    """A signal that takes the parent elsewhere cancels what it waited for."""

    async def main() -> None:
        log = MemoryLog()
        async with engine(log) as on:
            await on.start(Book, Topic("a", 60.0), run="r")
            await on.signal("r", Stop())
            await on.wait("r")
        assert await ended(log) == {"r": "failed", "r/writing#1": "cancelled", "r/writing#1/drafting#1": "cancelled"}

    run_virtual(main())


SCENES = {
    "completes": (Topic("a"), ""),
    "fails": (Topic("bad"), ""),
    "is stopped": (Topic("a", 3.0), "stop"),
    "is cancelled": (Topic("a", 3.0), "cancel"),
    "child is cancelled": (Topic("a", 3.0), "child"),
}


async def scene(on: Engine, topic: Topic, then: str, after: float = 1.0) -> None:
    await on.start(Book, topic, run="r")
    await asyncio.sleep(after)
    if then == "stop":
        await on.signal("r", Stop())
    elif then == "cancel":
        await on.cancel("r", by="ana", why="enough")
    elif then == "child":
        await on.cancel("r/writing#1", by="ana", why="enough")
    await on.drain()


def told_by_children(run: Run) -> bool:
    return run.workflow in ("Book", "Section")


async def sound(log: MemoryLog) -> None:
    """What has to be so of every log in the end."""
    found = {name: await rebuild(log, name) for name in await ended(log)}
    assert all(run.outcome for run in found.values()), found
    for run in found.values():
        told = [
            e
            for e in await events(log, run.id)
            if isinstance(e, CallCompleted | CallFailed) and e.call.startswith(("writing", "drafting"))
        ]
        heard = run.outcome == "completed" or run.config.states == ("lost",)
        assert len(told) == 1 if heard and told_by_children(run) else len(told) <= 1, told
        assert not [e for e in await events(log, run.id) if isinstance(e, CallLate)]
    registry = Engine(log, [Book]).registry
    assert await verify(log, registry) == []


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("order", ["all", "parent first", "leaf first"])
def test_a_crash_after_any_commit_leads_to_one_outcome(name: str, order: str) -> None:
    """Whatever was committed when the process died, every run ends, and each parent hears of its child once."""
    topic, then = SCENES[name]

    async def whole() -> tuple[list[Batch], dict[str, str]]:
        log = Recorder()
        async with engine(log) as on:
            await scene(on, topic, then)
        await sound(log)
        return log.batches, await ended(log)

    batches, labels = run_virtual(whole())

    async def again(count: int) -> None:
        log = await Recorder(batches[:count]).ready()
        before = await ended(log)
        gone = [run for run, label in before.items() if run != "r" and before["r"] in ("cancelled", "failed")]
        gone = [run for run in gone if before[run] in ("running", "waiting")]
        async with engine(log) as on:
            names = list(await ended(log))
            for run in {"all": [None], "parent first": names, "leaf first": names[::-1]}[order]:
                if run is None or not (await on.state(run)).outcome:
                    await on.resume(run)
            await on.drain()
        await sound(log)
        assert {(await ended(log))[run] for run in gone} <= {"cancelled"}
        if not then:
            assert await ended(log) == labels

    for count in range(1, len(batches) + 1):
        run_virtual(again(count))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    then=st.sampled_from(["", "stop", "cancel", "child"]),
    after=st.sampled_from([0.0, 0.5, 0.999999, 1.0, 1.000001, 2.0]),
    bad=st.booleans(),
    deaths=st.lists(st.integers(1, 8), max_size=3),
    waits=st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3),
)
def test_any_interleaving_of_ends_words_and_deaths_gives_one_outcome(
    then: str, after: float, bad: bool, deaths: list[int], waits: list[float]
) -> None:
    """The end of a child, a word to its parent and deaths of the process, in any order: one outcome reaches the parent."""

    async def main() -> None:
        log = Recorder()
        async with engine(log) as on:
            with_error = None
            try:
                await scene(on, Topic("bad" if bad else "a"), then, after)
            except Exception as error:  # the run or the child was finished before the word came
                with_error = error
            assert with_error is None or type(with_error).__name__ == "NotPossible"
            await on.drain()
        batches = log.batches
        for death, wait in zip(deaths, waits, strict=False):
            later = await Recorder(batches[:death]).ready()
            async with engine(later) as on:
                await on.resume()
                await asyncio.sleep(wait)
            batches = [*batches[:death], *later.batches]
        last = await Recorder(batches).ready()
        async with engine(last) as on:
            await on.resume()
            await on.drain()
        await sound(last)

    run_virtual(main())


def test_a_child_that_was_never_begun_is_begun() -> None:
    """A parent that came without its child (an export of it alone) begins it."""

    async def main() -> None:
        log = Recorder()
        async with engine(log) as on:
            await on.start(Section, Topic("a"), run="r")
        alone = await Recorder([Batch(log.batches[0].appends[:1])]).ready()
        async with engine(alone) as on:
            await on.resume()
            assert (await on.wait("r")).outcome == "completed"
            assert await ended(alone) == {"r": "completed", "r/drafting#1": "completed"}

    run_virtual(main())


def test_a_child_without_its_parent_goes_on() -> None:
    """Where the log has no parent, nobody ended it: it is seen through."""

    async def main() -> None:
        log = Recorder()
        async with engine(log) as on:
            await on.start(Section, Topic("a"), run="r")
        alone = await Recorder([Batch(log.batches[0].appends[1:])]).ready()
        async with engine(alone) as on:
            await on.resume()
            assert (await on.wait("r/drafting#1")).outcome == "completed"

    run_virtual(main())


async def test_a_run_cannot_be_named_like_a_child() -> None:
    """What looks like the child of a run is one, and nobody may take such a name."""
    async with engine(MemoryLog()) as on:
        with pytest.raises(BadInput, match="like the child of another"):
            await on.start(Section, Topic("a"), run="r/drafting#1")


def test_what_a_child_gives_is_found_in_its_table() -> None:
    """The values on which it completes, wholly or in part, and no failure."""
    assert completions(Book.machine) == ((Page,), "")
    assert [given.name for given in child(Book).gives] == ["Page"]
    assert child(Article).effect == "pure" and child(Article).id == "Article@3"


def test_what_gives_says_is_compared_with_the_table() -> None:
    """A child that may complete with something else than declared is refused, and so is one that gives nothing."""
    assert [given.name for given in child(Article, gives=[Text, Page]).gives] == ["Text", "Page"]
    with pytest.raises(DefinitionError, match="Article may complete with Text, expected only what gives=Page says"):
        child(Article, gives=Page)
    with pytest.raises(DefinitionError, match="expected a workflow, or a function that gives one"):
        child(Text)  # type: ignore[call-overload]
    with pytest.raises(DefinitionError, match="needs its name, version, takes and gives"):
        child(lambda: Article)  # type: ignore[call-overload]


def test_a_workflow_named_ahead_is_held_to_what_was_said_of_it() -> None:
    """What is there in the end must be what was declared, or no engine takes it."""

    class Wrong(Workflow[Topic], version="1"):
        writing = State(child(lambda: Article, name="Article", version="9", takes=Topic, gives=Text), initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        wrote = writing.to(done, on=Completed[Text])
        gave_up = writing.to(lost, on=Failed)

    with pytest.raises(
        DefinitionError, match="child Article 9 was declared to take Topic, and what is there is Article 3"
    ):
        Engine(MemoryLog(), [Wrong])


def test_a_child_that_was_moved_on_from_is_not_heard() -> None:
    """A child that ends after its parent left the state changes nothing there: no event at all."""

    async def main() -> None:
        log = MemoryLog()
        async with engine(log) as on:
            await scene(on, Topic("a", 1.0), "stop", 1.0)
        assert [type(event) for event in await events(log, "r")].count(Moved) == 2
        assert not any(isinstance(event, CallLate) for event in await events(log, "r"))

    run_virtual(main())


def test_a_limit_holds_across_a_death() -> None:
    """The time of a child counts from its beginning, whoever was there meanwhile."""

    async def main() -> None:
        log = Recorder()
        async with engine(log) as on:
            await on.start(Hurried, Topic("slow", 60.0), run="r")
            await asyncio.sleep(1.5)
        later = await Recorder(log.batches).ready()
        async with engine(later) as on:
            begun = on.clock.now()
            await on.resume()
            await on.wait("r/writing#1")
            assert on.clock.now() - begun < 2.1

    run_virtual(main())


def test_runs_started_say_their_parent() -> None:
    """Where a run stands is in its first event."""
    log, _ = played(Section, Topic("a"))
    first = asyncio.run(events(log, "r/drafting#1"))[0]
    assert isinstance(first, RunStarted) and (first.parent, first.root, first.depth) == ("r", "r", 1)


def test_a_child_is_scripted_as_a_specialist() -> None:
    """A unit test of the parent says what the child gives, and no run of it begins."""
    assert play(Book, Topic("a"), {"writing": Text("T"), "publishing": Page("P")}).moves == ("wrote", "out")
    failure = ChildFailed("r/writing#1", "failed")
    assert play(Book, Topic("a"), {"writing": failure}).moves == ("gave_up",)


def test_a_child_is_run_with_a_script_of_its_own() -> None:
    """Its specialists do as its own script says, down to the last run; what is left over there is found."""
    article = scripted(Article, {"writing": Text("deep")})
    played = play(Book, Topic("a"), {"writing": scripted(Section, {"drafting": article}), "publishing": publish})
    assert played.run.values[1].payload.data == b'{"text":"deep"}'
    with pytest.raises(ScriptError, match="Article was not played as written"):
        play(Section, Topic("a"), {"drafting": scripted(Article, {"writing": [Text("a"), Text("b")]})})
    with pytest.raises(ScriptError, match="it is a script of Book, which is no child of this state"):
        play(Section, Topic("a"), {"drafting": scripted(Book, {"writing": Text("a"), "publishing": Page("b")})})


def test_a_child_is_run_as_it_is_written() -> None:
    """Without a script, or with the child itself as its entry, its specialists do what they do."""
    assert play(Section, Topic("a")).result == Text("A")
    assert play(Section, Topic("a"), {"drafting": child(Article)}).result == Text("A")


def test_a_decision_about_a_child_needs_no_engine() -> None:
    """Given, when, then: a child is called, and what it gives moves the parent."""
    given_run(Book).when(Topic("a")).calls("writing")
    begun = given_run(Book, Topic("a"))
    begun.when(Completed(Text("t"))).moved("wrote").calls("publishing")
    begun.when(Failed(ChildFailed("r", "cancelled"))).moved("gave_up").finished("failed")


def test_a_parent_with_children_survives_every_kill() -> None:
    """The one-line crash test counts the turns of the children too."""
    assert survives(Book, Topic("a", 0.5)).kills > 8
    assert survives(Hurried, Topic("slow", 60.0)).outcome == "completed"


def test_a_partial_child_is_marked_in_the_envelope() -> None:
    """Its value is as good as any, and whoever reads the envelope is warned, with what was warned of below."""
    _, run = played(Summing, Topic("a"))
    assert run.outcome == "completed"
    assert run.values[1].warnings == ("the child run r/halving#1 is partial",)
    assert run.values[2].payload.data == b'{"text":"1 warning"}'


class Slow(Recorder):
    """Takes its time to read, as a disk does."""

    async def read(self, stream: str, after: int = 0) -> AsyncIterator[Turn]:
        await asyncio.sleep(0.02)
        async for turn in super().read(stream, after):
            yield turn


async def test_whoever_ends_a_child_by_hand_sees_its_parent_through() -> None:
    """A parent that nobody has in memory is taken up when its child ends, and `drain` waits for that."""
    log = Recorder()
    async with Engine(log, [Section]) as on:
        await on.start(Section, Topic("a", 60.0), run="r")
    later = await Slow(log.batches).ready()
    async with Engine(later, [Section]) as on:
        await on.cancel("r/drafting#1", by="ana", why="no")
        await on.drain()
        assert await ended(later) == {"r": "failed", "r/drafting#1": "cancelled"}


@attrs.frozen
class Closed:
    """Lets no call begin."""

    name: str = "closed"
    side: Literal["before", "after"] = "before"
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[Any], ledger: Ledger) -> Verdict:
        return Defer("closed")


class Post(Workflow[Topic], version="1"):
    """Has an effect, so its parent does not begin it anew."""

    posting = State(post, initial=True)
    posted = State(final=True)
    lost = State(final=True, outcome="failed")
    sent = posting.to(posted, on=Completed[Text])
    gave_up = posting.to(lost, on=Failed)


class Desk(Workflow[Topic], version="1"):
    """Posts by a child, and beside it by itself; what cannot be known of the latter takes it elsewhere."""

    class both(Parallel, initial=True):
        class one(Compound):
            asking = State(child(Post), initial=True)
            asked = State(final=True)
            told = asking.to(asked, on=Completed[Text])

        class two(Compound):
            posting = State(post, initial=True)
            posted = State(final=True)
            sent = posting.to(posted, on=Completed[Text])

    done = State(final=True)
    lost = State(final=True, outcome="failed")
    over = both.to(done, on=Done)
    unknown = both.to(lost, on=Failed[OutcomeUnknown])
    gave_up = both.to(lost, on=Failed)


def test_a_cancelled_run_that_is_taken_up_begins_no_child() -> None:
    """A call that a guard held back has nothing to be found out about it: its run ends, and no child of it is begun."""

    async def main() -> None:
        log = Recorder()
        async with Engine(log, [Desk], guards=[Closed()], clock=VirtualClock()) as on:
            await on.start(Desk, Topic("a", 60.0), run="r")
        later = await Recorder(log.batches).ready()
        async with engine(later, Desk) as on:
            await on.cancel("r", by="ana", why="enough")
            await on.drain()
            assert await ended(later) == {"r": "cancelled"}

    run_virtual(main())


def test_a_child_that_is_given_up_while_its_parent_is_taken_up_ends() -> None:
    """What a crash cut takes the parent out of the state, before it has seen to its children: they end all the same."""

    async def main() -> None:
        log = Recorder()
        async with engine(log, Desk) as on:
            await on.start(Desk, Topic("a", 60.0), run="r")
        later = await Recorder(log.batches).ready()
        async with engine(later, Desk) as on:
            await on.resume("r")
            await on.drain()
            assert await ended(later) == {"r": "failed", "r/both/one/asking#1": "cancelled"}

    run_virtual(main())


def test_a_grandchild_of_a_parent_that_is_given_up_begins_nothing() -> None:
    """A death came after the move and before the children were ended: all of them end before anything of them is done."""

    async def main() -> None:
        log = Recorder()
        async with engine(log) as on:
            await on.start(Book, Topic("a", 60.0), run="r")
            await on.signal("r", Stop())
            batches = log.batches[:2]
        assert [append.stream for append in batches[1].appends] == ["r"]
        later = await Recorder(batches).ready()
        async with engine(later) as on:
            await on.resume()
            await on.drain()
            said = {name: (await events(later, name))[-2:] for name in await ended(later)}
        why = "cancelled with its parent r/writing#1"
        assert said["r/writing#1/drafting#1"] == [Cancelled("run r", why), Finished("cancelled")]
        assert not any(type(e) is CallStarted and e.cuts for e in await events(later, "r/writing#1/drafting#1"))

    run_virtual(main())


def test_what_a_child_comes_to_is_heard_once() -> None:
    """Its end and its time may come together: what is second changes nothing, and is not recorded."""
    late = Failed(TimedOut("no outcome after 2 s", 2.0), "writing#1", 1, rank=0, child="r/writing#1")
    failed = Failed(ChildFailed("r/writing#1", "failed"), "writing#1", 1, rank=0, child="r/writing#1")
    given_run(Hurried, Topic("a"), failed).when(late).then()
    given_run(Hurried, Topic("a"), Completed(Text("t"))).when(late).then()


def test_a_child_that_begins_with_no_turn_of_its_parent_is_asked_for_as_any() -> None:
    """The first thing that an engine does may be to begin the child of a copied run: its guards hold there too."""

    async def main() -> None:
        log = Recorder()
        async with engine(log) as on:
            await on.start(Section, Topic("a", 60.0), run="r")
            await fork(log, "r", 3, "f", on.clock.now(), by="ana", why="to see")
        later = await Recorder(log.batches).ready()
        async with Engine(later, [Section], guards=[Closed()], clock=VirtualClock()) as on:
            await on.resume("f")
            await on.drain()
            assert (await on.state("f/drafting#1")).condition == "paused"

    run_virtual(main())
