"""Somebody at a terminal: the command line called in this process, or as a process of its own where that is the point."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from statecore import cli
from tests.playground import QUICK

ROOT = Path(__file__).parent.parent


@attrs.frozen
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def both(self) -> str:
        return self.out + self.err


class Desk:
    """`desk("runs")` types `statecore runs` in the directory `here`."""

    def __init__(self, here: Path, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.here, self.capture, self.monkeypatch = here, capture, monkeypatch
        monkeypatch.chdir(here)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.delenv("STATECORE_DB", raising=False)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Said:
        self.monkeypatch.setattr(sys, "argv", ["statecore", *arguments])
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self.capture.readouterr()
        assert "Traceback" not in out + err
        return Said(int(ended.value.code or 0), out, err)

    def run(self, ref: str = QUICK, *options: str, **errand: Any) -> str:
        """Start a run, see it to rest, and give its id."""
        said = self("run", ref, "--input", json.dumps(errand), "--json", *options)
        assert said.code != 2, said.err
        return str(said.json["run"])


def process(*arguments: str, cwd: Path, **more: Any) -> "subprocess.Popen[bytes]":
    """A `statecore` process in a group of its own, in which Ctrl-C is heard."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    more.setdefault("env", environment())
    command = [sys.executable, "-m", "statecore", *arguments]
    return subprocess.Popen(command, cwd=cwd, start_new_session=True, **{**pipes, **more})


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("STATECORE_")}
    return {**plain, "PYTHONPATH": str(ROOT), **more}


def ended(worker: "subprocess.Popen[bytes]", within: float = 20.0) -> Said:
    """What a process said until its end. It is killed where it does not end."""
    try:
        out, err = worker.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        worker.kill()
        out, err = worker.communicate()
        pytest.fail(f"did not end within {within} s, having said\n{out.decode()}\n{err.decode()}")
    said = Said(worker.returncode, (out or b"").decode(), (err or b"").decode())
    assert "Traceback" not in said.both, said.both
    return said


def until(true: Callable[[], Any], within: float = 10.0) -> Any:
    """What `true` gives as soon as it gives something."""
    deadline = time.monotonic() + within
    while not (found := true()):
        assert time.monotonic() < deadline, f"still not so after {within} s"
        time.sleep(0.01)
    return found


def stop(worker: "subprocess.Popen[bytes]", number: signal.Signals = signal.SIGINT) -> Said:
    worker.send_signal(number)
    return ended(worker)
