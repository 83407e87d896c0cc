"""Verifier of mathematical answers."""

import re
from dataclasses import replace

from fail2fix.verify.answer_text import ChannelName, find_answer
from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.echoes import restates
from fail2fix.verify.errors import GroundTruthError
from fail2fix.verify.gold import Gold, parse_gold, within_tolerance
from fail2fix.verify.math_answer import judge
from fail2fix.verify.pool import VerifierPool
from fail2fix.verify.verifier import Verdict

_MISSING = frozenset({"nan", "null", "none", "nil", "n/a", "<na>", "undefined", "unknown"})
# A dict, a list of texts, quoted text or bytes, a tuple of texts, an array, a tensor, a number of numpy. Lists of JSON
# are answers.
_PYTHON_VALUE = re.compile(r"""\s*(?:\[\s*[{']|\{\s*'|b?'.*'$|\(\s*['"]|(?:array|tensor|np\.\w+)\()""", re.DOTALL)


class MathVerifier:
    """Judges the answer in the prompt's channel with a pool of worker processes.

    `allow_echoes`: an answer that restates an expression of the problem is judged like any other (`echoes`).
    """

    def __init__(self, pool: VerifierPool, channel: ChannelName, allow_echoes: bool = False) -> None:
        self._pool, self._channel, self._allow_echoes = pool, channel, allow_echoes

    async def verify(self, response: str, ground_truth: str) -> Verdict:
        """Judge a response. Never raises for anything in `response`.

        Raises:
            GroundTruthError: the row's ground truth is malformed.
        """
        gold = parse_gold(ground_truth)
        found = await self._judged(response, gold)
        if found.correct and not self._allow_echoes and restates(found.pred, gold.echoes):
            return replace(found, correct=False)
        return found

    async def _judged(self, response: str, gold: Gold) -> Verdict:
        if gold.margin:
            answer = find_answer(response, self._channel)
            if answer.text and within_tolerance(answer, gold):
                return Verdict(True, answer.text, "ok")
        return await self._pool.verify(response, gold.answer, self._channel)

    def close(self) -> None:
        self._pool.close()


def open_verifier(settings: VerifierConfig) -> MathVerifier:
    pool = VerifierPool(max_workers=settings.workers, deadline_s=settings.deadline_s, retries=settings.retries)
    return MathVerifier(pool, settings.channel.value, settings.allow_echoes)


def ground_truth_problem(ground_truth: str) -> str:
    try:
        gold = parse_gold(ground_truth).answer
    except GroundTruthError as error:
        return str(error)
    if gold.strip().lower() in _MISSING:
        return f"{gold!r} stands for a missing value, not for an answer"
    if _PYTHON_VALUE.match(gold):
        return f"{gold!r:.80} is a Python value written as text: write the bare answer"
    if not accepts_itself(gold):
        return f"{gold!r:.80} is not accepted as an answer to itself: write the bare answer, without words around it"
    return ""


def accepts_itself(gold: str) -> bool:
    """Whether the bare answer `gold` is right when a policy gives it. Computes nothing: microseconds an answer."""
    return judge(find_answer(rf"\boxed{{{gold}}}", "boxed"), gold) is True
