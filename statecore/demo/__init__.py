"""The showcase workflow, written as a user would write one."""

from statecore.demo.review import ChangeReview as ChangeReview
