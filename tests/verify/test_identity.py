"""Equality of plain expressions by exact arithmetic: true identities hold, and nothing else does."""

from __future__ import annotations

import random

import pytest
from sympy import isprime

from fail2fix.verify.identity import PRIME, SMALL_PRIMES, decided, identical
from fail2fix.verify.numeric import differ

EQUAL = (
    (r"\frac{x+1}{x^2-1}", r"\frac{1}{x-1}"),
    ("(x+1)(x-1)(x^2+1)", "x^4-1"),
    (r"\frac{3+11(-1)^n}{2}", "1.5+5.5(-1)^n"),
    (r"\sqrt{12}", r"2\sqrt{3}"),
    (r"\sqrt{6}x", r"\sqrt{2}\sqrt{3}x"),
    (r"\frac{1}{\sqrt{2}-1}", r"\sqrt{2}+1"),
    (r"\sqrt[3]{54}", r"3\sqrt[3]{2}"),
    (r"2^{3/2}", r"2\sqrt{2}"),
    (r"\sqrt{\frac{3}{4}}", r"\frac{\sqrt{3}}{2}"),
    (r"\frac{4\pi}{3}r^{3}", r"\frac{4}{3}\pi r^{3}"),
    (r"\sin 2x \cos x", r"\cos(x)\sin(x+x)"),
    (r"\sin^{2} x", r"(\sin x)^{2}"),
    (r"\tan^{-1} x", r"\arctan x"),
    (r"\csc x", r"\frac{1}{\sin x}"),
    (r"\sin^{2} x+\cos^{2} x", "1"),
    (r"\frac{1}{\sin x\cos x}-\tan x", r"\cot x"),
    (r"\lfloor\frac{2n-1}{5}\rfloor", r"\lfloor\frac{-1+2n}{5}\rfloor"),
    (r"\frac{n!}{5!}", r"\frac{n!}{120}"),
    (r"\log_{10} 2", r"\log 2"),
    (r"30^\circ", r"\frac{\pi}{6}"),
    ("x^{-1}", r"\frac{1}{x}"),
    ("a_{1}+b_{2}", "b_2+a_1"),
    ("e^{x+1}", "e^{1+x}"),
)
DIFFERENT = (
    ("x", "-x"),
    (r"\sqrt{x^2}", "x"),  # a letter may be negative
    (r"\sqrt{xy}", r"\sqrt{x}\sqrt{y}"),
    (r"\sqrt{101}\sqrt{103}", r"-\sqrt{10403}"),
    (r"\sqrt[3]{-8}", "2"),
    ("a/bc", r"\frac{a}{bc}"),  # ambiguous
    ("a/bc", r"\frac{ac}{b}"),
    (r"\sin(x)y", r"\sin(xy)"),
    (r"\sin x/2", r"\sin(x/2)"),
    (r"\log 2", r"\ln 2"),
    (r"\lfloor n\rfloor", r"\lceil n\rceil"),
    (r"\lfloor n\rfloor", "n"),
    ("2^n!", "(2^n)!"),  # ambiguous
    (r"\sin x+\cos x", "1"),
    ("X", "x"),
    ("0.333333333333", r"\frac{1}{3}"),
    (r"\frac{1}{x-x}", r"\frac{2}{x-x}"),
    (r"2\frac{1}{2}", "1"),
)


@pytest.mark.parametrize(("one", "two"), EQUAL)
def test_an_identity_holds_both_ways(one: str, two: str) -> None:
    assert not differ(one, two)
    assert identical(one, two)
    assert identical(two, one)


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_what_is_no_identity_is_not_accepted(one: str, two: str) -> None:
    assert not identical(one, two)
    assert not identical(two, one)


def test_roots_of_small_primes_exist_modulo_the_prime() -> None:
    assert isprime(PRIME)
    assert all(pow(prime, PRIME // 2, PRIME) == 1 for prime in SMALL_PRIMES)
    assert pow(-1, PRIME // 2, PRIME) != 1


def test_a_changed_coefficient_is_never_an_identity() -> None:
    draw = random.Random(0)
    for _ in range(300):
        terms = [f"{draw.randrange(2, 10 ** draw.randrange(1, 30))}x^{{{power}}}" for power in range(2, 6)]
        changed = list(terms)
        place = draw.randrange(4)
        changed[place] = f"{int(terms[place].split('x')[0]) + 1}x^{{{place + 2}}}"
        one = "+".join(terms)
        draw.shuffle(terms)
        assert identical(one, "+".join(terms))
        assert not identical(one, "+".join(changed))


def test_relations_with_the_same_signs_and_sides_are_equal() -> None:
    assert decided(r"\sin 2x > \frac{1}{2}", r"\sin(2x) > 1/2") is True
    assert decided(r"\sin 2x > \frac{1}{2}", r"\sin(2x) < 1/2") is None
    assert decided(r"x+y = 2z", r"y+x = 2z") is True


def test_matrices_are_compared_by_entries() -> None:
    matrix = r"\begin{pmatrix} %s & x \\ 0 & 1 \end{pmatrix}"
    assert decided(matrix % "1/2", matrix % r"\frac{1}{2}") is True
    assert decided(matrix % "1/2", matrix % "1/3") is False
    assert decided(matrix % "1/2", r"\begin{pmatrix} \frac{1}{2} & x & 0 & 1 \end{pmatrix}") is False


@pytest.mark.parametrize(
    "text", ["(" * 400, r"\frac{" * 60, "x^" * 200, "1/0", "2^{999}" * 50, r"\sqrt[0]{2}", "", "^"]
)
def test_hostile_text_has_no_value(text: str) -> None:
    assert not identical(text, "x")
