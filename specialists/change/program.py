"""Running another program: no shell, no terminal, a bound on time and on what it may say."""

import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence

import attrs

from statecore import TimedOut, Unavailable

TIMEOUT = 60.0
"""Seconds. A whole change of 20,000 lines takes two; what takes a minute hangs (a dead network disk, mostly)."""

LIMIT = 64 * 2**20
"""Bytes of output that are kept."""


@attrs.frozen
class Ran:
    """`cut`: there was more output than was asked for, and the program was stopped. `errors`: the end of what it
    complained."""

    output: bytes
    errors: bytes
    code: int
    cut: bool


def run(
    arguments: Sequence[str],
    given: bytes = b"",
    *,
    limit: int = LIMIT,
    timeout: float = TIMEOUT,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
) -> Ran:
    """Raises TimedOut, and Unavailable where there is no such program."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        stdin.write(given)
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                arguments, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=environment, cwd=directory
            )
        except FileNotFoundError:
            raise Unavailable(why=f"there is no program {arguments[0]!r} on this machine: install it") from None
        with process:
            output, late = _read(process, limit, timeout)
        if late:
            raise TimedOut(why=f"`{arguments[0]}` did not end", after=timeout)
        stderr.seek(max(0, stderr.seek(0, 2) - 4096))
        return Ran(output[:limit], stderr.read(), process.returncode, len(output) > limit)


def _read(process: "subprocess.Popen[bytes]", limit: int, timeout: float) -> tuple[bytes, bool]:
    """Its output up to one byte past the limit, and whether it had to be stopped for the time it took."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    assert process.stdout is not None
    timer = threading.Timer(timeout, stop)
    timer.start()
    try:
        output = process.stdout.read(limit + 1)
        if len(output) > limit:
            process.kill()
        process.wait()
    finally:
        timer.cancel()
        process.kill()
    return output, late.is_set()
