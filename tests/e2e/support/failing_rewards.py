"""A reward function that fails on some problems, as a broken verifier service would."""

from __future__ import annotations

import zlib
from typing import Any


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
    if int(ground_truth) % 4 == 0:
        raise ConnectionError("the verifier is down")
    return {"score": float(zlib.crc32(solution_str.encode()) & 1), "note": "checked"}
