"""The run's tokenizer and chat template: do they say what the data says?

What loses words is refused: no template, a template that raises on a row or leaves out the problem or a system
message that rows have, a token beyond the model's vocabulary. What only costs tokens or attempts is noted: a template
that begins every answer with thinking, or leaves to an option that is not set whether the model thinks. Both work,
since attempts are replayed without their thinking (``fail2fix.correction.thinking``). Noted too are marks of thinking
that are not known, and a correction prompt that is shorter than problem, attempt and words can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fail2fix.method.attempt_data import parsed_texts
from fail2fix.method.chat_template import ChatTemplate
from fail2fix.method.config import Thinking
from fail2fix.method.errors import InputError
from fail2fix.method.markers import Markers
from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.method.thinking import ThinkingMarks
from fail2fix.preflight.sizes_fit import asks_for_corrections
from fail2fix.preflight.wording import first_line
from fail2fix.run.settings import fail2fix_settings
from fail2fix.verl_ext.tokenizer import correction_prompt_builder

TEMPLATE = "actor_rollout_ref.model.custom_chat_template"
PROBE = [{"role": "user", "content": "1+1?"}]
READ_BY_THE_MODEL = ("system", "user")


class Chat:
    """How the run's problems reach the engine.

    Raises:
        InputError: the tokenizer or its template cannot serve; the key, and what to do.
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
            raise InputError(f"{self._model}: its chat template does not serve: {problem}; set {TEMPLATE}")

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
            return first_line(error)
        for message in messages:
            # Templates trim contents, which loses nothing.
            if message["role"] in READ_BY_THE_MODEL and message["content"].strip() not in text:
                return f"the chat template leaves out the {message['role']} message"
        return ""

    def markup(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The first special token or thinking mark in a row's own text; "" if there is none."""
        return next((found for m in messages if (found := self._markup.first_exact(m["content"]))), "")

    def lengths(self, batch: Sequence[Sequence[Mapping[str, Any]]]) -> list[int]:
        """Tokens of each prompt, as verl counts them to leave out the long ones."""
        texts = [self._template.render(messages) for messages in batch]
        return [len(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []

    def notes(self) -> list[str]:
        """What the template does with thinking that a run should know; empty for templates without it."""
        plain = self._template.render(PROBE)
        marks = ThinkingMarks.of(self._extra_marks, generation_prompt=plain)
        if marks.opened:
            return [
                f"{self._model}: its chat template begins every answer with {marks.opened}: attempts are replayed "
                "without their thinking, and those cut off inside it not at all; give data.max_response_length room "
                "for it"
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
        raise InputError(
            f"actor_rollout_ref.model.path={model.path}: {path} gives no tokenizer "
            f"({type(error).__name__}: {first_line(error)}); set actor_rollout_ref.model.tokenizer_path"
        ) from error
    if model.get("custom_chat_template"):
        tokenizer.chat_template = model.custom_chat_template
    return tokenizer


def check_correction_prompts(config: DictConfig, tokenizer: Any) -> list[str]:
    """A correction prompt must have room for the longest problem, the fixed words and some of the attempt.

    Returns a note each where it has no room for a whole attempt, and where thinking has marks that are not known.

    Raises:
        InputError: the length, or what the template does not do.
    """
    settings = fail2fix_settings(config)
    if not asks_for_corrections(settings):
        return []
    model = config.actor_rollout_ref.model
    try:
        builder = correction_prompt_builder(config, tokenizer)
    except ValueError as error:
        raise InputError(
            f"actor_rollout_ref.model.path={model.path}: its chat template does not serve: {first_line(error)}"
        ) from error
    if not builder.fits([{"role": "user", "content": ""}], config.data.max_prompt_length):
        raise InputError(
            f"fail2fix.correction.max_prompt_length={settings.correction.max_prompt_length} has no room for a problem "
            f"of data.max_prompt_length={config.data.max_prompt_length} tokens, our words and an attempt; raise it"
        )
    notes = [_short_prompt(config, settings.correction.max_prompt_length, builder.words)]
    if settings.correction.thinking is Thinking.strip:
        notes.append(_unknown_thinking(model.path, tokenizer, builder))
    return [note for note in notes if note]


def _short_prompt(config: DictConfig, limit: int, words: int) -> str:
    """The warning for attempts that lose their middle; empty if the longest fits beside the longest problem."""
    problem, response = config.data.max_prompt_length, config.data.max_response_length
    needed = problem + response + words
    if needed <= limit:
        return ""
    return (
        f"fail2fix.correction.max_prompt_length={limit} is below {needed}, which is data.max_prompt_length={problem} + "
        f"data.max_response_length={response} + {words} tokens of fixed words: longer attempts lose their middle "
        "(counted in fail2fix/replay/shortened); raise it to keep them whole"
    )


def _unknown_thinking(path: str, tokenizer: Any, builder: CorrectionPromptBuilder) -> str:
    """The warning for thinking that would be replayed; empty if every mark is known."""
    marks = builder.thinking_marks.unknown_in([str(tokenizer.get_chat_template()), *parsed_texts(tokenizer)])
    if not marks:
        return ""
    return (
        f"actor_rollout_ref.model.path={path}: {', '.join(marks)} in its chat template or tokens looks like a mark of "
        "thinking that is not known, so attempts are replayed with what follows it; name the opening and the closing "
        "mark in fail2fix.correction.thinking_marks, or set fail2fix.correction.thinking=keep"
    )
