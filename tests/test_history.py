"""How a run came to be where it is, as `show` and `runs` tell it."""

from pathlib import Path

import pytest

from statecore.history import STEPS, shortened
from statecore.wording import moment
from tests.desk import Desk, process, until
from tests.playground import ASKING, LEADING, QUICK

RATED = "tests.people:Rated"


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def test_a_path_of_any_length_is_one_short_line() -> None:
    """A step that is repeated is told once with its count, and a long path is cut in the middle, saying by how much."""
    assert shortened(["open", *["-bid-> open"] * 1500, "-sold-> sold"]) == "open -bid-> open x1,500 -sold-> sold"
    steps = [f"-{n}-> s" for n in range(1000)]
    whole, cut = shortened(steps[:STEPS]), shortened(steps)
    assert whole == " ".join(steps[:STEPS])
    assert cut.startswith("-0-> s -1-> s ") and cut.endswith(" -998-> s -999-> s")
    assert f" ... {1000 - STEPS} more steps ... " in cut and len(cut) < 20 * STEPS


def test_a_finished_run_says_when_it_was_over(desk: Desk) -> None:
    """In a line of its own, and in JSON, where it is null while the run is open."""
    run, waiting = desk.run(), desk.run(ASKING)
    shown, open_ = desk("show", run, "--json").json, desk("show", waiting, "--json").json
    assert shown["finished"] == shown["at"] and shown["outcome"] == "completed"
    assert f"\nfinished  {moment(shown['at'])}\n" in desk("show", run).out
    assert open_["finished"] is open_["outcome"] is open_["forked"] is None
    assert "finished  " not in desk("show", waiting).out + desk("show", run, "--at", "2").out


def test_a_fork_says_that_it_is_one(desk: Desk) -> None:
    """In `show` and `runs`, in text and in JSON: of which run, and after how many of its events."""
    run = desk.run(ASKING)
    fork = desk("fork", run, "--at", "5", "--by", "me", "--why", "w", "--workflow", ASKING, "--json").json["run"]
    assert f"\nforked    from {run} at 5\n" in desk("show", fork).out
    assert desk("show", fork, "--json").json["forked"] == {"run": run, "at": 5}
    header, first, second = desk("runs").out.splitlines()
    assert header.endswith("  forked from") and second.endswith(f"  {run} at 5") and not first.endswith("at 5")
    assert [line["forked"] for line in desk("runs", "--json").json] == [None, {"run": run, "at": 5}]


def test_a_call_that_begins_anew_in_a_fork_was_not_cut_there(desk: Desk) -> None:
    """What was in flight where the run was forked is told to begin anew; no crash had cut it."""
    worker = process("run", QUICK, "--input", '{"seconds": 0.5}', cwd=desk.here)
    run = until(
        lambda: (runs := desk.here.joinpath("statecore.db.sock").exists() and desk("runs", "--json").json) and runs
    )
    worker.communicate()
    said = desk("fork", run[0]["run"], "--at", "3", "--by", "me", "--why", "w", "--workflow", QUICK)
    assert said.code == 0 and "calls work@1 (pure), anew in the fork" in said.err and "after 1 cut" not in said.err


def test_resume_is_the_next_step_only_where_a_process_has_something_to_do(desk: Desk) -> None:
    """A run that waits for a person or a signal, itself or below it, is not sent to `resume` beside `asks` and `answer`;
    one that was cut is.
    """
    person, signal = desk.run(RATED, title="Owls"), desk.run(ASKING)
    child = desk.run(LEADING)
    for run in (person, signal, child):
        assert "worker" not in desk("show", run).out
    worker = process("run", QUICK, "--input", '{"seconds": 3600}', cwd=desk.here)
    until(lambda: len(desk("runs", "--json").json) > 4)
    worker.kill()
    worker.communicate()
    cut = desk("runs", "--json").json[-1]["run"]
    assert f"`statecore resume {cut}` goes on" in desk("show", cut).out


def test_a_run_that_waits_for_a_disabled_specialist_says_how_it_is_enabled(desk: Desk) -> None:
    """The command that is printed puts the specialist back as it stands, whatever workflows are loaded."""
    desk.run()
    desk("specialists", "work", "--workflow", QUICK, "--disable", "--by", "me", "--why", "it hangs")
    paused = desk("run", QUICK, "--input", "{}")
    command = paused.out.rpartition("`statecore ")[2].partition("`")[0]
    assert command == f"specialists work --enable --by YOU --why TEXT --workflow {QUICK}"
    run = desk("runs", "--json").json[-1]["run"]
    shown = desk("show", run).out
    assert "held because work was disabled by me: it hangs: `statecore specialists work --enable --by YOU" in shown
    assert desk("specialists", "work", "--enable", "--by", "me", "--why", "mended").out == "work  enabled\n"
    assert desk("specialists", "work", "--enable", "--by", "me", "--why", "mended").code == 2
    assert desk("resume", "--workflow", QUICK).code == 0
