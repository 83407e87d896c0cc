r"""Short answers in words: names, yes or no, the letter of a choice, a phrase to repeat.

Knows: when two short texts are one answer. Must not know: mathematics, data sets. Nothing is parsed or evaluated, so it
needs no process of its own. The answer is looked for where the math verifier looks (`find_answer`).

A ground truth is JSON; one of its answers is enough::

    {"answers": ["Mount Fuji", "Fujisan"]}
    {"answers": ["cars, eat gas"], "exact": true}

Case, articles, punctuation and spaces do not count (the rule of SQuAD's scorer, which CriticBench's follows); where
`exact` is true only spaces at the ends and how many stand in a row do not.

>>> same("The Mount Fuji.", "mount fuji", exact=False), same("Cars", "cars", exact=True)
(True, False)
"""

import json
import re
from dataclasses import dataclass

from fail2fix.verify.answer_text import ChannelName, find_answer
from fail2fix.verify.code.fields import Fields
from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.pool import Verdict

_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mbox)\s*\{([^{}]*)\}")
_NO_WORD = re.compile(r"[^\w\s]|_")
_ARTICLE = re.compile(r"\b(?:a|an|the)\b(?=.*\w)")
"""An article in front of something: the choice "a" alone is an answer."""


@dataclass(frozen=True)
class TextGold:
    """Answers of which one is enough, and whether they count to the letter."""

    answers: tuple[str, ...]
    exact: bool


class TextVerifier:
    """Compares the answer in the channel in which the prompt asks for it."""

    def __init__(self, channel: ChannelName) -> None:
        self._channel: ChannelName = channel

    async def verify(self, response: str, ground_truth: str) -> Verdict:
        """Never raises for anything in `response`.

        Raises:
            GroundTruthError: naming the field; a row's fault, not the response's.
        """
        gold = parse_text_gold(ground_truth)
        answer = find_answer(response, self._channel)
        if not answer.text:
            return Verdict(False, "", "no_answer")
        right = not answer.hedged and any(same(answer.text, each, gold.exact) for each in gold.answers)
        return Verdict(right, answer.text, "ok")

    def close(self) -> None:
        """Nothing is held."""


def same(one: str, two: str, exact: bool) -> bool:
    """Whether two texts are one answer."""
    return _key(one, exact) == _key(two, exact) != ""


def _key(text: str, exact: bool) -> str:
    plain = _TEXT_COMMAND.sub(r"\1", text)
    if not exact:
        plain = _ARTICLE.sub(" ", _NO_WORD.sub("", plain.lower()))
    return " ".join(plain.split())


def parse_text_gold(ground_truth: str) -> TextGold:
    """The answers in a ground truth.

    Raises:
        GroundTruthError: naming the field that is missing, unknown or malformed.
    """
    try:
        content = json.loads(ground_truth)
    except ValueError as error:
        raise GroundTruthError(f"ground truth is not JSON: {error}") from None
    fields = Fields(content)
    answers, exact = tuple(fields.items("answers", str)), bool(fields.take("exact", bool, False))
    fields.refuse_rest()
    for index, answer in enumerate(answers):
        if not same(answer, answer, exact):
            raise GroundTruthError(f"answers[{index}]={answer!r} says nothing")
    return TextGold(answers, exact)


def open_verifier(settings: VerifierConfig) -> TextVerifier:
    return TextVerifier(settings.channel.value)


def ground_truth_problem(ground_truth: str) -> str:
    try:
        parse_text_gold(ground_truth)
    except GroundTruthError as error:
        return str(error)
    return ""
