"""Task families: distinct problems from a seed, in two splits, with a reward and worked solutions.

A family is a module, or a class, with the members of `Family`. Shipped ones are modules of this package and have a
command line each; your own is named by its dotted path, which is the ``data_source`` of its rows too::

    python -m fail2fix.data.tasks.family my_package.parity OUT --seed 0 --train 512 --held-out 128

Problems that give each other away (7 + 5 and 5 + 7) have the same `key`, and a set holds one of them. So no held-out
problem can be known from a training problem. For one seed and one setting of the dials the held-out problems do not
depend on the number of training problems.

The file task.json beside the two parquet files says family, seed, sizes and dials. They are not columns of the rows, so
that rows of all families and public sets fit into one training set. Must not know: the trainer.
"""

import argparse
import importlib
import random
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from fail2fix.console.command_line import add_fields
from fail2fix.data.atomic import write_json
from fail2fix.data.rows import verl_row, write_splits
from fail2fix.method.doors import resolve
from fail2fix.method.errors import InputError

FAMILIES = ("arithmetic", "two_digit", "chain", "sorting", "latin")
PREFIX = "fail2fix/"
SHIPPED = {name: f"fail2fix.data.tasks.{name}" for name in (*FAMILIES, "programs")}
# Misses in a row after which a draw gives up. With n problems and one of them missing, it gives up too early with
# probability (1 - 1/n) ** MISSES: e ** -10 for n = 10,000.
MISSES = 100_000


@dataclass(frozen=True)
class TaskProblem:
    """One problem: the whole prompt, its ground truth, and the key it shares with problems that give it away."""

    question: str
    answer: str
    key: str


Problems = Sequence[tuple[str, str]]
"""(question, answer) of each problem."""
Sample = Callable[[Any, random.Random], TaskProblem | None]
"""Arguments: the dials and a generator. None: this draw does not fit the dials."""


class Family(Protocol):
    """A generated task; its docstring's first line is the description of its command line.

    Correction prompts of a warm-up need one more function, which `FAMILIES` have: ``corrupt(question,
    generator)``, a near miss. That is the worked solution with one wrong step, the error carried on.

    Attributes:
        ABILITY: the kind of skill, a column of verl's rows.
        Dials: a frozen dataclass of what makes its problems harder. Each field has a default and
            ``metadata={"help": ...}``, and becomes an option of the command line.
    """

    ABILITY: str
    Dials: type[Any]

    @staticmethod
    def sample(dials: Any, generator: random.Random) -> TaskProblem | None:
        """One problem at random; None if this draw does not fit the dials."""

    @staticmethod
    def worked_solution(question: str) -> str:
        """A correct answer to a question of this family, as a text to imitate (`fail2fix.warmup`).

        Raises:
            InputError: the question is not of this family.
        """

    @staticmethod
    def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> Any:
        """The reward, under verl's signature: a dict with ``score`` and ``acc`` (1.0 or 0.0)."""


def family_of(data_source: str) -> Family | ModuleType:
    """The family that wrote the rows of this data source: a shipped module, or your own.

    Raises:
        InputError: none did.
    """
    shipped = {PREFIX + name: SHIPPED[name] for name in FAMILIES}
    if data_source in shipped:
        return importlib.import_module(shipped[data_source])
    family: Family = resolve("data_source", data_source, shipped, Family)
    return family


def is_family(data_source: str) -> bool:
    """Whether a family with a reward of its own wrote the rows of this data source: a shipped one, or a dotted path."""
    return data_source in {PREFIX + name for name in FAMILIES} or bool(re.fullmatch(r"\w+(\.\w+)+", data_source))


def near_miss(data_source: str, question: str, generator: random.Random) -> str:
    """A wrong solution with one wrong step, by the family of these rows. Raises `InputError`: it cannot make one."""
    corrupt = getattr(family_of(data_source), "corrupt", None)
    if corrupt is None:
        raise InputError(f"data_source={data_source}: has no corrupt(question, generator), which wrong attempts need")
    return str(corrupt(question, generator))


def near_number(number: int, generator: random.Random) -> int:
    """Another number of at least 0: one place is off by one, as after a forgotten carry."""
    steps: list[int] = [sign * 10**place for place in range(len(str(number))) for sign in (1, -1)]
    return number + generator.choice([step for step in steps if number + step >= 0])


def matched(pattern: re.Pattern[str], question: str, data_source: str) -> re.Match[str]:
    """The match of a whole question. Raises `InputError` if the question is not of this family."""
    if match := pattern.fullmatch(question):
        return match
    raise InputError(f"{data_source}: {question!r} is no question of this family")


def draw_splits(
    sample: Sample, dials: Any, seed: int, train: int, held_out: int
) -> tuple[list[TaskProblem], list[TaskProblem]]:
    """Distinct problems as (train, held out).

    Raises:
        InputError: the dials give fewer.
    """
    if train < 1 or held_out < 1:
        raise InputError(f"--train {train} --held-out {held_out}: each split needs at least one problem")
    generator = random.Random(seed)
    found: dict[str, TaskProblem] = {}
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


def write_problems(out: Path, data_source: str, train: Problems, test: Problems, ability: str = "math") -> None:
    """Write both splits, row by row in the order of the problems."""
    rows = [
        [verl_row(data_source, *problem, split, index, ability) for index, problem in enumerate(problems)]
        for split, problems in (("train", train), ("test", test))
    ]
    write_splits(out, *rows)


def command_line(
    data_source: str,
    ability: str,
    doc: str,
    dials_type: type[Any],
    sample: Sample,
    argv: Sequence[str] | None = None,
) -> None:
    """``OUT --seed S --train N --held-out M`` and one option for each dial; bad input ends in one line."""
    name = data_source.removeprefix(PREFIX)
    module = SHIPPED.get(name, f"{__spec__.name} {name}")
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=doc.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for train.parquet and test.parquet")
    parser.add_argument("--seed", type=int, default=0, help="decides the problems and their split (default: 0)")
    parser.add_argument("--train", type=int, default=512, metavar="N", help="training problems (default: 512)")
    parser.add_argument("--held-out", type=int, default=128, metavar="M", help="held-out problems (default: 128)")
    if unnamed := [dial.name for dial in fields(dials_type) if "help" not in dial.metadata]:
        parser.error(f"{data_source}: its Dials say no metadata={{'help': ...}} for {', '.join(unnamed)}")
    add_fields(parser, dials_type)
    given = vars(parser.parse_args(argv))
    out, sizes = given.pop("out"), {name: given.pop(name) for name in ("seed", "train", "held_out")}
    try:
        dials = dials_type(**given)
        splits = draw_splits(sample, dials, **sizes)
    except InputError as error:
        sys.exit(str(error))
    train, test = ([(each.question, each.answer) for each in problems] for problems in splits)
    write_json(out / "task.json", {"data_source": data_source, **sizes, "dials": dials})
    write_problems(out, data_source, train, test, ability)
    print(f"{out}: {len(train)} problems to train on, {len(test)} held out (seed {sizes['seed']})")


def main(argv: Sequence[str] | None = None) -> None:
    """``FAMILY OUT ...``: write a set of a shipped family or of your own."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=main.__doc__)
    parser.add_argument("family", metavar="FAMILY", help=f"{', '.join(SHIPPED)}, or the dotted path of your own")
    parser.add_argument("rest", metavar="OUT ...", nargs=argparse.REMAINDER, help="folder and options of the family")
    given = parser.parse_args(argv)
    if given.family in SHIPPED:
        importlib.import_module(SHIPPED[given.family]).main(given.rest)
        return
    try:
        family: Family = resolve("FAMILY", given.family, SHIPPED, Family)
    except InputError as error:
        sys.exit(str(error))
    command_line(given.family, family.ABILITY, str(family.__doc__), family.Dials, family.sample, given.rest)


if __name__ == "__main__":
    # Not by this copy of the module, because your family imports the other one.
    importlib.import_module("fail2fix.data.tasks.family").main()
