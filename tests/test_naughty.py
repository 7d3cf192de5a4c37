"""Naughty text and JSON at every edge: it is kept and rebuilt as it was and shown on one line of printable characters,
or refused by a typed error that says what was wrong; no run but its own is touched.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from statecore import Call, Completed, Engine, Failed, State, Workflow, specialist
from statecore.errors import BadInput
from statecore.failures import NotDone, OutcomeUnknown, printable
from statecore.guard import Refuse
from statecore.present import as_json, overview, turn_json
from statecore.replay import rebuild, turns_of
from statecore.run import Run
from statecore.sqlite import SqliteLog
from statecore.telling import lines
from tests.crew import Bill, Crew, Job, Nudge, Piece, Says, Spoilt, line, twin
from tests.naughty import TEXTS, one_line_each, storable
from tests.playground import Errand, Quick

CLASSES = pytest.mark.parametrize("kind", TEXTS)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine on a file, whose other runs go on and whose log is as it should be, whatever a test does to it."""
    async with Engine(await SqliteLog.open(tmp_path / "statecore.db")) as engine:
        yield engine
        assert (await engine.run(Quick, Errand(), run="another")).outcome == "completed"
        assert await engine.log.verify() == []


async def kept(engine: Engine, run: Run) -> Run:
    """Rebuilt equal, and told in words and in JSON without harm."""
    assert await rebuild(engine.log, run.id) == run
    turns = await turns_of(engine.log, run.id)
    one_line_each([*lines(turns), *overview(run, turns)])
    json.dumps([as_json(run), *map(turn_json, turns)]).encode("ascii")
    return run


@asynccontextmanager
async def refused(text: str) -> AsyncIterator[None]:
    """What cannot be stored is refused with its reason, on one line."""
    with pytest.raises(BadInput) as caught:
        yield
    assert not storable(text)
    assert "NUL" in str(caught.value) or "surrogate" in str(caught.value)
    assert text not in str(caught.value)


# -- texts


@CLASSES
async def test_an_input_is_kept_or_refused(engine: Engine, kind: str) -> None:
    """The value that a run begins with, through each specialist that hands it on."""
    workflow = line(Crew(), cut=[lambda job, call: Piece(job.text)], sell=[Bill(1.0)])
    for text in TEXTS[kind]:
        if storable(text):
            run = await kept(engine, await engine.run(workflow, Job(text)))
            assert run.outcome == "completed"
            assert [json.loads(value.payload.data)["text"] for value in run.values[:2]] == [text, text]
        else:
            async with refused(text):
                await engine.run(workflow, Job(text))


@CLASSES
async def test_an_output_is_kept_or_rejected(engine: Engine, kind: str) -> None:
    """What a specialist gives, fails with, or raises: the run ends, and says what was wrong where it was rejected."""
    given = [made(text) for text in TEXTS[kind] for made in (Piece, Spoilt, ValueError)]

    @specialist("work", version="1", effect="pure", fails=[Spoilt])
    async def work(job: Job) -> Piece:
        outcome: Any = given[int(job.text)]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    class Working(Workflow[Job], version="1"):
        working = State(work, initial=True)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        worked = working.to(done, on=Completed[Piece])
        gave_up = working.to(lost, on=Failed)

    for number, outcome in enumerate(given):
        run = await kept(engine, await engine.run(Working, Job(str(number))))
        payload, value = run.values[-1].payload, json.loads(run.values[-1].payload.data)
        fits = isinstance(outcome, ValueError) or storable(outcome.text if isinstance(outcome, Piece) else outcome.why)
        if isinstance(outcome, Piece):
            assert run.outcome == ("completed" if fits else "failed")
            assert value["text"] == outcome.text if fits else payload.contract == "Rejected"
        elif isinstance(outcome, Spoilt) and fits:
            assert (payload.contract, value["why"]) == ("Spoilt", outcome.why)
        else:
            assert payload.contract == "Crashed"


class Unspeakable(Exception):
    """Whatever is asked of it, it raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize("sync", [False, True])
async def test_an_exception_that_cannot_be_looked_at_is_a_crash(engine: Engine, sync: bool) -> None:
    """The call ends at once, in a thread as on the loop, and its failure names the class."""

    def raises(request: Any, call: Call) -> Any:
        raise Unspeakable

    class Working(Workflow[Job], version="1"):
        working = State(Crew()("work", raises, sync=sync), initial=True, timeout=10)
        done = State(final=True)
        lost = State(final=True, outcome="failed")
        worked = working.to(done, on=Completed[Piece])
        gave_up = working.to(lost, on=Failed)

    run = await kept(engine, await engine.run(Working, Job()))
    assert json.loads(run.values[-1].payload.data)["error"] == "Unspeakable"


@CLASSES
async def test_an_id_or_a_tenant_is_kept_or_refused(engine: Engine, kind: str) -> None:
    """A run is found again under its id, and its tenant is the one that was given."""
    workflow = line(Crew(), sell=[Bill(1.0)])
    for text in filter(None, TEXTS[kind]):
        if storable(text):
            run = await kept(engine, await engine.run(workflow, Job(), run=f"{kind}{text}", tenant=text))
            assert (run.id, run.tenant) == (f"{kind}{text}", text)
            assert (await engine.state(run.id)) == run
        else:
            async with refused(text):
                await engine.start(workflow, Job(), run=text)
            async with refused(text):
                await engine.start(workflow, Job(), tenant=text)


@pytest.mark.parametrize("given", [7, b"x", 1.5, True, ["a"], {"a": 1}, Job("x")], ids=repr)
async def test_a_name_of_another_type_is_refused(engine: Engine, given: Any) -> None:
    """Nothing that is no text becomes text on its way into the log."""
    workflow = line(Crew(), sell=[Bill(1.0)])
    for names in ({"run": given}, {"tenant": given}):
        with pytest.raises(BadInput, match="expected"):
            await engine.start(workflow, Job(), **names)
    assert await engine.log.streams() == []


async def test_a_run_cannot_take_the_name_of_the_logs_own_streams(engine: Engine) -> None:
    """A run of that name would be in no list, and its turns among the records of what was purged."""
    with pytest.raises(BadInput, match="system/"):
        await engine.start(line(Crew()), Job(), run="system/purged")


@CLASSES
async def test_a_signal_is_kept_or_refused(engine: Engine, kind: str) -> None:
    """Its payload and who sent it; a refused one leaves the run as it was."""
    workflow = twin(Crew())
    for text in TEXTS[kind]:
        run = (await engine.run(workflow, Job())).id
        if storable(text):
            await engine.signal(run, Nudge(text), by=text)
            assert (await kept(engine, await engine.wait(run))).outcome == "completed"
        else:
            before = await engine.state(run)
            async with refused(text):
                await engine.signal(run, Nudge(text))
            async with refused(text):
                await engine.signal(run, Nudge(), by=text)
            assert await engine.state(run) == before
            await engine.signal(run, Nudge())


@CLASSES
async def test_an_answer_is_kept_or_refused(engine: Engine, kind: str) -> None:
    """The result, who settles a call and why; a refused answer leaves the call parked, and the next one settles it."""
    workflow = line(Crew(), sell=[OutcomeUnknown("who knows")])
    for number, text in enumerate(TEXTS[kind]):
        run = f"{kind}{number}"
        assert (await engine.run(workflow, Job(), run=run)).condition == "parked"
        if storable(text):
            settled = await engine.answer(
                run, "selling", NotDone(text), by=text if text.strip() else "me", why=text if text.strip() else "looked"
            )
            assert (await kept(engine, settled)).outcome == "failed"
            assert json.loads(settled.values[-1].payload.data)["why"] == text
            continue
        for why, by, reason in ((text, "me", "looked"), ("looked", text, "looked"), ("looked", "me", text)):
            async with refused(text):
                await engine.answer(run, "selling", NotDone(why), by=by, why=reason)
        assert (await engine.answer(run, "selling", Bill(1.0), by="me", why="looked")).outcome == "completed"


@CLASSES
async def test_what_a_guard_says_is_kept_or_spelled_out(engine: Engine, kind: str) -> None:
    """A guard's reason is the program's own: what cannot be stored of it is spelled out, and the verdict stands."""
    says = [""]
    crew = Crew()
    for side in ("before", "after"):
        guard = Says(f"frowns {side}", side, [lambda question, ledger: Refuse(says[0])])  # type: ignore[arg-type]
        workflow = line(crew, {"guards": [guard], "fallback": [], "attempts": 1})
        for text in TEXTS[kind]:
            says[0] = text
            run = await kept(engine, await engine.run(workflow, Job()))
            found = json.loads(run.values[-1].payload.data)
            assert (found["why"] if side == "before" else found["faults"][0]) == printable(text)
            assert printable(text) == text or not storable(text)
