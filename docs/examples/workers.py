"""Orchestrator and workers: a planner says how many chapters there are, each gets a writer, one edits them all.

statecore run workers:Workers --input '{"subject": "tides", "chapters": 4}'
statecore run workers:Workers --input '{"subject": "tides", "chapters": 400}'     # more than anybody asked for
"""

import attrs

from statecore import Completed, Failed, Part, Plan, State, Workflow, any_state, specialist
from statecore.failures import PlanRefused


@attrs.frozen
class Order:
    subject: str
    chapters: int


@attrs.frozen
class Contents:
    titles: tuple[str, ...]


@attrs.frozen
class Assignment:
    title: str


@attrs.frozen
class Chapter:
    title: str
    text: str


@attrs.frozen
class Book:
    chapters: tuple[str, ...]


@specialist("plan_book", version="1", effect="pure")
async def plan_book(order: Order) -> Contents:
    """The planner, a model perhaps. What it gives is a value, and is held to the rules of the plan before anybody works."""
    return Contents(tuple(f"{order.subject}, part {number}" for number in range(1, order.chapters + 1)))


@specialist("write_chapter", version="1", effect="pure")
async def write_chapter(assignment: Assignment) -> Chapter:
    return Chapter(assignment.title, f"About {assignment.title}.")


def assignments(contents: Contents) -> list[Part]:
    return [
        Part(write_chapter, id=f"chapter {number}", request=Assignment(title), says=f"write the chapter on {title}")
        for number, title in enumerate(contents.titles, 1)
    ]


def bound(chapters: list[Chapter]) -> Book:
    return Book(tuple(chapter.text for chapter in chapters))


class Workers(Workflow[Order], version="1"):
    """Plan a book, write its chapters at the same time, bind them."""

    planning = State(plan_book, initial=True)
    writing = State(Plan(of=[write_chapter], make=assignments, assemble=bound, at_most=50, width=4))
    in_print = State(final=True)
    too_much = State(final=True, outcome="failed", says="the planner asked for more than anybody allowed")
    failed = State(final=True, outcome="failed")

    planned = planning.to(writing, on=Completed[Contents])
    written = writing.to(in_print, on=Completed[Book])
    refused = writing.to(too_much, on=Failed[PlanRefused])
    gave_up = any_state.to(failed, on=Failed)
