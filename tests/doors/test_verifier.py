"""Your own verifier: `fail2fix.verifier.sources`."""

from __future__ import annotations

import asyncio

from fail2fix.verify.registry import ground_truth_problem, open_verifier, verifier_of
from fail2fix.verify.verifier import Verdict, Verifier
from tests.doors.settings import settings_of


class LastWord(Verifier):
    """Compares the last word of a response."""

    async def verify(self, response: str, ground_truth: str) -> Verdict:
        word = (response.split() or [""])[-1].strip(".")
        return Verdict(word == ground_truth, word, "ok" if word else "no_answer")


def test_your_own_verifier_judges_the_rows_of_its_data_source() -> None:
    settings = settings_of(verifier={"sources": {"mine/words": f"{__name__}.LastWord"}}).verifier
    name = verifier_of("mine/words", settings)
    verifier = open_verifier(name, settings)
    verdicts = [asyncio.run(verifier.verify(text, "plum")) for text in ("It is a plum.", "It is a fig.", "")]
    assert [verdict.correct for verdict in verdicts] == [True, False, False]
    assert verdicts[2].status == "no_answer"
    assert ground_truth_problem(name, "plum") == ""
    verifier.close()
