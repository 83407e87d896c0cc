"""Log-probabilities of packed tokens: ours in chunks against verl's loop over tokens, on this device, in one run.

    python scripts/bench/log_probs.py [--tokens 8192] [--vocabulary 49152 151936] [--dtype bfloat16] [--repeats 3]
        [--out FILE]

Forward and backward; prints, for each vocabulary, the median seconds of either, the ratio, and on a GPU the peak of
memory beside the logits. The process needs four times the logits in memory (8,192 x 151,936 in bf16: 2.3 GiB each).
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fail2fix.verl_ext import environment

environment.set_defaults()  # before torch: its allocator reads one of them

import torch  # noqa: E402
from verl.utils.torch_functional import logprobs_from_logits_v2  # noqa: E402

from fail2fix.verl_ext.log_probs import log_probs  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LogProbs = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def main() -> int:
    given = arguments()
    cases = [case(given.tokens, size, getattr(torch, given.dtype), given.repeats) for size in given.vocabulary]
    report = {"device": device(), "torch": torch.__version__, "dtype": given.dtype, "cases": cases}
    print(json.dumps(report, indent=2))
    if given.out:
        given.out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=8192, help="(default: %(default)s)")
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[49152, 151936], help="(default: %(default)s)")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"], help="(default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="after one that warms up (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    return parser.parse_args()


def case(tokens: int, vocabulary: int, dtype: torch.dtype, repeats: int) -> dict[str, Any]:
    """Both ways on the same logits, turn by turn."""
    torch.manual_seed(0)
    logits = torch.randn(tokens, vocabulary, device=DEVICE, dtype=dtype).requires_grad_()
    labels = torch.randint(vocabulary, (tokens,), device=DEVICE)
    ways: dict[str, LogProbs] = {"ours": log_probs, "verl": logprobs_from_logits_v2}
    rounds = [{name: timed(way, logits, labels) for name, way in ways.items()} for _ in range(1 + repeats)][1:]
    figures: dict[str, Any] = {"tokens": tokens, "vocabulary": vocabulary}
    for phase in ("forward", "backward"):
        seconds = {name: [turn[name][phase] for turn in rounds] for name in ways}
        figures |= {f"{phase}_s": {name: round(statistics.median(values), 4) for name, values in seconds.items()}}
        ratios = [theirs / mine for mine, theirs in zip(seconds["ours"], seconds["verl"], strict=True)]
        figures |= {f"{phase}_times_faster": round(statistics.median(ratios), 2)}
    if DEVICE == "cuda":
        figures["peak_gib"] = {name: max(turn[name]["peak_gib"] for turn in rounds) for name in ways}
    return figures


def timed(way: LogProbs, logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Seconds of one forward and backward pass, and their peak of memory beside the logits."""
    logits.grad = None
    before = start_of_memory()
    start = now()
    chosen = way(logits, labels)
    middle = now()
    chosen.sum().backward()
    end = now()
    peak = {} if DEVICE == "cpu" else {"peak_gib": round((torch.cuda.max_memory_allocated() - before) / 2**30, 3)}
    return {"forward": middle - start, "backward": end - middle} | peak


def start_of_memory() -> int:
    if DEVICE == "cpu":
        return 0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def now() -> float:
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def device() -> dict[str, Any]:
    if DEVICE == "cuda":
        return {"name": torch.cuda.get_device_name()}
    return {"name": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}


if __name__ == "__main__":
    sys.exit(main())
