"""Places where tests and the demo end or stop the process, to see what survives. Unarmed, one attribute check.

`STATECORE_FAILPOINT=after-append:3` kills the process with SIGKILL at the third time that it passes that place;
`after-append:3:stop` stops it there (SIGSTOP), for somebody else to kill. Only the command line arms it.
"""

import os
import signal
from enum import StrEnum

VARIABLE = "STATECORE_FAILPOINT"


class Point(StrEnum):
    BEFORE_APPEND = "before-append"
    AFTER_APPEND = "after-append"
    BEFORE_CALL = "before-call"
    AFTER_CALL = "after-call"
    DURING_RESUME = "during-resume"
    DURING_MIGRATION = "during-migration"
    DURING_CHECKPOINT = "during-checkpoint"


class _Armed:
    """What is armed, and how many passes are left."""

    point: Point | None = None
    left = 0
    action = signal.SIGKILL


def failpoint(point: Point) -> None:
    """Pass a place. Where it is the armed one and this is the armed pass, the process ends or stops here."""
    if _Armed.point is point:
        _Armed.left -= 1
        if _Armed.left == 0:
            os.kill(os.getpid(), _Armed.action)


def arm(setting: str) -> None:
    """Arm `point:pass[:stop]`. Raises ValueError where it says something else."""
    name, _, rest = setting.partition(":")
    passes, _, action = rest.partition(":")
    if action not in ("", "stop") or not passes.isdigit() or name not in {point.value for point in Point}:
        raise ValueError(
            f"{VARIABLE}={setting!r}: expected POINT:PASS or POINT:PASS:stop, with POINT one of {', '.join(Point)}"
        )
    _Armed.point, _Armed.left = Point(name), int(passes)
    _Armed.action = signal.SIGSTOP if action else signal.SIGKILL


def arm_from_environment() -> None:
    if setting := os.environ.get(VARIABLE):
        arm(setting)
