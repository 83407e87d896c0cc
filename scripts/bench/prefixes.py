"""Update and log-probabilities with shared starts read once, against verl's own pass, on this machine, in one run.

    python scripts/bench/prefixes.py [--cases a a_plain b] [--repeats 5] [--dtype bfloat16] [--threads N] [--packed]
        [--attention sdpa] [--layers 30] [--vocabulary 49152] [--out FILE]
    python scripts/bench/prefixes.py --tokens [--seed 0]

One process, verl's FSDP2 engine and ours on a model of SmolLM2-135M's shape with random weights, turn by turn. Prints
for each case the median seconds of both, the ratios of a round (least, median, most), the same of the process's CPU
seconds, which other processes disturb less, the peak of memory (a GPU's, where there is one) beside what was there
before, the share of tokens that was not read, how far apart the log-probabilities are and how long the gradients. Rows
of a stream are a micro-batch, as in the quickstart; verl pads them, as there, or packs them with --packed. Verl's
attention is sdpa, --attention is ours.

| case | rows |
|---|---|
| a | the quickstart's step: 6 groups of 6 of 44 + 12 tokens, 6 groups of 6 corrections of 93 + 12 |
| a_plain | plain GRPO with as many rollouts: 12 groups of 6 of 44 + 12 |
| b | one group of 8 of 512 + 128 |
| b_two | two streams: a group of 8 of 320 + 128, one of 8 corrections of 512 + 128 |
| b_plain | plain GRPO with as many rollouts: two groups of 8 of 320 + 128 |
| c | answers longer than prompts: 6 groups of 4 of 100 + 200 |

--tokens computes no times: tokens that pass through the model in a step of B = 128, G = 8, K = 128, G' = 8, for plain
GRPO of as many rollouts and for two streams. Lengths of answers are log-normal.
"""

import argparse
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from fail2fix.prefix.attention import MASKS
from fail2fix.prefix.micro_batches import micro_batches
from fail2fix.prefix.tree import prefix_tree

Group = tuple[int, int, int, int]  # groups, rows of each, tokens of a prompt, of a response
CASES: dict[str, list[Group]] = {
    "a": [(6, 6, 44, 12), (6, 6, 93, 12)],
    "a_plain": [(6, 6, 44, 12), (6, 6, 44, 12)],
    "b": [(1, 8, 512, 128)],
    "b_two": [(1, 8, 320, 128), (1, 8, 512, 128)],
    "b_plain": [(1, 8, 320, 128), (1, 8, 320, 128)],
    "c": [(6, 4, 100, 200)],
}
VOCABULARY = 49152
SMOLLM2_135M = {
    "vocab_size": VOCABULARY,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}


def main() -> int:
    given = arguments()
    report = token_table(given.seed) if given.tokens else timings(given)
    print(json.dumps(report, indent=2))
    if given.out:
        given.out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cases", nargs="+", choices=CASES, default=["a", "a_plain", "b"], help="(default: a a_plain b)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="after one that warms up (default: %(default)s)")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="(default: all cores)")
    parser.add_argument("--packed", action="store_true", help="verl's packed rows in the place of padded ones")
    parser.add_argument("--attention", choices=MASKS, default="sdpa", help="of our engine (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=30, help="(default: %(default)s, all)")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY, help="(default: %(default)s, all)")
    parser.add_argument("--tokens", action="store_true", help="the table of passed tokens; no model")
    parser.add_argument("--seed", type=int, default=0, help="of the table's lengths (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    return parser.parse_args()


# ------------------------------------------------------------------------------------------------------- times


def timings(given: argparse.Namespace) -> dict[str, Any]:
    from fail2fix.verl_ext import environment

    environment.set_defaults()  # before torch: its allocator reads one of them
    import torch

    torch.set_num_threads(given.threads)
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        model = save_model(Path(folder), given.layers, given.vocabulary)
        workers = both_workers(str(model), given.dtype, given.attention)
        cases = {name: case(workers, CASES[name], given) for name in given.cases}
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    names = ("dtype", "threads", "packed", "attention", "layers", "vocabulary", "repeats")
    setting = {"device": device} | {name: getattr(given, name) for name in names}
    return {"torch": torch.__version__, "load": os.getloadavg(), **setting, "cases": cases}


def save_model(folder: Path, layers: int, vocabulary: int) -> Path:
    """The model's folder, with a tokenizer that nothing asks anything."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    shape = SMOLLM2_135M | {"num_hidden_layers": layers, "vocab_size": vocabulary}
    LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({str(number): number for number in range(9)}, unk_token="0"))
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="0", eos_token="2").save_pretrained(folder)
    return folder


def both_workers(model: str, dtype: str, attention: str) -> dict[str, Any]:
    """verl's actor worker with verl's engine, and one with ours."""
    from verl.workers.config import (
        FSDPActorConfig,
        FSDPEngineConfig,
        FSDPOptimizerConfig,
        HFModelConfig,
        TrainingWorkerConfig,
    )
    from verl.workers.engine_workers import TrainingWorker
    from verl.workers.utils.losses import ppo_loss

    from fail2fix.verl_ext.log_probs import use_chunks
    from fail2fix.verl_ext.prefix_worker import choose_engine

    use_chunks()  # as every worker of ours

    def worker(attention: str) -> TrainingWorker:
        precision = {"bfloat16": "bf16", "float32": "fp32"}[dtype]
        mixed = {"param_dtype": precision, "reduce_dtype": "fp32", "buffer_dtype": "fp32"}
        engine = FSDPEngineConfig(mixed_precision=mixed, use_torch_compile=False)
        actor = FSDPActorConfig(
            strategy="fsdp2", rollout_n=1, ppo_micro_batch_size_per_gpu=1, use_kl_loss=True, fsdp_config=engine
        )
        made = TrainingWorker(
            TrainingWorkerConfig(
                model_type="language_model",
                model_config=HFModelConfig(
                    path=model,
                    override_config={"attn_implementation": attention},
                    enable_gradient_checkpointing=False,
                ),
                engine_config=actor.engine,
                optimizer_config=FSDPOptimizerConfig(lr=0.0, total_training_steps=1000),  # weights stay
                checkpoint_config=actor.checkpoint,
            )
        )
        made.reset()
        made.set_loss_fn(partial(ppo_loss, config=actor))
        return made

    verls = worker("sdpa")
    choose_engine()
    ours = worker(attention)
    assert type(verls.engine) is not type(ours.engine)
    return {"verl": verls, "ours": ours}


def case(workers: dict[str, Any], groups: list[Group], given: argparse.Namespace) -> dict[str, Any]:
    """Both engines on the same rows, turn by turn."""
    streams = [verl_rows(rows_of(stream, seed, given.vocabulary), stream[2]) for seed, stream in enumerate(groups)]
    passes: dict[str, Callable[[Any, Any, bool], Any]] = {"log_probs": infer, "update": update}
    rounds: list[dict[tuple[str, str], Measured]] = []
    for _ in range(1 + given.repeats):
        rounds.append({})
        for name, worker in workers.items():
            for what, passed in passes.items():
                # The tree takes either form.
                rounds[-1][name, what] = measured(lambda: [passed(worker, rows, given.packed) for rows in streams])  # noqa: B023
    figures: dict[str, Any] = {"unread_share": round(1 - read_tokens(groups) / unpacked_tokens(groups), 3)}
    for what in passes:
        turns = {name: [turn[name, what] for turn in rounds[1:]] for name in workers}
        figures[f"{what}_s"] = medians({name: [turn.s for turn in of] for name, of in turns.items()})
        figures[f"{what}_cpu_s"] = medians({name: [turn.cpu_s for turn in of] for name, of in turns.items()})
        figures[f"{what}_peak_gib"] = {name: round(max(turn.peak_gib for turn in of), 2) for name, of in turns.items()}
    first = {what: {name: rounds[0][name, what].results for name in workers} for what in passes}
    pairs = zip(first["log_probs"]["verl"], first["log_probs"]["ours"], strict=True)
    return figures | {
        "log_probs_apart": max(float((theirs - ours).abs().max()) for theirs, ours in pairs),
        "gradient_norms": first["update"],
    }


def medians(values: dict[str, list[float]]) -> dict[str, Any]:
    """Of both engines, and the least, median and largest ratio of a round."""
    ratios = [theirs / ours for theirs, ours in zip(values["verl"], values["ours"], strict=True)]
    return {name: round(statistics.median(of), 3) for name, of in values.items()} | {
        "ratios": [round(f(ratios), 2) for f in (min, statistics.median, max)]
    }


def rows_of(group: Group, seed: int, vocabulary: int = VOCABULARY) -> list[np.ndarray]:
    """Rows of random tokens, group by group."""
    count, size, prompt, response = group
    random = np.random.default_rng(seed)
    prompts = random.integers(3, vocabulary, (count, prompt))
    answers = random.integers(3, vocabulary, (count * size, response))
    return [np.concatenate([prompts[at // size], answer]) for at, answer in enumerate(answers)]


def verl_rows(rows: list[np.ndarray], prompt: int) -> Any:
    """The rows as verl's trainer sends them; all are of one length."""
    import torch
    from verl import DataProto
    from verl.workers.utils.padding import left_right_2_no_padding

    ids = torch.from_numpy(np.stack(rows))
    response, random = ids[:, prompt:], torch.Generator().manual_seed(0)
    of_tokens = {
        name: torch.randn(response.shape, generator=random) * 0.1
        for name in ("old_log_probs", "ref_log_prob", "advantages")
    }
    of_tokens = {name: values - (10.8 if "log" in name else 0) for name, values in of_tokens.items()}
    batch = of_tokens | {
        "input_ids": ids,
        "prompts": ids[:, :prompt],
        "responses": response,
        "response_mask": torch.ones_like(response),
        "attention_mask": torch.ones_like(ids),
        "position_ids": torch.arange(ids.shape[1]).expand_as(ids),
    }
    data = DataProto.from_dict(batch)
    data.meta_info["temperature"] = 1.0
    return left_right_2_no_padding(data.to_tensordict())


def options(rows: Any, packed: bool, **more: Any) -> Any:
    from verl.utils import tensordict_utils as tu

    data = rows.copy()
    own = {"use_dynamic_bsz": False, "micro_batch_size_per_gpu": len(rows), "use_remove_padding": packed}
    tu.assign_non_tensor(data, **own, global_batch_size=len(rows), **more)
    return data


def infer(worker: Any, rows: Any, packed: bool) -> Any:
    """Log-probabilities of the responses' tokens."""
    from verl.workers.utils.padding import no_padding_2_padding

    lengths = [rows["attention_mask"].shape[1]] * len(rows)
    asked = options(rows, packed, calculate_entropy=False, compute_loss=False, global_token_num=lengths)
    return no_padding_2_padding(worker.infer_batch(asked)["log_probs"], asked)


def update(worker: Any, rows: Any, packed: bool) -> float:
    """The gradient's norm."""
    asked = options(rows, packed, calculate_entropy=False, num_mini_batch=1, compute_loss=True)
    (norm,) = worker.train_mini_batch(asked)["metrics"]["grad_norm"]
    return float(norm)


@dataclass(frozen=True)
class Measured:
    """What an action gave, and its cost; memory beyond what was held before."""

    results: list[Any]
    s: float
    cpu_s: float
    peak_gib: float


def measured(action: Callable[[], list[Any]]) -> Measured:
    """Run an action to the end of what it started on a GPU."""
    import torch

    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**30
    else:
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        before = memory("VmRSS")
    start, started = time.perf_counter(), time.process_time()
    results = action()
    if on_gpu:
        torch.cuda.synchronize()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - started
    most = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else memory("VmHWM")
    return Measured(results, seconds, cpu_seconds, most - before)


def memory(name: str) -> float:
    """GiB, of a line of this process's status."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) / 2**20


def unpacked_tokens(groups: list[Group]) -> int:
    return sum(count * size * (prompt + response) for count, size, prompt, response in groups)


def read_tokens(groups: list[Group]) -> int:
    """Without each row's last token, which nothing reads."""
    return sum(len(prefix_tree([row[:-1] for row in rows_of(group, seed)])) for seed, group in enumerate(groups))


# ------------------------------------------------------------------------------------------------------ tokens

PROBLEMS, ROLLOUTS, ATTEMPTS, CORRECTIONS = 128, 8, 128, 8
INSTRUCTION = 60  # tokens that a correction prompt adds to the problem and the attempt
SHAPES = {"gsm8k": (120, 300, 1024), "math": (150, 1100, 4096)}  # prompt, mean answer, its cap (FIELD.md, C2)
SIGMA = 0.6  # of the logarithm of an answer's length
CORRECTION_LENGTH = 0.8  # of a base answer's
MICRO_BATCH = 16384


def token_table(seed: int) -> dict[str, Any]:
    """Tokens that pass through the model once in one pass over a step, in thousands, and ratios to plain GRPO's.

    ``shared``: dynamic micro-batches of the engine, on one rank. ``block``: a correction prompt is a text of its own;
    ``turn``: it continues the attempt's own tokens.
    """
    table: dict[str, Any] = {}
    for name, shape in SHAPES.items():
        random = np.random.default_rng(seed)
        steps = {"plain": plain_step(random, *shape)}
        steps |= {form: two_stream_step(random, *shape, form=form) for form in ("block", "turn")}
        passed = {way: {"unshared": tokens(rows), "shared": tree_tokens(rows)} for way, rows in steps.items()}
        plain = passed["plain"]["unshared"]
        table[name] = {
            way: {
                kind: {"thousand_tokens": round(count / 1000), "to_plain_unshared": round(count / plain, 2)}
                for kind, count in both.items()
            }
            | {"to_plain_shared": round(both["shared"] / passed["plain"]["shared"], 2)}
            for way, both in passed.items()
        }
    return table


def plain_step(random: np.random.Generator, prompt: int, mean: int, cap: int) -> list[np.ndarray]:
    problems = PROBLEMS + ATTEMPTS * CORRECTIONS // ROLLOUTS
    return [row for _ in range(problems) for row in group(random, words(random, prompt), ROLLOUTS, mean, cap)]


def two_stream_step(random: np.random.Generator, prompt: int, mean: int, cap: int, form: str) -> list[np.ndarray]:
    base = [group(random, words(random, prompt), ROLLOUTS, mean, cap) for _ in range(PROBLEMS)]
    rows = [row for rows in base for row in rows]
    for problem in range(ATTEMPTS):  # one attempt of each problem
        attempt = base[problem % PROBLEMS][0]
        own = words(random, INSTRUCTION)
        start = [attempt, own] if form == "turn" else [own[:1], attempt, own[1:]]
        rows += group(random, np.concatenate(start), CORRECTIONS, int(CORRECTION_LENGTH * mean), cap)
    return rows


def group(random: np.random.Generator, prompt: np.ndarray, size: int, mean: int, cap: int) -> list[np.ndarray]:
    lengths = np.clip(random.lognormal(np.log(mean) - SIGMA**2 / 2, SIGMA, size), 1, cap).astype(int)
    return [np.concatenate([prompt, words(random, length)]) for length in lengths]


def words(random: np.random.Generator, length: int) -> np.ndarray:
    return random.integers(3, VOCABULARY, length)


def tokens(rows: list[np.ndarray]) -> int:
    return sum(map(len, rows))


def tree_tokens(rows: list[np.ndarray]) -> int:
    needed = [row[:-1] for row in rows]
    return sum(len(prefix_tree([needed[row] for row in part])) for part in micro_batches(needed, MICRO_BATCH))


if __name__ == "__main__":
    sys.exit(main())
