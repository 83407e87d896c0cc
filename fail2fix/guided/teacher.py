"""The request to a teacher: what is wrong with an attempt, and a corrected solution. Its answer is not trusted."""

from fail2fix.method.templates.diagnosis import HEADING, Diagnosis, parts
from fail2fix.method.thinking import ThinkingMarks

TEMPLATE = "fail2fix.guided.teacher.Teacher"
_MARKS = ThinkingMarks.of()


class Teacher(Diagnosis):
    """Words for a teacher, which is told that the attempt is wrong and not the right answer."""

    header = "Below is a student's attempt at this problem, quoted as it was written. Its final answer is wrong."
    instruction = (
        "Say in one to three sentences, to the student, where the attempt above first goes wrong and why. Then write "
        f'"{HEADING}" on a line of its own, and after it a full corrected solution that preserves what is right in the '
        "attempt and gives the final answer in the form the problem asks for."
    )


def read_answer(response: str) -> tuple[str, str] | None:
    """Diagnosis and solution; None if the answer, after its thinking, does not have both."""
    found = parts(_MARKS.answer_of(response))
    return found if found and all(found) else None
