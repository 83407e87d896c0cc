"""The warm-up without its training: what it learns from, and what it does with a folder that is there."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from fail2fix import warmup
from fail2fix.data.rows import Row, verl_row, write_splits
from fail2fix.data.tasks import arithmetic, chain
from fail2fix.method.errors import InputError
from fail2fix.warmup import STAMP, Warmup, inputs_of, is_made, overrides, read_words, worked_chats

pytest.importorskip("pyarrow")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    chain.main([str(tmp_path / "data"), "--train", "12", "--held-out", "10"])
    return tmp_path / "data"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text(name)
    return folder


def questions(data: Path, split: str) -> list[str]:
    parquet = pytest.importorskip("pyarrow.parquet")
    return [row["prompt"][0]["content"] for row in parquet.read_table(data / f"{split}.parquet").to_pylist()]


def test_it_learns_worked_solutions_of_training_problems_only(data: Path) -> None:
    chats = worked_chats(data, Warmup(steps=5, batch_size=4))
    assert len(chats) == 20
    for user, assistant in chats:
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert user["content"] in questions(data, "train")
        assert user["content"] not in questions(data, "test")
        assert assistant["content"] == chain.worked_solution(user["content"])


def test_every_problem_comes_up_before_any_comes_up_again(data: Path) -> None:
    seen = [user["content"] for user, _ in worked_chats(data, Warmup(steps=5, batch_size=4))]
    assert len(set(seen[:12])) == 12
    assert set(Counter(seen).values()) == {1, 2}


def test_the_seed_decides_the_order(data: Path) -> None:
    a, b, c = (worked_chats(data, Warmup(seed=seed, steps=3, batch_size=4)) for seed in (0, 0, 1))
    assert a == b != c


def test_the_arithmetic_facts_have_worked_solutions_too(tmp_path: Path) -> None:
    arithmetic.write_task(tmp_path, 0)
    for user, assistant in worked_chats(tmp_path, Warmup(steps=6, batch_size=16)):
        assert user["content"].startswith("What is ")
        assert assistant["content"].isdigit()


WORDS = {"header": "An attempt:", "instruction": "Check it."}


def test_every_second_chat_is_a_correction_and_a_third_of_the_attempts_are_right(data: Path) -> None:
    chats = worked_chats(data, Warmup(steps=3, batch_size=4, corrections=[WORDS]))
    right = 0
    for index, (user, assistant) in enumerate(chats):
        question, found, rest = user["content"].partition("\n\nAn attempt:\n\n<attempt>\n")
        assert bool(found) == bool(index % 2)
        assert assistant["content"] == chain.worked_solution(question)
        if found:
            attempt, _, instruction = rest.partition("\n</attempt>\n\n")
            assert instruction == "Check it."
            wrong_lines = set(attempt.splitlines()) - set(assistant["content"].splitlines())
            assert attempt == assistant["content"] or 1 <= len(wrong_lines) <= 2
            score = chain.compute_score("", attempt, assistant["content"])
            assert score["acc"] == float(attempt == assistant["content"])
            right += attempt == assistant["content"]
    assert (len(chats), right) == (12, 2)


def test_templates_are_taught_in_turn_with_right_and_wrong_attempts(data: Path) -> None:
    templates = [WORDS, {"template": "verdict", "header": "An attempt:", "instruction": "Judge it."}]
    chats = worked_chats(data, Warmup(steps=6, batch_size=4, corrections=templates))
    right = Counter[bool]()
    for index, (user, assistant) in enumerate(chats[1::2]):
        judges = user["content"].endswith("Judge it.")
        assert judges == bool(index % 2)
        assert assistant["content"].startswith("The attempt is ") == judges
        right[judges] += (
            user["content"]
            .split("<attempt>\n")[1]
            .startswith(chain.worked_solution(user["content"].partition("\n\n")[0]))
        )
    assert right == {True: 2, False: 2}


def test_slips_spoil_their_share_of_what_is_taught_and_no_right_attempt(data: Path) -> None:
    chats = worked_chats(data, Warmup(steps=30, batch_size=8, corrections=[WORDS], slips=0.4))
    spoilt, right_attempts = Counter[bool](), 0
    for index, (user, assistant) in enumerate(chats):
        question, _, rest = user["content"].partition("\n\nAn attempt:\n\n<attempt>\n")
        solution = chain.worked_solution(question)
        wrong = chain.compute_score("", assistant["content"], solution)["acc"] == 0.0
        assert wrong == (assistant["content"] != solution)
        spoilt[bool(index % 2)] += wrong
        right_attempts += bool(rest) and rest.startswith(solution)
    assert 0.25 < spoilt[False] / 120 < 0.55
    assert 0.1 < spoilt[True] / 120 < 0.3
    assert right_attempts == 40


def test_the_words_of_a_correction_come_from_a_config(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text('fail2fix: {correction: {header: "An attempt:", instruction: Check it.}}')
    assert read_words(config) == WORDS
    config.write_text('fail2fix: {correction: {header: A, instruction: "Check: ${.template}."}}')
    assert read_words(config) == {"header": "A", "instruction": "Check: default."}
    assert read_words(config, "verdict") == {"template": "verdict", "header": "A", "instruction": "Check: verdict."}
    config.write_text("fail2fix: {correction: {header: A}}")
    with pytest.raises(InputError, match=r"want fail2fix.correction.header and .instruction"):
        read_words(config)
    with pytest.raises(InputError, match="no such file"):
        read_words(tmp_path / "other.yaml")


@given(st.text() | st.text("\\'\"{}$n "))
def test_any_chat_template_passes_through_hydra(text: str) -> None:
    parsed = OverridesParser.create().parse_overrides(overrides(Path("m"), Path("w"), Warmup(chat_template=text)))
    found = [each.value() for each in parsed if each.key_or_group == "model.custom_chat_template"]
    assert found == ([text] if text else [])


QUESTION, ANSWER = "Add step by step, one sum per line: 7 + 5", "12"


def row(source: str = "fail2fix/chain", question: str = QUESTION, answer: str = ANSWER) -> Row:
    return verl_row(source, question, answer, "train", 0)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (row(), "row 0 of train.parquet is in test.parquet too"),
        (row(question=QUESTION + " + 1"), "row 0 of train.parquet has a wrong ground_truth"),
        (row(question="What is love?"), "is no question of this family"),
        (row(source="openai/gsm8k"), "data_source=openai/gsm8k: .*must be fail2fix/arithmetic"),
    ],
)
def test_rows_it_cannot_learn_from_are_refused(train: Row, message: str, tmp_path: Path) -> None:
    write_splits(tmp_path, [train], [row()])
    with pytest.raises(InputError, match=message):
        worked_chats(tmp_path, Warmup())


def test_a_leak_is_refused_where_the_model_is_made_already(data: Path, model: Path, tmp_path: Path) -> None:
    make(tmp_path / "out", inputs_of(model, worked_chats(data, Warmup()), Warmup()))
    (data / "test.parquet").write_bytes((data / "train.parquet").read_bytes())
    with pytest.raises(InputError, match="is in test.parquet too"):
        warmup.warm_up(model, data, tmp_path / "out", Warmup())


def make(out: Path, inputs: dict[str, object]) -> None:
    out.mkdir()
    (out / STAMP).write_text(json.dumps({"inputs": inputs}))


def test_the_same_inputs_are_done_wherever_they_lie(data: Path, model: Path, tmp_path: Path) -> None:
    make(tmp_path / "out", inputs_of(model, worked_chats(data, Warmup()), Warmup()))
    moved = data.rename(tmp_path / "elsewhere")
    assert is_made(tmp_path / "out", inputs_of(model, worked_chats(moved, Warmup()), Warmup()))
    warmup.main(["--model", str(model), "--data", str(moved), "--out", str(tmp_path / "out")])


CHANGES: dict[str, Callable[[Path, Path], object]] = {
    "model_sha256": lambda model, data: (model / "model.safetensors").write_text("other"),
    "chats_sha256": lambda model, data: chain.main([str(data), "--seed", "1", "--train", "12", "--held-out", "10"]),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_changed_contents_are_refused(changed: str, data: Path, model: Path, tmp_path: Path) -> None:
    make(tmp_path / "out", inputs_of(model, worked_chats(data, Warmup()), Warmup()))
    CHANGES[changed](model, data)
    with pytest.raises(InputError, match=rf"made from other inputs \({changed} .*delete it or choose another --out"):
        is_made(tmp_path / "out", inputs_of(model, worked_chats(data, Warmup()), Warmup()))


@pytest.mark.parametrize("option", ["--seed 1", "--steps 3", "--batch-size 8", "--lr 1e-4"])
def test_other_settings_are_refused_in_one_line(
    option: str, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "out", inputs_of(model, worked_chats(data, Warmup()), Warmup()))
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        warmup.main(["--model", str(model), "--data", str(data), "--out", str(tmp_path / "out"), *option.split()])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warmup: error: ")
    assert "made from other inputs" in line


def test_a_folder_no_warm_up_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InputError, match=r"no warm-up made it \(no warmup.json\): choose another --out"):
        is_made(tmp_path, {})


@pytest.mark.parametrize("missing", ["model/config.json", "data/train.parquet", "data/test.parquet"])
def test_missing_files_are_named(missing: str, data: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=f"no {Path(missing).name} in it"):
        warmup.warm_up(model, data, tmp_path / "out", Warmup())


@pytest.mark.parametrize("option", [{"steps": 0}, {"batch_size": 0}, {"lr": 0.0}])
def test_settings_that_train_nothing_are_refused(option: dict[str, float]) -> None:
    with pytest.raises(InputError, match="each must be positive"):
        Warmup(**option)  # type: ignore[arg-type]


@pytest.mark.parametrize("slips", [-0.1, 1.0])
def test_a_share_of_slips_that_is_none_is_refused(slips: float) -> None:
    with pytest.raises(InputError, match="want at least 0 and less than 1"):
        Warmup(slips=slips)
