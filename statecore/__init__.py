"""An explicit state-machine engine for multi-agent workflows: declared, guarded, rebuilt from its log."""

import importlib
import typing

from statecore.call import Call as Call
from statecore.child import child as child
from statecore.declare import Compound as Compound
from statecore.declare import History as History
from statecore.declare import Parallel as Parallel
from statecore.declare import State as State
from statecore.declare import any_state as any_state
from statecore.envelope import Warned as Warned
from statecore.failures import ChildFailed as ChildFailed
from statecore.failures import Failure as Failure
from statecore.failures import NotDone as NotDone
from statecore.failures import RateLimited as RateLimited
from statecore.failures import Rejected as Rejected
from statecore.failures import TimedOut as TimedOut
from statecore.failures import Transient as Transient
from statecore.failures import Unavailable as Unavailable
from statecore.handover import Newest as Newest
from statecore.handover import Recorded as Recorded
from statecore.messages import Completed as Completed
from statecore.messages import Done as Done
from statecore.messages import Elapsed as Elapsed
from statecore.messages import Failed as Failed
from statecore.messages import Signal as Signal
from statecore.migration import Migration as Migration
from statecore.person import Person as Person
from statecore.plan import Missing as Missing
from statecore.plan import Part as Part
from statecore.plan import Plan as Plan
from statecore.run import Run as Run
from statecore.specialist import Specialist as Specialist
from statecore.specialist import specialist as specialist
from statecore.versions import contract as contract
from statecore.versions import upcaster as upcaster
from statecore.wait import Wait as Wait
from statecore.workflow import Workflow as Workflow

__all__ = [
    "Call",
    "ChildFailed",
    "Completed",
    "Compound",
    "Done",
    "Elapsed",
    "Engine",
    "Failed",
    "Failure",
    "History",
    "Migration",
    "Missing",
    "Newest",
    "NotDone",
    "Parallel",
    "Part",
    "Person",
    "Plan",
    "RateLimited",
    "Recorded",
    "Rejected",
    "Run",
    "Signal",
    "Specialist",
    "State",
    "TimedOut",
    "Transient",
    "Unavailable",
    "Wait",
    "Warned",
    "Workflow",
    "any_state",
    "child",
    "contract",
    "rebuild",
    "specialist",
    "upcaster",
]

if typing.TYPE_CHECKING:
    from statecore.engine import Engine as Engine
    from statecore.replay import rebuild as rebuild
else:
    _LATER = {"Engine": "statecore.engine", "rebuild": "statecore.replay"}
    # Imported when they are first asked for: a declaration needs neither an event loop nor a log. A type checker does
    # not see this branch, so that it still finds a name that is not here.

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(importlib.import_module(_LATER[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATER})
