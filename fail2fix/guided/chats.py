"""Chats to imitate, in parquet files of one row a chat::

    {"messages": [{"role": "user", ...}, {"role": "assistant", ...}], "kind": "correction", "problem": "gsm8k-17"}

`kind` is base or correction (base where a file has no such column); chats of one `problem` (where there is none: of one
request) are on the same side of the split into training and held-out chats. Must not know: verifiers, engines.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice, pairwise, zip_longest
from math import ceil, floor
from pathlib import Path
from typing import Any

from fail2fix.data.rows import read_parquet
from fail2fix.method.attempt_data import parsed_texts
from fail2fix.method.errors import InputError, reading
from fail2fix.method.markers import Markers
from fail2fix.method.seeds import derived_seed
from fail2fix.method.thinking import ThinkingMarks

Chat = list[dict[str, str]]

KINDS = ("base", "correction")
MAX_LENGTH = 512
MOST_QUOTED = 200  # characters of a line that a diagnosis quotes


@dataclass(frozen=True)
class Mix:
    """Which chats of some files are learned, as options of the command line."""

    correction_share: float = field(default=0.5, metadata={"help": "of --chats: share of correction prompts"})
    held_out: float = field(default=0.1, metadata={"help": "of --chats: share of problems for the held-out loss"})
    max_length: int = field(default=MAX_LENGTH, metadata={"help": "of --chats: longest chat in tokens"})

    def __post_init__(self) -> None:
        if not (0 <= self.correction_share <= 1 and 0 <= self.held_out < 1 and self.max_length >= 1):
            raise InputError(
                f"--correction-share {self.correction_share} --held-out {self.held_out} --max-length "
                f"{self.max_length}: want shares from 0 to 1, less than 1 held out, and a positive length"
            )


@dataclass(frozen=True)
class Mixed:
    """Chats in the order of learning, whole batches of held-out ones, and how many of a file's are in neither."""

    train: list[Chat]
    held_out: list[Chat] = field(default_factory=list)
    left_out: int = 0


def first_difference(attempt: str, solution: str) -> str:
    """A diagnosis from texts alone: the attempt's first line that is not the solution's; "" if there is none."""
    lines, wanted = attempt.strip().splitlines(), solution.strip().splitlines()
    if len(lines) == len(wanted) == 1 and lines != wanted:
        return "Its answer is wrong."  # the line stands in the prompt, and there is no other
    for wrong, right in zip_longest(lines, wanted):
        if wrong is None:
            return "It ends too early."
        if wrong != right:
            return f"This line is wrong: {wrong.strip()[:MOST_QUOTED]}"
    return ""


def mixed_chats(files: Sequence[Path], tokenizer: Any, mix: Mix, chats: int, batch: int, seed: int) -> Mixed:
    """`chats` chats of some files, base and correction prompts in their shares, each used once before any is again.

    A chat longer than `mix.max_length`, or with a marker of the tokenizer that cannot be broken up, is left out.

    Raises:
        InputError: a file or row that holds no chat, or no chat of a kind.
    """
    rows = [row for file in files for row in _read(file)]
    usable = [row for row in _harmless(rows, tokenizer) if _length(row["messages"], tokenizer) <= mix.max_length]
    problems = sorted({row["problem"] for row in usable}, key=lambda problem: derived_seed(seed, "held out", problem))
    held = set(problems[: ceil(len(problems) * mix.held_out)])
    pools = {kind: [r["messages"] for r in usable if r["kind"] == kind and r["problem"] not in held] for kind in KINDS}
    for kind, share in zip(KINDS, (1 - mix.correction_share, mix.correction_share), strict=True):
        if share and not pools[kind]:
            raise InputError(
                f"--chats: {len(usable)} of {len(rows)} chats are usable, and none of kind {kind} is left to learn: "
                "give more chats, another --correction-share or --held-out, or a larger --max-length"
            )
    generator = random.Random(seed)
    drawn = {kind: _passes(pools[kind], generator) for kind in KINDS}
    before = [floor(place * mix.correction_share + 0.5) for place in range(chats + 1)]  # corrections so far
    train = [next(drawn[KINDS[after - so_far]]) for so_far, after in pairwise(before)]
    apart = [row["messages"] for row in usable if row["problem"] in held]
    whole = ceil(len(apart) / batch) * batch  # verl drops an incomplete batch
    return Mixed(train, list(islice(cycle(apart), whole)), len(rows) - len(usable))


def _passes(pool: Sequence[Chat], generator: random.Random) -> Iterator[Chat]:
    while True:
        yield from generator.sample(pool, len(pool))


def _read(file: Path) -> Iterator[dict[str, Any]]:
    for index, row in enumerate(read_parquet(file, f"--chats {file}", "give files of chats")):
        with reading(f"--chats {file}, row {index}: holds no chat", hint="fail2fix/guided/README.md shows one"):
            messages = [{"role": str(turn["role"]), "content": turn["content"]} for turn in row["messages"]]
            kind, problem = row.get("kind") or KINDS[0], row.get("problem") or messages[-2]["content"]
            texts = all(isinstance(turn["content"], str) for turn in messages)
            if not texts or messages[-1]["role"] != "assistant" or kind not in KINDS:
                raise ValueError(f"want texts, an assistant's last, and kind {' or '.join(KINDS)}")
            yield {"messages": messages, "kind": kind, "problem": str(problem)}


def _harmless(rows: Sequence[dict[str, Any]], tokenizer: Any) -> Iterator[dict[str, Any]]:
    """Rows whose texts the tokenizer reads as text: markers are broken up, but for marks of thinking in a response."""
    texts, thinking = parsed_texts(tokenizer), ThinkingMarks.of()
    # What only looks like a marker stays: a prompt has delimiters of its own, and the quoted text has lost its own.
    quoted, said = (
        replace(Markers.of(marks), by_looks=re.compile("(?!)"))
        for marks in (texts, [text for text in texts if not thinking.holds(text)])
    )
    for row in rows:
        turns = [
            {**turn, "content": (said if turn["role"] == "assistant" else quoted).neutralize(turn["content"])}
            for turn in row["messages"]
        ]
        if all(turn["content"] is not None for turn in turns):
            yield {**row, "messages": turns}


def _length(chat: Chat, tokenizer: Any) -> int:
    """Tokens of a chat as verl's trainer reads it."""
    return len(tokenizer(tokenizer.apply_chat_template(chat, tokenize=False), add_special_tokens=False)["input_ids"])
