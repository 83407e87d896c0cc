"""A policy that answers with bombs and abusive programs: training goes on, and its metrics count them."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fail2fix.data.rows import verl_row, write_splits
from tests.e2e.conftest import Bench, Run
from tests.e2e.support.tiny import make_model, teach

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("bwrap") is None, reason="programs run in bubblewrap only, and it is not installed"
    ),
]

CANARY = Path("/var/tmp/fail2fix-e2e-canary")
PLUS_ONE = json.dumps(
    {"kind": "calls", "entry_point": "f", "calls": [{"args": [x], "expected": x + 1} for x in range(4)]}
)
HOSTILE = {
    "tower": r"\boxed{9^{9^{9^{9}}}}",
    "factorial": r"\boxed{(99999999!)!}",
    "loop": "```python\ndef f(x):\n while 1: pass\n```",
    "forks": "```python\nimport os\nwhile 1: os.fork()\n```",
    "memory": "```python\nx = bytearray(10**11)\n```",
    "writes": f"```python\nopen('{CANARY}', 'w')\n```",
}
HONEST = {"right": r"\boxed{|x|+1}", "wrong": r"\boxed{|x|+2}", "program": "```python\ndef f(x): return x + 1\n```"}
LIMITED = {"tower": "timeout", "factorial": "timeout", "loop": "over_limit", "memory": "over_limit"}
"""How those end that run into a limit; the others end by themselves, the fork bomb by the error its last fork gives."""


def is_code(answer: str) -> bool:
    return "```" in answer


ORPHANS: set[psutil.Process] = set()  # sandboxes of other programs on this machine, from before the run


@pytest.fixture(scope="module")
def run(bench: Bench) -> Iterator[Run]:
    """Every problem of the data set has one answer, which the model has learned by heart."""
    answers = HOSTILE | HONEST
    rows = [
        verl_row("fail2fix/programs" if is_code(answer) else "math", f"Say: {name}", gold, "train", index)
        for index, (name, answer) in enumerate(answers.items())
        for gold in [PLUS_ONE if is_code(answer) else "1+|x|"]
    ]
    write_splits(bench.root / "hostile", rows, rows)
    model = make_model(bench.root / "reciter")
    assert teach(model, [(f"Say: {name}", answer) for name, answer in answers.items()]) < 0.02
    CANARY.unlink(missing_ok=True)
    ORPHANS.update(orphaned_sandboxes())
    yield bench.train(
        "hostile",
        f"data.train_files={bench.root}/hostile/train.parquet",
        f"data.val_files={bench.root}/hostile/test.parquet",
        f"data.train_batch_size={len(rows)}",
        "data.max_response_length=96",
        f"actor_rollout_ref.model.path={model}",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={len(rows)}",
        "actor_rollout_ref.actor.optim.lr=1e-6",
        "reward.custom_reward_function.path=null",
        "fail2fix.verifier.channel=boxed",
        "fail2fix.verifier.code.test_s=2",
        "fail2fix.verifier.code.total_s=4",
        "trainer.total_training_steps=2",
    ).ok()
    CANARY.unlink(missing_ok=True)


def test_the_run_goes_on_and_counts_every_answer_that_ran_into_a_limit(run: Run) -> None:
    for step in (1, 2):
        rows, row = run.rollouts(step), run.metrics()[step]
        for stream in ("base", "correction"):
            found = Counter(r["verify_status"] for r in rows if r["stream"] == stream)
            assert row[f"fail2fix/{stream}/verifier_timeouts"] == found["timeout"]
            assert row[f"fail2fix/{stream}/verifier_over_limit"] == found["over_limit"]
            assert row[f"fail2fix/{stream}/verifier_errors"] == found["error"] == 0
        assert row["fail2fix/base/verifier_timeouts"] >= 2
        assert row["fail2fix/base/verifier_over_limit"] >= 2


def test_each_hostile_answer_has_the_verdict_it_earns(run: Run) -> None:
    statuses: dict[str, Counter[tuple[str, int]]] = {}
    names = {answer: name for name, answer in (HOSTILE | HONEST).items()}
    for row in (row for step in (1, 2) for row in run.rollouts(step)):
        if name := names.get(row["output"]):
            statuses.setdefault(name, Counter())[row["verify_status"], row["verdict"]] += 1
    assert set(statuses) == set(names.values())
    for name, found in statuses.items():
        verdict = int(name in ("right", "program"))
        assert set(found) == {(LIMITED.get(name, "ok"), verdict)}, (name, found)


def test_an_answer_that_could_not_be_read_is_not_replayed(run: Run) -> None:
    corrections = [row["input"] for step in (1, 2) for row in run.rollouts(step) if row["stream"] == "correction"]
    assert corrections
    assert not [
        text for text in corrections for name, end in LIMITED.items() if end == "timeout" and HOSTILE[name] in text
    ]


def test_the_machine_is_as_it_was(run: Run) -> None:
    assert run.returncode == 0
    assert not CANARY.exists()
    # A sandbox dies with its parent, and is there until init has taken note.
    deadline = time.monotonic() + 20
    while (left := orphaned_sandboxes() - ORPHANS) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left, "sandboxes that have outlived their run"


def orphaned_sandboxes() -> set[psutil.Process]:
    processes = psutil.process_iter(["name", "ppid", "status"])
    of_init = [p for p in processes if p.info["name"] == "bwrap" and p.info["ppid"] == 1]
    return {p for p in of_init if p.info["status"] != psutil.STATUS_ZOMBIE}
