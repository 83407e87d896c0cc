"""Labelled cases. Every check here runs in the test's own process: no bombs."""

import gzip
import json
from pathlib import Path

import pytest

from fail2fix.verify.answer_text import AnswerText
from fail2fix.verify.math_answer import check, judge

TRUTH = Path(__file__).parents[3] / "shared" / "truth"

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
    if not path.exists():
        pytest.skip(f"{path}: labelled truth is not part of the repository")
    read = gzip.decompress if path.suffix == ".gz" else bytes
    return [json.loads(line) for line in read(path.read_bytes()).splitlines()]


def test_gsm8k_generations_without_a_false_verdict() -> None:
    """OpenAI's example model solutions: math-verify agrees with OpenAI's label on all of them."""
    rows = [row for row in truth("gsm8k_labelled_generations.jsonl.gz")[::4] if row["pred"]]
    assert len(rows) > 1000
    wrong = [row for row in rows if check(rf"So it is \boxed{{{row['pred']}}}.", row["gold"]).correct != row["equal"]]
    assert wrong == []


def test_full_solutions_agree_with_their_labels() -> None:
    """Real solutions of GSM8K and MATH problems; some labels are about the working, not about the answer."""
    rows = [row for row in truth("processbench_pairs.jsonl.gz") if row["source"].endswith(("/gsm8k", "/math"))][::3]
    verdicts = [(row["equal"], check(row["response"], row["gold"]).correct) for row in rows]
    assert len(rows) > 200
    assert sum(not label and verdict for label, verdict in verdicts) <= 0.02 * len(rows)
    assert sum(label and not verdict for label, verdict in verdicts) <= 0.03 * len(rows)


def test_cases_of_math_verifys_own_tests() -> None:
    rows = [row for row in truth("peer_unit_cases.jsonl") if row["source"] == "math-verify/test_numina_cases"]
    assert len(rows) == 30
    missed = [row["line"] for row in rows if check(row["pred"], row["gold"]).correct != row["equal"]]
    assert missed == [24], "an inequality of |z| against a union of intervals"
