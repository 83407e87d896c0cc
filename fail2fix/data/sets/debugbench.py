"""DebugBench: LeetCode solutions with planted bugs, to be repaired; its Python part.

The set has no tests. Problems are joined by slug with LeetCodeDataset's, whose tests are then called by position, for
DebugBench's programs rename parameters. A row is left out, and counted, whose slug has no tests there, whose right
program fails them (orders that are free are not free there) or whose bug passes them: 1,070 of the 1,414 stay.
"""

import json
import re

from fail2fix.data.sets.humaneval import fenced
from fail2fix.data.sets.spec import Attempt, Join, Problem, PublicSet, Record, UnusableRowError
from fail2fix.verify.code.public_sets import debugbench

LANGUAGE = "python3"
_MIRROR_FILE = re.compile(r"python3_(.+?)\.json")
"""A mirror has a file a category, the hub a column."""


def read(record: Record) -> Problem:
    if record.fields.get("language", LANGUAGE) != LANGUAGE:
        raise UnusableRowError("it is not in Python")
    slug, examples = record.text("slug"), record.get("examples")
    shown = "\n\n".join(map(str, examples)) if isinstance(examples, list) else str(examples)
    text = f"{record.text('question', 'description')}\n\n{shown}\n\nConstraints:\n{record.get('constraints')}"
    attempt = Attempt(fenced(record.text("buggy_code")), False)
    tags = {"category": _category(record), "level": record.text("level")}
    return Problem(text, slug, slug, attempt, tags, slug=slug, reference=record.text("solution", "oracle_code"))


def _category(record: Record) -> str:
    found = _MIRROR_FILE.search(record.place)
    return str(record.fields.get("subtype") or (found[1] if found else "")).replace("_", " ")


def tests_of(row: Record) -> str:
    return json.dumps(debugbench({name: row.text(name) for name in ("prompt", "test", "entry_point")}))


SETS = (
    PublicSet(
        name="debugbench",
        hub_id="Rtian/DebugBench",
        revision="f474dcd2ad9276dfb48f96670f830da694870447",
        licence="Apache-2.0",
        splits={"test": 4253},
        read=read,
        join=Join("leetcode", "train", "task_id", tests_of),
        mirror={"test": ("debugbench/python3_*.json",)},
        use="evaluation",
        ability="code",
        runs_references=True,
        traps=(
            "no tests of its own; 1,119 of 1,414 Python rows have some in LeetCodeDataset v0.2.0",
            "23 right programs of those fail them, and 26 bugs pass",
            "649 of those bugs are plain syntax errors: report by category",
            "the language is called python3",
        ),
    ),
)
