"""Read a checkpoint's FSDP shards as whole tensors, in the precision that they were saved in.

Shards are read as weights only, so no pickled code runs, and memory-mapped: a tensor of one rank is not copied.
"""

import json
import logging
import pickle
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor, Shard

from fail2fix.method.errors import InputError, reading
from fail2fix.run.checkpoints import UNFINISHED

# It warns that a mesh was read before any process group; there is none here.
logging.getLogger("torch.distributed.device_mesh").setLevel(logging.ERROR)

State = dict[str, torch.Tensor]

UNREADABLE = (OSError, RuntimeError, EOFError, ValueError)  # truncated, or not written by torch


def actor_folder(checkpoint: Path) -> Path:
    """The folder of the policy's files in a checkpoint's folder. Raises `InputError`: it is incomplete."""
    actor = checkpoint / "actor" if (checkpoint / "actor").is_dir() else checkpoint
    if (actor.resolve().parent / UNFINISHED).exists():
        raise InputError(f"{checkpoint}: this checkpoint was never completed: give another one")
    _shard_files(actor)
    if not (actor / "huggingface" / "config.json").is_file():
        raise InputError(f"{actor}: no huggingface/config.json in it: the checkpoint is incomplete")
    return actor


def read_state(actor: Path) -> State:
    """The state dict of a checkpoint's `actor` folder, every tensor whole.

    Raises `InputError`: no shards, a rank is missing, a file is damaged, or ranks hold different tensors.
    """
    states = [_load(path) for path in _shard_files(actor)]
    for rank, state in enumerate(states):
        if state.keys() != states[0].keys():
            raise InputError(f"{actor}: ranks 0 and {rank} hold different tensors: the files are of two checkpoints")
    with torch.no_grad():
        return {name: _join(name, [state[name] for state in states], actor) for name in states[0]}


def _shard_files(actor: Path) -> list[Path]:
    """The model's file of each rank, in the order of ranks.

    Raises `InputError`: there is none, a rank's is missing, or verl's fsdp_config.json does not say how many there are.
    """
    if not any(actor.glob("model_world_size_*_rank_*.pt")):
        raise InputError(
            f"{actor}: no model_world_size_*_rank_*.pt in it: give .../global_step_N of a run that saved its model"
        )
    config = actor / "fsdp_config.json"
    with reading(f"{config}: does not name a world_size", hint="the checkpoint is damaged"):
        ranks = int(json.loads(config.read_text())["world_size"])
    files = [actor / f"model_world_size_{ranks}_rank_{rank}.pt" for rank in range(ranks)]
    if missing := [file.name for file in files if not file.is_file()]:
        raise InputError(
            f"{actor}: {missing[0]} is missing ({len(missing)} of {ranks} ranks are): copy the files of all ranks into "
            "this folder, those of other machines too"
        )
    return files


def _load(path: Path) -> State:
    state = None
    hint = "copy it again or give another checkpoint"
    with suppress(pickle.UnpicklingError), reading(f"{path}: cannot be read", *UNREADABLE, hint=hint):
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(state, dict):
        raise InputError(f"{path}: holds more than weights, or is damaged: give a checkpoint of verl's FSDP")
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _join(name: str, parts: Sequence[torch.Tensor], actor: Path) -> torch.Tensor:
    first = parts[0]
    if not isinstance(first, DTensor):  # not sharded: each rank has all of it
        if all(torch.equal(first, part) for part in parts[1:]):
            return first
        raise InputError(f"{actor}: {name} differs between ranks: the files are of two checkpoints")
    sharded = [(dim, each) for dim, each in enumerate(first.placements) if not each.is_replicate()]
    if not sharded:
        return first.to_local()
    dim, placement = sharded[0]
    if len(sharded) > 1 or type(placement) is not Shard:
        raise InputError(f"{actor}: {name} is placed as {first.placements}: FSDP with or without replicas is supported")
    # Along the sharded dimension of the mesh, in the first of its replicas.
    mesh = first.device_mesh.mesh
    ranks = mesh.movedim(dim, 0).reshape(mesh.shape[dim], -1)[:, 0].tolist()
    pieces = [parts[rank].to_local() for rank in ranks]  # type: ignore[attr-defined]
    whole = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=placement.dim)
    if whole.shape != first.shape:
        raise InputError(f"{actor}: {name} has {tuple(whole.shape)} of {tuple(first.shape)}: files of two checkpoints")
    return whole
