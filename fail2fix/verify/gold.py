r"""Ground truth of the math verifier: the bare answer, or JSON if the data set states a tolerance.

Knows: the fields below. Must not know: data sets, workers. Values are exact unless a ground truth says otherwise::

    \frac{1}{2}
    {"answer": "4.2", "tolerance": 0.1}             OlympiadBench's `error`: |p - g| <= 0.1
    {"answer": "3.3e12", "relative_tolerance": 0.01}     |p - g| <= 0.01 |g|

>>> within_tolerance(AnswerText("4.25"), parse_gold('{"answer": "4.2", "tolerance": 0.1}'))
True
"""

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fail2fix.verify import units
from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.exact_number import number
from fail2fix.verify.latex_text import clean
from fail2fix.verify.math_answer import values

_FIELDS = ("answer", "tolerance", "relative_tolerance")


@dataclass(frozen=True)
class Gold:
    """The answer and the allowed distance of a number from it, 0 if it must be exact."""

    answer: str
    margin: Fraction = Fraction(0)


def parse_gold(text: str) -> Gold:
    """Read a ground truth.

    Raises:
        GroundTruthError: it is empty, a field is unknown or malformed, or an answer with a tolerance is not a number.
    """
    if not text.strip():
        raise GroundTruthError("is empty")
    if not text.lstrip().startswith('{"'):
        return Gold(text)
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise GroundTruthError(f"begins like JSON and is not: {error}") from None
    if unknown := sorted(fields.keys() - set(_FIELDS)):
        raise GroundTruthError(f"unknown field {unknown[0]!r}: use {', '.join(_FIELDS)}")
    answer = fields.get("answer")
    if not isinstance(answer, str) or not answer.strip():
        raise GroundTruthError(f"answer={answer!r} must be a text")
    absolute, relative = (_tolerance(fields, name) for name in _FIELDS[1:])
    if not absolute and not relative:
        return Gold(answer)
    value = number(answer)
    if value is None:
        raise GroundTruthError(f"a tolerance, and answer={answer!r} is not a number")
    return Gold(answer, max(absolute, relative * abs(value.value)))


def _tolerance(fields: dict[str, Any], name: str) -> Fraction:
    value = fields.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise GroundTruthError(f"{name}={value!r} must be a number of at least 0")
    return Fraction(str(value))


def within_tolerance(answer: AnswerText, gold: Gold) -> bool:
    """Whether each number that the answer offers, in any channel, is within the margin."""
    value = number(gold.answer)
    offered = [number(side) for text in (answer.text, *answer.others) for side in values(clean(text))]
    return value is not None and not answer.hedged and bool(offered) and all(
        found is not None
        and not units.different(value.unit, found.unit)
        and abs(found.value - value.value) <= gold.margin
        for found in offered
    )  # fmt: skip
