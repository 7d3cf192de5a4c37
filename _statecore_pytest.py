"""The pytest plugin: snapshots of tables, traces and paths, and transition coverage.

It is loaded in every test run of everybody who has statecore installed, so nothing is imported before it is asked for;
and it stands beside the package, since importing a module of it would import the engine first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from statecore.testing.coverage import Coverage

SHARED = "statecore_coverage"
"""Where a worker of pytest-xdist leaves what it saw."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("statecore", "statecore")
    group.addoption(
        "--statecore-coverage", action="store_true", help="Say which transitions of the workflows used no test took."
    )
    group.addoption(
        "--statecore-coverage-of",
        action="append",
        default=[],
        metavar="WORKFLOW",
        help="Say it of this workflow only; may be repeated.",
    )
    group.addoption(
        "--statecore-coverage-fail-under",
        type=float,
        metavar="PERCENT",
        help="Fail where fewer of the transitions were taken.",
    )


def pytest_configure(config: pytest.Config) -> None:
    pytest.register_assert_rewrite("statecore.testing.conformance")
    options = config.option
    if options.statecore_coverage or options.statecore_coverage_of or options.statecore_coverage_fail_under is not None:
        from statecore.testing.coverage import Coverage

        config.pluginmanager.register(_Watch(config, Coverage()), "statecore-coverage")


class _Watch:
    """Counts from here to the end of the session, adds what the workers of pytest-xdist counted, and reports."""

    def __init__(self, config: pytest.Config, coverage: Coverage) -> None:
        self.config, self.coverage = config, coverage
        self.watching = coverage.watching()
        self.watching.__enter__()

    @property
    def report(self) -> Coverage:
        return self.coverage.only(self.config.option.statecore_coverage_of)

    @property
    def missing(self) -> bool:
        wanted = self.config.option.statecore_coverage_fail_under
        return wanted is not None and self.report.percent < wanted

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        self.coverage.add(getattr(node, "workeroutput", {}).get(SHARED, {}))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.watching.__exit__(None, None, None)
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput[SHARED] = self.coverage.plain()
        elif self.missing and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("statecore")
        for line in self.report.lines():
            terminalreporter.line(line)
        if self.missing:
            wanted = self.config.option.statecore_coverage_fail_under
            terminalreporter.line(
                f"FAIL: at least {wanted:g} % was asked for: test the transitions named above", red=True
            )


# -- snapshots


@pytest.fixture
def table_snapshot(request: pytest.FixtureRequest) -> SnapshotAssertion:
    """`assert Answering == table_snapshot`: the states and every row of the table, in an `.fsm` file."""
    return _snapshot(request, "TableSnapshot")


@pytest.fixture
def trace_snapshot(request: pytest.FixtureRequest) -> SnapshotAssertion:
    """`assert play(Answering, ticket, script) == trace_snapshot`: every event of a run, in a `.trace` file."""
    return _snapshot(request, "TraceSnapshot")


@pytest.fixture
def paths_snapshot(request: pytest.FixtureRequest) -> SnapshotAssertion:
    """`assert Answering == paths_snapshot`: every path through the table, in a `.paths` file."""
    return _snapshot(request, "PathsSnapshot")


def _snapshot(request: pytest.FixtureRequest, extension: str) -> SnapshotAssertion:
    try:
        from statecore.testing import snapshot
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "syrupy":
            raise
        pytest.fail(f"{request.fixturename} needs syrupy: pip install 'statecore[testing]'", pytrace=False)
    made: SnapshotAssertion = request.getfixturevalue("snapshot")
    return made.with_defaults(extension_class=getattr(snapshot, extension))
