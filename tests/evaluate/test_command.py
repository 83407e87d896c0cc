"""The command line: bad input ends in one line before an engine starts; a folder goes on with its own plan only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fail2fix.data.rows import verl_row, write_parquet, write_splits
from fail2fix.data.sets import all_sets, find_set
from fail2fix.data.tasks import chain
from fail2fix.evaluate.__main__ import main
from fail2fix.evaluate.benchmarks import BENCHMARKS, Sampling
from fail2fix.evaluate.questions import load_questions, read_questions
from fail2fix.evaluate.run import plan_batches
from fail2fix.evaluate.settings import Settings, request_seed
from fail2fix.evaluate.store import Store, read_records
from fail2fix.method.errors import InputError
from tests.evaluate.rows import question
from tests.guided.classroom import Count, completion, question_of, rows_of, training_file
from tests.services import serving


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [verl_row("openai/gsm8k", f"{n}?", str(n), "test", n) for n in range(30)]
    for number, row in enumerate(rows):
        row["extra_info"] |= {"id": f"gsm8k-{number}", "source": "gsm8k"}
    write_splits(tmp_path / "data" / "gsm8k", [], rows)
    return tmp_path / "data"


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command ends in."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("evaluate: error: ")
    return lines[0]


BAD = [
    (["--benchmarks", "nonsense"], "--benchmarks: invalid choice: 'nonsense' (choose from"),
    (["--benchmarks", "gsm8k", "--samples", "4"], "greedy samples are equal"),
    (["--benchmarks", "gsm8k", "--limit", "0"], "--limit 0: must be at least 1"),
    (["--benchmarks", "gsm8k", "--batch", "-1"], "--batch -1"),
    (["--benchmarks", "gsm8k", "--top-p", "2"], "--top-p 2.0"),
    (["--benchmarks", "gsm8k", "--temperature", "-1"], "--temperature -1.0"),
    (["--benchmarks", "gsm8k", "--max-tokens", "0"], "--max-tokens 0"),
    (["--benchmarks", "gsm8k", "--self-correction", "-1"], "--self-correction -1"),
    (["--benchmarks", "gsm8k", "--tensor-parallel", "0"], "--tensor-parallel 0"),
    (["--benchmarks", "gsm8k", "--endpoint", "localhost:80"], "http://HOST:PORT/v1"),
    (["--benchmarks", "gsm8k", "--endpoint", "http://h/v1", "--form", "turn"], "an endpoint takes no ids"),
    (["--benchmarks", "gsm8k", "--endpoint", "http://h/v1", "--max-model-len", "9"], "--max-model-len 9: must be left"),
    (
        ["--benchmarks", "gsm8k", "--endpoint", "http://h/v1", "--engine-options", '{"a": 1}'],
        "--engine-options {'a': 1}",
    ),
    (["--benchmarks", "gsm8k", "--chat-template-kwargs", "no"], "not a JSON object"),
    (["--benchmarks", "gsm8k", "--channel", "x"], "--channel"),
    (["--benchmarks", "math500", "--from", "/nonexistent"], "math500"),
    (["--benchmarks", "gsm8k"], "config.json"),
    (["--file", "nothing.parquet"], "nothing.parquet"),
    (["--file", "nothing.parquet", "--benchmarks", "gsm8k"], "not allowed with"),
    ([], "--benchmarks --file"),
    (["--file", "FILE", "--corrections", "mine.yaml"], "--corrections mine.yaml: no such file"),
    (["--benchmarks", "gsm8k", "--out", "FILE"], "FILE is a file: choose another folder"),
    (["--benchmarks", "gsm8k", "--out", "FILE/out"], "FILE is a file"),
    (["--benchmarks", "math500", "--data", "FILE"], "--data FILE/math500: "),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=lambda value: str(value)[:60])
def test_bad_input_ends_in_one_line(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    (tmp_path / "model").mkdir()
    base = ["--model", str(tmp_path / "model"), "--data", str(data), "--out", str(tmp_path / "out")]
    assert words in failed(capsys, *base, *arguments)
    assert not (tmp_path / "out").exists()


def test_a_model_with_an_unmerged_adapter_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As verl's own merger leaves a LoRA checkpoint: the base model beside its adapter."""
    (tmp_path / "model" / "lora_adapter").mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    arguments = ("--model", str(tmp_path / "model"), "--data", str(data), "--out", str(tmp_path / "out"))
    assert "export the checkpoint with scripts/export.sh" in failed(capsys, *arguments, "--benchmarks", "gsm8k")
    assert not (tmp_path / "out").exists()


def test_a_file_of_problems_is_evaluated_in_the_words_of_a_config(tmp_path: Path) -> None:
    """A model that is right about every second problem, and never when it is shown an attempt."""
    training_file(tmp_path)
    (tmp_path / "mine.yaml").write_text('fail2fix: {correction: {header: "Look:", instruction: Again.}}')

    def answer(request: Any) -> dict[str, Any]:
        solution = chain.worked_solution(question_of(request))
        attempted = request["messages"][0]["content"].endswith("Again.")
        return completion("7" if attempted or int(solution.split()[-1]) % 2 else solution)

    counted = Count(answer)
    with serving(answer=counted) as service:
        arguments = ["--model", "m", "--endpoint", f"{service.url}v1", "--file", str(tmp_path / "test.parquet")]
        arguments += ["--corrections", str(tmp_path / "mine.yaml"), "--self-correction", "1"]
        for _ in range(2):
            main([*arguments, "--out", str(tmp_path / "out")])
    assert counted.calls == 8
    result = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    first, second = result["benchmarks"]["file"]["rounds"]
    truths = [int(row["reward_model"]["ground_truth"]) for row in rows_of(tmp_path / "test.parquet")]
    assert first["accuracy"]["value"] == sum(truth % 2 == 0 for truth in truths) / 4
    assert second["accuracy"]["value"] == 0
    assert result["engine"] == {"name": "openai", "endpoint": f"{service.url}v1"}, "the second call started no engine"
    assert "Look:" in read_records(tmp_path / "out", "file")[-1]["prompt"]


def test_a_file_without_a_problem_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_parquet(tmp_path / "none.parquet", [])
    arguments = ("--model", "m", "--endpoint", "http://127.0.0.1:9", "--file", str(tmp_path / "none.parquet"))
    assert "holds no problem" in failed(capsys, *arguments, "--out", str(tmp_path / "out"))


def test_compare_needs_finished_evaluations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no finished evaluation" in failed(capsys, "compare", str(tmp_path), str(tmp_path), "--out", str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"benchmarks": {"gsm8k": {}}}',
        '{"benchmarks": {"gsm8k": {"rounds": [1]}}}',
        '{"benchmarks": {"gsm8k": {"rounds": [1]}}, "settings": {"sampling": {}}}',
    ],
)
def test_compare_refuses_what_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "evaluation.json").write_text(text)
    assert "evaluation.json: " in failed(capsys, "compare", str(tmp_path), str(tmp_path), "--out", str(tmp_path))


def test_compare_needs_a_folder_to_write_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert "is a file" in failed(capsys, "compare", "a", "b", "--out", str(tmp_path / "file"))


def test_a_folder_goes_on_with_the_same_evaluation_only(tmp_path: Path) -> None:
    plan = {"seed": 0, "sampling": {"gsm8k": {"samples": 2}}}
    Store(tmp_path / "out").open(plan)
    Store(tmp_path / "out").open(plan)
    with pytest.raises(InputError, match=r"another seed \(0, now 1\): choose another folder"):
        Store(tmp_path / "out").open(plan | {"seed": 1})
    for text in ("{", "[1]"):
        (tmp_path / "out" / "plan.json").write_text(text)
        with pytest.raises(InputError, match=r"plan\.json: no plan of an evaluation"):
            Store(tmp_path / "out").open(plan)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match="of no evaluation"):
        Store(tmp_path / "mine").open(plan)


def test_a_limit_draws_the_same_problems_again(data: Path) -> None:
    drawn = [load_questions(BENCHMARKS["gsm8k"], data, None, 5, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    whole = load_questions(BENCHMARKS["gsm8k"], data, None, None, 0)
    assert len(whole) == 30
    assert [q for q in whole if q in drawn[0]] == drawn[0]


def test_rows_of_equal_ids_are_refused(data: Path) -> None:
    rows = [verl_row("openai/gsm8k", "?", "1", "test", 0) for _ in range(2)]
    for row in rows:
        row["extra_info"]["id"] = "same"
    write_splits(data / "twice", [], rows)
    with pytest.raises(InputError, match=r"row 1: id 'same' occurs twice"):
        read_questions(data / "twice" / "test.parquet")


def test_malformed_rows_are_named(data: Path) -> None:
    write_splits(data / "bad", [], [verl_row("openai/gsm8k", "?", "1", "test", 0)])
    with pytest.raises(InputError, match=r"row 0: not as fail2fix.prepare writes it \(KeyError: 'id'\)"):
        read_questions(data / "bad" / "test.parquet")


def test_every_benchmark_has_a_set() -> None:
    assert {each.set_name for each in BENCHMARKS.values()} <= set(all_sets())


def test_the_protocols_are_method_md_s() -> None:
    def protocol(name: str) -> tuple[int, float, int]:
        sampling = BENCHMARKS[name].sampling
        return sampling.samples, sampling.temperature, sampling.max_tokens

    averaged, greedy = (32, 0.7, 8192), (1, 0.0, 8192)
    assert [protocol(name) for name in ("aime24", "aime25", "amc23")] == [averaged] * 3
    assert [protocol(name) for name in ("math500", "minerva", "olympiadbench", "leetcode", "criticbench")] == [
        greedy
    ] * 5
    assert protocol("livecodebench") == (10, 0.2, 8192)
    assert protocol("debugbench") == (8, 0.2, 8192)
    assert not find_set("livecodebench").evaluated({"date": "2024-07-31"})
    assert find_set("livecodebench").evaluated({"date": "2024-08-01"})
    assert find_set("livecodebench").evaluated({"date": "2025-05-31T00:00:00"})
    assert not find_set("livecodebench").evaluated({})


def settings(**fields: object) -> Settings:
    return Settings("m", {"gsm8k": Sampling(3, 0.7), "math500": Sampling()}, **fields)  # type: ignore[arg-type]


def test_a_later_round_corrects_batch_by_batch() -> None:
    asked = {"gsm8k": [question(f"g{n}") for n in range(4)], "math500": [question(f"m{n}") for n in range(5)]}
    batches = plan_batches(asked, settings(rounds=2, batch=5))
    assert [batch.number for batch in batches] == list(range(12))
    assert [len(batch.slots) for batch in batches[:4]] == [5, 5, 5, 2]
    for batch in batches[4:]:
        assert batch.before is not None
        assert batches[batch.before].slots == batch.slots
        assert batches[batch.before].round == batch.round - 1
    slots = [slot for batch in batches[:4] for slot in batch.slots]
    assert len(set(slots)) == len(slots) == 4 * 3 + 5


def test_seeds_differ_and_depend_on_nothing_else() -> None:
    keys = [("gsm8k", f"q{n}", sample, round_) for n in range(20) for sample in range(3) for round_ in range(2)]
    seeds = [request_seed(settings(), *key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert seeds == [request_seed(settings(batch=7, limit=3), *key) for key in keys]
    assert seeds != [request_seed(settings(seed=1), *key) for key in keys]
    assert request_seed(settings(), "math500", "q", 0, 0) is None


def test_a_plan_is_json(tmp_path: Path) -> None:
    Store(tmp_path / "out").open({"sampling": {"gsm8k": {"samples": 2}}, "limit": None})
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["limit"] is None
