"""Check on this device that lambda = 0 is GRPO: gradients of our update and of verl's, on the same rows.

    python lambda_zero.py OUT.json     in the project's folder; one rank, NCCL on a GPU, gloo with VERL_PLATFORM=cpu

Cases, rows and worker are those of tests/gradient: fixed and dynamic micro-batches, packed and padded rows. No Ray, no
engine. In single precision throughout, only the order of sums differs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GRADIENT = Path("tests/gradient").resolve()
sys.path[:0] = [str(GRADIENT), str(Path.cwd())]

LIMIT_S = 150.0
TOLERANCE = 1e-4


def main() -> None:
    import torch
    from gradient_cases import WITHOUT_CORRECTIONS, WITHOUT_WEIGHT, Case, stock
    from gradient_reference import all_rows, save_model

    out, began = Path(sys.argv[1]), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="gradient"))
    torch.save(all_rows(save_model(folder / "model")), folder / "rows.pt")
    updates = subprocess.run(
        [sys.executable, GRADIENT / "gradient_worker.py", folder], env=os.environ | alone(), timeout=LIMIT_S,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    report: dict[str, object] = {"exit": updates.returncode, "seconds": 0.0, "cases": {}}
    if updates.returncode:
        report["error"] = updates.stderr[-3000:]
    else:
        gradients = torch.load(folder / "gradients_1.pt", weights_only=False, map_location="cpu")
        joint = Case()
        apart = {
            str(case): difference(gradients[case], gradients[stock(case.ranks, case.mode, case.mini_batches)])
            for case in (*WITHOUT_WEIGHT, *WITHOUT_CORRECTIONS)
            if case.ranks == 1
        }
        moved = difference(gradients[joint], gradients[stock(joint.ranks, joint.mode, joint.mini_batches)])
        report |= {"cases": apart, "largest": max(apart.values()), "lambda_one_differs_by": moved,
                   "passed": max(apart.values()) <= TOLERANCE < moved}  # fmt: skip
    report["seconds"] = round(time.monotonic() - began, 1)
    out.write_text(json.dumps(report, indent=2) + "\n")


def alone() -> dict[str, str]:
    """What torchrun would set for one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def difference(ours: dict, theirs: dict) -> float:
    """The largest |ours - theirs| / |theirs| over mini-batches."""
    one, other = ours["gradients"], theirs["gradients"]
    return float(((one - other).norm(dim=1) / other.norm(dim=1)).max())


if __name__ == "__main__":
    main()
