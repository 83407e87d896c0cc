"""Our check in this process, and with what the pool limits or must bear, for its workers."""

import os
import signal
from typing import NamedTuple

from fail2fix.verify.answer_text import AnswerText, find_answer
from fail2fix.verify.pool import check_symbolically

HANG = r"\log hang"
HOARD = r"\log hoard"
STOP = r"\log stop"


def bounded(answer: AnswerText, gold: str) -> bool:
    """Hang in C code, eat memory, stop until somebody resumes this process, or check."""
    if answer.text.startswith(HANG):
        return bool(9 ** (9**9))
    if answer.text.startswith(HOARD):
        return bool(bytearray(2**31))
    if answer.text.startswith(STOP):
        os.kill(os.getpid(), signal.SIGSTOP)
        return True
    return check_symbolically(answer, gold)


class Checked(NamedTuple):
    """A verdict and the answer judged, or ""."""

    correct: bool
    pred: str


def check(response: str, gold: str) -> Checked:
    """All rungs of the verifier in this process."""
    answer = find_answer(response)
    return Checked(check_symbolically(answer, gold), answer.text)
