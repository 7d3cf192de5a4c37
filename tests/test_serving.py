"""A program of the user's own that holds the log: what operators type is carried out there."""

import asyncio
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from statecore import Engine
from statecore.log import MemoryLog
from statecore.mailbox import beside, connected
from statecore.sqlite import SqliteLog
from tests.desk import Desk, environment
from tests.playground import ASKING, Asking, Errand

SERVICE = """
import asyncio
from statecore import Engine
from statecore.sqlite import SqliteLog
from tests.playground import Asking, Errand

async def main():
    async with Engine(await SqliteLog.open("statecore.db"), [Asking]) as engine:
        await engine.start(Asking, Errand(), run="asked")
        await engine.wait("asked")
        print("ready", flush=True)
        while (await engine.wait("asked")).condition != "completed":
            await asyncio.sleep(0.01)
        print("gone", flush=True)
        await asyncio.Event().wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


@pytest.fixture
def service(desk: Desk) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs an engine in code of its own."""
    command = [sys.executable, "-c", SERVICE]
    worker = subprocess.Popen(command, cwd=desk.here, env=environment(), stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    yield worker
    worker.kill()
    worker.communicate()


def test_a_service_is_spoken_to_from_the_command_line(desk: Desk, service: "subprocess.Popen[str]") -> None:
    """A signal that is typed is taken by the program that holds the log, which goes on; and everybody sees who works."""
    assert f"worker    process {service.pid}" in desk("show", "asked").out
    assert f"process {service.pid}" in desk("doctor").out
    said = desk("signal", "asked", "Go", "--by", "me", "--input", '{"by": "me"}')
    assert said.code == 0 and "taken     went" in said.out and f"process {service.pid} holds the log" in said.err
    assert service.stdout is not None and service.stdout.readline() == "gone\n"
    assert desk("run", ASKING, "--input", "{}").code == 3
    waiting = next(line["run"] for line in desk("runs", "--json").json if line["condition"] == "waiting")
    assert desk("cancel", waiting, "--by", "me", "--why", "enough").code == 1
    assert service.poll() is None
    assert stat.S_IMODE(Path("statecore.db.sock").stat().st_mode) == 0o600


def test_a_service_ends_though_somebody_waits_for_it(desk: Desk, service: "subprocess.Popen[str]") -> None:
    """Ctrl-C ends it as ever, its socket goes with it, and the next process takes what is asked."""
    service.send_signal(signal.SIGINT)
    assert service.wait(10) == 0 and not Path("statecore.db.sock").exists()
    assert desk("signal", "asked", "Go", "--by", "me", "--workflow", ASKING).code == 0


def test_a_socket_that_a_killed_service_left_is_nobodys(desk: Desk, service: "subprocess.Popen[str]") -> None:
    """After kill -9 the next process does the work itself."""
    service.kill()
    service.wait(10)
    assert Path("statecore.db.sock").exists()
    assert desk("signal", "asked", "Go", "--by", "me", "--workflow", ASKING).code == 0


async def test_who_only_reads_leaves_the_socket_alone(tmp_path: Path) -> None:
    """An engine serves where it writes: not on a log in memory, nor on one that is read, nor where it was told not to."""
    socket = tmp_path / "log.db.sock"
    async with Engine(await SqliteLog.open(tmp_path / "log.db")):
        assert socket.exists()
        async with Engine(await SqliteLog.open(tmp_path / "log.db", readonly=True)):
            pass
        assert socket.exists()
    assert not socket.exists()
    async with Engine(await SqliteLog.open(tmp_path / "log.db"), serve=False), Engine(MemoryLog()):
        assert not socket.exists()


ALONE = """
import asyncio
import attrs
from statecore import Completed, Engine, Failed, State, Workflow, specialist
from statecore.sqlite import SqliteLog

print("imported", flush=True)

@attrs.frozen
class Ask:
    text: str

@specialist("reply", version="1", effect="pure")
async def reply(ask: Ask) -> Ask:
    return Ask(ask.text.upper())

class Replying(Workflow[Ask], version="1"):
    replying = State(reply, initial=True)
    replied = State(final=True)
    lost = State(final=True, outcome="failed")
    done = replying.to(replied, on=Completed[Ask])
    failed = replying.to(lost, on=Failed)

async def main():
    async with Engine(await SqliteLog.open("statecore.db"), [Replying]):
        print("ready", flush=True)
        await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_program_is_not_imported_once_more(desk: Desk) -> None:
    """What a command names is found by its fingerprint, where the program that declares it is the one that holds the log."""
    (desk.here / "alone.py").write_text(ALONE)
    with subprocess.Popen(
        [sys.executable, "alone.py"], cwd=desk.here, env=environment(), stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert [program.stdout.readline() for _ in range(2)] == ["imported\n", "ready\n"]
        said = desk("run", "alone:Replying", "--input", '{"text": "tea"}')
        assert said.code == 0 and 'result    Ask {"text":"TEA"}' in said.out, said.both
        program.kill()
        assert program.stdout.read() == ""


async def test_a_follower_that_goes_away_is_let_go_of(tmp_path: Path) -> None:
    """Whoever asked to follow a run and hung up costs the holder nothing any more, and so does one who only waited."""
    async with Engine(await SqliteLog.open(tmp_path / "log.db"), [Asking]) as engine:
        await engine.run(Asking, Errand(), run="r")
        assert engine._door is not None
        async with connected(beside(tmp_path / "log.db")) as client:
            assert await client.ask({"do": "resume", "run": "r", "follow": True}) == ["r"]
            assert len(engine._door.busy) == 1
        async with asyncio.timeout(5):
            await engine._door.quiet()
        for _ in range(20):
            with suppress(TimeoutError):
                await asyncio.wait_for(engine.wait("r", follow=True), 0.001)
        assert not engine._core.runs._followers


async def test_opening_an_engine_changes_no_mode_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mask of the process is every thread's, so it is left alone; the socket is its owner's all the same."""
    monkeypatch.setattr("os.umask", lambda mask: pytest.fail("the mask of the process was changed"))
    async with Engine(await SqliteLog.open(tmp_path / "log.db")):
        assert stat.S_IMODE((tmp_path / "log.db.sock").stat().st_mode) == 0o600
