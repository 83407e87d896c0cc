"""Hand-made run folders with hand-computed numbers."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fail2fix.method.errors import InputError
from fail2fix.report.__main__ import main
from fail2fix.report.figures import make_report
from fail2fix.report.statistics import bootstrap_interval

CORRELATION = "training/rollout_actor_probs_pearson_corr"


def step_row(step: int, **changes: Any) -> dict[str, Any]:
    """A training step: 16 base and 8 correction rollouts; ``fixed`` grows by one a step."""
    row = {
        "step": step,
        "fail2fix/transition/fixed": float(step),
        "fail2fix/transition/kept": 2.0,
        "fail2fix/transition/broken": 1.0,
        "fail2fix/transition/still_wrong": 5.0 - step,
        "fail2fix/base/rollouts": 16.0,
        "fail2fix/base/prompt_tokens": 160.0,
        "fail2fix/base/generated_tokens": 1000.0,
        "fail2fix/base/groups": 4.0,
        "fail2fix/base/zero_variance_groups": 1.0,
        "fail2fix/correction/rollouts": 8.0,
        "fail2fix/correction/prompt_tokens": 400.0,
        "fail2fix/correction/generated_tokens": 600.0,
        "fail2fix/correction/groups": 2.0,
        "fail2fix/correction/zero_variance_groups": 0.0,
        "fail2fix/replay/correct_attempts": 1.0,
        "fail2fix/replay/failed_attempts": 1.0,
        "timing_s/gen_base": 2.0,
        "timing_s/select": 0.001,
        "timing_s/gen_correction": 1.0,
        "timing_s/step": 4.0 + step,
        CORRELATION: 0.99 - 0.01 * step,
    }
    return row | changes


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def dump(**verdicts: list[float]) -> list[dict[str, Any]]:
    """A validation dump: the verdicts of each problem's rollouts."""
    return [
        {"input": problem, "output": "...", "gts": "7", "score": acc, "step": 0, "acc": acc}
        for problem, accs in verdicts.items()
        for acc in accs
    ]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Five steps; corrections teach nothing in step 2; step 3 replays failed attempts only."""
    learns_nothing = {"fail2fix/correction/zero_variance_groups": 2.0}
    failed_only = {"fail2fix/replay/correct_attempts": 0.0, CORRELATION: None}
    rows = [
        {"step": 0, "val-core/gsm8k/acc/mean@1": 0.5, "timing_s/testing": 3.0},
        step_row(1),
        step_row(2, **learns_nothing),
        step_row(3, **failed_only),
        step_row(4),
        step_row(5, **{"timing_s/testing": 5.0}),
    ]
    write_lines(tmp_path / "metrics.jsonl", rows)
    write_lines(tmp_path / "validation" / "0.jsonl", dump(a=[1, 0], b=[0, 0], c=[0, 0], d=[1, 1]))
    write_lines(tmp_path / "validation" / "3.jsonl", dump(a=[0]))
    write_lines(tmp_path / "validation" / "5.jsonl", dump(a=[1], b=[1], c=[1], d=[1]))
    (tmp_path / "config.yaml").touch()
    return tmp_path


def test_accuracy_is_of_the_first_and_the_last_validation(run: Path) -> None:
    report = make_report(run)
    assert (report.before.step, report.before.value) == (0, 0.375)  # (.5 + 0 + 0 + 1) / 4
    assert (report.before.problems, report.before.rollouts) == (4, 8)
    assert 0 <= report.before.low < 0.375 < report.before.high <= 1
    assert report.after is not None
    assert (report.after.step, report.after.value, report.after.low, report.after.high) == (5, 1, 1, 1)


def test_a_dump_later_than_the_last_step_is_of_an_interrupted_one(run: Path) -> None:
    """A kill between the dump and the line of its step leaves one."""
    before = make_report(run)
    write_lines(run / "validation" / "6.jsonl", dump(a=[0]))
    write_lines(run / "held_out_corrections" / "6.jsonl", held_out("a", False, [True]))
    assert make_report(run) == before


def test_problems_weigh_the_same_however_many_rollouts_they_have(run: Path) -> None:
    write_lines(run / "validation" / "0.jsonl", dump(a=[1, 1, 1], b=[0]))
    assert make_report(run).before.value == 0.5


def test_a_score_counts_where_the_reward_gives_no_acc(run: Path) -> None:
    rows = [
        {"input": "a", "score": 1.0},
        {"input": "b", "score": 0.9},
        {"input": "c", "score": 1.0, "acc": 0.0},
    ]
    write_lines(run / "validation" / "0.jsonl", rows)
    assert make_report(run).before.value == pytest.approx(1 / 3)


def test_answers_may_hold_any_line_separator(run: Path) -> None:
    row = {"input": "a", "output": "one\u2028two\x85three\n", "score": 1.0}
    (run / "validation" / "0.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert make_report(run).before.value == 1


def test_rollouts_without_a_verdict_are_counted(run: Path) -> None:
    rows = [{"input": "a", "score": 0.0, "verify_status": "error"}, {"input": "b", "score": 1.0}]
    write_lines(run / "validation" / "0.jsonl", rows)
    assert make_report(run).before.verifier_errors == 1


def test_the_interval_is_seeded_and_near_the_normal_one() -> None:
    values = (np.arange(400) < 100).astype(float)
    low, high = bootstrap_interval(values)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (low, high) == bootstrap_interval(values)
    assert low == pytest.approx(0.25 - half, abs=0.006)
    assert high == pytest.approx(0.25 + half, abs=0.006)


def test_transitions_of_the_first_and_the_last_quarter(run: Path) -> None:
    """Five steps: a quarter is two of them."""
    report = make_report(run)
    first, last = report.first_quarter, report.last_quarter
    assert (first.first_step, first.last_step) == (1, 2)
    assert first.counts == {"fixed": 3, "kept": 4, "broken": 2, "still_wrong": 7}
    assert (last.first_step, last.last_step) == (4, 5)
    assert last.counts == {"fixed": 9, "kept": 4, "broken": 2, "still_wrong": 1}


def test_streams_phases_and_facts(run: Path) -> None:
    report = make_report(run)
    assert report.steps == 5
    assert report.streams == {
        "base": {"rollouts": 80, "prompt_tokens": 800, "generated_tokens": 5000},
        "correction": {"rollouts": 40, "prompt_tokens": 2000, "generated_tokens": 3000},
    }
    assert list(report.phases) == ["gen_base", "select", "gen_correction", "testing", "step"]
    assert (report.phases["step"].total_s, report.phases["step"].mean_s) == (35, 7)
    assert (report.phases["testing"].total_s, report.phases["testing"].steps) == (8, 2)
    assert report.facts.correction_share == pytest.approx(1 / 3)
    assert report.facts.steps_both_streams_learn == 4
    assert report.facts.steps_with_right_and_wrong_attempts == 4
    assert report.facts.min_probability_correlation == pytest.approx(0.94)


def test_a_run_without_corrections_has_zeros_not_failures(run: Path) -> None:
    write_lines(run / "metrics.jsonl", [{"step": 1, "fail2fix/base/rollouts": 8}, {"step": 2}])
    report = make_report(run)
    assert report.streams["correction"]["rollouts"] == 0
    assert report.facts.correction_share == 0
    assert report.facts.min_probability_correlation is None
    assert main([str(run)]) == 0


def test_a_run_validated_once_has_no_after(run: Path) -> None:
    (run / "validation" / "3.jsonl").unlink()
    (run / "validation" / "5.jsonl").unlink()
    assert make_report(run).after is None
    assert main([str(run)]) == 0


def held_out(problem: str, attempt_correct: bool, corrections: list[bool], **fields: str) -> list[dict[str, Any]]:
    return [
        {"problem": problem, "attempt_correct": attempt_correct, "correct": correct, "status": "ok"} | fields
        for correct in corrections
    ]


def test_fix_and_break_rates_are_of_the_first_and_the_last_held_out_corrections(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Means over problems; a correction without a verdict counts for neither."""
    before = held_out("a", False, [True, False]) + held_out("b", False, [False, False])
    before += held_out("a", True, [False, False, True, True])
    after = (
        held_out("a", False, [True, True]) + held_out("b", True, [True]) + held_out("b", False, [False], status="error")
    )
    write_lines(run / "held_out_corrections" / "0.jsonl", before)
    write_lines(run / "held_out_corrections" / "5.jsonl", after)
    report = make_report(run)
    assert [(rate.step, rate.value, rate.problems) for rate in report.fixed] == [(0, 0.25, 2), (5, 1.0, 1)]
    assert [(rate.step, rate.value) for rate in report.broken] == [(0, 0.5), (5, 0.0)]
    assert main([str(run)]) == 0
    printed = capsys.readouterr().out
    assert "before, step 0" in printed
    assert re.search(r"fixed +25.0 % +100.0 %", printed)
    assert re.search(r"broken +50.0 % +0.0 %", printed)


def test_a_malformed_held_out_correction_is_named(run: Path) -> None:
    write_lines(run / "held_out_corrections" / "0.jsonl", [{"problem": "a", "attempt_correct": 1, "correct": True}])
    with pytest.raises(InputError, match=r"0.jsonl, line 1: 'attempt_correct' is 1, not true or false"):
        make_report(run)


def test_the_table_names_every_number(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for expected in (
        "before, step 0 after, step 5",
        "accuracy 37.5 % 100.0 %",
        "steps 1 to 2 steps 4 to 5",
        "fixed 3 (18.8 %) 9 (56.2 %)",
        "still_wrong 7 (43.8 %) 1 (6.2 %)",
        "generated tokens 5,000 3,000",
        "gen_correction 5.0 1.00",
        "rollouts that are corrections 33.3 %",
        "steps where both streams learn 4 of 5",
        "steps with right and wrong attempts 4 of 5",
        "lowest probability correlation 0.9400",
        f"in {run}: metrics.jsonl, config.yaml, validation",
        "not written: versions.json, rollouts",
    ):
        assert expected in words
    assert "select" not in words, "a phase of no seconds"


def test_json_has_the_same_numbers(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["before"]["value"] == 0.375
    assert numbers["last_quarter"]["counts"]["fixed"] == 9
    assert numbers["facts"]["steps_both_streams_learn"] == 4
    assert numbers["phases"]["step"] == {"total_s": 35.0, "mean_s": 7.0, "steps": 5}
    assert numbers["files"]["rollouts"] is None


MALFORMED = [
    ("metrics.jsonl", "{broken", "metrics.jsonl, line 2: not JSON"),
    ("metrics.jsonl", "[1]", "metrics.jsonl, line 2: not an object"),
    ("metrics.jsonl", "{}", "metrics.jsonl, line 2: 'step' is None, not a step"),
    ("metrics.jsonl", '{"step": 2, "timing_s/step": "3"}', "line 2: 'timing_s/step' is '3', not a number"),
    ("metrics.jsonl", "", "metrics.jsonl, line 2: not JSON"),
    ("metrics.jsonl", "[" * 100_000, "metrics.jsonl, line 2: not JSON (RecursionError: maximum recursion depth"),
    ("validation/5.jsonl", '{"score": 1}', "5.jsonl, line 2: 'input' is None, not a text"),
    ("validation/5.jsonl", '{"input": "a"}', "5.jsonl, line 2: 'score' is None, not a number"),
]


@pytest.mark.parametrize(("name", "line", "message"), MALFORMED)
def test_a_malformed_line_is_named(
    run: Path, capsys: pytest.CaptureFixture[str], name: str, line: str, message: str
) -> None:
    lines = (run / name).read_text().splitlines()
    (run / name).write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    assert main([str(run)]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_metrics_are_read_while_a_line_is_written(run: Path) -> None:
    before = make_report(run)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(step_row(6))[:100])
    assert make_report(run) == before


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "9" * 400])
def test_a_metric_that_is_no_finite_number_counts_as_not_measured(run: Path, value: str) -> None:
    path = run / "metrics.jsonl"
    for name in ("fail2fix/transition/fixed", "timing_s/step", "fail2fix/base/rollouts"):
        path.write_text(re.sub(f'("{name}": )[0-9.]+', rf"\g<1>{value}", path.read_text(), count=1))
    report = make_report(run)
    assert report.first_quarter.counts["fixed"] == 2
    assert report.phases["step"].total_s == 30.0
    assert report.streams["base"]["rollouts"] == 64


def test_a_narrow_terminal_shows_every_number(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main([str(run)]) == 0
    words = capsys.readouterr().out.split()
    assert {"37.5", "100.0", "(18.8", "(56.2", "5,000", "3,000", "1.00", "33.3", "0.9400"} <= set(words)


def test_missing_files_are_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run / "nowhere")]) == 2
    assert "nowhere: no such run folder" in capsys.readouterr().err
    (run / "metrics.jsonl").rename(run / "elsewhere.jsonl")
    assert main([str(run)]) == 2
    assert "metrics.jsonl: cannot be read" in capsys.readouterr().err
    (run / "metrics.jsonl").write_text('{"step": 0}\n')
    with pytest.raises(InputError, match="no training step"):
        make_report(run)
    write_lines(run / "metrics.jsonl", [step_row(1)])
    for path in (run / "validation").iterdir():
        path.unlink()
    report = make_report(run)
    assert (report.before, report.after) == (None, None)
    capsys.readouterr()
    assert main([str(run)]) == 0
    assert "Held-out" not in capsys.readouterr().out
