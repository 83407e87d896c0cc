"""GSM8K: school word problems; the answer is what follows `####`, without thousands separators."""

import re

from fail2fix.data.sets.spec import Problem, PublicSet, Record, UnusableRowError

ANSWER = re.compile(r"####\s*(-?[0-9][0-9,]*(?:\.[0-9]+)?)\s*$")


def read(record: Record) -> Problem:
    found = ANSWER.search(record.text("answer"))
    if not found:
        raise UnusableRowError("its answer does not end in '#### NUMBER'")
    return Problem(record.text("question"), found[1].replace(",", ""), reference=record.text("answer"))


SETS = (
    PublicSet(
        name="gsm8k",
        hub_id="openai/gsm8k",
        revision="740312add88f781978c0658806c59bc2815b9866",
        hub_config="main",
        licence="MIT",
        splits={"train": 7473, "test": 1319},
        read=read,
        mirror={"train": ("gsm8k/train.*",), "test": ("gsm8k/test.*",)},
        use="training",
        traps=("rLLM's copy has answer = null",),
    ),
)
