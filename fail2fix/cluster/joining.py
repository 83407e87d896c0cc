"""Whether a run starts a Ray of its own or joins one that is there, and what it expects of that one.

A run joins a Ray only where ``RAY_ADDRESS`` (or verl's ``ray_kwargs.ray_init.address``) names it: by itself Ray would
join any that it finds on the machine, another user's included. A joined Ray is not the run's: nothing of it is ended.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping

from omegaconf import DictConfig, OmegaConf, open_dict

from fail2fix.cluster import cpus
from fail2fix.method.errors import InputError
from fail2fix.run.faults import Exit, TrainingError

VARIABLE = "RAY_ADDRESS"
KEY = "ray_kwargs.ray_init.address"
OWN = "local"  # Ray's word for a new cluster
# What describes a cluster that a run starts; Ray refuses it, or does without, where the cluster is there.
DESCRIBES_OWN = ("num_cpus", "num_gpus", "resources", "labels", "object_store_memory", "include_dashboard")
ASK_EACH_S = 5.0
ANSWER_S = 5.0
SILENCES = 3  # a head that is only busy answers one of these
WAIT_S = 600.0  # for the devices of the run before, or of nodes that still start
LOOK_S = 2.0


class ClusterError(TrainingError):
    """The cluster is not there, or too small for the run: another start may find it whole."""

    exit_status = Exit.FAULT


def answers(address: str) -> bool:
    """Whether anything takes connections at ``HOST:PORT``."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except (OSError, ValueError):
        return False
    return True


def address_of(config: DictConfig, environment: Mapping[str, str]) -> str:
    """The Ray that a run uses: its address, or `OWN`.

    Raises:
        InputError: the address is not one that a training can join.
    """
    given = _given(config)
    address = given or environment.get(VARIABLE) or OWN
    if "://" in address:
        name, where = (KEY if given else VARIABLE), address.rpartition("@")[2]
        raise InputError(f"{name}={where}: training runs on a node of the cluster; give its head as HOST:PORT, or auto")
    return address


def use(config: DictConfig, address: str) -> None:
    """Tell verl which Ray to use. Not before the run's settings are written: it may go on in another cluster."""
    with open_dict(config):
        OmegaConf.update(config, KEY, address, force_add=True)
        for key in DESCRIBES_OWN if joins(config) else ():
            config.ray_kwargs.ray_init.pop(key, None)


def joins(config: DictConfig) -> bool:
    """Whether the run was told to join a Ray that is there."""
    return (_given(config) or OWN) != OWN


def _given(config: DictConfig) -> str | None:
    return OmegaConf.select(config, KEY)


def require_head(config: DictConfig) -> None:
    """Refuse a start without a head that answers; Ray's core would end the process a minute later, without a line.

    Raises:
        ClusterError: nothing answers there.
    """
    address = _given(config) or OWN
    if address not in (OWN, "auto") and not answers(address):
        raise ClusterError(f"{VARIABLE}={address}: no Ray answers there; start it with scripts/cluster.sh, or unset it")


class Head:
    """The head of a joined cluster, asked now and then whether it is still there.

    Args:
        address: ``HOST:PORT``, or "" as long as it is not known.
    """

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address
        self._asked_at, self._silences = time.monotonic(), 0

    @property
    def lost(self) -> str:
        """What does not answer any more; empty if nothing is missed."""
        if time.monotonic() - self._asked_at >= ASK_EACH_S and (address := self._address()):
            self._asked_at = time.monotonic()
            self._silences = 0 if answers(address) else self._silences + 1
        return f"head at {self._address()}" if self._silences >= SILENCES else ""


def wait_for_devices(
    nodes: int, each: int, free: Callable[[], list[tuple[int, int]]], wait_s: float = WAIT_S, look_s: float = LOOK_S
) -> None:
    """Wait until ``nodes`` nodes have ``each`` devices free, and Ray the CPUs that verl reserves beside them.

    Args:
        free: the free devices and CPUs of every node that is alive; the trainer holds its own CPU.

    Raises:
        ClusterError: they had not in ``wait_s`` seconds.
    """
    since, said = time.monotonic(), False
    while True:
        now = free()
        room = sum(min(devices // each, found // (cpus.WORKER * each)) for devices, found in now)
        if room >= nodes:
            return
        have = (
            f"{nodes} x {each} devices wanted (trainer.nnodes x n_gpus_per_node), {cpus.WORKER} CPUs beside each; "
            f"free devices and CPUs of each node: {sorted(now)}"
        )
        if time.monotonic() - since > wait_s:
            raise ClusterError(
                f"the Ray cluster is too small: {have}; ray start --num-cpus=N says how many CPUs a node has"
            )
        if not said:
            print(f"fail2fix: waiting for the Ray cluster: {have}", flush=True)
            said = True
        time.sleep(look_s)
