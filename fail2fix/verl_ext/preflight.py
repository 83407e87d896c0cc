"""Everything that can be refused before Ray starts, each in one line that says what to do.

``check_config`` reads the config alone (a dry run stops there); ``check_inputs`` reads the files it names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
from omegaconf import DictConfig, ListConfig, OmegaConf
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config

from fail2fix.core.config import BadInput, Fail2FixConfig, Scale
from fail2fix.core.objective import feasible_attempts
from fail2fix.verl_ext.ground_truths import GroundTruths
from fail2fix.verl_ext.held_out import SAME as SAME_HELD_OUT
from fail2fix.verl_ext.held_out import held_out_file
from fail2fix.verl_ext.provenance import check_provenance, provenance
from fail2fix.verl_ext.settings import fail2fix_settings, inert_penalty, overlong_buffer, refuse_legacy_reward_keys
from fail2fix.verl_ext.sizes import batch_split, data_parallel_ranks, rollouts_a_step, rollouts_before_training
from fail2fix.verl_ext.sources import source_class
from fail2fix.verl_ext.sources.offline import SAME as SAME_POOL
from fail2fix.verl_ext.sources.offline import pool_file
from fail2fix.verl_ext.unsupported import refuse_unsupported
from fail2fix.verl_ext.verl_keys import check_keys

FORMATS = (".parquet", ".json", ".jsonl")  # what verl's dataset reads


def check_config(config: DictConfig) -> None:
    """Refuse what the config alone shows to be wrong, and a place where the run cannot leave its files.

    Raises:
        BadInput: the key, its value, and what to do.
    """
    check_keys(config)
    settings = fail2fix_settings(config)
    refuse_legacy_reward_keys(config)
    refuse_unsupported(config, settings)
    _check_run_root(config)
    _check_resume(config)
    _check_device(config)
    _check_lengths(config, settings)
    _check_sizes(config, settings)
    _check_sources(config, settings)
    overlong_buffer(config)
    _check_verl_config(config)


def check_inputs(config: DictConfig) -> None:
    """Refuse missing or malformed files: the model and the data sets.

    Raises:
        BadInput: the file, row and field, and what to do.
    """
    _check_model(config.actor_rollout_ref.model.path)
    _check_attention(config)
    _check_reward_function(config)
    verifiers = None if _own_reward(config) else GroundTruths(fail2fix_settings(config).verifier)
    train, held_out = (_check_data_files(config, key, verifiers) for key in ("train_files", "val_files"))
    _check_counts(config, train, held_out)
    if verifiers:
        verifiers.check_they_run()
    tokenizer = _tokenizer(config)
    _check_prompt_budget(config, tokenizer)
    _check_rollout_files(config, tokenizer)


def doubts(config: DictConfig) -> list[str]:
    """What is allowed but hardly meant, one line each; of a config that ``check_config`` accepts."""
    settings = fail2fix_settings(config)
    if not settings.correction.enabled:
        return []
    return [line for line in (_mismatched_scales(config, settings), inert_penalty(config, settings)) if line]


def _mismatched_scales(config: DictConfig, settings: Fail2FixConfig) -> str:
    """The warning for two streams of which only one divides its advantages by a std; empty if they agree."""
    scale, divides = settings.advantage.scale, config.algorithm.norm_adv_by_std_in_grpo
    estimator = config.algorithm.adv_estimator
    if estimator != "grpo":  # RLOO's advantages are never divided
        remedy = "fail2fix.advantage.scale=none"
        return "" if scale is Scale.none else f"fail2fix.advantage.scale={scale.value} with {estimator}; set {remedy}"
    if (scale is not Scale.none) == divides:
        return ""
    base, fitting = ("", "false") if divides else (" not", "true")
    correction = " not" if scale is Scale.none else ""
    return (
        f"fail2fix.advantage.scale={scale.value} with algorithm.norm_adv_by_std_in_grpo={str(divides).lower()}: base "
        f"advantages are{base} divided by a std and corrections' are{correction}, so lambda no longer compares the "
        f"streams; set algorithm.norm_adv_by_std_in_grpo={fitting}"
    )


def missing_inputs(config: DictConfig) -> list[str]:
    """Files a dry run did not look into, and whether they are there."""
    paths = [
        *_paths(config.data.train_files),
        *_paths(config.data.val_files),
        config.actor_rollout_ref.model.path,
    ]
    return [f"{path} ({'present' if os.path.exists(os.path.expanduser(path)) else 'not here'})" for path in paths]


def _check_run_root(config: DictConfig) -> None:
    """The run's folder must not lie below, or be, a file."""
    run = config.fail2fix.run
    folder = Path(run.root).absolute() / config.trainer.experiment_name / (run.name or "")
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise BadInput(f"fail2fix.run.root={run.root}: {part} is a file, not a folder; choose another place")


def _check_resume(config: DictConfig) -> None:
    if config.trainer.resume_mode != "resume_path":
        return
    path = config.trainer.resume_from_path
    given = f"trainer.resume_from_path={'null' if path is None else path}"
    if path is None or not re.search(r"(^|/)global_step_\d+$", path):
        raise BadInput(f"{given}: trainer.resume_mode=resume_path needs a checkpoint folder like .../global_step_50")
    if not os.path.isdir(path):
        raise BadInput(f"{given}: no such folder; name a checkpoint, or set trainer.resume_mode=auto")


def _check_device(config: DictConfig) -> None:
    platform = os.environ.get("VERL_PLATFORM")
    if (config.trainer.device == "cpu") != (platform == "cpu"):
        raise BadInput(
            f"trainer.device={config.trainer.device} but VERL_PLATFORM={platform}: a CPU run needs both "
            "VERL_PLATFORM=cpu in the environment and device=cpu in the config; a GPU run neither"
        )


def _check_lengths(config: DictConfig, settings: Fail2FixConfig) -> None:
    rollout, data = config.actor_rollout_ref.rollout, config.data
    needed = {"data.max_prompt_length": data.max_prompt_length}
    if _asks_for_corrections(settings):
        needed["fail2fix.correction.max_prompt_length"] = settings.correction.max_prompt_length
    for key, length in needed.items():
        if rollout.prompt_length < length:
            raise BadInput(
                f"actor_rollout_ref.rollout.prompt_length={rollout.prompt_length} is below {key}={length}: verl "
                "would cut prompts from the left; raise it to the larger of the two"
            )
    total = rollout.prompt_length + rollout.response_length
    if rollout.max_model_len is not None and rollout.max_model_len < total:
        raise BadInput(
            f"actor_rollout_ref.rollout.max_model_len={rollout.max_model_len} is below prompt_length + "
            f"response_length = {total}; raise it or leave it null"
        )
    actor = config.actor_rollout_ref.actor
    if actor.use_dynamic_bsz and actor.ppo_max_token_len_per_gpu < total:
        raise BadInput(
            f"actor_rollout_ref.actor.ppo_max_token_len_per_gpu={actor.ppo_max_token_len_per_gpu} is below the "
            f"longest row, prompt_length + response_length = {total}; raise it"
        )


def _asks_for_corrections(settings: Fail2FixConfig) -> bool:
    return settings.correction.enabled or settings.held_out.enabled


def _check_sources(config: DictConfig, settings: Fail2FixConfig) -> None:
    source_class(settings.replay.source)
    if settings.held_out.enabled and config.data.get("validation_shuffle"):
        raise BadInput(
            "data.validation_shuffle=true: held-out corrections know their problems by their place in the validation "
            "set; set it to false, or fail2fix.held_out.enabled=false"
        )
    budget, before = settings.budget.rollouts, rollouts_before_training(config, settings)
    needed = before + rollouts_a_step(config, settings)
    if budget is not None and budget < needed:
        raise BadInput(f"fail2fix.budget.rollouts={budget} is below what one step needs, {needed} rollouts; raise it")


def _check_rollout_files(config: DictConfig, tokenizer: Any) -> None:
    """Files of rollouts that are there already must be of this run's tokenizer and data."""
    settings = fail2fix_settings(config)
    ours = provenance(config, tokenizer)
    files: list[tuple[str, Path, Sequence[str]]] = []
    if settings.held_out.enabled:
        files.append(("fail2fix.held_out.file", held_out_file(config), SAME_HELD_OUT))
    if settings.correction.enabled and settings.replay.source == "offline":
        files.append(("fail2fix.offline.file", pool_file(config), SAME_POOL))
    for key, path, same in files:
        if path.exists():
            check_provenance(path, ours, key, same)
        elif config.trainer.resume_mode == "resume_path":
            raise BadInput(
                f"{key}={path}: no such file, and a run that goes on from trainer.resume_from_path cannot write it: "
                "only the starting model can; name the first run's"
            )


def _check_sizes(config: DictConfig, settings: Fail2FixConfig) -> None:
    batch, mini = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    if mini < 1 or batch % mini:
        raise BadInput(
            f"data.train_batch_size={batch} is not a multiple of actor_rollout_ref.actor.ppo_mini_batch_size={mini}"
        )
    rollouts = config.actor_rollout_ref.rollout.n
    rows, split = batch * rollouts, batch_split(config, data_parallel_ranks(config))
    if not split.divides(rows, 0):
        raise BadInput(f"data.train_batch_size={batch} x rollout.n={rollouts} = {rows} rows do not split into {split}")
    correction = settings.correction
    if not correction.enabled:
        return
    if rollouts < 2:
        raise BadInput(f"actor_rollout_ref.rollout.n={rollouts}: a group needs at least 2 rollouts to compare")
    fits = feasible_attempts(correction.attempts, correction.rollouts, rows, split)
    if fits != correction.attempts:
        raise BadInput(
            f"fail2fix.correction.attempts={correction.attempts} x rollouts={correction.rollouts} rows beside "
            f"{rows} base rows do not split into {split}; the next smaller number that does is {fits}"
            + (" (none: change correction.rollouts or the micro-batch sizes)" if fits == 0 else "")
        )


def _check_verl_config(config: DictConfig) -> None:
    """verl's own validation, whose assertions come out as our one line."""
    resolved = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    try:
        validate_config(
            resolved, use_reference_policy=need_reference_policy(resolved), use_critic=need_critic(resolved)
        )
    except Exception as error:  # plain assertions, and whatever a value of a wrong type runs into
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"verl refuses the config: {reason}") from error


def _check_model(path: str) -> None:
    if path.endswith("/"):
        raise BadInput(f"actor_rollout_ref.model.path={path}: verl refuses a path that ends with /; remove it")
    if os.path.isdir(os.path.expanduser(path)):
        if not (Path(path).expanduser() / "config.json").exists():
            raise BadInput(f"actor_rollout_ref.model.path={path}: the folder has no config.json; is it a model?")
        return
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", path):
        raise BadInput(f"actor_rollout_ref.model.path={path}: no such folder, and not a hub id like org/name")
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(path)
    except (OSError, ValueError) as error:
        reason = str(error).split(".")[0]
        raise BadInput(
            f"actor_rollout_ref.model.path={path}: no such folder, and the hub does not give it ({reason})"
        ) from error


def _check_attention(config: DictConfig) -> None:
    """verl's default attention needs flash-attn, which no lock can carry: it is built for one torch and CUDA."""
    overrides = config.actor_rollout_ref.model.get("override_config") or {}
    wanted = overrides.get("attn_implementation", "flash_attention_2")
    if wanted and wanted.startswith("flash_attention") and importlib.util.find_spec("flash_attn") is None:
        raise BadInput(
            f"actor_rollout_ref.model.override_config.attn_implementation={wanted}: flash-attn is not installed; run "
            "pip install flash-attn==2.8.3 --no-build-isolation, or add "
            "+actor_rollout_ref.model.override_config.attn_implementation=sdpa"
        )


def _check_reward_function(config: DictConfig) -> None:
    """Load the run's own reward function here, where a failure is one line, not a worker's traceback."""
    given = config.reward.get("custom_reward_function") or {}
    try:
        get_custom_reward_fn(config)
    except Exception as error:  # a user's module may raise anything
        cause = error.__cause__ or error
        raise BadInput(
            f"reward.custom_reward_function.path={given.get('path')} name={given.get('name')}: cannot be loaded "
            f"({type(cause).__name__}: {_first_line(cause)})"
        ) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or "no message"


def _paths(files: str | ListConfig | Sequence[str]) -> list[str]:
    return [files] if isinstance(files, str) else list(files)


def _own_reward(config: DictConfig) -> bool:
    return bool((config.reward.get("custom_reward_function") or {}).get("path"))


def _check_data_files(config: DictConfig, name: str, verifiers: GroundTruths | None) -> int | None:
    """Check the files of a data set; return its number of rows, None where only verl can count them."""
    counts = [_check_data(config, path, f"data.{name}={path}", verifiers) for path in _paths(config.data[name])]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _check_data(config: DictConfig, path: str, given: str, verifiers: GroundTruths | None) -> int | None:
    """Check one data file; return its number of rows, None where only verl can count them."""
    if (config.data.get("custom_cls") or {}).get("path"):
        return None  # the run's own dataset class knows what it reads
    if not path.endswith(FORMATS):
        raise BadInput(f"{given}: verl reads {', '.join(FORMATS)} only; convert it, or set data.custom_cls.path")
    if "://" in path:
        return None
    found = Path(path).expanduser()
    if not found.exists():
        raise BadInput(f"{given}: no such file")
    if found.is_dir():
        raise BadInput(f"{given}: is a folder; name the files in it, as a list")
    return _check_rows(found, config.data.prompt_key, given, verifiers)


def _check_rows(path: Path, prompt_key: str, given: str, verifiers: GroundTruths | None) -> int:
    """Check every row of a local file; return how many there are."""
    kind = "parquet" if path.suffix == ".parquet" else "JSON"
    columns = [prompt_key, "data_source", "reward_model"]
    rows = _parquet_rows(path, columns, given) if kind == "parquet" else _json_rows(path)
    count = 0
    try:
        for row in rows:
            problem = _row_problem(row, prompt_key) or (verifiers.problem(row) if verifiers else "")
            if problem:
                raise BadInput(f"{given}: row {count}: {problem}")
            count += 1
    except BadInput:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{given}: not a readable {kind} file, after {count} rows ({_first_line(error)})") from error
    if count == 0:
        raise BadInput(f"{given}: the file has no rows")
    return count


def _parquet_rows(path: Path, columns: list[str], given: str) -> Iterator[dict[str, Any]]:
    has = set(parquet.read_schema(path).names)
    for column in columns:
        if column not in has:
            raise BadInput(f"{given}: column {column!r} is missing; it has {sorted(has)}")
    for batch in parquet.read_table(path, columns=columns).to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def _json_rows(path: Path) -> Iterator[Any]:
    """The rows of a JSON list, or of JSON objects one after the other, on one line each or not."""
    text, decoder, at = path.read_text(encoding="utf-8-sig"), json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        yield from value if isinstance(value, list) else [value]


def _row_problem(row: Any, prompt_key: str) -> str:
    """What is wrong with a row; empty if nothing is."""
    if not isinstance(row, dict):
        return "must be an object with named fields"
    for field in (prompt_key, "data_source", "reward_model"):
        if field not in row:
            return f"field {field!r} is missing; it has {sorted(row)}"
    messages, reward = row[prompt_key], row["reward_model"]
    if not isinstance(messages, list) or not messages:
        return f"{prompt_key!r} must be a list of chat messages with role and content"
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return f"{prompt_key!r} must be a list of chat messages with role and content"
        if not isinstance(message.get("content"), str):
            return f"{prompt_key!r} has a message whose content is not text"
    if messages[-1]["role"] != "user":
        return f"{prompt_key!r} must end with a user message, not {messages[-1]['role']!r}"
    if not isinstance(reward, dict) or reward.get("ground_truth") in (None, ""):
        return "'reward_model' must have a ground_truth"
    return ""


def _check_counts(config: DictConfig, train: int | None, held_out: int | None) -> None:
    """Refuse too few rows; a number that is not known refuses nothing."""
    if held_out == 0:
        raise BadInput("data.val_files has no rows")
    if train is None:
        return
    batch, trainer = config.data.train_batch_size, config.trainer
    if config.data.train_max_samples > 0:
        train = min(train, config.data.train_max_samples)
    if train < batch:
        raise BadInput(f"data.train_files has {train} rows, fewer than data.train_batch_size={batch}")
    steps, reach = trainer.total_training_steps, (train // batch) * trainer.total_epochs
    if steps is not None and reach < steps:
        raise BadInput(
            f"trainer.total_training_steps={steps} is out of reach: {train} rows give {train // batch} steps an "
            f"epoch, {reach} in trainer.total_epochs={trainer.total_epochs}; raise total_epochs"
        )


def _tokenizer(config: DictConfig) -> Any:
    """The tokenizer that training will have, with the run's own chat template if it gives one."""
    from verl.utils import hf_tokenizer

    model = config.actor_rollout_ref.model
    path = model.tokenizer_path or model.path
    try:
        tokenizer = hf_tokenizer(path, trust_remote_code=model.trust_remote_code)
    except Exception as error:  # transformers, the hub and a model's own code may raise anything
        raise BadInput(
            f"actor_rollout_ref.model.path={model.path}: {path} gives no tokenizer "
            f"({type(error).__name__}: {_first_line(error)}); set actor_rollout_ref.model.tokenizer_path"
        ) from error
    if model.get("custom_chat_template"):
        tokenizer.chat_template = model.custom_chat_template
    return tokenizer


def _check_prompt_budget(config: DictConfig, tokenizer: Any) -> None:
    """A correction prompt must have room for the longest problem, the fixed words and some of the attempt."""
    settings = fail2fix_settings(config)
    if not _asks_for_corrections(settings):
        return
    from fail2fix.verl_ext.tokenizer import correction_prompt_builder

    model = config.actor_rollout_ref.model
    try:
        builder = correction_prompt_builder(config, tokenizer)
    except ValueError as error:
        raise BadInput(
            f"actor_rollout_ref.model.path={model.path}: its chat template does not serve: {error}"
        ) from error
    if not builder.fits([{"role": "user", "content": ""}], config.data.max_prompt_length):
        raise BadInput(
            f"fail2fix.correction.max_prompt_length={settings.correction.max_prompt_length} has no room for a problem "
            f"of data.max_prompt_length={config.data.max_prompt_length} tokens, our words and an attempt; raise it"
        )
