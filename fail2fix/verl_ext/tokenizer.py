"""What the run's tokenizer and chat template decide: correction prompts, and where a response ends."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf
from transformers import GenerationConfig

from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.method.templates import prompt_template
from fail2fix.run.settings import fail2fix_settings


def correction_prompt_builder(config: DictConfig, tokenizer: Any) -> CorrectionPromptBuilder:
    """The builder of this run: its form, its budget, the model's chat template with the run's template options."""
    correction = fail2fix_settings(config).correction
    template = prompt_template(correction)
    return CorrectionPromptBuilder(
        tokenizer,
        form=correction.form.value,
        thinking=correction.thinking.value,
        thinking_marks=correction.thinking_marks,
        max_tokens=correction.max_prompt_length,
        header=template.header,
        instruction=template.instruction,
        chat_template_kwargs=OmegaConf.to_container(
            config.data.get("apply_chat_template_kwargs") or OmegaConf.create({})
        ),
    )


def end_of_turn_ids(tokenizer: Any, model_path: str) -> set[int]:
    """The tokens that end a response: the tokenizer's and the model's generation config's."""
    ids = {tokenizer.eos_token_id}
    try:
        given = GenerationConfig.from_pretrained(model_path).eos_token_id
    except (OSError, ValueError):  # no generation config, or a path that only verl can fetch
        given = None
    return ids | set(given if isinstance(given, list) else [given] if given is not None else [])
