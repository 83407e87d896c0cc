"""What a terminal shows of a training, from the files of its folder."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from fail2fix.report.console_table import clock
from fail2fix.report.live import OUTPUT, LiveReport, header, step_line, validated
from fail2fix.report.live import shown as live_view
from tests.forked import run_code

STEP = {
    "fail2fix/base/accuracy": 0.25,
    "fail2fix/transition/fix_rate": 0.5,
    "fail2fix/transition/keep_rate": 0.875,
    "fail2fix/replay/rho": 0.6,
    "timing_s/step": 43.72,
    "timing_s/gen": 9.1,
    "timing_s/update_actor": 26.8,
    "perf/total_num_tokens": 5797,
    "perf/throughput": 66.3,  # of one of two devices
}
VALIDATION = {"val-core/fail2fix/arithmetic/acc/mean@4": 0.242, "fail2fix/held_out/fix_rate": 0.3}
CONFIG: dict[str, Any] = {
    "fail2fix": {"seed": 0, "correction": {"enabled": True, "attempts": 6, "rollouts": 6}},
    "data": {"train_files": ["train.parquet"], "train_batch_size": 6},
    "actor_rollout_ref": {"model": {"path": "a/model"}, "rollout": {"n": 6}},
    "trainer": {"total_training_steps": 10, "test_freq": 4, "logger": []},
}


class Shown:
    """A report on a folder, and the lines that it has printed."""

    def __init__(self, folder: Path) -> None:
        self.file, self.out, self.err = folder / "metrics.jsonl", io.StringIO(), io.StringIO()
        consoles = [Console(file=file, width=500) for file in (self.out, self.err)]
        self.report = LiveReport(OmegaConf.create(CONFIG), folder, *consoles)

    def write(self, *rows: dict[str, Any]) -> None:
        self.file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def look(self, steps: int = 0) -> list[str]:
        """The lines that a look adds."""
        before = len(self.out.getvalue())
        self.report.look("step 1, phase gen", steps)
        return self.out.getvalue()[before:].splitlines()


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


def test_a_step_is_one_line_with_its_shares_seconds_and_remaining_time() -> None:
    line = step_line({"step": 3} | STEP, steps=10, left_s=306.0).plain
    for part in (
        "step  3/10", "solved 25.0 %", "fixed 50.0 %", "kept 87.5 %", "broken 12.5 %", "ρ 0.60",
        "43.7 s (gen 9.1, update 26.8)", "133 tokens/s", "5:06 left",
    ):  # fmt: skip
        assert part in line
    assert "\n" not in line


def test_what_a_step_did_not_measure_is_a_dash(shown: Shown) -> None:
    """GRPO has no corrections; a step may have no right attempt."""
    line = step_line({"step": 1, "timing_s/step": 1.0}, steps=0, left_s=None).plain
    assert line.count("- %") == 4
    assert not re.search(r"nan|None", line)


def test_every_step_is_shown_once_and_a_half_written_line_waits(shown: Shown) -> None:
    first, second = {"step": 1} | STEP, {"step": 2} | STEP
    shown.write(first)
    assert len(shown.look()) == 1
    shown.file.write_text(json.dumps(first) + "\n" + json.dumps(second)[:40])
    assert shown.look() == []
    shown.write(first, second)
    assert [line.split("  solved")[0] for line in shown.look()] == ["step  2/10"]
    assert shown.look() == []


def test_the_remaining_time_includes_validations(shown: Shown) -> None:
    """After step 4 six steps of 10 s are left, and the validations after steps 8 and 10, of 100 s each."""
    shown.write(*({"step": step} | STEP | {"timing_s/step": 10.0} for step in (1, 2, 3)))
    assert shown.look()[0].endswith("1:30 left")
    with shown.file.open("a") as file:
        file.write(json.dumps({"step": 4} | STEP | {"timing_s/step": 10.0, "timing_s/testing": 100.0}) + "\n")
    assert shown.look()[0].endswith("4:20 left")


def test_a_run_that_ends_earlier_than_configured_says_so(shown: Shown) -> None:
    """The trainer knows the end: an epoch or the budget may come before `trainer.total_training_steps`."""
    first, second = ({"step": step} | STEP | {"timing_s/step": 10.0} for step in (1, 2))
    shown.write(first)
    (line,) = shown.look(steps=3)
    assert line.startswith("step 1/3  ")
    assert line.endswith("0:20 left")
    shown.write(first, second)
    assert shown.look()[0].startswith("step 2/3  ")


@pytest.mark.parametrize("section", [{"fail2fix": {"budget": {"rollouts": 99}}}, {"trainer": {"total_epochs": 2}}])
def test_a_header_promises_no_step_that_may_not_come(tmp_path: Path, section: dict[str, Any]) -> None:
    config = OmegaConf.merge(CONFIG, section)
    assert any("at most 10 steps" in line for line in header(config, tmp_path))  # type: ignore[arg-type]


def test_a_look_reads_only_what_is_new(shown: Shown) -> None:
    """A long run's file is large, and a look comes twice a second."""
    shown.write({"step": 1} | STEP)
    shown.look()
    text = shown.file.read_text()
    shown.file.write_text("x" * (len(text) - 1) + "\n" + json.dumps({"step": 2} | STEP) + "\n")
    assert [line.split("  solved")[0] for line in shown.look()] == ["step  2/10"]


def test_a_damaged_line_ends_no_run(shown: Shown) -> None:
    """A resumption starts with the lines of a killed run; the trainer sets damaged ones aside later."""
    shown.file.write_bytes(b'{"step": 1, "a": \n\xff\n')
    assert Shown(shown.file.parent).look() == []
    shown.write({"step": 1} | STEP)
    assert len(shown.look()) == 1


def test_a_resumed_run_shows_only_what_it_trains(tmp_path: Path) -> None:
    """Lines of the steps before are there already; a step that is trained again is shown again."""
    before = Shown(tmp_path)
    before.write(*({"step": step} | STEP for step in (1, 2, 3)))
    resumed = Shown(tmp_path)
    assert resumed.look() == []
    resumed.write(*({"step": step} | STEP for step in (1, 2)))  # the trainer has set step 3 aside
    resumed.look()
    resumed.write(*({"step": step} | STEP for step in (1, 2, 3)))
    assert [line.split("  solved")[0] for line in resumed.look()] == ["step  3/10"]


def test_a_validation_names_the_change_since_the_last_one(shown: Shown) -> None:
    better = {name: value + 0.1 for name, value in VALIDATION.items()}
    shown.write({"step": 0} | VALIDATION)
    assert shown.look() == ["validation after step 0:  fail2fix/arithmetic 24.2 %  fix 30.0 %"]
    shown.write({"step": 0} | VALIDATION, {"step": 5} | STEP | better)
    assert shown.look()[1] == "validation after step 5:  fail2fix/arithmetic 34.2 % ▲ +10.0  fix 40.0 % ▲ +10.0"


def test_names_of_data_sources_stay_text() -> None:
    hostile = "a[red]\x1b[2J/b"
    (name,) = validated({f"val-core/{hostile}/acc/mean@1": 0.5})
    assert name == hostile


def test_the_header_says_what_trains_and_where_its_files_go(shown: Shown) -> None:
    with shown.report:
        pass
    lines = shown.out.getvalue().splitlines()
    assert len(lines) == 4
    for part in ("a/model", "train.parquet", "6 problems x 6 rollouts + 6 attempts x 6 corrections, 10 steps"):
        assert part in shown.out.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (306, "5:06"), (3725, "1:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


PROCESS = """
import os, subprocess, sys
from pathlib import Path
from omegaconf import OmegaConf
from fail2fix.report.live import shown

config = OmegaConf.create({config!r})
config.trainer.logger = {logger!r}
print("before")
with shown(config, Path({folder!r})) as screen:
    print("library")
    print("warning", file=sys.stderr)
    subprocess.run(["echo", "child"], check=True)
    if screen:
        screen.say("fail2fix: error: a message")
print("after")
"""


def run_shown(folder: Path, logger: list[str]) -> tuple[list[str], list[str]]:
    code = PROCESS.format(config=CONFIG, folder=str(folder), logger=logger)
    done = run_code(code, preload=["fail2fix.report.live"])
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_other_output_goes_to_a_file_also_that_of_children(tmp_path: Path) -> None:
    out, err = run_shown(tmp_path, [])
    assert out[0] == "before"
    assert out[-1] == "after"
    assert len(out) == 6
    assert err == ["fail2fix: error: a message"]
    assert sorted((tmp_path / OUTPUT).read_text().split()) == ["child", "library", "warning"]


def test_verl_s_console_logger_keeps_its_output(tmp_path: Path) -> None:
    out, err = run_shown(tmp_path, ["console"])
    assert set(out) == {"before", "library", "child", "after"}
    assert err == ["warning"]
    assert not (tmp_path / OUTPUT).exists()


LEFT = """
import json, os, sys
from pathlib import Path
from omegaconf import OmegaConf
from fail2fix.report.live import shown
from tests.report.test_live import STEP

config, folder = OmegaConf.create({config!r}), Path({folder!r})
reader, writer = os.pipe()
os.dup2(writer, {stream})
os.close(writer)
with shown(config, folder) as screen:
    os.close(reader)
    for step in (1, 2):
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(dict(STEP, step=step)) + chr(10))
        screen.look("", 0)
        screen.say("a message")
    print("library")
"""


@pytest.mark.parametrize("stream", [1, 2])
def test_a_run_goes_on_where_its_reader_leaves(tmp_path: Path, stream: int) -> None:
    """As in `... | head`; the file still gets all output."""
    done = run_code(LEFT.format(config=CONFIG, folder=str(tmp_path), stream=stream), preload=["fail2fix.report.live"])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / OUTPUT).read_text() == "library\n"
    assert ("step  2/10" in done.stdout) == (stream == 2)
    assert done.stderr.count("a message") == (2 if stream == 1 else 0)


@pytest.mark.parametrize("stdout", [io.StringIO(), None])
def test_without_a_descriptor_there_is_only_the_process_s_own_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stdout: io.StringIO | None
) -> None:
    """A notebook's stdout has none; a closed one is None."""
    monkeypatch.setattr("sys.stdout", stdout)
    with live_view(OmegaConf.create(CONFIG), tmp_path) as screen:
        assert screen is None
    assert not (tmp_path / OUTPUT).exists()
