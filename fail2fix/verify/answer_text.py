r"""Find the answer in a response: in one declared channel, by reading, never by evaluating.

Knows: the channels below, and the bound on how much of a response is read. Must not know: sympy, math-verify,
processes. Linear in the text and safe in the trainer's process.

Only the text after thinking is read; nothing is left of thinking that does not end.

A prompt template declares its channel. The other channels are read too: a response that says different things in two
places is wrong in both. With a declared box they count behind the last box only, and directly before it: what the
working says earlier is no answer.

- `boxed`: the content of the last `\boxed{...}` (or `\fbox{...}`); of nested boxes, the outermost.
- `answer_line`: the text after the last `Answer:`, `answer is`, `####`, or inside `<answer>...</answer>`.
- `auto`, for text without a declared template: the box, else the answer line, else the last formula or number of the
  last paragraph. One that is denied (`not 13`, `13 is wrong`), bounded (`at most 13`) or part of a calculation
  (`5 + 13`, `13 million`) is none.

>>> find_answer(r"First \boxed{3}.\nWait, it is \boxed{12}.".replace(r"\n", chr(10))).text
'12'
>>> find_answer("So there are 7 apples, or 8.").text, find_answer("Answer: 7").text
('7', '7')
"""

import re
from dataclasses import dataclass
from typing import Literal

from fail2fix.method.thinking import ThinkingMarks
from fail2fix.verify.exact_number import NO_UNIT
from fail2fix.verify.prose import FORMULA, MAX_LINE_CHARS, NUMBER, WORD, inside, is_bare, is_denied, last_said

ChannelName = Literal["auto", "boxed", "answer_line"]

MAX_RESPONSE_CHARS = 20_000
"""Last characters of a response that are read: an answer is at the end, and this bounds the work of every reader."""

MAX_SAME_ANSWER_GAP = 40
r"""Characters between two boxes of one answer on a line: a list (`\boxed{1} and \boxed{2}`), or a hedge (`\boxed{8} or
maybe \boxed{7}`), which as a list equals no single gold answer.
"""

_THINKING = ThinkingMarks.of()
_BOX = r"\\(?:boxed|fbox)\s*(?=\{)"
_A_BOX = re.compile(_BOX)
_BARE_BOX = re.compile(r"(\\(?:boxed|fbox))(?:\s*(-?\d+(?:\.\d+)?)|\s+([a-zA-Z])(?![a-zA-Z]))")
_MINUS = re.compile(r"\u2212|(?<![\w)])[\u2013\u2014](?=[\d.])")
_BRACES = re.compile(rf"(?P<box>{_BOX})\{{|\\[{{}}]|(?P<open>\{{)|(?P<close>\}})")
_LINE = re.compile(
    r"####[ \t]*|</?(?:final_)?answer>[ \t]*|\b(?:final[ \t]+)?answer\**[ \t]*(?:\**:\**|is\b:?)[ \t*]*", re.IGNORECASE
)
_LINE_MARKS = ("answer", "####")
_REMARK = re.compile(r"[a-z][^.!?\n\d$\\]*(?=[.!?] [A-Z])")
"""A sentence after `answer is` without a value (`this answer is in lowest terms.`): the answer ends with it."""

_SAYS = re.compile(r"[0-9]|(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z]{3})")
_DOUBT = r"(?:or|alternatively|maybe|perhaps|possibly)"
_HEDGE = re.compile(
    rf"\W{{0,12}}(?:\\text ?\{{ ?|\W{{0,12}})?\b(?:{_DOUBT}|(?:and|but) also)\b"
    r"(?:[\s,:]*(?:(?:maybe|perhaps|possibly|even|also|simply|just|rather|it is|it's|the answer is)[\s,:]*){0,2}"
    r"(?P<formula>\$)"
    r"|[^.\n\d\\$]{0,30}?(?P<value>-?[\d\\]))",
    re.IGNORECASE,
)
"""Another value behind an answer. Words before a formula (`alternatively, by symmetry $PQ$`) begin a derivation."""

_AND_MORE = re.compile(r"\W{0,3}\b(?:or|and|to|if|unless|but|alternatively|otherwise)\b[^.\n]*[\d\\$]", re.IGNORECASE)
"""After the first value of an answer line: the line says more than that value."""

_GOES_ON = re.compile(
    r"[\s{}()$\\]{0,8}(?:[-+*/!^×÷·⋅(]|cdot|times|div|d?frac|sqrt|pi|left|binom|choose)"
    r"[^\n=]{0,200}=[^\n]{0,200}\\(?:boxed|fbox)"
)
"""After a number: it is part of a calculation whose result is in a box."""

_MORE_NUMBERS = re.compile(r"[^.\n=]*\d")
_EITHER = re.compile(rf"(?:\d|\$|\\\))\W{{0,3}}\b{_DOUBT}\b[^.\n\d]{{0,30}}[\d$\\]", re.IGNORECASE)
_NAMED = re.compile(r"\s*\$?\\?[a-zA-Z]{1,5}(?:_\{?\w{1,3}\}?)?\s*=")
_CLOSING_TAG = re.compile(r"</(?:final_)?answer>", re.IGNORECASE)
_AFTER_LINE = re.compile(rf"\n|{_CLOSING_TAG.pattern}", re.IGNORECASE)
_AFTER_DISPLAY = re.compile(rf"\n\s*\n|{_CLOSING_TAG.pattern}", re.IGNORECASE)
_ENUMERATES = re.compile(r"[\s$,;.)(\\]*(?:(?:and|quad|text\{ ?and ?\})[\s$,;.)(\\]*)*(?:\\(?:boxed|fbox)\s*)?")
_END_OF_STEP = re.compile(r"\n|[.!?] |\b(?:but|so|then|thus|hence|therefore|because|gives?|however)\b", re.IGNORECASE)
_CUT_MARKS = re.compile(r"<\|[a-z_]{2,20}\|>.*\Z|I hope it is correct\.?", re.DOTALL)


@dataclass(frozen=True)
class AnswerText:
    r"""The answer that a response offers.

    `text`: "" if the declared channel is empty, or its box never closes (a truncated response). `others`: contents of
    the other channels that read as an answer. `hedged`: another answer follows at once (`\boxed{7} or 8`). `equation`:
    the whole equation of prose whose right side `text` is, for a gold answer that is an equation; "" if there is none.
    """

    text: str
    others: tuple[str, ...] = ()
    hedged: bool = False
    equation: str = ""


def find_answer(response: str, channel: ChannelName = "auto") -> AnswerText:
    """The answer in the declared channel of `response`, read from its last 20,000 characters."""
    tail = _tail(response)
    has_box = _A_BOX.search(tail) is not None
    if channel == "boxed" or (channel == "auto" and has_box):
        text, start, offered = _boxed(tail)
        lines, _ = _lines(tail if channel == "auto" else tail[_step_before(tail, start) :] if text else "")
        said = [_core(line) if not _A_BOX.search(line) else _number_in_front(line) for line in lines]
        return AnswerText(text, (*(other for other in said if _is_plain_answer(other)), *offered))
    lines, offered = _lines(tail)
    if channel == "answer_line" or lines:
        boxed = _boxed(tail)[0] if has_box else ""
        said = [_core(line) for line in lines]
        others = [other for other in (*said[:-1], boxed) if other == boxed != "" or _is_plain_answer(other)]
        return AnswerText(said[-1] if said else "", (*others, *offered))
    if is_bare(tail.strip()):
        return AnswerText(tail.strip())
    last = last_said(tail)
    hedged = "," not in last.answer and _EITHER.search(last.paragraph) is not None
    return AnswerText(last.answer, hedged=hedged, equation=last.equation)


def _tail(response: str) -> str:
    """The last characters after thinking, with one spelling of boxes and signs."""
    tail = _THINKING.answer_of(response)[-MAX_RESPONSE_CHARS:]
    if "<|" in tail or "I hope" in tail:
        tail = _CUT_MARKS.sub("", tail)
    if "box" in tail:
        tail = _BARE_BOX.sub(r"\1{\2\3}", tail)
    if tail.isascii():
        return tail
    # Lone surrogates would make the answer unprintable and every dump that holds it fail.
    return _MINUS.sub("-", tail.encode("utf-8", "replace").decode())


def _boxed(tail: str) -> tuple[str, int, tuple[str, ...]]:
    """The content of the last box, boxes of one answer joined by ", "; its start; other answers that follow at once."""
    boxes = [box for box in _closed_boxes(tail) if tail[box[0] + 1 : box[1]].strip()]
    last = _last_boxes(boxes, tail)
    if not last:
        return "", len(tail), ()
    # Without the commands of nested boxes.
    contents = [_A_BOX.sub("", tail[start + 1 : end]).strip() for start, end in last]
    # `\boxed{7}, that is \boxed{7}` says one thing twice; `\boxed{7} and \boxed{7}` are two values.
    gaps = [tail[one[1] + 1 : two[0]] for one, two in zip(last, last[1:], strict=False)]
    if not all(_ENUMERATES.fullmatch(gap) for gap in gaps):
        contents = list(dict.fromkeys(contents))
    return ", ".join(contents), last[0][0], _offered(tail, last[-1][1] + 1)


def _step_before(tail: str, place: int) -> int:
    """The start of the sentence or step that ends at `place`, on its line."""
    start = max(0, place - MAX_LINE_CHARS)
    ends = [start, *(match.end() for match in _END_OF_STEP.finditer(tail, start, place))]
    return ends[-1]


def _offered(tail: str, start: int) -> tuple[str, ...]:
    """The value that `or`, `maybe` and the like offer at `start`, if there is one."""
    hedge = _HEDGE.match(tail, start)
    if not hedge:
        return ()
    value = max(hedge.start("formula"), hedge.start("value"))
    found = FORMULA.match(tail, value) or NUMBER.match(tail, value)
    text = found[0] if found else re.split(r"[\n$]|\. ", tail[value : value + MAX_LINE_CHARS])[0]
    return (text.strip(),) if text.strip() else ()


def _lines(tail: str) -> tuple[list[str], tuple[str, ...]]:
    """Contents of the last pair of tags, the last `####` line and the last other answer line, in their order; and
    another answer offered right behind the last of them."""
    lower = tail.lower()
    first = min((place for mark in _LINE_MARKS if (place := lower.find(mark)) >= 0), default=None)
    if first is None:
        return [], ()
    last: dict[str, int] = {}
    for match in _LINE.finditer(tail, max(0, first - 20)):
        # A closing tag ends an answer, it begins none.
        if not match[0].startswith("</"):
            kind = match[0][0] if match[0][0] in "<#" else ""
            last.pop(kind, None)
            last[kind] = match.end()
    ends = [_end_of_line(tail, start) for start in last.values()]
    said = [tail[start:end].strip() for start, end in zip(last.values(), ends, strict=True)]
    closed = _CLOSING_TAG.match(tail, ends[-1]) if ends else None
    return said, _offered(tail, closed.end()) if closed else ()


def _end_of_line(tail: str, start: int) -> int:
    """End of the answer that begins at `start`: its remark, tag or line, or the paragraph of its displayed formula."""
    start += len(tail[start:]) - len(tail[start:].lstrip())
    in_prose = tail[max(0, start - MAX_LINE_CHARS) : start].rstrip(" \t*:").lower().endswith(" is")
    if in_prose and (remark := _REMARK.match(tail, start)):
        return remark.end()
    stop = _AFTER_DISPLAY if re.compile(r"\\\[|\$\$").match(tail, start) else _AFTER_LINE
    found = stop.search(tail, start)
    return found.start() if found else len(tail)


def _core(line: str) -> str:
    """The formula or number of an answer line, without the words around it."""
    line = line.strip().strip("*`").strip()
    formula, counted = FORMULA.match(line), NUMBER.match(line)
    first = formula or counted
    if first and _AND_MORE.match(line, first.end()):
        return line.rstrip(".")
    if first and is_denied(line, 0, first.end()):
        return line
    if formula and (line[formula.end() :].lstrip("* ")[:1] in ("", ".") or WORD.search(line, formula.end())):
        return inside(formula)
    if counted and NO_UNIT.match(line, counted.end() + 1):
        return line.rstrip(".")
    if counted and _MORE_NUMBERS.match(line, counted.end()):
        return line.rstrip(".")
    if counted and re.match(r" [a-zA-Z]", line[counted.end() :]):
        return counted[0].strip()
    if len(line) <= MAX_LINE_CHARS and not re.search(r"[a-z]{2,} [a-z]{2,} ", line):
        return line.rstrip(".")
    return last_said(line).answer


def _number_in_front(line: str) -> str:
    """The number before a box on an answer line: `Answer: 8 then` a box says two things.

    A number that is part of a calculation says none: `the answer is $7 - 2 =` a box.
    """
    line = line.strip().strip("*").strip()
    found = NUMBER.match(line)
    if not found:
        return ""
    divided = found[0].find("/")
    number_ends = divided if divided >= 0 else found.end()
    return "" if _GOES_ON.match(line, number_ends) else found[0].strip()


def _is_plain_answer(text: str) -> bool:
    """Whether a text could be meant as the answer: one value, no prose, no working."""
    value = _NAMED.sub("", text)
    return (
        len(text) <= MAX_LINE_CHARS and "=" not in value and _SAYS.search(value) is not None and not WORD.search(text)
    )


def _closed_boxes(tail: str) -> list[tuple[int, int]]:
    """Brace positions (open, close) of the outermost closed boxes, in order."""
    stack: list[tuple[int, bool]] = []
    boxes: list[tuple[int, int]] = []
    first = _A_BOX.search(tail)
    for token in _BRACES.finditer(tail, first.start() if first else len(tail)):
        if token["box"] or token["open"]:
            stack.append((token.end() - 1, token["box"] is not None))
        elif token["close"] and stack:
            start, is_box = stack.pop()
            if is_box:
                while boxes and boxes[-1][0] > start:
                    boxes.pop()
                boxes.append((start, token.start()))
    return boxes


def _last_boxes(boxes: list[tuple[int, int]], tail: str) -> list[tuple[int, int]]:
    """The last box, and the boxes directly before it that belong to the same answer."""
    answer = boxes[-1:]
    for box in reversed(boxes[:-1]):
        gap = tail[box[1] + 1 : answer[0][0]]
        if "\n" in gap or len(gap) > MAX_SAME_ANSWER_GAP:
            break
        answer.insert(0, box)
    return answer
