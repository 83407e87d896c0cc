"""How hard is a task for a model, before any training? One table row for each data folder.

    VERL_PLATFORM=cpu python scripts/bench/measure_families.py MODEL FOLDER [FOLDER ...] [--problems 64] [--show 5]

Answers the first held-out problems of each FOLDER (fail2fix.data.tasks writes them) in vLLM, several times each,
and scores the answers with the task's own reward. `medium` is the share of problems in the medium band, 3/8 to
6/8 of the answers correct: those the correction stream learns most from. Lengths are in tokens; `cut off` is the
share of answers that reached --max-tokens, and the 95th percentile is the response length to train with.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from fail2fix.data.tasks.family import family_of

HEADER = ("task", "correct", "medium", "never", "always", "tokens", "p95", "cut off", "prompt")
BAND = (3 / 8, 6 / 8)


def measure(engine: Any, folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Answer and score one folder's problems; a row of the table."""
    from vllm import SamplingParams

    rows = pyarrow.parquet.read_table(folder / "test.parquet").to_pylist()[: arguments.problems]
    sampling = SamplingParams(n=arguments.samples, temperature=arguments.temperature, max_tokens=arguments.max_tokens)
    outputs = engine.chat([row["prompt"] for row in rows], sampling, use_tqdm=False)
    answers = [list(output.outputs) for output in outputs]
    correct = np.array([[score(row, answer.text) for answer in many] for row, many in zip(rows, answers, strict=True)])
    for row, many, verdicts in list(zip(rows, answers, correct, strict=True))[: arguments.show]:
        texts = [f"{'+' if good else '-'} {answer.text!r}" for answer, good in zip(many, verdicts, strict=True)]
        print("\n".join([repr(row["prompt"][-1]["content"]), *texts]))
    share = correct.mean(axis=1)
    lengths = np.array([len(answer.token_ids) for many in answers for answer in many])
    cut_off = np.mean([answer.finish_reason == "length" for many in answers for answer in many])
    return [
        name(folder),
        f"{correct.mean():.3f}",
        f"{np.mean((share >= BAND[0]) & (share <= BAND[1])):.3f}",
        f"{np.mean(share == 0):.3f}",
        f"{np.mean(share == 1):.3f}",
        f"{lengths.mean():.1f}",
        f"{np.percentile(lengths, 95):.0f}",
        f"{cut_off:.3f}",
        f"{max(len(output.prompt_token_ids) for output in outputs)}",
    ]


def score(row: dict[str, Any], text: str) -> float:
    source, truth = row["data_source"], row["reward_model"]["ground_truth"]
    return float(family_of(source).compute_score(source, text, truth)["acc"])


def name(folder: Path) -> str:
    """The task and its dials, where the folder says them."""
    task = folder / "task.json"
    if not task.is_file():
        return folder.name
    told = json.loads(task.read_text())
    return " ".join([told["data_source"], *(f"{dial}={value}" for dial, value in told["dials"].items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("model", help="Hugging Face folder")
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="data folder with a test.parquet")
    parser.add_argument("--problems", type=int, default=64, help="problems a folder (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=8, help="answers a problem (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.7, help="(default: %(default)s)")
    parser.add_argument("--max-tokens", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--show", type=int, default=0, help="print the answers to this many problems")
    arguments = parser.parse_args()

    from fail2fix.verl_ext import environment

    environment.set_defaults()
    from vllm import LLM

    # One seed for the engine: one in each request would give every problem the same random numbers.
    engine = LLM(arguments.model, dtype="bfloat16", max_model_len=512, enforce_eager=True, seed=arguments.seed)
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for folder in arguments.folders:
        print("| " + " | ".join(measure(engine, folder, arguments)) + " |", flush=True)


if __name__ == "__main__":
    main()
