"""An exported model computes what the trained one computes; its files are whole, or there is no folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from fail2fix.data.files import model_files, sha256
from fail2fix.export.__main__ import main
from tests.export.write_checkpoints import CASES, logits, make_base
from tests.tiers import heavy_where

NAMES = [f"{case.name}-{ranks}" for case in CASES for ranks in (1, 2) if ranks % case.replicas == 0]
TOLERANCE = 1e-3  # of fp32 logits about 10; the sums are in another order
BF16_ROUNDING = 0.05  # of a mean logit; what bf16 does to the unmerged forward too


def load(folder: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder, dtype="auto")


def furthest(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("name", heavy_where(NAMES, [name for name in NAMES if name.endswith("-1")]))
def test_logits_are_the_trained_models(name: str, written: Path, tmp_path: Path) -> None:
    checkpoint = written / name / "global_step_2"
    before = sha256(sorted((checkpoint / "actor").glob("*.pt")))
    assert main([str(checkpoint), str(tmp_path / "out")]) == 0
    model = load(tmp_path / "out")
    trained, base = (torch.load(checkpoint / file) for file in ("logits.pt", "base.pt"))
    exported = logits(model)
    bf16 = "bf16" in name
    assert model.dtype == (torch.bfloat16 if bf16 else torch.float32)
    if bf16:
        assert (exported - trained).abs().mean() <= BF16_ROUNDING * trained.abs().mean()
    else:
        assert furthest(exported, trained) <= TOLERANCE
    assert furthest(exported, base) > 0.5
    assert sha256(sorted((checkpoint / "actor").glob("*.pt"))) == before, "the checkpoint itself is not touched"


@pytest.mark.parametrize("name", ["full-tied-2", "lora-tied-2"])
def test_tied_embeddings_stay_tied(name: str, written: Path, tmp_path: Path) -> None:
    assert main([str(written / name / "global_step_2"), str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is True
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")


def test_an_adapter_on_one_of_two_tied_embeddings_unties_them(written: Path, tmp_path: Path) -> None:
    assert main([str(written / "lora-head-2" / "global_step_2"), str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is False


@pytest.mark.parametrize("name", ["lora-2", "lora-head-1"])
def test_an_adapter_saved_alone_is_merged_into_its_base_model(
    name: str, written: Path, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """verl's save_lora_only; the run's config names the base model."""
    saved = checkpoint(name)
    for path in (saved / "actor").glob("*.pt"):
        state = torch.load(path, weights_only=False)
        torch.save({key: value for key, value in state.items() if ".lora_" in key}, path)
    base = tmp_path / "base"
    case = next(case for case in CASES if case.name == name.rpartition("-")[0])
    make_base(case).save_pretrained(base)
    run = make_run(tmp_path / "run", path=str(base))
    assert main([str(saved), str(tmp_path / "out"), "--run", str(run)]) == 0
    assert furthest(logits(load(tmp_path / "out")), torch.load(saved / "logits.pt")) <= TOLERANCE


def make_run(folder: Path, **model: object) -> Path:
    folder.mkdir()
    config = {"actor_rollout_ref": {"model": model}}
    (folder / "config.yaml").write_text(json.dumps(config))
    (folder / "versions.json").write_text("{}")
    return folder


def test_tensors_that_are_not_sharded_are_taken_from_one_rank(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """As FSDP leaves buffers, and everything on one rank without sharding."""
    saved = checkpoint("lora-2")
    shards = [torch.load(path, weights_only=False) for path in sorted((saved / "actor").glob("*.pt"))]
    whole = {name: torch.cat([shard[name].to_local() for shard in shards]) for name in shards[0]}
    for path in (saved / "actor").glob("*.pt"):
        torch.save(whole, path)
    assert main([str(saved), str(tmp_path / "out")]) == 0
    assert furthest(logits(load(tmp_path / "out")), torch.load(saved / "logits.pt")) <= TOLERANCE


def test_another_number_format_is_written_on_request(written: Path, tmp_path: Path) -> None:
    checkpoint = written / "lora-2" / "global_step_2"
    assert main([str(checkpoint), str(tmp_path / "out"), "--dtype", "bfloat16"]) == 0
    assert {tensor.dtype for tensor in load_file(tmp_path / "out" / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


def test_tokenizer_template_and_generation_config_are_the_checkpoints(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """As verl saved them, a template of the run's own too; the weights that verl may have saved beside them are not."""
    saved = checkpoint("lora-1")
    beside = saved / "actor" / "huggingface"
    tokenizer = AutoTokenizer.from_pretrained(beside)
    tokenizer.chat_template = "{{ messages[0].content }} own"
    tokenizer.save_pretrained(beside)
    # Not a config that transformers would save: it has a temperature and does not sample.
    given = {"temperature": 0.6, "do_sample": False, "eos_token_id": [2, 1]}
    (beside / "generation_config.json").write_text(json.dumps(given))
    (beside / "model-00001-of-00001.safetensors").write_bytes(b"base weights")
    assert main([str(saved), str(tmp_path / "out")]) == 0
    out = tmp_path / "out"
    assert AutoTokenizer.from_pretrained(out).chat_template == tokenizer.chat_template
    assert json.loads((out / "generation_config.json").read_text()) == given
    assert [path.name for path in model_files(out) if path.suffix == ".safetensors"] == ["model.safetensors"]


# ------------------------------------------------------------------------------------------------ bad input


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rename_tensor(path: Path, old: str, new: str) -> None:
    state = torch.load(path, weights_only=False)
    torch.save({name.replace(old, new): value for name, value in state.items()}, path)


class Dangerous:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Path.touch, (Path("/tmp/never-touched"),)  # type: ignore[return-value]


def plant(path: Path) -> None:
    torch.save({"weight": torch.zeros(1), "code": Dangerous()}, path)


FILE = "model_world_size_2_rank_1.pt"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a rank is missing": (lambda actor: (actor / FILE).unlink(), f"{FILE} is missing (1 of 2 ranks are)"),
    "a file is cut short": (lambda actor: cut(actor / FILE), f"{FILE}: cannot be read"),
    "a file is empty": (lambda actor: (actor / FILE).write_bytes(b""), f"{FILE}: cannot be read"),
    "a file holds code": (lambda actor: plant(actor / FILE), f"{FILE}: holds more than weights"),
    "ranks of two checkpoints": (
        lambda actor: rename_tensor(actor / FILE, "q_proj", "other"),
        "ranks 0 and 1 hold different tensors",
    ),
    "no model": (lambda actor: [path.unlink() for path in actor.glob("*.pt")], "no model_world_size_*_rank_*.pt in it"),
    "no config": (lambda actor: (actor / "huggingface" / "config.json").unlink(), "no huggingface/config.json in it"),
    "a damaged config": (lambda actor: cut(actor / "huggingface" / "config.json"), "its config.json cannot be used"),
    "a damaged fsdp_config": (lambda actor: cut(actor / "fsdp_config.json"), "does not name a world_size"),
    "no alpha": (lambda actor: (actor / "lora_train_meta.json").unlink(), "without lora_train_meta.json"),
    "a damaged alpha": (lambda actor: cut(actor / "lora_train_meta.json"), "lora_train_meta.json is damaged"),
    "an unfinished checkpoint": (lambda actor: (actor.parent / "fail2fix_unfinished").touch(), "never completed"),
    "more than LoRA": (
        lambda actor: [
            rename_tensor(path, "lora_A.default.weight", "lora_magnitude_vector.default.weight")
            for path in actor.glob("*.pt")
        ],
        "LoRA adapter",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_checkpoints_end_in_one_line_and_leave_nothing(
    kind: str, checkpoint: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = checkpoint("lora-2")
    damage, said = BAD[kind]
    damage(saved / "actor")
    folder = tmp_path / "exports"
    assert main([str(saved), str(folder / "out")]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("export: error: ")
    assert said in line
    assert "ready" not in printed.out
    assert not folder.exists() or not list(folder.iterdir())


def test_tensors_without_a_place_are_not_dropped(
    checkpoint: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = checkpoint("full-1")
    rename_tensor(saved / "actor" / "model_world_size_1_rank_0.pt", "layers.0.self_attn.q_proj", "layers.0.q")
    assert main([str(saved), str(tmp_path / "out")]) == 2
    assert "lacks model.layers.0.self_attn.q_proj.weight" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_adapter_that_training_started_from_must_be_there(
    checkpoint: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its scale is not in the checkpoint: rsLoRA's is alpha over the root of the rank."""
    saved = checkpoint("lora-1")
    adapter = tmp_path / "adapter"
    run = make_run(tmp_path / "run", path="m", lora_adapter_path=str(adapter))
    arguments = [str(saved), str(tmp_path / "out"), "--run", str(run)]
    assert main(arguments) == 2
    assert "its adapter_config.json is gone" in capsys.readouterr().err
    settings = LoraConfig(r=3, lora_alpha=12, use_rslora=True, target_modules="all-linear", task_type="CAUSAL_LM")
    settings.save_pretrained(adapter)
    assert main(arguments) == 0
    assert furthest(logits(load(tmp_path / "out")), torch.load(saved / "logits.pt")) > 0.1, "alpha / r was used"


@pytest.mark.parametrize("exists", ["a file in it", "is a file", "is a link"])
def test_nothing_is_overwritten(exists: str, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    if exists == "a file in it":
        out.mkdir()
        (out / "mine").touch()
    elif exists == "is a file":
        out.touch()
    else:
        out.symlink_to(tmp_path / "elsewhere")
    assert main([str(written / "full-1" / "global_step_2"), str(out)]) == 2
    assert "exists and is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("inside", ["", "actor"])
def test_the_step_folder_or_the_actor_folder_into_an_empty_folder(inside: str, written: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert main([str(written / "full-1" / "global_step_2" / inside), str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out")


def test_a_disk_that_is_full_at_the_end_leaves_no_folder(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fail2fix.export.__main__.write_whole", full)
    assert main([str(written / "full-1" / "global_step_2"), str(tmp_path / "out")]) == 74
    assert "could not be written: [Errno 28] No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_moved_checkpoint_is_exported_without_its_run(
    checkpoint: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = checkpoint("lora-2")
    assert main([str(saved), str(tmp_path / "out")]) == 0
    assert "--run FOLDER" in capsys.readouterr().out
    card = (tmp_path / "out" / "README.md").read_text()
    assert "How it was trained is not known" in card
    assert not (tmp_path / "out" / "correction_prompt.json").exists()
