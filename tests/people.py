"""A user's module with people in it: a goal that may need clarifying, an article that an editor must like."""

from datetime import timedelta
from enum import Enum
from typing import Literal

import attrs

from statecore import (
    Completed,
    Compound,
    Done,
    Elapsed,
    Failed,
    Parallel,
    Person,
    State,
    TimedOut,
    Wait,
    Workflow,
    any_state,
    specialist,
)


@attrs.frozen
class Article:
    title: str
    text: str = ""


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


@attrs.frozen
class Decision:
    verdict: Literal["publish", "drop"]
    note: str = ""


@attrs.frozen
class Rating:
    fit: bool
    mood: Mood
    stars: int
    tags: tuple[str, ...] = ()
    better: str | None = None


@attrs.frozen
class Published:
    title: str


def article(start: Article) -> Article:
    return start


def liked(decision: Decision) -> bool:
    return decision.verdict == "publish"


editor = Person(
    "editor",
    version="1",
    takes=Article,
    gives=Decision,
    who=("ana", "ben"),
    within=timedelta(days=2),
    says="Is it right?",
)
chief = Person("chief", version="1", takes=Article, gives=Decision, who=("cleo",), within=timedelta(days=1))
anybody = Person("anybody", version="1", takes=Article, gives=Decision)
silent = Person(
    "silent", version="1", takes=Article, gives=Decision, within=60, otherwise=Decision("drop", "nobody answered")
)
rater = Person("rater", version="1", takes=Article, gives=Rating)


@specialist("publish", version="1", effect="pure")
async def publish(article: Article) -> Published:
    return Published(article.title)


class Publishing(Workflow[Article], version="1"):
    """An editor decides; who does not in time is followed by the chief."""

    asking = State(editor, fallback=[chief], initial=True)
    publishing = State(publish, give=article)
    published = State(final=True)
    dropped = State(final=True, outcome="failed")
    missed = State(final=True, outcome="partial")
    yes = asking.to(publishing, on=Completed[Decision], cond=liked)
    no = asking.to(dropped, on=Completed[Decision])
    done = publishing.to(published, on=Completed[Published])
    nobody = asking.to(missed, on=Failed[TimedOut])
    gave_up = any_state.to(dropped, on=Failed)


class Silent(Workflow[Article], version="1"):
    """No answer is an answer."""

    asking = State(silent, initial=True)
    published = State(final=True)
    dropped = State(final=True, outcome="failed")
    yes = asking.to(published, on=Completed[Decision], cond=liked)
    no = asking.to(dropped, on=Completed[Decision])
    gave_up = any_state.to(dropped, on=Failed)


class Rated(Workflow[Article], version="1"):
    """A form of many fields."""

    asking = State(rater, initial=True)
    rated = State(final=True)
    lost = State(final=True, outcome="failed")
    done = asking.to(rated, on=Completed[Rating])
    gave_up = any_state.to(lost, on=Failed)


class Twice(Workflow[Article], version="1"):
    """Two people are asked side by side, and one of them again after a while."""

    class both(Parallel, initial=True):
        class left(Compound):
            asking = State(anybody, initial=True)
            resting = State(Wait(60))
            asked = State(final=True)
            yes = asking.to(asked, on=Completed[Decision], cond=liked)
            no = asking.to(resting, on=Completed[Decision])
            rested = resting.to(asking, on=Elapsed, at_most=2)
            enough = resting.to(asked, on=Elapsed)

        class right(Compound):
            asking = State(editor, initial=True)
            asked = State(final=True)
            any = asking.to(asked, on=Completed[Decision])

    published = State(final=True)
    dropped = State(final=True, outcome="failed")
    done = both.to(published, on=Done)
    gave_up = any_state.to(dropped, on=Failed)


# -- clarification before planning


@attrs.frozen
class Goal:
    text: str
    answers: tuple[str, ...] = ()


@attrs.frozen
class Unclear:
    """What has to be known before anything is planned."""

    question: str
    options: tuple[str, ...] = ()


@attrs.frozen
class Clear:
    goal: str


@attrs.frozen
class Answer:
    text: str


@attrs.frozen
class Steps:
    steps: tuple[str, ...]


@specialist("understand", version="1", effect="pure")
async def understand(goal: Goal) -> Clear | Unclear:
    """Deterministic on purpose: a goal that says `it` and has no answer yet is ambiguous."""
    if " it" in goal.text and not goal.answers:
        return Unclear("What is `it`?", ("the report", "the invoice"))
    return Clear(goal.text.replace(" it", f" {goal.answers[-1]}") if goal.answers else goal.text)


@specialist("plan", version="1", effect="pure")
async def plan(clear: Clear) -> Steps:
    return Steps((f"open: {clear.goal}", f"do: {clear.goal}"))


asker = Person("asker", version="1", takes=Unclear, gives=Answer)


def goal_so_far(start: Goal, answers: list[Answer]) -> Goal:
    return Goal(start.text, tuple(answer.text for answer in answers))


class Clarified(Workflow[Goal], version="1"):
    """An ambiguous goal is clarified before it is planned."""

    understanding = State(understand, initial=True, give=goal_so_far)
    clarifying = State(asker)
    planning = State(plan)
    planned = State(final=True)
    failed = State(final=True, outcome="failed")

    clear = understanding.to(planning, on=Completed[Clear])
    unclear = understanding.to(clarifying, on=Completed[Unclear], at_most=3)
    clarified = clarifying.to(understanding, on=Completed[Answer])
    done = planning.to(planned, on=Completed[Steps])
    gave_up = any_state.to(failed, on=Failed)
