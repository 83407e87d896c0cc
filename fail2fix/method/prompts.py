"""Correction prompts: an attempt of the policy, quoted as data and to be checked by it.

Knows: chat messages, token ids, a chat template. Must not know: verdicts, rewards, selection, verl, the engine. Nothing
here reads whether an attempt was correct, so no prompt can tell.

The attempt is data (`fail2fix.method.attempt_data`): its text is encoded apart from the rendered template. The policy's
own ids are used where they hold no special id and spell no marker.

Example, form `block`, one user turn:

    <|im_start|>user
    {problem, verbatim}

    Below is an attempt at this problem, quoted as it was written.

    <attempt>
    {attempt}
    </attempt>

    The attempt above may be right or wrong. ...<|im_end|>
    <|im_start|>assistant
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tokenizers import Encoding

from fail2fix.method.attempt_data import MIN_ATTEMPT_TOKENS, AttemptData, parsed_texts
from fail2fix.method.chat_template import ChatTemplate
from fail2fix.method.markers import CLOSE_DELIMITER, OPEN_DELIMITER, Markers
from fail2fix.method.templates.default import Default
from fail2fix.method.thinking import ThinkingMarks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class AttemptContext:
    """One attempt to be corrected. Ours.

    `messages`: the base prompt's chat messages, verbatim, the last one the user's. `prompt_ids`: the base
    prompt as the engine received it. `response_ids`: what the policy wrote, with or without its end-of-turn
    id.
    """

    messages: list[dict[str, str]]
    prompt_ids: list[int]
    response_ids: list[int]


@dataclass(frozen=True)
class CorrectionPrompt:
    """Token ids for the engine, and how they came about. Ours.

    `form`: the form that was built. `shortened`: the attempt's middle is left out. `fell_back`: `turn` was
    asked for and `block` was built. `unknown_thinking`: thinking is stripped, and the attempt begins with what looks
    like an unknown opening mark. `attempt`: what the policy wrote, as text.
    """

    ids: list[int]
    form: str
    shortened: bool
    fell_back: bool
    unknown_thinking: bool = False
    attempt: str = ""


@dataclass(frozen=True)
class _Frame:
    """The ids around the attempts of one problem. `turn` begins with the end-of-turn; None: there is none."""

    prefix: list[int]
    suffix: list[int]
    turn: list[int] | None


def around_attempt(problem: str, header: str, instruction: str) -> tuple[str, str]:
    """What stands before and after the attempt in the user turn of form `block`. Ours."""
    return f"{problem}\n\n{header}\n\n{OPEN_DELIMITER}\n", f"\n{CLOSE_DELIMITER}\n\n{instruction}"


def block_text(problem: str, attempt: str, header: str, instruction: str) -> str:
    """The user turn of form `block`. `attempt` is quoted as it is: a model's text must be made harmless first. Ours."""
    before, after = around_attempt(problem, header, instruction)
    return before + attempt + after


class CorrectionPromptBuilder:
    """Builds correction prompts for one tokenizer and chat template (CIPO sec. 3; forms and defences ours).

    Args:
        form: `block` quotes the attempt in one user turn. `turn` leaves it the assistant's own turn and appends a
            request, ids only; where that is not safe, it falls back to `block`.
        max_tokens: the longest prompt, in tokens.
        thinking: `strip` removes thinking blocks from attempts, `keep` keeps them.
        thinking_marks: pairs of an opening and a closing mark of thinking, beside the known ones.
        chat_template_kwargs: as for the base prompts, e.g. `{"enable_thinking": False}`.

    Raises:
        ValueError: unknown form or thinking, max_tokens < 1, or a tokenizer without fast backend or chat template.
            Or the template does not render the contents once, in order and unchanged (`turn`: of three turns).
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        form: str = "block",
        max_tokens: int,
        thinking: str = "strip",
        thinking_marks: Iterable[Sequence[str]] = (),
        instruction: str = Default.instruction,
        header: str = Default.header,
        chat_template_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        _check_settings(tokenizer, form, thinking, max_tokens)
        self._tokenizer = tokenizer
        self._form, self._max_tokens, self._thinking = form, max_tokens, thinking
        self._instruction, self._header = instruction, header
        self._template = ChatTemplate(tokenizer, chat_template_kwargs)

        special = parsed_texts(tokenizer)
        self.thinking_marks = ThinkingMarks.of(
            thinking_marks,
            template=tokenizer.get_chat_template(),
            tokens=special,
            generation_prompt=self._template.glue(["user"])[1],
        )
        roles = self._template.role_lines(special, one_turn=form == "block")
        self.markers = Markers.of(special, roles=roles, phrases=(header, instruction))
        self._data = AttemptData(tokenizer, self.thinking_marks, self.markers)
        self._measure_fixed_words()

    def fits(self, prompt_tokens: int) -> bool:
        """Whether a base prompt of `prompt_tokens` tokens leaves room for at least a shortened attempt.

        An estimate: a few tokens merge differently beside our words. `build` decides.
        """
        return prompt_tokens + self._fixed_tokens + MIN_ATTEMPT_TOKENS <= self._max_tokens

    def build(self, contexts: Sequence[AttemptContext]) -> list[CorrectionPrompt | None]:
        """One prompt an attempt, in the same order; None where it cannot fit, cannot be made safe or is blank.

        An attempt is blank if only whitespace is left without its special tokens and, where thinking is stripped,
        without its thinking. A response that was cut off inside a thinking block is an example.

        ValueError: the last message is not the user's, its content is not a string, or the template refuses
        it.
        """
        if not contexts:
            return []
        frames = self._frames(contexts)
        ends = [frame.turn[0] if frame.turn else None for frame in frames]
        responses = self._data.read([context.response_ids for context in contexts], ends)
        texts = [self._without_thinking(response.text) for response in responses]
        prompts = [
            self._around_ids(context.prompt_ids, response.ids, frame) if text == response.text else None
            for context, frame, text, response in zip(contexts, frames, texts, responses, strict=True)
        ]
        left = [i for i, prompt in enumerate(prompts) if prompt is None and texts[i].strip()]
        for i, quote in zip(left, self._data.quote([texts[i] for i in left]), strict=True):
            prompts[i] = None if quote is None else self._as_block(quote, frames[i])
        return [
            prompt and replace(self._told_unknown(prompt, text), attempt=response.text)
            for prompt, text, response in zip(prompts, texts, responses, strict=True)
        ]

    # The words around the attempt

    def _frame_texts(self, messages: Sequence[Mapping[str, str]]) -> tuple[str, str, str]:
        """Rendered text before and after a quoted attempt, and after an attempt that is a turn of its own."""
        _check_messages(messages)
        problem = messages[-1]["content"]
        prefix, suffix = self._template.around(messages, -1, *around_attempt(problem, self._header, self._instruction))
        if self._form == "block":
            return prefix, suffix, ""
        request = [{"role": "assistant", "content": ""}, {"role": "user", "content": self._instruction}]
        return prefix, suffix, self._template.around([*messages, *request], -2)[1]

    def _frames(self, contexts: Sequence[AttemptContext]) -> list[_Frame]:
        """One frame a context; each problem is rendered once, and each distinct text tokenized once."""
        keys = [repr(context.messages) for context in contexts]
        messages = {key: context.messages for key, context in zip(keys, contexts, strict=True)}
        texts = {key: self._frame_texts(given) for key, given in messages.items()}
        distinct = list(dict.fromkeys(text for triple in texts.values() for text in triple))
        ids = dict(zip(distinct, self._tokenize(distinct), strict=True))
        frames = {
            key: _Frame(prefix=ids[before], suffix=ids[after], turn=self._usable_turn(ids[turn]))
            for key, (before, after, turn) in texts.items()
        }
        return [frames[key] for key in keys]

    def _usable_turn(self, ids: list[int]) -> list[int] | None:
        # Without an end-of-turn token, only words would separate the attempt from the request.
        return ids if ids and ids[0] in self._data.forbidden else None

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        """Ids of rendered text: special tokens are parsed, none is added."""
        encoded = self._tokenizer(
            texts,
            add_special_tokens=False,
            split_special_tokens=False,
            truncation=False,
            padding=False,
            return_attention_mask=False,
            verbose=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def _measure_fixed_words(self) -> None:
        """Set what no problem changes: the length of our words."""
        probe = [{"role": "user", "content": "1+1?"}]
        prefix, suffix, _ = self._frame_texts(probe)
        lengths = [len(ids) for ids in self._tokenize([prefix, suffix, self._template.render(probe)])]
        self.words = lengths[0] + lengths[1] - lengths[2]
        self._fixed_tokens = self.words + self._data.notice_tokens

    # The attempt as data

    def _without_thinking(self, text: str) -> str:
        if self._thinking == "keep":
            return text
        return self.thinking_marks.answer_of(text)

    def _told_unknown(self, prompt: CorrectionPrompt, text: str) -> CorrectionPrompt:
        if self._thinking == "keep" or not self.thinking_marks.unknown_at_start(text):
            return prompt
        return replace(prompt, unknown_thinking=True)

    # The two forms

    def _around_ids(self, prompt: list[int], response: list[int] | None, frame: _Frame) -> CorrectionPrompt | None:
        """The prompt around the attempt's own ids, which saves encoding its text; None if they are too many or cannot
        be used as they are. Form `turn` has prompt and response exactly as the engine had them, then the request."""
        if response is None:
            return None
        if self._form == "turn" and frame.turn is not None:
            ids = [*prompt, *response, *frame.turn]
            if len(ids) <= self._max_tokens:
                return CorrectionPrompt(ids=ids, form="turn", shortened=False, fell_back=False)
        ids = [*frame.prefix, *response, *frame.suffix]
        if len(ids) > self._max_tokens:
            return None
        return CorrectionPrompt(ids=ids, form="block", shortened=False, fell_back=self._form == "turn")

    def _as_block(self, quote: Encoding, frame: _Frame) -> CorrectionPrompt | None:
        room = self._max_tokens - len(frame.prefix) - len(frame.suffix)
        shortened = len(quote.ids) > room
        middle = self._data.shorten(quote.ids, quote.offsets, room) if shortened else quote.ids
        if middle is None:
            return None
        ids = [*frame.prefix, *middle, *frame.suffix]
        return CorrectionPrompt(ids=ids, form="block", shortened=shortened, fell_back=self._form == "turn")


def _check_settings(tokenizer: PreTrainedTokenizerBase, form: str, thinking: str, max_tokens: int) -> None:
    if form not in ("block", "turn"):
        raise ValueError(f"form must be 'block' or 'turn', not {form!r}")
    if thinking not in ("strip", "keep"):
        raise ValueError(f"thinking must be 'strip' or 'keep', not {thinking!r}")
    if max_tokens < 1:
        raise ValueError(f"max_tokens must be positive, not {max_tokens}")
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ValueError("correction prompts need a fast tokenizer")
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError("correction prompts need a tokenizer with a chat template")


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    if len(messages) == 0 or messages[-1].get("role") != "user":
        raise ValueError("a base prompt must end with a user message to be corrected")
    if not isinstance(messages[-1].get("content"), str):
        raise ValueError("the user message of a base prompt must be plain text to be corrected")
