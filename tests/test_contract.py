"""Contracts are strict in both directions: what is stored was meant and is read back equal, or it is refused."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from typing import Any, ClassVar, Literal

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecore import failures
from statecore.contract import Contract, contract_of
from statecore.errors import BadInput
from statecore.failures import Failure
from statecore.hints import spelled
from statecore.strictjson import MAX_DEPTH


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Tone(StrEnum):
    WARM = "warm"


@attrs.frozen
class Person:
    name: str
    age: int | None = None


@attrs.frozen
class Machine:
    name: str


@attrs.frozen
class Everything:
    text: str
    whole: int
    real: float
    flag: bool
    nothing: None
    maybe: int | None
    word: Literal["yes", "no", 3]
    level: Level
    colour: Colour
    tone: Tone
    at: datetime
    day: date
    items: list[Person]
    pair: tuple[int, str]
    many: tuple[float, ...]
    table: dict[str, list[int]]
    either: Person | Machine | None
    number: int | float
    mixed: int | list[str] | Person | None


@attrs.frozen
class Node:
    value: int
    below: list["Node"] = attrs.field(factory=list)


WHOLE = Everything(
    "ä\n",
    2**63 - 1,
    0.1,
    True,
    None,
    None,
    3,
    Level.HIGH,
    Colour.RED,
    Tone.WARM,
    datetime(2026, 1, 2, 3, 4, 5, 678, UTC),
    date(2026, 1, 2),
    [Person("Ada", 36), Person("Bo")],
    (1, "a"),
    (1.5, -0.0),
    {"a": [1, 2], "": []},
    Machine("m"),
    7,
    Person("Cy"),
)
STORED = msgspec.json.decode(contract_of(Everything).pack(WHOLE).data)


def faults(contract: Contract[Any], plain: Any) -> tuple[str, ...]:
    with pytest.raises(BadInput) as refused:
        contract.fit(plain)
    return refused.value.faults


def holding(hint: Any) -> Contract[Any]:
    made: Any = attrs.make_class("Holder", {"x": attrs.field(type=hint)}, frozen=True)
    return contract_of(made)


# -- the bytes, pinned for ever: logs are full of them

PINS: list[tuple[Any, bytes]] = [
    (Person("Ada"), b'{"name":"Ada","age":null}'),
    (Person("é\u2028\U0001f600", -1), '{"name":"é\u2028\U0001f600","age":-1}'.encode()),
    (Node(1, [Node(2)]), b'{"value":1,"below":[{"value":2,"below":[]}]}'),
    (
        WHOLE,
        b'{"text":"\xc3\xa4\\n","whole":9223372036854775807,"real":0.1,"flag":true,"nothing":null,"maybe":null,"word":3,"level":2,'
        b'"colour":"red","tone":"warm","at":"2026-01-02T03:04:05.000678+00:00","day":"2026-01-02",'
        b'"items":[{"name":"Ada","age":36},{"name":"Bo","age":null}],"pair":[1,"a"],"many":[1.5,-0.0],"table":{"a":[1,2],"":[]},'
        b'"either":{"_type":"Machine","name":"m"},"number":7,"mixed":{"name":"Cy","age":null}}',
    ),
    (failures.TimedOut("slow", 2.5), b'{"why":"slow","after":2.5}'),
    (failures.RateLimited(), b'{"why":"","retry_after":null}'),
    (
        failures.Rejected("contract Triage", ("a @ $", "b @ $.x")),
        b'{"by":"contract Triage","faults":["a @ $","b @ $.x"]}',
    ),
]


@pytest.mark.parametrize(("value", "data"), PINS, ids=lambda pin: type(pin).__name__ if attrs.has(type(pin)) else "")
def test_the_bytes_of_a_value_never_change(value: Any, data: bytes) -> None:
    """A log written by any version holds these very bytes."""
    kind: Any = type(value)
    assert contract_of(kind).pack(value).data == data


# -- wrong types

WRONG_TYPES: list[tuple[Any, Any]] = [
    (bool, "false"),
    (bool, 0),
    (bool, None),
    (int, "3"),
    (int, 3.9),
    (int, 3.0),
    (int, True),
    (int, None),
    (int, 2**63),
    (int, -(2**63) - 1),
    (float, "3"),
    (float, True),
    (float, None),
    (float, math.nan),
    (float, math.inf),
    (float, -math.inf),
    (float, 2**53 + 1),
    (str, 3),
    (str, None),
    (str, b"x"),
    (str, "\0"),
    (str, "\ud800"),
    (str, ["x"]),
    (type(None), 0),
    (int | None, ""),
    (Literal["yes", 1], "maybe"),
    (Literal["yes", 1], True),
    (Literal["yes", 1], 1.0),
    (Level, 3),
    (Level, "1"),
    (Level, 1.0),
    (Level, True),
    (Colour, "RED"),
    (datetime, "yesterday"),
    (datetime, 1700000000),
    (date, "2026-13-01"),
    (list[str], "abc"),
    (list[str], {"a": 1}),
    (list[str], [1]),
    (tuple[int, str], [1]),
    (tuple[int, str], [1, "a", 2]),
    (tuple[int, ...], [1, "2"]),
    (dict[str, int], [["a", 1]]),
    (dict[str, int], {"a": "1"}),
    (dict[str, str], {"a": "\0"}),
    (Person, "Ada"),
    (Person, ["Ada", 3]),
    (Person, {}),
    (Person, {"name": "Ada", "age": 3, "extra": 1}),
    (Person | Machine, {"name": "Ada"}),
    (Person | Machine, {"_type": "Node", "name": "Ada"}),
    (Person | Machine, "Ada"),
]


@pytest.mark.parametrize(
    ("hint", "found"), WRONG_TYPES, ids=lambda case: spelled(case) if isinstance(case, type) else repr(case)[:20]
)
def test_nothing_is_coerced(hint: Any, found: Any) -> None:
    """ "3" is no int, "false" no bool, None no str, True no 1: a wrong value is refused and its place is named."""
    said = faults(holding(hint), {"x": found})
    assert len(said) == 1
    assert " @ $.x" in said[0]


def test_an_int_is_a_float_where_it_is_exactly_one() -> None:
    """JSON writes 3.0 as 3, and so do people."""
    assert holding(float).fit({"x": 3}).x == 3.0
    assert type(holding(float).fit({"x": 3}).x) is float


def test_all_faults_are_reported_at_once_each_with_its_path() -> None:
    """A model that is told every fault can mend every fault."""
    wrong = STORED | {
        "text": 1,
        "flag": "false",
        "items": [{"name": "Ada", "age": "36"}, {"age": 1, "nick": "x"}, 3],
        "pair": ["1", 2],
        "many": [1, "2"],
        "table": {"a": [1, "2"], "b c": None},
        "either": {"_type": "Machine", "name": None},
        "surplus": 1,
        "more": 2,
    }
    del wrong["whole"]
    assert faults(contract_of(Everything), wrong) == (
        "expected str, found int 1 @ $.text",
        "required field missing: whole @ $.whole",
        "expected bool, found str 'false' @ $.flag",
        "expected int | None, found str '36' @ $.items[0].age",
        "required field missing: name @ $.items[1].name",
        "unknown field: nick @ $.items[1]",
        "expected Person, found int 3 @ $.items[2]",
        "expected int, found str '1' @ $.pair[0]",
        "expected str, found int 2 @ $.pair[1]",
        "expected float, found str '2' @ $.many[1]",
        "expected int, found str '2' @ $.table['a'][1]",
        "expected list[int], found NoneType None @ $.table['b c']",
        "expected str, found NoneType None @ $.either.name",
        "unknown field: more, surplus @ $",
    )


def test_a_fault_of_the_whole_value_is_at_the_root() -> None:
    """`$` is the value itself, and a long one is not repeated whole."""
    assert faults(contract_of(Person), []) == ("expected Person, found list [] @ $",)
    assert len(faults(contract_of(Person), "x" * 10_000)[0]) < 120


def test_a_value_that_is_nested_too_deeply_is_refused_in_both_directions() -> None:
    """A limit of our own, so that no recursion limit of some Python decides."""

    def nested(depth: int) -> Node:
        node = Node(0)
        for _ in range(depth):
            node = Node(0, [node])
        return node

    contract = contract_of(Node)
    assert contract.pack(nested(MAX_DEPTH // 2 - 1)).live == nested(MAX_DEPTH // 2 - 1)
    for depth in (MAX_DEPTH // 2, 5000):
        with pytest.raises(BadInput, match="nested deeper than 64"):
            contract.pack(nested(depth))
    plain: dict[str, Any] = {"value": 0}
    for _ in range(5000):
        plain = {"value": 0, "below": [plain]}
    assert faults(contract, plain) == ("nested deeper than 64 @ $",)


# -- packing what Python has, not what JSON gave

UNFIT: list[tuple[Any, Any, str]] = [
    (list[str], "abc", "expected list[str], found str 'abc'"),
    (list[str], ("a",), "expected list[str], found tuple ('a',)"),
    (list[str], {"a"}, "expected list[str], found set {'a'}"),
    (tuple[int, ...], [1], "expected tuple[int, ...], found list [1]"),
    (list[int], None, "expected list[int], found NoneType None"),
    (dict[str, int], [1], "expected dict[str, int], found list [1]"),
    (dict[str, int], {1: 1}, "expected str, found int 1"),
    (str, Tone.WARM, "expected str, found Tone"),
    (int, Level.LOW, "expected int, found Level"),
    (int, True, "expected int, found bool True"),
    (float, math.nan, "expected a finite float, found nan"),
    (Person, Machine("m"), "@ $"),
    (Person, {"name": "Ada"}, "@ $"),
    (Person | Machine, Node(1), "@ $"),
    (datetime, date(2026, 1, 1), "@ $.x"),
]


@pytest.mark.parametrize(("hint", "value", "said"), UNFIT, ids=lambda case: repr(case)[:24])
def test_a_value_that_would_be_read_back_otherwise_is_not_stored(hint: Any, value: Any, said: str) -> None:
    """Python does not check what a class is made of; the contract does, before anything is written."""
    contract = holding(hint)
    with pytest.raises(BadInput) as refused:
        contract.pack(contract.cls(value))
    assert said in str(refused.value)


def test_only_its_own_class_is_packed() -> None:
    """What derives from a contract has fields that the contract does not know."""

    @attrs.frozen
    class Employee(Person):
        salary: int = 0

    with pytest.raises(BadInput, match=r"expected Person, found Employee Employee\(.*\) @ \$"):
        contract_of(Person).pack(Employee("Ada"))
    with pytest.raises(BadInput, match=r"@ \$\.x"):
        contract = holding(Person)
        contract.pack(contract.cls(Employee("Ada")))


def test_what_a_run_goes_on_with_is_what_a_rebuild_will_find() -> None:
    """`live` is read back from the stored shape, and not the object that was given."""
    given_items = [Person("Ada")]
    payload = contract_of(Everything).pack(attrs.evolve(WHOLE, items=given_items))
    given_items.append(Person("Eve"))
    assert payload.live.items == [Person("Ada")]
    assert contract_of(Everything).unpack(attrs.evolve(payload, live=None)) == payload.live


def test_validators_of_the_class_are_asked() -> None:
    """A contract may be narrower than its types."""

    @attrs.frozen
    class Share:
        of_one: float = attrs.field(validator=[attrs.validators.ge(0), attrs.validators.le(1)])

    assert faults(contract_of(Share), {"of_one": 2.0}) == ("'of_one' must be <= 1: 2.0 @ $",)


# -- unions


def test_classes_of_a_union_are_stored_with_their_names() -> None:
    """Two classes with the same fields stay two."""
    contract = holding(Person | Machine | None)
    for value in (Person("x"), Machine("x"), None):
        assert contract.unpack(attrs.evolve(contract.pack(contract.cls(value)), live=None)).x == value
    assert contract.pack(contract.cls(Machine("x"))).data == b'{"x":{"_type":"Machine","name":"x"}}'


def test_a_single_class_in_a_union_needs_no_name() -> None:
    """`Person | None` is stored as the person is."""
    contract = holding(Person | None)
    assert contract.pack(contract.cls(Person("x"))).data == b'{"x":{"name":"x","age":null}}'


def test_a_union_in_a_list_names_each_of_its_values() -> None:
    """The name is with the value, wherever it is."""
    contract = holding(list[Person | Machine])
    value = contract.cls([Machine("a"), Person("b")])
    assert contract.unpack(attrs.evolve(contract.pack(value), live=None)) == value


# -- round trips

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
whole = st.integers(-(2**63), 2**63 - 1)
real = st.floats(allow_nan=False, allow_infinity=False)
people = st.builds(Person, text, st.none() | whole)
machines = st.builds(Machine, text)
zones = st.just(UTC) | st.builds(timezone, st.integers(-86399, 86399).map(lambda seconds: timedelta(seconds=seconds)))
everything = st.builds(
    Everything,
    text=text,
    whole=whole,
    real=real,
    flag=st.booleans(),
    nothing=st.none(),
    maybe=st.none() | whole,
    word=st.sampled_from(["yes", "no", 3]),
    level=st.sampled_from(Level),
    colour=st.sampled_from(Colour),
    tone=st.sampled_from(Tone),
    at=st.datetimes(timezones=st.none() | zones),
    day=st.dates(),
    items=st.lists(people, max_size=3),
    pair=st.tuples(whole, text),
    many=st.lists(real, max_size=3).map(tuple),
    table=st.dictionaries(text, st.lists(whole, max_size=2), max_size=3),
    either=st.none() | people | machines,
    number=whole | real,
    mixed=st.none() | whole | st.lists(text, max_size=2) | people,
)


@given(everything)
def test_every_value_comes_back_equal(value: Everything) -> None:
    """Packed, stored as bytes, parsed and read: equal, of the same types, and the same bytes again."""
    contract = contract_of(Everything)
    payload = contract.pack(value)
    back = contract.unpack(attrs.evolve(payload, live=None))
    assert back == payload.live == value
    assert all(
        type(getattr(back, field.name)) is type(getattr(value, field.name)) for field in attrs.fields(Everything)
    )
    assert contract.pack(back).data == payload.data


wrong_json = st.recursive(
    st.none() | st.booleans() | whole | real | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([field.name for field in attrs.fields(Everything)]), wrong_json)
def test_any_json_is_either_admitted_as_it_is_or_refused(field: str, plain: Any) -> None:
    """What is admitted is written back as it came, but for an int for a float and a date in another notation."""
    contract = contract_of(Everything)
    try:
        value = contract.fit(STORED | {field: plain})
    except BadInput as refused:
        assert refused.faults and all(f" @ $.{field}" in fault for fault in refused.faults)
        return
    if field not in ("at", "day"):
        assert msgspec.json.encode(contract._unstructure(value)[field]) in (
            msgspec.json.encode(complete(plain)),
            msgspec.json.encode(as_floats(plain)),
        )


def as_floats(plain: Any) -> Any:
    return (
        [as_floats(item) for item in plain]
        if isinstance(plain, list)
        else float(plain)
        if type(plain) is int
        else plain
    )


def complete(plain: Any) -> Any:
    """With the default of a field that was left out."""
    if isinstance(plain, list):
        return [complete(item) for item in plain]
    return plain | {"age": None} if isinstance(plain, dict) and "name" in plain and "age" not in plain else plain


SAMPLES: list[Failure] = [
    failures.Transient("t"),
    failures.TimedOut("slow", 2.5),
    failures.RateLimited("busy", 3.0),
    failures.Unavailable("gone"),
    failures.Rejected("guard", ("a @ $",)),
    failures.Refused("ceiling", "spent"),
    failures.Crashed("ValueError", "no"),
    failures.Broken("reply_request", "KeyError: 'x'"),
    failures.Exhausted("redo", 3),
    failures.PlanRefused("acyclic", "a after b after a", ("a", "b")),
    failures.Incomplete("wanted", ("diagram",)),
    failures.Conflicting("total", (failures.Answer("a", "1"), failures.Answer("b", "2"))),
    failures.NotDone("never sent"),
    failures.ChildFailed("r/making#1", "cancelled", "cancelled by ana: enough", ""),
    failures.OutcomeUnknown("cut"),
]


@pytest.mark.parametrize("failure", SAMPLES, ids=lambda failure: type(failure).__name__)
def test_failures_come_back_equal(failure: Failure) -> None:
    """They are values like any other, compared by their fields."""
    kind: Any = type(failure)
    contract = contract_of(kind)
    back = contract.unpack(attrs.evolve(contract.pack(failure), live=None))
    assert back == failure and back is not failure
    assert str(back) == str(failure)


def test_no_failure_is_left_out_of_the_samples() -> None:
    """A new failure is sampled above."""

    def all_of(cls: type[Failure]) -> set[type[Failure]]:
        return {cls}.union(*(all_of(sub) for sub in cls.__subclasses__() if sub.__module__ == failures.__name__))

    assert {type(failure) for failure in SAMPLES} == all_of(Failure) - {Failure}


# -- the shape, for the fingerprint


def test_the_shape_tells_every_field_with_its_type_and_whether_it_may_be_left_out() -> None:
    """A field that is added, dropped, retyped or given a default is another shape."""
    assert contract_of(Person).spec() == {"name": "str", "age": "int | None = ..."}
    assert contract_of(Node).spec() == {"value": "int", "below": "list[Node] = ..."}
    assert contract_of(Everything).nested() == (Everything, Person, Machine)


def test_a_failure_may_have_words_of_its_class() -> None:
    """A ClassVar is no field."""

    class Careful(failures.Transient):
        nothing_happened: ClassVar[bool] = True

    assert contract_of(Careful).spec() == {"why": "str = ..."}


# -- the tests, tested


@pytest.mark.parametrize("loose", [int, float, str], ids=lambda kind: kind.__name__)
def test_a_loose_contract_would_be_seen(loose: Callable[[Any], Any]) -> None:
    """The cases above hold some that Python itself would coerce for each of the plain types."""
    coerced = 0
    for hint, found in WRONG_TYPES:
        if hint is loose and found is not None:
            try:
                loose(found)
                coerced += 1
            except (ValueError, OverflowError, TypeError):
                continue
    assert coerced >= 2


@attrs.frozen
class Counted:
    numbers: list[int]
    named: dict[str, int] = attrs.field(factory=dict)


def test_faults_are_told_within_bounds() -> None:
    """A value that is all faults names the first hundred and how many more there are; a key of any length is cut."""
    with pytest.raises(BadInput) as caught:
        contract_of(Counted).fit({"numbers": ["x"] * 1000, "named": {"k" * 10_000: "x"}})
    faults = caught.value.faults
    assert len(faults) == 101 and faults[-1] == "901 more @ $"
    with pytest.raises(BadInput) as caught:
        contract_of(Counted).fit({"numbers": [], "named": {"k" * 10_000: "x"}})
    assert len(caught.value.faults[0]) == 500 and "kkk..." in caught.value.faults[0]


@attrs.frozen
class Stamped:
    at: datetime
    count: int


@attrs.frozen
class Book:
    title: str
    first: Stamped
    pages: list[Stamped]
    named: dict[str, Stamped]
    pair: tuple[int, Stamped]
    perhaps: Stamped | None


@attrs.frozen(auto_exc=False)
class Torn(Failure):
    why: str
    pages: tuple[Stamped, ...] = ()


def test_a_value_that_cannot_be_written_names_each_field_at_fault() -> None:
    """Wherever it is nested, and also what could be written and would not be read."""
    good, bad = Stamped(datetime(2026, 1, 1), 1), Stamped("soon", "1")  # type: ignore[arg-type]
    faults = refused(Book(7, bad, [good, bad], {"k": bad}, (1, bad), bad))  # type: ignore[arg-type]
    places = ("first", "pages[1]", "named['k']", "pair[1]", "perhaps")
    assert faults == (
        "expected str, found int 7 @ $.title",
        *(
            fault
            for place in places
            for fault in (
                f"expected datetime, found str 'soon' @ $.{place}.at",
                f"expected int, found str '1' @ $.{place}.count",
            )
        ),
    )


def test_a_failure_that_cannot_be_written_names_each_field_at_fault() -> None:
    """A failure is a value like any other."""
    assert refused(Torn(1, (Stamped(None, 2),))) == (  # type: ignore[arg-type]
        "expected str, found int 1 @ $.why",
        "expected datetime, found NoneType None @ $.pages[0].at",
    )


def test_a_part_of_another_class_is_named_with_its_place() -> None:
    """What it is, and what was expected there."""
    assert refused(Book("a", Torn(""), [], {}, (1,), None)) == (  # type: ignore[arg-type]
        "expected Stamped, found Torn Torn(why='', pages=()) @ $.first",
        "expected tuple[int, Stamped], found tuple (1,) @ $.pair",
    )


def test_what_would_be_read_back_otherwise_is_named_where_it_is() -> None:
    """The field itself, and not the one that holds it."""
    inner = attrs.make_class("Inner", {"x": attrs.field(type=int, converter=lambda x: x + 1)}, frozen=True)
    outer = attrs.make_class("Outer", {"inner": attrs.field(type=inner)}, frozen=True)
    assert refused(outer(inner(1))) == ("expected int, found int 2, which would be read back as 3 @ $.inner.x",)


def refused(value: Any) -> tuple[str, ...]:
    with pytest.raises(BadInput) as fault:
        contract_of(type(value)).pack(value)
    return fault.value.faults


@attrs.frozen
class Weights:
    one: float
    some: tuple[float, ...] = ()
    named: dict[str, float | None] = attrs.field(factory=dict)
    either: int | str = 1


def test_a_whole_number_for_a_float_is_stored_as_it_is_read_back() -> None:
    """Packed again from what was stored, a value has the same bytes: else a log would be decided another way."""
    contract = contract_of(Weights)
    packed = contract.pack(Weights(1, (2,), {"a": 3, "b": None}, 4))
    assert packed.data == b'{"one":1.0,"some":[2.0],"named":{"a":3.0,"b":null},"either":4}'
    assert contract.pack(contract.unpack(attrs.evolve(packed, live=None))) == packed
