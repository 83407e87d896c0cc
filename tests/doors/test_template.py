"""Your own prompt template: `fail2fix.correction.template`."""

from __future__ import annotations

from fail2fix.method.prompts import block_text
from fail2fix.method.templates import prompt_template
from tests.doors.settings import settings_of


class Terse:
    """The two texts around a quoted attempt, and where the answer is."""

    header = "Somebody wrote:"
    instruction = "Right or wrong? Write a correct solution."

    def judged(self, response: str, attempt: str) -> str:
        return response.rpartition("Solution:")[2]

    def written(self, diagnosis: str, solution: str) -> str:
        return f"{diagnosis or 'Right.'} Solution: {solution}"


def test_your_own_words_stand_around_the_attempt() -> None:
    template = prompt_template(settings_of(correction={"template": f"{__name__}.Terse"}).correction)
    assert block_text("7 + 5?", "11", template.header, template.instruction) == (
        "7 + 5?\n\nSomebody wrote:\n\n<attempt>\n11\n</attempt>\n\nRight or wrong? Write a correct solution."
    )


def test_the_config_replaces_single_words() -> None:
    template = prompt_template(settings_of(correction={"template": f"{__name__}.Terse", "header": "Seen:"}).correction)
    assert (template.header, template.instruction) == ("Seen:", Terse.instruction)


def test_your_own_template_says_where_the_answer_is() -> None:
    template = prompt_template(settings_of(correction={"template": f"{__name__}.Terse"}).correction)
    assert template.written("", "12") == "Right. Solution: 12"
    assert template.judged(template.written("7 + 5 is not 11.", "12"), "11") == " 12"
