"""`statecore demo`: a real review of a real change, whose worker is killed half-way and which finishes from its log."""

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import msgspec

from specialists.change import ChangeRequest
from statecore import present, telling, wording
from statecore.call import CallState
from statecore.demo import ChangeReview
from statecore.demo.sample import make_sample
from statecore.errors import BadInput
from statecore.events import Moved, part_of, state_of
from statecore.failpoint import VARIABLE, Point
from statecore.graph import draw
from statecore.inquiry import listing, shown
from statecore.log import Turn
from statecore.run import Run

Say = Callable[[str], None]

REF = "statecore.demo:ChangeReview"
"""Named wherever it is meant: a workflow that nobody asked for is in no list of a user's own."""

KILLED_AT = f"{Point.BEFORE_CALL}:4:stop"
"""The worker stops itself with its fourth call started in the log and no outcome there; the kill comes from outside. Of
a change with Python in it that is the third of the plan: one is done, two are in flight. Of another it is the report.
"""

PATIENCE = 60.0
"""Seconds after which a worker that neither stops nor ends is given up."""


def demonstrate(repository: str | None, revision: str | None, database: Path | None, say: Say, title: Say) -> int:
    """Run it all. The exit code: 0 where a worker was killed and its run came to an end, 1 where it was not.

    Raises BadInput where there is no git, or the worker cannot begin a run.
    """
    if shutil.which("git") is None:
        raise BadInput("the demo reviews a git change, and there is no git on PATH: install git")
    database = (database or Path(tempfile.mkdtemp(prefix="statecore-demo-")) / "statecore.db").absolute()
    request = _request(repository, revision, database.parent)
    before = set(_runs(database))
    title(f"1  a worker reviews {request.revision} of {request.repository}")
    with _worker(request, database) as worker:
        killed = _killed_when_stopped(worker)
        assert worker.stderr is not None
        complaint = worker.stderr.read().decode(errors="replace").strip()
    name = next((run for run in _runs(database) if run not in before), "")
    if not name:
        raise BadInput(f"the worker ended before it began a run: {complaint}")
    found = asyncio.run(shown(database, name))
    _tell(say, found.turns)
    if killed:
        cut = [call.id for call in found.run.calls.values() if call.status is CallState.STARTED]
        were, its = ("was", "its outcome") if len(cut) == 1 else ("were", "their outcomes")
        title(f"2  SIGKILL: {' and '.join(cut)} {were} started, {its} never came, and process {worker.pid} is gone")
        say(f"    the log has {found.run.seq} events; the run is rebuilt from them and from nothing else")
        title("3  `statecore resume` takes it up from the log")
        _statecore("resume", name, "--workflow", REF, "--db", str(database))
        seen = len(found.turns)
        found = asyncio.run(shown(database, name))
        _tell(say, found.turns, skip=seen)
    title(f"4  the run is {found.run.condition}: the path it took")
    _conclude(say, found.run, found.turns, database)
    if not killed:
        say("\nthe worker was not killed: its run was over before there was a fourth call to kill it in")
    return 0 if killed and found.run.outcome else 1


def _tell(say: Say, turns: list[Turn], skip: int = 0) -> None:
    narrator = telling.Narrator()
    for number, turn in enumerate(turns):
        for line in narrator.tell(turn):
            if number >= skip:
                say(line)


def _request(repository: str | None, revision: str | None, directory: Path) -> ChangeRequest:
    """What was asked for; else the last commit of this directory's checkout; else a repository made on the spot."""
    if repository is not None:
        return ChangeRequest(str(Path(repository).absolute()), revision or "HEAD")
    here = Path.cwd()
    asked = ["git", "rev-parse", "--verify", "--quiet", "HEAD^{commit}"]
    found = subprocess.run(asked, cwd=here, capture_output=True, check=False)
    return ChangeRequest(str(here), "HEAD") if found.returncode == 0 else make_sample(directory / "sample")


def _runs(database: Path) -> list[str]:
    return [line["run"] for line in asyncio.run(listing(database))[0]] if database.exists() else []


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "statecore", *arguments]


def _statecore(*arguments: str) -> None:
    subprocess.run(_command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)


@contextmanager
def _worker(request: ChangeRequest, database: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that runs the review; it does not outlive the block, whatever ends that."""
    arguments = _command("run", REF, "--input", "-", "--db", str(database))
    pipe, armed = subprocess.PIPE, {**os.environ, VARIABLE: KILLED_AT}
    with (
        _stopped_by_signals(),
        subprocess.Popen(arguments, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, env=armed) as worker,
    ):
        try:
            assert worker.stdin is not None
            worker.stdin.write(json.dumps(attrs.asdict(request)).encode())
            worker.stdin.close()
            yield worker
        finally:
            worker.kill()


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block as Ctrl-C does."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _killed_when_stopped(worker: "subprocess.Popen[bytes]") -> bool:
    """Wait until the worker stops at the failpoint, and kill it; False where it ended by itself."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        pid, status = os.waitpid(worker.pid, os.WUNTRACED | os.WNOHANG)
        if pid and os.WIFSTOPPED(status):
            worker.kill()
            return worker.wait(PATIENCE) == -signal.SIGKILL
        if pid:
            worker.returncode = os.waitstatus_to_exitcode(status)
            return False
        time.sleep(0.01)
    return False


def _conclude(say: Say, run: Run, turns: list[Turn], database: Path) -> None:
    for line in _chart(run, turns):
        say(line)
    drawing = database.with_name("change-review.svg")
    taken = dict(run.taken)
    drawing.write_text(
        draw(ChangeReview.machine.chart, "svg", current=run.config.states, taken=taken), encoding="utf-8"
    )
    say("")
    for value in run.values:
        plain = msgspec.json.decode(value.payload.data)
        if value.payload.contract == "Review":
            say(f"    review   {plain['verdict']}: {plain['summary']}")
        elif value.payload.contract == "Published":
            say(f"    report   {plain['path']}")
    if run.outcome == "failed" and run.result is not None and run.result.contract != "Published":
        say(f"    failed   {wording.summary(run.result, 400)}")
    say(f"    chart    {drawing}")
    say(f"    log      statecore log {run.id} --db {shlex.quote(str(database))}")
    say(f"    why      statecore trace {run.id} --db {shlex.quote(str(database))}")


def _chart(run: Run, turns: list[Turn]) -> list[str]:
    """The states in the order in which they were entered, what each did and how long; then those that were not."""
    chart = ChangeReview.machine.chart
    work: dict[str, list[present.Work]] = {}
    for done in present.work(turns):
        work.setdefault(state_of(done.call), []).append(done)
    entered: list[str] = []
    out = []
    for move in (event for turn in turns for event in turn.events if isinstance(event, Moved)):
        for name in move.transitions:
            why = ", ".join(f"{text} = {'yes' if yes else 'no'}" for text, yes in move.asked)
            out.append(f"    |  {name}" + (f"  ({why})" if why else ""))
        for state in move.entered:
            entered.append(state)
            mark = "O" if chart.nodes[state].final else "o"
            lines = list(_did(chart.nodes[state].says, state, work.get(state, [])))
            out += [f"    {mark}  {lines[0]}", *(f"    |  {line}" for line in lines[1:])]
    rest = [path for path in chart.nodes if path not in entered]
    return [*out, f"       not entered: {', '.join(rest)}"]


def _did(says: str, state: str, work: list[present.Work]) -> Iterator[str]:
    """What a state did; of one with a plan, what each of its calls did."""
    alone = len(work) == 1 and not part_of(work[0].call)
    if not alone:
        yield f"{state:<12} {says}"
    width = max((len(part_of(done.call)) for done in work), default=0)
    for done in work:
        yield f"{state:<12} {_called(done)}" if alone else f"  {part_of(done.call):<{width}}  {_called(done)}"


def _called(work: present.Work) -> str:
    calls = (
        "called once"
        if work.dispatched == 1
        else "called twice"
        if work.dispatched == 2
        else f"called {work.dispatched} times"
    )
    cut = "   <- cut by the kill, called again with the same key" if work.cuts else ""
    return f"{work.specialist:<18} {calls:<15} {wording.took(work.seconds):>8}  {work.ended}{cut}"
