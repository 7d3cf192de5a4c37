"""`python -m tests.sim SEED [COUNT]` simulates seeds and prints the trace of each; `--write` keeps those of the first
few in traces.json.
"""

import json
import sys
from pathlib import Path

from tests.sim.life import simulate

TRACES = Path(__file__).parent / "traces.json"
KEPT = 8


def traces(first: int, count: int) -> dict[str, str]:
    return {str(seed): simulate(seed).trace for seed in range(first, first + count)}


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        TRACES.write_text(json.dumps(traces(0, KEPT), indent=2) + "\n")
    else:
        first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
        print(json.dumps(traces(first, count), indent=2))
