"""The command line with a training that takes a moment: resuming, refusing, reporting."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fail2fix.compare.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
TRAIN = (sys.executable, str(Path(__file__).with_name("run_folder.py")))
CONFIGS = ("grpo", "cipo")

Call = Callable[..., int]


@pytest.fixture
def picture() -> None:
    """Draw the picture of a comparison, which takes a second."""


@pytest.fixture(autouse=True)
def pictures_are_drawn_where_they_differ(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "picture" not in request.fixturenames:
        monkeypatch.setattr("fail2fix.compare.picture.draw_picture", lambda comparison, path: path.touch())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def call(out: Path) -> Call:
    """Call the comparison of two configs over two seeds, with more arguments."""

    def call(*arguments: object, seeds: int = 2) -> int:
        return main([*CONFIGS, "--seeds", str(seeds), "--out", str(out), *map(str, arguments)], TRAIN)

    return call


@pytest.fixture
def error(call: Call, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The last line of an unsuccessful call, which says all there is to say."""

    def error(status: int, *arguments: object) -> str:
        capsys.readouterr()
        assert call(*arguments) == status
        return capsys.readouterr().err.splitlines()[-1]

    return error


def logs(out: Path) -> dict[str, int]:
    """{run: how often it was started}."""
    return {path.stem: path.read_text().count("training ") for path in (out / "logs").glob("*.log")}


@pytest.mark.usefixtures("picture")
def test_a_comparison_leaves_records_numbers_and_a_picture(
    call: Call, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--rollouts", 400) == 0
    names = {f"{config}-seed{seed}" for config in CONFIGS for seed in range(2)}
    assert {path.stem for path in (out / "runs").iterdir()} == names
    numbers = json.loads((out / "comparison.json").read_text())
    assert numbers["reference"] == "grpo"
    assert numbers["rollouts"] == dict.fromkeys(names, 400)
    assert (numbers["problems"], numbers["attempts"], numbers["warnings"]) == (12, 6, [])
    grpo, cipo = numbers["configs"]
    value = cipo["last"]["accuracy"]["over_problems_and_seeds"]["value"]
    assert value == pytest.approx(cipo["pass_at_k"]["1"]["over_seeds"]["value"])
    assert list(cipo["pass_at_k"]) == ["1", "2", "4"]
    assert cipo["seeds"][1]["x"] == {"rollouts": [0, 200, 400], "tokens": [0, 3000, 6000]}
    assert cipo["bands"]["accuracy"]["tokens"]["mean"][-1] == pytest.approx(value)
    after = {name: each and each["over_seeds"]["value"] for name, each in cipo["last"].items()}
    assert after["keep_rate"] == pytest.approx(1 - after["break_rate"])
    assert after["own_keep_rate"] == pytest.approx(1 - after["own_break_rate"])
    assert cipo["bands"]["revised"]["tokens"]["mean"][-1] == pytest.approx(after["revised"])
    assert cipo["cost"]["step_seconds"] == pytest.approx(7)  # 28 seconds in four steps
    (difference,) = numbers["differences"]
    assert set(difference["last"]) == set(after)
    assert (difference["config"], difference["reference"]) == ("cipo", "grpo")
    reference_value = grpo["last"]["accuracy"]["over_problems_and_seeds"]["value"]
    assert difference["last"]["accuracy"]["over_seeds"]["value"] == pytest.approx(value - reference_value)
    revised, majority = (
        config["last"][name]["over_seeds"]["value"] for config, name in ((cipo, "revised"), (grpo, "majority"))
    )
    assert difference["over_majority"]["over_seeds"]["value"] == pytest.approx(revised - majority)
    assert numbers["runs"]["cipo-seed1"]["fingerprint"]["rollouts"] == 400
    picture = (out / "comparison.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000
    words = " ".join(capsys.readouterr().out.split())
    for expected in (
        "12 held-out problems",
        "cipo - grpo",
        "each seed",
        "after a revision",
        "wrong answers repeated",
        "wrong attempts copied",
        "own answers: keep rate",
        "seconds a step",
        "fix rate",
        "break rate",
        "pass@4",
    ):
        assert expected in words


def test_the_same_call_again_trains_nothing_and_says_the_same(call: Call, out: Path) -> None:
    assert call() == 0
    first = (out / "comparison.json").read_bytes()
    assert call() == 0
    assert (out / "comparison.json").read_bytes() == first
    assert set(logs(out).values()) == {1}


def test_more_seeds_keep_the_ones_there_are(call: Call, out: Path) -> None:
    assert call(seeds=1) == 0
    assert call(seeds=2) == 0
    assert logs(out) == {"grpo-seed0": 1, "cipo-seed0": 1, "grpo-seed1": 1, "cipo-seed1": 1}


def test_records_alone_are_enough_on_another_machine(call: Call, out: Path) -> None:
    assert call() == 0
    for path in (out / "training", out / "logs"):
        path.rename(path.with_name(f"{path.name}-elsewhere"))
    assert call() == 0
    assert not (out / "logs").exists()


def test_another_setting_is_refused_and_named(call: Call, error: Callable[..., str], out: Path) -> None:
    assert call("--rollouts", 400, "a=1") == 0
    record = out / "runs" / "grpo-seed0.json"
    assert error(2, "--rollouts", 500, "a=1") == (
        f"compare: error: {record}: of another run (rollouts: 400, not 500): use another --out"
    )
    assert "(overrides: a=1, not a=2)" in error(2, "--rollouts", 400, "a=2")


def test_a_run_cut_short_goes_on_from_its_checkpoint(call: Call, error: Callable[..., str], out: Path) -> None:
    line = error(1, "+fake.cut_short=checkpoint")
    assert line.startswith("compare: error: grpo-seed0: training ended with status 1: out of memory (log: ")
    folder = out / "training" / "grpo" / "grpo-seed0"
    assert "(overrides: +fake.cut_short=checkpoint, not no override)" in error(2)
    assert (folder / "checkpoints" / "latest_checkpointed_iteration.txt").exists()
    assert error(1, "+fake.cut_short=checkpoint").startswith("compare: error: cipo-seed0")
    assert (out / "runs" / "grpo-seed0.json").exists()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["grpo-seed0", "grpo-seed0.fingerprint.json"]


def test_a_tracker_that_names_no_checkpoint_is_none(call: Call, error: Callable[..., str], out: Path) -> None:
    """verl writes its tracker in place: a run may end in between."""
    error(1, "+fake.cut_short=checkpoint")
    (out / "training" / "grpo" / "grpo-seed0" / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("")
    assert error(1, "+fake.cut_short=checkpoint").startswith("compare: error: cipo-seed0")
    assert (out / "training" / "grpo" / "grpo-seed0.unfinished-1").is_dir()


def test_a_training_that_ended_after_its_comparison_was_killed_is_recorded_not_repeated(call: Call, out: Path) -> None:
    assert call() == 0
    (out / "runs" / "cipo-seed0.json").unlink()
    before = logs(out)
    assert call() == 0
    assert logs(out) == before
    assert (out / "runs" / "cipo-seed0.json").exists()


def test_settings_edited_between_two_calls_are_refused_after_one_run(
    call: Call, error: Callable[..., str], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(seeds=1) == 0
    monkeypatch.setenv("FAKE_LR", "2")
    assert "grpo-seed1 and grpo-seed0: the settings of grpo were changed between them (trainer)" in error(2)
    assert not (out / "runs" / "cipo-seed1.json").exists()


def test_a_run_that_left_no_checkpoint_is_set_aside_not_removed(error: Callable[..., str], out: Path) -> None:
    error(1, "+fake.cut_short=nothing")
    error(1, "+fake.cut_short=nothing")
    names = sorted(path.name for path in (out / "training" / "grpo").iterdir())
    assert names == ["grpo-seed0", "grpo-seed0.fingerprint.json", "grpo-seed0.unfinished-1"]
    assert (out / "runs" / "grpo-seed0.json").exists()


def test_a_wrong_override_does_not_bind_the_next_call(call: Call, error: Callable[..., str]) -> None:
    error(1, "+fake.sleep=no-number")
    assert call() == 0


def test_two_calls_do_not_share_a_folder(error: Callable[..., str], out: Path) -> None:
    out.mkdir()
    with (out / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another comparison, or a training run it left behind, is running in it" in error(2)


def start_and_wait_for_training(out: Path) -> subprocess.Popen[str]:
    """A call in a process of its own, whose first run has begun and will not end by itself."""
    arguments = [*CONFIGS, "--seeds", "1", "--out", str(out), "+fake.sleep=600"]
    code = f"import sys; from fail2fix.compare.__main__ import main; sys.exit(main({arguments!r}, {TRAIN!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    log = out / "logs" / "grpo-seed0.log"
    while process.poll() is None and not (log.exists() and "training" in log.read_text()):
        time.sleep(0.05)
    return process


def training_of(process: subprocess.Popen[str]) -> int:
    """The process id of a call's training."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0])


def test_an_interrupted_call_ends_its_training(out: Path) -> None:
    process = start_and_wait_for_training(out)
    training = training_of(process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "compare: interrupted; the same call resumes here"
    assert not Path(f"/proc/{training}").exists()


def test_a_training_that_outlives_its_call_is_not_joined_by_another(error: Callable[..., str], out: Path) -> None:
    process = start_and_wait_for_training(out)
    training = training_of(process)
    process.kill()
    process.communicate(timeout=60)
    try:
        assert "a training run it left behind, is running in it" in error(2)
    finally:
        os.killpg(training, signal.SIGKILL)


def test_unequal_rollouts_are_refused_unless_allowed(call: Call, error: Callable[..., str], out: Path) -> None:
    line = error(2, "+fake.cipo.rollouts=102")
    assert "not equal: grpo-seed0 spent 400 rollouts and cipo-seed0 408, 2 % more" in line
    assert not (out / "comparison.json").exists()
    assert call("+fake.cipo.rollouts=102", "--unequal") == 0
    (warning,) = json.loads((out / "comparison.json").read_text())["warnings"]
    assert warning.startswith("not at equal cost: grpo-seed0 spent 400")


def test_one_percent_is_equal(call: Call) -> None:
    assert call("+fake.cipo.rollouts=101") == 0


@pytest.mark.usefixtures("picture")
def test_one_seed_says_what_it_cannot_say(call: Call, out: Path) -> None:
    assert call(seeds=1) == 0
    (warning,) = json.loads((out / "comparison.json").read_text())["warnings"]
    assert warning.startswith("one seed: the intervals are over problems only")


def edit(path: Path, *path_in_record: str, value: object) -> None:
    record = json.loads(path.read_text())
    part = record
    for name in path_in_record[:-1]:
        part = part[name]
    part[path_in_record[-1]] = value
    path.write_text(json.dumps(record))


def test_other_problems_or_attempts_cannot_be_compared(call: Call, error: Callable[..., str], out: Path) -> None:
    assert call() == 0
    record = out / "runs" / "cipo-seed1.json"
    whole = record.read_text()
    (_, counted), *others = json.loads(whole)["last"]["problems"].items()
    edit(record, "last", "problems", value={"another": counted} | dict(others))
    assert "cipo-seed1 and grpo-seed0: 2 problems were validated in one of them only" in error(2, "--only-report")
    record.write_text(whole)
    edit(record, "last", "attempts", "attempt_id", value=[f"b{number}" for number in range(6)])
    assert "cipo-seed1 and grpo-seed0: 12 held-out attempts were corrected in one" in error(2, "--only-report")


def test_other_batches_and_starts_of_their_own_are_said(call: Call, out: Path) -> None:
    assert call() == 0
    for config in ("grpo", "cipo"):
        edit(out / "runs" / f"{config}-seed1.json", "origin", "inputs", "model", value="another")
    record = out / "runs" / "cipo-seed0.json"
    points = json.loads(record.read_text())["points"]
    points[-1]["ledger"]["optimizer_steps"] *= 3
    edit(record, "points", value=points)
    assert call("--only-report") == 0
    batches, starts = json.loads((out / "comparison.json").read_text())["warnings"]
    assert batches.startswith("the same rollouts, not the same optimizer steps (grpo ")
    assert starts.startswith("the seeds did not all start from one model (")
    assert starts.endswith("another: seed 1): compare configs within a seed")


def test_runs_of_different_machines_are_said_to_be(call: Call, out: Path) -> None:
    assert call() == 0
    edit(out / "runs" / "cipo-seed1.json", "versions", "packages", "torch", value="2.0")
    edit(out / "runs" / "cipo-seed1.json", "versions", "platform", value="another")
    assert call("--only-report") == 0
    (warning,) = json.loads((out / "comparison.json").read_text())["warnings"]
    assert warning == "the runs differ in platform, torch: neither their code nor their seconds may compare"


@pytest.mark.usefixtures("picture")
def test_without_held_out_corrections_the_rest_is_compared(call: Call, out: Path) -> None:
    assert call() == 0
    for path in (out / "runs").iterdir():
        record = json.loads(path.read_text())
        record["first"]["attempts"] = record["last"]["attempts"] = None
        for point in record["points"]:
            point["fix_rate"] = point["break_rate"] = None
        path.write_text(json.dumps(record))
    assert call("--only-report") == 0
    numbers = json.loads((out / "comparison.json").read_text())
    assert numbers["attempts"] == 0
    assert numbers["differences"][0]["last"]["fix_rate"] is None
    assert numbers["configs"][0]["last"]["accuracy"] is not None


def test_a_dry_run_prints_what_remains(call: Call, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all("--config-name" in line for line in lines)
    assert not out.exists()
    assert call(seeds=1) == 0
    capsys.readouterr()
    assert call("--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"# grpo-seed0: kept, {out}/runs/grpo-seed0.json"
    assert "fail2fix.run.name=cipo-seed1" in lines[3]


def test_only_report_runs_nothing(error: Callable[..., str], out: Path) -> None:
    line = error(2, "--only-report")
    assert line.endswith("grpo-seed0.json: no such record, and --only-report runs nothing (4 missing)")
    assert not (out / "logs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grpo", "cipo"], "the following arguments are required: --seeds"),
        (["grpo", "cipo", "--seeds", "many"], "argument --seeds: invalid int value: 'many'"),
        (["grpo", "cipo", "--seeds", "1", "--sleep"], "unrecognized arguments: --sleep"),
        (["grpo", "setup=x", "--seeds", "1"], "1 config given: a comparison takes two or more"),
        (["grpo", "--seeds", "1", "cipo", "fail2fix.seed=3"], "fail2fix.seed=3: the comparison sets this key; use"),
    ],
)
def test_errors_of_the_command_line_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sys.exit(main(arguments))
    printed, said = capsys.readouterr()
    assert said.startswith(f"compare: error: {message}")
    assert said.count("\n") == 1
    assert printed == ""


def test_help_explains_itself() -> None:
    command = [sys.executable, "-m", "fail2fix.compare", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("--seeds", "--rollouts", "--out", "--unequal", "1 %"))


def test_comparing_loads_no_engine() -> None:
    code = (
        "import sys, fail2fix.compare.__main__, fail2fix.compare.picture; "
        "print(*{name.partition('.')[0] for name in sys.modules} & {'torch', 'verl', 'ray', 'vllm', 'transformers'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
