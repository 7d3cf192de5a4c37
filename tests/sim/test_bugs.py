"""The test of the test: what the simulation is there to find, it finds."""

import pytest

from tests.sim.bugs import BUGS, Bug
from tests.sim.life import simulate

WITHIN = 300


def test_each_planted_bug_changes_what_is_there() -> None:
    """The text that it rewrites stands in the source, once, and the source is as it was afterwards."""
    for bug in BUGS:
        with bug.planted():
            pass


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_planted_bug_is_found(bug: Bug) -> None:
    """Within three hundred seeds, each of which passes without the bug."""
    with bug.planted():
        for seed in range(WITHIN):
            try:
                simulate(seed)
            except AssertionError as fault:
                print(f"{bug.name}: at seed {seed}, {str(fault).splitlines()[0]}")
                return
    pytest.fail(f"{bug.name}: not found in {WITHIN} seeds")
