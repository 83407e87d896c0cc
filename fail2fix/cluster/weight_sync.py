"""Two runs on one machine must not meet in verl's weight sync.

verl 0.9.1 sends an actor's weights to its engine over sockets named /tmp/rl-colocate-zmq-<Ray job>-replica-<n>-rank-<n>
(verl/workers/rollout/vllm_rollout/vllm_rollout.py). Every Ray cluster numbers its jobs from 1, so two runs that start
a Ray of their own on one machine, each on its own GPUs, have the same names: an engine may then be given the other
run's weights, and says nothing if their shapes agree.
"""

from __future__ import annotations

from pathlib import Path

from fail2fix.cluster.lock import TakenError, hold
from fail2fix.method.errors import InputError

FOLDER = Path("/tmp")


def hold_weight_sync(job: str, run: Path, folder: Path = FOLDER) -> int:
    """Keep the sockets of a Ray job on this machine for one run, as long as its process lives; a file descriptor.

    Args:
        job: Ray's id of the job.
        run: the run's folder, named to whoever comes second.
        folder: where the sockets are.

    Raises:
        InputError: another run holds them.
    """
    try:
        return hold(folder / f"rl-colocate-zmq-{job}.held", run)
    except TakenError as other:
        raise InputError(
            f"another run on this machine ({other}) syncs its weights under the same names, {folder}/rl-colocate-zmq-"
            f"{job}-*, and either could get the other's weights; wait until it ends, or start one Ray for both "
            "(ray start --head, then RAY_ADDRESS=auto)"
        ) from None
