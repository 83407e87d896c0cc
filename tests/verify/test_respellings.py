"""Spellings that keep the value are right, small changes that alter it are wrong, on golds of every kind."""

from __future__ import annotations

from functools import lru_cache

import pytest

from fail2fix.verify.answer_text import find_answer
from fail2fix.verify.certify.pieces import is_formula, members, terms
from fail2fix.verify.certify.respellings import (
    ALTERING,
    KEEPING,
    Respelling,
    certify_respellings,
    draw_golds,
    figures_of,
    respellings,
)
from fail2fix.verify.math_answer import judge, verdict
from fail2fix.verify.symbolic import equal
from tests.verify.local_golds import SETS, golds_of

GOLDS = (
    "7", "-12", "12345", "5000", "1,234", "0.5", "-.25", "2.50", "3.75", r"\frac{3}{4}", r"-\frac{7}{2}",
    r"\frac{-1}{3}", r"\sqrt{3}", r"\sqrt3", r"2\sqrt{3}", r"12\pi", r"\frac{\pi}{2}", r"\frac{2\pi}{3}",
    r"\frac{2}{3}\pi", r"3\times 5x", r"2\cdot x", r"1-\sqrt{5}", "x^2+2x-1", "x^{2}-y", r"\frac{x+1}{2}", "3+4i",
    r"1\pm\sqrt{2}", "a_1+a_{2}", r"\sin x+1", "y=2x+1", "x=4", "x+y=3", "1, 2, 3", "x, y", "(3,4)",
    r"(1,\sqrt{2})", r"\{1,2,3\}", r"[0,\infty)", "(1,2]", r"(-\infty,1)\cup(2,\infty)", "x<3", r"x \leq 5",
    r"x \geq 2", r"x\neq 0", r"\emptyset", r"\varnothing", r"\{x|x<2\}", r"\begin{pmatrix}1\\2\end{pmatrix}",
    r"3.5\text{ cm}", r"12\text{ inches}", r"\$5", r"30^\circ", r"40\%", "123_8", "1011_{2}", "B", r"\text{(C)}",
    r"\text{Monday}", "even", r"\left(1,2\right)", "2(x+1)", "xy-x", "aX+b", "1 + x",
)  # fmt: skip
"""At least one gold answer for every kind."""

READ = [each for gold in GOLDS for each in respellings(gold)]
SHARE_REFUSED = 0.005
DRAWN = 40
symbolic = lru_cache(equal)


def accepts(each: Respelling) -> bool:
    return verdict(find_answer(rf"\boxed{{{each.text}}}", "boxed"), each.gold, symbolic)


def test_kinds_have_names_and_reasons() -> None:
    kinds = [*KEEPING, *ALTERING]
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert all(kind.why for kind in kinds)
    assert len(KEEPING) >= 60


def test_every_kind_applies_to_some_gold() -> None:
    assert {each.kind for each in READ} == {kind.name for kind in (*KEEPING, *ALTERING)}


def test_a_respelling_is_another_text_and_the_same_again() -> None:
    assert all(each.text != each.gold for each in READ)
    assert [each for gold in GOLDS for each in respellings(gold)] == READ


@pytest.mark.parametrize("gold", GOLDS)
def test_a_kept_value_is_right_and_an_altered_one_wrong(gold: str) -> None:
    tried = [each for each in READ if each.gold == gold]
    assert tried
    assert [(each.kind, each.text) for each in tried if accepts(each) != each.equal] == []


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", [*SETS, "truth", "cases"])
def test_golds_of_local_sets(name: str) -> None:
    """What is decided without algebra, on golds drawn from the set; the certificate has all."""
    golds = draw_golds(golds_of(name), DRAWN)
    assert len(golds) == DRAWN
    tried = [each for gold in golds for each in respellings(gold)]
    found = [(each, judge(find_answer(rf"\boxed{{{each.text}}}", "boxed"), each.gold)) for each in tried]
    refused = [each for each, said in found if each.equal and said is False]
    assert len(refused) <= SHARE_REFUSED * len(tried), refused
    assert [each for each, said in found if not each.equal and said] == []


def test_golds_are_drawn_by_seed_and_are_answers_to_themselves() -> None:
    texts = ["7", "$7$", "8", "9", '{"answer": "4.2", "tolerance": 0.1}', "The answer is 4.", '{"answer": "x"']
    assert sorted(draw_golds(texts, 9)) == ["7", "8", "9"]
    assert draw_golds(texts, 2) == draw_golds(texts[::-1], 2)


def test_figures_count_each_kind_and_keep_examples() -> None:
    tried = [Respelling("dollars", "7", "$7$", True), Respelling("one digit", "7", "8", False)]
    found = figures_of(tried, [False, True])
    assert (found["kept"]["dollars"]["tried"], found["kept"]["dollars"]["wrong"]) == (1, 1)
    assert found["altered"]["one digit"]["examples"] == [{"gold": "7", "said": "8"}]
    assert found["kept"]["braces"]["wrong"] == 0


def test_the_pool_judges_respellings() -> None:
    tried = [each for gold in ("7", "x^2+2x-1") for each in respellings(gold)]
    found = certify_respellings(tried, workers=1, deadline_s=20.0)
    wrong = [kind for kinds in (found["kept"], found["altered"]) for kind, each in kinds.items() if each["wrong"]]
    assert (wrong, found["not_judged"]) == ([], 0)


@pytest.mark.parametrize("text", ["(" * 900, "{" * 900, "1," * 400, "x+" * 400, r"\frac" * 200, r"\{" * 400])
def test_any_text_is_cut_into_pieces(text: str) -> None:
    members(text, "(", ")"), terms(text), is_formula(text)
    assert all(each.text for each in respellings(text))
