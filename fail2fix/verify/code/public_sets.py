"""Ground truths of public code sets' rows: HumanEval, MBPP, CriticBench, LeetCodeDataset, DebugBench over it.

Knows: the columns of those sets. Must not know: files, sandboxes.
"""

import ast
import builtins
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

GroundTruth = dict[str, Any]

DEBUGBENCH_IMPORTS = """
import bisect, collections, functools, heapq, itertools, math, operator, random, re, string, sys
from typing import *
"""
"""For DebugBench's programs, which name modules (`collections.deque`): LeetCodeDataset's prelude imports contents."""

_FOREIGN_IMPORT = re.compile(r"^from sortedcontainers import .*$", re.MULTILINE)

TYPING = "from typing import *\n"
TESTED = ("prompt", "test", "entry_point")
"""Columns of HumanEval and LeetCodeDataset that their ground truths are made of."""


def humaneval(row: Mapping[str, Any]) -> GroundTruth:
    """A row with `prompt`, `test`, `entry_point`. The prompt is the prelude, since tests call helpers that it defines.

    Tests may call the entry point by its own name (HumanEval/33).
    """
    return {
        "kind": "assertions",
        "prelude": row["prompt"],
        "functions": [row["entry_point"]],
        "entry_point": row["entry_point"],
        "tests": [row["test"]],
    }


def mbpp(row: Mapping[str, Any]) -> GroundTruth:
    """A row with `code`, `test_list`, `test_setup_code`, which runs after the program and before the first test."""
    first, *others = row["test_list"]
    return assertions([f"{row['test_setup_code']}\n{first}", *others], row["code"])


def leetcode(row: Mapping[str, Any]) -> GroundTruth:
    """A row of LeetCodeDataset with `prompt`, `test`, `entry_point`; the prompt's classes (ListNode) pass as data.

    17 prompts of v0.3.1's test split import `sortedcontainers`, which few programs use and no sandbox has.
    """
    return {
        "kind": "assertions",
        "prelude": _FOREIGN_IMPORT.sub(r"try:\n    \g<0>\nexcept ImportError:\n    pass", row["prompt"]),
        "entry_point": row["entry_point"],
        "tests": [row["test"]],
        "records": re.findall(r"^class (\w+)", row["prompt"], re.MULTILINE),
    }


def debugbench(leetcode_row: Mapping[str, Any]) -> GroundTruth:
    """Tests of a DebugBench row's slug, called by position since its programs rename parameters."""
    ground_truth = leetcode(leetcode_row)
    return ground_truth | {"prelude": ground_truth["prelude"] + DEBUGBENCH_IMPORTS, "by_position": True}


def assertions(tests: Sequence[str], program: str = "") -> GroundTruth:
    """Statements that assert something of functions, which `program` may define.

    Tests that use other names of the program, or several of its functions, run in its process: values of its classes
    are not data.
    """
    defined = {node.name for node in ast.parse(program).body if isinstance(node, ast.FunctionDef)}
    called, other = _free_names(tests, known=set(dir(builtins)) - defined)
    return {
        "kind": "assertions",
        "functions": sorted(called),
        "tests": list(tests),
        "isolation": "together" if other or len(called) > 1 else "split",
    }


def criticbench(program: str, question: str) -> GroundTruth:
    """CriticBench's `answer[0]`: MBPP's assertions, or HumanEval's `check(candidate)` and a call of it.

    HumanEval's question is the beginning of the program, with its helpers.

    Raises:
        SyntaxError: it is not a program.
        ValueError: it tests nothing by name.
    """
    last = ast.parse(program).body[-1:]
    if last and isinstance(last[0], ast.Expr) and (called := _checked(last[0].value)):
        lines = program.splitlines()[: last[0].lineno - 1]
        prelude = question if _is_program(question) else TYPING
        return humaneval({"prompt": prelude, "entry_point": called, "test": "\n".join(lines)})
    ground_truth = assertions([program])
    if not ground_truth["functions"]:
        raise ValueError("it calls no function that a program could define")
    return ground_truth | {"prelude": TYPING}


def _checked(node: ast.expr) -> str:
    """The function that `check(function)` checks, "" for another expression."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
        first = node.args[0] if len(node.args) == 1 else None
        return first.id if isinstance(first, ast.Name) else ""
    return ""


def _is_program(text: str) -> bool:
    with suppress(SyntaxError, ValueError):
        return bool(ast.parse(text))
    return False


def _free_names(sources: Iterable[str], known: set[str]) -> tuple[set[str], set[str]]:
    """Names neither known nor defined by a source: called ones, and ones used in another way."""
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    callees = [node.func for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    known = known | {name for node in nodes for name in _defined(node)}
    other = {node.id for node in names if node not in callees}
    return {node.id for node in callees} - known, other - known


def _defined(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return [node.arg] if isinstance(node, ast.arg) else []
