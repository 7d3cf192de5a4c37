"""Where the event loop's thread spends its time: a sample every few milliseconds of processor time, by the room of the
innermost frame that has one. Far cheaper than cProfile, which makes small functions look expensive.
"""

import gc
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOMS = {
    "decide and fold": (
        "decider",
        "run",
        "trail",
        "workflow",
        "handover",
        "table",
        "ledger",
        "admission",
        "call",
        "guard",
        "chart",
    ),
    "contracts": ("contract", "strict", "hints", "<cattrs generated structure", "<cattrs generated unstructure"),
    "codec and chain": ("codec", "chain"),
    "log": ("sqlite", "sqlitefile", "log"),
    "engine": ("engine", "turns", "acts", "flights", "held", "children", "dispatch", "clock", "failpoint"),
    "asyncio": ("base_events", "events", "tasks", "futures", "locks", "timeouts", "selector_events", "runners"),
    "waiting": ("selectors",),
}
_ROOM = {name: room for room, names in ROOMS.items() for name in names}


class Shares:
    """`of`: samples per room. `collecting`: seconds of the thread that the cyclic garbage collector took; its samples
    are counted where it was set off.
    """

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self.collecting = self.seconds = 0.0

    def line(self) -> str:
        total = max(1, self.of.total())
        said = [f"{room} {100 * count / total:.0f} %" for room, count in self.of.most_common()]
        return f"{', '.join(said)}; garbage collection, within these, {100 * self.collecting / self.seconds:.0f} %"


def _room(frame: FrameType | None) -> str:
    while frame is not None:
        name = frame.f_code.co_filename
        found = _ROOM.get(Path(name).stem) or _ROOM.get(name.rpartition(" ")[0])
        if found:
            return found
        frame = frame.f_back
    return "rest"


@contextmanager
def sampled() -> Iterator[Shares]:
    """Sample the main thread while the block runs."""
    shares, since = Shares(), 0.0

    def sample(_: int, frame: FrameType | None) -> None:
        shares.of[_room(frame)] += 1

    def collected(phase: str, _: dict[str, Any]) -> None:
        nonlocal since
        if phase == "start":
            since = time.thread_time()
        else:
            shares.collecting += time.thread_time() - since

    before, begun = signal.signal(signal.SIGPROF, sample), time.thread_time()
    gc.callbacks.append(collected)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    try:
        yield shares
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        gc.callbacks.remove(collected)
        signal.signal(signal.SIGPROF, before)
        shares.seconds = time.thread_time() - begun
