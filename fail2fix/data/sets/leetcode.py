"""LeetCodeDataset: problems with a reference program and tests; v0.3.1's are about a hundred a problem."""

import json

from fail2fix.data.sets.spec import Problem, PublicSet, Record
from fail2fix.verify.code.public_sets import leetcode


def read(record: Record) -> Problem:
    columns = ("prompt", "test", "entry_point")
    tests = leetcode({name: record.text(name) for name in columns})
    slug, reference = record.text("task_id"), record.text("completion")
    return Problem(record.text("query"), json.dumps(tests), slug, slug=slug, reference=reference)


SETS = (
    PublicSet(
        name="leetcode",
        hub_id="newfacade/LeetCodeDataset",
        revision="215604aeed660029df7de2fea5a4d7b6ed476a08",
        licence="Apache-2.0",
        splits={"train": 2641, "test": 228},
        read=read,
        mirror={
            "train": ("leetcode/train.*", "leetcode_dataset/LeetCodeDataset-v0.2.0-train.*"),
            "test": ("leetcode/test.*", "leetcode_dataset/LeetCodeDataset-v0.3.1-test.*"),
        },
        use="training",
        ability="code",
        traps=(
            "v0.2.0's tests are the statement's examples only: two in the median",
            "statements are LeetCode's",
            "17 prompts of v0.3.1's test split import sortedcontainers, which no sandbox has and five programs need",
            "181 of v0.2.0's training problems are DebugBench's, in other words: told by LeetCode's name for them",
        ),
    ),
)
