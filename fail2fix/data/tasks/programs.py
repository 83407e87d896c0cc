"""One-line programs: write a Python function for a small formula; judged by unit tests in a sandbox.

    python -m fail2fix.data.tasks.programs OUT --seed 0 --largest 9

Writes OUT/train.parquet and OUT/test.parquet for verl::

    Write a Python function f(x) that returns x times 4 minus 1. Answer with the code only.

The ground truth is a set of calls (`fail2fix.verify.code.ground_truth`), so the code verifier judges this data source
(`fail2fix.verify.registry`); the task has no reward function of its own. Dial: the largest number in a formula.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from fail2fix.data.tasks.family import PREFIX, TaskProblem, command_line
from fail2fix.method.errors import InputError

DATA_SOURCE = PREFIX + "programs"
QUESTION = "Write a Python function f(x) that returns {formula}. Answer with the code only."
INPUTS = (-7, -1, 0, 1, 2, 5, 12)

Formula = tuple[str, str, Callable[[int, int, int], int]]

FORMULAS: tuple[Formula, ...] = (
    ("x plus {a}", "x + {a}", lambda x, a, b: x + a),
    ("x minus {a}", "x - {a}", lambda x, a, b: x - a),
    ("{a} minus x", "{a} - x", lambda x, a, b: a - x),
    ("x times {a}", "x * {a}", lambda x, a, b: x * a),
    ("x times {a} plus {b}", "x * {a} + {b}", lambda x, a, b: x * a + b),
    ("x times {a} minus {b}", "x * {a} - {b}", lambda x, a, b: x * a - b),
    ("{a} minus x times {b}", "{a} - x * {b}", lambda x, a, b: a - x * b),
    ("x squared plus {a}", "x ** 2 + {a}", lambda x, a, b: x**2 + a),
    ("x squared minus x times {a}", "x ** 2 - x * {a}", lambda x, a, b: x**2 - x * a),
    ("the sum of x and {a}, times {b}", "(x + {a}) * {b}", lambda x, a, b: (x + a) * b),
    ("the larger of x and {a}", "max(x, {a})", lambda x, a, b: max(x, a)),
    ("the smaller of x and {a}", "min(x, {a})", lambda x, a, b: min(x, a)),
    ("the remainder of x divided by {a}", "x % {a}", lambda x, a, b: x % a),
    ("the distance between x and {a}", "abs(x - {a})", lambda x, a, b: abs(x - a)),
)
"""A formula in words, in Python, and as a function of x and its two numbers."""


@dataclass(frozen=True)
class Dials:
    largest: int = field(default=9, metadata={"help": "the largest number in a formula"})

    def __post_init__(self) -> None:
        if self.largest < 2:
            raise InputError(f"--largest {self.largest}: want at least 2")


def sample(dials: Dials, generator: random.Random) -> TaskProblem | None:
    """One problem; every formula is as likely as any other."""
    words, _, function = generator.choice(FORMULAS)
    a, b = (generator.randint(2, dials.largest) for _ in range(2))
    calls = [{"args": [x], "expected": function(x, a, b)} for x in INPUTS]
    truth = json.dumps({"kind": "calls", "entry_point": "f", "calls": calls})
    question = QUESTION.format(formula=words.format(a=a, b=b))
    return TaskProblem(question, truth, key=question)


def worked_solution(question: str) -> str:
    """A right program for a question of this task, in a code block."""
    numbers = [int(word) for word in question.replace(".", " ").replace(",", " ").split() if word.isdigit()]
    a, b = (numbers + [0, 0])[:2]
    for words, code, _ in FORMULAS:
        if QUESTION.format(formula=words.format(a=a, b=b)) == question:
            return f"```python\ndef f(x):\n    return {code.format(a=a, b=b)}\n```"
    raise InputError(f"{DATA_SOURCE}: {question!r} is no question of this task")


main = partial(command_line, DATA_SOURCE, "code", str(__doc__), Dials, sample)

if __name__ == "__main__":
    main()
