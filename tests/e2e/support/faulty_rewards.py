"""A slow reward function that goes wrong once the file ``$FAULT_TRIGGER`` is there, in the way ``$FAULT`` says.

A bug is there from the start.
"""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path
from typing import Any

SLOW_S = 3.0  # long enough to find a run while it verifies


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, Any]:
    time.sleep(SLOW_S)
    score = float(zlib.crc32(solution_str.encode()) & 1)
    answer = {"score": score, "acc": score, "pred": ground_truth}
    if os.environ["FAULT"] == "bug":
        answer["score"] += answer["bonus"]
    if not Path(os.environ["FAULT_TRIGGER"]).exists():
        return answer
    match os.environ["FAULT"]:
        case "raise":
            raise ConnectionError("the verifier is down")
        case "raise_some" if int(ground_truth) % 4 == 0:
            raise ConnectionError("the verifier is down")
        case "hang":
            time.sleep(10_000)
        case "nan":
            return answer | {"score": float("nan")}
        case "timeout":
            return {"score": 0.0, "acc": 0.0, "pred": "", "verify_status": "timeout"}
        case "exit":
            os._exit(1)
    return answer
