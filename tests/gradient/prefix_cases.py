"""Updates on rows that share starts, for the engine that reads shared starts once. Shared by test and worker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gradient_cases import ALL as EVERY
from gradient_cases import (
    ATTEMPTS,
    CORRECTIONS,
    MODES,
    PROBLEMS,
    PROMPT_WIDTH,
    RESPONSE_WIDTH,
    ROLLOUTS,
    Case,
)
from gradient_reference import VOCABULARY, Row, Rows

# Micro-batches of 3 rows split groups of 4, those of 4 hold one, 24 all rows of both streams; None: dynamic ones.
UPDATES = [
    Case(ranks, "shared", mode, mini_batches, micro)
    for mode in MODES
    for ranks, mini_batches, micro in ((1, 2, 3), (2, 1, None))
]
UPDATES += [Case(rows="shared", micro=micro) for micro in (1, 4, 24)]
UPDATES += [Case(rows=rows) for rows in ("alone", "equal", "excluded")]
UPDATES += [Case(rows="shared", remove_padding=False), Case(rows="shared", own=True)]
UPDATES += [Case(rows="idle", micro=4, regularized=False)]
EMPTY = [Case(rows="empty", mode=mode) for mode in MODES]
ALL = UPDATES + EMPTY
INFERENCES = ("shared", "alone", "equal", "empty")
SPLITS = list(dict.fromkeys(case for case in EVERY if not case.stock))
"""Every update of the gradient tests, on rows whose groups have one prompt each."""


def grouped(rows: Rows) -> Rows:
    """Rows whose groups start with the prompt of their first row."""
    return Rows(*(
        [replace(row, prompt=stream[at - at % size].prompt) for at, row in enumerate(stream)]
        for stream, size in ((rows.base, ROLLOUTS), (rows.correction, CORRECTIONS))
    ))  # fmt: skip


def rows_of(name: str) -> Rows:
    """Base groups of one prompt each; corrections of a base row start with the base row, some prompts are equal."""
    random = np.random.default_rng(5)
    prompts = [_words(random, 2, 5) for _ in range(PROBLEMS)]
    base = [_row(random, prompt, 3) for prompt in prompts for _ in range(ROLLOUTS)]
    attempts = [base[group * ROLLOUTS] for group in range(ATTEMPTS)]
    starts = [(row.prompt + row.response + [7])[:PROMPT_WIDTH] for row in attempts]
    correction = [_row(random, start, RESPONSE_WIDTH) for start in starts for _ in range(CORRECTIONS)]
    if name == "alone":  # nothing is shared
        base = [_row(random, [at + 10, *row.prompt], 6) for at, row in enumerate(base)]
        correction = [_row(random, [at + 50, *row.prompt[1:]], 6) for at, row in enumerate(correction)]
    if name == "equal":  # one prompt and one response in both streams
        base = [replace(row, prompt=prompts[0]) for row in base]
        correction = [replace(row, prompt=prompts[0]) for row in correction]
        correction[3] = replace(base[0], advantage=-0.7)
    if name == "empty":
        base = [_emptied(row) if at % 3 == 0 else row for at, row in enumerate(base)]
        correction[:CORRECTIONS] = [_emptied(row) for row in correction[:CORRECTIONS]]
    if name == "excluded":
        base = [replace(row, included=at >= ROLLOUTS) for at, row in enumerate(base)]
    if name == "idle":
        base = [replace(row, advantage=0.0) if at < 2 * ROLLOUTS else row for at, row in enumerate(base)]
    return Rows(base, correction)


def _words(random: np.random.Generator, least: int, most: int) -> list[int]:
    return random.integers(3, VOCABULARY, random.integers(least, most + 1)).tolist()


def _row(random: np.random.Generator, prompt: list[int], longest: int) -> Row:
    """Old and reference log-probabilities of any size: both clips act."""
    response = _words(random, 1, longest)
    old, reference = (torch.from_numpy(random.normal(-6, 1, len(response))).float() for _ in range(2))
    return Row(prompt, response, old, reference, float(random.normal()))


def _emptied(row: Row) -> Row:
    nothing: Any = torch.zeros(0)
    return replace(row, response=[], old_log_prob=nothing, ref_log_prob=nothing)
