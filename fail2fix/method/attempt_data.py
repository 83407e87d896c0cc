"""An attempt as data: encoded with special tokens disabled, and free of every marker of the prompt around it.

Knows: texts, token ids, one fast tokenizer. Must not know: chat messages, the prompt's words, verdicts.

A space breaks up every marker in an attempt: our delimiters and sentences, texts of special and added tokens, and the
template's plain-text role lines. The result is checked on the ids that the engine receives. An attempt that fails the
check is not used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenizers import Encoding, Tokenizer

from fail2fix.method.markers import Markers, omission_notice
from fail2fix.method.thinking import ThinkingMarks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Fewer tokens of a shortened attempt are not worth a correction.
MIN_ATTEMPT_TOKENS = 16
# The beginning tells the approach, the end the answer.
HEAD_SHARE = 0.6
# Stands for any count of left-out tokens when the notice's length is estimated.
_MANY = 88_888


@dataclass(frozen=True)
class Response:
    """What the policy wrote. Ours.

    `text`: without its special tokens; marks of thinking stay. `ids`: without the end of the turn; None if they cannot
    be used as they are: blank, a marker in their text, a special or an unknown id among them.
    """

    text: str
    ids: list[int] | None


class AttemptData:
    """Encodes, checks and shortens the texts of attempts for one tokenizer. Ours.

    `forbidden`: ids of special and added tokens. `ends`: ids that may end a response. `notice_tokens`: the estimated
    length of the notice in a shortened attempt.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, marks: ThinkingMarks, markers: Markers) -> None:
        self._markers = markers
        self._data = _data_tokenizer(tokenizer, marks)
        self._id_limit = max(tokenizer.get_vocab().values()) + 1
        self.forbidden = frozenset(added_tokens(tokenizer)) | frozenset(tokenizer.all_special_ids)
        self.ends = {tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
        self.notice_tokens = len(self._encode_one(omission_notice(_MANY)))

    def read(self, responses: Sequence[list[int]], ends_of_turn: Sequence[int | None]) -> list[Response]:
        """Texts and usable ids of responses, one each.

        `ends_of_turn`: the id that ends a turn in each response's conversation, beside `ends`; None: there is none.
        """
        texts = self._data.decode_batch(responses, skip_special_tokens=True)
        return [
            Response(text, self._own_ids(text, ids, self.ends | {end}))
            for text, ids, end in zip(texts, responses, ends_of_turn, strict=True)
        ]

    def quote(self, texts: list[str]) -> list[Encoding | None]:
        """Texts encoded as data; None where a marker survives.

        A tokenizer that normalizes can turn look-alikes into special tokens' texts (full-width under NFKC). The second
        round therefore starts from the decoded ids of the first.
        """
        quotes: list[Encoding | None] = [None] * len(texts)
        pending = dict(enumerate(texts))
        for _ in range(2):
            cleaned = {i: self._markers.neutralize(text) for i, text in pending.items()}
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
        return self.forbidden.isdisjoint(ids) and not self._markers.found_in(text)

    def _own_ids(self, text: str, ids: list[int], ends: set[int | None]) -> list[int] | None:
        if not text.strip() or self._markers.found_in(text):
            return None
        own = ids[:-1] if ids[-1] in ends else ids
        # Engines have more output ids than the tokenizer has tokens, and refuse those ids in a prompt.
        known = all(0 <= i < self._id_limit for i in own)
        return own if known and self.forbidden.isdisjoint(own) else None

    def shorten(self, ids: list[int], offsets: Sequence[tuple[int, int]], room: int) -> list[int] | None:
        """At most `room` ids: head, notice, tail. None if too little is left or a cut made a marker.

        `offsets`: where each token's characters begin and end in the text.
        """
        for keep in range(room - self.notice_tokens, MIN_ATTEMPT_TOKENS - 1, -1):
            in_head = int(keep * HEAD_SHARE)
            head, tail = _whole_cut(offsets, in_head, -1), _whole_cut(offsets, len(ids) - (keep - in_head), 1)
            notice = self._encode_one(omission_notice(tail - head))
            if head + len(notice) + len(ids) - tail > room:
                continue  # this count takes more tokens than the estimate
            parts = [ids[:head], ids[tail:]]
            clean = all(map(self._is_clean, parts, self._decode_all(parts)))
            return [*parts[0], *notice, *parts[1]] if clean else None
        return None

    def _encode_one(self, text: str) -> list[int]:
        ids: list[int] = self._data.encode(text, add_special_tokens=False).ids
        return ids

    def _decode_all(self, batch: list[list[int]]) -> list[str]:
        texts: list[str] = self._data.decode_batch(batch, skip_special_tokens=False)
        return texts


def _whole_cut(offsets: Sequence[tuple[int, int]], cut: int, step: int) -> int:
    """The nearest cut from `cut` on, in steps of -1 or 1, that is not inside a character spread over several tokens."""
    while 0 < cut < len(offsets) and offsets[cut][0] < offsets[cut - 1][1]:
        cut += step
    return cut


def parsed_texts(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """The texts that a tokenizer parses as tokens of their own wherever they occur, blanks and single characters
    aside."""
    return {*added_tokens(tokenizer).values(), *tokenizer.all_special_tokens}


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
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
