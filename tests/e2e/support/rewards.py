"""A reward with a signal in every group, for a model that writes noise: bits of the text's checksum."""

from __future__ import annotations

import zlib
from typing import Any


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
    """Right for half of all texts, so that right and wrong attempts both occur."""
    checksum = zlib.crc32(solution_str.encode())
    return {"score": float(checksum & 1), "acc": float(checksum & 1), "pred": str(checksum % 7)}
