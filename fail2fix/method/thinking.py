"""Thinking blocks in responses: the marks of the model families, where thinking ends, and unknown marks.

Knows: texts. Must not know: tokenizers, chat templates, prompts.

Thinking stands at the beginning of a response only. A mark in the middle of an answer is part of the answer:

>>> marks = ThinkingMarks.of()
>>> marks.answer_of("<think>5, or 6?</think>It is 6.")
'It is 6.'
>>> marks.answer_of("The tag <think> opens it. It is 6.")
'The tag <think> opens it. It is 6.'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

KNOWN_MARKS = (
    ("<think>", "</think>"),  # Qwen, DeepSeek and most others
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<mm:think>", "</mm:think>"),  # MiniMax M3
    ("[THINK]", "[/THINK]"),  # Magistral
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi
    ("<|channel|>analysis", "<|channel|>final<|message|>"),  # gpt-oss
    ("<|channel|>commentary", "<|channel|>final<|message|>"),
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1
    ("<thought>", "</thought>"),  # EXAONE Deep
    ("<thinking>", "</thinking>"),
)
"""(opening mark, closing mark) of each model family."""

# Gemma 4 writes this in a system turn to switch thinking on.
_NOT_MARKS = frozenset({"<|think|>"})
_THINKING_WORD = "think|thought|reason|reflect|analysis|scratchpad|deliberat"
# Bounded, so that a search takes linear time. A square bracket after a name or a bracket is an index.
_LIKE_A_MARK = re.compile(
    rf"(?:<|\u25c1|(?<![\w\])])\[)[\w:.|\- ]{{0,24}}?(?:{_THINKING_WORD})[\w:.|\- ]{{0,24}}?[>\u25b7\]]", re.IGNORECASE
)
_BLANKS = re.compile(r"\s*")


@dataclass(frozen=True)
class ThinkingMarks:
    """The marks that begin and end thinking in responses to one chat template. Ours.

    Attributes:
        closings: opening mark -> closing mark.
        lone: closing marks that end thinking even if the response does not open it.
        opened: the opening mark at the end of the generation prompt; "" if there is none.
    """

    closings: dict[str, str]
    lone: frozenset[str]
    opened: str = ""

    @classmethod
    def of(
        cls,
        extra: Iterable[Sequence[str]] = (),
        *,
        template: str | None = None,
        tokens: Iterable[str] = (),
        generation_prompt: str = "",
    ) -> ThinkingMarks:
        """The known marks and `extra` pairs of an opening and a closing mark.

        Args:
            extra: pairs of an opening and a closing mark.
            template: the chat template's text; None: unknown.
            tokens: texts that the tokenizer parses as tokens of their own.
            generation_prompt: the text before every response.

        A closing mark without its opening mark counts if it is in `extra` or `template`, or if one of `tokens` is part
        of it. Every closing mark counts if the template is unknown.
        """
        given = {pair[0]: pair[1] for pair in extra}
        closings = dict(KNOWN_MARKS) | given
        tokens = [token for token in tokens if len(token) > 1]
        lone = {
            closing
            for closing in closings.values()
            if template is None or closing in template or any(token in closing for token in tokens)
        }
        begun = {opening: generation_prompt.rfind(opening) for opening in closings}
        opened = max(begun, key=lambda opening: begun[opening])
        if begun[opened] <= generation_prompt.rfind(closings[opened]):
            opened = ""
        return cls(closings, frozenset({*lone, *given.values()}), opened)

    def answer_of(self, text: str) -> str:
        """`text` without its thinking and the newlines around the rest; unchanged if it has none.

        If thinking does not end, as in a response that was cut off inside it, nothing is left.
        """
        end = self._end_of_begun(text)
        while end >= 0 and (mark := self._opening.match(text, end)):
            end = _after(text, self.closings[mark[1]], mark.end())
        if end < 0:
            return ""
        return text[end:].strip("\n") if end else text

    @property
    def texts(self) -> set[str]:
        """Every opening and closing mark."""
        return {mark for pair in self.closings.items() for mark in pair}

    def holds(self, text: str) -> bool:
        """Whether `text` is part of a mark, as each token of the mark is."""
        return any(text in mark for mark in self.texts)

    def unknown_at_start(self, text: str) -> bool:
        """Whether a response begins with an unknown text that looks like an opening mark."""
        mark = _LIKE_A_MARK.match(text, _BLANKS.match(text).end())  # type: ignore[union-attr]
        return mark is not None and not self._is_known(mark.group())

    def unknown_in(self, texts: Iterable[str]) -> list[str]:
        """Unknown texts in a chat template or among tokens that look like an opening mark, sorted."""
        found = {mark.group() for text in texts for mark in _LIKE_A_MARK.finditer(text)}
        return sorted(mark for mark in found if not self._is_known(mark))

    def _is_known(self, mark: str) -> bool:
        return mark in _NOT_MARKS or self.holds(mark)

    def _end_of_begun(self, text: str) -> int:
        """End in `text` of the thinking begun before it: 0 if none was begun, -1 if it does not end."""
        if self.opened:
            return _after(text, self.closings[self.opened], 0)
        first = self._first.search(text)
        return first.end() if first and first.group() in self.lone else 0

    @cached_property
    def _opening(self) -> re.Pattern[str]:
        return re.compile(rf"\s*({_any_of(self.closings)})")

    @cached_property
    def _first(self) -> re.Pattern[str]:
        return re.compile(_any_of([*self.closings, *self.lone]))


def _any_of(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))


def _after(text: str, mark: str, start: int) -> int:
    at = text.find(mark, start)
    return -1 if at < 0 else at + len(mark)
