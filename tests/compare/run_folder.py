"""A stand-in for ``python -m fail2fix.train``: writes a run folder as training leaves it, in a moment.

Reads the overrides that a comparison passes, and ``fake.*`` ones of its own: ``fake.rollouts`` (a step's),
``fake.cut_short`` (end with an error after the first step: ``checkpoint`` with one, ``nothing`` without, the first
time only), ``fake.sleep`` (seconds before the end), ``fake.problems`` (held out) and ``fake.data`` (a path). The
environment's ``FAKE_LR`` is a setting that no override shows, as an edited config file is.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

STEPS = 4
SAMPLES = 4
ATTEMPTS = 6
GAIN = {"grpo": 0.05, "cipo": 0.12}


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def ledger_row(step: int, rollouts: int) -> dict[str, Any]:
    """Half of the rollouts corrections, 10 prompt and 5 generated tokens each."""
    total = step * rollouts
    row: dict[str, Any] = {"step": step}
    for stream, share in (("base", total // 2), ("correction", total - total // 2), ("total", total)):
        counts = {"rollouts": share, "prompt_tokens": 10 * share, "generated_tokens": 5 * share, "seconds": 2.0 * step}
        row |= {f"fail2fix/ledger/{stream}/{name}": value for name, value in counts.items()}
    return row | {
        "fail2fix/ledger/optimizer_steps": step,
        "fail2fix/ledger/seconds": 7.0 * step,
        "fail2fix/ledger/problems": 8 * step,
    }


def validation_rows(step: int, accuracy: float, problems: int, seed: int) -> list[dict[str, Any]]:
    random_ = random.Random(1000 * seed + step)
    return [
        {
            "input": f"problem {problem}",
            "output": "...",
            "score": right,
            "acc": right,
            "step": step,
            "pred": "1" if right else str(random_.randrange(2, 5)),
        }
        for problem in range(problems)
        for right in (float(random_.random() < accuracy) for _ in range(SAMPLES))
    ]


def correction_rows(step: int, fix: float, keep: float, seed: int) -> list[dict[str, Any]]:
    """A wrong and a right attempt in turn."""
    random_ = random.Random(1000 * seed + step)
    return [
        {
            "problem": f"problem {attempt}",
            "attempt_id": f"attempt-{attempt}",
            "attempt_correct": bool(attempt % 2),
            "correct": random_.random() < (keep if attempt % 2 else fix),
            "answer": "1",
            "attempt_answer": "2",
            "output": "...",
        }
        for attempt in range(ATTEMPTS)
        for _ in range(SAMPLES)
    ]


def own_answer_rows(step: int, fix: float, problems: int, seed: int) -> list[dict[str, Any]]:
    """A wrong and a right answer in turn, each revised twice."""
    random_ = random.Random(1000 * seed + step)
    return [
        {
            "place": place, "attempt_correct": bool(place % 2), "attempt_answer": "1" if place % 2 else "2",
            "attempt_tokens": 5, "correct": right, "answer": "1" if right else "2", "tokens": 6, "status": "ok",
        }
        for place in range(problems)
        for right in (random_.random() < (0.9 if place % 2 else fix) for _ in range(2))
    ]  # fmt: skip


def write_run(
    folder: Path, *, gain: float = 0.1, seed: int = 0, steps: int = STEPS, rollouts: int = 100, problems: int = 12,
    data: str = "hub/data", lr: str = "1",
) -> None:  # fmt: skip
    """A run validated before training and after every second step."""
    rows = []
    for step in range(steps + 1):
        row = ledger_row(step, rollouts)
        if step % 2 == 0:
            row["val-core/fake/acc/mean@4"] = 0.5
            row["fail2fix/held_out/fix_rate"] = 0.25
            write_lines(
                folder / "validation" / f"{step}.jsonl", validation_rows(step, 0.3 + gain * step, problems, seed)
            )
            corrections = correction_rows(step, 0.3 + gain * step, 0.8, seed)
            write_lines(folder / "held_out_corrections" / f"{step}.jsonl", corrections)
            own = own_answer_rows(step, 0.3 + gain * step, problems, seed)
            write_lines(folder / "own_answers" / f"{step}.jsonl", own)
        rows.append(row)
    write_lines(folder / "metrics.jsonl", rows)
    versions = {"packages": {"fail2fix": "0.1.0"}, "platform": "fake", "command": ["train", "/home/me"]}
    (folder / "versions.json").write_text(json.dumps(versions))
    config = {
        "fail2fix": {"seed": seed, "run": {"name": folder.name}},
        "data": {"train_files": data, "val_files": data},
    }
    config |= {"trainer": {"default_local_dir": str(folder / "checkpoints"), "lr": lr}}
    (folder / "config.yaml").write_text(json.dumps(config))


def main() -> int:
    given = dict(word.lstrip("+").partition("=")[::2] for word in sys.argv[1:] if "=" in word)
    config = sys.argv[sys.argv.index("--config-name") + 1]
    folder = Path(given["fail2fix.run.root"], given["trainer.experiment_name"], given["fail2fix.run.name"])
    tracker = folder / "checkpoints" / "latest_checkpointed_iteration.txt"
    print(f"training {folder.name}", flush=True)
    if folder.exists() and not tracker.exists():
        print(f"{folder} belongs to another run")
        return 2
    if "fake.cut_short" in given and not folder.exists() and not list(folder.parent.glob("*.unfinished-*")):
        folder.mkdir(parents=True)
        if given["fake.cut_short"] == "checkpoint":
            (tracker.parent / "global_step_2").mkdir(parents=True)
            tracker.write_text("2")
        print("out of memory")
        return 1
    time.sleep(float(given.get("fake.sleep", 0)))
    rollouts = int(given.get(f"fake.{config}.rollouts", 100))
    problems = int(given.get("fake.problems", 12))
    seed = int(given["fail2fix.seed"])
    data, lr = given.get("fake.data", "hub/data"), os.environ.get("FAKE_LR", "1")
    gain = GAIN.get(config, 0.1)
    write_run(folder, gain=gain, seed=seed, rollouts=rollouts, problems=problems, data=data, lr=lr)
    (folder / "finished").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
