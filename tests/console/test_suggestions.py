"""A key or config that is not there: the refusal names what may have been meant, and stays one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fail2fix.console.suggestions import explained
from fail2fix.run.shipped_configs import config_dir
from fail2fix.train import CONFIG, register_configs


def refusal(message: str, *words: str) -> str:
    register_configs()
    return explained(message, words, Path(config_dir()), CONFIG)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("actor_rollout_ref.actor.clip_ratio_hgih", "actor_rollout_ref.actor.clip_ratio_high"),
        ("fail2fix.corection.weight", "fail2fix.correction.weight"),
        ("fail2fix.replay.band_lo", "fail2fix.replay.band_low"),
        ("target_retention", "fail2fix.ratio.target_retention"),
        ("trainer.total_train_steps", "trainer.total_training_steps"),
    ],
)
def test_the_nearest_key_is_named(given: str, meant: str) -> None:
    line = refusal(f"Could not override '{given}'. Key is not in struct")
    assert f"; did you mean {meant}?" in line
    assert ("needs a plus" in line) != given.startswith("fail2fix.")


def test_the_keys_are_those_of_the_config_that_was_named() -> None:
    line = "Could not override 'fail2fix.replay.sourc'. Key is not in struct"
    for words in (["--config-name", "grpo"], ["--config-name=grpo"], ["-cn", "grpo"], []):
        assert "did you mean fail2fix.replay.source?" in refusal(line, *words)


def test_nothing_is_guessed_where_nothing_is_near() -> None:
    assert "did you mean" not in refusal("Could not override 'zzz.qqq'. Key 'zzz' is not in struct")


def test_a_config_from_a_folder_of_the_users_own_leaves_the_message_as_a_line() -> None:
    line = refusal(
        "Could not override 'target_retention'. Key is not in struct", "--config-dir", "mine", "--config-name", "own"
    )
    assert line.startswith(
        "Could not override 'target_retention'. Key is not in struct; a key that no config lists needs a plus"
    )


def test_the_configs_are_listed_instead_of_where_hydra_searched() -> None:
    found = "Cannot find primary config 'cipo_laged'. Check that it's in your config search path."
    line = refusal(f"{found} Config search path: provider=hydra, path=pkg://hydra.conf")
    assert line.startswith("Cannot find primary config 'cipo_laged'; there are base, cipo, ")
    assert "cipo_lagged" in line
    assert "search path" not in line


def test_other_messages_stay_as_they_are() -> None:
    assert refusal("patience=3: want a share") == "patience=3: want a share"
