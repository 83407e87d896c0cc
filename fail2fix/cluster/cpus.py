"""How many of Ray's CPUs a run is given; with too few, Ray waits for ever without a word.

verl reserves `WORKER` CPUs for each GPU's worker, and the trainer holds one. The engines' servers, agent loops and
reward workers hold none, but Ray starts each of them on a free CPU: one more is asked for. Ray also lends the trainer's
while that waits for an answer, so a run may get through without the free one; that is a matter of timing. These CPUs
only count what Ray may place: they start no threads, and there may be more of them than cores.
"""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf
from ray._private.utils import get_num_cpus
from verl.single_controller.ray.base import ResourcePoolManager

from fail2fix.method.errors import InputError

KEY = "ray_kwargs.ray_init.num_cpus"
WORKER = ResourcePoolManager.max_colocate_count
TRAINER = 1
FREE = 1


def check_cpus(config: DictConfig) -> None:
    """Refuse a run that starts its own Ray with too few CPUs.

    Raises:
        InputError: how many there are, how many are needed, and the key to set.
    """
    workers = config.trainer.nnodes * config.trainer.n_gpus_per_node
    needed, given = WORKER * workers + TRAINER + FREE, OmegaConf.select(config, KEY)
    found = get_num_cpus(override_docker_cpu_warning=True) if given is None else given
    if not isinstance(found, int | float) or found < needed:
        raise InputError(
            f"{KEY}={'null' if given is None else given}: Ray would have {found} CPUs and may wait for ever; a run "
            f"is given {needed} ({WORKER} for each of {workers} workers, {TRAINER} for the trainer, {FREE} free); set "
            f"{KEY}={needed}, also on a machine with fewer cores"
        )
