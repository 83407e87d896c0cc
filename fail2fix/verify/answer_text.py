r"""Where in a response the answer stands: one channel, found by reading braces, never by evaluating anything.

Knows: the text of a response, `\boxed{...}` and the bound on how much of a response is read.
Must not know: sympy, math-verify, processes. It is linear in the text and safe to run in the trainer's
process.

>>> find_answer(r"First \boxed{3}.\nWait, it is \boxed{12}.".replace(r"\n", chr(10))).text
'12'
"""

import re
from dataclasses import dataclass

MAX_RESPONSE_CHARS = 20_000
"""Only the last so many characters of a response are read: an answer is at the end, and the bound keeps what
is scanned here and what is sent to a worker small whatever a policy writes."""

MAX_SAME_ANSWER_GAP = 40
r"""Two boxes on one line with at most so many characters between them are one answer: a list (`\boxed{1} and
\boxed{2}`) or a hedge (`\boxed{8} or maybe \boxed{7}`), which as a list equals no single gold."""

_BOX = r"\\(?:boxed|fbox)\s*(?=\{)"
_BRACES = re.compile(rf"(?P<box>{_BOX})\{{|\\[{{}}]|(?P<open>\{{)|(?P<close>\}})")


@dataclass(frozen=True)
class AnswerText:
    r"""What a response offers as its answer.

    `boxed` says whether the response uses the box channel at all; `text` is the content of the last box,
    boxes that belong to one answer joined by ", ". `boxed` with an empty `text` is a box that never closes (a
    response cut off): no answer. Without a box `text` is the part of the response that may be searched.
    """

    text: str
    boxed: bool


def find_answer(response: str) -> AnswerText:
    r"""The answer channel of `response`: its last `\boxed{...}` (or `\fbox{...}`), else its tail.

    A response with a box in it is never searched for other answers, so a policy cannot offer one answer in
    the box and another one beside it. Of nested boxes the outermost counts. Time and memory are linear in the
    tail read.
    """
    # Lone surrogates would make the answer unprintable and every dump that holds it fail.
    tail = response[-MAX_RESPONSE_CHARS:].encode("utf-8", "replace").decode()
    if not re.search(_BOX, tail):
        return AnswerText(tail, boxed=False)
    contents = [_content(tail, start, end) for start, end in _last_boxes(_closed_boxes(tail), tail)]
    return AnswerText(", ".join(dict.fromkeys(contents)), boxed=True)


def same_text(answer: AnswerText, gold: str) -> bool:
    """Whether a boxed answer is `gold` letter for letter, up to outer blanks, `$` and a final full stop.

    True settles a check without sympy; False settles nothing. An empty answer is never the same as anything.
    """
    pred = _bare(answer.text)
    return answer.boxed and pred != "" and pred == _bare(gold)


def _bare(text: str) -> str:
    return text.strip().removesuffix(".").strip("$ \n\t")


def _content(tail: str, start: int, end: int) -> str:
    """The text between the braces at `start` and `end`, without the commands of boxes nested in it."""
    return re.sub(_BOX, "", tail[start + 1 : end]).strip()


def _closed_boxes(tail: str) -> list[tuple[int, int]]:
    """Brace positions (open, close) of the outermost closed boxes, in order."""
    stack: list[tuple[int, bool]] = []
    boxes: list[tuple[int, int]] = []
    for token in _BRACES.finditer(tail):
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
    """The last box and those directly before it that belong to the same answer."""
    answer = boxes[-1:]
    for box in reversed(boxes[:-1]):
        gap = tail[box[1] + 1 : answer[0][0]]
        if "\n" in gap or len(gap) > MAX_SAME_ANSWER_GAP:
            break
        answer.insert(0, box)
    return answer
