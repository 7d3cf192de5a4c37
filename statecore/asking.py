"""What is asked of people: the open questions of a run, and the digest that binds an answer to what was shown.

An answer may say what its giver was shown. It is refused where something else is asked by then.
"""

import hashlib

import msgspec

from statecore.call import Call, CallState
from statecore.run import Run

SHORT = 12
"""Characters of a digest that are printed for people to hand back."""

LEAST = 8
"""Characters of a digest that say which question is meant: two open ones that agree in 32 bits are not to be expected."""


def questions(run: Run) -> tuple[Call, ...]:
    """The calls of a run that wait for a person's answer."""
    return tuple(call for call in run.calls.values() if call.kind == "person" and call.status is CallState.STARTED)


def shown(run: Run, call: Call) -> str:
    """The digest of what is asked, 64 hex digits: who is asked by which call, under which contracts (the fingerprint of
    the run has them), and the bytes of the question.
    """
    about = (run.fingerprint, run.id, call.id, str(call.rank), call.specialist, call.request.contract)
    return hashlib.sha256(msgspec.json.encode(about) + call.request.data).hexdigest()


def stale(run: Run, call: Call, said: str) -> str:
    """Why what somebody was shown is not what is asked now; "" where it is."""
    now = shown(run, call)
    if len(said) < LEAST:
        return f"expected the first {LEAST} characters of what was shown or more, found {said!r}"
    return "" if now.startswith(said) else f"{call.id} asks something else by now ({now[:SHORT]}, shown was {said!r})"
