"""Your own reward manager: a subclass of ours, by verl's keys `reward.reward_manager.{source,name,module.path}`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from verl import DataProto
from verl.trainer.ppo.reward import resolve_reward_manager_cls

from fail2fix.verl_ext.reward_manager import is_risk_averse
from tests.e2e.support.tiny import make_tokenizer

MODULE = '''
from fail2fix.verl_ext.reward_manager import RiskAverseRewardManager


class Counting(RiskAverseRewardManager):
    """Adds the number of words of each response to its row."""

    async def run_single(self, data):
        result = await super().run_single(data)
        words = self.tokenizer.decode(data[-1].batch["responses"]).split()
        result["reward_extra_info"]["words"] = len(words)
        return result
'''


def config(path: Path, name: str) -> DictConfig:
    manager = {"source": "importlib", "name": name, "module": {"path": str(path)}}
    return OmegaConf.create({"reward": {"reward_manager": manager, "custom_reward_function": {"path": None}}})


def test_your_own_subclass_scores_rollouts(tmp_path: Path) -> None:
    module = tmp_path / "counting.py"
    module.write_text(MODULE)
    chosen, tokenizer = config(module, "Counting"), make_tokenizer()
    assert is_risk_averse(chosen), "preflight accepts it"
    manager = resolve_reward_manager_cls(chosen)(chosen, tokenizer, None)

    ids = torch.tensor([tokenizer("It is 12")["input_ids"]])
    columns = {
        "data_source": "openai/gsm8k",
        "reward_model": {"ground_truth": "11"},
        "extra_info": {"fail2fix": {"stream": "correction", "attempt_id": "a", "attempt_correct": True}},
    }
    rows = {name: np.array([value], dtype=object) for name, value in columns.items()}
    data = DataProto.from_dict(tensors={"responses": ids, "attention_mask": torch.ones_like(ids)}, non_tensors=rows)
    result = manager.loop.run_until_complete(manager.run_single(data))
    assert result["reward_score"] == -1.0, "it broke a correct attempt"
    assert result["reward_extra_info"]["words"] == 3


def test_other_managers_and_modules_that_do_not_load_are_not_ours(tmp_path: Path) -> None:
    module = tmp_path / "broken.py"
    module.write_text("class Other: pass\n")
    assert not is_risk_averse(config(module, "Other"))
    assert not is_risk_averse(config(module, "Missing"))
    assert not is_risk_averse(config(tmp_path / "nowhere.py", "Counting"))
