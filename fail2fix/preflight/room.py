"""Check the space that a run needs: checkpoints on disk, weights in shared memory on their way to the engine.

Refused: the first checkpoint, or the weight buffer, does not fit. Warned of: all checkpoints together may not fit,
since disks can be emptied during the run. Sizes are estimated from the headers of the weights.
"""

from __future__ import annotations

import os
import shutil
from math import ceil
from pathlib import Path

from omegaconf import DictConfig

from fail2fix.method.errors import InputError
from fail2fix.preflight.model_folder import ModelSize

SHARED_MEMORY = Path("/dev/shm")
ADAM_STATES = 2  # numbers of the optimizer for each of the model's
EXPORTED_BYTES = 2  # verl writes the Hugging Face folder in bf16
MEGABYTE = 1 << 20


def check_room(config: DictConfig, weights: ModelSize | None) -> list[str]:
    """Refuse a run whose first checkpoint or weight buffer does not fit; warn of one that may fill the disk.

    Args:
        weights: None where the model's size is not known.

    Raises:
        InputError: the key, what is needed and what is free.
    """
    _check_writable(config)
    _check_buffer(config, weights)
    if weights is None or config.trainer.save_freq <= 0:
        return []
    folder = Path(config.trainer.default_local_dir)
    size, free = checkpoint_bytes(config, weights), shutil.disk_usage(_existing_parent(folder)).free
    if size > free:
        raise InputError(
            f"trainer.default_local_dir={folder}: a checkpoint takes about {_gigabytes(size)} and {_gigabytes(free)} "
            "are free; choose another disk, or set trainer.save_freq=-1"
        )
    kept = _most_kept(config)
    if size * kept <= free:
        return []
    return [
        f"trainer.default_local_dir={folder}: {kept} checkpoints of about {_gigabytes(size)} each are to be kept and "
        f"{_gigabytes(free)} are free; set fail2fix.checkpoint.keep_last, or save less often"
    ]


def checkpoint_bytes(config: DictConfig, weights: ModelSize) -> int:
    """Estimated bytes of a checkpoint on this node's disk: weights and optimizer as FSDP holds them, and an export."""
    actor = config.actor_rollout_ref.actor
    contents = actor.checkpoint.get("save_contents") or []
    dtype = str((actor.get("fsdp_config") or {}).get("model_dtype") or "fp32")
    number = 4 if dtype in ("fp32", "float32") else 2
    trains_all = not config.actor_rollout_ref.model.get("lora_rank")
    each = number * (("model" in contents) + ADAM_STATES * ("optimizer" in contents and trains_all))
    return weights.parameters * each // config.trainer.nnodes + weights.parameters * EXPORTED_BYTES * (
        "hf_model" in contents
    )


def _most_kept(config: DictConfig) -> int:
    """The largest number of checkpoints on the disk at one time."""
    trainer, wanted = config.trainer, config.fail2fix.checkpoint
    saved = ceil((trainer.total_training_steps or trainer.save_freq) / trainer.save_freq)
    keep = wanted.keep_last or trainer.max_actor_ckpt_to_keep or saved
    # A checkpoint is deleted only after the next is written; the best stays beside the newest.
    return min(saved, keep + 1 + (wanted.best_metric is not None))


def _check_writable(config: DictConfig) -> None:
    for key in ("default_local_dir", "rollout_data_dir", "validation_data_dir"):
        folder = config.trainer[key]
        if folder and not os.access(parent := _existing_parent(Path(folder)), os.W_OK | os.X_OK):
            raise InputError(f"trainer.{key}={folder}: {parent} is not writable; choose another place")


def _check_buffer(config: DictConfig, weights: ModelSize | None) -> None:
    """Without GPU memory sharing, verl hands weights over in one segment of shared memory per worker."""
    if config.trainer.device != "cpu":
        return
    megabytes = config.actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes
    given = f"actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes={megabytes}"
    needed, free = megabytes * MEGABYTE * config.trainer.n_gpus_per_node, shutil.disk_usage(SHARED_MEMORY).free
    if needed > free:
        raise InputError(
            f"{given}: takes {_gigabytes(needed)} of {SHARED_MEMORY}, where {_gigabytes(free)} are free; lower it, or "
            "enlarge shared memory (docker run --shm-size)"
        )
    largest = ceil(4 * weights.largest / MEGABYTE) if weights else 0
    if largest > megabytes:
        raise InputError(f"{given}: the model's largest tensor needs {largest} in fp32; raise it")


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"


def _existing_parent(folder: Path) -> Path:
    """The folder, or the nearest one above it, that exists."""
    return next(part for part in (folder.absolute(), *folder.absolute().parents) if part.exists())
