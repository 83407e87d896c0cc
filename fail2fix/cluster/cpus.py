"""Check the CPUs that Ray may assign; with too few, Ray waits forever without an error.

verl reserves `WORKER` CPUs for each GPU's worker, and the trainer holds one. Engine servers, agent loops and reward
workers hold none, but Ray starts each of them on a free CPU, so one more is required. (Ray also lends the trainer's CPU
while the trainer waits for an answer, so a run may succeed without the free one, depending on timing.) These CPUs only
limit what Ray may place: they start no threads, and may exceed the cores.
"""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf
from ray._private.utils import get_num_cpus

from fail2fix.method.errors import InputError
from fail2fix.verl_ext.names import CPUS_A_WORKER as WORKER

KEY = "ray_kwargs.ray_init.num_cpus"
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
            f"{KEY}={'null' if given is None else given}: Ray would have {found} CPUs and may wait forever; a run "
            f"needs {needed} ({WORKER} for each of {workers} workers, {TRAINER} for the trainer, {FREE} free); set "
            f"{KEY}={needed}, also on a machine with fewer cores"
        )
