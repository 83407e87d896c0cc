"""Rollouts through verl's agent loop: every request with its own seed where asked for, corrections as token ids.

verl builds a prompt by rendering messages. A correction prompt must reach the engine as the ids we built, or text
in the attempt could become chat markup. ``PromptIdsAgentLoop`` takes the ids from the row. Every agent-loop process
imports this module for its worker class, which registers the loop. ``rollout.agent.agent_loop_config_path`` stays the
user's.

A rollout's seed names the rollout (`method.seeds`). Neither the order in which requests finish nor a resumption changes
what is sampled. With verl's ``rollout.full_determinism`` alone, all requests of a replica have one seed, and the
samples of a group are alike.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import ray
from omegaconf import DictConfig
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, auto_await, register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.utils.skip import SkipManager
from verl.workers.rollout.llm_server import LLMServerClient

from fail2fix.method.seeds import rollout_seeds
from fail2fix.run.settings import seeds_rollouts
from fail2fix.verify.reward_errors import REWARD_ERROR, FirstVerdicts, refuse_no_number, reward_name
from fail2fix.verl_ext.port import EnginesPort, RequestsPort
from fail2fix.verl_ext.requests import GROUP, PROMPT_IDS, PROMPT_IDS_AGENT, PURPOSE, fill_extra_info, objects
from fail2fix.verl_ext.reward_extras import ROW_EXTRAS, extra_columns, plain_values, same_reward_extras

SEED = "fail2fix_seed"
ENOUGH_VERDICTS = 8  # of a run, to say that its reward function fails on everything


@register(PROMPT_IDS_AGENT)
class PromptIdsAgentLoop(SingleTurnAgentLoop):
    """verl's single-turn loop with the row's ``fail2fix_prompt_ids`` as the prompt. One instance serves one row."""

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        self._ids = [int(token) for token in kwargs[PROMPT_IDS]]
        return await super().run(sampling_params, **kwargs)

    async def ct_build_initial_tokens(self, messages: list[dict[str, Any]], **_: Any) -> list[int]:
        """Return the row's ids; more than the engine accepts are an error, where verl would cut from the left."""
        if len(self._ids) > self.prompt_length:
            raise ValueError(
                f"correction prompt of {len(self._ids)} tokens, rollout.prompt_length is {self.prompt_length}"
            )
        return self._ids


_group: ContextVar[str | None] = ContextVar("group", default=None)


class GroupClient:
    """verl's client of the engines; a whole group stays on the engine that got its first request, not one request."""

    def __init__(self, client: LLMServerClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def generate(self, request_id: str, **request: Any) -> Any:
        return await self._client.generate(_group.get() or request_id, **request)


class PromptIdsAgentLoopWorker(RequestsPort):
    """verl's worker, in a module that registers our loop; rows may differ in which reward extras they have."""

    def __init__(self, config: DictConfig, llm_client: LLMServerClient, *args: Any, **kwargs: Any) -> None:
        # Under full determinism the engine itself sees the request id, which no two may share.
        shared = config.fail2fix.groups_share_engine and not config.actor_rollout_ref.rollout.full_determinism
        super().__init__(config, GroupClient(llm_client) if shared else llm_client, *args, **kwargs)  # type: ignore[arg-type]

    def prepare_request(self, sampling_params: dict[str, Any], step: Any, row: dict[str, Any]) -> None:
        """Set the row's seed and its group's engine."""
        # Each row is a task with its own variables. Every weight sync empties an engine's prefix cache. A group that is
        # older than the step has no prefix there, and goes where the load is lowest.
        group = row.pop(GROUP, None)
        _group.set(group and f"{step}:{group}")
        seed = row.pop(SEED, None)
        if seed is not None:
            sampling_params |= {"seed": int(seed)}

    def take_extras(self, rows: Sequence[AgentLoopOutput]) -> dict[str, Any]:
        """Check every row's reward, and take its extras: verl asks every row for the first row's keys."""
        extras = []
        for row in rows:
            extras.append(plain_values(row.extra_fields.get(ROW_EXTRAS) or {}))
            refuse_no_number(reward_name(self.config), row.reward_score, extras[-1])
            row.extra_fields[ROW_EXTRAS] = {}
        return extra_columns(extras) | {ROW_EXTRAS: objects(extras)}


class Fail2FixAgentLoopManager(EnginesPort):
    """verl's manager with our workers; any number of rows, spread over the workers as evenly as possible."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.agent_loop_workers_class = ray.remote(PromptIdsAgentLoopWorker)
        self._validation: tuple[object, Counter[str]] = (None, Counter())
        self._first_verdicts = FirstVerdicts(ENOUGH_VERDICTS)
        super().__init__(*args, **kwargs)

    @auto_await
    @SkipManager.annotate(role="rollout")
    async def generate_sequences(self, prompts: DataProto) -> DataProto:
        """Generate one response a row, in row order; timings under ``meta_info["timing"]``."""
        fill_extra_info(prompts)
        if "priority" not in prompts.non_tensor_batch:
            prompts.non_tensor_batch["priority"] = np.arange(len(prompts), dtype=np.int64)
        self._seed(prompts)
        workers = self.agent_loop_workers[: len(prompts)]
        bounds = np.linspace(0, len(prompts), len(workers) + 1).astype(int)
        chunks = [prompts[start:end] for start, end in zip(bounds[:-1], bounds[1:], strict=True)]
        outputs = await asyncio.gather(
            *[worker.generate_sequences.remote(chunk) for worker, chunk in zip(workers, chunks, strict=True)]
        )
        output = self._collected(outputs)
        if prompts.meta_info.get("validate"):
            # verl joins the batches of a validation by name, and they may differ in their extras.
            output.meta_info["reward_extra_keys"] = [ROW_EXTRAS]
        return output

    def _seed(self, prompts: DataProto) -> None:
        """Give every row a seed of its stream, step, prompt and sample, where seeds are asked for."""
        if not seeds_rollouts(self.config):
            return
        about, columns = prompts.meta_info, prompts.non_tensor_batch
        validates = about.get("validate")
        stream = about.get(PURPOSE) or ("validation" if validates else "rollout")
        if PROMPT_IDS in columns:
            texts = [np.asarray(row, dtype=np.int64).tobytes().hex() for row in columns[PROMPT_IDS]]
        else:
            texts = [json.dumps(messages, default=str) for messages in columns["raw_prompt"]]
        samples = self._validated(about) if validates else None
        seeds = rollout_seeds(self.config.fail2fix.seed, stream, about.get("global_steps", -1), texts, samples)
        columns[SEED] = np.array(seeds, dtype=np.int64)

    def _collected(self, outputs: list[DataProto]) -> DataProto:
        """Workers' outputs as one batch, in this order."""
        same_reward_extras(outputs)
        output = DataProto.concat(outputs)
        extras = output.non_tensor_batch
        if REWARD_ERROR in extras:
            for error, status in zip(extras[REWARD_ERROR], extras["verify_status"], strict=True):
                self._first_verdicts.note(error, status)
            self._first_verdicts.check()
        timing = self.timings(outputs, output)
        output.meta_info = {**outputs[0].meta_info, "timing": timing}
        return output

    def _validated(self, about: dict[str, Any]) -> Counter[str]:
        """How often a validation has asked each prompt: it comes in batches, and one may hold another's copies."""
        validation = (about.get(PURPOSE), about.get("global_steps"))
        if self._validation[0] != validation:
            self._validation = (validation, Counter())
        return self._validation[1]
