"""Keep two runs on one machine from mixing their weights in verl's weight sync.

verl 0.9.1 sends an actor's weights to its engine over sockets named /tmp/rl-colocate-zmq-<Ray job>-replica-<n>-rank-<n>
(verl/workers/rollout/vllm_rollout/vllm_rollout.py). Every Ray cluster numbers its jobs from 1, so two runs that each
start Ray on one machine use the same names: an engine may then receive the other run's weights, without an error if
their shapes agree.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

from fail2fix.cluster.lock import hold

FOLDER = Path("/tmp")


def hold_weight_sync(job: str, run: Path, folder: Path = FOLDER) -> IO[str]:
    """Reserve the sockets of a Ray job on this machine for one run, until the file is closed or the process ends.

    Args:
        job: Ray's id of the job.
        run: the run's folder, named in another run's error.
        folder: where the sockets are.

    Raises:
        InputError: another run holds them.
    """

    def refusal(other: str) -> str:
        return (
            f"another run on this machine ({other}) syncs its weights under the same names, {folder}/rl-colocate-zmq-"
            f"{job}-*, and either could get the other's weights; wait until it ends, or start one Ray for both "
            "(ray start --head, then RAY_ADDRESS=auto)"
        )

    return hold(folder / f"rl-colocate-zmq-{job}.held", run, refusal)
