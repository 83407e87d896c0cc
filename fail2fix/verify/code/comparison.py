"""Compare results of a program with expected ones. Runs outside the sandbox, on data only.

Knows: expected values, which are JSON's and trusted, and results as messages of `inside/values.py`, which are not. The
walk follows the expected value, which bounds its cost: shared or cyclic parts of results are never expanded.

>>> from fail2fix.verify.code.inside.values import encode
>>> same_value([1, 2], encode([1, 2]), EqualityRule()), same_value([1, 2], encode([1, 2.0]), EqualityRule())
(True, False)
"""

import re
from contextlib import suppress
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

from fail2fix.verify.code.ground_truth import EqualityRule
from fail2fix.verify.code.inside.values import NotDataError, scalar

_MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
"""Errors of reading a malformed message."""


_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_TEXT_OF_DIGITS = re.compile(r"0\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
"""A number. Digits behind a leading zero are none: such a token is a text, of bits or of a code."""
_EXACT = Context(prec=1 << 23, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""For sums that are never rounded: more digits than an output may have."""


def same_output(expected: str, printed: str, tolerance: float) -> bool:
    """Whether the lines are the same, ignoring a first byte order mark, blanks around each line and around the whole.

    Lines of the same numbers are equal in any plain decimal notation: 1.0 is 1, 1e3 is 1000. `tolerance`: see
    `StdioTests`.
    """
    wanted, found = _lines(expected), _lines(printed)
    return len(wanted) == len(found) and all(
        expected == printed or _same_numbers(expected.split(), printed.split(), Decimal(repr(tolerance)))
        for expected, printed in zip(wanted, found, strict=True)
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.removeprefix("\ufeff").strip().split("\n")]


def _same_numbers(expected: list[str], printed: list[str], tolerance: Decimal) -> bool:
    pairs = zip(expected, printed, strict=False)
    return len(expected) == len(printed) and all(_same_number(*pair, tolerance) for pair in pairs)


def _same_number(expected: str, printed: str, tolerance: Decimal) -> bool:
    if not _DECIMAL.fullmatch(expected) or not _DECIMAL.fullmatch(printed):
        return expected == printed and bool(_TEXT_OF_DIGITS.fullmatch(expected))
    wanted, found = Decimal(expected), Decimal(printed)
    if wanted == found or (_INTEGER.fullmatch(expected) and _INTEGER.fullmatch(printed)):
        return wanted == found
    scale = Decimal(1) if _INTEGER.fullmatch(expected) else max(Decimal(1), wanted.copy_abs())
    return _EXACT.subtract(wanted, found).copy_abs() <= _EXACT.multiply(tolerance, scale)


def same_value(expected: Any, message: Any, rule: EqualityRule) -> bool:
    """Whether a result message holds `expected`, a value of JSON; False for malformed messages."""
    with suppress(*_MALFORMED):
        return _same(expected, message["root"], message["nodes"], rule)
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
