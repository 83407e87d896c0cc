"""Who may import what: fail2fix is instant, the method plain Python; each of verl, Ray and vLLM has its rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import fail2fix

PACKAGE = Path(fail2fix.__file__).parent
METHOD = PACKAGE / "method"
HEAVY = {"torch", "verl", "ray", "vllm", "transformers", "hydra"}
ENGINES = {"verl", "ray", "vllm"}
ALLOWED = {  # room or module: what it may import at module level
    "verl_ext": ENGINES,
    "cluster": {"ray"},
    "run": {"ray"},
    "verify/reward_errors.py": {"ray"},
}
LAZY = {  # the same inside a function: the command line starts verl after its checks, an evaluation its engine
    "train.py": {"verl", "ray"},
    "evaluate/vllm_engine.py": {"vllm"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))
METHOD_MODULES = [f"fail2fix.method.{path.stem}" for path in sorted(METHOD.glob("[!_]*.py"))]


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages in a fresh interpreter after importing these modules."""
    code = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def imports(body: Iterable[ast.AST], *, lazy: bool) -> Iterator[str]:
    """Top-level packages imported when the module is (``lazy``: or later, inside a function)."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
            continue
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(node.orelse, lazy=lazy)
        else:
            yield from imports(ast.iter_child_nodes(node), lazy=lazy)


def imported(path: Path, *, lazy: bool) -> set[str]:
    return set(imports(ast.parse(path.read_text()).body, lazy=lazy))


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("fail2fix").isdisjoint(HEAVY)


def allowed(path: Path, rules: dict[str, set[str]]) -> set[str]:
    """Union of the rules of this module and of the folders around it."""
    return {engine for place, engines in rules.items() if path.is_relative_to(PACKAGE / place) for engine in engines}


def test_the_method_runs_without_verl_ray_and_vllm() -> None:
    assert METHOD_MODULES
    assert loaded_by(*METHOD_MODULES).isdisjoint(ENGINES)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_imports_only_the_engines_that_its_room_may(path: Path) -> None:
    at_import = allowed(path, ALLOWED)
    assert imported(path, lazy=False) & ENGINES <= at_import
    assert imported(path, lazy=True) & ENGINES <= at_import | allowed(path, LAZY)


@pytest.mark.parametrize("path", [p for p in MODULES if METHOD in p.parents], ids=name)
def test_the_method_knows_nothing_of_the_rest(path: Path) -> None:
    """Neither torch, nor our other packages."""
    assert "torch" not in imported(path, lazy=True)
    modules = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
    ours = {module for module in modules if module and module.startswith("fail2fix")}
    assert all(module.startswith("fail2fix.method") for module in ours)


def test_the_scan_sees_what_it_looks_for() -> None:
    """Module level, class bodies, ``try`` and ``else`` count; functions only when lazy imports are asked for."""
    source = """
import verl.trainer
try:
    from ray import remote
except ImportError:
    remote = None
if TYPE_CHECKING:
    import hydra
def f():
    import vllm
"""
    body = ast.parse(source).body
    assert set(imports(body, lazy=False)) == {"verl", "ray"}
    assert set(imports(body, lazy=True)) == {"verl", "ray", "vllm"}
