"""People as specialists: asked, answered, refused, overdue, and asked in their stead."""

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest

from statecore import Elapsed, Engine, Failed, TimedOut
from statecore.asking import SHORT, questions, shown
from statecore.errors import BadInput, NotPossible, UnknownCall
from statecore.events import CallCompleted, CallFailed, CallLate, CallStarted
from statecore.guard import Pass, Refuse, Verdict
from statecore.log import Log, MemoryLog
from statecore.messages import Cancel, Completed, Interrupted
from statecore.replay import turns_of, verify
from statecore.run import Run
from statecore.sqlite import SqliteLog
from statecore.testing import After, Hang, given, paths, play, run_virtual, survives
from statecore.testing.virtual import EPOCH, VirtualClock
from tests.people import (
    Answer,
    Article,
    Clarified,
    Decision,
    Goal,
    Published,
    Publishing,
    Silent,
    Steps,
    Twice,
    Unclear,
)

DAY = 86_400.0
OWLS = Article("Owls", "Owls are birds.")
YES, NO = Decision("publish"), Decision("drop")


def virtually(work: Any, begins: float = EPOCH) -> Any:
    return run_virtual(work(VirtualClock(begins)))


async def all_of(log: Log, kind: Any, run: str = "run") -> list[Any]:
    return [event for turn in await turns_of(log, run) for event in turn.events if isinstance(event, kind)]


# -- the decider


def test_a_person_is_asked_and_answers() -> None:
    """The call is open, nothing is called, and the answer is a value with a name and a reason."""
    asking = given(Publishing, OWLS)
    (call,) = questions(asking.run)
    assert (call.kind, call.effect, call.wake) == ("person", "pure", 2 * DAY) and asking.run.condition == "waiting"
    answered = asking.when(Completed(YES, "asking#1", by="ana", why="it is right")).moved("yes").calls("publishing")
    event = answered.events[0]
    assert isinstance(event, CallCompleted) and (event.by, event.why) == ("ana", "it is right")
    assert not answered.run.asks


@pytest.mark.parametrize(
    ("input", "error", "told"),
    [
        (Completed(YES, "asking#1"), BadInput, "say `by`"),
        (Completed(YES, "asking#1", by="  "), BadInput, "say `by`"),
        (Completed(YES, "asking#1", by="eve"), NotPossible, "expected ana or ben"),
        (Completed(YES, "asking#1", by="cleo"), NotPossible, "expected ana or ben"),
        (Completed(Published("x"), "asking#1", by="ana"), BadInput, "expected Decision"),
        (Completed(Decision("maybe"), "asking#1", by="ana"), BadInput, "expected 'publish' or 'drop'"),  # type: ignore[arg-type]
        (Failed(TimedOut(), "asking#1", by="ana"), NotPossible, "asks a person"),
        (Failed(TimedOut(), "asking#1"), NotPossible, "asks a person"),
    ],
)
def test_what_is_no_answer_changes_nothing(input: Any, error: type[Exception], told: str) -> None:
    """It is refused to the one who gives it, with the remedy; the question stays as it was."""
    asking = given(Publishing, OWLS)
    with pytest.raises(error, match=told):
        asking.when(input)
    asking.when(Completed(NO, "asking#1", by="ben")).moved("no")


@attrs.frozen
class Reasons:
    """A drop needs a note."""

    name: str = "reasons"
    side: Any = "after"
    fails: tuple[Any, ...] = ()

    def ask(self, question: Any, ledger: Any) -> Verdict:
        return Refuse("say why it is dropped") if question.value == NO else Pass()


def test_a_guard_judges_what_a_person_says() -> None:
    """What an after-guard does not admit is refused to the one who answers, and is no attempt that failed."""
    asking = given(Publishing, OWLS, guards=[Reasons()])
    with pytest.raises(BadInput, match="reasons does not admit this answer to asking#1: say why it is dropped"):
        asking.when(Completed(NO, "asking#1", by="ana"))
    asking.when(Completed(Decision("drop", "dull"), "asking#1", by="ana")).moved("no")


def test_a_crash_cuts_no_question() -> None:
    """A process that ends while somebody thinks changes nothing."""
    given(Publishing, OWLS).when(Interrupted("asking#1")).then()


def test_the_next_in_line_is_asked_when_time_runs_out() -> None:
    """Escalation is a fallback: never before the deadline, with its own, and the last one's is Failed[TimedOut]."""
    asking = given(Publishing, OWLS)
    asking.when(Elapsed(call="asking#1", at=2 * DAY - 1)).then()
    chief = asking.when(Elapsed(call="asking#1"))
    assert [type(event) for event in chief.events] == [CallFailed, CallStarted]
    assert chief.events[1].due == 3 * DAY  # type: ignore[union-attr]
    with pytest.raises(NotPossible, match="expected cleo"):
        given(Publishing, OWLS, Elapsed(call="asking#1")).when(Completed(YES, "asking#1", by="ana"))
    late = given(Publishing, OWLS, Elapsed(call="asking#1")).when(Elapsed(call="asking#1"))
    late.moved("nobody").finished("partial")


def test_silence_may_be_an_answer() -> None:
    """The declared answer is recorded as given by the deadline, by nobody, and moves the run as any answer does."""
    over = given(Silent, OWLS).when(Elapsed(call="asking#1")).moved("no")
    event = over.events[0]
    assert isinstance(event, CallCompleted) and (event.by, event.why) == ("", "nobody answered within 60 s")
    given(Silent, OWLS).when(Completed(YES, "asking#1", by="me")).moved("yes")


def test_a_question_goes_with_its_state() -> None:
    """Left, or cancelled, the question is closed."""
    assert not given(Publishing, OWLS).when(Cancel()).run.asks


def test_what_was_shown_is_bound_to_all_of_it() -> None:
    """Another payload, run, entry, person or declaration has another digest; the same question has the same."""

    def digest(run: Run) -> str:
        return shown(run, questions(run)[0])

    first = given(Publishing, OWLS).run
    assert digest(first) == digest(given(Publishing, OWLS).run)
    others = [
        given(Publishing, Article("Owls", "Owls are  birds.")).run,
        given(Publishing, OWLS, run="other").run,
        given(Publishing, OWLS, Elapsed(call="asking#1")).run,
        given(Silent, OWLS).run,
    ]
    assert len({digest(run) for run in (first, *others)}) == 5


def test_every_path_with_people_is_played() -> None:
    """Answers, escalation and the last deadline: generated paths go through all of them."""
    taken = {name for path in paths(Publishing) for name in path.play(OWLS, values=[YES, NO]).moves}
    assert taken == {arrow.name for arrow in Publishing.machine.chart.arrows}


def test_people_are_scripted() -> None:
    """`play` gives the answers of a script in their time; who hangs answers never."""
    assert play(Publishing, OWLS, {"asking": After(3600, YES), "publishing": Published("x")}).seconds == 3600
    assert play(Publishing, OWLS, {"asking": [Hang(), YES], "publishing": Published("x")}).seconds == 2 * DAY
    assert play(Publishing, OWLS, {"asking": Hang()}).run.outcome == "partial"
    assert survives(Publishing, OWLS, {"asking": [Hang(), After(60, YES)], "publishing": Published("x")}).kills > 3


# -- the engine


def test_an_answer_comes_days_and_restarts_later() -> None:
    """Asked, the process is gone, three days and two restarts later the answer continues the run, once."""
    log = MemoryLog()

    async def asked(clock: VirtualClock) -> None:
        run = await Engine(log, [Clarified], clock=clock).run(Clarified, Goal("send it"), run="run")
        assert run.config.states == ("clarifying",) and run.condition == "waiting"
        (call,) = questions(run)
        assert Clarified.machine.contracts["Unclear"].unpack(call.request) == Unclear(
            "What is `it`?", ("the report", "the invoice")
        )

    async def waits(clock: VirtualClock) -> None:
        engine = Engine(log, [Clarified], clock=clock)
        await engine.resume()
        assert (await engine.wait("run")).condition == "waiting"

    async def answered(clock: VirtualClock) -> None:
        async with Engine(log, [Clarified], clock=clock) as engine:
            await engine.resume()
            await engine.answer("run", "clarifying", Answer("the report"), by="ana", why="I asked for it")
            run = await engine.wait("run")
            assert run.outcome == "completed" and run.taken["clarified"] == 1
            with pytest.raises(NotPossible, match="ana answered it at 2026-01-04 00:00:00 UTC; nothing was changed"):
                await engine.answer("run", "clarifying#1", Answer("the invoice"), by="ben", why="no, I")
            assert await verify(log, engine.registry) == []

    virtually(asked)
    virtually(waits, EPOCH + DAY)
    virtually(answered, EPOCH + 3 * DAY)
    assert [event.by for event in asyncio.run(all_of(log, CallCompleted))] == ["", "ana", "", ""]


def test_clarification_comes_before_planning() -> None:
    """An ambiguous goal waits in `clarifying` with a typed question; a clear one is planned at once."""
    played = play(Clarified, Goal("send it"), {"clarifying": Answer("the report")} | _real())
    assert played.moves == ("unclear", "clarified", "clear", "done")
    assert played.result == Steps(("open: send the report", "do: send the report"))
    assert play(Clarified, Goal("send the report"), _real()).moves == ("clear", "done")


def _real() -> dict[str, Any]:
    from tests.people import plan, understand

    return {"understanding": understand, "planning": plan}


async def test_an_answer_is_bound_to_what_was_shown() -> None:
    """A digest of another question is refused, its first characters are enough, too few are not."""
    async with Engine(MemoryLog(), [Publishing]) as engine:
        run = await engine.run(Publishing, OWLS, run="run")
        digest = shown(run, questions(run)[0])
        for wrong in ("0" * 64, digest[:7], digest[:12] + "x", "nonsense"):
            with pytest.raises(NotPossible):
                await engine.answer("run", "asking", YES, by="ana", why="", shown=wrong)
        assert (await engine.state("run")).seq == run.seq
        assert (await engine.answer("run", "asking", YES, by="ana", why="", shown=digest[:SHORT])).taken["yes"] == 1
        with pytest.raises(UnknownCall):
            await engine.answer("run", "publishing", Published(""), by="ana", why="")


def test_answer_and_deadline_at_one_moment() -> None:
    """One of the two wins, the other changes nothing; the one who answers is told which."""
    outcomes = set()
    for order in (-1, 0, 1):

        async def work(clock: VirtualClock, order: int = order) -> str:
            async with Engine(MemoryLog(), [Silent], clock=clock) as engine:
                await engine.run(Silent, OWLS, run="run")
                await asyncio.sleep(60.0 + order * 1e-6)
                said = ""
                try:
                    await engine.answer("run", "asking", YES, by="ana", why="")
                except NotPossible as error:
                    said = str(error)
                run = await engine.wait("run")
                assert bool(said) == (run.outcome == "failed")
                assert (
                    len(await all_of(engine.log, CallCompleted)) == 1
                    and await verify(engine.log, engine.registry) == []
                )
                return run.outcome

        outcomes.add(virtually(work))
    assert outcomes == {"completed", "failed"}


async def test_two_people_answer_at_once() -> None:
    """One answer counts; the other is told who was first, and changes nothing that the chart sees."""
    for _ in range(10):
        async with Engine(MemoryLog(), [Publishing]) as engine:
            await engine.run(Publishing, OWLS, run="run")
            answers = [
                engine.answer("run", "asking", value, by=by, why="") for by, value in (("ana", YES), ("ben", NO))
            ]
            done = await asyncio.gather(*answers, return_exceptions=True)
            (refused,) = [each for each in done if isinstance(each, BaseException)]
            (event,) = [each for each in await all_of(engine.log, CallCompleted) if each.call == "asking#1"]
            assert isinstance(refused, NotPossible) and f"{event.by} answered it" in str(refused)
            assert len(await all_of(engine.log, CallLate)) <= 1


def test_people_side_by_side() -> None:
    """Two regions ask at once; each answer goes to its own question, also of a state that is entered again."""

    async def work(clock: VirtualClock) -> None:
        async with Engine(MemoryLog(), [Twice], clock=clock) as engine:
            run = await engine.run(Twice, OWLS, run="run")
            assert [call.id for call in questions(run)] == ["both/left/asking#1", "both/right/asking#1"]
            await engine.answer("run", "both/left/asking#1", NO, by="me", why="")
            await engine.wait("run")
            await asyncio.sleep(61)
            run = await engine.wait("run")
            assert [call.id for call in questions(run)] == ["both/right/asking#1", "both/left/asking#2"]
            with pytest.raises(NotPossible, match="me answered it"):
                await engine.answer("run", "both/left/asking#1", YES, by="you", why="")
            await engine.answer("run", "both/left/asking#2", YES, by="me", why="")
            run = await engine.answer("run", "both/right/asking", NO, by="ben", why="")
            assert run.outcome == "completed" and await verify(engine.log, engine.registry) == []

    virtually(work)


async def test_a_question_is_in_the_file_too(tmp_path: Path) -> None:
    """On SQLite: found by its label beside other runs, and answered after a restart."""
    async with Engine(await SqliteLog.open(tmp_path / "log.db")) as engine:
        await engine.run(Publishing, OWLS, run="run")
    async with Engine(await SqliteLog.open(tmp_path / "log.db"), [Publishing]) as engine:
        assert [info.label for info in await engine.log.streams()] == ["waiting asks"]
        await engine.answer("run", "asking", YES, by="ana", why="")
        assert (await engine.wait("run")).outcome == "completed"
        assert [info.label for info in await engine.log.streams()] == ["completed"]
