"""The demo: a real change, a worker that is really killed, and a run that finishes from its log."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from statecore.demo import show
from statecore.demo.sample import make_sample
from tests.desk import Desk


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return Desk(here, capfd, monkeypatch)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """The workers that the demo starts."""
    seen: list[subprocess.Popen[bytes]] = []
    real = show._killed_when_stopped

    def watched(worker: "subprocess.Popen[bytes]") -> bool:
        seen.append(worker)
        return real(worker)

    monkeypatch.setattr(show, "_killed_when_stopped", watched)
    return seen


def log_of(out: str) -> list[str]:
    """The command that the demo prints last, to be typed."""
    return next(line for line in out.splitlines() if line.startswith("    log ")).split()[2:]


def test_where_there_is_no_history_a_sample_is_reviewed_through_a_kill(
    desk: Desk, workers: list["subprocess.Popen[bytes]"]
) -> None:
    """The worker dies of SIGKILL, the log has the cut, and all of it takes less than five seconds."""
    begun = time.monotonic()
    said = desk("demo")
    assert said.code == 0
    assert time.monotonic() - begun < 5 or os.getloadavg()[0] > (os.cpu_count() or 1)
    [worker] = workers
    assert worker.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
    cut = re.search(
        r"SIGKILL: (\S+) and (\S+) were started, their outcomes never came, and process (\d+) is gone", said.out
    )
    assert cut is not None and int(cut[3]) == worker.pid
    assert "the run is completed" in said.out and said.out.count("called twice") == 2
    log = desk(*log_of(said.out), "--json")
    events = [event for line in log.out.splitlines() for event in json.loads(line)["events"]]
    started = [(e["call"], e["cuts"]) for e in events if e["event"] == "CallStarted"]
    assert {call for call, cuts in started if cuts} == {cut[1], cut[2]}
    assert len(started) == len({call for call, _ in started}) + 2, "what was done before the kill is done once"
    report = next(line for line in said.out.splitlines() if line.startswith("    report ")).split()[1]
    assert Path(report).read_text().startswith("#")
    assert list(desk.here.iterdir()) == []


def test_in_a_checkout_its_last_commit_is_reviewed(desk: Desk) -> None:
    """Nothing is written into the checkout."""
    make_sample(desk.here)
    before = sorted(path.name for path in desk.here.iterdir())
    said = desk("demo")
    assert said.code == 0
    assert f"a worker reviews HEAD of {desk.here}" in said.out
    assert sorted(path.name for path in desk.here.iterdir()) == before


def test_a_database_may_be_named_and_used_again(desk: Desk) -> None:
    """Two demos are two runs in one log."""
    make_sample("repo")
    for revision in ("HEAD", "HEAD~1"):
        said = desk("demo", "repo", revision, "--db", "my demo.db")
        assert said.code == 0 and "--db '" in said.out
    assert [line["condition"] for line in desk("runs", "--db", "my demo.db", "--json").json] == ["completed"] * 2


@pytest.mark.parametrize(
    ("repository", "revision", "fault"),
    [
        ("repo", "nosuch", "NoSuchRevision"),
        ("nowhere", "HEAD", "NoSuchRepository"),
        ("repo", "--all", "NoSuchRevision"),
    ],
)
def test_what_cannot_be_reviewed_is_said_without_a_kill(desk: Desk, repository: str, revision: str, fault: str) -> None:
    """The run failed with a reason, and the exit code says that nothing was shown."""
    make_sample("repo")
    said = desk("demo", "--", repository, revision)
    assert said.code == 1
    assert f"failed   {fault}" in said.out and "the worker was not killed" in said.out


def test_without_git_it_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and what to do."""
    monkeypatch.setenv("PATH", "")
    said = desk("demo")
    assert (
        said.code == 2
        and said.err == "error: the demo reviews a git change, and there is no git on PATH: install git\n"
    )


def test_a_database_that_cannot_be_made_is_said_in_the_workers_words(desk: Desk) -> None:
    """The worker could not begin, and why."""
    make_sample("repo")
    said = desk("demo", "repo", "--db", "/proc/nothing/x.db")
    assert said.code == 2 and "the worker ended before it began a run: error:" in said.err


def test_without_the_extra_it_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ruff and unidiff come with statecore[change]."""
    monkeypatch.setitem(sys.modules, "statecore.demo.show", None)
    said = desk("demo")
    assert said.code == 2 and "pip install 'statecore[change]'" in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_worker_is_left_behind_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM or a closed terminal while the worker stands still: it is killed first, then the demo ends."""
    seen: list[subprocess.Popen[bytes]] = []

    def interrupted(worker: "subprocess.Popen[bytes]") -> Any:
        seen.append(worker)
        os.waitpid(worker.pid, os.WUNTRACED)
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr(show, "_killed_when_stopped", interrupted)
    make_sample("repo")
    said = desk("demo", "repo")
    assert said.code == 130
    assert seen[0].returncode == -signal.SIGKILL
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
