"""Sorting: put a few letters or short words into alphabetical order.

    python -m fail2fix.data.tasks.sorting OUT --seed 0 --items words --length 3

Writes OUT/train.parquet and OUT/test.parquet for verl::

    Sort from A to Z: plum, fig, kiwi. Answer with the sorted list only.     -> fig, kiwi, plum

Dials: letters or words, and how many. The same items in another order have the same answer; a set holds one order,
never the sorted one, so that repeating the list is always wrong. `compute_score` wants every item once, in order and
nothing else in the last line (`final_answer`), apart from a heading like "Sorted list:".
"""

import random
import re
import string
from dataclasses import dataclass, field
from functools import partial

from fail2fix.data.tasks.family import PREFIX, TaskProblem, command_line, matched
from fail2fix.data.tasks.final_answer import last_line, reward_of
from fail2fix.method.errors import InputError

DATA_SOURCE = PREFIX + "sorting"
QUESTION = re.compile(r"Sort from A to Z: ([a-z]+(?:, [a-z]+)+)\. Answer with the sorted list only\.")
WORD = re.compile(r"[^\W\d_]+")  # of any script, so that a look-alike of an item is not skipped
NOUNS = """
    ant apple ball bank bear bird boat book box bread bus cake car cat chair clock cloud coat corn cow cup desk dog door
    duck egg fan farm fig fire fish flag fork frog gate girl goat gold hat hen hill horse house ice ink iron jam jar key
    king kite kiwi lake lamp leaf lion map milk moon nest nose nut oil onion owl park pear pen pig plum pot queen rain
    ring road rock rope salt sand sea ship shoe snow sock star sun table tea tent tree van wall wind wolf wood yard zoo
"""
ITEMS = {"letters": tuple(string.ascii_lowercase), "words": tuple(NOUNS.split())}


@dataclass(frozen=True)
class Dials:
    items: str = field(default="letters", metadata={"help": "what is sorted", "choices": tuple(ITEMS)})
    length: int = field(default=3, metadata={"help": "items in a list"})

    def __post_init__(self) -> None:
        known = len(ITEMS[self.items])
        if not 3 <= self.length <= known:
            raise InputError(f"--length {self.length}: want 3 to {known}, the number of different {self.items}")


def sample(dials: Dials, generator: random.Random) -> TaskProblem | None:
    """One problem; None if its items are already sorted."""
    items = generator.sample(ITEMS[dials.items], dials.length)
    answer = ", ".join(sorted(items))
    question = f"Sort from A to Z: {', '.join(items)}. Answer with the sorted list only."
    return None if items == sorted(items) else TaskProblem(question, answer, key=answer)


def worked_solution(question: str) -> str:
    """The sorted list for a question of this family."""
    match = matched(QUESTION, question, DATA_SOURCE)
    return ", ".join(sorted(match[1].split(", ")))


def corrupt(question: str, generator: random.Random) -> str:
    """The sorted list with one item in a wrong place."""
    items = worked_solution(question).split(", ")
    taken, place = generator.sample(range(len(items)), 2)
    items.insert(place, items.pop(taken))
    return ", ".join(items)


def listed(text: str) -> str:
    """The words of the last line, after its last colon, in lower case: "Sorted: B and A." is "b, a"."""
    words = WORD.findall(last_line(text).rpartition(":")[2].casefold())
    return ", ".join(word for word in words if word != "and")


compute_score = reward_of(listed, "list")
main = partial(command_line, DATA_SOURCE, "sorting", str(__doc__), Dials, sample)

if __name__ == "__main__":
    main()
