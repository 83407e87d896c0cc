"""MBPP: short Python functions with three assertions each. Ids 601 to 974 are for training, 11 to 510 the test split.

The problem shows its assertions, as its authors' prompt does (Austin et al. 2021): they alone say the function's name.
"""

import json

from fail2fix.data.sets.spec import Problem, PublicSet, Record, UnusableRowError
from fail2fix.verify.code.public_sets import mbpp


def read(record: Record) -> Problem:
    tests, setup = record.get("test_list"), record.get("test_setup_code")
    if not isinstance(tests, list) or not tests:
        raise UnusableRowError("it has no tests")
    ground_truth = mbpp({"code": record.text("code"), "test_list": tests, "test_setup_code": setup})
    shown = "\n".join(map(str, tests))
    text = f"{record.text('text')} Your code should pass these tests:\n\n{shown}\n"
    return Problem(text, json.dumps(ground_truth), str(record.get("task_id")), reference=record.text("code"))


def split_of(record: Record) -> str:
    """The split of a row by its id, as the authors' README says; ids 1 to 10 are few-shot examples."""
    number = int(str(record.get("task_id")))
    return "train" if number > 600 else "test" if 10 < number <= 510 else "other"


SETS = (
    PublicSet(
        name="mbpp",
        hub_id="google-research-datasets/mbpp",
        revision="4bb6404fdc6cacfda99d4ac4205087b89d32030c",
        hub_config="full",
        licence="CC BY 4.0",
        splits={"train": 374, "test": 500},
        read=read,
        mirror={"train": ("mbpp/train.*", "mbpp/mbpp.jsonl"), "test": ("mbpp/test.*", "mbpp/mbpp.jsonl")},
        mirror_split=split_of,
        use="training",
        ability="code",
        traps=("a mirror holds all splits in one file, told apart by task_id",),
    ),
)
