"""Compare results of a program with expected ones. Runs outside the sandbox, on data only.

Knows: expected values, which are trusted, and results as messages of `inside/values.py`, which are not. The walk
follows the expected value, which bounds its cost: results are never hashed in bulk, and their shared or cyclic parts
are never expanded.

>>> from fail2fix.verify.code.inside.values import encode
>>> same_value([1, 2], encode([1, 2]), EqualityRule()), same_value([1, 2], encode([1, 2.0]), EqualityRule())
(True, False)
"""

import math
from decimal import Decimal
from typing import Any

from fail2fix.verify.code.ground_truth import EqualityRule
from fail2fix.verify.code.inside.values import NotDataError, decode

_NUMBERS = (bool, int, float)
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
    return expected == printed or _same_numbers(expected.split(), printed.split())


def _same_numbers(expected: list[str], printed: list[str]) -> bool:
    try:
        same = (Decimal(one) == Decimal(two) for one, two in zip(expected, printed, strict=True))
        return len(expected) == len(printed) and all(same)
    except ArithmeticError:  # a token that is no number, or one without an order
        return False


def same_value(expected: Any, message: Any, how: EqualityRule) -> bool:
    """Whether a result message holds `expected`; False for malformed messages."""
    try:
        walk = _Walk(message["nodes"], how)
        if how.any_order and isinstance(expected, list):
            return walk.same_items(expected, walk.content(message["root"], "list"))
        return walk.same(expected, message["root"])
    except _MALFORMED:
        return False


class _Walk:
    def __init__(self, nodes: list[Any], how: EqualityRule) -> None:
        self.nodes = nodes
        self.how = how

    def same(self, expected: Any, ref: Any) -> bool:
        kind = type(expected).__name__
        if kind in ("list", "tuple"):
            parts = self.content(ref, kind)
            return len(parts) == len(expected) and all(map(self.same, expected, parts))
        if kind in ("set", "frozenset"):
            return self.same_items(list(expected), self.content(ref, kind))
        if kind == "dict":
            return self._same_dict(expected, self.content(ref, kind))
        return self._same_leaf(expected, self._leaf(ref))

    def content(self, ref: Any, kind: str) -> list[Any]:
        """The parts of the node that `ref` names.

        Raises:
            NotDataError: the node is of another kind.
        """
        mark, index = ref
        tag, content = self.nodes[index]
        if mark == "@" and (tag == kind or self._may_stand_for(tag, kind)):
            return list(content)
        raise NotDataError(f"{tag} where {kind} is expected")

    def _may_stand_for(self, tag: str, kind: str) -> bool:
        if self.how.tuples_as_lists and {tag, kind} == {"list", "tuple"}:
            return True
        return self.how.equality == "python" and {tag, kind} == {"set", "frozenset"}

    def same_items(self, expected: list[Any], refs: list[Any]) -> bool:
        """The same items in any order: each expected one takes the first equal result."""
        if len(expected) != len(refs):
            return False
        left = list(refs)
        for item in expected:
            index = next((i for i, ref in enumerate(left) if self._same_or_no(item, ref)), None)
            if index is None:
                return False
            left.pop(index)
        return True

    def _same_dict(self, expected: dict[Any, Any], pairs: list[Any]) -> bool:
        if len(expected) != len(pairs):
            return False
        left = list(pairs)
        for key, value in expected.items():
            index = next((i for i, (name, _) in enumerate(left) if self._same_or_no(key, name)), None)
            if index is None or not self.same(value, left.pop(index)[1]):
                return False
        return True

    def _same_or_no(self, expected: Any, ref: Any) -> bool:
        try:
            return self.same(expected, ref)
        except _MALFORMED:
            return False

    def _leaf(self, ref: Any) -> Any:
        """A scalar, or bytes or a complex number, each of which has its own node."""
        if isinstance(ref, list) and ref[0] == "@":
            node = self.nodes[ref[1]]
            if node[0] not in ("bytes", "complex"):
                raise NotDataError(f"{node[0]} where a scalar is expected")
            return decode({"root": ["@", 0], "nodes": [node]})
        return decode({"root": ref, "nodes": []})

    def _same_leaf(self, expected: Any, result: Any) -> bool:
        numbers = type(expected) in _NUMBERS and type(result) in _NUMBERS
        if numbers and self.how.tolerance and float in (type(expected), type(result)):
            return type(result) is not bool and _close(expected, result, self.how.tolerance)
        if self.how.equality == "python" and (numbers or complex in (type(expected), type(result))):
            return bool(expected == result)
        return type(expected) is type(result) and bool(expected == result)


def _close(expected: float, result: float, tolerance: float) -> bool:
    return math.isclose(expected, result, rel_tol=tolerance, abs_tol=tolerance)
