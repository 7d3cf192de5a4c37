"""The guards that are shipped: what each lets pass, on which words it refuses, and that a state obeys."""

from typing import Any

import attrs
import pytest

from guards import plausible, quality, required
from statecore import Completed, Engine, Failed, State, Workflow, any_state, specialist
from statecore.errors import DefinitionError
from statecore.events import CallFailed, CallStarted
from statecore.guard import Pass, Question, Refuse
from statecore.ledger import Ledger
from statecore.log import MemoryLog
from statecore.replay import turns_of
from statecore.telling import lines
from statecore.testing import play


@attrs.frozen
class Wish:
    text: str


@attrs.frozen
class Code:
    text: str
    files: tuple[str, ...] = ("a.py",)


@attrs.frozen
class Verdict:
    good: bool


asked: list[Code] = []


@specialist("generate", version="1", effect="pure")
async def generate(wish: Wish) -> Code:
    return Code(wish.text)


@specialist("generate_slowly", version="1", effect="pure")
async def generate_slowly(wish: Wish) -> Code:
    return Code(wish.text)


@specialist("review", version="1", effect="pure")
async def review(code: Code) -> Verdict:
    asked.append(code)
    return Verdict(True)


def long_enough(code: Code) -> bool:
    return len(code.text) >= 20


class Coding(Workflow[Wish], version="1"):
    """Generate code, and have it reviewed where it can be any."""

    generating = State(generate, initial=True)
    reviewing = State(
        review, guards=[required("text", "files"), plausible("code of at least 20 characters", long_enough)]
    )
    done = State(final=True)
    lost = State(final=True, outcome="failed")

    generated = generating.to(reviewing, on=Completed[Code])
    reviewed = reviewing.to(done, on=Completed[Verdict])
    gave_up = any_state.to(lost, on=Failed)


def question(value: Any, *sources: str) -> Question[Any]:
    return Question(value, "run", "reviewing#1", "reviewing", "review@1", 1, "pure", 0.0, "", sources)


async def test_a_suspicious_request_calls_nobody() -> None:
    """Nine characters of code: the reviewer is not asked, and the log quotes why."""
    asked.clear()
    log = MemoryLog()
    engine = Engine(log, [Coding])
    run = await engine.run(Coding, Wish("x = 1 + 1"))
    said = "\n".join(lines(await turns_of(log, run.id)))
    assert run.outcome == "failed" and not asked
    assert "refused by guard code of at least 20 characters: expected code of at least 20 characters, found" in said
    assert "Code(text='x = 1 + 1', files=('a.py',)), which was made of what generating gave" in said
    assert (await engine.run(Coding, Wish("x = 1 + 1" * 3))).outcome == "completed" and len(asked) == 1


async def test_missing_context_calls_nobody() -> None:
    """An empty field is named, with the state that should have filled it."""
    asked.clear()
    run = await Engine(MemoryLog(), [Coding]).run(Coding, Wish("  "))
    failure = run.values[-1].payload
    assert failure.contract == "Refused" and not asked
    assert b"missing required context: `text` of Code made of what generating gave; the dependency may" in failure.data


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        (Code("x"), ""),
        (Code(""), "`text`"),
        (Code("\n\t "), "`text`"),
        (Code("x", ()), "`files`"),
        (Code("", ()), "`text`, `files`"),
    ],
)
def test_required_fields_are_those_with_something_in_them(value: Code, missing: str) -> None:
    """Text of white space and a collection of nothing are empty; every empty field is named at once."""
    verdict = required("text", "files").ask(question(value, "generating"), Ledger())
    assert verdict == Pass() if not missing else isinstance(verdict, Refuse) and f": {missing} of Code" in verdict.why


def test_required_looks_inside() -> None:
    """`a.b` is a field of a field; nothing on the way is as empty as nothing there."""

    @attrs.frozen
    class Material:
        code: Code | None

    guard = required("code.text")
    assert guard.ask(question(Material(Code("x"))), Ledger()) == Pass()
    assert isinstance(guard.ask(question(Material(Code(""))), Ledger()), Refuse)
    assert isinstance(guard.ask(question(Material(None)), Ledger()), Refuse)


def test_required_fields_are_fields() -> None:
    """Whether a class has them is seen before any run: also inside, and through what may be None or one of several."""

    @attrs.frozen
    class Material:
        code: Code | None
        either: Code | Wish

    assert required("code.text", "code", "either.text").unfit(Material) == ""
    assert required("code.txt").unfit(Material) == (
        "`code.txt`: Code has no field `txt` (it has text, files): name one of these"
    )
    assert "has no field `length`" in required("either.length").unfit(Material)
    assert "Material has no field `cod` (it has code, either)" in required("cod").unfit(Material)
    for fields in ((), (3,), ("",)):
        with pytest.raises(DefinitionError, match="expected the names of the fields"):
            required(*fields)  # type: ignore[arg-type]
    for check in (lambda: plausible("", bool), lambda: quality("good", None)):  # type: ignore[arg-type]
        with pytest.raises(DefinitionError, match="expected"):
            check()


@attrs.frozen
class Bill:
    codes: tuple[Code, ...]
    kind = "bill"

    @property
    def total(self) -> int | None:
        return len(self.codes) or None

    @property
    def first(self) -> Code | None:
        return self.codes[0] if self.codes else None


@attrs.frozen
class Open:
    def __getattr__(self, name: str) -> str:
        return ""


def test_required_is_whatever_a_value_of_the_class_has() -> None:
    """A property counts as a field does, at the class statement as in the run, and so does what is behind it."""

    @attrs.frozen
    class Material:
        bill: Bill

    guard = required("bill.total", "bill.first.text", "bill.kind")
    assert guard.unfit(Material) == required("total").unfit(Bill) == required("any").unfit(Open) == ""
    assert "Bill has no field `totals` (it has codes): name" in required("bill.totals").unfit(Material)
    assert guard.ask(question(Material(Bill((Code("x"),)))), Ledger()) == Pass()
    refused = guard.ask(question(Material(Bill(()))), Ledger())
    assert isinstance(refused, Refuse) and "`bill.total`, `bill.first.text` of Material" in refused.why


def test_a_quality_check_rejects_an_output_with_its_own_words() -> None:
    """After the call; a long output is quoted short."""
    guard = quality("text in capitals", lambda code: code.text.isupper())
    assert guard.side == "after" and guard.ask(question(Code("X")), Ledger()) == Pass()
    verdict = guard.ask(question(Code("x" * 500)), Ledger())
    assert isinstance(verdict, Refuse) and verdict.why.endswith("characters)") and len(verdict.why) < 300


class Careful(Workflow[Wish], version="1"):
    """Generate until it is good enough."""

    generating = State(
        generate,
        initial=True,
        attempts=2,
        fallback=[generate_slowly],
        guards=[quality("code of at least 20 characters", long_enough)],
    )
    reviewing = State(review)
    done = State(final=True)
    halted = State(final=True, outcome="failed")

    generated = generating.to(reviewing, on=Completed[Code])
    reviewed = reviewing.to(done, on=Completed[Verdict])
    gave_up = any_state.to(halted, on=Failed)


def careful(*texts: str) -> tuple[str, list[str], list[str]]:
    """Outcome, specialists called, and why outputs were rejected, where they give these texts in turn."""
    played = play(Careful, Wish("w"), {"generating": [Code(text) for text in texts], "reviewing": Verdict(True)})
    events = [event for turn in played.turns for event in turn.events]
    started = [event.specialist for event in events if isinstance(event, CallStarted)]
    return played.run.outcome, started, [e.failure.data.decode() for e in events if isinstance(e, CallFailed)]


def test_below_quality_another_attempt_then_another_specialist_then_a_report() -> None:
    """The primary fails its check twice and the alternative is used; fails that too, the run halts and says why."""
    outcome, started, why = careful("short", "brief", "x" * 20)
    assert (outcome, started) == ("completed", ["generate@1", "generate@1", "generate_slowly@1", "review@1"])
    outcome, started, why = careful("short", "brief", "tiny", "small")
    assert (outcome, started[-1], len(why)) == ("failed", "generate_slowly@1", 4)
    assert "'brief'" in why[1] and "expected code of at least 20 characters" in why[1]
