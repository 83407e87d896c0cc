r"""Ground truth of the math verifier: the bare answer, or JSON with a tolerance of the data set or with echoes.

Knows: the fields below. Must not know: data sets, workers. Values are exact unless a ground truth says otherwise::

    \frac{1}{2}
    {"answer": "4.2", "tolerance": 0.1}             OlympiadBench's `error`: |p - g| <= 0.1
    {"answer": "3.3e12", "relative_tolerance": 0.01}     |p - g| <= 0.01 |g|
    {"answer": "x^2-4", "echoes": ["(x+2)(x-2)"]}   expressions of the problem, refused as answers (`echoes`)

>>> within_tolerance(AnswerText("4.25"), parse_gold('{"answer": "4.2", "tolerance": 0.1}'))
True
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fail2fix.verify import units
from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.exact_number import number
from fail2fix.verify.latex_text import clean
from fail2fix.verify.math_answer import values

_FIELDS = ("answer", "tolerance", "relative_tolerance", "echoes")


@dataclass(frozen=True)
class Gold:
    """The answer, the allowed distance of a number from it (0 if it must be exact), and the problem's echoes of it."""

    answer: str
    margin: Fraction = Fraction(0)
    echoes: tuple[str, ...] = ()


def parse_gold(text: str) -> Gold:
    """Read a ground truth.

    Raises:
        GroundTruthError: it is empty, a field is unknown or malformed, or an answer with a tolerance is not a number.
    """
    if not text.strip():
        raise GroundTruthError("is empty")
    if not text.lstrip().startswith('{"'):
        return Gold(text)
    fields = _fields(text)
    if unknown := sorted(fields.keys() - set(_FIELDS)):
        raise GroundTruthError(f"unknown field {unknown[0]!r}: use {', '.join(_FIELDS)}")
    answer = fields.get("answer")
    if not isinstance(answer, str) or not answer.strip():
        raise GroundTruthError(f"answer={answer!r} must be a text")
    echoes = fields.get("echoes", [])
    if not isinstance(echoes, list) or not all(isinstance(echo, str) for echo in echoes):
        raise GroundTruthError(f"echoes={echoes!r:.80} must be a list of texts")
    absolute, relative = (_tolerance(fields, name) for name in _FIELDS[1:3])
    if not absolute and not relative:
        return Gold(answer, echoes=tuple(echoes))
    value = number(answer)
    if value is None:
        raise GroundTruthError(f"a tolerance, and answer={answer!r} is not a number")
    return Gold(answer, max(absolute, relative * abs(value.value)), tuple(echoes))


def with_echoes(text: str, echoes: Sequence[str]) -> str:
    """A ground truth with these echoes; unchanged if there are none."""
    fields = _fields(text) if text.lstrip().startswith('{"') else {"answer": text}
    return json.dumps(fields | {"echoes": list(echoes)}) if echoes else text


def _fields(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except ValueError as error:
        raise GroundTruthError(f"begins like JSON and is not: {error}") from None


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
