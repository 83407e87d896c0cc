"""Correction prompts: an attempt of the policy, put before it again as data to be checked.

Knows: chat messages, token ids, one fast Hugging Face tokenizer and its chat template. Must not know:
verdicts, rewards, selection, verl, the engine. Nothing here reads whether an attempt was correct, so no
prompt can tell.

The attempt is data. Its text is encoded apart from the rendered template, with special tokens disabled (the
policy's own ids stand for it where they hold no special id and spell no marker), and every marker in it (our
delimiters and sentences, special and added tokens' texts, the template's plain-text role lines) is broken up by
a space; the result is checked on the ids that the engine receives. Whatever does not pass the check is not used.

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

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tokenizers import Encoding, Tokenizer

from fail2fix.method.chat_template import ChatTemplate, unused_character
from fail2fix.method.markers import CLOSE_DELIMITER, OPEN_DELIMITER, Markers, omission_notice
from fail2fix.method.templates.default import Default
from fail2fix.method.thinking import ThinkingMarks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Form = Literal["block", "turn"]
Thinking = Literal["strip", "keep"]

# Fewer tokens of a shortened attempt are not worth a correction.
MIN_ATTEMPT_TOKENS = 16
# The beginning tells the approach, the end the answer.
HEAD_SHARE = 0.6

# Stands for any count of left-out tokens when the notice's length is estimated.
_MANY = 88_888


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
    like an unknown opening mark.
    """

    ids: list[int]
    form: Form
    shortened: bool
    fell_back: bool
    unknown_thinking: bool = False


@dataclass(frozen=True)
class _Frame:
    """The ids around the attempts of one problem. `turn` begins with the end-of-turn; None: there is none."""

    prefix: list[int]
    suffix: list[int]
    turn: list[int] | None


def block_text(problem: str, attempt: str, header: str, instruction: str) -> str:
    """The user turn of form `block`. `attempt` is quoted as it is: a model's text must be made harmless first. Ours."""
    return f"{problem}\n\n{header}\n\n{OPEN_DELIMITER}\n{attempt}\n{CLOSE_DELIMITER}\n\n{instruction}"


class CorrectionPromptBuilder:
    """Builds correction prompts for one tokenizer and chat template (CIPO sec. 3; forms and defences ours).

    `form`: `block` quotes the attempt in one user turn; `turn` leaves it the assistant's own turn and appends
    a request, ids only, and falls back to `block` where that is not safe. `max_tokens`: the longest prompt,
    in tokens. `thinking`: whether thinking blocks in attempts are removed or kept. `thinking_marks`: pairs of an
    opening and a closing mark of thinking, beside the known ones. `chat_template_kwargs`: as for the base prompts,
    e.g. `{"enable_thinking": False}`.

    ValueError: unknown form or thinking, max_tokens < 1, a tokenizer without fast backend or chat template,
    or a template that does not render the user's content (form `turn`: user-assistant-user contents) once, in order
    and unchanged.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        form: Form = "block",
        max_tokens: int,
        thinking: Thinking = "strip",
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

        added = _added_tokens(tokenizer)
        special = parsed_texts(tokenizer)
        self.thinking_marks = ThinkingMarks.of(
            thinking_marks,
            template=self._template.source,
            tokens=special,
            generation_prompt=self._template.glue(["user"])[1],
        )
        self._data = _data_tokenizer(tokenizer, self.thinking_marks)
        self._forbidden = frozenset(added) | frozenset(tokenizer.all_special_ids)
        self._ends = {tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
        self._id_limit = max(tokenizer.get_vocab().values()) + 1
        roles = self._template.role_lines(special, one_turn=form == "block")
        self.markers = Markers.of(special, roles=roles, phrases=(header, instruction))
        self._measure_fixed_words()

    def fits(self, context_messages: Sequence[Mapping[str, str]], prompt_tokens: int) -> bool:
        """Whether a base prompt of `prompt_tokens` tokens leaves room for at least a shortened attempt.

        Arithmetic only, right to within the few tokens that merge differently beside our words; `build` has
        the last word. ValueError as for `build`.
        """
        _check_messages(context_messages)
        return prompt_tokens + self._fixed_tokens + MIN_ATTEMPT_TOKENS <= self._max_tokens

    def build(self, contexts: Sequence[AttemptContext]) -> list[CorrectionPrompt | None]:
        """One prompt an attempt, in the same order; None where it cannot fit, cannot be made safe or is blank.

        Blank, in both forms: only whitespace is left of the attempt without its special tokens and, where
        thinking is stripped, its thinking, as when it was cut off inside a thinking block.

        ValueError: the last message is not the user's, its content is not a string, or the template refuses
        it.
        """
        if not contexts:
            return []
        frames = self._frames(contexts)
        raw = self._data.decode_batch([list(c.response_ids) for c in contexts], skip_special_tokens=True)
        texts = [self._without_thinking(text) for text in raw]
        prompts = [
            self._from_ids(context, frame) if text == as_decoded and self._is_plain(text) else None
            for context, frame, text, as_decoded in zip(contexts, frames, texts, raw, strict=True)
        ]
        left = [i for i, prompt in enumerate(prompts) if prompt is None and not _is_blank(texts[i])]
        for i, quote in zip(left, self._quote([texts[i] for i in left]), strict=True):
            prompts[i] = None if quote is None else self._as_block(quote, frames[i])
        return [self._told_unknown(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]

    # The words around the attempt

    def _block_messages(self, messages: Sequence[Mapping[str, str]], attempt: str) -> list[dict[str, str]]:
        *earlier, last = messages
        content = block_text(last["content"], attempt, self._header, self._instruction)
        return [*map(dict, earlier), {**last, "content": content}]

    def _turn_messages(self, messages: Sequence[Mapping[str, str]], attempt: str) -> list[dict[str, str]]:
        request = {"role": "user", "content": self._instruction}
        return [*map(dict, messages), {"role": "assistant", "content": attempt}, request]

    def _frame_texts(self, messages: Sequence[Mapping[str, str]]) -> tuple[str, str, str]:
        """Rendered text before and after a quoted attempt, and after an attempt that is a turn of its own."""
        _check_messages(messages)
        sentinel = unused_character(messages, (self._header, self._instruction))
        prefix, suffix = self._template.split(self._block_messages(messages, sentinel), sentinel)
        if self._form == "block":
            return prefix, suffix, ""
        return prefix, suffix, self._template.split(self._turn_messages(messages, sentinel), sentinel)[1]

    def _frames(self, contexts: Sequence[AttemptContext]) -> list[_Frame]:
        """One frame a context; each problem is rendered once, and each distinct text tokenized once."""
        keys = [repr(context.messages) for context in contexts]
        texts: dict[str, tuple[str, str, str]] = {}
        for key, context in zip(keys, contexts, strict=True):
            if key not in texts:
                texts[key] = self._frame_texts(context.messages)
        distinct = list(dict.fromkeys(text for triple in texts.values() for text in triple))
        ids = dict(zip(distinct, self._tokenize(distinct), strict=True))
        frames = {
            key: _Frame(prefix=ids[before], suffix=ids[after], turn=self._usable_turn(ids[turn]))
            for key, (before, after, turn) in texts.items()
        }
        return [frames[key] for key in keys]

    def _usable_turn(self, ids: list[int]) -> list[int] | None:
        # Without an end-of-turn token, only words would separate the attempt from the request.
        return ids if ids and ids[0] in self._forbidden else None

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
        return encoded["input_ids"]

    def _measure_fixed_words(self) -> None:
        """Set what no problem changes: the length of our words."""
        probe = [{"role": "user", "content": "1+1?"}]
        prefix, suffix, _ = self._frame_texts(probe)
        lengths = [len(ids) for ids in self._tokenize([prefix, suffix, self._template.render(probe)])]
        self._notice_tokens = len(self._encode_one(omission_notice(_MANY)))
        self.words = lengths[0] + lengths[1] - lengths[2]
        self._fixed_tokens = self.words + self._notice_tokens

    # The attempt as data

    def _without_thinking(self, text: str) -> str:
        if self._thinking == "keep":
            return text
        return self.thinking_marks.answer_of(text)

    def _told_unknown(self, prompt: CorrectionPrompt | None, text: str) -> CorrectionPrompt | None:
        if prompt is None or self._thinking == "keep" or not self.thinking_marks.unknown_at_start(text):
            return prompt
        return replace(prompt, unknown_thinking=True)

    def _encode_one(self, text: str) -> list[int]:
        return self._data.encode(text, add_special_tokens=False).ids

    def _decode_all(self, batch: list[list[int]]) -> list[str]:
        return self._data.decode_batch(batch, skip_special_tokens=False)

    def _quote(self, texts: list[str]) -> list[Encoding | None]:
        """Texts encoded as data; None where a marker survives.

        A tokenizer that normalises can turn look-alikes into special tokens' texts (full-width under NFKC), so the
        second round starts from what the first one's ids say.
        """
        quotes: list[Encoding | None] = [None] * len(texts)
        pending = dict(enumerate(texts))
        for _ in range(2):
            cleaned = {i: self.markers.neutralise(text) for i, text in pending.items()}
            safe = {i: text for i, text in cleaned.items() if text is not None}
            encoded = self._data.encode_batch(list(safe.values()), add_special_tokens=False)
            decoded = self._decode_all([encoding.ids for encoding in encoded])
            pending = {}
            for i, encoding, seen in zip(safe, encoded, decoded, strict=True):
                if self._is_clean(encoding.ids, seen):
                    quotes[i] = encoding
                else:
                    pending[i] = seen
        return quotes

    def _is_clean(self, ids: list[int], text: str) -> bool:
        return self._forbidden.isdisjoint(ids) and not self.markers.found_in(text)

    def _is_plain(self, text: str) -> bool:
        """Whether ids that say `text` may stand for it."""
        return not _is_blank(text) and not self.markers.found_in(text)

    # The two forms

    def _from_ids(self, context: AttemptContext, frame: _Frame) -> CorrectionPrompt | None:
        """The prompt around the attempt's own ids, in the form asked for if possible; None if neither form can
        use them."""
        turn = self._as_turn(context, frame) if self._form == "turn" else None
        return turn or self._as_written(context, frame)

    def _as_block(self, quote: Encoding, frame: _Frame) -> CorrectionPrompt | None:
        room = self._max_tokens - len(frame.prefix) - len(frame.suffix)
        shortened = len(quote.ids) > room
        middle = self._shorten(quote.ids, quote.offsets, room) if shortened else quote.ids
        if middle is None:
            return None
        ids = [*frame.prefix, *middle, *frame.suffix]
        return CorrectionPrompt(ids=ids, form="block", shortened=shortened, fell_back=self._form == "turn")

    def _as_written(self, context: AttemptContext, frame: _Frame) -> CorrectionPrompt | None:
        """A block around the attempt's own ids, which saves encoding its text; None if they cannot be used as
        they are: special or unknown ids in them, or too many."""
        response = self._response(context, frame)
        if response is None:
            return None
        ids = [*frame.prefix, *response, *frame.suffix]
        if len(ids) > self._max_tokens:
            return None
        return CorrectionPrompt(ids=ids, form="block", shortened=False, fell_back=self._form == "turn")

    def _response(self, context: AttemptContext, frame: _Frame) -> list[int] | None:
        """The attempt's ids without its end-of-turn; None if there is any other special id or an unknown one."""
        response = list(context.response_ids)
        end_of_turn = set(frame.turn[:1]) if frame.turn else set()
        if response and response[-1] in self._ends | end_of_turn:
            response.pop()
        # Engines have more output ids than the tokenizer has tokens, and refuse those ids in a prompt.
        known = all(0 <= i < self._id_limit for i in response)
        return response if known and self._forbidden.isdisjoint(response) else None

    def _shorten(self, ids: list[int], offsets: Sequence[tuple[int, int]], room: int) -> list[int] | None:
        """At most `room` ids: head, notice, tail. None if too little is left or a cut made a marker.

        `offsets`: where each token's characters begin and end in the text.
        """
        for keep in range(room - self._notice_tokens, MIN_ATTEMPT_TOKENS - 1, -1):
            in_head = int(keep * HEAD_SHARE)
            head, tail = _cut_back(offsets, in_head), _cut_forward(offsets, len(ids) - (keep - in_head))
            notice = self._encode_one(omission_notice(tail - head))
            if head + len(notice) + len(ids) - tail > room:
                continue  # this count takes more tokens than the estimate
            parts = [ids[:head], ids[tail:]]
            clean = all(map(self._is_clean, parts, self._decode_all(parts)))
            return [*parts[0], *notice, *parts[1]] if clean else None
        return None

    def _as_turn(self, context: AttemptContext, frame: _Frame) -> CorrectionPrompt | None:
        """Prompt and response exactly as the engine had them, then the request; None if `block` must do."""
        response = self._response(context, frame)
        if frame.turn is None or response is None:
            return None
        ids = [*context.prompt_ids, *response, *frame.turn]
        if len(ids) > self._max_tokens:
            return None
        return CorrectionPrompt(ids=ids, form="turn", shortened=False, fell_back=False)


def _is_blank(text: str) -> bool:
    return not text.strip()


def _splits_character(offsets: Sequence[tuple[int, int]], cut: int) -> bool:
    return 0 < cut < len(offsets) and offsets[cut][0] < offsets[cut - 1][1]


def _cut_back(offsets: Sequence[tuple[int, int]], cut: int) -> int:
    """The nearest cut at or before `cut` that is not inside a character spread over several tokens."""
    while _splits_character(offsets, cut):
        cut -= 1
    return cut


def _cut_forward(offsets: Sequence[tuple[int, int]], cut: int) -> int:
    """The nearest cut at or after `cut` that is not inside a character spread over several tokens."""
    while _splits_character(offsets, cut):
        cut += 1
    return cut


def parsed_texts(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """The texts that a tokenizer parses as tokens of their own wherever they occur, blanks and single characters
    aside."""
    return {*_added_tokens(tokenizer).values(), *tokenizer.all_special_tokens}


def _added_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Id and text of tokens parsed out of text, less blanks and single characters, which are vocabulary."""
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
    return {i: t.content for i, t in added.items() if t.content.strip() and (t.special or len(t.content) > 1)}


def _data_tokenizer(tokenizer: PreTrainedTokenizerBase, marks: ThinkingMarks) -> Tokenizer:
    """A copy that never parses special tokens and never cuts or pads.

    A copy, because these are settings of the object: other users of the shared tokenizer change them from
    other threads. Tokens of thinking marks lose their `special` flag, or decoding would drop the marks and leave
    the thinking.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in state["added_tokens"]:
        token["special"] = token["special"] and not marks.holds(token["content"])
    copy = Tokenizer.from_str(json.dumps(state))
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True
    return copy


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
