"""Where thinking ends in a response, in the marks of every known family."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.method.thinking import KNOWN_MARKS, ThinkingMarks
from tests.tiers import heavy_where

MARKS = ThinkingMarks.of()
PLAIN = ThinkingMarks.of(template="{{ messages[0].content }}")
ALL = [mark for pair in KNOWN_MARKS for mark in pair]
unmarked = st.text(st.characters(exclude_characters="<[\u25c1"), max_size=30)


@pytest.mark.parametrize(("opening", "closing"), KNOWN_MARKS)
@pytest.mark.parametrize("blank", ["", "\n", " \n\n"])
@given(thought=unmarked, answer=unmarked)
def test_thinking_at_the_beginning_is_removed(
    opening: str, closing: str, blank: str, thought: str, answer: str
) -> None:
    whole = f"{blank}{opening}{thought}{closing}{answer}"
    assert MARKS.answer_of(whole) == answer.strip("\n")
    assert PLAIN.answer_of(whole) == answer.strip("\n")
    again = ThinkingMarks.of(template=closing, generation_prompt=f"Assistant: {opening}\n")
    assert again.answer_of(f"{thought}{closing}{answer}") == answer.strip("\n")
    assert MARKS.answer_of(f"{opening}{thought}") == again.answer_of(thought) == ""


@pytest.mark.parametrize("mark", ALL)
@given(before=unmarked.filter(str.strip), after=unmarked)
def test_a_mark_in_the_middle_of_an_answer_is_a_part_of_it(mark: str, before: str, after: str) -> None:
    text = f"{before}{mark}{after}"
    assert PLAIN.answer_of(text) == text
    assert MARKS.answer_of(f"<think>x</think>{text}") == text.strip("\n")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("plain\n", "plain\n"),
        ("<think>a</think>\n\nb", "b"),
        ("<think>a</think>\n<think>b</think>c", "c"),
        ("<think>a</think>b<think>c</think>d", "b<think>c</think>d"),
        ("<think>a</think>b<think>cut off", "b<think>cut off"),
        ("<think>a</think> <think>cut off", ""),
        ("<think>" * 3 + "a</think>b", "b"),
        ("<think>a [/THINK] b</think>c", "c"),
        ("The tags <think> and </think> hold it. It is 6.", "The tags <think> and </think> hold it. It is 6."),
        ("<|channel|>final<|message|>It is 6.", "It is 6."),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>b<|end|>", ""),
    ],
)
def test_the_answer_is_what_follows_the_thinking(text: str, rest: str) -> None:
    assert MARKS.answer_of(text) == rest


def test_a_closing_mark_alone_counts_where_the_template_or_its_tokens_have_it() -> None:
    assert MARKS.answer_of("a</think>b") == "b"
    assert ThinkingMarks.of(template="... </think> ...").answer_of("a</think>b") == "b"
    assert ThinkingMarks.of(template="", tokens=["<think>", "</think>"]).answer_of("a</think>b") == "b"
    assert PLAIN.answer_of("Write </think> at the end.") == "Write </think> at the end."


def test_thinking_that_the_generation_prompt_also_closes_is_not_open() -> None:
    marks = ThinkingMarks.of(template="</think>", generation_prompt="assistant\n<think>\n\n</think>\n\n")
    assert not marks.opened
    assert marks.answer_of("It is 6.") == "It is 6."


def test_given_marks_are_known() -> None:
    marks = ThinkingMarks.of([("<reasoning>", "</reasoning>")], template="")
    assert marks.answer_of("<reasoning>a</reasoning>b") == marks.answer_of("a</reasoning>b") == "b"
    assert marks.unknown_in(["<reasoning>"]) == []
    assert MARKS.unknown_in(["<reasoning>"]) == ["<reasoning>"]


@pytest.mark.parametrize(
    "mark", ["<reasoning>", "<|my_thinking|>", "[THOUGHTS]", "<deep-think>", "\u25c1reasoning\u25b7"]
)
def test_unknown_marks_are_seen(mark: str) -> None:
    assert MARKS.unknown_in([f"{{{{ '{mark}' }}}}"]) == [mark]
    assert MARKS.unknown_at_start(f"\n{mark} hmm")
    assert not MARKS.unknown_at_start(f"It is {mark}")


@pytest.mark.parametrize(
    "text", [*ALL, "{% if m['reasoning_content'] %}", "m[think_index]", "<|think|>", "a < think > b"]
)
def test_known_marks_and_code_are_no_unknown_marks(text: str) -> None:
    assert [mark for mark in MARKS.unknown_in([text]) if mark != "< think >"] == []


UNITS = [*ALL, "<think></think>", "<", "[", " ", "<think", "<reason", "[" + "a" * 20]


@pytest.mark.parametrize("unit", heavy_where(UNITS, ALL[4:]))
@pytest.mark.timeout(30)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (400_000 // len(unit))
    start = time.monotonic()
    for marks in (MARKS, PLAIN, ThinkingMarks.of(generation_prompt="<think>")):
        marks.answer_of(text)
        marks.unknown_at_start(text)
        marks.unknown_in([text])
    assert time.monotonic() - start < 20
