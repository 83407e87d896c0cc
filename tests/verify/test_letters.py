"""Names keep their case, words and orders of letters keep their order, and no letter is taken for a unit."""

import pytest

from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.math_answer import judge, verdict
from fail2fix.verify.symbolic import equal

DIFFERENT = [
    ("R-r", "0"),
    (r"\frac{2M}{m}", "2"),
    ("x^2+Y", "X^2+y"),
    (r"\sin A+1", r"1+\sin a"),
    ("(x,Y)", "(x,y)"),
    (r"\Delta+1", r"1+\delta"),
    ("ABC", "abc"),
    ("M", "m"),
    ("E", "e"),
    ("2E", "2e"),
    ("I^2R", "-R"),
    (r"\gamma+1", "1"),
    ("CAB", "ABC"),
    ("x=CAB", "x=ABC"),
    ("TTH", "THT"),
    (r"\triangle ABD", r"\triangle ADB"),
    (r"\{HHT\}", r"\{HTH\}"),
    ("stop", "post"),
    (r"\text{evil}", r"\text{live}"),
    ("day", "yad"),
    ("5t+1", "5+1"),
    (r"\cos 3", r"\cos 3t"),
    ("m+2", "m+2 h"),
    ("f'", "f"),
    ("y'+y", "2y"),
    ("f''(x)+1", "1+f'(x)"),
    ("A", "A + 1"),
    ("A", "A+B"),
    ("B", "B - 1"),
    ("(B)", "(B)+1"),
    (r"\text{(B)}", r"\text{(B)} - 1"),
    ("11/2", "1 1/2"),
    ("12", r"1\quad 2"),
    ("x+12", "x+1 2"),
]
SAME = [
    ("pqr", "rpq"),
    ("mgh", r"g\cdot hm"),
    ("xy+z", "z+yx"),
    ("m+n", "n+m"),
    ("5t+1", "1+5t"),
    (r"\cos 3t+1", r"1+\cos 3t"),
    ("2e", r"e\cdot 2"),
    ("E+m", "m+E"),
    (r"\gamma+1", r"1+\gamma"),
    ("f'(x)+1", "1+f'(x)"),
    ("Yes", "yes"),
    ("HHT", "hht"),
    (r"\text{Monday}", "MONDAY"),
    (r"\angle BAC", r"\angle{BAC}"),
    ("a_1+a_2", "a_{2}+a_{1}"),
    (r"S_{n}T_n", "T_{n}S_n"),
    ("3/2", "1 1/2"),
    ("1000", "1 000"),
]


@pytest.mark.parametrize(("gold", "pred"), DIFFERENT)
def test_other_letters_are_another_answer(gold: str, pred: str) -> None:
    assert not verdict(AnswerText(pred), gold, equal)
    assert not verdict(AnswerText(gold), pred, equal)


@pytest.mark.parametrize(("gold", "pred"), SAME)
def test_the_same_letters_are_the_same_answer(gold: str, pred: str) -> None:
    assert verdict(AnswerText(pred), gold, equal)


CHOICES = (
    "B. A triangle",
    "B) Vitamin D",
    "(B) None of these",
    "B: Not enough information",
    "B. No solution",
    "B. 3 or 4",
)
OTHERS = ("B or C", "B, not C", "B. or C", "B. not A", "B and C", "B is wrong", "(B) or maybe not", "B: C is", "B C")


@pytest.mark.parametrize("pred", CHOICES)
def test_a_choice_may_be_followed_by_its_text(pred: str) -> None:
    assert judge(AnswerText(pred), "B") is True


@pytest.mark.parametrize("pred", OTHERS)
def test_a_choice_with_another_choice_or_a_doubt_is_wrong(pred: str) -> None:
    assert judge(AnswerText(pred), "B") is False
