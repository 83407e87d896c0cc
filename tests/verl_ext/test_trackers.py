"""Trackers of a resumed run go on with the run that they know."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from verl.utils.tracking import Tracking

from fail2fix.verl_ext import trackers
from fail2fix.verl_ext.trackers import FILE, open_trackers


def config(*loggers: str) -> DictConfig:
    return OmegaConf.create({"trainer": {"logger": list(loggers), "project_name": "p", "experiment_name": "e"}})


def test_a_file_keeps_the_steps_that_have_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", str(path))
    first = open_trackers(config("file"), tmp_path, set())
    for step in range(4):
        first.log({"loss": step}, step)
    first.finish()
    with path.open("a") as file:
        file.write('{"step": 4, "da')  # torn by a kill
    resumed = open_trackers(config("file"), tmp_path, {0, 1, 2})
    resumed.log({"loss": 30}, 3)
    resumed.finish()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["step"], row["data"]["loss"]) for row in rows] == [(0, 0), (1, 1), (2, 2), (3, 30)]


class Busy:
    """A backend whose service refuses the first calls."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error = failures, error
        self.logged: list[int] = []
        self.calls = 0

    def log(self, data: dict[str, float], step: int) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        self.logged.append(step)

    def finish(self) -> None:
        pass


def test_a_tracker_that_is_away_gets_every_step_and_the_others_get_it_once(tmp_path: Path) -> None:
    tracking = open_trackers(config("console"), tmp_path, set())
    well, away = Busy(0, ConnectionError()), Busy(3, ConnectionError())
    tracking.logger = {"well": well, "away": away, "last": (last := Busy(0, ConnectionError()))}
    tracking.log({"loss": 1.0}, 1)
    tracking.log({"loss": 1.0}, 2)
    assert well.logged == away.logged == last.logged == [1, 2]


def test_a_tracker_that_stays_away_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    given = config("console")
    given.fail2fix = {"verifier": {"retry_s": 1.0}}
    tracking = open_trackers(given, tmp_path, set())
    tracking.logger = {"away": (away := Busy(10**9, ConnectionError("gone")))}
    with pytest.raises(ConnectionError, match="gone"):
        tracking.log({"loss": 1.0}, 1)
    assert away.calls > 1


def test_trackers_that_cannot_be_opened_at_once_are_opened_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def slow_start(self: object, **_: object) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise TimeoutError("wandb does not answer")
        self.logger = {}  # type: ignore[attr-defined]

    monkeypatch.setattr(Tracking, "__init__", slow_start)
    open_trackers(config("console"), tmp_path, set())
    assert len(calls) == 3


def test_a_run_keeps_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tracker:
        def __init__(self, **_: object) -> None:
            self.logger: dict[str, object] = {}

    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    monkeypatch.setattr(trackers, "PersistentTracking", Tracker)
    ids = []
    for _ in range(2):
        monkeypatch.setattr(os, "environ", dict(clean))
        open_trackers(config("wandb"), tmp_path, set())
        ids.append(os.environ["WANDB_RUN_ID"])
        assert os.environ["WANDB_RESUME"] == "allow"
    assert len(set(ids)) == 1
    assert json.loads((tmp_path / FILE).read_text()) == {"WANDB_RUN_ID": ids[0]}
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    open_trackers(config("wandb"), tmp_path / "other", set())
    assert os.environ["WANDB_RUN_ID"] == "mine"
