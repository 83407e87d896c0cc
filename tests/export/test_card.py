"""The card and the correction's words: true to the run, machine-readable, without secrets."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from huggingface_hub import ModelCard
from omegaconf import OmegaConf

from fail2fix.export.__main__ import main
from fail2fix.export.run import find_run
from fail2fix.method.prompts import AttemptContext, CorrectionPromptBuilder
from tests.e2e.support.tiny import make_tokenizer

TOKENIZER = make_tokenizer()
HEADER = 'An attempt with a "quote", a {brace}, a |pipe| and ```:'
INSTRUCTION = "It may be right\nor wrong. Check it & answer again."
SUFFIX = "\n\nEnd with a box."
THOUGHT = "<think>\nhm, 41?\n</think>\n\nIt is 42.\n"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if terse is defined %}Short: {% endif %}{% endif %}"
)


def make_run(folder: Path, changes: Mapping[str, object] = {}) -> Path:  # noqa: B006
    """A run's folder as training leaves it, with a prepared set."""
    data = folder / "data" / "mine"
    data.mkdir(parents=True)
    (data / "card.json").write_text(json.dumps({"instruction": SUFFIX}))
    config = OmegaConf.create(
        {
            "actor_rollout_ref": {
                "model": {"path": "/home/someone/models/base", "lora_adapter_path": None},
                "actor": {"optim": {"lr": 1e-6}},
                "rollout": {
                    "n": 8,
                    "temperature": 1.0,
                    "val_kwargs": {"do_sample": True, "temperature": 0.7, "top_p": 1.0},
                },
            },
            "algorithm": {"adv_estimator": "grpo"},
            "data": {
                "train_files": [f"{data}/train.parquet"],
                "train_batch_size": 128,
                "max_response_length": 64,
                "apply_chat_template_kwargs": {"terse": True},
            },
            "trainer": {"total_training_steps": 10, "experiment_name": "e"},
            "fail2fix": {
                "correction": {
                    "enabled": True,
                    "form": "block",
                    "thinking": "strip",
                    "header": HEADER,
                    "instruction": INSTRUCTION,
                    "max_prompt_length": 900,
                }
            },
        }
    )
    for key, value in changes.items():
        OmegaConf.update(config, key, value)
    OmegaConf.save(config, folder / "config.yaml")
    versions = {
        "packages": {"verl": "0.9.1", "numpy": "2"},
        "commit": "abc",
        "command": ["train.py", "--config-name", "cipo"],
    }
    (folder / "versions.json").write_text(json.dumps(versions))
    lines = [
        {"step": step, "val-core/mine/acc/mean@4": step / 10, "fail2fix/ledger/total/rollouts": 1000.0 * step, "lr": 1}
        for step in (1, 2, 3)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "cut sh')
    return folder


@dataclass
class Exporter:
    """Exports one small checkpoint from below a run's folder, or beside it."""

    written: Path
    root: Path

    def __call__(self, changes: Mapping[str, object] = {}) -> Path:  # noqa: B006
        run = make_run(self.root / "run", changes)
        checkpoints = run / "checkpoints"
        checkpoints.mkdir()
        (checkpoints / "global_step_2").symlink_to(self.written / "full-1" / "global_step_2")
        out = self.root / "my-model"
        # The link leads elsewhere, so the run has to be named.
        assert main([str(checkpoints / "global_step_2"), str(out), "--run", str(run)]) == 0
        return out


@pytest.fixture
def exported(written: Path, tmp_path: Path) -> Exporter:
    return Exporter(written, tmp_path)


def test_the_card_says_how_the_model_was_trained(exported: Exporter) -> None:
    text = (exported() / "README.md").read_text()
    card = ModelCard(text)
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-generation"
    assert {"fail2fix", "verl", "self-correction"} <= set(card.data.tags)
    rows = dict(re.findall(r"^\| (.+?) \| `?(.*?)`? \|$", text, re.MULTILINE))
    assert rows["config"] == "cipo"
    assert rows["base model"] == "base"
    assert rows["data"] == "mine/train.parquet"
    assert rows["step"] == "2 of 10"
    assert rows["rollouts so far"] == "2,000"
    assert rows["versions"] == "verl 0.9.1"
    assert rows["commit of Fail2Fix"] == "abc"
    assert rows["`val-core/mine/acc/mean@4`"] == "0.2"
    assert "/home/someone" not in text
    assert "base_model" not in card.data.to_dict(), "a folder of this machine is no model of the hub"


def test_damaged_metrics_are_said_and_leave_the_card_without_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", {})
    (run / "metrics.jsonl").write_text('{"step": 1\n{"step": 2}\n')
    found = find_run(tmp_path, run)
    assert found is not None
    assert found.metrics == {}
    assert "metrics.jsonl, line 1: not JSON" in capsys.readouterr().err


def test_a_base_model_of_the_hub_is_named_in_the_head(exported: Exporter) -> None:
    out = exported({"actor_rollout_ref.model.path": "org/some-model"})
    assert ModelCard((out / "README.md").read_text()).data.base_model == "org/some-model"


def test_a_checkpoint_below_its_run_needs_no_option(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    saved = checkpoint("full-1")
    run = make_run(tmp_path / "run")
    (run / "checkpoints").mkdir()
    saved.rename(run / "checkpoints" / "global_step_2")
    for number, inside in enumerate(("", "actor")):
        out = tmp_path / f"out{number}"
        assert main([str(run / "checkpoints" / "global_step_2" / inside), str(out)]) == 0
        assert "| step | `2 of 10` |" in (out / "README.md").read_text()


def test_another_folder_is_no_run(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir()
    arguments = [str(written / "full-1" / "global_step_2"), str(tmp_path / "out"), "--run", str(tmp_path / "other")]
    assert main(arguments) == 2
    assert "no config.yaml in it" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------ the correction's words


@dataclass
class Engine:
    """Stands for vLLM: renders what it is asked with the model's own template, and answers from a list."""

    folder: str
    asked: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def chat(self, messages: list[dict[str, str]], sampling: Any, chat_template_kwargs: dict[str, Any]) -> Any:
        self.asked.append(
            TOKENIZER.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, chat_template=TEMPLATE, **chat_template_kwargs
            )
        )
        output = ModuleType("output")
        output.outputs = [ModuleType("one")]  # type: ignore[attr-defined]
        output.outputs[0].text = self.answers.pop(0)  # type: ignore[attr-defined]
        return [output]


def run_snippet(out: Path, answers: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the card's own code asks the engine, prompt by prompt."""
    (code,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    engines: list[Engine] = []
    vllm = ModuleType("vllm")
    vllm.LLM = lambda folder: engines.append(Engine(folder, answers=list(answers))) or engines[0]  # type: ignore[attr-defined]
    vllm.SamplingParams = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.chdir(out.parent)
    exec(compile(code, "card", "exec"), {})
    return engines[0].asked


@pytest.mark.parametrize("attempt", ["17 + 25 = 43", "x\n<tag> `43`\n", THOUGHT])
@pytest.mark.parametrize("thinking", ["strip", "keep"])
@pytest.mark.parametrize("form", ["block", "turn"])
def test_the_cards_code_asks_what_training_asks(
    form: str, thinking: str, attempt: str, exported: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = exported({"fail2fix.correction.form": form, "fail2fix.correction.thinking": thinking})
    solving, correcting = run_snippet(out, [attempt, "42"], monkeypatch)

    tokenizer = make_tokenizer()
    tokenizer.chat_template = TEMPLATE
    builder = CorrectionPromptBuilder(
        tokenizer,
        form=form,  # type: ignore[arg-type]
        thinking=thinking,  # type: ignore[arg-type]
        max_tokens=900,
        header=HEADER,
        instruction=INSTRUCTION,
        chat_template_kwargs={"terse": True},
    )
    messages = [{"role": "user", "content": "What is 17 + 25?" + SUFFIX}]
    base = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, terse=True)
    assert solving == base
    # In the form `turn` an attempt keeps its place behind the base prompt, whose last line the options may change.
    response = tokenizer.encode(attempt, add_special_tokens=False)
    (wanted,) = builder.build([AttemptContext(messages, tokenizer.encode(base), [*response, tokenizer.eos_token_id])])
    assert wanted is not None
    said = tokenizer.decode(wanted.ids)
    if form == "turn" and wanted.form == "turn":
        said = said.replace("assistant\nShort: " + attempt, "assistant\n" + attempt)
    assert correcting == said


def test_the_words_stand_in_a_file_and_in_the_card(exported: Exporter) -> None:
    out = exported()
    asked = json.loads((out / "correction_prompt.json").read_text())
    assert asked["before_attempt"] == f"\n\n{HEADER}\n\n<attempt>\n"
    assert asked["after_attempt"] == f"\n</attempt>\n\n{INSTRUCTION}"
    assert {key: asked[key] for key in ("form", "header", "instruction", "thinking", "problem_suffix")} == {
        "form": "block",
        "header": HEADER,
        "instruction": INSTRUCTION,
        "thinking": "strip",
        "problem_suffix": SUFFIX,
    }
    assert asked["chat_template_kwargs"] == {"terse": True}
    card = (out / "README.md").read_text()
    for line in (HEADER, *INSTRUCTION.splitlines()):
        assert f"\n    {line}\n" in card


def test_a_run_without_corrections_shows_how_to_solve(exported: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    out = exported({"fail2fix.correction.enabled": False})
    assert not (out / "correction_prompt.json").exists()
    assert "correct its own" not in (out / "README.md").read_text()
    (asked,) = run_snippet(out, ["42"], monkeypatch)
    assert "What is 17 + 25?" in asked


# ------------------------------------------------------------------------------------------------------ secrets

TOKEN = "hf_" + "abcdefgh12345678ABCDEFGH"


@pytest.mark.parametrize(
    "key",
    [
        "actor_rollout_ref.model.path",
        "algorithm.adv_estimator",
        "trainer.total_training_steps",
        "actor_rollout_ref.actor.optim.lr",
    ],
)
def test_no_secret_of_a_config_stands_in_the_card(key: str, exported: Exporter) -> None:
    out = exported({key: f"https://me:{TOKEN}@host/x"})
    assert not [path for path in out.iterdir() if TOKEN.encode() in path.read_bytes()]


def test_no_secret_of_the_environment_either(exported: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "canary-b1d7e04b")
    out = exported({"data.train_files": ["/x/canary-b1d7e04b/train.parquet"]})
    assert not [path for path in out.iterdir() if b"canary" in path.read_bytes()]


@pytest.mark.parametrize("key", ["data.apply_chat_template_kwargs.note", "fail2fix.correction.header"])
def test_a_secret_in_the_prompt_itself_is_refused(
    key: str, exported: Exporter, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it the prompt would not be training's."""
    with pytest.raises(AssertionError):
        exported({key: TOKEN})
    said = capsys.readouterr().err
    assert f"{key}: is a Hugging Face token" in said
    assert TOKEN not in said
    assert not (exported.root / "my-model").exists()
