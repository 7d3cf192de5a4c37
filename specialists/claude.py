"""A Claude model as a specialist, asked through Anthropic's Messages API. Needs `statecore[anthropic]`.

    triage = Claude("triage", version="3", takes=Ticket, gives=Triage, model="...", prompt="prompts/triage@3.md")

It is told the prompt, as the system prompt, and the request, as one message of JSON: no conversation, nothing else. Its
answer is held to the JSON Schema of what it gives, read strictly, and judged by the contract; what does not fit is
Rejected, and the next attempt is told why. Each way in which an answer may stop is an outcome.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from specialists.model import SAID, Declined, NoAnswer, read, told, unsayable
from specialists.prompt import Prompt, read_prompt
from statecore import Call, Rejected, Specialist, Transient
from statecore.contract import Contract, contract_of
from statecore.errors import DefinitionError
from statecore.failures import printable
from statecore.hints import spelled
from statecore.messages import members
from statecore.shape import answer_schema
from statecore.specialist import I, O

if TYPE_CHECKING:
    from anthropic.types import Message

MAX_TOKENS = 4096
"""Tokens of an answer: some ten pages of JSON, which is more than a contract mostly holds, and a bound on what a model
that does not come to an end costs.
"""


@attrs.frozen(eq=False, init=False)
class Claude(Specialist[I, O]):
    """`gives`: a class, or several, of which each answer names its own. `prompt`: a file beside the module that declares
    the specialist, or an absolute path. `max_tokens`: where an answer is cut.

    A model changes nothing outside, so its effect label is pure. The key is read from ANTHROPIC_API_KEY at each call, and
    ANTHROPIC_BASE_URL says where the API is, if elsewhere. Raises DefinitionError.
    """

    model: str = ""
    prompt: Prompt = attrs.field(kw_only=True)
    max_tokens: int = MAX_TOKENS

    def __init__(
        self,
        name: str,
        *,
        version: str,
        takes: type[I],
        gives: type[O] | Sequence[type[O]],
        model: str,
        prompt: str | os.PathLike[str],
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        def wrong(what: str) -> DefinitionError:
            return DefinitionError(f"claude {name!r}: {what}")

        if not (isinstance(version, str) and version):
            raise wrong(f'expected a version, found {version!r}: write Claude({name!r}, version="1", ...)')
        if not (isinstance(model, str) and model):
            raise wrong(f"expected the name of a model, found {model!r}: write model= as the Messages API calls it")
        if type(max_tokens) is not int or max_tokens < 1:
            raise wrong(f"max_tokens={max_tokens!r}, expected a number of tokens from 1 up")
        classes = tuple(gives) if isinstance(gives, list | tuple) else members(gives)
        for hint in (takes, *classes):
            if not (isinstance(hint, type) and attrs.has(hint)):
                raise wrong(f"expected attrs classes for takes and gives, found {spelled(hint)}: name its fields")
        contracts = tuple(contract_of(each) for each in classes)
        if not contracts or len({contract.name for contract in contracts}) < len(contracts):
            both = " and ".join(spelled(cls) for cls in classes) or "nothing"
            raise wrong(f"it gives {both}, expected classes of names of their own, by which answers are told apart")
        if said := [field for contract in contracts for field in unsayable(contract)]:
            raise wrong(
                f"`{said[0]}` is more than the schema of an answer can say, which has no dict, no tuple of a fixed length"
                " and nothing that contains itself: write a list of a class with named fields"
            )
        taken: Contract[I] = contract_of(takes)  # type: ignore[arg-type]
        beside = sys._getframe(1).f_globals.get("__file__")
        make: Any = self
        make.__attrs_init__(
            name, version, taken, contracts, (Transient, Declined, NoAnswer), "pure", self.answer, told_call=True,
            kind="model", model=model, prompt=read_prompt(prompt, version, beside, wrong), max_tokens=max_tokens,
        )  # fmt: skip

    async def answer(self, request: I, call: Call) -> O:
        """One attempt. Raises Rejected, Declined, NoAnswer, Transient and what derives from it."""
        from specialists.messages_api import ask  # a declaration needs no event loop

        texts = told(self.takes, request, call)
        message = await ask(self.model, self.max_tokens, self.prompt.text, texts, answer_schema(self.gives))
        text = _text(message, self.max_tokens)
        value: O = read(text, self.gives)
        return value

    def about(self) -> str:
        return f"{self.effect}, {self.model}"

    def details(self) -> dict[str, str | int]:
        return {
            "model": self.model,
            "prompt": self.prompt.id,
            "digest": self.prompt.short,
            "max_tokens": self.max_tokens,
        }


def _text(message: "Message", max_tokens: int) -> str:
    """What a message says, where it came to its end by itself."""
    match message.stop_reason:
        case "end_turn" | "stop_sequence":
            texts = (getattr(block, "text", None) for block in message.content)
            return "".join(text for text in texts if isinstance(text, str))
        case "max_tokens":
            raise Rejected("max_tokens", (f"the answer was cut after {max_tokens} tokens, expected a whole one @ $",))
        case "refusal":
            details = getattr(message, "stop_details", None)
            category, why = (str(getattr(details, name, None) or "") for name in ("category", "explanation"))
            raise Declined(printable(category), printable(why)[:SAID])
        case other:
            raise NoAnswer(f"stop_reason {printable(str(other))[:100]}", "it stopped before its answer was whole")
