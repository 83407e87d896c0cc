"""One answer in many spellings."""

import time

import pytest

from fail2fix.verify.latex_text import clean, key

SPELLINGS = {
    r"\frac{a}{b}": (r"\frac ab", r"\frac{a}b", r"\frac a{b}", r"\frac {a} {b}", r"{a \over b}", r"\nicefrac{a}{b}"),
    r"\frac{\pi}{2}": (r"\frac\pi2", r"\frac\pi 2", r"\dfrac{\pi}{2}", r"\tfrac π2", r"{\pi\over 2}", r"\frac{pi}{2}"),
    r"\frac{\sqrt{3}}{2}": (r"\frac{\sqrt3}2", r"\frac\sqrt{3}2", r"{\sqrt{3} \over 2}", r"\frac{√3}{2}"),
    r"\sqrt{13}": ("√13", "sqrt(13)", "sqrt 13", "sqrt13", r"\sqrt {13}", r"\sqrt(13)"),
    r"\sqrt{x+1}": ("√(x+1)", "sqrt(x+1)", r"\sqrt{ x + 1 }"),
    r"\sqrt{\pi}": (r"\sqrt\pi", r"\sqrt π", "sqrt(pi)"),
    r"\binom{n}{2}": (r"{n \choose 2}", r"\dbinom n2", r"\tbinom{n}{2}", r"\binom n2"),
    r"2\pi r": ("2 pi r", r"2 π r", r"2\pi\,r"),
    r"\ln 2": ("ln 2",),
    r"\sin t-\ln x": (r"\sin(t)-\ln{x}", "sin(t)-ln x", r"\sin\left(t\right)-\ln(x)"),
    r"\omega_{L}^{\prime}": (r"\omega_L^{\prime}", r"\omega_L'"),
    r"\begin{pmatrix} \sin t \\ \cos t \end{pmatrix}": (r"\begin{bmatrix}\sin(t) \\ \cos(t)\end{bmatrix}",),
    r"0.5\text{ N}-m": (r".5 \text{ N}-m",),
    r"\{x|x=3k, k\in Z\}": (r"\{x \mid x=3k, k \in Z\}", r"{\left\{x|x=3k, k\in Z\right\}}"),
    r"f=\{x & y": (r"{f=\{x & y}", r"\boldsymbol{f=\left\{x & y \right.}"),
    r"\frac{x+1}{2(x-1)}": ("(x+1)/(2(x-1))", "( x+1 )/( 2(x-1) )", "{(x+1)/(2(x-1))}"),
    r"t^{2}e^{n}": ("t² e^n", "t^2e^n", r"t^{2}\,e^{n}"),
    r"2\pi(x+1)": (r"2\cdot\pi(x+1)", r"2\times \pi (x+1)", "2*pi(x+1)"),
    "e^{2}": ("exp(2)", r"\exp(2)", r"\exp{2}", "e^2", "e^(2)", "e**2"),
    "x^{12}": ("x**12", "x^12", "x^(12)", r"x^{12}"),
    "a_{10}": ("a_10", r"a_{\text{10}}"),
    r"\infty": ("infinity", "∞", r"+\infty"),
    "7": (
        r"\color{red}{7}", r"\textcolor{blue}{7}", r"{\bf 7}", r"\mathbf{7}", r"\underline{7}", r"{\color{red} 7}",
        "`7`",        "'7'", "**7**", r"\boldsymbol{7}", r"\large 7", r"7\phantom{8}", r"\hspace{1cm}7",
    ),
    r"30^\circ": (r"30^{\circ}", "30°", r"30\degree", "30^o", r"30^{o}"),
    r"\frac{1}{2}": ("\x0crac{1}{2}", r"\cfrac12", r"\frac{ {1} }{2}"),
    "f'(x)": (r"f^{\prime}(x)", r"f^\prime(x)", "f’(x)"),
    r"3^{x}\geq x^{2}": ("3<sup>x</sup>≥x<sup>2</sup>", r"3^x \ge x^2"),
}  # fmt: skip
PAIRS = [(one, other) for one, others in SPELLINGS.items() for other in others]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_spelling_has_the_key_of_the_plain_one(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize("text", [one for pair in PAIRS for one in pair])
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


DIFFERENT = [
    ("f'", "f"),
    (r"\frac ab", r"\frac ba"),
    ("x_{12}", "x_{1}2"),
    (r"\sqrt{13}", r"\sqrt{1}3"),
    ("1 2", "12"),
    ("2*3", "23"),
    (r"\sin(t)x", r"\sin tx"),
    (r"\sin(t)^2", r"\sin t^2"),
    (r"\sin(t) \pi", r"\sin t\pi"),
    (r"\begin{vmatrix}1\end{vmatrix}", r"\begin{pmatrix}1\end{pmatrix}"),
    ("x_1y", "x_{1y}"),
    ("x^1 2", "x^{12}"),
    ("2**3", "23"),
    ("x!=5", "x=5"),
    (r"\exp(2)", "2"),
    ("spin", r"\pi"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_texts_have_other_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


UNITS = (
    r"\frac",
    r"\frac{",
    r"\sqrt(",
    r"\over",
    r"{\over",
    r"\choose}",
    r"\color{",
    "**",
    "√",
    "①",
    "^(",
    r"\exp(",
    "{",
    "'",
)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("chars", [900, 20_000])
def test_hostile_text_is_cleaned_at_once(unit: str, chars: int) -> None:
    started = time.process_time()
    clean(unit * (chars // len(unit)))
    assert time.process_time() - started < 0.5
