"""Rows of the public sets: a few by default, whole sets with --all (`scripts/bench/code_sandbox.py` prints them)."""

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from fail2fix.verify.code.ground_truth import parse_ground_truth
from fail2fix.verify.code.local import LocalBackend
from fail2fix.verify.code.public_sets import assertions, criticbench, leetcode, mbpp
from tests.data.prepare.sets import sample_problems

REPOSITORY = Path(__file__).resolve().parents[3]
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
SETS = ("humaneval", "mbpp", "leetcode-v0.3.1-test", "leetcode-v0.2.0-train")
KNOWN_EXCEPTIONS = {
    # The mutant breaks encode_cyclic, which the prompt defines and the tests use: they keep the prompt's own.
    ("HumanEval/38", "mutant"),
}


@pytest.fixture(scope="module")
def bench() -> Any:
    spec = importlib.util.spec_from_file_location("bench", REPOSITORY / "scripts" / "bench/code_sandbox.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def disagreements(bench: Any, backend: LocalBackend, name: str, start: int = 0, limit: int | None = None) -> set[Any]:
    report = asyncio.run(bench.agreement(name, backend, PYTHON, start, limit))
    assert report["canonical_passes_plainly"] > 0
    return {(key, kind) for key, kind, _ in report["exceptions"]} - KNOWN_EXCEPTIONS


@pytest.mark.needs_shared
@pytest.mark.heavy
@pytest.mark.parametrize("name", SETS)
def test_the_sandbox_agrees_with_a_plain_run_on_the_first_rows(bench: Any, backend: LocalBackend, name: str) -> None:
    assert disagreements(bench, backend, name, limit=5) == set()


@pytest.mark.needs_shared
@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SETS)
def test_the_sandbox_agrees_with_a_plain_run(bench: Any, name: str) -> None:
    backend = LocalBackend(1, bench.Limits(test_s=bench.TEST_S, total_s=bench.TOTAL_S), python=PYTHON)
    assert disagreements(bench, backend, name) == set()
    backend.close()


@pytest.mark.needs_shared
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_debugbench_has_its_usable_rows(bench: Any) -> None:
    backend = LocalBackend(1, bench.Limits(test_s=bench.TEST_S, total_s=bench.TOTAL_S))
    report = asyncio.run(bench.usable_debugbench(backend, 0, None))
    assert report["usable"] >= 1070
    backend.close()


@pytest.mark.parametrize(
    ("test", "functions", "isolation"),
    [
        ("assert f(1) == 2", ["f"], "split"),
        ("assert set(f([1])) == set([1])", ["f"], "split"),
        ("import math\nassert math.isclose(f(1), 2.0)", ["f"], "split"),
        ("assert f([Pair(1, 2)]) == 3", ["Pair", "f"], "together"),
        ("assert f(root) == 3", ["f"], "together"),
        ("assert sum(1, 2) == 3 and sorted([f(1)])", ["f", "sum"], "together"),
        ("assert f((1, 2.0), int) == [2.0]", ["f"], "split"),
        ("assert [f(x) for x in range(3)] == [1, 2, 3]", ["f"], "split"),
    ],
)
def test_mbpp_tests_that_need_the_programs_own_objects_are_told(
    test: str, functions: list[str], isolation: str
) -> None:
    ground_truth = mbpp({"code": "def sum(a, b): return a + b", "test_setup_code": "", "test_list": [test]})
    assert (ground_truth["functions"], ground_truth["isolation"]) == (functions, isolation)
    parse_ground_truth(ground_truth)


def test_a_prelude_may_import_what_the_sandbox_has_not(backend: LocalBackend) -> None:
    row = {
        "prompt": "import math\nfrom sortedcontainers import SortedList\n",
        "entry_point": "f",
        "test": "def check(candidate):\n    assert candidate(4) == 2\n",
    }
    tests = parse_ground_truth(leetcode(row))
    assert asyncio.run(backend.run("def f(n): return math.isqrt(n)", tests)).correct
    assert not asyncio.run(backend.run("def f(n): return len(SortedList([n, n]))", tests)).correct


def test_statements_that_assert_name_the_functions_they_call() -> None:
    found = assertions(["assert f(1) == 2", "assert f(2) == 3"])
    assert (found["functions"], found["isolation"]) == (["f"], "split")
    assert assertions(["assert f(g(1)) == 2"])["isolation"] == "together"


@pytest.mark.parametrize(
    ("program", "question", "entry_point"),
    [
        ("assert f(1) == 2\nassert f(2) == 3", "Write f.", None),
        ("def check(candidate):\n    assert candidate(1) == 2\n\ncheck(f)", "def f(n):\n    pass\n", "f"),
        ("def check(candidate):\n    assert candidate(1) == 2\n\ncheck(f)", "Write f.", "f"),
    ],
)
def test_criticbenchs_test_programs(
    backend: LocalBackend, program: str, question: str, entry_point: str | None
) -> None:
    ground_truth = criticbench(program, question)
    assert ground_truth.get("entry_point") == entry_point
    tests = parse_ground_truth(ground_truth)
    assert asyncio.run(backend.run("def f(n: int) -> int: return n + 1", tests)).correct
    assert not asyncio.run(backend.run("def f(n: int) -> int: return n", tests)).correct


@pytest.mark.parametrize("program", ["assert 1 == 1", "assert (", ""])
def test_what_tests_nothing_is_no_test_program(program: str) -> None:
    with pytest.raises((SyntaxError, ValueError)):
        criticbench(program, "Write f.")


def test_livecodebenchs_programs_find_their_runners_imports(backend: LocalBackend) -> None:
    stdin, functional = (parse_ground_truth(problem.answer) for problem in sample_problems("livecodebench"))
    reads = "print(reduce(add, map(int, stdin.readline().split())))\nassert pow(2, 3, 5) == 3 and datetime.date"
    method = """
class Solution:
    @cache
    def depth(self, n):
        return n and 1 + self.depth(n - 1)

    def total(self, numbers: List[int], k: int) -> int:
        assert self.depth(5000) == 5000 and defaultdict(int)[0] == 0 and math.inf == inf
        return sum(numbers) + k
"""
    assert asyncio.run(backend.run(reads, stdin)).correct
    assert asyncio.run(backend.run(method, functional)).correct
