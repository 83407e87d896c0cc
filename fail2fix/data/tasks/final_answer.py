"""Extract the answer that the last line of a text claims, if that line claims exactly one.

    "26"  "**26**"  "The answer is 26."  "14 + 12 = 26"  "25\\n26"     -> 26
    "25 or 26"  "26 (not 25)"  "not 26"  "6 + 20"  "26\\nor 25, who knows"  -> no answer

A text may correct itself: only its last line with a letter or digit counts, and in an equation only the part after the
last "=". A line with several answers, or with a denial, gives no answer. Text is matched, never evaluated.
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
    """The result of a reward function, in verl's form."""
    return {"score": float(correct), "acc": float(correct), "pred": pred}


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict[str, object] | None = None,
    **kwargs: object,
) -> dict[str, float | str]:
    """Reward function under verl's signature that scores the final number of a text.

    Returns:
        `score` and `acc` 1.0 or 0.0; `pred`: the number that the last line claims, "" if none.

    Raises:
        ValueError: the ground truth is not a number, so the set must be written again.
    """
    expected = final_number(str(ground_truth))
    if not expected:
        raise ValueError(f"{data_source}: ground_truth {ground_truth!r} holds no number: write the set again")
    pred = final_number(solution_str)
    return verdict(pred == expected, pred)
