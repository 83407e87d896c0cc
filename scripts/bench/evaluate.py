"""How busy an evaluation keeps its engine: its tokens a second against the engine's own, in one run.

    VERL_PLATFORM=cpu scripts/bench/evaluate.py MODEL [--problems 500] [--samples 8] [--repeats 3] [--batch 1024]

Prints JSON. Both sides answer the same short arithmetic problems with the same seeds on one vLLM engine, in turns: the
evaluation in batches that it writes and judges, the engine in one call of `LLM.generate`. The ratio is of medians.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.judging import Judge
from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.run import Evaluation, all_slots
from fail2fix.evaluate.settings import Settings, request_seed
from fail2fix.evaluate.store import Store
from fail2fix.evaluate.vllm_engine import VllmEngine
from fail2fix.run.provenance import versions
from fail2fix.verify.config import VerifierConfig

NAME = "gsm8k"  # any name the settings know; the problems are generated


def problems(count: int) -> list[Question]:
    found = []
    for number in range(count):
        a, b = 2 + number % 30, 3 + number // 30
        words = f"What is {a} + {b}? Explain in one sentence and put the result in \\boxed{{}}."
        found.append(Question(f"q{number}", "fail2fix/bench", "math", [{"role": "user", "content": words}], str(a + b)))
    return found


def evaluated(settings: Settings, asked: list[Question], engine: VllmEngine) -> tuple[float, int]:
    """Seconds and new tokens of a whole evaluation, files and verdicts included."""
    with tempfile.TemporaryDirectory() as folder, Judge(VerifierConfig()) as judge:
        store = Store(Path(folder) / "out")
        store.open({})
        judge.require(asked)
        began = time.perf_counter()
        records = Evaluation(settings, {NAME: asked}, store, judge, lambda: engine).run()
        return time.perf_counter() - began, sum(row["response_tokens"] for row in records[NAME])


def generated(settings: Settings, asked: list[Question], engine: VllmEngine) -> tuple[float, int]:
    """The same of one call of the engine."""
    from vllm import SamplingParams, TokensPrompt

    prompts, sampling = [], []
    for slot in all_slots({NAME: asked}, settings):
        prompt = engine.prompts.solve(asked[slot.question])
        assert prompt is not None
        assert prompt.ids is not None
        prompts.append(TokensPrompt(prompt_token_ids=prompt.ids))
        given = settings.sampling[NAME]
        seed = request_seed(settings, NAME, asked[slot.question].id, slot.sample, 0)
        sampling.append(SamplingParams(temperature=given.temperature, max_tokens=given.max_tokens, seed=seed))
    engine.llm.reset_prefix_cache()
    began = time.perf_counter()
    outputs = engine.llm.generate(prompts, sampling, use_tqdm=False)
    return time.perf_counter() - began, sum(len(output.outputs[0].token_ids) for output in outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1024)
    given = parser.parse_args()
    sampling = {NAME: Sampling(given.samples, 0.7, max_tokens=given.max_tokens)}
    settings = Settings(given.model, sampling, batch=given.batch, max_model_len=512)
    asked, engine = problems(given.problems), VllmEngine(settings)
    generated(settings, asked[:20], engine)  # first calls are slow
    sides = {"evaluation": evaluated, "engine": generated}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    tokens: dict[str, int] = {}
    for _ in range(given.repeats):
        for name, run in sides.items():
            seconds, tokens[name] = run(settings, asked, engine)
            rates[name].append(tokens[name] / seconds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    report = {
        "answers": given.problems * given.samples,
        "tokens": tokens,
        "tokens_per_s": rates,
        "median_tokens_per_s": medians,
        "evaluation_over_engine": medians["evaluation"] / medians["engine"],
        "engine": engine.describe(),
        "versions": versions(),
    }
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
