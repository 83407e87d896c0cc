"""The template ``verdict``: the first words say whether the attempt stands, and if so, its answer is the answer.

This is the selective revision of PAG (arXiv 2506.10406); words ours.

>>> Verdict().judged("The attempt is right.", "7 + 5 = 12"), Verdict().judged("The attempt is wrong. 12", "11")
('7 + 5 = 12', '12')
"""

import re

from fail2fix.method.templates.default import Default
from fail2fix.method.thinking import ThinkingMarks

RIGHT, WRONG = "The attempt is right.", "The attempt is wrong."
# A sentence of its own: "The attempt is right until line 3" says nothing.
_FIRST_WORDS = re.compile(r"\W*the attempt is (?P<said>right|wrong)[^\S\n]*(?:[.!:*]+|\n|\Z)\s*", re.IGNORECASE)
_MARKS = ThinkingMarks.of()


def said(response: str) -> bool | None:
    """Whether a response, after its thinking, begins by calling the attempt right; None: it does not say."""
    found = _FIRST_WORDS.match(_MARKS.answer_of(response))
    return found["said"].lower() == "right" if found else None


class Verdict(Default):
    """Keeps an attempt with five words; only a wrong one is solved again."""

    instruction = (
        f'The attempt above may be right or wrong. Check it. If its final answer is right, write "{RIGHT}" and nothing '
        f'else. If not, begin with "{WRONG}", say what is wrong, and write out the full corrected solution with the '
        "final answer in the form the problem asks for."
    )

    def judged(self, response: str, attempt: str) -> str:
        """The attempt if it stands, else what follows the verdict; a response without a verdict as a whole."""
        if said(response):
            return attempt
        answer = _MARKS.answer_of(response)
        found = _FIRST_WORDS.match(answer)
        return answer[found.end() :] if found else response

    def written(self, diagnosis: str, solution: str) -> str:
        """The verdict alone for an attempt without a fault, else verdict, diagnosis and solution."""
        return f"{WRONG} {diagnosis}\n\n{solution}" if diagnosis else RIGHT
