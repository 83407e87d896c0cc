"""How long the driver works on a step beside what verl's driver does anyway.

    python scripts/bench/driver.py --tokenizer PATH [--form block|turn] [--problems 128 ...] [--rollouts 8 ...]

Builds two streams of verl's own tensors, by default at the paper's size (B = 128, G = 8; K = B, G' = G; 5,632 prompt
and 4,096 response tokens), and times what the trainer adds to a step: reading, selection, prompts, metrics,
joining. The peer is verl's driver work on as many rows in one plain GRPO step: ``DataProto.concat`` of two
halves, ``RayPPOTrainer._balance_batch``, ``compute_advantage``, ``compute_data_metrics``. Prints one JSON object:
medians in seconds, the total, and its ratio to the peer.

Needs about 5 GiB of memory and no GPU; no model runs. Every attempt fills the response width.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("VERL_PLATFORM", "cpu")

import numpy as np
import torch
from tensordict import TensorDict
from transformers import AutoTokenizer
from verl import DataProto
from verl.trainer.ppo.core_algos import AdvantageEstimator
from verl.trainer.ppo.metric_utils import compute_data_metrics
from verl.trainer.ppo.ray_trainer import RayPPOTrainer, compute_advantage

from fail2fix.method.config import ReplayConfig
from fail2fix.method.metrics import correction_metrics, replay_metrics, stream_metrics
from fail2fix.method.objective import BatchSplit, feasible_attempts
from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.method.selection import distinct_candidates, select_attempts
from fail2fix.verl_ext.joint_batch import JointBatch, join
from fail2fix.verl_ext.replays import Replays, build_replays, correction_requests
from fail2fix.verl_ext.requests import Requests, objects
from fail2fix.verl_ext.step_metrics import DATA_METRICS_COLUMNS, DATA_METRICS_TENSORS
from fail2fix.verl_ext.stream import Reading, Stream

PROMPT_WIDTH, RESPONSE_WIDTH = 5632, 4096
RHO = 0.3
SPLITS = (1, 8)  # data-parallel ranks
FILLER = " so"  # one token in every vocabulary with byte-level BPE; makes a text exactly as long as wanted

PROBLEM = (
    "A workshop makes {a} parts in the first hour and {b} more in every following hour. A second workshop "
    "makes {c} parts an hour from the start. After how many full hours has the first one made more parts in "
    "total, and how many parts has each of them made by then?\n\n"
    "Please reason step by step, and put your final answer within \\boxed{{}}."
)
SENTENCES = (
    "Let $n$ be the number of hours, so the first workshop makes ${a} + {b}(n - 1)$ parts in hour $n$.\n",
    "Summing over the hours gives $S_n = \\frac{{n}}{{2}}\\left(2 \\cdot {a} + {b}(n - 1)\\right)$.\n\n",
    "The second one has made ${c} n$ parts by then, and we want the smallest $n$ with $S_n > {c} n$.\n",
    "Dividing by $n$ (which is positive) we need ${a} + \\frac{{{b}}}{{2}}(n - 1) > {c}$.\n",
    "Wait, I should double-check the case $n = {a}$: {b} times {c} is {d}, which is not what I expected.\n\n",
    "So the difference is {d}, and therefore we have to go back and try $n = {b}$ instead.\n",
    "**Step {a}.** Substituting, we get ${b} \\times {c} = {d}$, hence the left side is larger by {a}.\n",
    "Therefore the answer for this part is \\boxed{{{d}}}.\n\n",
)


class Timings:
    """Seconds a part, one number a repeat."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name].append(time.perf_counter() - start)

    def medians(self) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in self.seconds.items()}


@dataclass(frozen=True)
class Sizes:
    """B problems, G rollouts of each; as many corrections: K = B attempts, G' = G."""

    problems: int
    rollouts: int = 8

    @property
    def rows(self) -> int:
        return self.problems * self.rollouts


# ------------------------------------------------------------------------------------------- the step's inputs


def attempt_ids(tokenizer: Any, count: int, rng: random.Random) -> torch.Tensor:
    """(count, RESPONSE_WIDTH) token ids of distinct solutions, ending in the end-of-turn token."""
    texts = ["".join(_sentence(rng) for _ in range(RESPONSE_WIDTH // 16)) for _ in range(count)]
    rows = [_exactly(RESPONSE_WIDTH - 1, ids, tokenizer) for ids in _encode(texts, tokenizer)]
    return torch.tensor([[*row, tokenizer.eos_token_id] for row in rows])


def _exactly(width: int, ids: list[int], tokenizer: Any) -> list[int]:
    """The beginning of ``ids``, filled up to ``width`` tokens that decoding and encoding give back."""
    (filler,) = _encode([FILLER], tokenizer)
    for cut in range(min(width, len(ids)), 0, -1):
        row = ids[:cut] + filler * (width - cut)
        if len(row) == width and _encode([tokenizer.decode(row)], tokenizer) == [row]:
            return row
    raise ValueError("this tokenizer does not encode its own decoding the same way; use another one")


def _encode(texts: list[str], tokenizer: Any) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]


def _sentence(rng: random.Random) -> str:
    return rng.choice(SENTENCES).format(**{name: rng.randint(2, 997) for name in "abcd"})


def generated(prompts: list[list[int]], responses: torch.Tensor, columns: dict[str, np.ndarray]) -> DataProto:
    """Rows as verl's agent loop returns them: prompts padded on the left, int64, scores on the last token."""
    rows = len(prompts)
    input_ids = torch.zeros(rows, PROMPT_WIDTH + RESPONSE_WIDTH, dtype=torch.int64)
    attention = torch.ones_like(input_ids)
    for row, ids in enumerate(prompts):
        input_ids[row, PROMPT_WIDTH - len(ids) : PROMPT_WIDTH] = torch.tensor(ids)
        attention[row, : PROMPT_WIDTH - len(ids)] = 0
    input_ids[:, PROMPT_WIDTH:] = responses
    scores = torch.zeros(rows, RESPONSE_WIDTH)
    scores[:, -1] = torch.from_numpy(columns["shaped_reward"].astype(np.float32))
    batch = {
        "prompts": input_ids[:, :PROMPT_WIDTH].contiguous(),
        "responses": responses.contiguous(),
        "response_mask": torch.ones(rows, RESPONSE_WIDTH, dtype=torch.int64),
        "input_ids": input_ids,
        "attention_mask": attention,
        "position_ids": (attention.cumsum(-1) - 1).clamp_(min=0),
        "rollout_log_probs": torch.full((rows, RESPONSE_WIDTH), -0.5),
        "rm_scores": scores,
    }
    extras = ["acc", "pred", "verdict", "plain_reward", "shaped_reward", "stream", "verify_status"]
    return DataProto(TensorDict(batch, batch_size=rows), columns, {"reward_extra_keys": extras})


def reward_columns(correct: np.ndarray, broken: np.ndarray, stream: str) -> dict[str, np.ndarray]:
    """What the reward manager and verl's agent loop add to every row."""
    rows = len(correct)
    verdicts = correct.astype(np.int64)
    columns: dict[str, np.ndarray] = {
        "acc": verdicts.astype(float),
        "pred": np.array([str(17 if right else 3 + i % 5) for i, right in enumerate(correct)]),
        "verdict": verdicts,
        "plain_reward": verdicts.astype(float),
        "shaped_reward": verdicts - broken.astype(float),
        "stream": np.array([stream] * rows),
        "verify_status": np.array(["ok"] * rows),
        "__num_turns__": np.full(rows, 2, dtype=np.int32),
    }
    nothing = np.array([None] * rows, dtype=object)
    return columns | dict.fromkeys(("turn_scores", "tool_rewards", "min_global_steps", "extras"), nothing)


def base_stream(tokenizer: Any, sizes: Sizes, rng: random.Random) -> Stream:
    """B problems with G distinct rollouts each, of every pass rate."""
    problems = [PROBLEM.format(a=rng.randint(2, 97), b=rng.randint(2, 97), c=i) for i in range(sizes.problems)]
    messages = [[{"role": "user", "content": problem}] for problem in problems]
    chats = [tokenizer.apply_chat_template(m, tokenize=False, add_generation_prompt=True) for m in messages]
    prompts = tokenizer(chats, add_special_tokens=False)["input_ids"]
    asked = DataProto.from_single_dict(
        {
            "dummy_tensor": torch.zeros(sizes.problems, 1, dtype=torch.uint8),
            "data_source": np.array(["benchmark"] * sizes.problems, dtype=object),
            "uid": np.array([f"problem-{i}" for i in range(sizes.problems)], dtype=object),
            "reward_model": objects([{"ground_truth": str(i)} for i in range(sizes.problems)]),
            "extra_info": objects([{"index": i, "split": "train"} for i in range(sizes.problems)]),
        }
    ).repeat(sizes.rollouts, interleave=True)
    columns = asked.non_tensor_batch | {"raw_prompt": objects(messages).repeat(sizes.rollouts)}
    requests = Requests(asked, DataProto(non_tensor_batch=columns))
    solved = np.array([i % (sizes.rollouts + 1) for i in range(sizes.problems)])
    correct = (np.arange(sizes.rollouts) < solved[:, None]).ravel()
    output = generated(
        [prompts[row // sizes.rollouts] for row in range(sizes.rows)],
        attempt_ids(tokenizer, sizes.rows, rng),
        reward_columns(correct, np.zeros(sizes.rows, dtype=bool), "base") | {"raw_prompt": columns["raw_prompt"]},
    )
    reading = Reading({tokenizer.eos_token_id})
    return Stream.of("base", requests.answered(output), requests, sizes.rollouts, reading)


def correction_stream(base: Stream, replays: Replays, sizes: Sizes) -> Stream:
    """Corrections of the replayed attempts, every other one right; their texts are the base stream's."""
    rows = len(replays) * sizes.rollouts
    correct = np.arange(rows) % 2 == 0
    was_correct = replays.correct.repeat(sizes.rollouts)
    columns = reward_columns(correct, was_correct & ~correct, "correction")
    requests = correction_requests(replays.replays).repeat(sizes.rollouts)
    columns["raw_prompt"] = requests.request.non_tensor_batch["raw_prompt"]
    prompts = [list(r.prompt.ids) for r in replays.replays for _ in range(sizes.rollouts)]
    responses = base.rows.batch["responses"].roll(1, dims=0)[:rows]
    rows = requests.answered(generated(prompts, responses, columns))
    return Stream.of("correction", rows, requests, sizes.rollouts, base.reading)


# ------------------------------------------------------------------------------------------- what is measured


def replay(base: Stream, builder: CorrectionPromptBuilder, split: BatchSplit, timings: Timings) -> Replays:
    """Selection and prompts, as ``Fail2FixTrainer.select_replays`` does them."""
    wanted, rollouts = base.rollouts.groups, base.rollouts.group_size
    with timings.part("selection"):
        groups = base.prompt_groups(builder.fits)
        available = min(wanted, len(distinct_candidates(groups)[0]))
        k = feasible_attempts(available, rollouts, len(base.rows), split)
        chosen = select_attempts(groups, k, RHO, ReplayConfig(), seed=0, step=1)
        replay_metrics(chosen, wanted, RHO)
    with timings.part("prompts"):
        replays, _ = build_replays(base, chosen.attempts, builder)
        correction_requests(replays).repeat(rollouts)
    return Replays(replays)


def joined(
    base: Stream,
    correction: Stream,
    replays: Replays,
    ranks: int,
    timings: Timings,
) -> JointBatch:
    """Metrics and joining, as ``Fail2FixTrainer.join_streams`` and ``_log_step`` do them."""
    with timings.part("metrics"):
        for stream in (base, correction):
            stream_metrics(stream.name, stream.rollouts)
        correction_metrics(replays.correct, replays.pass_rates, replays.answers, correction.rollouts)
    with timings.part("join"):
        joint = join([base, correction], BatchSplit(ranks=ranks), balance=True)
        joint.rows.meta_info["global_token_num"] = joint.rows.batch["attention_mask"].sum(-1).tolist()
    with timings.part("base_rows_for_log"):
        joint.base_rows(DATA_METRICS_TENSORS, DATA_METRICS_COLUMNS)
    return joint


def verl_step(halves: list[DataProto], ranks: int, timings: Timings) -> None:
    """The peer: verl's driver between generation and update, and its metrics, on as many rows."""
    stub: Any = SimpleNamespace(_get_dp_size=lambda *_: ranks, actor_rollout_wg=None)
    with timings.part("concat"):
        batch = DataProto.concat(halves)
    with timings.part("balance"):
        RayPPOTrainer._balance_batch(stub, batch, metrics={})
        batch.meta_info["global_token_num"] = batch.batch["attention_mask"].sum(-1).tolist()
    with timings.part("advantage"):
        batch.batch["token_level_scores"] = batch.batch["token_level_rewards"] = batch.batch["rm_scores"]
        batch = compute_advantage(batch, AdvantageEstimator.GRPO, num_repeat=8)
    with timings.part("data_metrics"):
        compute_data_metrics(batch, use_critic=False)


def fresh(stream: Stream, timings: Timings) -> Stream:
    """Read the same rows again, as when they arrive."""
    with timings.part(f"reading_{stream.name}"):
        return Stream.of(stream.name, stream.rows, stream.requests, stream.rollouts.group_size, stream.reading)


def measure(base: Stream, tokenizer: Any, sizes: Sizes, form: str, repeats: int) -> dict[str, Any]:
    """One form: seconds a part for every number of ranks, the peer's, and the ratio."""
    builder = CorrectionPromptBuilder(tokenizer, form=form, max_tokens=PROMPT_WIDTH)
    replays = replay(base, builder, BatchSplit(), Timings())
    correction = correction_stream(base, replays, sizes)
    halves = [DataProto(s.rows.batch, s.rows.non_tensor_batch) for s in (base, correction)]
    results: dict[str, Any] = {"attempts": len(replays), "forms": sorted({r.prompt.form for r in replays.replays})}
    for ranks in SPLITS:
        ours, peer = Timings(), Timings()
        for _ in range(repeats):
            step = fresh(base, ours)
            chosen = replay(step, builder, BatchSplit(ranks=ranks), ours)
            joined(step, fresh(correction, ours), chosen, ranks, ours)
            verl_step(halves, ranks, peer)
        results[f"ranks_{ranks}"] = compared(ours, peer)
    return results


def compared(ours: Timings, peer: Timings) -> dict[str, Any]:
    """Medians, totals (the median of each repeat's sum), and the ratio of the totals."""
    total, verl = (statistics.median(map(sum, zip(*timings.seconds.values(), strict=True))) for timings in (ours, peer))
    return {
        "seconds": _rounded(ours.medians()),
        "total": round(total, 3),
        "verl_seconds": _rounded(peer.medians()),
        "verl_total": round(verl, 3),
        "ratio_to_verl": round(total / verl, 2),
    }


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in seconds.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True, help="folder or name of a tokenizer with a chat template")
    parser.add_argument("--form", choices=("block", "turn"), action="append", help="default: both")
    parser.add_argument("--problems", type=int, nargs="+", default=[128], help="B; K = B")
    parser.add_argument("--rollouts", type=int, nargs="+", default=[8], help="G and G'")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    result: dict[str, Any] = {
        "peer": "verl's driver in one plain GRPO step on as many rows: concat, _balance_batch, "
        "compute_advantage, compute_data_metrics",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }
    for sizes in (Sizes(problems, rollouts) for problems in arguments.problems for rollouts in arguments.rollouts):
        base = base_stream(tokenizer, sizes, random.Random(0))
        forms = {
            form: measure(base, tokenizer, sizes, form, arguments.repeats)
            for form in arguments.form or ("block", "turn")
        }
        result[f"B={sizes.problems}, G={sizes.rollouts}"] = {"rows": 2 * sizes.rows} | forms
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
