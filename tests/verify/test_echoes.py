"""Answers that restate an expression of their problem, and right answers beside them."""

import asyncio
import time
from contextlib import closing

import pytest

from fail2fix.verify.answer_form import items
from fail2fix.verify.config import Channel, VerifierConfig
from fail2fix.verify.echoes import MAX_EXPRESSIONS, expressions, forms, is_choice, restates
from fail2fix.verify.gold import parse_gold, with_echoes
from fail2fix.verify.math_verifier import open_verifier

PRODUCT = "(x+2)(x-5)"
RESTATED = [
    (PRODUCT, "(x-5)(x+2)"),
    (PRODUCT, "(2+x)(-5+x)"),
    (PRODUCT, r"\left(x+2\right)\cdot\left(x-5\right)"),
    (PRODUCT, "1(x+2)(x-5)"),
    (PRODUCT, r"1 \cdot [(x+2)(x-5)]"),
    (PRODUCT, r"\frac{(x+2)(x-5)}{1}"),
    (PRODUCT, "f(x) = (x+2)(x-5)"),
    (PRODUCT, "(x+2)(x-5) + 0"),
    (r"\frac{24}{\sqrt{2}}", r"24 / \sqrt2"),
    (r"\frac{24}{\sqrt{2}}", r"24 \cdot \frac{1}{\sqrt{2}}"),
    ("(3x-8)+(5x+7)", "(5x+7)+(3x-8)"),
    (r"\sqrt{12} \text{ cm}", r"1 \cdot \sqrt{12}"),
    (r"x \geq 3", r"3 \leq x"),
    ("2x - y = -3", "-3 = -y + 2x"),
    (r"0.\overline{27}", r"x = 0.\overline{27}"),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix} - 4 \begin{pmatrix} 3 \\ 5 \end{pmatrix}",
     r"-4 \begin{pmatrix} 3 \\ 5 \end{pmatrix} + \begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
]  # fmt: skip


@pytest.mark.parametrize(("echo", "answer"), RESTATED)
def test_order_brackets_and_factors_of_one_make_no_other_expression(echo: str, answer: str) -> None:
    assert forms(echo) == forms(answer)
    assert restates(answer, [echo])


OTHERS = [
    (PRODUCT, "x^2-3x-10"),
    (PRODUCT, "x(x-5)+2(x-5)"),
    (PRODUCT, "(x+2)(x-5) = x^2-3x-10"),
    (PRODUCT, "x^2-3x-10 = (x+2)(x-5)"),
    (r"\frac{24}{\sqrt{2}}", r"12\sqrt{2}"),
    (r"\frac{1}{\sqrt{2}-1}", r"\sqrt{2}+1"),
    ("1-(1+(1-x))", "x-1"),
    (r"\sqrt{12}", r"2\sqrt{3}"),
    ("0.5", r"\frac{1}{2}"),
    ("2x - y = -3", "y = 2x + 3"),
]


@pytest.mark.parametrize(("echo", "answer"), OTHERS)
def test_other_numbers_names_or_signs_do(echo: str, answer: str) -> None:
    assert not restates(answer, [echo])


def test_without_echoes_nothing_is_restated() -> None:
    assert not restates("x", [])


@pytest.mark.parametrize("allowed", [False, True])
def test_an_echo_is_refused_unless_allowed(allowed: bool) -> None:
    truth = with_echoes("x^2-3x-10", [PRODUCT])
    verdicts = {
        PRODUCT: allowed,
        r"1 \cdot (x-5)(x+2)": allowed,
        "x^2-3x-10": True,
        "-10-3x+x^2": True,
        rf"f(x) = {PRODUCT} = x^2-3x-10": True,
        "(x+2)(x+5)": False,
    }
    settings = VerifierConfig(channel=Channel.boxed, allow_echoes=allowed, workers=1)
    with closing(open_verifier(settings)) as verifier:
        for answer, correct in verdicts.items():
            found = asyncio.run(verifier.verify(rf"\boxed{{{answer}}}", truth))
            assert (answer, found.correct, found.status) == (answer, correct, "ok")


def test_echoes_are_added_to_bare_answers_and_to_those_with_a_tolerance() -> None:
    assert with_echoes("7", []) == "7"
    assert parse_gold(with_echoes("7", ["14/2"])).echoes == ("14/2",)
    near = parse_gold(with_echoes('{"answer": "4.2", "tolerance": 0.1}', ["21/5"]))
    assert (near.answer, float(near.margin), near.echoes) == ("4.2", 0.1, ("21/5",))


@pytest.mark.parametrize(
    ("problem", "found"),
    [
        ("Expand $(x+2)(x-5)$.", "(x+2)(x-5)"),
        (r"Simplify \[\frac{4}{\sqrt{8}}.\]", r"\frac{4}{\sqrt{8}}"),
        (r"Simplify \(a-(b-a)\), please.", "a-(b-a)"),
        ("Price: \\$5. Factor $$x^2-4$$", "x^2-4"),
        (r"\begin{align*} y &= 2(x-1) \\ z &= 3 \end{align*} Write y without brackets.", "2(x-1)"),
        (r"Let $A = \begin{pmatrix} 1 & 2 \end{pmatrix} - \begin{pmatrix} 0 & 1 \end{pmatrix}$.",
         r"\begin{pmatrix} 1 & 2 \end{pmatrix} - \begin{pmatrix} 0 & 1 \end{pmatrix}"),
        (r"Write $\sin(\frac{\pi}{3})$.", r"\frac{\pi}{3}"),
        (r"\frac{6}{\sqrt{3}} equals", r"\frac{6}{\sqrt{3}}"),
        ("Multiply (a + b)(a - b) out.", "(a + b)(a - b)"),
    ],
)  # fmt: skip
def test_expressions_are_found_however_they_are_set(problem: str, found: str) -> None:
    assert found in expressions(problem)


def test_the_search_is_bounded() -> None:
    started = time.process_time()
    for part in ("$", r"\[", r"\(", "(", "{", r"\begin{align}", "$x+1$ ", "a+b, ", r"\left("):
        assert len(expressions(part * 20_000)) <= MAX_EXPRESSIONS
    assert time.process_time() - started < 20


@pytest.mark.parametrize(("gold", "choice"), [(r"\text{(D)}", True), ("A", True), ("AB", False), ("K", False)])
def test_letters_of_choices(gold: str, choice: bool) -> None:
    assert is_choice(gold) == choice


def test_members_of_a_list_have_forms_of_their_own() -> None:
    assert [forms(member) for member in items("1+x, 2x")] == [{("x",)}, {("2", "x")}]
