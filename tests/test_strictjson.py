"""JSON from outside: what is refused, and that the rest comes through as it is."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statecore.errors import BadInput
from statecore.strictjson import MAX_BYTES, MAX_DEPTH, parse

HOSTILE = {
    "too large": (b'"%b"' % (b"x" * MAX_BYTES), "8,388,610 bytes"),
    "65 lists": (b"[" * 65 + b"]" * 65, "deeper than 64"),
    "65 objects": (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64"),
    "a hundred thousand lists, never closed": (b"[" * 100_000, "deeper than 64"),
    "a hundred thousand lists after a string with brackets": (b'["]]]\\"]",' + b"[" * 100_000, "deeper than 64"),
    "NaN": (b'{"a":[NaN]}', "NaN is no JSON number @ $.a[0]"),
    "Infinity": (b"Infinity", "Infinity is no JSON number @ $"),
    "-Infinity": (b"[-Infinity]", "-Infinity is no JSON number @ $[0]"),
    "overflow to infinity": (b'{"a":{"b":1e400}}', "1e400 is too large @ $.a.b"),
    "2**63": (b"[0,9223372036854775808]", "more than 63 bits @ $[1]"),
    "-2**63": (b"-9223372036854775808", "more than 63 bits @ $"),
    "5000 digits": (b"9" * 5000, "more than 63 bits"),
    "a key twice": (b'{"a":{"b":1,"c":2,"b":1}}', "the key 'b' occurs twice @ $.a"),
    "a key twice, once escaped": (rb'{"a":1,"\u0061":2}', "the key 'a' occurs twice @ $"),
    "a lone surrogate": (rb'{"a":["x\ud800y"]}', r"'\ud800', which no database keeps @ $.a[0]"),
    "a lone surrogate in a key": (rb'{"a":{"\udc00":1}}', r"'\udc00' @ $.a"),
    "surrogates the wrong way round": (rb'"\udc00\ud83d"', "which no database keeps"),
    "an escaped NUL": (rb'["\u0000"]', r"'\x00', which no database keeps @ $[0]"),
    "a bare NUL": (b'["\x00"]', "line 1, column 3"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "UTF-16": ("{}".encode("utf-16"), "not UTF-8 at byte 0"),
    "an overlong slash": (b'"\xc0\xaf"', "not UTF-8 at byte 1"),
    "a surrogate as bytes": (b'"\xed\xa0\x80"', "not UTF-8 at byte 1"),
    "a second value": (b"{} {}", "line 1, column 4"),
    "a comma too many": (b"[1,]", "not JSON"),
    "an unclosed string": (b'"abc', "not JSON"),
    "a string that ends in a backslash": (b'"abc\\', "not JSON"),
    "single quotes": (b"{'a':1}", "not JSON"),
    "a comment": (b"1 // one", "not JSON"),
    "a leading zero": (b"01", "not JSON"),
    "nothing": (b"", "not JSON"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_refused_with_its_place(name: str) -> None:
    """Each trap raises BadInput that says what it is and where."""
    text, said = HOSTILE[name]
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert said in str(caught.value)


def test_every_fault_is_named() -> None:
    """A document with several refused values names each with its path, so that a model can mend them in one turn."""
    with pytest.raises(BadInput) as caught:
        parse(rb'{"a":NaN,"b":[1e999,"\u0000"],"c":{"d":1,"d":2}}')
    assert [fault.rpartition(" @ ")[2] for fault in caught.value.faults] == ["$.a", "$.b[0]", "$.b[1]", "$.c"]


@pytest.mark.parametrize(
    "text",
    [
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b'"' + b"[" * 1000 + b'"',
        b'["\\"[[[[", "' + b"{" * 100 + b'"]',
        b"[[]]" + b" " * 99,
    ],
)
def test_brackets_in_strings_are_no_depth(text: bytes) -> None:
    """64 deep is taken, and brackets between quotes count for nothing."""
    assert parse(text) == json.loads(text)


KEYS = b",".join(b'"%d":1' % number for number in range(50_000))


@pytest.mark.parametrize(
    "text",
    [
        b'"' + b'\\"' * 500_000,
        b'"' + b'\\"' * 500_000 + b"\\",
        b"[]," * 500_000,
        pytest.param(b'{%b,"49999":2}' % KEYS, id="the last of many keys twice"),
    ],
)
def test_a_hostile_text_costs_no_more_than_its_length(text: bytes) -> None:
    """Unclosed strings and endless brackets are refused in linear time: a quadratic scan would take minutes."""
    begun = time.perf_counter()
    with pytest.raises(BadInput):
        parse(text)
    assert time.perf_counter() - begun < 2


plain = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**63, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | plain,
    lambda inner: st.lists(inner) | st.dictionaries(plain, inner),
)


@settings(deadline=None)
@given(values, st.booleans())
def test_what_any_writer_may_write_is_read(value: object, ascii_only: bool) -> None:
    """Every value that is not refused comes back equal and of the same types, escaped or not."""
    assert repr(parse(json.dumps(value, ensure_ascii=ascii_only).encode())) == repr(value)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='[]{}",:\\u0d81eNa- ', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    """No input raises anything but BadInput, and what is taken the standard library reads the same."""
    try:
        value = parse(text)
    except BadInput:
        return
    assert repr(value) == repr(json.loads(text))


def test_a_fault_is_told_within_bounds() -> None:
    """However long a key is, what is said of it is short."""
    long = b"k" * 1_000_000
    for text in (b'{"%b":NaN}' % long, b'{"%b":1,"%b":2}' % (long, long), b'{"%b\\u0000":1}' % long):
        with pytest.raises(BadInput) as caught:
            parse(text)
        assert "kkk..." in str(caught.value) and len(str(caught.value)) < 500
