"""The conformance suite as the author of another log meets it: one class, and what is broken is found."""

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

LOG = """
from statecore.log import MemoryLog
from statecore.testing.conformance import LogConformance


class Forgetful(MemoryLog):
    async def follow(self, cursor="", limit=1000):
        page, end = await super().follow(cursor, limit)
        return page[:3], end


class Bare:
    def __init__(self):
        self._log = MemoryLog()

    def __getattr__(self, name):
        if name in ("keep", "checkpoints"):
            raise AttributeError(name)
        return getattr(self._log, name)


class Retentive(MemoryLog):
    def _take_out(self, batch):
        kept = dict(self._checkpoints)
        super()._take_out(batch)
        self._checkpoints = kept


class {name}(LogConformance):
    async def make(self, home):
        return {log}()
"""


@pytest.fixture
def elsewhere(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of its own, in which pytest-asyncio is strict."""
    root = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def test_a_log_that_keeps_its_promises_passes(elsewhere: pytest.Pytester) -> None:
    """A derived class and `make` are all that is needed, in whichever mode pytest-asyncio is."""
    elsewhere.makepyfile(test_log=LOG.format(name="TestMine", log="MemoryLog"))
    found = elsewhere.runpytest_subprocess("-W", "error").parseoutcomes()
    assert set(found) == {"passed"} and found["passed"] > 30


def test_a_log_that_keeps_no_checkpoints_passes(elsewhere: pytest.Pytester) -> None:
    """What a log may leave out is left out of its tests, and everything else is asked of it."""
    elsewhere.makepyfile(test_log=LOG.format(name="TestBare", log="Bare"))
    found = elsewhere.runpytest_subprocess("-W", "error").parseoutcomes()
    assert set(found) == {"passed", "skipped"} and found["skipped"] == 3 and found["passed"] > 30


def test_a_log_whose_checkpoints_outlive_an_erasure_is_found(elsewhere: pytest.Pytester) -> None:
    """An erased payload that is still in a checkpoint is not erased."""
    elsewhere.makepyfile(test_log=LOG.format(name="TestRetentive", log="Retentive"))
    ran = elsewhere.runpytest_subprocess()
    assert ran.parseoutcomes()["failed"] == 1
    ran.stdout.fnmatch_lines(["*test_checkpoints_leave_with_what_they_were_made_of*"])


def test_a_log_that_breaks_one_is_found(elsewhere: pytest.Pytester) -> None:
    """A feed that skips turns fails the promise about the feed, and what was expected is shown."""
    elsewhere.makepyfile(test_log=LOG.format(name="TestForgetful", log="Forgetful"))
    ran = elsewhere.runpytest_subprocess()
    assert ran.parseoutcomes()["failed"] >= 1
    ran.stdout.fnmatch_lines(["*test_follow_gives_every_turn_once_in_commit_order*", "E *assert *"])
