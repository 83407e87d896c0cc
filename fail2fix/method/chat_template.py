"""What a chat template writes around a message, found by rendering it with sentinels in the messages' place.

Knows: a Hugging Face tokenizer's `apply_chat_template`. Must not know: attempts, verdicts, budgets.

Example: for ChatML, `ChatTemplate(tokenizer).around([{"role": "user", "content": ""}], 0, before="2+2? ")`
is `("<|im_start|>user\\n2+2? ", "<|im_end|>\\n<|im_start|>assistant\\n")`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, Any]]

# Characters for private use: no template trims, escapes or splits at them.
_FIRST_SENTINEL, _LAST_SENTINEL = 0xE000, 0xF8FF
# A line this short, or one that is a bare word such as `assistant`, is also ordinary language.
MIN_ROLE_LINE_CHARS = 3
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def _unused_character(messages: Messages, words: str) -> str:
    """A private-use character that occurs neither in `messages` nor in `words`. ValueError if all occur."""
    used = set(json.dumps([dict(message) for message in messages], ensure_ascii=False, default=str)) | set(words)
    for code in range(_FIRST_SENTINEL, _LAST_SENTINEL + 1):
        if chr(code) not in used:
            return chr(code)
    raise ValueError("the messages use every private-use character: no sentinel is left")


class ChatTemplate:
    """A tokenizer's chat template with fixed options, always rendered with the generation prompt. Ours."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, options: Mapping[str, Any] | None = None) -> None:
        self._tokenizer = tokenizer
        self._options = dict(options or {})

    def render(self, messages: Messages) -> str:
        """The text of `messages` and the generation prompt. ValueError if the template refuses them."""
        try:
            rendered = self._tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tokenize=False,
                add_generation_prompt=True,
                **self._options,
            )
        except Exception as error:  # a template may refuse with any exception
            roles = [message.get("role") for message in messages]
            raise ValueError(f"the chat template does not render the roles {roles}: {error}") from error
        return str(rendered)

    def around(self, messages: Messages, place: int, before: str = "", after: str = "") -> tuple[str, str]:
        """The rendered text before and after what message `place` holds between `before` and `after`.

        ValueError if the template does not render that content once and unchanged.
        """
        sentinel = _unused_character(messages, before + after)
        filled = [dict(message) for message in messages]
        filled[place]["content"] = before + sentinel + after
        parts = self.render(filled).split(sentinel)
        if len(parts) != 2:
            raise ValueError(
                f"the chat template must render message contents once and unchanged; "
                f"a test character came out {len(parts) - 1} times"
            )
        return parts[0], parts[1]

    def glue(self, roles: Sequence[str]) -> list[str]:
        """What stands before, between and after contents of these roles: `len(roles) + 1` texts."""
        sentinels = [chr(_FIRST_SENTINEL + i) for i in range(len(roles))]
        probe = [{"role": role, "content": mark} for role, mark in zip(roles, sentinels, strict=True)]
        rest, pieces = self.render(probe), []
        for mark in sentinels:
            if rest.count(mark) != 1:
                raise ValueError(f"the chat template loses, repeats or reorders contents of {list(roles)}")
            before, rest = rest.split(mark)
            pieces.append(before)
        return [*pieces, rest]

    def role_lines(self, special_texts: Iterable[str], *, one_turn: bool = False) -> set[str]:
        """Plain-text lines that open or close a turn, such as `USER:` or `### Response:`.

        Special tokens' texts count as line breaks, so ChatML has none. `one_turn`: also of a template that renders
        a single user message only. ValueError otherwise if a user-assistant-user conversation cannot be rendered.
        """
        try:
            pieces = self.glue(["user", "assistant", "user"])[1:]
        except ValueError as error:
            if not one_turn:
                raise ValueError(f"form=turn sends a second user turn, use form=block: {error}") from error
            pieces = self._around_one_turn()
        try:
            before, between, _ = self.glue(["system", "user"])
            # Only the line next to the content: further up, templates write dates and their own instructions.
            pieces += [_last_line(before), between]
        except ValueError:
            pass  # a template without a system role has no system marker
        specials = sorted((re.escape(text) for text in special_texts if text), key=len, reverse=True)
        text = "\n".join(pieces)
        if specials:
            text = re.sub("|".join(specials), "\n", text)
        return {line for line in map(str.strip, text.splitlines()) if _is_role_line(line)}

    def _around_one_turn(self) -> list[str]:
        """What opens the user's turn, and what stands behind it.

        Templates for base models write instructions, roles and `<think>` in one line: a role follows a sentence and
        ends with its colon.
        """
        before, after = self.glue(["user"])
        parts = [_SENTENCE_END.split(_last_line(before))[-1], *_SENTENCE_END.split(after)]
        return ["".join(part.partition(":")[:2]) for part in parts]


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]


def _is_role_line(line: str) -> bool:
    return len(line) >= MIN_ROLE_LINE_CHARS and not line.isalnum()
