"""The generated task families: what they hold out, what a worked solution is, and what their rewards refuse."""

import itertools
import json
import random
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.data.tasks import arithmetic, chain, latin, sorting, two_digit
from fail2fix.data.tasks.family import FAMILIES, PREFIX, draw_splits, family_of
from fail2fix.data.tasks.final_answer import final_number
from fail2fix.method.errors import InputError

GENERATED = [two_digit, chain, sorting, latin]
SEEDS = st.integers(0, 2**32)
DIALS: dict[ModuleType, st.SearchStrategy[Any]] = {
    two_digit: st.builds(
        two_digit.Dials,
        low=st.integers(0, 20),
        high=st.integers(60, 999),
        operators=st.sampled_from(["+", "-", "+-"]),
        carry=st.sampled_from(["any", "never", "always"]),
    ),
    chain: st.builds(
        chain.Dials,
        steps=st.integers(1, 5),
        longest=st.sampled_from([0, 5, 7]),
        low=st.integers(0, 5),
        high=st.integers(40, 99),
    ),
    sorting: st.builds(sorting.Dials, items=st.sampled_from(["letters", "words"]), length=st.integers(3, 8)),
    latin: st.builds(latin.Dials, side=st.integers(4, 5), fewest=st.integers(1, 4), most=st.integers(4, 9)),
}
TRUTHS = {sorting: "b, d, m", latin: "123/231/312"}
"""A ground truth of the families whose answer is no number."""


def family_id(family: ModuleType) -> str:
    return family.__name__.rpartition(".")[2]


def numbers(question: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", question)]


def fact(family: ModuleType, question: str) -> object:
    """What a question is about, however it is turned around; found from its text alone."""
    if family is latin:
        return family.worked_solution(question)
    if family is sorting:
        return frozenset(question.partition(": ")[2].partition(".")[0].split(", "))
    if family is two_digit and "-" in question:
        a, b = numbers(question)
        return tuple(sorted((a - b, b)))
    return tuple(sorted(numbers(question)))


families = pytest.mark.parametrize("family", GENERATED, ids=family_id)


@families
@given(data=st.data(), seed=SEEDS)
def test_no_two_problems_of_a_set_give_each_other_away(family: ModuleType, data: st.DataObject, seed: int) -> None:
    train, held_out = draw_splits(family.sample, data.draw(DIALS[family]), seed, 40, 20)
    assert (len(train), len(held_out)) == (40, 20)
    assert len({fact(family, problem.question) for problem in train + held_out}) == 60


@families
@given(data=st.data(), seed=SEEDS)
def test_a_worked_solution_is_right_and_another_problem_s_is_wrong(
    family: ModuleType, data: st.DataObject, seed: int
) -> None:
    train, _ = draw_splits(family.sample, data.draw(DIALS[family]), seed, 5, 1)
    for problem in train:
        for other in train:
            text = family.worked_solution(other.question)
            result = family.compute_score(family.DATA_SOURCE, text, problem.answer, {"index": 0})
            correct = float(problem.answer == other.answer)
            assert result == {"score": correct, "acc": correct, "pred": other.answer}


@families
def test_more_training_problems_leave_the_held_out_ones_alone(family: ModuleType) -> None:
    few, held_out = draw_splits(family.sample, family.Dials(), 3, 10, 50)
    many, same = draw_splits(family.sample, family.Dials(), 3, 100, 50)
    assert (same, many[:10]) == (held_out, few)


@families
def test_the_default_dials_give_two_hundred_held_out_problems(family: ModuleType) -> None:
    train, held_out = draw_splits(family.sample, family.Dials(), 0, 512, 200)
    assert (len(train), len(held_out)) == (512, 200)


@families
def test_a_seed_writes_the_same_bytes_and_another_seed_other_ones(family: ModuleType, tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        family.main([str(tmp_path / folder), "--seed", str(seed), "--train", "20", "--held-out", "10"])
    for name in ("train.parquet", "test.parquet", "task.json"):
        a, b, c = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert a == b != c


@families
def test_rows_have_the_columns_of_every_other_set(family: ModuleType, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    family.main([str(tmp_path / "own"), "--train", "20", "--held-out", "10"])
    arithmetic.main([str(tmp_path / "arithmetic")])
    own, other = (parquet.read_table(tmp_path / name / "train.parquet") for name in ("own", "arithmetic"))
    assert own.schema == other.schema
    row = own.to_pylist()[7]
    assert row["data_source"] == PREFIX + family_id(family) == family.DATA_SOURCE
    assert row["extra_info"] == {"split": "train", "index": 7}
    solution = family.worked_solution(row["prompt"][0]["content"])
    assert family.compute_score(row["data_source"], solution, row["reward_model"]["ground_truth"])["acc"] == 1.0
    assert json.loads((tmp_path / "own" / "task.json").read_text()) == {
        "data_source": family.DATA_SOURCE,
        "seed": 0,
        "train": 20,
        "held_out": 10,
        "dials": vars(family.Dials()),
    }


@given(st.data(), SEEDS)
def test_two_digit_keeps_to_its_dials(data: st.DataObject, seed: int) -> None:
    dials: two_digit.Dials = data.draw(DIALS[two_digit])
    problem = two_digit.sample(dials, random.Random(seed))
    if problem is None:
        assert dials.carry != "any"
        return
    a, b = numbers(problem.question)
    assert dials.low <= min(a, b) <= max(a, b) <= dials.high
    assert problem.question.split()[3] in dials.operators
    assert int(problem.answer) >= 0
    addends = (a, b) if "+" in problem.question else (a - b, b)
    digits = [str(number).zfill(3)[::-1] for number in addends]
    if dials.carry != "any":
        tens = any(int(x) + int(y) >= 10 for x, y in zip(*digits, strict=True))
        assert tens == (dials.carry == "always")


@given(st.data(), SEEDS)
def test_chain_keeps_to_its_dials(data: st.DataObject, seed: int) -> None:
    dials: chain.Dials = data.draw(DIALS[chain])
    found = numbers(chain.sample(dials, random.Random(seed)).question)
    assert dials.steps < len(found) <= (dials.longest or dials.steps) + 1
    assert dials.low <= min(found) <= max(found) <= dials.high


@given(st.data(), SEEDS)
def test_sorting_keeps_to_its_dials(data: st.DataObject, seed: int) -> None:
    dials: sorting.Dials = data.draw(DIALS[sorting])
    problem = sorting.sample(dials, random.Random(seed))
    if problem is None:
        return
    items = problem.question.partition(": ")[2].partition(".")[0].split(", ")
    assert len(set(items)) == len(items)
    assert len(items) == dials.length
    assert set(items) <= set(sorting.ITEMS[dials.items])
    assert sorting.compute_score("x", ", ".join(items), problem.answer)["acc"] == 0.0


def lines(square: str) -> list[str]:
    """The rows of a square, then its columns."""
    rows = square.split("/")
    return [*rows, *("".join(marks) for marks in zip(*rows, strict=True))]


@given(st.data(), SEEDS)
def test_latin_keeps_to_its_dials_and_has_one_solution(data: st.DataObject, seed: int) -> None:
    dials: latin.Dials = data.draw(DIALS[latin])
    problem = latin.sample(dials, random.Random(seed))
    if problem is None:
        return
    asked = problem.question.rpartition(" ")[2]
    assert dials.fewest <= asked.count("?") <= dials.most
    assert all(mark in ("?", right) for mark, right in zip(asked, problem.answer, strict=True))
    digits = set(asked) - set("?/")
    assert len(digits) == dials.side
    assert all(set(line) == digits and len(line) == dials.side for line in lines(problem.answer))
    if asked.count("?") > 4:
        return
    tried = itertools.product(sorted(digits), repeat=asked.count("?"))
    squares = ["".join(map("".join, zip(asked.split("?"), [*each, ""], strict=True))) for each in tried]
    assert [square for square in squares if all(set(line) == digits for line in lines(square))] == [problem.answer]


@given(SEEDS)
def test_a_near_miss_of_a_latin_square_keeps_what_is_given_and_breaks_a_row_or_a_column(seed: int) -> None:
    generator = random.Random(seed)
    problem = latin.sample(latin.Dials(), generator)
    if problem is None:
        return
    missed = latin.corrupt(problem.question, generator)
    asked = problem.question.rpartition(" ")[2]
    assert all(mark in ("?", written) for mark, written in zip(asked, missed, strict=True))
    assert latin.compute_score("x", missed, problem.answer) == {"score": 0.0, "acc": 0.0, "pred": missed}
    assert any(len(set(line)) < len(line) for line in lines(missed))


def test_questions_as_text() -> None:
    for family, question, solution in (
        (arithmetic, "What is 7 x 5? Answer with the number only.", "35"),
        (two_digit, "What is 85 - 38? Answer with the number only.", "47"),
        (chain, "Add step by step, one sum per line: 7 + 5 + 18", "7 + 5 = 12\n12 + 18 = 30"),
        (sorting, "Sort from A to Z: plum, fig, kiwi. Answer with the sorted list only.", "fig, kiwi, plum"),
        (latin, "Fill in the Latin square: 27?4/9???/4?72/??4?", "2794/9427/4972/7249"),
    ):
        assert family.worked_solution(question) == solution
        with pytest.raises(InputError, match=r"is no question of this (family|task)"):
            family.worked_solution("What is love?")


@pytest.mark.parametrize(
    ("text", "pred"),
    [
        ("26", "26"),
        ("  **26**\n\n", "26"),
        ("The answer is 26.", "26"),
        ("$\\boxed{026}$", "26"),
        ("14 + 12 = 26", "26"),
        ("14 + 12 = 25 = 26", "26"),
        ("14 + 4 = 18\n18 + 8 = 26", "26"),
        ("25\nNo: 26", "26"),
        ("```\n26\n```", "26"),
        ("26\nor 25", "25"),
        ("1,026", "1026"),
        ("-26", "-26"),
        ("26.0", "26.0"),
        ("25 or 26", ""),
        ("26, 27, 28", ""),
        ("26/25", ""),
        ("20..26", ""),
        ("26e3", ""),
        ("26 (not 25)", ""),
        ("It is not 26", ""),
        ("It isn't 26", ""),
        ("It isn\u2019t 26", ""),
        ("14 + 12 != 26", ""),
        ("14 + 12 >= 26", ""),
        ("\u2260 26", ""),
        ("6 + 20", ""),
        ("6 + 20 =", ""),
        ("26\nis my answer", ""),
        ("\u0662\u0666", ""),  # Arabic-Indic digits
        ("\uff12\uff16", ""),  # full-width digits
        ("__import__('os')", ""),
        ("twenty-six", ""),
        ("", ""),
        ("\n \n", ""),
    ],
)
@pytest.mark.parametrize("family", [two_digit, chain], ids=family_id)
def test_what_a_number_answer_commits_itself_to(family: ModuleType, text: str, pred: str) -> None:
    assert final_number(text) == pred
    correct = float(pred == "26")
    assert family.compute_score("x", text, "26") == {"score": correct, "acc": correct, "pred": pred}


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("fig, kiwi, plum", True),
        ("Fig, Kiwi and Plum.", True),
        ("Sorted list: fig, kiwi, plum", True),
        ("1. fig 2. kiwi 3. plum", True),
        ("plum, fig, kiwi\nfig, kiwi, plum", True),
        ("fig\nkiwi\nplum", False),
        ("kiwi, fig, plum", False),
        ("fig, kiwi", False),
        ("fig, kiwi, plum, plum", False),
        ("fig, kiwi, plum, zoo", False),
        ("fig, kiwi, plum or kiwi, fig, plum", False),
        ("kiwi, fig, plum; fig, kiwi, plum", False),
        ("not fig, kiwi, plum", False),
        ("fig, kiwi, plum\nor not", False),
        ("f\u0456g, kiwi, plum", False),  # a Cyrillic letter
        ("fig, kiwi, \u0431 plum", False),
        ("figkiwiplum", False),
        ("", False),
    ],
)
def test_what_a_sorted_list_is(text: str, correct: bool) -> None:
    result = sorting.compute_score("x", text, "fig, kiwi, plum")
    assert (result["score"], result["acc"]) == (float(correct), float(correct))


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("123/231/312", True),
        ("132/213/321\n123/231/312.", True),
        ("The square: 123/231/312", True),
        ("123/231/312 or 132/213/321", False),
        ("132/213/321, 123/231/312", False),
        ("not 123/231/312", False),
        ("123/231/312/123", False),
        ("123\n231\n312", False),
        ("123/231/31?", False),
        ("", False),
    ],
)
def test_what_a_filled_square_is(text: str, correct: bool) -> None:
    assert latin.compute_score("x", text, "123/231/312")["acc"] == float(correct)


@families
@given(text=st.text())
def test_no_answer_raises(family: ModuleType, text: str) -> None:
    truth = TRUTHS.get(family, "26")
    assert family.compute_score("x", text, truth)["score"] in (0.0, 1.0)


@families
@pytest.mark.timeout(20)
def test_a_very_long_answer_is_only_wrong(family: ModuleType) -> None:
    truth = TRUTHS.get(family, "26")
    for unit in ("9", "9,", "9\n", "=", "b, ", "\\n", " not"):
        assert family.compute_score("x", unit * 100_000, truth)["score"] == 0.0


@families
def test_a_truth_without_an_answer_is_refused(family: ModuleType) -> None:
    with pytest.raises(ValueError, match="write the set again"):
        family.compute_score("x", "26", "?")


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        (two_digit, "--low 5 --high 4", "want 0 <= low <= high"),
        (two_digit, "--low -5", "want 0 <= low <= high"),
        (two_digit, "--low 10 --high 12", "these dials give only 6 different problems"),
        pytest.param(
            two_digit,
            "--low 10 --high 14 --carry always",
            "these dials give only 0 different problems",
            marks=pytest.mark.heavy,
        ),
        (chain, "--steps 0", "--steps 0: want at least 1"),
        (chain, "--steps 4 --longest 3", "--longest 3: want at least 4 (--steps), or 0"),
        (chain, "--low 3 --high 2", "want 0 <= low <= high"),
        (chain, "--steps 1 --low 2 --high 3", "these dials give only 3 different problems"),
        (sorting, "--length 2", "want 3 to 26, the number of different letters"),
        (sorting, "--length 27", "want 3 to 26, the number of different letters"),
        pytest.param(sorting, "--length 26", "these dials give only 1 different problems", marks=pytest.mark.heavy),
        (latin, "--side 7", "--side 7: want 3 to 6"),
        (latin, "--fewest 5 --most 4", "want 1 <= fewest <= most < side * side"),
        (sorting, "--train 0", "each split needs at least one problem"),
    ],
)
def test_impossible_dials_end_in_one_line(family: ModuleType, options: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        family.main([str(tmp_path / "out"), *options.split()])
    assert message in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert not (tmp_path / "out").exists()


def test_every_family_is_found_by_its_data_source() -> None:
    assert [family_of(PREFIX + name).DATA_SOURCE for name in FAMILIES] == [PREFIX + name for name in FAMILIES]
    for data_source in ("openai/gsm8k", "fail2fix/os", "chain"):
        with pytest.raises(
            InputError, match=rf"^data_source={data_source}: .*must be fail2fix/arithmetic, .*your own Family"
        ):
            family_of(data_source)
