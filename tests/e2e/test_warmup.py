"""The warm-up through verl's own SFT trainer, on the tiny model."""

import json
from pathlib import Path

import pytest

from fail2fix.data.tasks import chain
from fail2fix.warmup import STAMP
from tests.e2e.conftest import Bench

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_model_learns_worked_solutions_once(bench: Bench) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    data, out = bench.root / "chain", bench.root / "warm"
    chain.main([str(data), "--train", "16", "--held-out", "4"])
    arguments = ["-m", "fail2fix.warmup", "--model", str(bench.model), "--data", str(data), "--out", str(out)]
    arguments += ["--steps", "6", "--batch-size", "4", "--lr", "1e-3"]
    assert "warmed up" in bench.python(arguments, out).ok().output

    told = json.loads((out / STAMP).read_text())
    assert (told["inputs"]["seed"], told["inputs"]["steps"], told["result"]["distinct_prompts"]) == (0, 6, 16)
    assert told["result"]["last_loss"] < told["result"]["first_loss"]
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".warm")]

    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (bench.model, out))
    assert (after.chat_template, after.eos_token_id) == (before.chat_template, before.eos_token_id)
    assert GenerationConfig.from_pretrained(out).eos_token_id == before.eos_token_id
    weights = [AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (bench.model, out)]
    assert weights[0].keys() == weights[1].keys()
    assert any((weights[0][name].float() - weights[1][name].float()).abs().max() > 0 for name in weights[0])

    stamp = (out / STAMP).stat().st_mtime_ns
    assert "was there already" in bench.python(arguments, out).ok().output
    assert (out / STAMP).stat().st_mtime_ns == stamp


def test_a_failed_trainer_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    data, broken = tmp_path / "chain", tmp_path / "broken"
    chain.main([str(data), "--train", "4", "--held-out", "4"])
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    arguments = ["-m", "fail2fix.warmup", "--model", str(broken), "--data", str(data), "--out", str(tmp_path / "warm")]
    run = bench.python(arguments, tmp_path)
    assert run.returncode == 1
    assert "verl's SFT trainer ended with status" in run.output.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "chain"]
