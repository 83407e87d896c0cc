"""Chains of sums: add several numbers one after the other, one sum per line.

    python -m fail2fix.data.tasks.chain OUT --seed 0 --steps 2 --low 2 --high 50

Writes OUT/train.parquet and OUT/test.parquet for verl. In a wrong answer the first sums are often right, so a
correction can keep them::

    Add step by step, one sum per line: 7 + 5 + 18

    7 + 5 = 12
    12 + 18 = 30

Dials: the number of steps (one less than there are numbers), or a range of it, and the range of the numbers. The same
numbers in another order have the same total, so a set holds one order. `compute_score` grades only the total that the
last line claims (`final_answer`).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise

from fail2fix.data.tasks.family import PREFIX, TaskProblem, command_line, matched, near_number
from fail2fix.data.tasks.final_answer import compute_score as compute_score
from fail2fix.method.errors import InputError

DATA_SOURCE = PREFIX + "chain"
QUESTION = re.compile(r"Add step by step, one sum per line: ([0-9]+(?: \+ [0-9]+)+)")


@dataclass(frozen=True)
class Dials:
    steps: int = field(default=2, metadata={"help": "sums to work out, or the fewest of them"})
    longest: int = field(default=0, metadata={"help": "the most sums to work out; 0: as many as the fewest"})
    low: int = field(default=2, metadata={"help": "smallest number"})
    high: int = field(default=50, metadata={"help": "largest number"})

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"--steps {self.steps}: want at least 1")
        if self.longest and self.longest < self.steps:
            raise InputError(f"--longest {self.longest}: want at least {self.steps} (--steps), or 0")
        if not 0 <= self.low <= self.high:
            raise InputError(f"--low {self.low} --high {self.high}: want 0 <= low <= high")


def sample(dials: Dials, generator: random.Random) -> TaskProblem:
    """One problem."""
    steps = generator.randint(dials.steps, dials.longest) if dials.longest else dials.steps
    numbers = [generator.randint(dials.low, dials.high) for _ in range(steps + 1)]
    question = "Add step by step, one sum per line: " + " + ".join(map(str, numbers))
    return TaskProblem(question, str(sum(numbers)), key=" ".join(map(str, sorted(numbers))))


def worked_solution(question: str) -> str:
    """The correct sums for a question of this family, one per line."""
    numbers = numbers_of(question)
    return _sums(numbers, numbers)


def corrupt(question: str, generator: random.Random) -> str:
    """The sums with one wrong total, from which the later ones go on."""
    numbers = numbers_of(question)
    wrong = generator.randrange(1, len(numbers))
    total = sum(numbers[: wrong + 1])
    added = numbers[wrong] + near_number(total, generator) - total
    return _sums(numbers, [*numbers[:wrong], added, *numbers[wrong + 1 :]])


def numbers_of(question: str) -> list[int]:
    """The numbers to be added."""
    return [int(number) for number in matched(QUESTION, question, DATA_SOURCE)[1].split(" + ")]


def _sums(numbers: Sequence[int], added: Sequence[int]) -> str:
    """One sum a line: `numbers` as they are written, and the totals of what is `added` in their place."""
    steps = zip(pairwise(accumulate(added)), numbers[1:], strict=True)
    return "\n".join(f"{before} + {number} = {total}" for (before, total), number in steps)


main = partial(command_line, DATA_SOURCE, "math", str(__doc__), Dials, sample)

if __name__ == "__main__":
    main()
