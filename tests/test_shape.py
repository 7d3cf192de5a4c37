"""A contract as JSON Schema, held against the contract itself by an independent validator."""

import json
from datetime import UTC, date, datetime
from enum import Enum, IntEnum
from typing import Any, Literal

import attrs
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statecore import contract
from statecore.contract import contract_of
from statecore.demo import ChangeReview
from statecore.errors import BadInput
from statecore.shape import DRAFT, contract_schema, schemas, specialist_schema
from tests.releases import New, Old, post
from tests.support import SupportTicket


class Tone(Enum):
    KIND = "kind"
    CURT = "curt"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Left:
    x: int


@attrs.frozen
class Right:
    x: int
    more: "tuple[Right, ...]" = ()


@contract(version="2")
@attrs.frozen
class All:
    text: str
    number: int
    share: float
    sure: bool
    nothing: None
    when: datetime
    day: date
    topic: Literal["a", "b", 3, True, None]
    tone: Tone
    level: Level
    either: Left | Right
    perhaps: Left | None
    scalar: int | str | None
    many: list[Left]
    pair: tuple[int, str]
    row: tuple[float, ...]
    named: dict[str, Left | Right]
    tree: Right
    later: str = "x"
    tones: list[Tone] = attrs.field(factory=list)
    mood: Tone = Tone.KIND


WHOLE: dict[str, Any] = {
    "text": "a", "number": 1, "share": 0.5, "sure": True, "nothing": None, "when": "2026-01-01T00:00:00", "day": "2026-01-01",
    "topic": "a", "tone": "kind", "level": 2, "either": {"_type": "Left", "x": 1}, "perhaps": None, "scalar": "s",
    "many": [{"x": 1}], "pair": [1, "a"], "row": [1, 2.5], "named": {"k": {"_type": "Right", "x": 1}}, "tree": {"x": 1},
}  # fmt: skip

BAD = {
    "text": (1, None, ["a"]),
    "number": ("1", 1.5, True, None, 2**63, -(2**63) - 1),
    "share": ("0.5", True, None),
    "sure": ("true", 1, None),
    "nothing": (0, "", False),
    "when": (1, None),
    "day": (20260101,),
    "topic": ("c", 4, False, ["a"]),
    "tone": ("KIND", None, 1),
    "level": (3, "1", True),
    "either": ({"x": 1}, {"_type": "Other", "x": 1}, {"_type": "Left"}, {"_type": "Left", "x": 1, "more": []}, None),
    "perhaps": ({}, {"x": "1"}, {"x": 1, "y": 2}, {"_type": "Left", "x": 1}, []),
    "scalar": (1.5, True, []),
    "many": ({}, [1], [{"x": None}], None, "a"),
    "pair": ([1], [1, "a", 2], ["a", 1], {}),
    "row": (["a"], 1, None),
    "named": ([], {"k": {"x": 1}}, {"k": None}),
    "tree": ({"x": 1, "more": [{"x": "1"}]}, {"x": 1, "more": [{"x": 1, "more": [{"y": 1}]}]}, None),
    "later": (None,),
    "tones": (["none"], "kind"),
    "mood": ("loud",),
}
"""For each field what neither the contract nor its schema admits."""

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
numbers = st.integers(-(2**63), 2**63 - 1)
lefts = st.builds(Left, numbers)
rights = st.recursive(
    st.builds(Right, numbers),
    lambda inner: st.builds(Right, numbers, st.lists(inner, max_size=2).map(tuple)),
    max_leaves=4,
)
alls = st.builds(
    All,
    text,
    numbers,
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.dates(),
    st.sampled_from(["a", "b", 3, True, None]),
    st.sampled_from(Tone),
    st.sampled_from(Level),
    lefts | rights,
    st.none() | lefts,
    st.none() | numbers | text,
    st.lists(lefts, max_size=2),
    st.tuples(numbers, text),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=2).map(tuple),
    st.dictionaries(text, lefts | rights, max_size=2),
    rights,
    text,
    st.lists(st.sampled_from(Tone), max_size=2),
    st.sampled_from(Tone),
)


def judge(schema: dict[str, Any]) -> Any:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


ALL = judge(contract_schema(contract_of(All)))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(alls)
def test_what_a_contract_admits_its_schema_admits(value: All) -> None:
    """Whatever is stored is valid under the schema that is printed."""
    ALL.validate(json.loads(contract_of(All).pack(value).data))


def test_the_whole_is_admitted_by_both() -> None:
    """Otherwise the bad values below would be refused for another reason."""
    ALL.validate(WHOLE)
    assert contract_of(All).fit(WHOLE).tree == Right(1)


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
def test_what_is_bad_is_refused_by_both(field: str, value: Any) -> None:
    """A wrong type, a missing or an unknown field, at any depth."""
    plain = {**WHOLE, field: value}
    with pytest.raises(BadInput):
        contract_of(All).fit(plain)
    assert not ALL.is_valid(plain)


@pytest.mark.parametrize("field", WHOLE)
def test_a_field_that_is_missing_is_refused_by_both(field: str) -> None:
    """And so is one that nobody knows."""
    plain = {name: value for name, value in WHOLE.items() if name != field}
    with pytest.raises(BadInput):
        contract_of(All).fit(plain)
    assert not ALL.is_valid(plain)
    assert not ALL.is_valid({**WHOLE, f"{field}s_": 1})


def test_a_schema_is_titled_with_name_and_version_and_says_its_draft() -> None:
    """The first version too; a default is told where it is plain, and an Enum by its value."""
    made = contract_schema(contract_of(All))
    assert (made["$schema"], made["title"], made["$ref"]) == (DRAFT, "All@2", "#/$defs/All@2")
    assert contract_schema(contract_of(Left))["title"] == "Left@1"
    shown = made["$defs"]["All@2"]["properties"]
    assert (shown["later"]["default"], shown["mood"]["default"]) == ("x", "kind")
    assert "default" not in shown["tones"]
    assert made["$defs"]["Left-tagged"]["properties"]["_type"] == {"const": "Left"}


def test_two_classes_of_one_name_are_kept_apart() -> None:
    """Deep inside a contract they may meet."""
    other = attrs.make_class("Left", {"y": attrs.field(type=str)}, frozen=True)
    pair = attrs.make_class("Pair", {"a": attrs.field(type=Left), "b": attrs.field(type=other)}, frozen=True)
    schema = judge(contract_schema(contract_of(pair)))
    assert schema.is_valid({"a": {"x": 1}, "b": {"y": ""}})
    assert not schema.is_valid({"a": {"x": 1}, "b": {"x": 1}})


def test_what_a_specialist_takes_and_gives_is_one_schema() -> None:
    """Under the name and version of the specialist."""
    schema = judge(specialist_schema(post))
    request = {"to": "me", "letter": {"lines": ["a"]}}
    assert schema.is_valid({"takes": request, "gives": {"what": "a"}})
    assert not schema.is_valid({"takes": request})
    assert specialist_schema(post)["title"] == "post@2"


def test_everything_that_a_workflow_knows_has_a_schema() -> None:
    """Its contracts, what they are made of, the failures, the specialists; of both versions where both are loaded."""
    known = schemas(cls.machine for cls in (Old, New, SupportTicket, ChangeReview))
    assert {"Request@1", "Request@3", "Letter@1", "Letter@2", "write@1", "write@2", "Crashed@1", "Review@1"} <= set(
        known
    )
    for found in known.values():
        for schema in found:
            judge(schema)
    assert len(known["Review@1"]) == 2
