"""Answer a question: one specialist writes, another reviews, and what is not good enough is written again.

statecore check questions:Answering
statecore run questions:Answering --input '{"text": "Why is the sky blue?"}'
"""

import attrs

from statecore import Completed, Failed, Newest, State, Unavailable, Workflow, any_state, specialist


@attrs.frozen
class Question:
    text: str


@attrs.frozen
class Task:
    question: str
    remark: str


@attrs.frozen
class Answer:
    text: str


@attrs.frozen
class Review:
    good: bool
    remark: str


# The workers. Put a model, a program or a person in place of these functions; what they take and give stays.


@specialist("write_answer", version="1", effect="pure", fails=[Unavailable])
async def write_answer(task: Task) -> Answer:
    because = f" ({task.remark})" if task.remark else ""
    return Answer(f"{task.question} It depends{because}.")


@specialist("review_answer", version="1", effect="pure")
async def review_answer(answer: Answer) -> Review:
    """Sees the answer and nothing of how it came about."""
    good = "(" in answer.text
    return Review(good, "" if good else "say on what it depends")


# What each of them is handed, made of what was recorded before.


def task(question: Question, review: Review | None) -> Task:
    return Task(question.text, review.remark if review else "")


def good(review: Review) -> bool:
    return review.good


def last_answer(answer: Newest[Answer]) -> Answer:
    return answer


class Answering(Workflow[Question], version="1"):
    """Answer a question, reviewed, in at most three drafts."""

    writing = State(write_answer, give=task, initial=True, attempts=3, says="writing an answer")
    reviewing = State(review_answer, give=last_answer, attempts=3, says="reading it with fresh eyes")
    answered = State(final=True)
    given_up = State(final=True, outcome="failed")

    written = writing.to(reviewing, on=Completed[Answer])
    accepted = reviewing.to(answered, on=Completed[Review], cond=good)
    again = reviewing.to(writing, on=Completed[Review], at_most=2)
    gave_up = any_state.to(given_up, on=Failed)
