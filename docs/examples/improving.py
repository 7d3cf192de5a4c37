"""Evaluator and optimizer: one writes, another judges, and the remarks go back, a bounded number of times.

statecore run improving:Improving --input '{"theme": "rain", "lines": 2}'
statecore run improving:Improving --input '{"theme": "rain", "lines": 9}'     # never good enough
"""

import attrs

from statecore import Completed, Failed, Newest, State, Workflow, any_state, specialist
from statecore.failures import Exhausted


@attrs.frozen
class Wish:
    theme: str
    lines: int


@attrs.frozen
class Task:
    theme: str
    remarks: tuple[str, ...]


@attrs.frozen
class Poem:
    lines: tuple[str, ...]


@attrs.frozen
class Asked:
    poem: Poem
    lines: int


@attrs.frozen
class Judgement:
    good: bool
    remark: str


@specialist("write_poem", version="1", effect="pure")
async def write_poem(task: Task) -> Poem:
    """A line more for each remark."""
    return Poem(tuple(f"{task.theme}, and again {task.theme}" for _ in range(1 + len(task.remarks))))


@specialist("judge_poem", version="1", effect="pure")
async def judge_poem(asked: Asked) -> Judgement:
    """Sees the poem and the wish, and nothing of how the poem came about."""
    missing = asked.lines - len(asked.poem.lines)
    return Judgement(missing <= 0, f"{missing} more, please" if missing > 0 else "")


def task(wish: Wish, judgements: list[Judgement]) -> Task:
    return Task(wish.theme, tuple(judgement.remark for judgement in judgements))


def asked(poem: Newest[Poem], wish: Wish) -> Asked:
    return Asked(poem, wish.lines)


def good(judgement: Judgement) -> bool:
    return judgement.good


class Improving(Workflow[Wish], version="1"):
    """Write and judge, until it is good or has been tried four times."""

    writing = State(write_poem, give=task, initial=True)
    judging = State(judge_poem, give=asked)
    pleased = State(final=True)
    given_up = State(final=True, outcome="failed")

    written = writing.to(judging, on=Completed[Poem])
    accepted = judging.to(pleased, on=Completed[Judgement], cond=good)
    again = judging.to(writing, on=Completed[Judgement], at_most=3)
    never_good = judging.to(given_up, on=Failed[Exhausted], says="four drafts, and none was good")
    gave_up = any_state.to(given_up, on=Failed)
