"""Old names of config keys, configs, modules and metrics: refused with the new name, or read under it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from fail2fix import train
from fail2fix.method.errors import InputError
from fail2fix.report.reading import read_metrics
from fail2fix.run.renamed import refuse_renamed_modules, renamed_in


def test_metrics_of_an_older_run_are_read_under_their_new_names(tmp_path: Path) -> None:
    row = {"step": 1, "fail2fix/conservation/base/trained": 8.0, "fail2fix/replay/rho": 0.3}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    expected = {"step": 1, "fail2fix/accounting/base/trained": 8.0, "fail2fix/replay/rho": 0.3}
    assert read_metrics(tmp_path) == [expected]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            "Could not override 'fail2fix.schedule'.",
            "fail2fix.schedule: is now fail2fix.replay.source; remove ",
        ),
        ("full_key: fail2fix.streaming.patience", "fail2fix.streaming: no longer exists; remove its keys"),
        ("Cannot find primary config 'cipo_streaming'", "cipo_streaming: is now cipo_lagged; "),
        ("pkg://fail2fix.tasks.chain", "pkg://fail2fix.tasks: is now pkg://fail2fix.data.tasks; "),
        ("No module named 'fail2fix.verl_ext.streams'", "fail2fix.verl_ext.streams: is now fail2fix.verl_ext.stream; "),
        ("Could not override 'fail2fix.schedules'.", ""),
        ("Could not override 'mine.fail2fix.schedule'.", ""),
        ("pkg://fail2fix.data.tasks.chain", ""),
    ],
)
def test_an_old_name_is_found_as_a_whole_name(message: str, line: str) -> None:
    assert renamed_in(message).startswith(line)
    assert bool(renamed_in(message)) == bool(line)


def test_an_old_key_in_a_users_config_is_refused_in_one_line_with_the_new_one() -> None:
    """Hydra's own message names neither the section nor a way out."""
    hydras = "In 'mine': ConfigKeyError raised while composing config:\nKey 'schedule' not in 'Fail2FixConfig'"
    line = train.message_of(ConfigCompositionException(f"{hydras}\n    full_key: fail2fix.schedule"))
    assert line.startswith("fail2fix.schedule: is now fail2fix.replay.source; ")
    assert "mine" not in line


def test_a_module_path_of_before_is_refused_by_its_key() -> None:
    config = OmegaConf.create({"reward": {"custom_reward_function": {"path": "pkg://fail2fix.tasks.chain"}}, "a": [1]})
    with pytest.raises(InputError) as refused:
        refuse_renamed_modules(config)
    assert str(refused.value).startswith("reward.custom_reward_function.path=pkg://fail2fix.tasks.chain: ")
    assert "pkg://fail2fix.data.tasks" in str(refused.value)
    refuse_renamed_modules(
        OmegaConf.create({"trainer": {"experiment_name": "cipo_streaming"}, "b": ["pkg://mine.tasks"]})
    )


def test_a_config_of_before_is_refused_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "--dry-run", "--config-name", "cipo_streaming"])
    monkeypatch.setattr(train.environment, "set_defaults", lambda: None)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("fail2fix: error: cipo_streaming: is now cipo_lagged; ")
