"""Values that cross a sandbox's wall: exact, flat, and harmless to read."""

import json
import math
from collections import Counter, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.verify.code.comparison import same_output, same_value
from fail2fix.verify.code.ground_truth import CONTEST_TOLERANCE, EqualityRule
from fail2fix.verify.code.inside.values import NotDataError, decode, encode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
HASHABLE = st.recursive(SCALARS, lambda part: st.tuples(part, part) | st.frozensets(part, max_size=3), max_leaves=6)
VALUES = st.recursive(
    HASHABLE,
    lambda part: st.lists(part, max_size=4) | st.tuples(part, part) | st.dictionaries(HASHABLE, part, max_size=3),
    max_leaves=20,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=20,
)
EXACT, PYTHON = EqualityRule(), EqualityRule(equality="python")


def over_the_wall(value: Any) -> Any:
    return json.loads(json.dumps(encode(value)))


@given(VALUES)
def test_what_goes_in_comes_out(value: Any) -> None:
    back = decode(over_the_wall(value))
    assert (back, repr(type(back))) == (value, repr(type(value)))


@given(JSON)
def test_a_value_equals_itself(value: Any) -> None:
    assert same_value(value, over_the_wall(value), EXACT)
    assert same_value(value, over_the_wall(value), PYTHON)


@given(JSON, JSON | VALUES)
def test_python_equality_is_pythons(expected: Any, result: Any) -> None:
    assert same_value(expected, over_the_wall(result), PYTHON) == (expected == result)


class Node:
    def __init__(self, val: int, next: Any = None) -> None:
        self.val, self.next = val, next


def test_long_lists_and_rings_need_no_recursion() -> None:
    head = Node(0)
    tail = head
    for number in range(1, 20_000):
        tail.next = Node(number)
        tail = tail.next
    tail.next = head
    back = decode(json.loads(json.dumps(encode(head, [Node]))), {"Node": Node})
    for number in range(20_000):
        assert back.val == number
        back = back.next
    assert back.val == 0


def test_subclasses_travel_as_what_they_extend() -> None:
    point = namedtuple("point", "x y")
    assert decode(encode([Counter("aab"), point(1, 2), True])) == [{"a": 2, "b": 1}, (1, 2), True]


def test_types_of_data_are_data_and_other_types_are_not() -> None:
    assert decode(encode([int, dict, (str, float)])) == [int, dict, (str, float)]
    for kind in (object, type, Node):
        with pytest.raises(NotDataError):
            encode(kind)
    with pytest.raises(NotDataError):
        decode({"root": ["@", 0], "nodes": [["type", "object"]]})


@pytest.mark.parametrize("value", [object(), print, iter([]), math, Node(1), [object()], range(3)])
def test_other_objects_are_no_data(value: Any) -> None:
    with pytest.raises(NotDataError):
        encode(value)


MALFORMED = [
    None, 7, [], {}, {"root": 1}, {"nodes": []}, {"root": ["@", 0], "nodes": []}, {"root": ["@", "a"], "nodes": []},
    {"root": ["@", 0], "nodes": [["tuple", [["@", 0]]]]}, {"root": ["@", 0], "nodes": [["eval", ["1"]]]},
    {"root": ["@", 0], "nodes": [["object", ["Popen", []]]]}, {"root": ["i", "zz"], "nodes": []},
    {"root": {"a": 1}, "nodes": []}, {"root": ["@", 0], "nodes": [["set", [["@", 1]]], ["list", []]]},
    {"root": ["@", 0], "nodes": 5}, {"root": ["@", 0], "nodes": ["ab"]}, {"root": "x", "nodes": [[]]},
]  # fmt: skip


@pytest.mark.parametrize("message", MALFORMED)
def test_a_malformed_message_is_refused_and_equals_nothing(message: Any) -> None:
    with pytest.raises(NotDataError):
        decode(message)
    for expected in (None, 1, 1.5, "a", [], [1], {}, {"a": 1}):
        assert not same_value(expected, message, PYTHON)


@pytest.mark.parametrize(
    ("expected", "result", "how", "same"),
    [
        (1, True, EXACT, False),
        (1, 1.0, EXACT, False),
        (1, 1.0, PYTHON, True),
        ([1], (1,), PYTHON, False),
        ([1], (1,), EqualityRule(tuples_as_lists=True), True),
        ([[1, 2]], [(1, 2)], EqualityRule(tuples_as_lists=True), True),
        (0.3, 0.1 + 0.2, EXACT, False),
        (1.0, "1.0", PYTHON, False),
        (3, 3 + 0j, PYTHON, True),
        (3, 3 + 0j, EXACT, False),
        ("a", b"a", PYTHON, False),
        ([1, 2, 2], [2, 1, 2], PYTHON, False),
        ([1, 2], {1, 2}, EqualityRule(tuples_as_lists=True), False),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, EXACT, True),
        ({"a": 1}, {"a": 1, 2: 3}, PYTHON, False),
        ({"1": 1}, {1: 1}, PYTHON, False),
        ({"a": 1}, {(10**30, "a"): 1}, PYTHON, False),
        (math.nan, math.nan, PYTHON, False),
        (10**30, 10**30, EXACT, True),
        (10**400, 1e308, PYTHON, False),
    ],
)
def test_comparisons(expected: Any, result: Any, how: EqualityRule, same: bool) -> None:
    assert same_value(expected, over_the_wall(result), how) is same


def test_a_result_that_repeats_its_parts_costs_no_more_than_what_is_expected() -> None:
    """60 levels of a pair of the level below would be 2**60 leaves to walk, or to hash."""
    nodes: list[Any] = [["tuple", [["@", level + 1]] * 2] for level in range(60)]
    message = {"root": ["@", 0], "nodes": [*nodes, ["tuple", [1]]]}
    for expected in ([[1], [1]], [message], {"a": [[1], [1]]}):
        assert not same_value(expected, message, EqualityRule("python", tuples_as_lists=True))


def test_a_key_given_twice_is_no_dict() -> None:
    message = {"root": ["@", 0], "nodes": [["dict", [["a", 1], ["a", 2]]]]}
    assert not same_value({"a": 2}, message, PYTHON)
    assert not same_value({"a": 2, "b": 1}, message, PYTHON)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("1\n2\n", "1\n2", True),
        ("1\n2", "  1 \r\n2\n\n", True),
        ("1 2", "1  2", True),
        ("a b", "a  b", False),
        ("1e3 2", "1000 2.0", True),
        ("0.1", "0.1000000001", False),
        ("a 1", "a 1.0", False),
        ("1 2", "1", False),
        ("1", "nan", False),
        ("sNaN", "1", False),
        ("1", "1e999999999", False),
        ("1\n\n2", "1\n2", False),
        ("a", "A", False),
        ("1.0", "1", True),
        ("", "\n", True),
        ("\ufeff3", "3", True),
        ("+3 .5 2.", "3 0.5 2", True),
        ("9" * 5000, "9" * 5000 + ".0", True),
    ],
)
def test_printed_lines(expected: str, printed: str, same: bool) -> None:
    assert same_output(expected, printed, 0) is same


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("0011 5", "0011  5.0", True),
        ("0011", "11", False),
        ("11", "0011", False),
        ("00", "0", False),
        ("-01", "-1", False),
        ("007.5", "7.5", False),
        ("0", "-0", True),
        ("0.50", ".5", True),
        ("1000", "1_000", False),
        ("3", "\u0663", False),
        ("3", "\uff13", False),
        ("Infinity", "inf", False),
        ("nan", "NaN", False),
        ("16", "0x10", False),
        ("1000", "1,000", False),
        ("1e5", "1E+5", True),
    ],
)
@pytest.mark.parametrize("tolerance", [0, CONTEST_TOLERANCE])
def test_only_plain_decimals_are_numbers(expected: str, printed: str, same: bool, tolerance: float) -> None:
    assert same_output(expected, printed, tolerance) is same


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("0.333333333333", "0.333333", True),
        ("0.333333333333", "0.3334", False),
        ("5.82842712474619009753", "5.82842712474619", True),
        ("3 3", "3.0000001 2.9999999", True),
        ("3", "3.1", False),
        ("123456789.5", "123456790.1", True),
        ("1000000007", "1000000008", False),
        ("1000000007", "1000000008.0", False),
        ("1000000000000000000000000000000000000007", "1000000000000000000000000000000000000008.5", False),
        ("999999999999", "1e12", False),
        ("0.0000001", "0.0", True),
        ("0.30", "0.30000000000000004", True),
        ("YES 0.5", "YES 0.50000001", False),
        ("1.5", "1" * 1_100_000 + ".5", False),
        ("1.5", "1e999", False),
    ],
)
def test_numbers_with_a_point_may_differ_by_the_tolerance(expected: str, printed: str, same: bool) -> None:
    assert same_output(expected, printed, CONTEST_TOLERANCE) is same
    assert not same_output(expected, printed, 0)


@given(st.integers(), st.integers(-(10**6), 10**6), st.floats(0, 0.1))
def test_integers_have_no_tolerance(expected: int, error: int, tolerance: float) -> None:
    assert same_output(str(expected), str(expected + error), tolerance) is (error == 0)
