"""The shipped templates: what each writes is what it reads, whatever the attempt and the diagnosis say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.data.tasks import chain
from fail2fix.method.config import CorrectionConfig
from fail2fix.method.templates import Words, prompt_template, template_class
from fail2fix.method.templates.diagnosis import HEADING, parts
from fail2fix.method.templates.verdict import RIGHT, WRONG, said

LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"])).map(str.strip)
names = pytest.mark.parametrize("name", template_class.shipped)


def template(name: str) -> Words:
    return prompt_template(CorrectionConfig(template=name))


@names
@given(diagnosis=LINES.filter(bool), solution=LINES.filter(bool))
def test_what_is_written_for_a_wrong_attempt_is_judged_by_its_solution(
    name: str, diagnosis: str, solution: str
) -> None:
    own = template(name)
    assert own.judged(own.written(diagnosis, solution), "another attempt") == solution or name == "verdict"
    assert own.judged(own.written(diagnosis, solution), "another attempt").endswith(solution)


@names
@given(attempt=LINES.filter(bool))
def test_what_is_written_for_a_right_attempt_is_judged_as_the_attempt(name: str, attempt: str) -> None:
    own = template(name)
    assert own.judged(own.written("", attempt), attempt) == attempt


@names
@given(response=st.text())
def test_a_response_without_the_template_s_words_is_judged_as_a_whole(name: str, response: str) -> None:
    if said(response) is None and parts(response) is None:
        assert template(name).judged(response, "7") == response


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        (RIGHT, True),
        (WRONG, False),
        ("**The attempt is right.**", True),
        ("the attempt is WRONG: 7 + 5 is 12", False),
        ("<think>The attempt is right.</think>\n\nThe attempt is wrong.\n12", False),
        ("<think>The attempt is right.", None),
        ("The attempt is right until its last line.", None),
        ("I think the attempt is right.", None),
        ("Right triangles have one right angle.", None),
        ("", None),
    ],
)
def test_only_the_first_sentence_is_a_verdict(response: str, verdict: bool | None) -> None:
    assert said(response) is verdict


def test_the_answer_of_a_verdict_is_the_attempt_s_or_its_own() -> None:
    judged = template("verdict").judged
    assert judged(RIGHT + " Its answer is 13.", "7 + 5 = 12") == "7 + 5 = 12"
    assert judged(f"{WRONG} 12", "11") == "12"


def test_the_answer_of_a_diagnosis_stands_after_its_last_heading() -> None:
    judged = template("diagnosis").judged
    for heading in (HEADING, "corrected solution", "**Corrected solution:**", "### Corrected Solution"):
        assert judged(f"It says \\boxed{{11}}.\n\n{heading}\n\\boxed{{12}}", "11") == "\\boxed{12}"
    assert judged("My corrected solution: 12", "11") == "My corrected solution: 12"


@names
def test_the_family_s_reward_reads_what_is_taught(name: str) -> None:
    question = "Add step by step, one sum per line: 7 + 5 + 18"
    solution, own = chain.worked_solution(question), template(name)
    for attempt, diagnosis in ((solution, ""), ("7 + 5 = 13\n13 + 18 = 31", "7 + 5 is not 13.")):
        text = own.judged(own.written(diagnosis, solution), attempt)
        assert chain.compute_score("", text, "30")["acc"] == 1.0


def test_the_words_differ_and_the_header_is_shared() -> None:
    words = [template(name) for name in template_class.shipped]
    assert len({each.instruction for each in words}) == len(words)
    assert len({each.header for each in words}) == 1


class Bare:
    """A template of yours, without the two methods."""

    header = "Seen:"
    instruction = "Check it."


def test_a_template_without_the_methods_has_those_of_the_default() -> None:
    own = template(f"{__name__}.Bare")
    assert own.judged("12", "11") == "12"
    assert own.written("no", "12") == "12"
