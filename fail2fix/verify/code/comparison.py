"""Compare results of a program with expected ones. Runs outside the sandbox, on data only.

Knows: expected values, which are JSON's and trusted, and results as messages of `inside/values.py`, which are not. The
walk follows the expected value, which bounds its cost: shared or cyclic parts of results are never expanded.

>>> from fail2fix.verify.code.inside.values import encode
>>> same_value([1, 2], encode([1, 2]), EqualityRule()), same_value([1, 2], encode([1, 2.0]), EqualityRule())
(True, False)
"""

from decimal import Decimal
from typing import Any

from fail2fix.verify.code.ground_truth import EqualityRule
from fail2fix.verify.code.inside.values import NotDataError, scalar

_MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
"""Errors of reading a malformed message."""


def same_output(expected: str, printed: str) -> bool:
    """LiveCodeBench's rule: the same lines, ignoring blanks around each line and around the whole.

    Lines of the same numbers are equal in any notation: 1.0 is 1, 1e3 is 1000.
    """
    wanted, found = _lines(expected), _lines(printed)
    return len(wanted) == len(found) and all(map(_same_line, wanted, found))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_line(expected: str, printed: str) -> bool:
    wanted, found = expected.split(), printed.split()
    try:
        return expected == printed or (len(wanted) == len(found) and all(map(_same_number, wanted, found)))
    except ArithmeticError:  # a token that is no number, or one without an order
        return False


def _same_number(expected: str, printed: str) -> bool:
    return Decimal(expected) == Decimal(printed)


def same_value(expected: Any, message: Any, rule: EqualityRule) -> bool:
    """Whether a result message holds `expected`, a value of JSON; False for malformed messages."""
    try:
        return _same(expected, message["root"], message["nodes"], rule)
    except _MALFORMED:
        return False


def _same(expected: Any, ref: Any, nodes: list[Any], rule: EqualityRule) -> bool:
    if isinstance(expected, list):
        kinds = ("list", "tuple") if rule.tuples_as_lists else ("list",)
        pairs = zip(expected, _content(ref, nodes, *kinds), strict=True)
        return all(_same(wanted, part, nodes, rule) for wanted, part in pairs)
    if isinstance(expected, dict):
        items = _content(ref, nodes, "dict")
        found = {key: part for key, part in items if isinstance(key, str)}
        return len(items) == len(expected) and all(_same(expected[key], found[key], nodes, rule) for key in expected)
    result = _leaf(ref, nodes)
    if rule.equality == "python" and isinstance(expected, int | float) and isinstance(result, int | float | complex):
        return bool(expected == result)
    return type(expected) is type(result) and bool(expected == result)


def _content(ref: Any, nodes: list[Any], *kinds: str) -> list[Any]:
    """Content of the node that `ref` names.

    Raises:
        NotDataError: it is none, or of another kind.
    """
    mark, index = ref
    tag, content = nodes[index]
    if mark != "@" or tag not in kinds:
        raise NotDataError(f"{tag} where {kinds[0]} is expected")
    return list(content)


def _leaf(ref: Any, nodes: list[Any]) -> Any:
    """A scalar, or a complex number, which has its own node."""
    if not isinstance(ref, list):
        return scalar(ref)
    return int(ref[1], 16) if ref[0] == "i" else complex(*_content(ref, nodes, "complex"))
