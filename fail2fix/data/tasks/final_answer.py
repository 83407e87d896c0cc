"""Extract the answer that the last line of a text claims, if that line claims exactly one.

    "26"  "**26**"  "The answer is 26."  "14 + 12 = 26"  "25\\n26"     -> 26
    "25 or 26"  "26 (not 25)"  "not 26"  "6 + 20"  "26\\nor 25, who knows"  -> no answer

A text may correct itself: only its last line with a letter or digit counts. In an equation only the part after the last
"=" counts. A line with several answers, or with a denial, gives no answer. Text is matched, never evaluated.
"""

import re
from collections.abc import Callable

# A number includes its sign, thousands separators and decimals, so that "-12", "1,512" and "3.12" are not 12. The sign
# is ASCII or U+2212. Digits are ASCII, and no digits of another script follow or precede (\d is any script's digit).
NUMBER = re.compile(
    r"(?<!\d)(?P<sign>[-\u2212]?)(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?!\d)|[0-9]+(?!\d))(?P<fraction>\.[0-9]+)?"
)
DENIAL = re.compile(r"\bnot\b|n['\u2019]t\b|[!<>]=|\u2260|\\neq?\b", re.IGNORECASE)

Score = dict[str, float | str]


def last_number(text: str) -> str:
    """The last number of `text` without separators and leading zeros; "" if there is none."""
    matches = list(NUMBER.finditer(text))
    if not matches:
        return ""
    match = matches[-1]
    # Strings, not int(): Python refuses to convert the thousands of digits a degenerate answer can hold.
    digits = match["digits"].replace(",", "").lstrip("0") or "0"
    fraction = match["fraction"] or ""
    negative = match["sign"] and (digits != "0" or fraction)
    return f"{'-' if negative else ''}{digits}{fraction}"


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


def reward_of(answer_of: Callable[[str], str], kind: str = "number") -> Callable[..., Score]:
    """The reward function, under verl's signature, that compares the answers which `answer_of` finds in two texts.

    It returns `score` and `acc` 1.0 or 0.0, and `pred`, the answer that the solution claims ("" if none). It raises
    `ValueError` if the ground truth holds no answer of this `kind`, so that the set must be written again.
    """

    def compute_score(
        data_source: str, solution_str: str, ground_truth: str, extra_info: object = None, **kwargs: object
    ) -> Score:
        expected = answer_of(str(ground_truth))
        if not expected:
            raise ValueError(f"{data_source}: ground_truth {ground_truth!r} holds no {kind}: write the set again")
        pred = answer_of(solution_str)
        return {"score": float(pred == expected), "acc": float(pred == expected), "pred": pred}

    return compute_score


compute_score = reward_of(final_number)
