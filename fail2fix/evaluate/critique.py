"""Critiques, which call an attempt right or wrong: reading an answer, and CriticBench's F1.

As in CriticBench's own scoring, *wrong* is the positive class of F1. An answer with neither word is wrong, and misses a
wrong attempt.

>>> said(r"Step 2 adds instead of multiplying. \boxed{wrong}"), f1([False, True, True], [False, False, None])
(False, 0.5)
"""

from collections.abc import Sequence

from fail2fix.verify.answer_text import find_answer

RIGHT, WRONG = "right", "wrong"


def said(response: str) -> bool | None:
    """Whether a response calls the attempt right; None: it does not say."""
    answer = find_answer(response, "boxed")
    word = answer.text.replace("\\text", "").strip(" {}.").lower()
    return {RIGHT: True, WRONG: False}.get(word) if not answer.others and not answer.hedged else None


def f1(labels: Sequence[bool], calls: Sequence[bool | None]) -> float:
    """F1 of the wrong label, 0 where no wrong attempt was called so. `labels`: whether each attempt is right."""
    hits = sum(not label and call is False for label, call in zip(labels, calls, strict=True))
    called, wrong = sum(call is False for call in calls), sum(not label for label in labels)
    return 2 * hits / (called + wrong) if hits else 0.0
