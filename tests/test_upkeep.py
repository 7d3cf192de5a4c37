"""The commands about the log itself: in this process, and through the one that holds the log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk import Desk, process, until
from tests.playground import QUICK


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


@pytest.fixture(params=["free", "held"])
def desk_of(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Desk]:
    """The log is free, or another process holds it whose run takes an hour."""
    if request.param == "free":
        yield desk
        return
    with process("run", QUICK, "--input", '{"seconds": 3600}', "--json", cwd=desk.here) as worker:
        until(lambda: Path("statecore.db.sock").exists() and desk("runs", "--json").json)
        yield desk
        worker.kill()


def mine(desk: Desk) -> list[str]:
    return [line["run"] for line in desk("runs", "--json").json if line["condition"] != "running"]


def everywhere(desk: Desk) -> bytes:
    return b"".join(path.read_bytes() for path in desk.here.glob("statecore.db*") if path.is_file())


def test_runs_are_exported_and_imported(desk_of: Desk) -> None:
    """What one database wrote is in another: listed, shown and verified; a second time it is refused and named."""
    run = desk_of.run(text="tea") if not Path("statecore.db.sock").exists() else ""
    exported = desk_of("export", "--db", "other.db")
    assert exported.code == 2 and "there is no database other.db" in exported.err
    made = desk_of.run(QUICK, "--db", "other.db", text="coffee")
    text = desk_of("export", made[:6], "--db", "other.db").out
    (desk_of.here / "runs.jsonl").write_text(text)
    said = desk_of("import", "runs.jsonl")
    assert (said.code, said.out) == (0, "1 run imported\n"), said.err
    assert mine(desk_of) == [*([run] if run else []), made]
    assert "coffee" in desk_of("show", made).out
    assert desk_of("verify", made, "--workflow", QUICK).code == 0
    again = desk_of("import", "runs.jsonl", "--json")
    assert again.code == 2 and f"{made} was expected at version 0" in again.err


def test_an_export_that_cannot_be_read_is_named(desk: Desk) -> None:
    """A file that is missing, or that is no export, is said with its name or line, and no database changes."""
    desk.run(text="tea")
    assert "does not exist" in desk("import", "none.jsonl").err
    (desk.here / "bad.jsonl").write_text("hello\n")
    said = desk("import", "bad.jsonl")
    assert said.code == 2 and "line 1 is not of an export" in said.err
    assert len(mine(desk)) == 1


def test_a_finished_run_is_erased(desk_of: Desk) -> None:
    """What it was about is in no file of the database any more; what it did, and who erased it, is shown."""
    made = desk_of.run(QUICK, "--db", "other.db", text="the secret of tea")
    (desk_of.here / "runs.jsonl").write_text(desk_of("export", "--db", "other.db").out)
    desk_of("import", "runs.jsonl")
    (desk_of.here / "runs.jsonl").unlink()
    assert b"secret of tea" in everywhere(desk_of)
    said = desk_of("erase", made[:8], "--by", "ann", "--why", "asked to")
    assert (said.code, said.out) == (0, f"the payloads of {made} are erased\n"), said.err
    assert b"secret of tea" not in everywhere(desk_of)
    told = desk_of("log", made).out
    assert "worked -> done" in told and "payloads erased, said ann: asked to" in told and "(erased)" in told
    assert desk_of("show", made, "--json").json["condition"] == "completed"
    verified = desk_of("verify", made)
    assert verified.code == 0 and "they were erased" in verified.err
    assert desk_of("erase", made, "--by", "ann", "--why", "again", "--json").json == [made]


def test_what_goes_on_or_is_not_there_is_not_erased(desk: Desk) -> None:
    """An unknown run and one that is not finished are refused with the reason."""
    desk.run(text="tea")
    assert desk("erase", "zzz", "--by", "ann", "--why", "w").code == 2
    with process("run", QUICK, "--input", '{"seconds": 3600}', cwd=desk.here) as worker:
        running = until(lambda: [line["run"] for line in desk("runs", "--json", "--open").json])[0]
        said = desk("erase", running, "--by", "ann", "--why", "w")
        worker.kill()
    assert said.code == 2 and "is running and needs its payloads" in said.err


def test_old_runs_are_purged(desk_of: Desk) -> None:
    """Those that are old enough leave the list; what is known of them is told where they are asked for."""
    made = desk_of.run(QUICK, "--db", "other.db", text="tea")
    (desk_of.here / "runs.jsonl").write_text(desk_of("export", "--db", "other.db").out)
    desk_of("import", "runs.jsonl")
    assert desk_of("purge", "--older-than", "1h").out == "0 runs purged\n"
    assert desk_of("purge", "--older-than", "0s", "--by", "ann", "--why", "tidy", "--json").json == [made]
    assert mine(desk_of) == []
    shown = desk_of("show", made)
    assert (
        shown.code == 2
        and f"{made} is not in this log any more: was purged on" in shown.err
        and "ann: tidy" in shown.err
    )
    verified = desk_of("verify", made)
    assert verified.code == 0 and "was purged on" in verified.err
    assert desk_of("verify").code == 0


def test_the_age_may_be_configured(desk: Desk) -> None:
    """`[log] keep` of statecore.toml is taken where no age is given, and by every command that works on the log."""
    first = desk.run(text="tea")
    assert "expected how old" in desk("purge").err
    Path("statecore.toml").write_text('[log]\nkeep = "30d"\n')
    assert desk("purge").out == "0 runs purged\n"
    Path("statecore.toml").write_text('[log]\nkeep = "0s"\n')
    desk("resume")
    assert first not in mine(desk)
    Path("statecore.toml").write_text("[log]\nkeep = 30\n")
    assert "keep of [log]: expected an age like" in desk("purge").err
    assert "keep of [log]" in desk("resume").err


def test_the_file_gives_back_its_room(desk_of: Desk) -> None:
    """`doctor --vacuum` makes the file of purged runs smaller, also through the process that holds it."""
    made = desk_of.run(QUICK, "--db", "other.db", text="tea" * 100_000)
    (desk_of.here / "runs.jsonl").write_text(desk_of("export", "--db", "other.db").out)
    desk_of("import", "runs.jsonl")
    assert desk_of("purge", "--older-than", "0s", "--json").json == [made]
    assert desk_of("doctor", "--vacuum").code == 0
    assert sum(path.stat().st_size for path in desk_of.here.glob("statecore.db*") if path.suffix != ".db-shm") < 400_000
