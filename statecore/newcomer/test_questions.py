"""What the workflow decides, does and survives. `python -m pytest` runs it; nothing here waits or calls a model."""

from questions import Answer, Answering, Question, Review

from statecore import Completed, Unavailable
from statecore.testing import given, play, survives

QUESTION = Question("Why is the sky blue?")


def test_a_good_answer_is_accepted() -> None:
    """One draft, one review."""
    draft = given(Answering, QUESTION, Completed(Answer("Scattering.")))
    draft.when(Completed(Review(True, ""))).moved("accepted").finished("completed")


def test_a_poor_answer_is_written_again() -> None:
    """What the reviewer said is in the next request."""
    played = play(Answering, QUESTION)
    assert played.moves == ("written", "again", "written", "accepted")


def test_after_three_poor_drafts_it_gives_up() -> None:
    """The loop has a bound."""
    played = play(Answering, QUESTION, {"writing": Answer("It depends."), "reviewing": Review(False, "vague")})
    assert played.run.outcome == "failed"
    assert played.moves.count("again") == 2


def test_a_failure_is_tried_again_and_then_answered() -> None:
    """Three attempts, as the state says, and then the transition for failures."""
    played = play(Answering, QUESTION, {"writing": [Unavailable()] * 3})
    assert played.moves == ("gave_up",)
    assert played.seconds > 1


def test_a_crash_at_any_moment_changes_nothing() -> None:
    """The run is killed at every turn, and ends as it would have."""
    survives(Answering, QUESTION)
