"""The run's tokenizer and chat template: do they say what the data says?

What loses words is refused: no template, a template that raises on a row or leaves out the problem or a system
message that rows have, a token beyond the model's vocabulary. What only costs tokens or attempts is noted: a template
that begins every answer with thinking, or leaves to an option that is not set whether the model thinks. Both work,
since attempts are replayed without their thinking (``fail2fix.correction.thinking``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fail2fix.core.config import BadInput
from fail2fix.core.templates import ChatTemplate
from fail2fix.verl_ext.preflight.sizes_fit import asks_for_corrections
from fail2fix.verl_ext.preflight.wording import first_line
from fail2fix.verl_ext.settings import fail2fix_settings
from fail2fix.verl_ext.tokenizer import correction_prompt_builder

TEMPLATE = "actor_rollout_ref.model.custom_chat_template"
PROBE = [{"role": "user", "content": "1+1?"}]
READ_BY_THE_MODEL = ("system", "user")


class Chat:
    """How the run's problems reach the engine.

    Raises:
        BadInput: the tokenizer or its template cannot serve; the key, and what to do.
    """

    def __init__(self, config: DictConfig, model_config: Any) -> None:
        self.tokenizer = _tokenizer(config)
        self._model = f"actor_rollout_ref.model.path={config.actor_rollout_ref.model.path}"
        options = config.data.get("apply_chat_template_kwargs") or OmegaConf.create({})
        self._options: dict[str, Any] = dict(OmegaConf.to_container(options, resolve=True))
        self._check_tokens(model_config)
        if not self.tokenizer.chat_template:
            raise BadInput(f"{self._model}: its tokenizer has no chat template; set {TEMPLATE}")
        self._template = ChatTemplate(self.tokenizer, self._options)
        if problem := self.problem(PROBE):
            raise BadInput(f"{self._model}: its chat template does not serve: {problem}; set {TEMPLATE}")

    def _check_tokens(self, model_config: Any) -> None:
        if self.tokenizer.eos_token_id is None:
            raise BadInput(f"{self._model}: its tokenizer has no eos_token, so no answer would end; name it there")
        last, known = max(self.tokenizer.get_vocab().values()), getattr(model_config, "vocab_size", None)
        if isinstance(known, int) and last >= known:
            raise BadInput(
                f"{self._model}: its tokenizer has token {last}, and the model's vocab_size is {known}; they are not "
                "of one model: set actor_rollout_ref.model.tokenizer_path, or enlarge the model's embeddings"
            )

    def problem(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """What the template loses of a row; "" if nothing."""
        try:
            text = self._template.render(messages)
        except ValueError as error:
            return first_line(error)
        for message in messages:
            # Templates trim contents, which loses nothing.
            if message["role"] in READ_BY_THE_MODEL and message["content"].strip() not in text:
                return f"the chat template leaves out the {message['role']} message"
        return ""

    def lengths(self, batch: Sequence[Sequence[Mapping[str, Any]]]) -> list[int]:
        """Tokens of each prompt, as verl counts them to leave out the long ones."""
        texts = [self._template.render(messages) for messages in batch]
        return [len(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []

    def notes(self) -> list[str]:
        """What the template does with thinking that a run should know; empty for templates without it."""
        plain = self._template.render(PROBE)
        if plain.rfind("<think>") > plain.rfind("</think>"):
            return [
                f"{self._model}: its chat template begins every answer with <think>: attempts are replayed without "
                "their thinking, and those cut off inside it not at all; give data.max_response_length room for it"
            ]
        if "enable_thinking" not in self._options and self._render_without_thinking() != plain:
            return [
                f"{self._model}: its chat template lets the model think unless told not to; say which you mean by "
                "+data.apply_chat_template_kwargs.enable_thinking=false or true"
            ]
        return []

    def _render_without_thinking(self) -> str:
        return ChatTemplate(self.tokenizer, self._options | {"enable_thinking": False}).render(PROBE)


def _tokenizer(config: DictConfig) -> Any:
    """The tokenizer that training will have, with the run's own chat template if it gives one."""
    from verl.utils import hf_tokenizer

    model = config.actor_rollout_ref.model
    path = model.tokenizer_path or model.path
    try:
        tokenizer = hf_tokenizer(path, trust_remote_code=model.trust_remote_code)
    except Exception as error:  # transformers, the hub and a model's own code may raise anything
        raise BadInput(
            f"actor_rollout_ref.model.path={model.path}: {path} gives no tokenizer "
            f"({type(error).__name__}: {first_line(error)}); set actor_rollout_ref.model.tokenizer_path"
        ) from error
    if model.get("custom_chat_template"):
        tokenizer.chat_template = model.custom_chat_template
    return tokenizer


def check_correction_prompts(config: DictConfig, tokenizer: Any) -> None:
    """A correction prompt must have room for the longest problem, the fixed words and some of the attempt.

    Raises:
        BadInput: the length, or what the template does not do.
    """
    settings = fail2fix_settings(config)
    if not asks_for_corrections(settings):
        return
    model = config.actor_rollout_ref.model
    try:
        builder = correction_prompt_builder(config, tokenizer)
    except ValueError as error:
        raise BadInput(
            f"actor_rollout_ref.model.path={model.path}: its chat template does not serve: {first_line(error)}"
        ) from error
    if not builder.fits([{"role": "user", "content": ""}], config.data.max_prompt_length):
        raise BadInput(
            f"fail2fix.correction.max_prompt_length={settings.correction.max_prompt_length} has no room for a problem "
            f"of data.max_prompt_length={config.data.max_prompt_length} tokens, our words and an attempt; raise it"
        )
