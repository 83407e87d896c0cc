"""Two-digit arithmetic: one sum or difference, answered with the number alone.

    python -m fail2fix.data.tasks.two_digit OUT --seed 0 --low 10 --high 99 --operators +- --carry any

Writes OUT/train.parquet and OUT/test.parquet for verl::

    What is 47 + 38? Answer with the number only.     -> 85
    What is 85 - 38? Answer with the number only.     -> 47

Dials: the range of the operands (differences are never negative), the operators, and whether digits never, always or
sometimes carry (in a difference: borrow). 47 + 38, 38 + 47, 85 - 38 and 85 - 47 are one fact; a set holds one of them.
`compute_score` accepts the number that the last line claims (`final_answer`).
"""

import random
import re
from dataclasses import dataclass, field
from functools import partial

from fail2fix.data.tasks.family import PREFIX, TaskProblem, command_line, matched, near_number
from fail2fix.data.tasks.final_answer import compute_score as compute_score
from fail2fix.method.errors import InputError

DATA_SOURCE = PREFIX + "two_digit"
QUESTION = re.compile(r"What is ([0-9]+) ([+-]) ([0-9]+)\? Answer with the number only\.")


@dataclass(frozen=True)
class Dials:
    low: int = field(default=10, metadata={"help": "smallest operand"})
    high: int = field(default=99, metadata={"help": "largest operand"})
    operators: str = field(default="+", metadata={"help": "which operators", "choices": ("+", "-", "+-")})
    carry: str = field(
        default="any", metadata={"help": "whether digits carry or borrow", "choices": ("any", "never", "always")}
    )

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise InputError(f"--low {self.low} --high {self.high}: want 0 <= low <= high")


def sample(dials: Dials, generator: random.Random) -> TaskProblem | None:
    """One problem; None if it has another carry than asked for."""
    operator = generator.choice(dials.operators)
    a, b = (generator.randint(dials.low, dials.high) for _ in range(2))
    if operator == "-":
        a, b = max(a, b), min(a, b)
    # The fact's two addends: 85 - 38 is 47 + 38 read backwards.
    addends = sorted((a, b) if operator == "+" else (a - b, b))
    if dials.carry != "any" and carries(*addends) != (dials.carry == "always"):
        return None
    question = f"What is {a} {operator} {b}? Answer with the number only."
    return TaskProblem(question, worked_solution(question), key="{} {}".format(*addends))


def carries(a: int, b: int) -> bool:
    """Whether two digits of the same place add up to ten or more."""
    return any(int(one) + int(other) >= 10 for one, other in zip(str(a)[::-1], str(b)[::-1], strict=False))


def worked_solution(question: str) -> str:
    """The correct answer to a question of this family."""
    match = matched(QUESTION, question, DATA_SOURCE)
    a, b = int(match[1]), int(match[3])
    return str(a + b if match[2] == "+" else a - b)


def corrupt(question: str, generator: random.Random) -> str:
    """An answer with one place off by one: a carry or borrow forgotten, or a digit miscounted."""
    return str(near_number(int(worked_solution(question)), generator))


main = partial(command_line, DATA_SOURCE, "math", str(__doc__), Dials, sample)

if __name__ == "__main__":
    main()
