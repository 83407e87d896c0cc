"""None of the attacks is paid, late, or executed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from fail2fix.verify.attacks.corpus import Attack, corpus
from fail2fix.verify.attacks.generated import generated
from fail2fix.verify.certify.judging import Judging, judge_one_by_one
from fail2fix.verify.pool import WALL_PER_CPU

DEADLINE_S = 3.0
MEMORY_BYTES = 4 * 2**30
TRACE = Path(__file__).with_name("trace_attacks.py")

CATEGORIES = {
    "hedge: several boxes", "hedge: one box", "chained equality", "unevaluated", "integral, sum, limit",
    "near-miss decimal", "percent and units", "channels contradict", "stuffing", "sets, lists, ranges",
    "symbolic near-miss", "prompt-like text", "hedge, generated", "prompt-like text, generated", "Unicode",
    "code and parser injection", "bomb", "giant", "deep nesting",
}  # fmt: skip


class PeakMemory:
    """Largest resident memory of any descendant of this process, in bytes, sampled every 50 ms."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.peak = max(self.peak, *map(_resident, psutil.Process().children(recursive=True)), 0)


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


@pytest.fixture(scope="module")
def canary() -> Iterator[Path]:
    # A digit in its path would be a number in an answer.
    path = Path(tempfile.gettempdir()) / "fail2fix-canary-of-tests"
    path.unlink(missing_ok=True)
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def attacks(canary: Path) -> list[Attack]:
    return corpus(canary)


@pytest.fixture(scope="module")
def judged(attacks: list[Attack]) -> tuple[Judging, int]:
    with PeakMemory() as watch:
        judging = judge_one_by_one([(row.response, row.gold) for row in attacks], workers=1, deadline_s=DEADLINE_S)
    return judging, watch.peak


def test_the_corpus_is_large_and_covers_every_category(attacks: list[Attack]) -> None:
    counts = Counter(row.category for row in attacks)
    assert len({(row.gold, row.response) for row in attacks}) >= 500
    assert set(counts) == CATEGORIES
    assert min(counts.values()) >= 20


def test_the_same_seed_gives_the_same_attacks() -> None:
    assert generated(1) == generated(1)
    assert generated(1) != generated(2)


def test_no_attack_is_accepted(attacks: list[Attack], judged: tuple[Judging, int]) -> None:
    accepted = [row for row, verdict in zip(attacks, judged[0].verdicts, strict=True) if verdict.correct]
    assert [(row.id, row.gold, row.response[:200]) for row in accepted] == []


def test_every_attack_gets_its_verdict_in_time_and_memory(attacks: list[Attack], judged: tuple[Judging, int]) -> None:
    judging, peak_bytes = judged
    # The deadline counts CPU seconds: only the limit of wall-clock time holds on a busy machine.
    late = [row.id for row, s in zip(attacks, judging.seconds, strict=True) if s > WALL_PER_CPU * DEADLINE_S]
    assert late == []
    assert {verdict.status for verdict in judging.verdicts} <= {"ok", "no_answer", "timeout"}
    assert peak_bytes < MEMORY_BYTES


@pytest.mark.heavy
def test_nothing_of_an_answer_is_executed(canary: Path, judged: tuple[Judging, int]) -> None:
    """All rungs in one process under an audit hook; and no canary file, here or where the pool judged."""
    done = subprocess.run([sys.executable, str(TRACE), str(canary)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["seen"] == []
    assert result["accepted"] == []
    assert not canary.exists()


def test_the_trace_sees_what_it_looks_for(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(TRACE.parent)!r}); import trace_attacks as t\n"
        "sys.addaudithook(t.hook); t.watching = True\n"
        f"import os; eval('7'); exec('x=7'); open({str(tmp_path / 'f')!r}, 'w'); os.system('true')\n"
        "import subprocess, pickle; subprocess.run(['true']); pickle.loads(b'cos\\nsystem\\n.')\n"
        "t.watching = False; print('\\n'.join(t.seen))"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout
    for event in ("compile", "exec", "open to write", "os.system", "subprocess.Popen", "pickle.find_class"):
        assert event in seen
