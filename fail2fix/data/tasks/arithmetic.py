"""Single-digit arithmetic: a task that a 135 M model learns on a CPU in minutes, with held-out facts.

    python -m fail2fix.data.tasks.arithmetic OUT --seed 0

Writes OUT/train.parquet (96 facts) and OUT/test.parquet (32 facts) for verl. A fact is one question over the
operands 2 to 9, half of them sums and half products, in both splits::

    What is 7 + 5? Answer with the number only.     -> 12
    What is 7 x 5? Answer with the number only.     -> 35

7 + 5 and 5 + 7 are always in the same split, so a held-out fact cannot be known from its mirror image. The seed decides
the split; the same seed writes the same bytes.

`compute_score` is the task's reward, under verl's signature: 1 if the last number of the answer is the right one.
"""

import argparse
import random
import re
from collections.abc import Iterator
from pathlib import Path

from fail2fix.data.rows import Row, verl_row, write_splits
from fail2fix.method.errors import InputError

DATA_SOURCE = "fail2fix/arithmetic"
OPERANDS = range(2, 10)
OPERATORS = ("+", "x")
HELD_OUT_PER_OPERATOR = 16

Fact = tuple[int, str, int]
QUESTION = re.compile(r"What is ([0-9]+) ([+x]) ([0-9]+)\? Answer with the number only\.")

# A number includes its sign, thousands separators and decimals, so that "-12", "1,512" and "3.12" are not 12. The sign
# is ASCII or U+2212. Digits are ASCII, and no digits of another script follow or precede (\d is any script's digit).
NUMBER = re.compile(
    r"(?<!\d)(?P<sign>[-\u2212]?)(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?!\d)|[0-9]+(?!\d))(?P<fraction>\.[0-9]+)?"
)


def split_facts(seed: int) -> tuple[list[Fact], list[Fact]]:
    """All facts as (train, held out), each in a seeded order."""
    generator = random.Random(seed)
    train: list[Fact] = []
    held_out: list[Fact] = []
    for operator in OPERATORS:
        families = [_commuted(a, operator, b) for a in OPERANDS for b in OPERANDS if a <= b]
        generator.shuffle(families)
        taken = 0
        for family in families:
            fits = taken + len(family) <= HELD_OUT_PER_OPERATOR
            (held_out if fits else train).extend(family)
            taken += len(family) * fits
    generator.shuffle(train)
    generator.shuffle(held_out)
    return train, held_out


def _commuted(a: int, operator: str, b: int) -> list[Fact]:
    return [(a, operator, b)] if a == b else [(a, operator, b), (b, operator, a)]


def question(fact: Fact) -> str:
    a, operator, b = fact
    return f"What is {a} {operator} {b}? Answer with the number only."


def answer(fact: Fact) -> str:
    a, operator, b = fact
    return str(a + b if operator == "+" else a * b)


def worked_solution(question: str) -> str:
    """The correct answer to a question of this task."""
    match = QUESTION.fullmatch(question)
    if not match:
        raise InputError(f"{DATA_SOURCE}: {question!r} is no question of this task")
    return answer((int(match[1]), match[2], int(match[3])))


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict[str, object] | None = None,
    **kwargs: object,
) -> dict[str, float | str]:
    """Score an answer by its last number: `score` and `acc` 1.0 or 0.0, `pred` the number ("" if none)."""
    expected = last_number(str(ground_truth))
    if not expected:
        raise ValueError(f"{data_source}: ground_truth {ground_truth!r} holds no number: write the set again")
    pred = last_number(solution_str)
    correct = float(pred == expected)
    return {"score": correct, "acc": correct, "pred": pred}


def last_number(text: str) -> str:
    """The last number of `text` without separators and leading zeros; "" if there is none."""
    matches = list(NUMBER.finditer(text))
    return _canonical(matches[-1]) if matches else ""


def _canonical(match: re.Match[str]) -> str:
    # Strings, not int(): Python refuses to convert the thousands of digits a degenerate answer can hold.
    digits = match["digits"].replace(",", "").lstrip("0") or "0"
    fraction = match["fraction"] or ""
    negative = match["sign"] and (digits != "0" or fraction)
    return f"{'-' if negative else ''}{digits}{fraction}"


def _rows(facts: list[Fact], split: str) -> Iterator[Row]:
    for index, fact in enumerate(facts):
        yield verl_row(DATA_SOURCE, question(fact), answer(fact), split, index)


def write_task(out: Path, seed: int) -> tuple[int, int]:
    """Write both splits to `out`; returns their sizes."""
    train, held_out = split_facts(seed)
    write_splits(out, list(_rows(train, "train")), list(_rows(held_out, "test")))
    return len(train), len(held_out)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fail2fix.data.tasks.arithmetic", description=__doc__.splitlines()[0]
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for train.parquet and test.parquet")
    parser.add_argument("--seed", type=int, default=0, help="decides which facts are held out (default: 0)")
    arguments = parser.parse_args(argv)
    train, held_out = write_task(arguments.out, arguments.seed)
    print(f"{arguments.out}: {train} facts to train on, {held_out} held out (seed {arguments.seed})")


if __name__ == "__main__":
    main()
