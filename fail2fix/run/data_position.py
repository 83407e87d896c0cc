"""Restore a run's position in its data at the end of an epoch."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

FILE = "data.pt"  # verl's


def restore_epoch_end(loader: Any, checkpoint: Path) -> None:
    """Put a data loader at the end of the epoch that a checkpoint ends with.

    verl ignores the state of a checkpoint between two epochs, and the next epoch repeats the first one's order. Here
    the finished epoch is restored and exhausted, so that the next one draws its own order.
    """
    path = checkpoint / FILE
    if not path.exists():
        return
    try:
        state = torch.load(path, weights_only=True)
    except pickle.UnpicklingError as error:  # of the user's own sampler or data set
        print(f"{path}: holds more than numbers, so the next epoch begins as verl begins it ({error})")
        return
    loader.load_state_dict(state)
    for _ in loader:
        raise RuntimeError(f"{path}: rows are left in an epoch that should have ended; was data.train_files changed?")
