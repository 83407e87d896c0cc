"""Answers of one meaning in other forms, and the attacks that each rule invites."""

import pytest

from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.equivalence import evaluated, renamed, solved_for, without_remark
from fail2fix.verify.math_answer import judge, verdict
from fail2fix.verify.symbolic import equal

SAME = {
    "names of sets": [
        (r"\mathbb{R}", r"(-\infty,\infty)"),
        (r"\mathbb{R}", r"x \in \mathbb{R}"),
        (r"\text{all real numbers}", "ℝ"),
        (r"\text{No real solutions.}", r"\emptyset"),
        (r"\varnothing", r"\{\}"),
        (r"\text{infinitely many solutions}", r"\infty"),
        (r"x \ne 0", r"(-\infty,0)\cup(0,\infty)"),
        (r"x \neq 1, -1", r"(-\infty,-1)\cup(-1,1)\cup(1,\infty)"),
        (r"\mathbb{R}\setminus\{2\}", r"x \neq 2"),
    ],
    "set-builders and unions": [
        (r"\{x|-1 < x < 1\}", "(-1,1)"),
        (r"\{t : t \geq 3\}", r"[3,\infty)"),
        (r"(0,2]", r"\{y \in \mathbb{R} \mid 0<y\leq 2\}"),
        (r"a \leqslant -2 \text{ or } a = 1", r"(-\infty,-2]\cup\{1\}"),
        (r"\{5\}\cup(6,\infty)", r"m = 5 \text{ or } m > 6"),
        (r"(3,4]", r"3 < \lambda \leq 4"),
    ],
    "ratios": [
        ("5:8", r"\frac{5}{8}"),
        ("5:8", r"5 \text{ to } 8"),
        (r"3 : 1", "3"),
        (r"\sqrt{2}:1", r"\sqrt2"),
        ("1:2:3", "1 : 2 : 3"),
        ("1 : (4/3)", r"\frac34"),
    ],
    "columns": [
        (r"\begin{pmatrix} -7 \\ 16 \\ 5 \end{pmatrix}", "(-7,16,5)"),
        ("(1,2)", r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"),
        (r"\langle 1, 2 \rangle", "(1,2)"),
    ],
    "plus or minus": [
        (r"\{0, \pm 1, \pm 2\}", r"\{-2,-1,0,1,2\}"),
        (r"\pm 3", r"\{3,-3\}"),
        (r"\pm i, \pm 2", r"\{i,-i,2,-2\}"),
        (r"(\pm 1, 0)", "(1,0),(-1,0)"),
        (r"\{-\sqrt2,\sqrt2\}", r"\pm\sqrt{2}"),
    ],
    "remarks": [
        ("f(x)=cx", r"f(x)=cx \text{ for any real } c"),
        ("f(x)=x+1", r"f(x)=x+1 \text{ for all } x"),
        ("f(x)=1", r"f(x) = 1 \text{ for all } x \in \mathbb{Q}_{>0}"),
        (r"\frac{\pi}{4}+k\pi, k \in \mathbb{Z}", r"\frac{\pi}{4}+k\pi \text{ where } k \text{ is an integer}"),
        (
            r"f(x)=-1, f(x)=x",
            r"f(x)=-1 \text{ for all } x \in \mathbb{Z}, \text{ and } f(x)=x \text{ for all } x \in \mathbb{Z}",
        ),
    ],
    "letters": [
        ("f(z)=z", "f(x)=x"),
        ("f(n)=2n+1007", "f(m)=2m+1007"),
        (r"\frac{\pi}{6}+\pi k", r"\frac{\pi}{6}+n\pi"),
        ("f(x)=ax", r"f(x)=cx \text{ for any constant } c"),
        ("f(x)=1", "f(t)=1"),
        ("f(x)=x+1", "f=x+1"),
    ],
    "sums and sides": [
        ("2008!-1", "-1+2008!"),
        (r"x=2\ln 3=\ln 9", r"x=\ln 9"),
        (r"\frac{3-3^{-999}}{4}", r"\frac34-\frac{3^{-999}}{4}"),
        ("2x+y=3", "3=y+2x"),
        (r"\ln 2-\frac13", r"-\frac{1}{3}+\ln 2"),
        ("e^{-x}+1-y", "1-y+e^{-x}"),
    ],
    "intervals": [
        (r"[0,\pi]", r"0 \leq x \leq \pi"),
        ("(a,b)", r"a < x < b"),
        (r"(e,\infty)", "e < x"),
        ("(a,b]", r"a < \theta \leq b"),
        (r"0,\pi", r"[0,\pi]"),
        ("1,2,3", "[3,1,2]"),
    ],
    "equations": [
        ("xy = 6", r"\frac{6}{x}"),
        ("2x+y=5", "5-2x"),
        (r"\rho\sin\theta = \sqrt{3}", r"\sqrt{3}\csc\theta"),
        ("2x+4y=6", "x+2y=3"),
        ("x^2-2x+10=0", "20-4x+2x^2=0"),
        (r"\frac{1+\sqrt{97}}{8} \approx 1.36", r"\frac{1+\sqrt{97}}{8}"),
    ],
    "working": [
        (r"\binom{10}{3}", "120"),
        (r"\binom{10}{3}", r"\binom{10}{7}"),
        (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"),
        ("120", r"\binom{10}{3}=120"),
        ("120", "5!=120"),
        ("55", r"\sum_{k=1}^{10}k=55"),
        ("2", r"17 \bmod 5 = 2"),
        ("6", r"\gcd(12,18)=6"),
        ("3/8", r"P(X=2)=\binom{4}{2}(1/2)^4=3/8"),
        (r"2\sqrt3", r"\int_0^1 f(x)\,dx=2\sqrt3"),
    ],
    "labels": [
        (r"2\sqrt3", r"m+n=2\sqrt{3}"),
        ("7", "f(1)+f(2)=7"),
        ("203", "100m+n=203"),
        ("7", r"[ABC]=7"),
        (r"\frac35", r"\sin x=\frac{3}{5}"),
        (r"\frac{\pi}{3}", r"\theta=\frac{\pi}{3}"),
        ("x=4", "4"),
    ],
    "numbers": [
        (r"62.5\%", r"\frac{5}{8}"),
        (r"150\%", "1.5"),
        ("-2/3", r"\frac{2}{-3}"),
        ("2/3", r"\frac{-2}{-3}"),
        ("-1/2", "1/(-2)"),
        ("12", r"12^{\text{th}}"),
        ("22^{nd}", "22"),
        ("1000000", "10^6"),
        ("13/36", "(13)/(36)"),
        (r"\frac{-13}{\sqrt{493}}", r"(-13)/(\sqrt{493})"),
        (r"\frac{1}{2010!+1}", "(1)/(2010!+1)"),
        (r"-\frac{1}{128}", "(-1)/(128)"),
        ("2^{2005}+1", "1+2^{2005}"),
        ("②③", "2, 3"),
        (r"\$5", r"5\text{ dollars}"),
        (r"30^\circ", r"30\text{ degrees}"),
    ],
}
ATTACKS = {
    "names of sets": [
        (r"\mathbb{R}", r"(0,\infty)"),
        (r"\mathbb{R}", r"\mathbb{Z}"),
        (r"\text{no solution}", "0"),
        (r"\emptyset", r"\{0\}"),
        (r"\text{infinitely many}", "1"),
        (r"x \neq 0", r"(-\infty,0)\cup[0,\infty)"),
        (r"x \neq 0", r"\mathbb{R}"),
    ],
    "set-builders and unions": [
        (r"\{x|-1 < x < 1\}", "[-1,1]"),
        (r"\{x|-1 < x < 1\}", r"\{-1,1\}"),
        (r"\{x \mid x>2\}", r"x \geq 2"),
        (r"a \leq -2 \text{ or } a = 1", r"(-\infty,-2]"),
        (r"a \leq -2 \text{ or } a = 1", r"a \leq -2 \text{ or } b = 1"),
    ],
    "ratios": [
        ("5:8", "8:5"),
        ("5:8", "10:16"),
        ("1:2:3", "1:3:2"),
        ("30:1", r"30\%"),
        ("(3,4)", "3:4"),
        ("1:2", "1:2:3"),
    ],
    "columns": [
        ("(1,2,3)", r"\begin{pmatrix}1\\3\\2\end{pmatrix}"),
        ("(1,2,3)", r"\begin{pmatrix}1\\2\end{pmatrix}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
    ],
    "plus or minus": [
        (r"\{\pm 2\}", r"\{2\}"),
        ("3", r"\pm 3"),
        (r"(2,\pm 3)", "(2,3)"),
        (r"(2,\pm 3)", r"(\pm 2,3)"),
        (r"\{0, \pm 1\}", r"\{0,1,2\}"),
    ],
    "remarks": [
        ("f(x)=cx", r"f(x)=2cx \text{ for any real } c"),
        ("x^2", r"x^2 \text{ for } x>0"),
        ("7", r"7 \text{ for all but one } x"),
        (r"k\pi, k \in \mathbb{Z}", r"k\pi, k \in \mathbb{N}"),
        ("x=7", r"x=7 \text{ where } x \text{ is not real}"),
    ],
    "letters": [
        ("f(x)=x+1", "f(t)=t+2"),
        ("f(x)=x+1", "f(t)=x+1"),
        ("f(n)=n", "N"),
        ("P(A)=1/3", "P(B)=1/3"),
        (r"n\pi r", r"k\pi r"),
        (r"n\pi", r"2k\pi"),
        ("2n+1", "2k+1"),
        ("f(x)=ax", r"f(x)=acx \text{ for any constant } c"),
    ],
    "sums and sides": [
        ("2008!-1", "-2008!+1"),
        ("2x+y=3", "3=y-2x"),
        ("x=y+1", "y=x+1"),
        ("|x-1|+2", "|x+2-1|"),
        ("x<y+1", "1+x<y"),
        (r"\int x\,dx+1", r"1\,dx+\int x"),
        ("a-b-c", "a-c+b"),
        (r"i^6=i^4\cdot i^2=-1", r"i^6=i^4\cdot i^2=-9"),
        (r"x=2\ln 3=\ln 9", r"x=2\ln 3=\ln 8"),
        (r"\frac{3-3^{-999}}{4}", r"\frac{3-3^{-996}}{4}"),
        ("x+3^{-999}", "x+3^{-998}"),
    ],
    "intervals": [
        ("f(2)<f(1)<f(4)", "f(2)<f(5)<f(4)"),
        ("BC<AB<AC", "BC<AD<AC"),
        (r"(e,\infty)", "x < e"),
        (r"[0,\pi]", r"0,\pi"),
        (r"[0,\pi]", r"(0,\pi)"),
        ("[1,2]", "1 < x < 2"),
        ("[1,2]", r"\{1,2\}"),
    ],
    "equations": [
        ("xy = 6", r"\frac{6}{x+1}"),
        ("x^2+y^2=4", r"\sqrt{4-x^2}"),
        ("y^2=x", r"\sqrt{x}"),
        ("3x", "x=3x"),
        ("2x+4y=6", "x+2y=4"),
        ("x^2-2x+10=0", "x^2-2x+40=0"),
        (r"\log_2(8)=3", r"\log_2(9)=3"),
    ],
    "working": [
        ("120", r"\binom{10}{3}"),
        ("121", r"\binom{10}{3}=121"),
        ("3", r"17 \bmod 5 = 3"),
        ("7", r"\binom{99999}{3}=7"),
        ("7", "9^{9^{9}}=7"),
        ("7", r"\text{6 or } \sum k=7"),
        ("7", r"\sum k \neq 6 = 7"),
        ("7", r"6 = \sum_{k} k = 7"),
    ],
    "labels": [
        ("x=4", "x^2=4"),
        ("n=-4,-1", "n^2=-4,-1"),
        ("y=1, dy=2", "y=1, d^2y=2"),
        ("7", "x+1=7"),
        ("7", "3x=7"),
        ("7", r"m+n\neq 7"),
        ("7", "m+n<8=7"),
        ("7", r"\text{6 or }m+n=7"),
    ],
    "numbers": [
        (r"62.5\%", "6.25"),
        ("13/36", "(26)/(72)"),
        ("13/36", "(13)(36)"),
        ("13/36", "(13)/(36)+(1)/(2)"),
        (r"864\text{ inches}^2", r"864\text{ feet}^2"),
        ("3/2", "1+(1)/(2)"),
        (r"62.5\%", "0.0625"),
        ("-1/2", r"\frac{-1}{-2}"),
        ("12", r"13^{\text{th}}"),
        ("12", "12^{nd}"),
        ("1000000", "10^5"),
        ("10^{-100}", "60^{-100}"),
        ("2^{2005}+1", "2^{2005}-1"),
        (r"\$5", r"5\text{ cents}"),
        (r"30^\circ", r"30\text{ radians}"),
    ],
}
RIGHT = [(kind, *pair) for kind, pairs in SAME.items() for pair in pairs]
WRONG = [(kind, *pair) for kind, pairs in ATTACKS.items() for pair in pairs]


def test_every_rule_has_attacks() -> None:
    assert SAME.keys() == ATTACKS.keys()


@pytest.mark.parametrize(("kind", "gold", "pred"), RIGHT)
def test_another_form_of_the_same_answer_is_right(kind: str, gold: str, pred: str) -> None:
    assert verdict(AnswerText(pred), gold, equal), kind
    assert judge(AnswerText(pred), gold) in (True, None)


@pytest.mark.parametrize(("kind", "gold", "pred"), WRONG)
def test_an_attack_on_a_rule_is_wrong(kind: str, gold: str, pred: str) -> None:
    assert not verdict(AnswerText(pred), gold, equal), kind


def test_a_letter_that_is_taken_is_not_given_again() -> None:
    assert renamed("f(x)=x+a", "f(a)=a+x") == "f(a)=a+x"
    assert renamed("f(x)=x+1", "f(t)=t+\\tan t") == "f(x)=x+\\tan x"


def test_only_small_numbers_are_evaluated() -> None:
    assert evaluated(r"\binom{1000}{30}") == r"\binom{1000}{30}"
    assert evaluated(r"17 \bmod 0") == r"17 \bmod 0"
    assert evaluated(r"\binom{2n}{n}") == r"\binom{2n}{n}"


def test_an_equation_is_solved_for_a_letter_that_occurs_once() -> None:
    assert solved_for("xy=6", "6") is None
    assert solved_for("y+xy=6", r"\frac{6}{1+x}") is None
    assert solved_for(r"\sin y=x", "x") is None


@pytest.mark.parametrize("text", [", " * 300, r"\text{ for " * 300, "(" * 900, r"\forall x" * 100, "x, for all x" * 80])
def test_a_remark_of_hostile_text_is_read_in_linear_time(text: str) -> None:
    for _ in range(20):
        without_remark(text)
