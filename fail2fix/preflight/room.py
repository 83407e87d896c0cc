"""Room for what a run writes: checkpoints on the disk, weights on their way to the engine in shared memory.

Refused is what cannot end well: the first checkpoint does not fit, or the buffer of the weights does not. That all
checkpoints of a long run may not fit is a warning, since disks can be emptied on the way. Sizes are estimates from the
headers of the weights.
"""

from __future__ import annotations

import os
import shutil
from math import ceil
from pathlib import Path

from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.preflight.model_folder import Weights
from fail2fix.preflight.wording import gigabytes

SHARED_MEMORY = Path("/dev/shm")
ADAM_STATES = 2  # numbers of the optimiser for each of the model's
EXPORTED_BYTES = 2  # verl writes the Hugging Face folder in bf16
MEGABYTE = 1 << 20


def check_room(config: DictConfig, weights: Weights | None) -> list[str]:
    """Refuse a run whose first checkpoint or weight buffer does not fit; warn of one that may fill the disk.

    ``weights``: None where only verl can tell what the model holds.

    Raises:
        InputError: the key, what is needed and what is free.
    """
    _check_writable(config)
    _check_buffer(config, weights)
    if weights is None or config.trainer.save_freq <= 0:
        return []
    folder = Path(config.trainer.default_local_dir)
    size, free = checkpoint_bytes(config, weights), shutil.disk_usage(_there(folder)).free
    if size > free:
        raise InputError(
            f"trainer.default_local_dir={folder}: a checkpoint takes about {gigabytes(size)} and {gigabytes(free)} "
            "are free; choose another disk, or set trainer.save_freq=-1"
        )
    kept = _kept(config)
    if size * kept <= free:
        return []
    return [
        f"trainer.default_local_dir={folder}: {kept} checkpoints of about {gigabytes(size)} each are to be kept and "
        f"{gigabytes(free)} are free; set fail2fix.checkpoint.keep_last, or save less often"
    ]


def checkpoint_bytes(config: DictConfig, weights: Weights) -> int:
    """What one checkpoint takes on this node's disk, about: weights and optimiser as FSDP holds them, an export."""
    actor = config.actor_rollout_ref.actor
    contents = actor.checkpoint.get("save_contents") or []
    dtype = str((actor.get("fsdp_config") or {}).get("model_dtype") or "fp32")
    number = 4 if dtype in ("fp32", "float32") else 2
    trains_all = not config.actor_rollout_ref.model.get("lora_rank")
    each = number * ("model" in contents)
    each += number * ADAM_STATES * ("optimizer" in contents and trains_all)
    sharded = weights.parameters * each // config.trainer.nnodes
    return sharded + weights.parameters * EXPORTED_BYTES * ("hf_model" in contents)


def _kept(config: DictConfig) -> int:
    """How many checkpoints are on the disk at the most."""
    trainer = config.trainer
    saved = ceil((trainer.total_training_steps or trainer.save_freq) / trainer.save_freq)
    wanted = config.fail2fix.checkpoint
    keep = wanted.keep_last or trainer.max_actor_ckpt_to_keep or saved
    # One goes only after the next is written; the best stays beside the newest.
    return min(saved, keep + 1 + (wanted.best_metric is not None))


def _check_writable(config: DictConfig) -> None:
    for key in ("default_local_dir", "rollout_data_dir", "validation_data_dir"):
        folder = config.trainer[key]
        if folder and not os.access(_there(Path(folder)), os.W_OK | os.X_OK):
            raise InputError(f"trainer.{key}={folder}: {_there(Path(folder))} is not writable; choose another place")


def _check_buffer(config: DictConfig, weights: Weights | None) -> None:
    """Without a GPU's own way between processes, verl hands weights over in a segment of shared memory a worker."""
    if config.trainer.device != "cpu":
        return
    key = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"
    megabytes = config.actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes
    needed, free = megabytes * MEGABYTE * config.trainer.n_gpus_per_node, shutil.disk_usage(SHARED_MEMORY).free
    if needed > free:
        raise InputError(
            f"{key}={megabytes}: takes {gigabytes(needed)} of {SHARED_MEMORY}, where {gigabytes(free)} are free; lower "
            "it, or enlarge shared memory (docker run --shm-size)"
        )
    largest = 4 * weights.largest if weights else 0
    if largest > megabytes * MEGABYTE:
        raise InputError(
            f"{key}={megabytes}: the model's largest tensor needs {ceil(largest / MEGABYTE)} in fp32; raise it"
        )


def _there(folder: Path) -> Path:
    """The nearest folder above that exists."""
    return next(part for part in (folder.absolute(), *folder.absolute().parents) if part.exists())
