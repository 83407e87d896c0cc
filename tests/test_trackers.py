"""Trackers of a resumed run go on with the run that they know."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

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
