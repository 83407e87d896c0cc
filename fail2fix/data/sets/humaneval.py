"""HumanEval: 164 Python functions by docstring, and HumanEvalFix (OctoPack): a broken body of each, to be repaired."""

import json
from dataclasses import replace

from fail2fix.data.sets.spec import Attempt, Problem, PublicSet, Record
from fail2fix.verify.code.public_sets import humaneval


def fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def read(record: Record) -> Problem:
    text = f"Complete this function.\n\n{fenced(record.text('prompt'))}"
    tests = humaneval({name: record.text(name) for name in ("prompt", "test", "entry_point")})
    reference = f"{record.get('prompt')}{record.get('canonical_solution')}"
    return Problem(text, json.dumps(tests), record.text("task_id"), reference=reference)


def read_fix(record: Record) -> Problem:
    """The attempt is the function with its bug; `declaration` is the signature without the docstring."""
    broken = f"{record.get('declaration')}{record.get('buggy_solution')}"
    attempt = Attempt(fenced(broken.rstrip()), False)
    return replace(read(record), attempt=attempt, tags={"bug": record.text("bug_type")})


SETS = (
    PublicSet(
        name="humaneval",
        hub_id="openai/openai_humaneval",
        revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
        licence="MIT",
        splits={"test": 164},
        read=read,
        mirror={"test": ("humaneval.*", "humaneval/HumanEval.jsonl*")},
        use="evaluation",
        ability="code",
        traps=("tests define check(candidate) and do not call it",),
    ),
    PublicSet(
        name="humanevalfix",
        hub_id="bigcode/humanevalpack",
        hub_config="python",
        revision="9a41762f73a8cb23bb5811b73d5aab164efcf378",
        licence="MIT",
        splits={"test": 164},
        read=read_fix,
        mirror={"test": ("humanevalfix.*", "humanevalfix/humanevalpack_python.*")},
        use="evaluation",
        ability="code",
        traps=("tests name the function, not a candidate", "older revisions are scripts that the hub's loader refuses"),
    ),
)
