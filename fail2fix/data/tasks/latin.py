"""Latin squares: fill in the missing digits, so that each row and each column holds the same digits once.

    python -m fail2fix.data.tasks.latin OUT --seed 0 --side 4 --fewest 4 --most 11

Writes OUT/train.parquet and OUT/test.parquet for verl::

    Fill in the Latin square: 27?4/9???/4?72/??4?     -> 2794/9427/4972/7249

A digit may have to wait until others are known, but two equal digits in a row or column are seen at once: finding is
harder than checking. In a wrong answer most digits are right. Dials: the side and how many digits are missing. A
problem has one solution, and a set holds each solution once. `compute_score` wants the whole square in the last line.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from fail2fix.data.tasks.family import PREFIX, TaskProblem, command_line, matched
from fail2fix.data.tasks.final_answer import last_line, reward_of
from fail2fix.method.errors import InputError

DATA_SOURCE = PREFIX + "latin"
QUESTION = re.compile(r"Fill in the Latin square: ([1-9?]+(?:/[1-9?]+)+)")
SQUARE = re.compile(r"[1-9]+(?:/[1-9]+)+")
DIGITS, HOLE, ROW_END = "123456789", "?", "/"


@dataclass(frozen=True)
class Dials:
    side: int = field(default=4, metadata={"help": "rows, columns and different digits"})
    fewest: int = field(default=4, metadata={"help": "fewest missing digits"})
    most: int = field(default=11, metadata={"help": "most missing digits"})

    def __post_init__(self) -> None:
        if not 3 <= self.side <= 6:
            raise InputError(f"--side {self.side}: want 3 to 6")
        if not 1 <= self.fewest <= self.most < self.side**2:
            raise InputError(f"--fewest {self.fewest} --most {self.most}: want 1 <= fewest <= most < side * side")


def sample(dials: Dials, generator: random.Random) -> TaskProblem | None:
    """One problem; None if it has several solutions or a digit that it never shows."""
    digits = generator.sample(DIGITS, dials.side)
    empty = ROW_END.join([HOLE * dials.side] * dials.side)
    solution = square = next(filled(empty, digits, generator))
    places = [at for at, mark in enumerate(square) if mark != ROW_END]
    for at in generator.sample(places, generator.randint(dials.fewest, dials.most)):
        square = square[:at] + HOLE + square[at + 1 :]
    solutions = filled(square, digits)
    if not set(digits) <= set(square) or next(solutions) != solution or next(solutions, None):
        return None
    return TaskProblem(f"Fill in the Latin square: {square}", solution, key=solution)


def filled(square: str, digits: Sequence[str], generator: random.Random | None = None) -> Iterator[str]:
    """All ways to fill in a square, rows joined by "/"; `generator` shuffles the order in which digits are tried."""
    at = square.find(HOLE)
    if at < 0:
        yield square
        return
    taken = beside(square, at, len(digits))
    for digit in generator.sample(digits, len(digits)) if generator else digits:
        if digit not in taken:
            yield from filled(square[:at] + digit + square[at + 1 :], digits, generator)


def beside(square: str, at: int, side: int) -> str:
    """The marks of the row and of the column of a place."""
    period = side + len(ROW_END)
    start = at - at % period
    return square[start : start + side] + square[at % period :: period]


def parts(question: str) -> tuple[str, list[str]]:
    """The square of a question of this family, and its digits."""
    square = matched(QUESTION, question, DATA_SOURCE)[1]
    return square, sorted(set(square) - {HOLE, ROW_END})


def worked_solution(question: str) -> str:
    """The filled square for a question of this family."""
    if solution := next(filled(*parts(question)), None):
        return solution
    raise InputError(f"{DATA_SOURCE}: {question!r} has no solution, so it is no question of this family")


def corrupt(question: str, generator: random.Random) -> str:
    """The worked solution with one wrong digit, and later digits chosen to fit what is written."""
    (square, digits), solution = parts(question), worked_solution(question)
    slip = generator.choice([at for at, mark in enumerate(square) if mark == HOLE])
    wrong = generator.choice([digit for digit in digits if digit != solution[slip]])
    square = solution[:slip] + wrong + square[slip + 1 :]
    while (at := square.find(HOLE)) >= 0:
        taken = beside(square, at, len(digits))
        fitting = [digit for digit in digits if digit not in taken] or [solution[at]]
        square = square[:at] + generator.choice(fitting) + square[at + 1 :]
    return square


def last_square(text: str) -> str:
    """The square that the last line claims, after its last colon; "" if it claims none or several."""
    claim = last_line(text).rpartition(":")[2].strip(" .")
    return claim if SQUARE.fullmatch(claim) else ""


compute_score = reward_of(last_square, "square")
main = partial(command_line, DATA_SOURCE, "logic", str(__doc__), Dials, sample)

if __name__ == "__main__":
    main()
