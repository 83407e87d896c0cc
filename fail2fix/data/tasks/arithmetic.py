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
from pathlib import Path

from fail2fix.data.tasks.family import matched, write_problems
from fail2fix.data.tasks.final_answer import last_number, reward_of

DATA_SOURCE = "fail2fix/arithmetic"
OPERANDS = range(2, 10)
OPERATORS = ("+", "x")
HELD_OUT_PER_OPERATOR = 16

Fact = tuple[int, str, int]
QUESTION = re.compile(r"What is ([0-9]+) ([+x]) ([0-9]+)\? Answer with the number only\.")


def split_facts(seed: int) -> tuple[list[Fact], list[Fact]]:
    """All facts as (train, held out), each in a seeded order."""
    generator = random.Random(seed)
    train: list[Fact] = []
    held_out: list[Fact] = []
    for operator in OPERATORS:
        families = [
            list(dict.fromkeys([(a, operator, b), (b, operator, a)])) for a in OPERANDS for b in OPERANDS if a <= b
        ]
        generator.shuffle(families)
        taken = 0
        for family in families:
            fits = taken + len(family) <= HELD_OUT_PER_OPERATOR
            (held_out if fits else train).extend(family)
            taken += len(family) * fits
    generator.shuffle(train)
    generator.shuffle(held_out)
    return train, held_out


def question(fact: Fact) -> str:
    a, operator, b = fact
    return f"What is {a} {operator} {b}? Answer with the number only."


def answer(fact: Fact) -> str:
    a, operator, b = fact
    return str(a + b if operator == "+" else a * b)


def fact_of(question: str) -> Fact:
    """The fact that a question of this task asks for."""
    match = matched(QUESTION, question, DATA_SOURCE)
    return int(match[1]), match[2], int(match[3])


def worked_solution(question: str) -> str:
    """The correct answer to a question of this task."""
    return answer(fact_of(question))


def corrupt(question: str, generator: random.Random) -> str:
    """The answer to another fact: one operand is off by one, or the operator is the other one."""
    a, operator, b = fact_of(question)
    (other,) = set(OPERATORS) - {operator}
    near = [(a - 1, operator, b), (a + 1, operator, b), (a, operator, b - 1), (a, operator, b + 1), (a, other, b)]
    return generator.choice(sorted({*map(answer, near)} - {answer((a, operator, b))}))


def write_task(out: Path, seed: int) -> tuple[int, int]:
    """Write both splits to `out`; returns their sizes."""
    train, test = ([(question(fact), answer(fact)) for fact in facts] for facts in split_facts(seed))
    write_problems(out, DATA_SOURCE, train, test)
    return len(train), len(test)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fail2fix.data.tasks.arithmetic", description=__doc__.splitlines()[0]
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for train.parquet and test.parquet")
    parser.add_argument("--seed", type=int, default=0, help="decides which facts are held out (default: 0)")
    arguments = parser.parse_args(argv)
    train, held_out = write_task(arguments.out, arguments.seed)
    print(f"{arguments.out}: {train} facts to train on, {held_out} held out (seed {arguments.seed})")


compute_score = reward_of(last_number)

if __name__ == "__main__":
    main()
