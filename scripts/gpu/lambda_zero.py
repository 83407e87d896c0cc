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
import time
from pathlib import Path
from tempfile import TemporaryDirectory

GRADIENT = Path("tests/gradient").resolve()
sys.path[:0] = [str(GRADIENT), str(Path.cwd())]

TOLERANCE = 1e-4


def main() -> None:
    out, began = Path(sys.argv[1]), time.monotonic()
    with TemporaryDirectory(prefix="gradient", dir=out.parent) as folder:
        found = compare(gradients(Path(folder)))
    found["seconds"] = round(time.monotonic() - began, 1)
    out.write_text(json.dumps(found, indent=2) + "\n")


def gradients(folder: Path) -> dict:
    """The worker's gradients by case. Raises ``CalledProcessError`` if it fails; its output is this script's."""
    import torch
    from gradient_reference import all_rows, save_model

    torch.save(all_rows(save_model(folder / "model")), folder / "rows.pt")
    worker = [sys.executable, GRADIENT / "gradient_worker.py", folder]
    subprocess.run(worker, env=os.environ | alone(), check=True)
    return torch.load(folder / "gradients_1.pt", weights_only=False, map_location="cpu")


def compare(found: dict) -> dict[str, object]:
    """Relative differences from stock GRPO's gradients: of each case of lambda = 0, and of lambda = 1."""
    from gradient_cases import WITHOUT_CORRECTIONS, WITHOUT_WEIGHT, Case, stock

    def apart(case: Case) -> float:
        return difference(found[case], found[stock(case.ranks, case.mode, case.mini_batches)])

    cases = {str(case): apart(case) for case in (*WITHOUT_WEIGHT, *WITHOUT_CORRECTIONS) if case.ranks == 1}
    largest, moved = max(cases.values()), apart(Case())
    return {"cases": cases, "largest": largest, "lambda_one_differs_by": moved,
            "passed": largest <= TOLERANCE < moved}  # fmt: skip


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
