"""Check the run's tokenizer and chat template.

Refused, because words would be lost: no template, a template that raises on a row or leaves out a problem or a system
message, a token beyond the model's vocabulary. Warned of, because they cost tokens or attempts only: a template that
begins every answer with thinking, or lets the model think unless an option is set; thinking marks that are not known;
a correction prompt too short for problem, attempt and fixed words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fail2fix.method.attempt_data import parsed_texts
from fail2fix.method.chat_template import ChatTemplate
from fail2fix.method.config import Thinking
from fail2fix.method.errors import InputError, reading, reason_of
from fail2fix.method.markers import Markers
from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.method.thinking import ThinkingMarks
from fail2fix.run.settings import asks_for_corrections, fail2fix_settings
from fail2fix.verl_ext.names import hf_tokenizer
from fail2fix.verl_ext.tokenizer import correction_prompt_builder

TEMPLATE = "actor_rollout_ref.model.custom_chat_template"
PROBE = [{"role": "user", "content": "1+1?"}]
ROLES_OF_THE_PROMPT = ("system", "user")


class Chat:
    """The run's tokenizer with its chat template.

    Raises:
        InputError: the tokenizer or its template is not usable; the key, and what to do.
    """

    def __init__(self, config: DictConfig, model_config: Any) -> None:
        self.tokenizer = _tokenizer(config)
        self._model = f"actor_rollout_ref.model.path={config.actor_rollout_ref.model.path}"
        options = config.data.get("apply_chat_template_kwargs") or OmegaConf.create({})
        self._options: dict[str, Any] = dict(OmegaConf.to_container(options, resolve=True))
        self._check_tokens(model_config)
        if not self.tokenizer.chat_template:
            raise InputError(f"{self._model}: its tokenizer has no chat template; set {TEMPLATE}")
        self._template = ChatTemplate(self.tokenizer, self._options)
        self._extra_marks = fail2fix_settings(config).correction.thinking_marks
        self._markup = Markers.of({*parsed_texts(self.tokenizer), *ThinkingMarks.of(self._extra_marks).texts})
        if problem := self.problem(PROBE):
            raise InputError(f"{self._model}: its chat template is not usable: {problem}; set {TEMPLATE}")

    def _check_tokens(self, model_config: Any) -> None:
        if self.tokenizer.eos_token_id is None:
            raise InputError(f"{self._model}: its tokenizer has no eos_token, so no answer would end; name it there")
        last, known = max(self.tokenizer.get_vocab().values()), getattr(model_config, "vocab_size", None)
        if isinstance(known, int) and last >= known:
            raise InputError(
                f"{self._model}: its tokenizer has token {last}, and the model's vocab_size is {known}; they are not "
                "of one model: set actor_rollout_ref.model.tokenizer_path, or enlarge the model's embeddings"
            )

    def problem(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """What the template loses of a row; "" if nothing."""
        try:
            text = self._template.render(messages)
        except ValueError as error:
            return reason_of(error)
        for message in messages:
            # Templates trim contents, which loses nothing.
            if message["role"] in ROLES_OF_THE_PROMPT and message["content"].strip() not in text:
                return f"the chat template leaves out the {message['role']} message"
        return ""

    def markup(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The first special token or thinking mark in a row's text; "" if there is none."""
        return next((found for m in messages if (found := self._markup.first_exact(m["content"]))), "")

    def lengths(self, batch: Sequence[Sequence[Mapping[str, Any]]]) -> list[int]:
        """Tokens of each prompt, as verl counts them to filter long prompts."""
        texts = [self._template.render(messages) for messages in batch]
        return [len(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []

    def notes(self) -> list[str]:
        """Warnings of how the template treats thinking; empty for templates without it."""
        plain = self._template.render(PROBE)
        marks = ThinkingMarks.of(self._extra_marks, generation_prompt=plain)
        if marks.opened:
            return [
                f"{self._model}: its chat template begins every answer with {marks.opened}: attempts are replayed "
                "without their thinking, and not at all if they were cut off inside it; set data.max_response_length "
                "long enough for it"
            ]
        quiet = ChatTemplate(self.tokenizer, self._options | {"enable_thinking": False}).render(PROBE)
        if "enable_thinking" not in self._options and quiet != plain:
            return [
                f"{self._model}: its chat template lets the model think by default; choose by "
                "+data.apply_chat_template_kwargs.enable_thinking=false or true"
            ]
        return []


def _tokenizer(config: DictConfig) -> Any:
    """The tokenizer of the training, with the run's own chat template if it sets one."""
    model = config.actor_rollout_ref.model
    path = model.tokenizer_path or model.path
    failure = f"actor_rollout_ref.model.path={model.path}: {path} gives no tokenizer"
    # transformers, the hub and a model's own code may raise anything
    with reading(failure, Exception, hint="set actor_rollout_ref.model.tokenizer_path"):
        tokenizer = hf_tokenizer(path, trust_remote_code=model.trust_remote_code)
    if model.get("custom_chat_template"):
        tokenizer.chat_template = model.custom_chat_template
    return tokenizer


def check_correction_prompts(config: DictConfig, tokenizer: Any) -> list[str]:
    """Refuse a correction prompt without room for the longest problem, the fixed words and part of the attempt.

    Returns a warning if it has no room for a whole attempt, and one for thinking marks that are not known.

    Raises:
        InputError: the length, or what the template cannot do.
    """
    settings = fail2fix_settings(config)
    if not asks_for_corrections(settings):
        return []
    path, limit = config.actor_rollout_ref.model.path, settings.correction.max_prompt_length
    with reading(f"actor_rollout_ref.model.path={path}: its chat template is not usable", ValueError):
        builder = correction_prompt_builder(config, tokenizer)
    if not builder.fits(config.data.max_prompt_length):
        raise InputError(
            f"fail2fix.correction.max_prompt_length={limit} has no room for a problem of data.max_prompt_length="
            f"{config.data.max_prompt_length} tokens, the template's words and an attempt; raise it"
        )
    notes = [_short_prompt(config, limit, builder.words)]
    if settings.correction.thinking is Thinking.strip:
        notes.append(_unknown_thinking(path, tokenizer, builder))
    return [note for note in notes if note]


def _short_prompt(config: DictConfig, limit: int, words: int) -> str:
    """The warning for attempts that are shortened; empty if the longest fits beside the longest problem."""
    problem, response = config.data.max_prompt_length, config.data.max_response_length
    needed = problem + response + words
    if needed <= limit:
        return ""
    return (
        f"fail2fix.correction.max_prompt_length={limit} is below {needed}, which is data.max_prompt_length={problem} + "
        f"data.max_response_length={response} + {words} tokens of fixed words: longer attempts are shortened in the "
        "middle (counted in fail2fix/replay/shortened); raise it to keep them whole"
    )


def _unknown_thinking(path: str, tokenizer: Any, builder: CorrectionPromptBuilder) -> str:
    """The warning for thinking that would be replayed; empty if every mark is known."""
    marks = builder.thinking_marks.unknown_in([str(tokenizer.get_chat_template()), *parsed_texts(tokenizer)])
    if not marks:
        return ""
    return (
        f"actor_rollout_ref.model.path={path}: {', '.join(marks)} in its chat template or tokens looks like an unknown "
        "thinking mark, and attempts would be replayed with their thinking; add the opening and the closing mark to "
        "fail2fix.correction.thinking_marks, or set fail2fix.correction.thinking=keep"
    )
