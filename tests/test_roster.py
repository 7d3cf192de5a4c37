"""Who works here, and what it is doing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from statecore import Completed, Engine, Failed, State, Workflow, any_state
from statecore.errors import UnknownSpecialist
from statecore.events import Switched
from statecore.log import MemoryLog
from statecore.roster import Doing, Entry, roster
from statecore.switches import switch
from tests.crew import Crew, Job, Piece
from tests.desk import Desk, process, until
from tests.playground import LEADING, PAYING, QUICK

RATED = "tests.people:Rated"


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


async def test_a_specialist_is_idle_busy_failed_or_disabled() -> None:
    """With the call that it is at; disabled goes before busy, and busy before how the last call ended."""
    crew, log = Crew(), MemoryLog()
    go = asyncio.Event()

    async def slow(*_: object) -> Piece:
        await go.wait()
        return Piece("cut")

    class Cutting(Workflow[Job], version="1"):
        """Cut, then glue, which never works."""

        cutting = State(crew("cut", slow), initial=True, attempts=2)
        gluing = State(crew("glue", RuntimeError("dry"), takes=Piece), fallback=[crew("tape", takes=Piece)])
        done = State(final=True)
        lost = State(final=True, outcome="failed")

        cut = cutting.to(gluing, on=Completed[Piece])
        glued = gluing.to(done, on=Completed[Piece])
        gave_up = any_state.to(lost, on=Failed)

    async def doing() -> dict[str, Entry]:
        return {entry.specialist.name: entry for entry in await roster(log, [Cutting])}

    assert {name: entry.doing.status for name, entry in (await doing()).items()} == dict.fromkeys(
        ("cut", "glue", "tape"), "idle"
    )
    engine = Engine(log, [Cutting])
    run = await engine.start(Cutting, Job("x"))
    seen = await doing()
    assert seen["cut"].doing.status == "busy" and seen["cut"].doing.calls[0].id == "cutting#1"
    assert f"  busy {run} cutting#1, since " in "\n".join(seen["cut"].lines())
    assert "  in Cutting 1.cutting: first, at most 600 s, 2 attempts" in list(seen["cut"].lines())
    assert "  in Cutting 1.gluing: fallback 1, at most 600 s" in list(seen["tape"].lines())
    go.set()
    await engine.wait(run)
    seen = await doing()
    assert {name: entry.doing.status for name, entry in seen.items()} == {
        "cut": "idle",
        "glue": "failed",
        "tape": "idle",
    }
    assert (seen["cut"].doing.last, seen["glue"].doing.last) == ("completed", "Crashed")
    await switch(log, "glue", False, 0.0, by="ana", why="dry")
    assert (await doing())["glue"].doing.status == "disabled"
    with pytest.raises(UnknownSpecialist, match="no specialist foo in the loaded workflows"):
        await roster(log, [Cutting], "foo")
    assert [entry.specialist.id for entry in await roster(log, [Cutting, Cutting], "cut@1")] == ["cut@1"]


def test_who_is_at_work_is_told_from_who_was_cut_and_who_is_asked(desk: Desk) -> None:
    """A call that a process works on, one whose process was killed, a question, and a child run that waits, each in text
    and in JSON.
    """
    work, refs = ("specialists", "work"), ("--workflow", QUICK)
    worker = process("run", QUICK, "--input", '{"seconds": 3600}', cwd=desk.here)
    until(lambda: Path("statecore.db.sock").exists() and desk("runs", "--json").json)
    assert desk(*work, *refs).out.startswith("work@1  busy\n")
    worker.kill()
    worker.communicate()
    cut = desk(*work, *refs).out
    assert cut.startswith("work@1  cut\n") and "working#1, since 20" in cut
    assert "and no statecore process works on it" in cut
    (found,) = desk(*work, *refs, "--json").json
    assert (found["status"], found["calls"][0]["at"], found["calls"][0]["status"]) == ("cut", "cut", "started")

    desk("run", RATED, "--input", '{"title": "Owls"}')
    assert desk("specialists", "rater", "--workflow", RATED).out.startswith("rater@1  asked\n")
    desk("run", LEADING, "--input", "{}")
    (found,) = desk("specialists", "Asking", "--workflow", LEADING, "--json").json
    assert (found["status"], found["calls"][0]["at"]) == ("waiting", "waiting")


def test_disabled_goes_before_all_else() -> None:
    """Whoever asks whether it will be called is told first that it will not."""
    assert Doing(last="completed", off=Switched("cut", False, "ana", "w")).status == "disabled"


@pytest.fixture(params=["free", "held"])
def desk_of(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Desk]:
    """The log is free, or another process holds it whose run takes an hour."""
    desk.run(text="tea")
    if request.param == "free":
        yield desk
        return
    with process("run", QUICK, "--input", '{"seconds": 3600}', "--json", cwd=desk.here) as worker:
        until(lambda: Path("statecore.db.sock").exists() and len(desk("runs", "--json").json) == 2)
        yield desk
        worker.kill()


def test_one_specialist_is_disabled_and_enabled_alone(desk_of: Desk) -> None:
    """From the command line, also where another process holds the log, which obeys at once."""
    refs = ("--workflow", QUICK, "--workflow", PAYING)
    said = desk_of("specialists", "work@1", *refs, "--disable", "--by", "ana", "--why", "it hangs")
    assert said.code == 0 and said.out.startswith("work@1  disabled\n") and "disabled by ana: it hangs" in said.out
    assert [e["name"] for e in desk_of("specialists", *refs, "--json").json if e["status"] == "disabled"] == ["work"]
    again = desk_of("specialists", "work", *refs, "--disable", "--by", "ana", "--why", "it hangs")
    assert again.code == 0 and "note: work was disabled already" in again.err
    assert "disabled" not in desk_of("specialists", "work", *refs, "--enable", "--by", "ana", "--why", "mended").out


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["nobody"], "no specialist nobody in the loaded workflows (there are: work@1)"),
        (["work", "--disable"], "expected NAME, --by and --why with --disable"),
        (["work", "--enable", "--disable", "--by", "a", "--why", "w"], "expected --enable or --disable, found both"),
        (["--enable", "--by", "a", "--why", "w"], "expected NAME, --by and --why with --enable"),
        (["work", "--disable", "--by", "a", "--why", "w"], "there is no database"),
    ],
)
def test_a_wrong_request_is_told(desk: Desk, arguments: list[str], wrong: str) -> None:
    """Nobody of that name, nobody who says so, no database: exit code 2 and the remedy."""
    said = desk("specialists", *arguments, "--workflow", QUICK)
    assert said.code == 2 and wrong in said.err


def test_without_a_workflow_nothing_is_listed_and_the_remedy_is(desk: Desk) -> None:
    """An empty list says how to fill it, and nothing of the library's own demo is in it."""
    said = desk("specialists")
    assert said.code == 0 and "name a workflow with --workflow" in said.out
