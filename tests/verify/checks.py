"""What the pool's tests run in its workers: our check, and the two things it is bounded against."""

from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.pool import check_symbolically

HANG = r"\log hang"
HOARD = r"\log hoard"


def bounded(answer: AnswerText, gold: str) -> bool:
    """Hang in C code, eat memory, or check."""
    if answer.text.startswith(HANG):
        return bool(9 ** (9**9))
    if answer.text.startswith(HOARD):
        return bool(bytearray(2**31))
    return check_symbolically(answer, gold)
