r"""Compare chosen letters: an answer may add the text of its option, but no other letter and no doubt.

Knows: letters A to J and the words around them. Must not know: mathematics.

>>> same_choice("B", "B. A triangle"), same_choice("B", "B or C"), same_choice("(A) cats", "A"), same_choice("7", "A")
(True, False, True, None)
"""

import re

from fail2fix.verify.exact_number import HEDGE

_CHOICE = re.compile(
    r"\(?(?P<letter>[A-J])(?:\)?[.:)](?! *[+*/^=_]| *- |-) ?(?P<text>.*)|\)?(?P<remark> [a-zA-Z]{2}.*)?)"
)
"""A letter with a mark and its text, or with words: `(A) + 1` is an expression."""

_OTHER_CHOICE = re.compile(
    r"(?:^|[,;:.(] ?|\b(?:or|and|n[eo]r|not|is|are|also|but|than|maybe|perhaps|either|neither|option|answer) )"
    r"\(?(?:A(?! [a-z])|[B-HJ])\b|\b(?:or|and) \(?I\b|^and\b|\b(?:is|are)(?: also)?\Z"
)
_TAKEN_BACK = re.compile(r"^\W*(?:or|but|unless|maybe|perhaps|possibly|alternatively|not sure)\b", re.IGNORECASE)


def same_choice(gold: str, pred: str) -> bool | None:
    """Whether two texts without commands choose one letter; None if the gold answer is no choice."""
    choice = re.fullmatch(r"([A-J])|\(([A-J])\)(?! *[+*/^=_]| *- |-).{0,80}", gold)
    if not choice:
        return None
    named = _CHOICE.fullmatch(pred)
    return named is not None and named["letter"] == (choice[1] or choice[2]) and not _retracts(named)


def _retracts(choice: re.Match[str]) -> bool:
    """Whether the text after a chosen letter names another letter or takes the choice back.

    Behind a mark it is the option's own text, with letters (`Vitamin D`, `A triangle`) and denials (`None of these`).
    """
    said = (choice["text"] or choice["remark"] or "").strip()
    doubt = HEDGE if choice["remark"] else _TAKEN_BACK
    return _OTHER_CHOICE.search(re.sub(rf"\b{choice['letter']}\b", "", said)) is not None or bool(doubt.search(said))
