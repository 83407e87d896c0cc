"""A model's folder with an adapter that is not merged is read as the untrained base model, so it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from fail2fix.data.files import unmerged_adapter
from fail2fix.evaluate.__main__ import find_model
from fail2fix.export.__main__ import main as export
from fail2fix.method.errors import InputError
from fail2fix.preflight.model_folder import check_model

FILE = "model.safetensors"
PEFT = "base_model.model."
PLAIN = "model.layers.0.self_attn.q_proj"


def touch(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("{}")


def index(folder: Path, name: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {name: "model-1.safetensors"}}))


def save(folder: Path, file: str, *names: str) -> None:
    tensors = {name: torch.zeros(2, 2) for name in names}
    if file.endswith(".bin"):
        torch.save(tensors, folder / file)
    else:
        save_file(tensors, folder / file)


UNMERGED: dict[str, Callable[[Path], None]] = {
    "verl's model_merger": lambda folder: touch(folder, "lora_adapter/adapter_config.json"),
    "an adapter of PEFT's": lambda folder: touch(folder, "adapter_config.json"),
    "its weights alone": lambda folder: save(folder, "adapter_model.safetensors", f"{PEFT}{PLAIN}.lora_A.weight"),
    "an old adapter": lambda folder: touch(folder, "adapter_model.bin"),
    "verl's hf_model": lambda folder: save(
        folder, FILE, f"{PEFT}{PLAIN}.base_layer.weight", f"{PEFT}{PLAIN}.lora_A.default.weight"
    ),
    "an adapter of embeddings": lambda folder: save(folder, FILE, f"{PEFT}model.embed.lora_embedding_B.default"),
    "many files": lambda folder: index(folder, f"{PEFT}{PLAIN}.lora_B.default.weight"),
    "a .bin file": lambda folder: save(folder, "pytorch_model.bin", f"{PLAIN}.lora_A.default.weight"),
}
MERGED: dict[str, Callable[[Path], object]] = {
    "a plain model": lambda folder: save(folder, FILE, f"{PLAIN}.weight"),
    "a plain .bin file": lambda folder: save(folder, "pytorch_model.bin", f"{PLAIN}.weight"),
    "a model that is built with adapters": lambda folder: save(
        folder, FILE, f"{PLAIN}.base_layer.weight", f"{PLAIN}.lora_A.vision.weight"
    ),
    "a damaged file": lambda folder: (folder / FILE).write_bytes(b"cut short"),
    "many plain files": lambda folder: index(folder, f"{PLAIN}.weight"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path


@pytest.mark.parametrize("kind", UNMERGED)
def test_evaluation_and_training_refuse_it_in_one_line(kind: str, folder: Path) -> None:
    UNMERGED[kind](folder)
    with pytest.raises(InputError, match="a LoRA adapter that is not merged") as evaluating:
        find_model(str(folder))
    model = {"path": str(folder), "trust_remote_code": False}
    with pytest.raises(InputError, match="a LoRA adapter that is not merged") as training:
        check_model(OmegaConf.create({"actor_rollout_ref": {"model": model}}))
    assert str(evaluating.value).startswith(f"--model {folder}: ")
    assert str(training.value).startswith(f"actor_rollout_ref.model.path={folder}: ")
    assert "scripts/export.sh" in str(evaluating.value)
    assert "\n" not in str(evaluating.value)


@pytest.mark.parametrize("kind", MERGED)
def test_other_folders_are_none_of_it(kind: str, folder: Path) -> None:
    MERGED[kind](folder)
    assert unmerged_adapter(folder) == ""
    assert find_model(str(folder))[0] == str(folder)


def test_an_export_is_merged(written: Path, tmp_path: Path) -> None:
    assert export([str(written / "lora-2" / "global_step_2"), str(tmp_path / "out")]) == 0
    assert unmerged_adapter(tmp_path / "out") == ""
    assert find_model(str(tmp_path / "out"))[0] == str(tmp_path / "out")
