"""The GPU check's parts without a device: figures from metrics rows, remedies, limits, reports, overrides."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gpu import checks, figures, learning, main_training, prefixes, settings
from gpu.bench import Bench, variables
from gpu.clock import Clock
from gpu.place import Place
from gpu.processes import Processes, end, has_own_tmp, own_tmp, wait
from gpu.remedies import REMEDIES, Remedies, merged
from gpu.report import Report, table
from gpu.settings import TURNS
from hydra import compose, initialize_config_dir

from fail2fix.run.shipped_configs import config_dir
from fail2fix.train import register_configs
from tests.e2e.support.turns import round_of, turn_of

ROOT = Path(__file__).parents[2]


class Now:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def a_report(folder: Path, **figures: Any) -> Report:
    return Report(
        "main", folder / "main.json", Clock(60.0), {"commit": "abc", "machine": {}, "versions": {}}, **figures
    )


def a_bench(folder: Path, cpu: bool = True) -> Bench:
    place = Place(folder / "out", folder / "work")
    place.make()
    return Bench(
        place, cpu, Clock(600.0), {"commit": "abc"}, Processes(place, variables(cpu, place)),
        Remedies(place.work / "remedies.json"),
    )  # fmt: skip


def a_step(number: int, seconds: float, **more: float) -> figures.Row:
    return {"step": number, "timing_s/step": seconds, "timing_s/gen": seconds / 2, figures.PEARSON: 0.999,
            "actor/pg_loss": 0.1, "actor/grad_norm": 1.0, "fail2fix/correction/rollouts": 4} | more  # fmt: skip


def steps_of(rounds: int) -> list[figures.Row]:
    """Plain 10 s, online 12, lagged 8; the first round is a hundred times as slow, the last one twice."""
    seconds = {"plain": 10.0, "online": 12.0, "lagged": 8.0}
    slow = {0: 100.0, rounds - 1: 2.0}
    numbers = range(1, len(TURNS) * rounds + 1)
    return [a_step(n, seconds[turn_of(n, TURNS)] * slow.get(round_of(n, TURNS), 1.0)) for n in numbers]


def test_ratios_are_of_the_counted_rounds_alone() -> None:
    found = main_training.summary(steps_of(4), [False, False, False, True])
    assert found["rounds"] == 2
    assert found["step_to_plain"] == {"plain": 1.0, "online": 1.2, "lagged": 0.8}
    assert found["turns"]["online"]["seconds"]["step"] == 12.0
    assert found["turns"]["online"]["share_of_step"]["gen"] == 0.5
    assert found["counted_rounds_seeded"] is False


def test_the_last_round_tells_what_seeds_cost() -> None:
    found = main_training.summary(steps_of(4), [False, False, False, True])
    assert found["generation_with_other_seeding_to_counted"] == {"plain": 2.0, "online": 2.0, "lagged": 2.0}


@pytest.mark.parametrize("cpu", [True, False])
def test_counted_rounds_are_seeded_as_auto_does_and_the_last_one_is_not(tmp_path: Path, cpu: bool) -> None:
    flags = main_training.seeded(a_bench(tmp_path, cpu))
    assert set(flags[:-1]) == {cpu}
    assert flags[-1] is not cpu


@pytest.mark.parametrize("steps", range(10))
def test_an_unfinished_training_has_figures_of_its_whole_rounds(steps: int) -> None:
    found = main_training.summary(steps_of(4)[:steps], [True, True, True, False])
    assert found.get("rounds", 0) == max(0, steps // len(TURNS) - 1)
    assert len(found["all_steps"]) == steps


def test_a_step_out_of_sync_fails_the_main_item(tmp_path: Path) -> None:
    bench, steps = a_bench(tmp_path), steps_of(settings.ON_CPU.rounds)
    good, bad, silent = (a_report(tmp_path) for _ in range(3))
    main_training.judge(bench, good, steps)
    assert good.failures == []
    main_training.judge(bench, bad, [*steps[:-1], steps[-1] | {figures.PEARSON: 0.7}])
    assert any("0.7" in failure for failure in bad.failures)
    without = [{key: value for key, value in step.items() if key != figures.PEARSON} for step in steps]
    main_training.judge(bench, silent, without)
    assert any("nan" in failure for failure in silent.failures), "a missing correlation is not a pass"


@pytest.mark.parametrize(
    ("change", "says"),
    [({"actor/pg_loss": math.nan}, "finite"), ({"actor/grad_norm": 0.0}, "moved"),
     ({"fail2fix/correction/rollouts": 0}, "no corrections")],
)  # fmt: skip
def test_what_a_training_must_show(tmp_path: Path, change: dict[str, float], says: str) -> None:
    report = a_report(tmp_path)
    main_training.judge(a_bench(tmp_path), report, [step | change for step in steps_of(settings.ON_CPU.rounds)])
    assert any(says in failure for failure in report.failures)


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "timi')
    assert figures.rows(tmp_path) == [{"step": 1}]
    assert figures.rows(tmp_path / "none") == []


def test_a_failed_probe_chooses_the_remedy_and_else_each_has_its_turn(tmp_path: Path) -> None:
    remedies = Remedies(tmp_path / "remedies.json")
    probe = {"machine": True, "ipc": False, "sleep": True}
    assert remedies.asked_for(probe) == ["ipc"]
    remedies.take(remedies.next(probe))
    tried = list(remedies.taken)
    while found := remedies.next(probe):
        remedies.take(found)
        tried += found
    assert tried[0] == "ipc"
    assert sorted(tried) == sorted(REMEDIES), "each once"
    assert Remedies(tmp_path / "remedies.json").taken == tried, "a second call knows them"


def test_an_item_has_its_own_limit_and_never_more_than_is_left() -> None:
    now = Now()
    whole = Clock(100.0, now)
    now.s += 70
    assert whole.part(20.0).left == 20.0
    assert whole.part(50.0).left == 30.0
    part = whole.part(20.0)
    now.s += 25
    assert part.left == -5.0
    assert whole.left == 5.0


@pytest.mark.parametrize("left", [285.0, 150.0, 20.0])
def test_learning_leaves_resume_its_share(tmp_path: Path, left: float) -> None:
    bench = a_bench(tmp_path, cpu=False)
    bench.clock = Clock(left, Now())
    assert learning.limit_s(bench) == min(left, bench.sizes.learning_s), "nothing follows"
    bench.wanted = ("learning", "resume")
    assert left - learning.limit_s(bench) >= min(bench.sizes.engine_s, left / 2)
    assert learning.limit_s(bench) >= left / 2


def test_a_start_that_hangs_leaves_time_for_another_try_while_one_is_possible(tmp_path: Path) -> None:
    bench = a_bench(tmp_path, cpu=False)
    bench.clock = Clock(300.0, Now())
    assert main_training.start_limit_s(bench) == 150
    bench.clock = Clock(150.0, Now())
    assert main_training.start_limit_s(bench) == 150, "half is too little for an engine"
    bench.clock = Clock(3600.0, Now())
    assert main_training.start_limit_s(bench) == bench.sizes.start_s
    bench.remedies.take(list(REMEDIES))
    bench.clock = Clock(205.0, Now())
    assert main_training.start_limit_s(bench) == 205, "no remedy is left"


def test_children_join_no_other_cluster_and_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("FAIL2FIX_RUN_NAME", "another")
    processes = Processes(a_bench(tmp_path).place, {"OWN": "given"})
    assert processes.run("env", ["env"], 10.0) == 0
    names = {line.split("=")[0] for line in processes.tail("env", 1000)}
    assert {"OWN", "PATH"} <= names
    assert not names & {"RAY_ADDRESS", "FAIL2FIX_RUN_NAME"}
    processes.end_all()


def test_a_check_without_figures_reports_the_end_of_its_log(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    report = bench.report("lambda_zero", 60.0)
    bench.processes.log("lambda_zero").write_text("began\nout of memory\n")
    checks.read(bench, report, None)
    left = json.loads((bench.place.out / "lambda_zero.json").read_text())
    assert left["verdict"] == "failed"
    assert left["figures"]["error"] == ["began", "out of memory"]


SIGNALS = """
import os, signal, sys
sys.path[:0] = ["scripts", "."]
from gpu.check import on_end
if sys.argv[1] == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
on_end(lambda number, _: sys.exit(128 + number))
try:
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
finally:
    print("finished")
"""


@pytest.mark.parametrize(
    ("start", "name", "status"), [("plain", "SIGTERM", 143), ("plain", "SIGHUP", 129), ("nohup", "SIGHUP", 0)]
)
def test_a_signal_ends_a_check_in_order(start: str, name: str, status: int) -> None:
    command = [sys.executable, "-c", SIGNALS, start, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "finished\n"), done.stderr


def test_a_report_is_there_from_its_start_and_says_that_it_has_not_ended(tmp_path: Path) -> None:
    bench = a_bench(tmp_path)
    report = bench.report("main", 60.0)
    path = bench.place.out / "main.json"
    assert json.loads(path.read_text())["verdict"] == "interrupted"
    report.require(False, "a failure")
    report.end()
    assert json.loads(path.read_text())["verdict"] == "failed"
    assert not list(bench.place.out.glob("*.new"))


def test_the_table_has_verdicts_figures_failures_and_what_was_given_up(tmp_path: Path) -> None:
    passed, failed = a_report(tmp_path, shown={"least correlation": 0.999}), a_report(tmp_path)
    failed.failures.append("2 steps of 9")
    passed.given_up.append("CUDA graphs")
    passed.end()
    failed.end()
    lines = table([passed, failed]).splitlines()
    assert "passed" in lines[0]
    assert "least correlation 0.999" in lines[0]
    assert lines[1].strip() == "given up: CUDA graphs"
    assert lines[3].strip() == "failure: 2 steps of 9"


def test_nothing_that_a_process_started_outlives_its_limit(tmp_path: Path) -> None:
    processes = Processes(a_bench(tmp_path).place, {})
    process = processes.start("sleeps", ["bash", "-c", "setsid sleep 60 & echo started; wait"])
    while processes.tail("sleeps") != ["started"]:
        assert wait(process, 0.05) is None
    family = process.children(recursive=True)
    end(process)
    assert family
    assert not any(child.is_running() and child.status() != "zombie" for child in family)
    processes.end_all()


def test_a_process_with_its_own_tmp_sees_this_checks_folders_and_no_one_elses_files(tmp_path: Path) -> None:
    place = a_bench(tmp_path).place
    if not has_own_tmp(place):
        pytest.skip("mount namespaces are not allowed here")
    marker = tmp_path / "other"
    marker.touch()
    script = f"test -d {place.logs} && test -d {ROOT}/fail2fix && ! test -e {marker} && touch /tmp/mine"
    subprocess.run([*own_tmp(place, "one"), "bash", "-c", script], check=True)
    assert (place.work / "tmp" / "one" / "mine").exists()


def test_a_probe_or_gradient_that_fails_is_named(tmp_path: Path) -> None:
    probe, gradient = a_report(tmp_path), a_report(tmp_path)
    checks.probe(probe, {"ipc": {"passed": False, "found": "Traceback\nOSError: no IPC"}})
    assert "OSError: no IPC" in probe.failures[0]
    checks.lambda_zero(gradient, {})
    assert gradient.failures


@pytest.mark.parametrize("cpu", [True, False])
@pytest.mark.parametrize("taken", [[], list(REMEDIES)])
def test_the_trainings_compose_under_every_remedy(tmp_path: Path, cpu: bool, taken: list[str]) -> None:
    bench = a_bench(tmp_path, cpu)
    bench.remedies.take(taken)
    register_configs()
    with initialize_config_dir(config_dir(), version_base="1.3"):
        main = compose("cipo", main_training.overrides(bench, "main1"))
        learned = {name: compose(name, learning.arguments(bench, name, 0, 2)[4:]) for name in settings.CONFIGS}
    assert len(main.timing.seeded) * len(main.timing.turns) == main.trainer.total_training_steps
    assert main.actor_rollout_ref.actor.optim.lr > 0
    cipo, grpo = learned.values()
    counted = [config.data.train_batch_size * config.actor_rollout_ref.rollout.n for config in (cipo, grpo)]
    corrections = cipo.fail2fix.correction
    assert counted[1] == counted[0] + corrections.attempts * corrections.rollouts, "equal rollouts"
    for config in learned.values():
        assert cpu or not config.actor_rollout_ref.rollout.free_cache_engine, "several runs on one GPU"


def test_an_override_is_given_once_and_the_last_one_holds() -> None:
    assert merged(["a=1", "+b.c=2", "a=3", "++b.c=4"]) == ["a=3", "++b.c=4"]


def test_a_machine_without_gpu_is_told_what_to_do(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    command = [sys.executable, "scripts/gpu/check.py", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--cpu" in done.stderr
    assert not list(tmp_path.iterdir())


def test_sizes_of_both_devices_have_a_warm_up_and_a_counted_round() -> None:
    for sizes in (settings.ON_GPU, settings.ON_CPU):
        assert sizes.rounds >= 3
        assert replace(sizes, tested=sizes.steps).steps % sizes.tested == 0, "the last step is validated"


def test_a_training_that_is_watched_reports_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_training, "LOOK_S", 0.05)
    bench = a_bench(tmp_path)
    report, folder = bench.report("main", 60.0), bench.place.run("main1")
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps_of(3)[:7]))
    process = bench.processes.start("main1", ["sleep", "1"])
    main_training.watch(bench, report, process, folder)
    left = json.loads((bench.place.out / "main.json").read_text())
    assert left["verdict"] == "interrupted"
    assert len(left["figures"]["all_steps"]) == 7
    bench.processes.end_all()


def test_engines_that_compute_something_else_fail_the_item_of_shared_starts(tmp_path: Path) -> None:
    equal = {"log_probs_apart": 1e-4, "update_s": {"ratios": [1.9, 2.0, 2.1]},
             "gradient_norms": {"verl": [1.0, 2.0], "ours": [1.0, 2.001]}}  # fmt: skip
    report = a_report(tmp_path)
    prefixes.judge(report, "sdpa a", equal)
    assert not report.failures
    assert report.shown == {"sdpa a update": 2.0}
    prefixes.judge(report, "sdpa b", equal | {"log_probs_apart": 0.4})
    prefixes.judge(report, "sdpa c", equal | {"gradient_norms": {"verl": [1.0, 2.0], "ours": [1.0, 1.0]}})
    assert [failure.split(":")[0] for failure in report.failures] == ["sdpa b", "sdpa c"]
