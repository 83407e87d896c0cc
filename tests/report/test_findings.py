"""Each rule speaks where its threshold is passed, and is silent in a healthy run."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fail2fix.report.findings import GOOD, NOTE, WARNING, findings
from fail2fix.report.run_data import read_run
from tests.report.made_up import metrics, write_lines

CORRELATION = "training/rollout_actor_probs_pearson_corr"
Line = Callable[[int], dict[str, Any]]


def told(folder: Path, line: Line, steps: int = 50, config: str = "") -> dict[str, str]:
    """Sentences about a run by their metric."""
    write_lines(folder / "metrics.jsonl", map(line, range(1, steps + 1)))
    if config:
        (folder / "config.yaml").write_text(config)
    return {finding.metric: finding.text for finding in findings(read_run(folder))}


def test_a_healthy_run_has_no_finding(tmp_path: Path) -> None:
    assert told(tmp_path, metrics) == {}


SPEAKS: list[tuple[str, Line, str]] = [
    (
        "fail2fix/replay/rho",
        lambda step: metrics(step, fail2fix__replay__rho=0.8 if step > 10 else 0.5),
        "The replay ratio has been at its upper bound (0.8) for 40 of 50 steps.",
    ),
    (
        "fail2fix/replay/rho",
        lambda step: metrics(step, fail2fix__replay__rho=0.2),
        "The replay ratio has been at its lower bound (0.2) for 50 of 50 steps.",
    ),
    (
        "fail2fix/correction/zero_variance_groups",
        lambda step: metrics(step, fail2fix__correction__zero_variance_groups=5.76),
        "72 % of correction groups teach nothing: all rollouts of such a group have the same reward.",
    ),
    (
        "fail2fix/base/zero_variance_groups",
        lambda step: metrics(step, fail2fix__base__zero_variance_groups=4.0),
        "50 % of base groups teach nothing: all rollouts of such a group have the same reward.",
    ),
    (
        CORRELATION,
        lambda step: metrics(step) | {CORRELATION: 0.93 if step >= 31 else 0.999},
        "Weights drifted out of sync at step 31: the engines' probabilities correlate with the trainer's by 0.930 at "
        "worst (20 of 50 steps below 0.99).",
    ),
    (
        "fail2fix/update/skipped",
        lambda step: metrics(step, fail2fix__update__skipped=float(step in (4, 9))),
        "2 updates were skipped because their gradient was not finite (steps 4, 9).",
    ),
    (
        "metrics.jsonl",
        lambda step: metrics(step, actor__grad_norm=None if step == 7 else 1.0),
        "actor/grad_norm was not finite in 1 of 50 steps.",
    ),
    (
        "fail2fix/accounting/*",
        lambda step: metrics(step, fail2fix__accounting__base__recorded=63.0 if step == 3 else 64.0),
        "Accounting does not balance at 1 steps (step 3).",
    ),
    (
        "fail2fix/base/cut_off, fail2fix/correction/cut_off",
        lambda step: metrics(step, fail2fix__correction__cut_off=0.25),
        "25 % of correction answers were cut off at the length limit in the last quarter.",
    ),
    (
        "actor/entropy",
        lambda step: metrics(step, actor__entropy=0.5 / step),
        "Entropy has fallen from 0.5 to 0.0114: answers hardly differ from one another any more.",
    ),
    (
        "fail2fix/base/excluded_groups, fail2fix/correction/excluded_groups",
        lambda step: metrics(step, fail2fix__base__excluded_groups=1.0),
        "50 of 850 groups left the update because their check failed.",
    ),
    (
        "fail2fix/base/verifier_timeouts, fail2fix/correction/verifier_timeouts",
        lambda step: metrics(step, fail2fix__base__verifier_timeouts=32.0),
        "25 % of all answers could not be checked in time and count as wrong.",
    ),
    (
        "fail2fix/replay/retention",
        lambda step: metrics(step, fail2fix__transition__kept=16.0, fail2fix__transition__broken=16.0),
        "In the last quarter 50 % of right attempts were kept; the target is 80 %.",
    ),
    (
        "fail2fix/transition/broken",
        lambda step: metrics(step, fail2fix__transition__fixed=0.0),
        "In the last quarter corrections broke 52 attempts and fixed only 0.",
    ),
    (
        "fail2fix/correction/gain_over_constant",
        lambda step: metrics(step, fail2fix__correction__gain_over_constant=-0.04),
        "In the last quarter corrections scored 4 points less than the better of two constant policies: repeat the "
        "attempt, or solve the problem again.",
    ),
    (
        "fail2fix/replay/chosen, fail2fix/replay/wanted",
        lambda step: metrics(step, fail2fix__replay__chosen=6.0 if step <= 12 else 8.0),
        "12 of 50 steps had fewer attempts to correct than configured.",
    ),
    (
        "fail2fix/replay/medium",
        lambda step: metrics(step, fail2fix__replay__medium=2.0),
        "75 % of the corrected attempts belong to problems outside the medium-difficulty band.",
    ),
    (
        "fail2fix/risk/effect",
        lambda step: metrics(step, fail2fix__risk__effect=0.0),
        "The risk penalty has changed no advantage, although 200 right attempts were broken.",
    ),
    (
        "fail2fix/base/accuracy",
        lambda step: metrics(step, fail2fix__base__accuracy=0.25 if step <= 25 else 0.75),
        "Training accuracy rose from 25 % to 75 %, first quarter to last.",
    ),
    (
        "fail2fix/transition/fix_rate",
        lambda step: metrics(step, fail2fix__transition__still_wrong=48.0 if step <= 25 else 16.0),
        "The fix rate rose from 25 % to 50 %, first quarter to last.",
    ),
    (
        "fail2fix/transition/keep_rate",
        lambda step: metrics(step, fail2fix__transition__broken=28.0 if step <= 25 else 0.0),
        "The share of right attempts that are kept rose from 50 % to 100 %, first quarter to last.",
    ),
]


@pytest.mark.parametrize(("metric", "line", "sentence"), SPEAKS, ids=[sentence[:40] for _, _, sentence in SPEAKS])
def test_a_rule_speaks_and_no_other(tmp_path: Path, metric: str, line: Line, sentence: str) -> None:
    assert told(tmp_path, line) == {metric: sentence}


HIGH_RATIO = partial(metrics, fail2fix__replay__rho=0.8)
ONLY_BASE = {"fail2fix/base/accuracy": 0.5, "fail2fix/base/rollouts": 64.0}
SILENT: list[tuple[str, Line, int, str]] = [
    ("a fixed ratio", HIGH_RATIO, 50, "fail2fix: {ratio: {adaptive: false}}"),
    ("bounds of its own", HIGH_RATIO, 50, "fail2fix: {ratio: {maximum: .9}}"),
    ("one low correlation", lambda step: metrics(step) | {CORRELATION: 0.98 if step == 3 else 1.0}, 50, ""),
    ("no penalty", lambda step: metrics(step, fail2fix__risk__effect=0.0), 50, "fail2fix: {risk: {penalty: 0.0}}"),
    ("few attempts", lambda step: metrics(step, fail2fix__transition__kept=4.0), 1, ""),
    ("no corrections", lambda step: {"step": step} | ONLY_BASE, 50, ""),
    ("a config of other types", metrics, 50, "fail2fix: {ratio: {maximum: much, adaptive: [1]}, risk: high}"),
]


@pytest.mark.parametrize(("line", "steps", "config"), [case[1:] for case in SILENT], ids=[case[0] for case in SILENT])
def test_rules_stay_silent(tmp_path: Path, line: Line, steps: int, config: str) -> None:
    assert told(tmp_path, line, steps, config) == {}


def test_a_low_correlation_in_the_last_step_counts(tmp_path: Path) -> None:
    """No later step can show that it was chance."""
    assert (
        "at step 50"
        in told(tmp_path, lambda step: metrics(step) | {CORRELATION: 0.98 if step == 50 else 1.0})[CORRELATION]
    )


def test_warnings_come_first(tmp_path: Path) -> None:
    bad = {"fail2fix__replay__medium": 0.0, "fail2fix__risk__effect": 0.0}
    lines = (metrics(step, **bad, fail2fix__base__accuracy=step / 50) for step in range(1, 51))
    write_lines(tmp_path / "metrics.jsonl", lines)
    assert [finding.level for finding in findings(read_run(tmp_path))] == [WARNING, NOTE, GOOD]


def test_values_that_are_not_finite_count_as_not_measured(tmp_path: Path) -> None:
    lines = [metrics(step, fail2fix__replay__rho=float("nan")) for step in range(1, 9)]
    lines += [metrics(9, fail2fix__replay__rho=float("inf")), metrics(10, fail2fix__replay__rho=0.5)]
    write_lines(tmp_path / "metrics.jsonl", lines)
    run = read_run(tmp_path)
    assert run.values("fail2fix/replay/rho") == {10: 0.5}
    assert [finding.text for finding in findings(run)] == ["fail2fix/replay/rho was not finite in 9 of 10 steps."]


def test_a_run_before_its_first_step_says_so(tmp_path: Path) -> None:
    write_lines(tmp_path / "metrics.jsonl", [{"step": 0}])
    assert [finding.text for finding in findings(read_run(tmp_path))] == ["There is no training step yet."]
