"""Rollouts through verl's agent loop: every request with its own seed where asked for, corrections as token ids.

verl builds a prompt by rendering messages. A correction prompt must reach the engine as the ids we built, or text
in the attempt could become chat markup. ``PromptIdsAgentLoop`` takes the ids from the row; the worker class here is
imported in every agent-loop process, which registers the loop there and leaves
``rollout.agent.agent_loop_config_path`` to the user.

A rollout's seed says which one it is (``method.seeds``), so that neither the order in which requests finish nor a
resumption changes what is sampled. verl's ``rollout.full_determinism`` alone gives all requests of a replica one seed,
and a group's samples come out alike.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property
from itertools import cycle
from typing import Any

import numpy as np
import ray
from omegaconf import DictConfig
from ray.exceptions import RayTaskError
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import (
    AgentLoopManager,
    AgentLoopOutput,
    AgentLoopWorker,
    auto_await,
    register,
)
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.utils.skip import SkipManager
from verl.workers.rollout.llm_server import LLMServerClient

from fail2fix.method.seeds import rollout_seeds
from fail2fix.run.settings import seeds_rollouts
from fail2fix.verify.reward_errors import (
    REWARD_ERROR,
    FirstVerdicts,
    failed_under_verl,
    refuse_no_number,
    reward_name,
)
from fail2fix.verl_ext.extra_info import fill_extra_info

PROMPT_IDS_AGENT = "fail2fix_prompt_ids"
PROMPT_IDS = "fail2fix_prompt_ids"
SEED = "fail2fix_seed"
GROUP = "fail2fix_group"  # which rows have a prefix in common
STREAM_NAME = "fail2fix_stream"  # in meta_info: what the rollouts are for
ROW_EXTRAS = "reward_extra_info"  # verl's column of each row's own reward extras, a dict
ENOUGH_VERDICTS = 8  # of a run, to say that its reward function fails on everything


@register(PROMPT_IDS_AGENT)
class PromptIdsAgentLoop(SingleTurnAgentLoop):
    """verl's single-turn loop with the row's ``fail2fix_prompt_ids`` as the prompt. One instance serves one row."""

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        self._ids = [int(token) for token in kwargs[PROMPT_IDS]]
        return await super().run(sampling_params, **kwargs)

    async def ct_build_initial_tokens(self, messages: list[dict[str, Any]], **_: Any) -> list[int]:
        """The row's ids; longer than the engine accepts is an error, where verl would cut from the left."""
        if len(self._ids) > self.prompt_length:
            raise ValueError(
                f"correction prompt of {len(self._ids)} tokens, rollout.prompt_length is {self.prompt_length}"
            )
        return self._ids


_group: ContextVar[str | None] = ContextVar("group", default=None)


class GroupClient:
    """verl's client of the engines. verl keeps a request id on the engine that it first went to: here a whole group."""

    def __init__(self, client: LLMServerClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def generate(self, request_id: str, **request: Any) -> Any:
        return await self._client.generate(_group.get() or request_id, **request)


class PromptIdsAgentLoopWorker(AgentLoopWorker):
    """verl's worker, in a module that registers our loop; rows may differ in which reward extras they have."""

    def __init__(self, config: DictConfig, llm_client: LLMServerClient, *args: Any, **kwargs: Any) -> None:
        # Under full determinism the engine itself sees the request id, which no two may share.
        shared = config.fail2fix.groups_share_engine and not config.actor_rollout_ref.rollout.full_determinism
        super().__init__(config, GroupClient(llm_client) if shared else llm_client, *args, **kwargs)  # type: ignore[arg-type]

    async def _run_agent_loop(
        self, sampling_params: dict[str, Any], trajectory: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """verl's, with the row's seed among the sampling parameters."""
        # Each row is a task with variables of its own. An engine forgets all prefixes with every weight sync: a group
        # that is older than the step has none to go back to, and goes where there is least to do.
        group = kwargs.pop(GROUP, None)
        _group.set(group and f"{trajectory['step']}:{group}")
        seed = kwargs.pop(SEED, None)
        if seed is not None:
            sampling_params |= {"seed": int(seed)}
        return await super()._run_agent_loop(sampling_params, trajectory, *args, **kwargs)

    async def _compute_score(self, outputs: list[AgentLoopOutput], kwargs: dict[str, Any]) -> None:
        """verl's; an error in the reward function's code is the user's to mend, under verl's own managers too."""
        try:
            await super()._compute_score(outputs, kwargs)
        except RayTaskError as error:
            if told := failed_under_verl(self.config, error):
                raise told from error
            raise

    def _postprocess(self, inputs: list[Any], *args: Any, **kwargs: Any) -> DataProto:
        extras = [_plain_values(row.extra_fields.get(ROW_EXTRAS) or {}) for row in inputs]
        for row, given in zip(inputs, extras, strict=True):
            refuse_no_number(reward_name(self.config), row.reward_score, given)
            row.extra_fields[ROW_EXTRAS] = {}  # verl asks every row for the first row's keys
        output = super()._postprocess(inputs, *args, **kwargs)
        columns = extra_columns(extras)
        output.non_tensor_batch |= columns | {ROW_EXTRAS: _objects(extras)}
        if "reward_extra_keys" in output.meta_info:
            output.meta_info["reward_extra_keys"] = list(columns)
        return output


def extra_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Reward extras as columns (N,), sorted by name; rows without one get NaN beside numbers, else an empty string.

    Numbers and strings become numpy arrays of their type; lists and dicts, which may differ in size, stay objects.
    """
    columns = {}
    for name in sorted({name for row in rows for name in row}):
        values = [row.get(name) for row in rows]
        absent = _absent(next((value for value in values if value is not None), None))
        filled = [absent if value is None else value for value in values]
        plain = all(isinstance(value, bool | int | float | str) for value in filled)
        columns[name] = np.array(filled) if plain else _objects(filled)
    return columns


def _plain_values(extras: Mapping[str, Any]) -> dict[str, Any]:
    """Reward extras without numpy and torch types."""
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in extras.items()}


def _objects(values: Sequence[Any]) -> np.ndarray:
    return np.fromiter(values, dtype=object, count=len(values))


def _absent(example: Any) -> Any:
    """What stands for a reward extra that a row does not have, next to rows that have one like ``example``."""
    return math.nan if isinstance(example, bool | int | float | np.number) else ""


class Fail2FixAgentLoopManager(AgentLoopManager):
    """verl's manager with our workers; any number of rows, spread over the workers as evenly as it goes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.agent_loop_workers_class = ray.remote(PromptIdsAgentLoopWorker)
        self._validation: tuple[object, Counter[str]] = (None, Counter())
        self._first_verdicts = FirstVerdicts(ENOUGH_VERDICTS)
        super().__init__(*args, **kwargs)

    def _validated(self, about: dict[str, Any]) -> Counter[str]:
        """How often a validation has asked each prompt: it comes in batches, and one may hold another's copies."""
        validation = (about.get(STREAM_NAME), about.get("global_steps"))
        if self._validation[0] != validation:
            self._validation = (validation, Counter())
        return self._validation[1]

    @auto_await
    @SkipManager.annotate(role="rollout")
    async def generate_sequences(self, prompts: DataProto) -> DataProto:
        """Generate one response a row, in row order; timings under ``meta_info["timing"]``."""
        fill_extra_info(prompts)
        if "priority" not in prompts.non_tensor_batch:
            prompts.non_tensor_batch["priority"] = np.arange(len(prompts), dtype=np.int64)
        self._seed(prompts, self._validated(prompts.meta_info) if prompts.meta_info.get("validate") else None)
        workers = self.agent_loop_workers[: len(prompts)]
        bounds = np.linspace(0, len(prompts), len(workers) + 1).astype(int)
        chunks = [prompts[start:end] for start, end in zip(bounds[:-1], bounds[1:], strict=True)]
        outputs = await asyncio.gather(
            *[worker.generate_sequences.remote(chunk) for worker, chunk in zip(workers, chunks, strict=True)]
        )
        output = self.collected(outputs)
        if prompts.meta_info.get("validate"):
            # verl joins the batches of a validation by name, and they may differ in their extras (`validation`).
            output.meta_info["reward_extra_keys"] = [ROW_EXTRAS]
        return output

    def ask(self, prompts: DataProto, samples: Counter[str]) -> ray.ObjectRef:
        """Start one response a row, all by one worker, and come back; the workers take turns.

        ``samples``: how often each prompt was asked before.
        """
        self._seed(prompts, samples)
        return next(self._turns).generate_sequences.remote(prompts)

    def collected(self, outputs: list[DataProto]) -> DataProto:
        """Workers' outputs as one batch, in this order; timings under ``meta_info["timing"]``."""
        same_reward_extras(outputs)
        output = DataProto.concat(outputs)
        extras = output.non_tensor_batch
        if REWARD_ERROR in extras:
            for error, status in zip(extras[REWARD_ERROR], extras["verify_status"], strict=True):
                self._first_verdicts.note(error, status)
            self._first_verdicts.check()
        metrics = [part.meta_info.pop("metrics") for part in outputs]
        output.meta_info = {**outputs[0].meta_info, "timing": self._performance_metrics(metrics, output)}
        return output

    def _seed(self, prompts: DataProto, samples: Counter[str] | None) -> None:
        if seeds_rollouts(self.config):
            prompts.non_tensor_batch[SEED] = request_seeds(prompts, self.config.fail2fix.seed, samples)

    @cached_property
    def _turns(self) -> Iterator[Any]:
        return cycle(self.agent_loop_workers)


def prompt_texts(prompts: np.ndarray) -> list[str]:
    """What tells prompts apart before they have token ids: their messages (N,) as JSON."""
    return [json.dumps(messages, default=str) for messages in prompts]


def request_seeds(prompts: DataProto, run_seed: int, samples: Counter[str] | None = None) -> np.ndarray:
    """One seed a row (N,), of its stream, step, prompt and sample; ``samples`` as in ``rollout_seeds``."""
    about, columns = prompts.meta_info, prompts.non_tensor_batch
    stream = about.get(STREAM_NAME) or ("validation" if about.get("validate") else "rollout")
    ids = columns.get(PROMPT_IDS)
    if ids is not None:
        texts = [np.asarray(row, dtype=np.int64).tobytes().hex() for row in ids]
    else:
        texts = prompt_texts(columns["raw_prompt"])
    return np.array(rollout_seeds(run_seed, stream, about.get("global_steps", -1), texts, samples), dtype=np.int64)


def same_reward_extras(outputs: Sequence[DataProto]) -> None:
    """Give every part every reward extra, in place.

    A reward function may return a field for some rows only, and one that failed returns none of its own.
    """
    keys = sorted({key for part in outputs for key in part.meta_info.get("reward_extra_keys", [])})
    for key in keys:
        example = next(part.non_tensor_batch[key] for part in outputs if key in part.non_tensor_batch)
        for part in outputs:
            if key not in part.non_tensor_batch:
                part.non_tensor_batch[key] = np.array([_absent(example[0])] * len(part))
    for part in outputs:
        if "reward_extra_keys" in part.meta_info:
            part.meta_info["reward_extra_keys"] = keys
