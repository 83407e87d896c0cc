"""Rows are kept whose tests accept the reference program and refuse the wrong attempt; the others have a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fail2fix.data.prepare.cleaning import Dropped
from fail2fix.data.prepare.command import main, prepare
from fail2fix.data.prepare.references import confirmed, sandbox
from fail2fix.data.sets import find_set
from fail2fix.data.sets.contest_tests import fenced
from fail2fix.data.sets.spec import GivenAttempt, Problem
from fail2fix.method.errors import InputError
from fail2fix.verify.code.ground_truth import Limits
from fail2fix.verify.code.local import LocalBackend
from tests.data.prepare.sets import samples
from tests.shared import DATA

parquet = pytest.importorskip("pyarrow.parquet")

TESTS = json.dumps({"kind": "calls", "entry_point": "f", "calls": [{"args": [2], "expected": 4}]})


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    try:
        with closing(sandbox("a set", workers=1)) as backend:
            backend.limits = Limits(test_s=2.0, total_s=4.0)
            yield backend
    except InputError as error:
        pytest.skip(str(error))


def problem(reference: str, attempt: str = "", correct: bool = False) -> Problem:
    attempted = GivenAttempt(fenced(attempt), correct) if attempt else None
    return Problem("Double it.", TESTS, attempt=attempted, reference=reference, place=reference[:40])


@pytest.mark.heavy
def test_what_the_tests_do_not_confirm_is_counted(backend: LocalBackend) -> None:
    right, wrong = "def f(n): return 2 * n", "def f(n): return n + 3"
    problems = [
        problem(right),
        problem(right, attempt=wrong),
        problem(right, attempt=right, correct=True),
        problem(right, attempt="def f(n) return 2"),
        problem(wrong),
        problem("def f(n):\n    while True: pass"),
        problem(right, attempt="def f(n): return n + 2"),
        problem(""),
    ]
    dropped = Dropped()
    assert confirmed(problems, backend, dropped) == problems[:4]
    assert dropped.counts == {
        "its reference fails its tests": 1,
        "its reference ran into a limit of time, memory or output": 1,
        "its wrong attempt passes its tests": 1,
        "it has no reference program": 1,
    }


def test_a_machine_without_a_sandbox_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SystemExit, match="2"):
        main(["debugbench", "--out", str(tmp_path / "out"), "--from", str(tmp_path)])
    said = capsys.readouterr().err
    assert said.startswith("prepare: error: debugbench: its reference programs must be run: ")
    assert said.count("\n") == 1
    assert "apt-get install bubblewrap" in said
    assert not (tmp_path / "out").exists()


def test_distilled_programs_that_fail_are_left_out(backend: LocalBackend, tmp_path: Path) -> None:
    rows = samples("am_distilled")
    (tmp_path / "am_distilled.jsonl").write_text("\n".join(map(json.dumps, rows)))
    chosen = replace(find_set("am_distilled"), held_out=1)
    made = prepare(chosen, tmp_path / "out", tmp_path)
    assert made.written == {"train": 1, "test": 1}
    assert made.dropped.counts == {"its reference fails its tests": 1, "its answer holds no Python program": 1}


@pytest.mark.needs_shared
@pytest.mark.heavy
def test_bugs_that_slip_through_debugbenchs_tests_are_left_out(backend: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "debugbench").mkdir()
    (tmp_path / "leetcode_dataset").symlink_to(DATA / "leetcode_dataset")
    rows = json.loads((DATA / "debugbench" / "python3_condition_error.json").read_text())
    (tmp_path / "debugbench" / "python3_condition_error.json").write_text(json.dumps(rows[:20]))
    places = json.loads((DATA / "debugbench" / "coverage_leetcode_v0.2.json").read_text())
    known = [each for each in places if each["file"] == "condition_error" and each["index"] < 20]
    usable = [each["slug"] for each in known if each["oracle"] == "ok" and each["buggy"] != "ok"]
    prepare(find_set("debugbench"), tmp_path / "out", tmp_path)
    table = parquet.read_table(tmp_path / "out" / "test.parquet").to_pylist()
    assert [row["extra_info"]["id"] for row in table] == usable
    assert 0 < len(usable) <= len(known) < 20


@pytest.mark.needs_shared
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_debugbench_has_its_usable_rows(backend: LocalBackend, tmp_path: Path) -> None:
    made = prepare(find_set("debugbench"), tmp_path, DATA)
    assert made.written == {"train": 0, "test": 1070}
    assert made.dropped.counts["its wrong attempt passes its tests"] == 26
