"""Rewards of our own verifiers on answers they cannot decide without a process: what breaks when that is killed."""

from __future__ import annotations

import functools
import json
import zlib
from typing import Any

from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.registry import open_verifier
from fail2fix.verify.verifier import Verifier

ADD = json.dumps({"kind": "calls", "entry_point": "add", "calls": [{"args": [1, 2], "expected": 3}]})
PROGRAM = "```python\nimport time\ndef add(a, b):\n    time.sleep(2)\n    return a + b + {wrong}\n```"


async def expression(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
    """A symbolic answer that the rollout's checksum makes right or wrong."""
    number = zlib.crc32(solution_str.encode())
    verdict = await _open("math").verify(rf"\boxed{{|x| + {number}}}", f"{number + number % 2} + |x|")
    return {"score": float(verdict.correct), "pred": verdict.pred, "verify_status": verdict.status}


async def program(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
    """A program that the rollout's checksum makes right or wrong, and that takes its time."""
    wrong = zlib.crc32(solution_str.encode()) % 2
    verdict = await _open("code").verify(PROGRAM.format(wrong=wrong), ADD)
    return {"score": float(verdict.correct), "pred": "", "verify_status": verdict.status}


@functools.cache
def _open(name: str) -> Verifier:
    return open_verifier(name, VerifierConfig())
