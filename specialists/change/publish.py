"""Publishing: the report as a file beside the database."""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from specialists.change.contracts import Published, Report
from specialists.change.failures import NotPublished
from specialists.change.report import markdown
from specialists.change.secret import printable
from statecore import Call, specialist


@specialist("publish_report", version="1", effect="idempotent", fails=(NotPublished,))
def publish_report(report: Report, call: Call) -> Published:
    """Write `review-COMMIT-KEY.md` in the directory of the log, whole or not at all. The same call gives the same
    file with the same bytes, so a repeat changes nothing."""
    directory = Path(call.home or os.curdir).absolute()
    path = directory / f"review-{report.change.commit[:7]}-{call.key[:8]}.md"
    data = markdown(report).encode()
    try:
        if _content(path) != data:
            _replace(path, data)
    except OSError as fault:
        raise NotPublished(printable(os.fsencode(directory)), fault.strerror or "it could not be written") from None
    worst, verdict = report.review.worst, report.review.verdict
    digest, missing = hashlib.sha256(data).hexdigest(), len(report.review.missing)
    return Published(printable(os.fsencode(path)), digest, worst, verdict, missing)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _replace(path: Path, data: bytes) -> None:
    """Atomically, and on the disk when it returns. Removes what an attempt that was killed here has left."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    draft = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make the new name durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
