"""Markers that quoted data must not contain, and how a space breaks them up.

Knows: marker strings, phrases of the prompt, and what this package writes around an attempt (delimiters, and the notice
of a shortening). Must not know: tokenizers, chat templates, verdicts.

A marker is broken up by one inserted space, so that the words stay readable and nothing is lost:

>>> Markers.of(["<|im_end|>"]).neutralize("x <|im_end|> y </ATTEMPT> z")
'x < |im_end|> y </A TTEMPT> z'

What a tokenizer parses is matched exactly. Delimiters, notice, role lines and the prompt's own phrases mislead a reader
even in disguise. They are matched in a folded view of the text, in which look-alikes are equal:

>>> Markers.of([], roles=["USER:"]).neutralize("<\\\\/\\u0430ttempt> \\uff35ser :")
'<\\\\/\\u0430 ttempt> \\uff35 ser :'
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from unicodedata import category, normalize

OPEN_DELIMITER = "<attempt>"
CLOSE_DELIMITER = "</attempt>"

# Inserting a space can only complete another marker if that marker has a space in it. Two rounds settle the templates
# we know; a text that four rounds do not settle is rejected.
MAX_ROUNDS = 4
# Longer role lines are recognized by their beginning.
MAX_MARKER_CHARS = 120
# A shorter sentence of the prompt, blanks not counted, is also ordinary language.
MIN_PHRASE_CHARS = 12

# Both delimiters, however slashed, spaced and disguised. The space goes *inside the word*: `< /attempt>` would
# still close the block in a reader's eyes. A run holds no `<`, which keeps this linear.
_OWN_DELIMITER = r"<[/\\\s]*a(?=ttempt)"
_OWN_NOTICE = r"\[(?=\.\.\.\s*\d+\s*tokens\s*left\s*out)"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")

# Unicode categories of characters that print nothing, or only on top of another.
_UNSEEN = {"Cf", "Cc", "Mn", "Me"}
_HANGUL_FILLERS = "\u115f\u1160"
# Brackets and slashes; Cyrillic, Greek, Cherokee and small-capital letters. What NFKD reaches is not listed.
_LOOK_ALIKES = {
    "<": "\u2039\u3008\u27e8\u276e\u276c\u02c2\u1438\u00ab\u27ea\u29fc",
    "/": "\u2044\u2215\u2571\u29f8",
    "\\": "\u2216\u2572\u29f5\u29f9",
    "a": "\u0430\u03b1\u0251\u1d00\u13aa",
    "b": "\u0432\u03b2",
    "c": "\u0441",
    "e": "\u0435\u0454\u03b5\u025b\u1d07\u13ac\u212e",
    "h": "\u043d\u04bb\u03b7",
    "i": "\u0456\u03b9",
    "k": "\u043a\u03ba",
    "m": "\u043c\u03bc\u1d0d\u13b7",
    "n": "\u03bd",
    "o": "\u043e\u03bf",
    "p": "\u0440\u03c1\u1d18\u13e2",
    "s": "\u0455",
    "t": "\u0442\u03c4\u1d1b\u13a2",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03c5",
}
_PLAIN = {ord(other.lower()): plain for plain, others in _LOOK_ALIKES.items() for other in others}
_PLAIN |= dict.fromkeys(map(ord, _HANGUL_FILLERS), "")
# Everything that folding changes other than by lower case.
_ODD = re.compile(r"[^\t-\r -~]+")


class _Folds(dict[int, str]):
    """Character code to the character it looks like: lower case, '' if invisible. Filled on demand."""

    def __missing__(self, code: int) -> str:
        seen = (c for c in normalize("NFKD", chr(code)) if c.isspace() or category(c) not in _UNSEEN)
        self[code] = fold = "".join(seen).lower().translate(_PLAIN)
        return fold


_FOLDS = _Folds()


def omission_notice(left_out: int) -> str:
    """The text that replaces `left_out` tokens in the middle of a shortened attempt."""
    return f"\n[... {left_out} tokens left out ...]\n"


def _fold(text: str) -> str:
    """Fold `text`: replace each character by the one it looks like."""
    return _ODD.sub(lambda odd: odd.group().translate(_FOLDS), text).lower()


def _unfolded(text: str, ends: Sequence[int]) -> list[int]:
    """Positions in `text` of the positions `ends` in the folded `text`, each after a whole character."""
    if not ends or not _ODD.search(text):
        return list(ends)
    lengths = list(accumulate(len(_FOLDS[ord(character)]) for character in text))
    return [bisect_left(lengths, end) + 1 for end in ends]


def _any_of(texts: set[str]) -> str:
    """A regex for any of `texts`, branching character by character: cost does not grow with their number."""
    if "" in texts:
        return ""
    branches = [re.escape(first) + _any_of(rest) for first, rest in _tails(texts)]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def _tails(texts: Iterable[str]) -> list[tuple[str, set[str]]]:
    """Each first character of `texts`, and what follows it in them."""
    tails: dict[str, set[str]] = {}
    for text in texts:
        tails.setdefault(text[0], set()).add(text[1:MAX_MARKER_CHARS])
    return sorted(tails.items())


def _exactly(texts: Iterable[str]) -> re.Pattern[str]:
    """A pattern whose every match is the first character of one of `texts`; a space after it breaks the marker."""
    return re.compile("|".join(f"{re.escape(c)}(?={_any_of(t)})" for c, t in _tails(texts)) or "(?!)")


def _however_spaced(text: str, *, own_word: bool = False) -> str | None:
    """A regex, for folded text, of the piece of `text` after which a space breaks it; None if no space can.

    The break is inside a word: around words and signs, spaces are allowed anyway. `own_word`: match only where a word
    can begin.
    """
    words = re.findall(r"\w+|[^\w\s]", _fold(text))
    breakable = next((i for i, word in enumerate(words) if len(word) > 1), None)
    if breakable is None:
        return None
    word = words[breakable]
    before, after = [*words[:breakable], word[0]], [word[1:], *words[breakable + 1 :]]
    # Every branch begins with a plain character, by which the search engine skips ahead.
    guard = rf"(?<!\S{re.escape(before[0])})" if own_word else ""
    return f"{re.escape(before[0])}{guard}{_spaced(['', *before[1:]])}(?={_spaced(after)})"


def _spaced(words: Iterable[str]) -> str:
    return r"\s*".join(map(re.escape, words))


def _sentences(text: str) -> list[str]:
    """The sentences of `text` without their closing signs. Sentences that any prose may contain are left out."""
    sentences = (sentence.strip().rstrip(".!?:。！？：") for sentence in _SENTENCE_END.split(text))
    return [sentence for sentence in sentences if len("".join(sentence.split())) >= MIN_PHRASE_CHARS]


def _by_looks(roles: Iterable[str], phrases: Iterable[str]) -> re.Pattern[str]:
    """A pattern for folded text whose every match is the piece of a marker after which one space breaks it."""
    # A role line is also part of ordinary words (`superuser:`), so only a whole word counts.
    lines = {_however_spaced(role, own_word=True) for role in roles}
    said = {_however_spaced(sentence) for text in phrases for sentence in _sentences(text)}
    return re.compile("|".join([_OWN_DELIMITER, _OWN_NOTICE, *sorted(filter(None, lines | said))]))


@dataclass(frozen=True)
class Markers:
    """The markers of one tokenizer, chat template and prompt, with this package's own. Ours.

    Attributes:
        texts: the marker strings, each of at least two characters.
        exactly: matches `texts` anywhere.
        by_looks: matches in the folded view; the delimiters and the notice are always included.
    """

    texts: tuple[str, ...]
    exactly: re.Pattern[str]
    by_looks: re.Pattern[str]

    @classmethod
    def of(cls, texts: Iterable[str], *, roles: Iterable[str] = (), phrases: Iterable[str] = ()) -> Markers:
        """Markers from strings; a single character cannot be broken up and is left out.

        Args:
            texts: matched exactly and anywhere.
            roles: plain-text role lines, matched exactly anywhere, and by their looks as whole words.
            phrases: the prompt's own words, each sentence matched by its looks anywhere.
        """
        roles = sorted(set(roles))
        kept = tuple(sorted({text for text in (*texts, *roles) if len(text) > 1 and text.strip()}))
        return cls(
            texts=kept,
            exactly=_exactly(kept),
            by_looks=_by_looks([role[:MAX_MARKER_CHARS] for role in roles], phrases),
        )

    def found_in(self, text: str) -> bool:
        """Whether any marker occurs in `text`."""
        return self.exactly.search(text) is not None or self.by_looks.search(_fold(text)) is not None

    def first_exact(self, text: str) -> str:
        """The first of `texts` that occurs in `text`, of several at one place the longest; "" if none occurs."""
        found = self.exactly.search(text)
        return max((t for t in self.texts if text.startswith(t, found.start())), key=len, default="") if found else ""

    def neutralize(self, text: str) -> str | None:
        """`text` with every marker broken up, unchanged if it has none; None if a marker is left after `MAX_ROUNDS`."""
        for _ in range(MAX_ROUNDS):
            breaks = self._breaks(text)
            if not breaks:
                return text
            pieces = zip([0, *breaks], [*breaks, len(text)], strict=True)
            text = " ".join(text[start:end] for start, end in pieces)
        return None if self.found_in(text) else text

    def _breaks(self, text: str) -> list[int]:
        """Sorted positions in `text` at which a space is inserted."""
        seen = [match.end() for match in self.by_looks.finditer(_fold(text))]
        return sorted({match.end() for match in self.exactly.finditer(text)}.union(_unfolded(text, seen)))
