"""Verifier of short answers in words: names, yes or no, the letter of a choice, a phrase to repeat.

Knows: when two short texts are the same answer. Must not know: mathematics, data sets. Nothing is parsed or evaluated,
so it runs in this process. The answer is found as in the math verifier (`find_answer`).

A ground truth is JSON; one matching answer is enough::

    {"answers": ["Mount Fuji", "Fujisan"]}
    {"answers": ["cars, eat gas"], "exact": true}

Case, articles, punctuation and spaces are ignored (the rule of SQuAD's scorer, which CriticBench's follows), except
the signs, points and slashes of numbers. If `exact` is true, only outer spaces and repeated spaces are ignored.

>>> same("The Mount Fuji.", "mount fuji", exact=False), same("Cars", "cars", exact=True), same("-5", "5", exact=False)
(True, False, False)
"""

import json
import re

from fail2fix.verify.answer_text import find_answer
from fail2fix.verify.code.fields import Fields
from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.errors import GroundTruthError, malformed, problem_of
from fail2fix.verify.verifier import Verdict, Verifier

_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mbox)\s*\{([^{}]*)\}")
_MINUS = re.compile(r"[-\u2010-\u2013\u2212]\s*(?=\.?\d)")
_NUMBER_MARK = r"(?<![^\W\d_])(?:[-±]\.?\d|(?<!\.)\.\d)|(?<=\d)/\d"
"""A sign, a point or a slash of a number. Behind a letter it is none: COVID-19."""

_NO_WORD = re.compile(rf"(?!{_NUMBER_MARK})[^\w\s]|_")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b(?=.*\w)")
"""An article before a word: the choice "a" alone is an answer."""


class TextVerifier(Verifier):
    """Compares the answer in the prompt's channel."""

    async def verify(self, response: str, ground_truth: str) -> Verdict:
        """Judge a response. Never raises for anything in `response`.

        Raises:
            GroundTruthError: the row's ground truth is malformed.
        """
        answers, exact = parse_text_gold(ground_truth)
        answer = find_answer(response, self.settings.channel.value)
        if not answer.text:
            return Verdict(False, "", "no_answer")
        right = not answer.hedged and all(
            any(same(text, each, exact) for each in answers) for text in (answer.text, *answer.others)
        )
        return Verdict(right, answer.text, "ok")


def same(one: str, two: str, exact: bool) -> bool:
    """Whether two texts are the same answer."""
    return _key(one, exact) == _key(two, exact) != ""


def _key(text: str, exact: bool) -> str:
    plain = _TEXT_COMMAND.sub(r"\1", text)
    if not exact:
        plain = _ARTICLE.sub(" ", _NO_WORD.sub("", _MINUS.sub("-", plain.lower())))
    return " ".join(plain.split())


def parse_text_gold(ground_truth: str) -> tuple[list[str], bool]:
    """Accepted answers of a ground truth, and whether they are compared to the letter.

    Raises:
        GroundTruthError: a field is missing, unknown or malformed.
    """
    with malformed("ground truth is not JSON", ValueError):
        content = json.loads(ground_truth)
    fields = Fields(content)
    answers, exact = fields.items("answers", str), bool(fields.take("exact", bool, False))
    fields.refuse_rest()
    for index, answer in enumerate(answers):
        if not same(answer, answer, exact):
            raise GroundTruthError(f"answers[{index}]={answer!r} is empty after normalization")
    return answers, exact


def open_verifier(settings: VerifierConfig) -> TextVerifier:
    return TextVerifier(settings)


def ground_truth_problem(ground_truth: str) -> str:
    return problem_of(ground_truth, parse_text_gold)
