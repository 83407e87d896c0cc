"""Labelled cases. Every check here runs in the test's own process: no bombs."""

import gzip
import json

import pytest

from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.gold import parse_gold, within_tolerance
from fail2fix.verify.math_answer import judge, verdict
from fail2fix.verify.symbolic import equal
from tests.shared import TRUTH
from tests.verify.checks import check

CASES = [
    (r"The answer is \boxed{12}.", "12", True),
    ("12.", "12", True),
    ("The answer is 12.", "12", True),
    (r"\boxed{12.}", "12", True),
    (r"\boxed{12.5}", "12", False),
    (r"\boxed{\frac{1}{2}}", "0.5", True),
    (r"\boxed{\frac{2}{4}}", "0.5", False),
    (r"\boxed{1{,}000}", "1000", True),
    (r"\boxed{\$18}", "18", True),
    (r"\boxed{x = 3}", "3", True),
    (r"\boxed{8} or maybe \boxed{7}", "7", False),
    (r"\boxed{8}, \boxed{7}", "7", False),
    (r"\boxed{1} and \boxed{2}", "1, 2", True),
    (r"\boxed{6, 7, 8}", "7", False),
    (r"\boxed{\{6, 7, 8\}}", "7", False),
    (r"\boxed{6 \text{ or } 7}", "7", False),
    (r"\boxed{[6, 7]}", "7", False),
    (r"\boxed{8} then Answer: 7", "7", False),
    (r"Answer: 8 then \boxed{7}", "7", False),
    ("Answer: 7.004", "7", False),
    (r"\boxed{7", "7", False),
    (r"\boxed{}", "7", False),
    ("", "7", False),
    (r"\boxed{0}", "a + 3z = 0", False),
    (r"\boxed{2}", r"\frac{1}{2}", False),
    (r"\boxed{\text{Sunday}}", "Sunday", True),
]


@pytest.mark.parametrize(("response", "gold", "correct"), CASES)
def test_decided_cases(response: str, gold: str, correct: bool) -> None:
    assert check(response, gold).correct == correct


SAME = [
    ("y=2x+1", "f(x)=2x+1"),
    ("7", "k=7"),
    ("1/3", r"k = \frac{1}{3}"),
    ("x^2+2^n", "2^n+x^2"),
    (r"\frac{x}{2}", r"\frac{2x}{4}"),
    (r"e^{2}\pi", r"\pi e^2"),
    ("6xy", "6yx"),
    (r"-\sqrt3", r"-\sqrt{3}"),
    (r"\sqrt{3}-1", r"-1+\sqrt3"),
    ("2(x+1)", "2x+2"),
    (r"\frac{3}{2}(1+\sqrt5)", r"\frac{3+3\sqrt5}{2}"),
    (r"3\cdot 2^{n}", r"2^{n}\cdot 3"),
    (r"\frac{1}{2^{10}}x", r"\frac{x}{2^{10}}"),
    ("4210_5", "4210_{5}"),
    ("4210_5", "(4210)_5"),
    ("1011_2", r"1011_{\text{2}}"),
    ("7", "x=7"),
    ("7", r"\text{Area}=7"),
    ("7", r"\text{Total cost} = 7"),
    ("7", r"\text{Area of }\triangle ABC=7"),
    ("7", r"7\text{ cm}"),
    ("7", "7 blue shoes"),
    ("7", "P(X)=7"),
    ("7", r"\angle ABC = 7"),
    ("7", "x^3=7"),
    ("7", r"\text{Var}(X)=7"),
    ("7", "7元"),
    ("7", r"7\text{ m}"),
    ("7", "f(3)=7"),
    ("7", r"x \approx 7"),
    ("3.142", r"3.142\approx 3.1"),
    (r"\frac{3\pi}{2}", r"\frac{3}{2}\pi"),
    (r"\frac{3}{2}\pi", r"\frac{3\pi}{2}"),
    ("x^2+2x", "x(x+2)"),
    ("2^{10}-1", "2^{10} - 1"),
    ("1-2^{10}x", "-2^{10}x+1"),
    (r"\sqrt{2}+\sqrt{3}", r"\sqrt{3}+\sqrt{2}"),
    (r"\sqrt{3}", "3^{1/2}"),
    (r"\log 9", r"2\log 3"),
    (r"\frac{1+\sqrt5}{2}", r"\frac12+\frac{\sqrt5}{2}"),
    (r"12\pi", r"\pi\cdot 12"),
    (r"\frac{21}{2}\pi", r"10.5\pi"),
    (r"\frac{x+2}{7}", r"\frac{x}{7}+\frac{2}{7}"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    ("|x-1|+|x-2|", "|x-2|+|x-1|"),
    (r"\frac{\sqrt3}{3}", r"\frac{1}{\sqrt3}"),
    ("3+4i", "4i+3"),
    (r"\frac{3\sqrt5}{2}", r"\frac12 \cdot 3\sqrt5"),
    ("y=2x+1", "y=1+2x"),
    ("y=2x+1", "2x+1"),
    ("2x+1", "y=2x+1"),
    ("(3,4)", "x=3,y=4"),
    ("(3,4)", "y=4,x=3"),
    ("(3,4)", "(x,y)=(3,4)"),
    ("x=7", "7"),
    ("A", r"\text{A}"),
    ("A", "(A) cats"),
    ("A", "A. dogs"),
    (r"\text{(B)}", "B"),
    (r"3.5\text{ cm}", "3.5"),
    (r"3.5\text{ cm}", r"3.5\text{ cm}"),
    (r"3.5\text{ cm}", r"3.5\text{ centimeters}"),
    (r"2\sqrt{3}", r"2\sqrt{3}\text{ cm}"),
    (r"12\pi", r"12\pi\text{ cm}^2"),
    (r"12\pi", r"12\pi\text{ in}^2"),
    (r"12\pi", r"12\pi \text{ square units}"),
    (r"12\pi\text{ cm}^2", r"12\pi"),
    (r"2\sqrt3\text{ cm}", r"\sqrt{12}\text{ cm}"),
    (r"\sqrt3", "sqrt(3)"),
    (r"2\sqrt3", "2*sqrt(3)"),
    (r"2\sqrt3", r"2\sqrt{3}\approx 3.46"),
    (r"2\sqrt3", r"x=2\sqrt{3}\approx3.46"),
    (r"2\sqrt3", r"x=2\sqrt{3}"),
    (r"\emptyset", r"\varnothing"),
    (r"(-\infty,2)\cup(3,\infty)", r"x<2 \text{ or } x>3"),
    ("1/4", r"P(X=2)=\frac14"),
    (r"2\sqrt3", r"\sqrt{12}=2\sqrt3"),
    (r"1\pm\sqrt2", r"\pm\sqrt2+1"),
    (r"\binom{n}{2}", r"\dbinom{n}{2}"),
]


@pytest.mark.parametrize(("gold", "pred"), SAME)
def test_right_answers_in_another_spelling(gold: str, pred: str) -> None:
    answer = AnswerText(pred)
    assert verdict(answer, gold, equal)
    # What the trainer's own process decides, the worker decides too.
    assert judge(answer, gold) in (True, None)


@pytest.mark.parametrize(
    "pred", [r"7 \approx", r"x \approx", r"\overline{1 \pm %}", r"\pm 1 \pm 2", r"\sqrt{(\infty)+-e}"]
)
@pytest.mark.parametrize("gold", ["7", "x+1", "(1,2)", r"\{1,2\}", r"\pm 3"])
def test_broken_text_is_wrong_and_raises_nothing(pred: str, gold: str) -> None:
    assert not verdict(AnswerText(pred), gold, equal)


@pytest.mark.parametrize("pred", [r"x\not=4.25", r"\text{not }x=4.25", r"\text{4 or }x=4.25", r"4.25\approx 6"])
def test_a_tolerance_forgives_no_hedge(pred: str) -> None:
    gold = parse_gold('{"answer": "4.2", "tolerance": 0.1}')
    assert within_tolerance(AnswerText("x=4.25"), gold)
    assert not within_tolerance(AnswerText(pred), gold)


SIGNS = (r" \approx ", "=", "= =", r"\approx =", r"x \approx", ",", "or", r"\pm", r"\cup", "()", "{}", "[", "%", "!")


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("gold", ["7", "x+1", "(1,2)", r"\{1\}", "A", "x=7"])
def test_a_sign_alone_is_no_answer(sign: str, gold: str) -> None:
    assert judge(AnswerText(sign), gold) is not True


def test_the_judged_text_is_returned() -> None:
    assert check(r"so \boxed{\frac{2}{4}}.", "0.5").pred == r"\frac{2}{4}"
    assert check("The answer is 12.", "12").pred == "12"
    assert check("I could not find anything at all here", "12").pred == ""


def truth(name: str) -> list[dict]:
    path = TRUTH / name
    read = gzip.decompress if path.suffix == ".gz" else bytes
    return [json.loads(line) for line in read(path.read_bytes()).splitlines()]


@pytest.mark.needs_shared
def test_gsm8k_generations_without_a_false_verdict() -> None:
    """OpenAI's example model solutions: math-verify agrees with OpenAI's label on all of them."""
    rows = [row for row in truth("gsm8k_labelled_generations.jsonl.gz")[::4] if row["pred"]]
    assert len(rows) > 1000
    wrong = [row for row in rows if check(rf"So it is \boxed{{{row['pred']}}}.", row["gold"]).correct != row["equal"]]
    assert wrong == []


@pytest.mark.needs_shared
def test_full_solutions_agree_with_their_labels() -> None:
    """Real solutions of GSM8K and MATH problems; some labels are about the working, not about the answer."""
    rows = [row for row in truth("processbench_pairs.jsonl.gz") if row["source"].endswith(("/gsm8k", "/math"))][::3]
    verdicts = [(row["equal"], check(row["response"], row["gold"]).correct) for row in rows]
    assert len(rows) > 200
    assert sum(not label and verdict for label, verdict in verdicts) <= 0.02 * len(rows)
    assert sum(label and not verdict for label, verdict in verdicts) <= 0.03 * len(rows)


@pytest.mark.needs_shared
def test_cases_of_math_verifys_own_tests() -> None:
    rows = [row for row in truth("peer_unit_cases.jsonl") if row["source"] == "math-verify/test_numina_cases"]
    assert len(rows) == 30
    missed = [row["line"] for row in rows if check(row["pred"], row["gold"]).correct != row["equal"]]
    assert missed == [24], "an inequality of |z| against a union of intervals"
