r"""Is the answer of a response equal to the gold answer? Asked of math-verify, inside a worker process only.

Knows: the two texts. Must not know: deadlines, processes, training. math-verify parses and simplifies text
that a policy wrote: that may take for ever, eat all memory or raise anything, so nothing but
`fail2fix.verify.pool` may call this outside a test. math-verify's own timeouts are off: they are signals,
which need a main thread and cannot interrupt C code; the pool's deadline kills the process instead.

>>> check(r"So it is \boxed{\frac{2}{4}}.", "0.5")
MathCheck(correct=True, pred='\\frac{2}{4}')
"""

import re
from functools import lru_cache
from typing import NamedTuple

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy import Basic, MatrixBase

from fail2fix.verify.answer_text import AnswerText, find_answer, same_text

Parsed = list[Basic | MatrixBase | str]

LATEX = LatexExtractionConfig(boxed_match_priority=0)
EXPR = ExprExtractionConfig()
PLAIN_NUMBER = re.compile(r"\s*[-+]?\$?\d[\d., ]*(?:/\d+)?\s*%?\s*")


class MathCheck(NamedTuple):
    """A verdict and the answer text it is about ("" when no answer was found)."""

    correct: bool
    pred: str


def check(response: str, gold: str) -> MathCheck:
    r"""Extract the answer of `response` and compare it with `gold` (the bare answer, LaTeX or plain, no
    solution).

    A boxed answer equal to the gold text is right without parsing; every other answer is parsed and compared
    as a mathematical object. Text that math-verify cannot parse is wrong, whatever it raises on the way.
    Raises `MemoryError` where the process's memory limit was hit and the libraries did not swallow it.
    """
    answer = find_answer(response)
    if same_text(answer, gold):
        return MathCheck(True, answer.text)
    try:
        pred = _parse_answer(answer)
        return MathCheck(_equal(gold, pred), answer.text if answer.boxed else _shown(pred))
    except MemoryError:
        raise
    except Exception:
        return MathCheck(False, answer.text if answer.boxed else "")


def _parse_answer(answer: AnswerText) -> Parsed:
    if not answer.boxed:
        return parse(answer.text, [LATEX, EXPR], parsing_timeout=None)
    if not answer.text:
        return []
    return parse(rf"\boxed{{{answer.text}}}", [LATEX], parsing_timeout=None)


@lru_cache(maxsize=4096)
def _parse_gold(gold: str) -> tuple[Basic | MatrixBase | str, ...]:
    """The readings of a gold answer: as LaTeX and, where it is a bare number, as a plain expression too."""
    latex = parse(rf"\boxed{{{gold}}}", [LATEX], parsing_timeout=None)
    # A plain reading of anything else would take the last number in it: 0 for a + 3z = 0.
    plain = parse(gold, [EXPR], parsing_timeout=None) if PLAIN_NUMBER.fullmatch(gold) else []
    return (*latex, *plain)


def _equal(gold: str, pred: Parsed) -> bool:
    return bool(pred) and verify(list(_parse_gold(gold)), pred, timeout_seconds=None)


def _shown(pred: Parsed) -> str:
    """The text math-verify took for the answer: the last string among its readings."""
    texts = [reading for reading in pred if isinstance(reading, str)]
    return texts[-1] if texts else ""
