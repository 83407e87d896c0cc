"""Check at start-up that the installed verl is the one this package was written for.

The seams are read from the sources of this package:

- every name imported from verl, with the way it is called;
- every method of verl that a class here overrides;
- every method that the port calls by a private name or on an object of verl's trainer.

Another version or a changed copy of verl ends in one clear line.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pkgutil import resolve_name

from fail2fix.method.errors import InputError

SUPPORTED_VERL = (Path(__file__).parents[1] / "REQUIRED_VERL.txt").read_text().strip()
PORT = "port.py"
OBJECTS = {
    "async_rollout_manager": "verl.experimental.agent_loop.agent_loop.AgentLoopManager",
    "checkpoint_manager": "verl.checkpoint_engine.CheckpointEngineManager",
    "llm_server_manager": "verl.workers.rollout.llm_server.LLMServerManager",
    "actor_rollout_wg": "verl.workers.engine_workers.ActorRolloutRefWorker",
}
"""What verl's trainer holds, and the class whose methods the port calls on it."""
CALLED = re.compile(r"(?:self|super\(.*\))\.(?P<private>_[a-z]\w*)|self\.(?P<object>\w+)\.(?P<method>\w+)")
AGENT_LOOP = "verl.experimental.agent_loop.agent_loop"
UNSEEN = {
    "verl.trainer.ppo.ray_trainer.RayPPOTrainer.init_workers": "self",
    "verl.trainer.main_ppo_v0.BaseTaskRunner.init_resource_pool_mgr": "self config",
    "verl.workers.engine_workers.TrainingWorker.train_mini_batch": "self data",
    "verl.utils.torch_functional.logprobs_from_logits_v2": "logits labels",
    "verl.workers.engine.fsdp.transformer_impl.prepare_micro_batches": "data dp_group",
    "verl.trainer.main_ppo_v0.BaseTaskRunner.add_actor_rollout_worker": "self config",
    f"{AGENT_LOOP}.AgentLoopManager.generate_sequences": "self prompts",
    f"{AGENT_LOOP}.AgentLoopWorker.generate_sequences": "self batch",
    f"{AGENT_LOOP}.AgentLoopBase.ct_build_initial_tokens": "self messages",
    "verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop.run": "self sampling_params",
    "verl.experimental.reward_loop.reward_manager.naive.NaiveRewardManager.run_single": "self data",
}
"""Seams that the sources do not show, with their parameters: replaced or called through other objects, or overridden
under a public name, which verl would no longer call if it lost the method."""


@dataclass(frozen=True)
class Seam:
    """A name of verl and how it is used.

    Attributes:
        name: its dotted path.
        call: number of positional arguments and the keywords of a call; None: it is not called here.
        parameters: names that an override of ours takes.
    """

    name: str
    call: tuple[int, frozenset[str]] | None = None
    parameters: frozenset[str] = frozenset()

    def __str__(self) -> str:
        positional, keywords = self.call or (0, frozenset())
        return f"{self.name}({', '.join(['_'] * positional + sorted(keywords | self.parameters))})"

    @property
    def problem(self) -> str:
        """What is wrong with the installed verl; empty if nothing is."""
        try:
            found = resolve_name(self.name)
        except (ImportError, AttributeError):
            return f"{self.name} is missing"
        if self.call is None and not self.parameters:
            return ""
        signature = inspect.signature(inspect.unwrap(found))
        if lacking := sorted(self.parameters - signature.parameters.keys()):
            return f"{self.name} lacks {', '.join(lacking)}"
        positional, keywords = self.call or (0, frozenset())
        try:
            signature.bind_partial(*[None] * positional, **dict.fromkeys(keywords))
        except TypeError as error:
            return f"{self.name}: {error}"
        return ""


def check_verl() -> None:
    """Refuse another verl, or one whose seams differ.

    Raises:
        InputError: naming the version found, or the seam.
    """
    try:
        found = version("verl")
    except PackageNotFoundError:
        raise InputError(f"verl is not installed; install verl=={SUPPORTED_VERL}") from None
    if found != SUPPORTED_VERL:
        raise InputError(f"verl {found} is installed; this recipe supports verl=={SUPPORTED_VERL} only")
    if broken := [seam.problem for seam in seams() if seam.problem]:
        raise InputError(f"verl {found} differs from the released one: {'; '.join(broken)}")


def seams() -> list[Seam]:
    """Everything of verl that this package stands on."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    found = {seam for path in sources for seam in _seams_of(ast.parse(path.read_text()), path.name == PORT)}
    found |= {Seam(name, parameters=frozenset(parameters.split())) for name, parameters in UNSEEN.items()}
    return sorted(found, key=str)


def _seams_of(module: ast.Module, is_port: bool) -> Iterator[Seam]:
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "verl"
        for alias in node.names
    }
    yield from map(Seam, imported.values())
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported:
            yield Seam(imported[node.func.id], _arguments(node))
        elif isinstance(node, ast.ClassDef):
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in imported:
                    yield from _class_seams(node, imported[base.id], is_port)


def _class_seams(defined: ast.ClassDef, base: str, is_port: bool) -> Iterator[Seam]:
    """Methods of ``base`` that a class overrides; in the port also those that it calls."""
    methods = {node.name: node for node in defined.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for name, method in methods.items():
        private = is_port and name.startswith("_")
        if not name.startswith("__") and (private or hasattr(resolve_name(base), name)):
            yield Seam(f"{base}.{name}", parameters=frozenset(argument.arg for argument in method.args.args))
    for node in ast.walk(defined):
        if is_port and isinstance(node, ast.Call) and (holder := _holder(node.func, base)):
            positional, keywords = _arguments(node)
            yield Seam(holder, (positional + 1, keywords))


def _holder(called: ast.expr, base: str) -> str:
    """The dotted name of a method of verl's that is called; empty for others."""
    found = CALLED.fullmatch(ast.unparse(called))
    if found and found["private"]:
        return f"{base}.{found['private']}"
    return f"{OBJECTS[found['object']]}.{found['method']}" if found and found["object"] in OBJECTS else ""


def _arguments(call: ast.Call) -> tuple[int, frozenset[str]]:
    positional = sum(not isinstance(argument, ast.Starred) for argument in call.args)
    return positional, frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
