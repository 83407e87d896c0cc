"""The arithmetic task: what is held out, and what its reward accepts."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.data.tasks.arithmetic import Fact, answer, compute_score, question, split_facts, write_task
from fail2fix.data.tasks.smollm2 import MODEL_FILES, fetch_model, missing_files
from fail2fix.data.tasks.smollm2 import main as smollm2_main

SEEDS = st.integers(0, 2**32)


def family(fact: Fact) -> tuple[str, frozenset[int]]:
    return fact[1], frozenset((fact[0], fact[2]))


@given(SEEDS)
def test_no_held_out_fact_has_its_mirror_image_in_training(seed: int) -> None:
    train, held_out = split_facts(seed)
    assert not {family(fact) for fact in train} & {family(fact) for fact in held_out}


@given(SEEDS)
def test_every_fact_occurs_once_and_operators_are_balanced(seed: int) -> None:
    train, held_out = split_facts(seed)
    assert len(set(train + held_out)) == len(train + held_out) == 2 * 8 * 8
    assert Counter(fact[1] for fact in held_out) == {"+": 16, "x": 16}
    assert Counter(fact[1] for fact in train) == {"+": 48, "x": 48}


def test_facts_as_text() -> None:
    assert question((7, "x", 5)) == "What is 7 x 5? Answer with the number only."
    assert (answer((7, "x", 5)), answer((7, "+", 5))) == ("35", "12")


def test_a_seed_writes_the_same_bytes_and_another_seed_other_ones(tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert write_task(tmp_path / folder, seed) == (96, 32)
    a, b, c = ((tmp_path / folder / "train.parquet").read_bytes() for folder in "abc")
    assert a == b
    assert a != c


def test_rows_have_the_columns_verl_reads(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_task(tmp_path, 0)
    row = parquet.read_table(tmp_path / "test.parquet").to_pylist()[0]
    text = row["prompt"][0]["content"]
    assert row["prompt"] == [{"role": "user", "content": text}]
    a, operator, b = text.removeprefix("What is ").split("?")[0].split()
    assert row["reward_model"] == {"style": "rule", "ground_truth": answer((int(a), operator, int(b)))}
    assert (row["data_source"], row["ability"]) == ("fail2fix/arithmetic", "math")
    assert row["extra_info"] == {"split": "test", "index": 0}


@pytest.mark.parametrize(
    ("text", "truth", "pred", "correct"),
    [
        ("12", "12", "12", True),
        ("12.", "12", "12", True),
        ("7 + 5 = 12.", "12", "12", True),
        ("**12**", "12", "12", True),
        ("$12$\n", "12", "12", True),
        ("\\boxed{12}", "12", "12", True),
        ("012", "12", "12", True),
        ("7x5=35", "35", "35", True),
        ("first 11, no: 12", "12", "12", True),
        ("It is 1,512.", "1512", "1512", True),
        ("1,512", "512", "1512", False),
        ("35, 36", "36", "36", True),
        ("-12", "12", "-12", False),
        ("\u221212", "12", "-12", False),
        ("= -12", "-12", "-12", True),
        ("-0", "0", "0", True),
        ("12.5", "12", "12.5", False),
        ("3.12", "12", "3.12", False),
        ("12 or 13", "12", "13", False),
        ("112", "12", "112", False),
        ("\u0661\u0662", "12", "", False),  # Arabic-Indic digits
        ("\uff11\uff12", "12", "", False),  # full-width digits
        ("\uff1112", "12", "", False),
        ("12\uff11", "12", "", False),
        ("twelve", "12", "", False),
        ("", "12", "", False),
    ],
)
def test_score_table(text: str, truth: str, pred: str, correct: bool) -> None:
    expected = {"score": float(correct), "acc": float(correct), "pred": pred}
    assert compute_score("fail2fix/arithmetic", text, truth, {"split": "test"}) == expected


@given(st.integers(0, 10**9), st.text(alphabet=st.characters(exclude_categories=["Nd"])))
def test_the_last_integer_decides_whatever_precedes_it(value: int, before: str) -> None:
    result = compute_score("x", f"{before} {value}.", str(value))
    assert result == {"score": 1.0, "acc": 1.0, "pred": str(value)}
    assert compute_score("x", f"{before} {value} {value + 1}", str(value))["score"] == 0.0
    assert compute_score("x", f"{before} {value:,}", str(value))["score"] == 1.0


@given(st.text())
def test_no_answer_raises(text: str) -> None:
    assert compute_score("x", text, "12")["score"] in (0.0, 1.0)


def test_a_very_long_number_is_only_wrong() -> None:
    assert compute_score("x", "9" * 100_000, "12")["score"] == 0.0


def test_a_truth_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="'twelve' holds no number"):
        compute_score("fail2fix/arithmetic", "12", "twelve")


def test_a_complete_model_is_left_alone(tmp_path: Path) -> None:
    for name in MODEL_FILES:
        (tmp_path / name).write_text("")
    assert missing_files(tmp_path) == []
    assert not fetch_model(tmp_path)


def test_an_incomplete_model_is_refused_before_any_download(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"not a complete model \(no generation_config.json\): delete it"):
        smollm2_main([str(tmp_path)])
