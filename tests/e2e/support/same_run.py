"""Whether two runs are one: everything a run leaves, but for what a clock, a memory or an engine's rounding decides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import torch

# Times, throughput, memory, and differences between the log-probs of rollout and actor.
MEASURED = re.compile(
    r"timing|perf/|memory|seconds|rollout_probs_diff|rollout_actor_probs|rollout_corr|/mfu|^rollout_is|log_ppl|agent_loop"
)
# A worker's own random numbers, which nothing draws from without dropout: verl seeds them only under
# `fsdp_config.full_determinism`, so a run that begins again before its first checkpoint has others.
OWNER = "fail2fix_run.json"  # which run wrote it
UNSEEDED = "rng"
# Of a dumped rollout: what a clock decides.
CLOCKED = re.compile(r"seconds|latency|request_id")


def differences(one: Path, other: Path, last: int) -> list[str]:
    """What differs between two run folders whose last checkpoint is of step ``last``, one line each; empty: nothing."""
    return [
        *_different_metrics(one, other),
        *_different_dumps(one, other),
        *_different_checkpoints(
            one / "checkpoints" / f"global_step_{last}", other / "checkpoints" / f"global_step_{last}"
        ),
    ]


def _different_metrics(one: Path, other: Path) -> Iterator[str]:
    mine, theirs = (_metrics(folder) for folder in (one, other))
    if list(mine) != list(theirs):
        yield f"metrics.jsonl: steps {list(mine)} and {list(theirs)}"
    for step in mine.keys() & theirs.keys():
        for name in sorted(mine[step].keys() | theirs[step].keys()):
            values = mine[step].get(name), theirs[step].get(name)
            if not MEASURED.search(name) and values[0] != values[1]:
                yield f"metrics.jsonl: step {step}, {name}: {values[0]} and {values[1]}"


def _metrics(folder: Path) -> dict[int, dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len({line["step"] for line in lines}) == len(lines), f"{folder}: a step has two lines"
    return {line["step"]: line for line in lines}


def _different_dumps(one: Path, other: Path) -> Iterator[str]:
    for kind in ("rollouts", "validation", "held_out_corrections", "decisions"):
        files = [{path.name: path for path in (folder / kind).glob("*.json*")} for folder in (one, other)]
        if files[0].keys() != files[1].keys():
            yield f"{kind}: {sorted(files[0])} and {sorted(files[1])}"
        for name in sorted(files[0].keys() & files[1].keys()):
            if _rows(files[0][name]) != _rows(files[1][name]):
                yield f"{kind}/{name} differs"


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in row.items() if not CLOCKED.search(name)} for row in rows]


def _different_checkpoints(one: Path, other: Path) -> Iterator[str]:
    if not (one / "fail2fix_state.json").exists():
        yield f"{one}: no complete checkpoint to compare"
    names = [
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != OWNER)
        for folder in (one, other)
    ]
    if names[0] != names[1]:
        yield f"{one.name}: files {sorted(set(names[0]) ^ set(names[1]))} are in one only"
    for name in sorted(set(names[0]) & set(names[1])):
        if not _same_file(one / name, other / name):
            yield f"{one.name}/{name} differs"


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _same_file(one: Path, other: Path) -> bool:
    if one.suffix == ".pt":
        # Written by the run that is looked at, in this very test.
        return _equal(*(torch.load(path, weights_only=False, map_location="cpu") for path in (one, other)))
    if one.suffix == ".parquet":
        return parquet.read_table(one).equals(parquet.read_table(other))
    if one.name == "fail2fix_state.json":
        return _state(one) == _state(other)
    return one.read_bytes() == other.read_bytes()


def _state(path: Path) -> Any:
    """The state without times and what is measured."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(item) for name, item in value.items() if not MEASURED.search(name)}
        return value

    return kept(json.loads(path.read_text()))


def _equal(one: Any, other: Any) -> bool:
    """Bit for bit, through containers; sharded tensors by their local parts."""
    if isinstance(one, torch.Tensor):
        one, other = (value.to_local() if hasattr(value, "to_local") else value for value in (one, other))
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one if name != UNSEEDED)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if hasattr(one, "tolist"):
        return bool((one == other).all())
    if hasattr(one, "__dict__") and not callable(one):
        return type(one) is type(other) and _equal(vars(one), vars(other))
    return bool(one == other)
