"""What a task family is, and what the families share: distinct problems from a seed, both splits, a command line.

A family is a module of this package, named in `FAMILIES`, with

* `compute_score`, its reward, under verl's reward-function signature;
* `worked_solution(question)`, a correct answer to one of its questions as a text to imitate.

A generated family also has `Dials`, a frozen dataclass whose fields decide how hard its problems are, and
`sample(dials, generator)`, one problem at random. Problems that give each other away (7 + 5 and 5 + 7) carry
the same `key`; of those a set holds one, so no held-out problem can be known from a training problem. For one
seed and one setting of the dials the held-out problems are the same whatever the number of training problems.

Beside the two parquet files stands task.json: family, seed, sizes and dials. They are not columns of the rows,
so that rows of every family, and of the public sets, fit into one training set. Knows nothing of the trainer.
"""

import argparse
import importlib
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from fail2fix.data.rows import Row, verl_row, write_splits
from fail2fix.method.errors import InputError

FAMILIES = ("arithmetic", "two_digit", "chain", "sorting")
PREFIX = "fail2fix/"
# Misses in a row after which a draw gives up. With n problems and one of them missing, a wrong surrender has
# the probability (1 - 1/n) ** MISSES: e ** -10 for n = 10,000.
MISSES = 100_000


@dataclass(frozen=True)
class Problem:
    """One problem: the whole prompt, its ground truth, and the key it shares with problems that give it away."""

    question: str
    answer: str
    key: str


D = TypeVar("D")
Sample = Callable[[D, random.Random], Problem | None]  # None: this draw does not fit the dials


def family_of(data_source: str) -> ModuleType:
    """The family that wrote the rows of this data source.

    Raises:
        InputError: none did.
    """
    name = data_source.removeprefix(PREFIX)
    if not data_source.startswith(PREFIX) or name not in FAMILIES:
        known = ", ".join(PREFIX + family for family in FAMILIES)
        raise InputError(f"data_source {data_source!r} is no task family: use one of {known}")
    return importlib.import_module(f"fail2fix.data.tasks.{name}")


def draw_splits(
    sample: Sample[D], dials: D, seed: int, train: int, held_out: int
) -> tuple[list[Problem], list[Problem]]:
    """Distinct problems as (train, held out).

    Raises:
        InputError: the dials give fewer.
    """
    if train < 1 or held_out < 1:
        raise InputError(f"--train {train} --held-out {held_out}: each split needs at least one problem")
    generator = random.Random(seed)
    found: dict[str, Problem] = {}
    misses = 0
    while len(found) < train + held_out:
        problem = sample(dials, generator)
        if problem is not None and problem.key not in found:
            found[problem.key] = problem
            misses = 0
        elif (misses := misses + 1) == MISSES:
            raise InputError(
                f"--train {train} --held-out {held_out}: these dials give only {len(found)} different problems: "
                "ask for fewer or widen the dials"
            )
    problems = list(found.values())
    return problems[held_out:], problems[:held_out]


def _rows(data_source: str, ability: str, problems: Sequence[Problem], split: str) -> Iterator[Row]:
    for index, problem in enumerate(problems):
        row = verl_row(data_source, problem.question, problem.answer, split, index)
        row["ability"] = ability
        yield row


def write_family(
    out: Path, data_source: str, ability: str, sample: Sample[D], dials: D, seed: int, train: int, held_out: int
) -> None:
    """Write OUT/task.json and both splits."""
    problems, kept = draw_splits(sample, dials, seed, train, held_out)
    task = {"data_source": data_source, "seed": seed, "train": train, "held_out": held_out, "dials": asdict(dials)}  # type: ignore[call-overload]
    out.mkdir(parents=True, exist_ok=True)
    (out / "task.json").write_text(json.dumps(task, indent=2) + "\n")
    train_rows = list(_rows(data_source, ability, problems, "train"))
    write_splits(out, train_rows, list(_rows(data_source, ability, kept, "test")))


def command_line(
    argv: Sequence[str] | None, data_source: str, ability: str, doc: str, dials_type: type[Any], sample: Sample[Any]
) -> None:
    """``OUT --seed S --train N --held-out M`` and one option for each dial; bad input ends in one line."""
    module = data_source.removeprefix(PREFIX)
    parser = argparse.ArgumentParser(prog=f"python -m fail2fix.data.tasks.{module}", description=doc.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for train.parquet and test.parquet")
    parser.add_argument("--seed", type=int, default=0, help="decides the problems and their split (default: 0)")
    parser.add_argument("--train", type=int, default=512, metavar="N", help="training problems (default: 512)")
    parser.add_argument("--held-out", type=int, default=128, metavar="M", help="held-out problems (default: 128)")
    for dial in fields(dials_type):
        parser.add_argument(
            "--" + dial.name.replace("_", "-"),
            type=type(dial.default),
            default=dial.default,
            choices=dial.metadata.get("choices"),
            help=f"{dial.metadata['help']} (default: {dial.default})",
        )
    given = vars(parser.parse_args(argv))
    out, seed, train, held_out = (given.pop(name) for name in ("out", "seed", "train", "held_out"))
    try:
        write_family(out, data_source, ability, sample, dials_type(**given), seed, train, held_out)
    except InputError as error:
        sys.exit(str(error))
    print(f"{out}: {train} problems to train on, {held_out} held out (seed {seed})")
