"""Every error that the library raises to its user, on one page.

`StatecoreError`
├── `DefinitionError`        a workflow, specialist or contract that cannot be right; raised while it is being defined
├── `BadInput`               a value from outside that no contract admits; nothing was recorded
├── `NotFound`
│   ├── `UnknownRun`         no stream of that name in the log
│   ├── `UnknownCall`        no open call of that name in the run
│   ├── `UnknownWorkflow`    a recorded or given name that no loaded workflow has
│   └── `UnknownSpecialist`  a name that no loaded specialist has
├── `NotPossible`            the run is not in a condition in which this can be done
└── `LogError`
    ├── `Conflict`           the stream moved since it was read; nothing was written
    │   └── `RunExists`      a run is to begin under an id that one has already
    ├── `LogHeld`            another process holds the log for writing
    ├── `LogFailed`          the storage failed; whether the last append was committed is unknown until the log is opened again
    ├── `ForeignLog`         the file is a database, but not one of ours, or no database at all
    ├── `NewerLog`           written by a newer version; opened for reading only by that version
    ├── `OlderLog`           written by an older version; opening it once for writing makes it one of this version
    ├── `ForkedLog`          used in a process that was forked after the log was opened
    └── `Unreadable`         an event of unknown type or version, or bytes that no longer decode: that run is parked

A message says the fault, what was expected, what was found and the remedy. Typed failures of specialists are not errors
of the library but values of a run: see `failures.py`.
"""

from statecore.wording import visible


class StatecoreError(Exception):
    """Root of all errors below. Each argument is one line of its text, whatever the names from outside in it hold."""

    def __str__(self) -> str:
        return "\n".join(visible(str(line)) for line in self.args)


class DefinitionError(StatecoreError, TypeError):
    """A declaration that cannot be right. Raised at class creation; the message names culprit and remedy."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # in lines of its own: nothing in it comes from outside the program


class BadInput(StatecoreError, ValueError):
    """A value that its contract does not admit. `faults` lists every one as `{what} @ {path}`."""

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class NotFound(StatecoreError, LookupError):
    """A name that nothing here has."""


class UnknownRun(NotFound): ...


class UnknownCall(NotFound): ...


class UnknownWorkflow(NotFound): ...


class UnknownSpecialist(NotFound): ...


class NotPossible(StatecoreError):
    """The run is in a condition in which the request means nothing."""


class LogError(StatecoreError):
    """Anything that the log refuses or suffers."""


class Conflict(LogError):
    """`stream` was expected at version `expected` and is at `found`. Nothing of the batch was written."""

    def __init__(self, stream: str, expected: int, found: int) -> None:
        super().__init__(
            f"{stream} was expected at version {expected} and is at {found}: read it again and decide anew"
        )
        self.stream, self.expected, self.found = stream, expected, found


class RunExists(Conflict):
    """A run of that id is there. Nothing was begun."""

    def __init__(self, stream: str, found: int) -> None:
        super().__init__(stream, 0, found)
        self.args = (f"there is a run {stream} already: give the new one an id of its own, or none",)


class LogHeld(LogError):
    """`pid`: of the process that has the log, 0 where it has not said."""

    def __init__(self, message: str, pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid


class LogFailed(LogError): ...


class ForeignLog(LogError): ...


class NewerLog(LogError): ...


class OlderLog(LogError): ...


class ForkedLog(LogError): ...


class Unreadable(LogError):
    """A turn that cannot be decoded: `stream` is parked with this reason, no other is touched."""

    def __init__(self, stream: str, version: int, why: str) -> None:
        super().__init__(f"{stream} cannot be read at version {version}: {why}")
        self.stream, self.version, self.why = stream, version, why
