"""The answer a text commits itself to: what its last line claims, if that is one thing.

    "26"  "**26**"  "The answer is 26."  "14 + 12 = 26"  "25\\n26"     -> 26
    "25 or 26"  "26 (not 25)"  "not 26"  "6 + 20"  "26\\nor 25, who knows"  -> no answer

A text may correct itself: only its last line with a letter or digit on it counts, and of an equation what follows
the last "=". A line that offers several answers, or denies one, gives none: it cannot be right. Text is only ever
matched, never evaluated.
"""

import re

from fail2fix.data.tasks.arithmetic import NUMBER, last_number

DENIAL = re.compile(r"\bnot\b|n['\u2019]t\b|[!<>]=|\u2260|\\neq?\b", re.IGNORECASE)


def last_line(text: str) -> str:
    """The last line with a letter or digit on it, stripped; "" if there is none."""
    lines = (line for line in reversed(text.splitlines()) if any(character.isalnum() for character in line))
    return next(lines, "").strip()


def final_number(text: str) -> str:
    """The one number the last line claims, without separators and leading zeros; "" if none or several."""
    line = last_line(text)
    claim = line.rpartition("=")[2]
    if DENIAL.search(line) or sum(1 for _ in NUMBER.finditer(claim)) != 1:
        return ""
    return last_number(claim)


def verdict(correct: bool, pred: str) -> dict[str, float | str]:
    """What a reward function of verl returns."""
    return {"score": float(correct), "acc": float(correct), "pred": pred}


def score_number(data_source: str, solution_str: str, ground_truth: str) -> dict[str, float | str]:
    """Score a text by its final number.

    Raises:
        ValueError: the ground truth is no number, so that the set must be written again.
    """
    expected = final_number(str(ground_truth))
    if not expected:
        raise ValueError(f"{data_source}: ground_truth {ground_truth!r} holds no number: write the set again")
    pred = final_number(solution_str)
    return verdict(pred == expected, pred)
