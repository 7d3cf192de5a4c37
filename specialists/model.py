"""What models as specialists have in common, whoever runs them: what they are told, how their answer is read, and how
they fail beside the ways of every call.
"""

from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

import attrs

from statecore import Call, Failure, Rejected
from statecore.contract import Contract, contract_of
from statecore.errors import BadInput
from statecore.failures import printable
from statecore.hints import fields_of, spelled
from statecore.strictjson import parse

FOUND = 100
"""Characters of an answer that is no JSON which a fault shows."""

SAID = 1000
"""Characters of what a provider says that a failure keeps."""


@attrs.frozen(auto_exc=False)
class Declined(Failure):
    """The model would not do it. `category`: of the policy that it keeps, `why`: in its provider's words; "" where it
    was not told.
    """

    category: str = ""
    why: str = ""


@attrs.frozen(auto_exc=False)
class NoAnswer(Failure):
    """There is no answer, and to ask the same again would bring none. `reason`: a few words to go by (`HTTP 401`,
    `stop_reason tool_use`, `no key`); `why`: what was said.
    """

    reason: str
    why: str = ""


def told(takes: Contract[Any], request: Any, call: Call) -> list[str]:
    """What a model is told: the request as canonical JSON, and, where its last answer was rejected, why."""
    asked = takes.pack(request).data.decode()
    if not call.faults:
        return [asked]
    return [asked, "\n".join(["Your last answer was rejected:", *(f"- {fault}" for fault in call.faults)])]


def read(text: str, gives: Sequence[Contract[Any]]) -> Any:
    """An answer as a value of one of the contracts; of several, the one that it names under `_type`. Raises Rejected
    with every fault, which the next attempt is told.
    """
    try:
        plain = parse(text.encode("utf-8", "surrogatepass"))
    except BadInput as fault:
        found = f"{fault}, found {printable(text)[:FOUND]!r} @ $"
        raise Rejected("strict JSON", fault.faults or (found,)) from None
    contract, plain = _meant(plain, gives)
    try:
        return contract.fit(plain)
    except BadInput as fault:
        raise Rejected(f"contract {contract.id}", fault.faults) from None


def _meant(plain: Any, gives: Sequence[Contract[Any]]) -> tuple[Contract[Any], Any]:
    if len(gives) == 1:
        return gives[0], plain
    name = plain.get("_type") if isinstance(plain, dict) else None
    meant = next((contract for contract in gives if contract.name == name), None)
    if meant is None:
        names = " or ".join(contract.name for contract in gives)
        raise Rejected("contract", (f"expected an object with `_type` {names} @ $",))
    return meant, {key: value for key, value in plain.items() if key != "_type"}


def unsayable(contract: Contract[Any]) -> Iterator[str]:
    """The fields for which the JSON Schema that models are held to has no words: a dict, a tuple of a fixed length, and
    what contains itself.
    """
    for kind in contract.nested():
        for field in fields_of(kind):
            if any(_unsayable(kind, hint) for hint in _inside(field.type)):
                yield f"{kind.__name__}.{field.name}: {spelled(field.type)}"


def _unsayable(kind: type, hint: Any) -> bool:
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and attrs.has(hint):
        return kind in contract_of(hint).nested()
    return origin is dict or (origin is tuple and args[-1] is not Ellipsis)


def _inside(hint: Any) -> Iterator[Any]:
    yield hint
    for arg in get_args(hint):
        yield from _inside(arg)
