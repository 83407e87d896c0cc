"""What a validation costs beside generation, against verl's naive reward manager.

    python scripts/bench/validation.py --tokenizer PATH [--problems 1319] [--samples 4] [--rounds 5] [--out FILE]

The same answers of the same length are scored by the same function, which returns a dict of ``score`` and ``acc``:
by our reward manager and by verl's `NaiveRewardManager`, then summarized by our trainer's and by verl's
``_val_metrics_update``. Sides alternate, and so does which one begins. Prints one JSON object: CPU seconds of scoring
all rows (in a run the reward workers share this work), of the summary (which the driver does while the engines are
idle), and of both: each round, medians, and the ratios of the medians; and the number of ``val-*`` metrics. Exit
status 1 if the ratio of the summary or of the total is above 1.1.

Needs no GPU; no model runs. CPU seconds are of this process with all its threads, so that other work beside it matters
less than in wall-clock time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("VERL_PLATFORM", "cpu")

import numpy as np
import torch
from omegaconf import OmegaConf
from transformers import AutoTokenizer
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.trainer.ppo.ray_trainer import RayPPOTrainer

from fail2fix.run.config import Fail2FixConfig
from fail2fix.verify.certify.origin import origin
from fail2fix.verl_ext.reward_manager import RiskAverseRewardManager
from fail2fix.verl_ext.rollout import ROW_EXTRAS
from fail2fix.verl_ext.trainer import Fail2FixTrainer

LIMIT = 1.1
SOURCE = "openai/gsm8k"
RESPONSE_WIDTH = 256
AT_A_TIME = 256  # rows that are scored concurrently
SEED = 0
SIDES = ("ours", "verl")

Results = list[dict[str, Any]]


def score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None) -> dict[str, float]:
    """A cheap reward function, so that the managers' own work is what is measured."""
    correct = float(solution_str.rstrip().endswith(ground_truth))
    return {"score": correct, "acc": correct}


def answers(tokenizer: Any, problems: int, samples: int) -> list[DataProto]:
    """One row for each answer, as a reward manager gets it; half of the answers are right."""
    draw = random.Random(SEED)
    filler = tokenizer("so we add the next number and get ", add_special_tokens=False)["input_ids"]
    ends = {right: tokenizer(" 12" if right else " 11", add_special_tokens=False)["input_ids"] for right in (0, 1)}
    rows = []
    for _ in range(problems * samples):
        end = ends[draw.randrange(2)]
        ids = (filler * RESPONSE_WIDTH)[: RESPONSE_WIDTH - len(end)] + end
        rows.append(_row(torch.tensor([ids])))
    return rows


def _row(responses: torch.Tensor) -> DataProto:
    columns = {"data_source": SOURCE, "reward_model": {"ground_truth": "12"}, "extra_info": {}}
    arrays = {name: np.fromiter([value], dtype=object, count=1) for name, value in columns.items()}
    tensors = {"responses": responses, "attention_mask": torch.ones_like(responses)}
    return DataProto.from_dict(tensors=tensors, non_tensors=arrays)


def scored(manager: Any, rows: Sequence[DataProto]) -> Results:
    """Every row's result, in order."""

    async def some(part: Sequence[DataProto]) -> Results:
        return list(await asyncio.gather(*map(manager.run_single, part)))

    parts = [rows[start : start + AT_A_TIME] for start in range(0, len(rows), AT_A_TIME)]
    return [result for part in parts for result in manager.loop.run_until_complete(some(part))]


def our_extras(results: Results) -> dict[str, list[Any]]:
    """What our trainer's summary gets: verl's rewards and each row's own extras."""
    return {"reward": _rewards(results), ROW_EXTRAS: [result["reward_extra_info"] for result in results]}


def verl_extras(results: Results) -> dict[str, list[Any]]:
    """What verl's summary gets: one list a name."""
    names = results[0]["reward_extra_info"]
    by_name = {name: [result["reward_extra_info"][name] for result in results] for name in names}
    return {"reward": _rewards(results)} | by_name


def _rewards(results: Results) -> list[float]:
    return [result["reward_score"] for result in results]


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and what the work returned."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


class Sides:
    """Both managers and both summaries, over the same rows."""

    def __init__(self, tokenizer: Any, problems: int, samples: int) -> None:
        self.rows = answers(tokenizer, problems, samples)
        self.uids = [str(row // samples) for row in range(len(self.rows))]
        given = {"custom_reward_function": {"path": __file__, "name": "score"}}
        config = OmegaConf.create({"reward": given, "algorithm": {}})
        trainer: Any = Fail2FixTrainer.__new__(Fail2FixTrainer)
        trainer.settings = Fail2FixConfig()
        self.managers = {
            "ours": RiskAverseRewardManager(config, tokenizer, score),
            "verl": NaiveRewardManager(config, tokenizer, score),
        }
        self.summaries: dict[str, Callable[..., dict[str, float]]] = {
            "ours": trainer._val_metrics_update,
            "verl": lambda *given: RayPPOTrainer._val_metrics_update(trainer, *given),
        }
        self.extras = {"ours": our_extras, "verl": verl_extras}

    def validate(self, side: str) -> tuple[float, float, dict[str, float]]:
        """CPU seconds of scoring and of the summary, and the metrics."""
        scoring, results = cpu_seconds(lambda: scored(self.managers[side], self.rows))
        sources, extras = np.array([SOURCE] * len(self.rows)), self.extras[side](results)
        summary, metrics = cpu_seconds(lambda: self.summaries[side](sources, self.uids, extras, []))
        return scoring, summary, metrics


def measure(sides: Sides, rounds: int) -> dict[str, Any]:
    """Alternating rounds, the side that begins alternating too; a short round before them warms both up."""
    each: dict[str, dict[str, list[float]]] = {part: defaultdict(list) for part in ("scoring", "summary", "total")}
    metrics: dict[str, dict[str, float]] = {}
    for side in SIDES:
        scored(sides.managers[side], sides.rows[:AT_A_TIME])
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            scoring, summary, metrics[side] = sides.validate(side)
            for part, seconds in (("scoring", scoring), ("summary", summary), ("total", scoring + summary)):
                each[part][side].append(seconds)
    _require_same(metrics)
    names = {side: sum(name.startswith("val-") for name in metrics[side]) for side in SIDES}
    return {"cpu_s": {part: compared(seconds) for part, seconds in each.items()}, "val_metrics": names}


def _require_same(metrics: dict[str, dict[str, float]]) -> None:
    """Both sides report the same accuracies and rewards.

    Raises:
        ValueError: naming the metrics that differ.
    """
    both = metrics["ours"].keys() & metrics["verl"].keys()
    differing = sorted(name for name in both if metrics["ours"][name] != metrics["verl"][name])
    if differing or not any(name.startswith(f"val-core/{SOURCE}/acc/") for name in both):
        raise ValueError(f"the two sides do not report the same metrics: {differing}")


def compared(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, each round, and the ratio of the medians."""
    medians = {side: statistics.median(seconds[side]) for side in SIDES}
    rounded = {side: [round(value, 3) for value in seconds[side]] for side in SIDES}
    return {
        "median": {side: round(value, 3) for side, value in medians.items()},
        "each": rounded,
        "ours_over_verl": round(medians["ours"] / medians["verl"], 3),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True, help="folder or name of a tokenizer")
    parser.add_argument("--problems", type=int, default=1319, help="GSM8K's test set has 1,319")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the result here")
    given = parser.parse_args()
    sides = Sides(AutoTokenizer.from_pretrained(given.tokenizer), given.problems, given.samples)
    sizes = {"problems": given.problems, "samples": given.samples, "rounds": given.rounds}
    result = {"origin": origin(), **sizes, "peer": "verl's NaiveRewardManager, a dict of score and acc"}
    result |= measure(sides, given.rounds)
    text = json.dumps(result, indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    sys.exit(any(result["cpu_s"][part]["ours_over_verl"] > LIMIT for part in ("summary", "total")))


if __name__ == "__main__":
    main()
