"""A program of the user's own that holds the log: what operators type is carried out there."""

import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from statecore import Engine
from statecore.log import MemoryLog
from statecore.sqlite import SqliteLog
from tests.desk import Desk, environment
from tests.playground import ASKING

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
