"""`statecore demo`: a real review of a real change, whose worker is killed half-way and which finishes from its log."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs
import click
import msgspec

from specialists.change import ChangeRequest
from statecore import present
from statecore.call import CallState
from statecore.demo import ChangeReview
from statecore.demo.sample import make_sample
from statecore.events import Moved
from statecore.failpoint import VARIABLE, Point
from statecore.graph import draw
from statecore.inquiry import listing, shown
from statecore.log import Turn
from statecore.run import Run

Say = Callable[[str], None]

KILLED_AT = f"{Point.BEFORE_CALL}:2:stop"
"""The worker stops itself with its second call started in the log and no outcome there; the kill comes from outside."""

PATIENCE = 60.0
"""Seconds after which a worker that neither stops nor ends is given up."""


def demonstrate(repository: str | None, revision: str | None, database: Path | None, say: Say) -> int:
    """Run it all and give the exit code: 0 where the run came to its end after the kill."""
    database = (database or Path(tempfile.mkdtemp(prefix="statecore-demo-")) / "statecore.db").absolute()
    request = _request(repository, revision, database.parent)
    before = _runs(database)
    _title(say, "1", f"a worker reviews {request.revision} of {request.repository}")
    killed = _work_until_killed(request, database)
    name = next((run for run in _runs(database) if run not in before), "")
    if not name:
        say("the worker ended before it began a run")
        return 2
    run, turns = asyncio.run(shown(database, name, None))
    _tell(say, turns)
    if killed:
        cut = next(call for call in run.calls.values() if call.status is CallState.STARTED)
        _title(say, "2", f"SIGKILL: {cut.id} was started, its outcome never came, and process {killed} is gone")
        say(f"    the log has {run.seq} events; the run is rebuilt from them and from nothing else")
        _title(say, "3", "`statecore resume` takes it up from the log")
        _statecore("resume", name, "--db", str(database))
        seen = len(turns)
        run, turns = asyncio.run(shown(database, name, None))
        _tell(say, turns, skip=seen)
    _conclude(say, run, turns, database)
    return 0 if run.outcome else 1


def _title(say: Say, number: str, text: str) -> None:
    say(click.style(f"\n{number}  {present.visible(text)}", bold=True))


def _tell(say: Say, turns: list[Turn], skip: int = 0) -> None:
    narrator = present.Narrator()
    for number, turn in enumerate(turns):
        for line in narrator.tell(turn):
            if number >= skip:
                say(line)


def _request(repository: str | None, revision: str | None, directory: Path) -> ChangeRequest:
    """What was asked for; else the last commit of this directory's checkout; else a repository made on the spot."""
    if repository is not None:
        return ChangeRequest(str(Path(repository).absolute()), revision or "HEAD")
    here = Path.cwd()
    found = subprocess.run(["git", "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], cwd=here, capture_output=True, check=False)
    return ChangeRequest(str(here), "HEAD") if found.returncode == 0 else make_sample(directory / "sample")


def _runs(database: Path) -> list[str]:
    return [line["run"] for line in asyncio.run(listing(database))] if database.exists() else []


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "statecore", *arguments]


def _statecore(*arguments: str) -> None:
    subprocess.run(_command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)


def _work_until_killed(request: ChangeRequest, database: Path) -> int:
    """Start a worker, wait until it stops at the failpoint, kill it. Its process id; 0 where it ended by itself."""
    arguments = _command("run", "statecore.demo:ChangeReview", "--input", "-", "--db", str(database))
    quiet = subprocess.DEVNULL
    worker = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env={**os.environ, VARIABLE: KILLED_AT})
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(attrs.asdict(request)).encode())
    worker.stdin.close()
    _, status = os.waitpid(worker.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        worker.returncode = os.waitstatus_to_exitcode(status)
        return 0
    worker.send_signal(signal.SIGKILL)
    worker.wait(PATIENCE)
    return worker.pid


def _conclude(say: Say, run: Run, turns: list[Turn], database: Path) -> None:
    _title(say, "4", f"the run is {run.condition}: the path it took")
    for line in _chart(run, turns):
        say(line)
    drawing = database.with_name("change-review.svg")
    taken = dict(run.taken)
    drawing.write_text(draw(ChangeReview.machine.chart, "svg", current=run.config.states, taken=taken), encoding="utf-8")
    say("")
    for value in run.values:
        if value.payload.contract == "Published":
            say(f"    report   {msgspec.json.decode(value.payload.data)['path']}")
    say(f"    chart    {drawing}")
    say(f"    log      statecore log {run.id} --db {database}")


def _chart(run: Run, turns: list[Turn]) -> list[str]:
    """The states in the order in which they were entered, what each did and how long; then those that were not."""
    chart = ChangeReview.machine.chart
    work = {done.call.rpartition("#")[0]: done for done in present.work(turns)}
    entered: list[str] = []
    out = []
    for move in (event for turn in turns for event in turn.events if isinstance(event, Moved)):
        for name in move.transitions:
            why = ", ".join(f"{text} = {'yes' if yes else 'no'}" for text, yes in move.asked)
            out.append(f"    |  {name}" + (f"  ({why})" if why else ""))
        for state in move.entered:
            entered.append(state)
            out.append(f"    {'O' if chart.nodes[state].final else 'o'}  {_did(chart.nodes[state].says, state, work.get(state))}")
    rest = [path for path in chart.nodes if path not in entered]
    return [*out, f"       not entered: {', '.join(rest)}"]


def _did(says: str, state: str, work: present.Work | None) -> str:
    if work is None:
        return f"{state:<12} {says}"
    calls = "called once" if work.dispatched == 1 else f"called {work.dispatched} times"
    cut = "   <- cut by the kill, called again with the same key" if work.cuts else ""
    return f"{state:<12} {work.specialist:<18} {calls:<15} {present.took(work.seconds):>8}  {work.ended}{cut}"
