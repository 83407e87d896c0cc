r"""Generate attacks from templates: hedges around random answers, bombs, giants, look-alikes, code that would run.

Knows: texts that hurt parsers and computer algebra systems (`templates.json`). The same seed gives the same rows.

>>> generated(0) == generated(0)
True
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

SEED = 20_261
Row = tuple[str, str, str]
"""Category, gold answer, response."""

TEMPLATES: dict[str, Any] = json.loads((files("fail2fix.verify.attacks") / "templates.json").read_text("utf-8"))
GOLDS = [*TEMPLATES["numbers"], *TEMPLATES["expressions"]]
LONG_NUMBERS = ("0." + "0" * 100 + "7", "7" * 5000, "7." + "0" * 4000 + "1", "1" + ",000" * 500, "-" * 1000 + "7")

_NAMES = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]|\\(?:zeta|Gamma)")
"""`f(99999) = 7` may name the value; `9^{9^{9}} = 7` is two values."""


def generated(seed: int) -> list[Row]:
    """All generated attacks; several responses have a million characters."""
    draw = random.Random(seed)
    return [
        *_hedges(draw), *_tagged(draw), *_look_alikes(), *_injections(draw), *_bombs(draw), *_giants(), *_deep(),
    ]  # fmt: skip


def _hedges(draw: random.Random) -> Iterator[Row]:
    for template in TEMPLATES["hedges"]:
        for gold in (draw.choice(TEMPLATES["numbers"]), draw.choice(TEMPLATES["expressions"])):
            wrong = draw.choice(TEMPLATES["wrong"])
            yield "hedge, generated", gold, template.replace("GOLD", gold).replace("WRONG", wrong)


def _tagged(draw: random.Random) -> Iterator[Row]:
    """The gold answer in a wrong place, and a wrong one in the right place."""
    for tag in TEMPLATES["tags"]:
        gold, wrong = draw.choice(TEMPLATES["numbers"]), draw.choice(TEMPLATES["wrong"])
        yield "prompt-like text, generated", gold, f"The answer must be {gold}.{tag}\\boxed{{{wrong}}}"
        yield "prompt-like text, generated", gold, f"\\boxed{{{tag}}} {tag}"


def _look_alikes() -> Iterator[Row]:
    for gold, texts in TEMPLATES["look_alikes"].items():
        for text in texts:
            yield "Unicode", gold, f"\\boxed{{{text}}}"


def _injections(draw: random.Random) -> Iterator[Row]:
    for payload in TEMPLATES["payloads"]:
        for wrapper in TEMPLATES["wrappers"]:
            # A payload with the gold answer would be right in the `auto` channel.
            gold = draw.choice([gold for gold in GOLDS if gold not in payload])
            yield "code and parser injection", gold, wrapper.replace("PAYLOAD", payload)


def _bombs(draw: random.Random) -> Iterator[Row]:
    for bomb in (*TEMPLATES["bombs"], *LONG_NUMBERS):
        for gold in ("7", r"\sqrt{2}", draw.choice(("x+1", r"\frac{\pi}{3}", "(1,2)", "x^{2}+y^{2}"))):
            yield "bomb", gold, f"\\boxed{{{bomb}}}"
        yield "bomb", "7", f"\\boxed{{6 = {bomb} = 7}}"
        if not _NAMES.search(bomb):
            yield "bomb", "7", f"\\boxed{{{bomb} = 7}}"
        yield "bomb", "1, 2", f"\\boxed{{1, {bomb}}}"


def _giants() -> Iterator[Row]:
    """Long texts, each of which ends in its own way, since the last characters decide."""
    units = (
        "7", "x+", r"\boxed{8}", r"\boxed{", "}", "{", "7,", "1=", r"\frac{1}{", r"\sqrt{", r"\left(", "^", "$", "\\",
        "is 1 ",
    )  # fmt: skip
    for unit in units:
        yield "giant", "7", unit * (1_000_000 // len(unit)) + " or 8"
        yield "giant", "x+1", r"\boxed{" + unit * (3_000 // len(unit)) + "}"
        yield "giant", r"\sqrt{2}", r"\boxed{" + unit * (390 // len(unit)) + "}"
    yield "giant", "7", "\n".join(rf"\boxed{{{number}}}" for number in range(5_000))
    yield "giant", "7", ", ".join(rf"\boxed{{{number}}}" for number in range(5_000))
    yield "giant", "7", rf"\boxed{{{', '.join(map(str, range(150)))}}}"
    yield "giant", "7", rf"\boxed{{{' = '.join(map(str, range(8, 150)))} = 7}}"
    yield "giant", "1, 2", rf"\boxed{{{', '.join(f'x+{n}' for n in range(60))}}}"
    yield "giant", "x+1", rf"\boxed{{{'+'.join(f'x^{{{n}}}' for n in range(16))}}}"
    yield "giant", "x+1", rf"\boxed{{x + {' + '.join('1' for _ in range(90))}}}"


def _deep() -> Iterator[Row]:
    """Nesting within the verifier's limits and far beyond them."""
    brackets = (("(", ")"), ("{", "}"), (r"\sqrt{", "}"), (r"\sin(", ")"), (r"\frac{1}{1+", "}"), ("|", "|"))
    for depth in (3, 9, 40, 2_000):
        for opening, closing in brackets:
            yield "deep nesting", r"\sqrt{2}", r"\boxed{" + opening * depth + "x+2" + closing * depth + "}"
            yield "deep nesting", "7", r"\boxed{" + opening * depth + "6+1" + closing * depth + "}"
