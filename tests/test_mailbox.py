"""Two processes and one log: what the second one asks for is done by the first, whatever happens to either of them."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from statecore import Engine, errors, mailbox
from statecore.errors import BadInput, LogError, LogHeld, NotPossible, StatecoreError, UnknownRun
from statecore.log import MemoryLog
from statecore.mailbox import NobodyThere, Unanswered, beside, connected, served, serving
from statecore.operations import Operator
from statecore.session import Progress, carry_out
from statecore.sqlite import SqliteLog
from tests.desk import Desk, ended, process, stop, until
from tests.playground import PAYING, QUICK, Asking, Errand, Quick


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


@pytest.fixture
def holder(desk: Desk) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds the log, because its run takes an hour."""
    worker = process("run", QUICK, "--input", '{"seconds": 3600}', "--json", cwd=desk.here)
    until(lambda: Path("statecore.db.sock").exists() and desk("runs", "--json").json)
    yield worker
    worker.kill()
    worker.communicate()


def first(desk: Desk) -> str:
    return str(desk("runs", "--json").json[0]["run"])


# -- through the socket


def test_a_run_is_handed_to_the_process_that_holds_the_log(desk: Desk, holder: "subprocess.Popen[bytes]") -> None:
    """It is told, answered and coded as if it had been done here; of the holder's own run nothing is told."""
    said = desk("run", QUICK, "--input", '{"text": "tea"}', "--tenant", "south")
    assert said.code == 0
    assert f"process {holder.pid} holds the log and does the work" in said.err
    assert "worked -> done" in said.err and first(desk) not in said.err
    assert 'completed in done\nresult    Done {"text":"tea"}\n' in said.out
    assert desk("run", QUICK, "--input", '{"text": "fail"}').code == 1
    assert desk("run", QUICK, "--input", '{"text": "tea"}', "--json").json["result"]["value"] == {"text": "tea"}
    assert [line["tenant"] for line in desk("runs", "--json").json] == ["", "south", "", ""]
    assert holder.poll() is None


def test_the_socket_is_its_owners_alone(holder: "subprocess.Popen[bytes]") -> None:
    """Mode 0600: no other user may put words into the log."""
    assert stat.S_IMODE(Path("statecore.db.sock").stat().st_mode) == 0o600


def test_a_run_is_cancelled_in_the_process_that_works_on_it(desk: Desk, holder: "subprocess.Popen[bytes]") -> None:
    """Both say so, and the holder, which has nothing left to do, ends."""
    said = desk("cancel", first(desk), "--by", "me", "--why", "enough")
    assert said.code == 1 and "cancelled in working" in said.out and ", said" not in said.out
    other = ended(holder)
    assert other.code == 1 and other.json["condition"] == "cancelled"


def test_a_parked_call_is_answered_through_the_holder(desk: Desk) -> None:
    """The workflow is loaded there as the client names it."""
    cut = process("run", PAYING, "--input", '{"text": "p1"}', cwd=desk.here)
    until(lambda: Path("paid").exists())
    cut.kill()
    cut.communicate()
    parked = first(desk)
    worker = process("run", QUICK, "--input", '{"seconds": 3600}', cwd=desk.here)
    try:
        until(lambda: served_now(desk.here))
        assert desk("resume", parked, "--workflow", PAYING).code == 3
        value = ["answer", parked, "paying", '{"id": "p1"}', "--by", "me", "--why", "asked"]
        said = desk(*value, "--workflow", PAYING)
        assert said.code == 0 and 'result    Paid {"id":"p1"}' in said.out
        again = desk(*value, "--workflow", PAYING)
        assert again.code == 2 and "a finished run does not change" in again.err
    finally:
        worker.kill()
        worker.communicate()


def served_now(here: Path) -> int:
    return asyncio.run(served(beside(here / "statecore.db")))


def test_a_fault_of_the_request_is_told_to_the_client(desk: Desk, holder: "subprocess.Popen[bytes]") -> None:
    """With the exit code and the words that it would have had here."""
    said = desk("answer", first(desk), "working", "done", "--by", "me", "--why", "w")
    assert said.code == 2 and "a parked call settled, by hand" in said.err
    said = desk("answer", first(desk), "other", "done", "--by", "me", "--why", "w")
    assert said.code == 2 and said.err.startswith("not found: ")
    assert holder.poll() is None


def test_a_resume_of_everything_waits_for_what_the_holder_works_on(
    desk: Desk, holder: "subprocess.Popen[bytes]"
) -> None:
    """The runs that are open there are the runs that it is about."""
    client = process("resume", cwd=desk.here)
    assert client.stderr is not None
    assert b"holds the log and does the work" in client.stderr.readline()
    assert client.poll() is None
    assert desk("cancel", first(desk), "--by", "me", "--why", "w").code == 1
    assert ended(client).code == 1
    ended(holder)


def test_a_long_path_and_a_long_name_have_a_socket(desk: Desk) -> None:
    """More than the 108 bytes that a socket's name may have."""
    place = desk.here / ("d" * 120)
    place.mkdir()
    for name in ("short.db", f"{'n' * 200}.db"):
        worker = process("run", QUICK, "--input", '{"seconds": 3600}', "--db", str(place / name), cwd=desk.here)
        try:
            until(lambda name=name: asyncio.run(served(beside(place / name))))  # type: ignore[misc]
            assert desk("run", QUICK, "--input", "{}", "--db", str(place / name)).code == 0
        finally:
            worker.kill()
            worker.communicate()


# -- when one of them goes


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_holder_that_ends_in_the_middle_is_noticed(
    desk: Desk, holder: "subprocess.Popen[bytes]", number: signal.Signals
) -> None:
    """The client does not hang: it says what happened, that the run is not at rest, and how to go on."""
    client = process("run", QUICK, "--input", '{"seconds": 60, "text": "tea"}', cwd=desk.here)
    run = until(lambda: len(runs := desk("runs", "--json").json) == 2 and runs[1]["run"])
    time.sleep(0.1)
    holder.send_signal(number)
    said = ended(client)
    assert said.code == 3
    assert f"process {holder.pid} ended before the work was done" in said.err
    assert f"run       {run}  Quick 1  running in working" in said.out
    assert said.err.endswith(f"nothing is lost: `statecore resume {run} --workflow {QUICK}` goes on\n")
    ended(holder)
    assert desk("cancel", run, "--by", "me", "--why", "w", "--workflow", QUICK).code == 1


def test_a_client_that_goes_stops_nothing(desk: Desk, holder: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C at the client says who goes on with the work; and the work goes on."""
    client = process("run", QUICK, "--input", '{"seconds": 2, "text": "tea"}', cwd=desk.here)
    run = until(lambda: len(runs := desk("runs", "--json").json) == 2 and runs[1]["run"])
    time.sleep(0.1)
    said = stop(client)
    assert said.code == 130
    assert said.err.endswith(
        f"not watched any more; process {holder.pid} goes on with it: `statecore show {run}` looks\n"
    )
    until(lambda: desk("show", run, "--json").json["condition"] == "completed")


def test_a_socket_that_a_kill_left_behind_is_in_nobodys_way(desk: Desk, holder: "subprocess.Popen[bytes]") -> None:
    """The next command takes the log, and looks see that nobody is there."""
    holder.kill()
    holder.communicate()
    assert Path("statecore.db.sock").exists()
    assert "no statecore process works on it" in desk("doctor").out
    assert "process" not in desk("run", QUICK, "--input", "{}").err
    assert not Path("statecore.db.sock").exists()


def test_a_stopped_holder_is_said_to_be_silent(
    desk: Desk, holder: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client waits for it no longer than it must."""
    monkeypatch.setattr(mailbox, "PATIENCE", 0.3)
    monkeypatch.setattr(mailbox.connected.__wrapped__, "__defaults__", (0.3,))  # type: ignore[attr-defined]
    holder.send_signal(signal.SIGSTOP)
    said = desk("run", QUICK, "--input", "{}")
    assert said.code == 2 and "silent for 0.3 s: is it stopped?" in said.err
    assert desk("show", first(desk)).code == 0


@pytest.mark.parametrize(
    "command", [["run", QUICK, "--input", "{}"], ["cancel", "RUN", "--by", "me", "--why", "w"], ["resume"]]
)
def test_what_a_silent_holder_did_not_take_is_not_said_to_go_on(
    desk: Desk, holder: "subprocess.Popen[bytes]", command: list[str]
) -> None:
    """Who is waited for is said after a second; at Ctrl-C, that nothing was done and the request is to be sent again."""
    holder.send_signal(signal.SIGSTOP)
    client = process(*[first(desk) if word == "RUN" else word for word in command], cwd=desk.here)
    assert client.stderr is not None
    assert client.stderr.readline().decode() == f"process {holder.pid} holds the log and does not answer yet\n"
    said = stop(client)
    assert said.code == 130
    assert said.err == (
        f"stopped; process {holder.pid}, which holds the log, did not take the request: nothing of it was done, send it"
        " again\n"
    )
    assert len(desk("runs", "--json").json) == 1


async def test_what_may_have_been_taken_is_to_be_looked_up(desk: Desk) -> None:
    """At Ctrl-C between a request and its answer, the log says which it was, and the command that looks is printed."""
    async with await SqliteLog.open(desk.here / "statecore.db") as log:
        asked = asyncio.Event()

        async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'{"pid": 1}\n')
            await reader.readline()
            asked.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(never_answers, str(beside(log.path)))
        client = process("run", QUICK, "--input", "{}", cwd=desk.here)
        await asyncio.wait_for(asked.wait(), 20)
        said = await asyncio.to_thread(stop, client)
        server.close()
    assert said.code == 130
    assert said.err.startswith("stopped; whether the request was taken is in the log: `statecore show ")


def test_a_holder_finishes_what_was_handed_to_it(desk: Desk) -> None:
    """Its own run over, it says why it does not end yet, and takes requests as before."""
    worker = process("run", QUICK, "--input", '{"seconds": 1.5, "text": "own"}', cwd=desk.here)
    until(lambda: served_now(desk.here))
    client = process("run", QUICK, "--input", '{"seconds": 3, "text": "other"}', cwd=desk.here)
    assert worker.stderr is not None
    while b"done here; at work still on what other processes handed over" not in (line := worker.stderr.readline()):
        assert line, "the holder ended"
    third = desk("run", QUICK, "--input", "{}")
    assert third.code == 0 and f"process {worker.pid} holds the log and does the work" in third.err
    said, other = ended(worker), ended(client)
    assert (said.code, other.code) == (0, 0)
    assert 'Done {"text":"own"}' in said.out and 'Done {"text":"other"}' in other.out


async def test_thirty_pairs_that_meet_at_any_moment_are_all_done(tmp_path: Path) -> None:
    """One of two commands is just starting, working or just ending when the other comes: each run is done, and once."""
    database = tmp_path / "statecore.db"
    for n in range(30):
        pair = [command(database, f"{n}-{m}", after=m * n * 0.001) for m in range(2)]
        ended = await asyncio.wait_for(asyncio.gather(*pair), 10)
        assert [[(rested.run.id, rested.run.outcome) for rested in each] for each in ended] == [
            [(f"{n}-{m}", "completed")] for m in range(2)
        ]
    async with await SqliteLog.open(database, readonly=True) as log:
        assert len(await log.streams()) == 60


async def command(database: Path, run: str, after: float, **more: Any) -> Any:
    await asyncio.sleep(after)
    return await carry_out(database, {**starting(run), **more}, [Quick], Progress(lambda _: None))


def starting(run: str, **errand: Any) -> dict[str, Any]:
    named = {"do": "start", "run": run, "ref": QUICK, "fingerprint": Quick.machine.fingerprint}
    return {**named, "input": errand, "tenant": "", "refs": {}}


def test_ten_processes_at_once_are_all_done(desk: Desk) -> None:
    """Whoever comes first does the work of the others."""
    workers = [process("run", QUICK, "--input", '{"seconds": 0.05}', cwd=desk.here) for _ in range(10)]
    assert [ended(worker, 40).code for worker in workers] == [0] * 10
    assert [line["condition"] for line in desk("runs", "--json").json] == ["completed"] * 10
    assert desk("verify", "--workflow", QUICK).code == 0


# -- strangers at the door


@asynccontextmanager
async def door(path: Path) -> AsyncIterator[Engine]:
    async with Engine(MemoryLog(), [Quick]) as engine, serving(path, Operator(engine)):
        yield engine


GARBAGE = [
    b"\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\xff\xfe\x00\n",
    b"[]\n",
    b'"resume"\n',
    b'{"do": "drop"}\n',
    b'{"do": ["start"]}\n',
    b'{"do": "resume", "run": 3}\n',
    b'{"do": "resume", "refs": 3}\n',
    b'{"do": "resume", "refs": [3]}\n',
    b'{"do": "start", "ref": "os:system", "run": "x", "fingerprint": "", "tenant": ""}\n',
    b'{"do": "answer", "run": "nobody", "call": "c", "value": "done", "by": "b", "why": "w"}\n',
    b"[" * 100_000 + b"\n",
    b"x" * 10_000_000,
    b'{"do": "resume"',
]


@pytest.mark.parametrize("sent", GARBAGE, ids=lambda sent: repr(sent[:30]))
async def test_garbage_at_the_socket_is_answered_or_dropped_and_harms_nobody(tmp_path: Path, sent: bytes) -> None:
    """The next request is carried out."""
    path = tmp_path / "s"
    async with door(path) as engine:
        reader, writer = await asyncio.open_unix_connection(str(path))
        assert json.loads(await reader.readline()) == {"pid": os.getpid()}
        try:
            writer.write(sent)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            answer = await reader.readline()
        except OSError:
            answer = b""
        assert answer == b"" or "error" in json.loads(answer)
        writer.close()
        async with connected(path) as holder:
            assert await holder.ask(starting("r", text="tea")) == ["r"]
            assert await holder.rest() == {"r": ""}
        assert (await engine.state("r")).outcome == "completed"


async def test_a_client_that_says_nothing_does_not_keep_the_holder_from_ending(tmp_path: Path) -> None:
    """Nor does one that connects and leaves. The holder waits a second for a request that may be on its way."""
    path = tmp_path / "s"
    async with door(path):
        silent = await asyncio.open_unix_connection(str(path))
        going = await asyncio.open_unix_connection(str(path))
        going[1].close()
        await silent[0].readline()
        begun = time.monotonic()
    assert time.monotonic() - begun < mailbox.LINGER + 0.5
    assert await silent[0].read() == b""
    silent[1].close()


async def test_a_request_in_the_last_moment_is_carried_out(tmp_path: Path) -> None:
    """Whoever was greeted is served, although nobody else is let in any more."""
    path = tmp_path / "s"

    async def late() -> dict[str, str] | None:
        async with connected(path) as holder:
            greeted.set()
            await asyncio.sleep(0.2)
            await holder.ask(starting("r", seconds=0.2))
            return await holder.rest()

    greeted = asyncio.Event()
    async with door(path):
        client = asyncio.create_task(late())
        await greeted.wait()
    assert await client == {"r": ""}
    with pytest.raises(NobodyThere):
        async with connected(path):
            pass


async def test_who_stands_at_the_door_when_it_is_shut_is_let_in(tmp_path: Path) -> None:
    """Connected and not accepted yet: greeted all the same, and not left to wait for ever."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        async with door(tmp_path / "s"):
            client.connect(str(tmp_path / "s"))
        assert json.loads(client.recv(100)) == {"pid": os.getpid()}


async def test_an_answer_that_was_lost_is_not_asked_for_twice_blindly(tmp_path: Path) -> None:
    """A holder that dies after it was asked: `start` and `resume` are asked again, the others say where to look."""
    database = tmp_path / "statecore.db"
    async with await SqliteLog.open(database) as log:
        server = await asyncio.start_unix_server(dies_after_the_request, str(beside(database)))
        with pytest.raises(Unanswered, match="see `statecore show r`"):
            await command(database, "r", 0, do="cancel", by="b", why="w")
        again = asyncio.create_task(command(database, "r", 0))
        await asyncio.sleep(0.2)
        assert not again.done()
        server.close()
        await log.close()
        run = (await again)[0].run
    assert run.outcome == "completed"


async def dies_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'{"pid": 1}\n')
    await reader.readline()
    writer.close()


async def test_a_start_that_is_asked_for_twice_is_one_run() -> None:
    """The client names the run, so that the second request finds the first."""
    async with Engine(MemoryLog(), [Quick]) as engine:
        operator = Operator(engine)
        assert await operator.perform(starting("r")) == await operator.perform(starting("r")) == ["r"]
        assert await operator.rest(["r"], follow=False) == {"r": ""}
        assert len(await engine.log.streams()) == 1


@pytest.mark.parametrize("name", ["by", "why"])
@pytest.mark.parametrize("value", ["", " ", 3, None])
@pytest.mark.parametrize("do", ["answer", "cancel", "fork", "erase", "purge", "switch"])
async def test_a_request_without_who_and_why_is_refused(do: str, name: str, value: object) -> None:
    """Whoever writes to the socket says as much as whoever types a command."""
    async with Engine(MemoryLog(), [Asking]) as engine:
        await engine.run(Asking, Errand(), run="r")
        request = {
            "do": do,
            "run": "r",
            "call": "waiting",
            "value": "{}",
            "at": 2,
            "new": "n",
            "older": 1.0,
            "on": False,
        }
        request |= {"specialist": "work", "by": "me", "why": "w", name: value}
        with pytest.raises(BadInput, match=f"expected `{name}` to be the "):
            await Operator(engine).perform(request)


async def test_another_declaration_than_the_clients_is_not_run() -> None:
    """A holder that was started before the module was changed would run what the client does not mean."""
    async with Engine(MemoryLog(), [Quick]) as engine:
        with pytest.raises(NotPossible, match="has another Quick loaded"):
            await Operator(engine).perform({**starting("r"), "fingerprint": "0" * 64})
        assert await engine.log.streams() == []


@pytest.mark.parametrize("kind", [BadInput, UnknownRun, LogHeld, LogError, ValueError])
async def test_an_error_crosses_as_what_it_is(tmp_path: Path, kind: type[Exception]) -> None:
    """One of ours by its class, any other as a failure of the holder with its words."""

    class Failing:
        async def perform(self, request: Any) -> list[str]:
            raise kind("for this reason")

        async def rest(self, runs: list[str]) -> dict[str, str]:
            return {}

    async with serving(tmp_path / "s", Failing()), connected(tmp_path / "s") as holder:
        with pytest.raises(StatecoreError, match="for this reason") as caught:
            await holder.ask({})
    assert type(caught.value) is (kind if issubclass(kind, StatecoreError) else StatecoreError)


async def test_where_no_socket_can_be_made_the_work_is_done_all_the_same(tmp_path: Path) -> None:
    """A directory or a file of that name is left as it is; nobody else can hand anything over."""
    for name, make in (("a.db", Path.mkdir), ("b.db", Path.touch)):
        make(beside(tmp_path / name))
        run = (await command(tmp_path / name, "r", 0))[0].run
        assert run.outcome == "completed"
        assert beside(tmp_path / name).exists()
        assert await served(beside(tmp_path / name)) == 0


async def test_nobody_is_there_where_nothing_listens(tmp_path: Path) -> None:
    """No file, a file, a socket that nobody listens at, a holder that closes the door."""
    (tmp_path / "file").touch()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left"))
    left.close()
    for name in ("none", "file", "left"):
        assert await served(tmp_path / name) == 0


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_every_error_crosses_the_socket(kind: type[Exception]) -> None:
    """As what it is, or, where it is made of more than its text, as an error of that text."""
    raised = mailbox._raised({"error": kind.__name__, "message": "what it says\non two lines"})
    assert isinstance(raised, StatecoreError) and str(raised) == "what it says\non two lines"
