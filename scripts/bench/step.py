"""Step time by source of attempts on the real stack, against plain GRPO with as many rollouts, all in one run.

    python scripts/bench/step.py --out DIR [--repeats 5] [--mean 64] [--sigma 1] [--cap 512] [--only-generation]
        [key=value ...]

One training whose steps take turns: plain GRPO on 2B problems (the peer), online, lagged; real engines, real log-probs,
updates and weight syncs, with log-normal response lengths set through each request's token limit (so much
time is spent whatever the model writes). With --only-generation steps end before log-probs and update, which take
minutes on two cores. Without --config it is SmolLM2-135M-Instruct on the CPU; on a GPU:

    python scripts/bench/step.py --out DIR --config cipo setup=gsm8k actor_rollout_ref.model.path=MODEL ...

Prints and writes (DIR/step.json) medians of the repeats in seconds, the phases' shares of a step, ratios to plain
(medians of ratios within a round), prefix-cache hits, and which share of the engine's tokens was prefill: prompt tokens
that no cache held, among those and the generated.
"""

import argparse
import json
import os
import platform
import secrets
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hydra import compose, initialize_config_dir

from fail2fix.data.tasks import arithmetic, smollm2
from fail2fix.run.shipped_configs import config_dir
from fail2fix.train import register_configs
from tests.e2e.support import killing
from tests.e2e.support.turns import TURNS, WARM_UP, turn_of

ROOT = Path(__file__).resolve().parents[2]
TRAIN = "from tests.e2e.support.timing import main; main()"
LIMIT_S = 7200.0
WORDS = 256  # tokens of a problem of the CPU's and of what a correction prompt adds to it and the attempt
STREAMS = ("base", "correction")
PHASES = ("gen", "old_log_prob", "ref", "adv", "update_actor", "update_weights")
ON_CPU = (
    "setup=arithmetic",
    "data.train_batch_size=4",
    "fail2fix.correction.attempts=4",
    "fail2fix.correction.rollouts=4",
    "actor_rollout_ref.rollout.n=4",
    # Packed: padded rows would all take as long as the longest.
    "actor_rollout_ref.model.use_remove_padding=true",
    "actor_rollout_ref.actor.use_dynamic_bsz=true",
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=2048",
)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that its training ends with it
    given, overrides = arguments(__doc__).parse_known_args()
    given.out.mkdir(parents=True, exist_ok=True)
    steps = timed_steps(given, setting(given, overrides))
    report = {"machine": machine(), "command": " ".join(sys.argv)} | report_of(steps)
    (given.out / "step.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 0


def arguments(about: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5, help="rounds that count (default: %(default)s)")
    parser.add_argument("--mean", type=float, default=64, help="tokens of a response (default: %(default)s)")
    parser.add_argument("--sigma", type=float, default=1.0, help="of their logarithm (default: %(default)s)")
    parser.add_argument("--cap", type=int, default=512, help="the most tokens (default: %(default)s)")
    parser.add_argument("--only-generation", action="store_true", help="no log-probs, no update")
    parser.add_argument("--config", help="(default: cipo, with the CPU's model, data and sizes)")
    return parser


def setting(given: argparse.Namespace, overrides: list[str]) -> list[str]:
    """All overrides: the user's, after room for the lengths, after the CPU's unless a config is named."""
    if not given.config:
        overrides = on_cpu(given.out.resolve()) + overrides
    return room(given.config or "cipo", given.cap, overrides) + overrides


def room(config: str, cap: int, overrides: list[str]) -> list[str]:
    """The longest response, a correction prompt that holds it, and both in the engine; what is larger stays."""
    register_configs()
    with initialize_config_dir(config_dir(), version_base="1.3"):
        composed = compose(config, overrides)
    prompt = max(composed.fail2fix.correction.max_prompt_length, cap + WORDS)
    whole = max(
        composed.actor_rollout_ref.rollout.max_model_len or 0, max(prompt, composed.data.max_prompt_length) + cap
    )
    return [
        f"data.max_response_length={cap}",
        f"fail2fix.correction.max_prompt_length={prompt}",
        f"actor_rollout_ref.rollout.max_model_len={whole}",
    ]


def on_cpu(out: Path) -> list[str]:
    """The CPU's model, data and sizes."""
    smollm2.main([str(ROOT / ".models" / "smollm2-135m-instruct")])
    arithmetic.main([str(out / "arithmetic"), "--seed", "0"])
    device = subprocess.check_output([ROOT / "scripts" / "cpu_device.sh"], text=True).strip()
    return [
        f"device={device}",
        *ON_CPU,
        f"actor_rollout_ref.model.path={ROOT}/.models/smollm2-135m-instruct",
        f"data.train_files={out}/arithmetic/train.parquet",
        f"data.val_files={out}/arithmetic/test.parquet",
    ]


def timed_steps(given: argparse.Namespace, overrides: list[str]) -> list[dict[str, Any]]:
    """Every step's metrics."""
    name, steps = f"bench-{secrets.token_hex(4)}", len(TURNS) * (WARM_UP + given.repeats)
    rewards = ROOT / "tests" / "e2e" / "support" / "rewards.py"
    arguments = [
        "--config-name", given.config or "cipo",
        f"fail2fix.run.root={given.out.resolve()}", "trainer.experiment_name=runs",
        f"fail2fix.run.name={name}", f"trainer.total_training_steps={steps}", "trainer.save_freq=-1",
        "trainer.test_freq=-1", "trainer.val_before_train=false", "trainer.logger=[console]",
        f"reward.custom_reward_function.path={rewards}",
        f"+timing.mean={given.mean}", f"+timing.sigma={given.sigma}", f"+timing.cap={given.cap}",
        f"+timing.only_generation={given.only_generation}", *overrides,
    ]  # fmt: skip
    killing.LIMIT_S = LIMIT_S
    on_cpu = any(key.startswith("device=cpu") for key in overrides)
    on_gpu = {} if on_cpu else {"VERL_PLATFORM": os.environ.get("VERL_PLATFORM", "")}
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)} | on_gpu
    with killing.Started([sys.executable, "-c", TRAIN, *arguments], ROOT, env) as run:
        run.finish()
    lines = (given.out / "runs" / name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines][len(TURNS) * WARM_UP :]


def report_of(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians and ratios."""
    by_turn = {name: [step for step in steps if turn_of(step["step"]) == name] for name in TURNS}
    rounds = zip(*by_turn.values(), strict=True)
    return {
        "repeats": len(by_turn["plain"]),
        "turns": {name: summary(rows) for name, rows in by_turn.items()},
        "generation_to_plain": {n: ratio(by_turn, "timing_s/gen", n, "plain") for n in TURNS[1:]},
        "step_to_plain": {n: ratio(by_turn, "timing_s/step", n, "plain") for n in TURNS[1:]},
        "rounds": [{name: generated(row) for name, row in zip(TURNS, rows, strict=True)} for rows in rounds],
    }


def generated(row: dict[str, Any]) -> dict[str, float]:
    """What a step generated, and in how many seconds: steps of a round may correct different numbers of attempts."""
    return {
        "seconds": round(row["timing_s/gen"], 2),
        "tokens": sum(row.get(f"fail2fix/{stream}/generated_tokens") or 0 for stream in STREAMS),
        "attempts": row.get("fail2fix/replay/chosen") or 0,
    }


def ratio(by_turn: dict[str, list[dict[str, Any]]], key: str, one: str, other: str) -> float:
    """The median, over the rounds, of one turn's seconds to another's."""
    pairs = zip(by_turn[one], by_turn[other], strict=True)
    return round(statistics.median(mine[key] / theirs[key] for mine, theirs in pairs), 3)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A turn's medians over the rounds."""
    seconds = {name: median(rows, f"timing_s/{name}") for name in ("step", *PHASES)}
    return {
        "seconds": seconds,
        "share_of_step": {name: round(seconds[name] / seconds["step"], 3) for name in PHASES},
        "generated_tokens": sum(median(rows, f"fail2fix/{stream}/generated_tokens") for stream in STREAMS),
        "prefill_share": round(statistics.median(map(prefill_share, rows)), 3),
        "prefix_cache_hit": {s: median(rows, f"perf/prefix_cache_hit/{s}") for s in STREAMS},
        "attempts": median(rows, "fail2fix/replay/chosen"),
        "skipped_token_share": median(rows, "fail2fix/update/skipped_token_share"),
    }


def prefill_share(row: dict[str, Any]) -> float:
    """Prompt tokens that the engine had to read, among all tokens that it computed."""
    fresh = sum(
        row.get(f"fail2fix/{s}/prompt_tokens", 0.0) * (1 - row.get(f"perf/prefix_cache_hit/{s}", 0.0)) for s in STREAMS
    )
    generated = sum(row.get(f"fail2fix/{s}/generated_tokens", 0.0) for s in STREAMS)
    return float(fresh / (fresh + generated))


def median(rows: list[dict[str, Any]], key: str) -> float:
    return round(statistics.median(row.get(key) or 0.0 for row in rows), 4)


def machine() -> dict[str, Any]:
    return {"platform": platform.platform(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}


if __name__ == "__main__":
    sys.exit(main())
