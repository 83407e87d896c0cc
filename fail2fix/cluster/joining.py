"""Choose between a run's own Ray and an existing cluster, and check the existing one.

If `RAY_ADDRESS` (or verl's ``ray_kwargs.ray_init.address``) is set, a run joins that cluster and never shuts it down.
Without it the run starts its own Ray: Ray by default would join any cluster on the machine, also another user's.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from omegaconf import DictConfig, OmegaConf, open_dict

from fail2fix.method.errors import InputError
from fail2fix.run.exit_status import Exit, TrainingError

VARIABLE = "RAY_ADDRESS"
KEY = "ray_kwargs.ray_init.address"
OWN = "local"  # Ray's word for a new cluster
# Keys that describe a new cluster; Ray refuses or ignores them for an existing one.
DESCRIBES_OWN = ("num_cpus", "num_gpus", "resources", "labels", "object_store_memory", "include_dashboard")
ASK_EACH_S = 5.0
ANSWER_S = 5.0
SILENCES = 3  # a busy head answers at least one of this many requests
WAIT_S = 600.0  # for devices that the previous run frees, or that nodes still bring
LOOK_S = 2.0


class ClusterError(TrainingError):
    """The cluster is missing, or too small for the run: a restart may find it complete."""

    exit_status = Exit.FAULT


def answers(address: str) -> bool:
    """Whether anything accepts connections at ``HOST:PORT``."""
    host, _, port = address.rpartition(":")
    with suppress(OSError, ValueError):
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
        return True
    return False


def address_of(config: DictConfig, environment: Mapping[str, str]) -> str:
    """The address of the Ray that a run uses, or `OWN`.

    Raises:
        InputError: training cannot join this address.
    """
    given = _given(config)
    address = given or environment.get(VARIABLE) or OWN
    if "://" in address:
        name, where = (KEY if given else VARIABLE), address.rpartition("@")[2]
        raise InputError(f"{name}={where}: training runs on a node of the cluster; give its head as HOST:PORT, or auto")
    return address


def use(config: DictConfig, address: str) -> None:
    """Tell verl which Ray to use. Called after the run's config is written: it may be resumed in another cluster."""
    with open_dict(config):
        OmegaConf.update(config, KEY, address, force_add=True)
        for key in DESCRIBES_OWN if joins(config) else ():
            config.ray_kwargs.ray_init.pop(key, None)


def joins(config: DictConfig) -> bool:
    """Whether the config names an existing cluster."""
    return (_given(config) or OWN) != OWN


def _given(config: DictConfig) -> str | None:
    return OmegaConf.select(config, KEY)


def require_head(config: DictConfig) -> None:
    """Refuse a start without a head that answers; Ray would end the process a minute later, without a message.

    Raises:
        ClusterError: nothing answers at the address.
    """
    address = _given(config) or OWN
    if address not in (OWN, "auto") and not answers(address):
        raise ClusterError(f"{VARIABLE}={address}: no Ray answers there; start it with scripts/cluster.sh, or unset it")


class Head:
    """The head of an existing cluster, polled for its presence.

    Args:
        address: ``HOST:PORT``, or "" while it is not known.
    """

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address
        self._asked_at, self._silences = time.monotonic(), 0

    @property
    def lost(self) -> str:
        """The head that has stopped answering; empty if it answers."""
        if time.monotonic() - self._asked_at >= ASK_EACH_S and (address := self._address()):
            self._asked_at = time.monotonic()
            self._silences = 0 if answers(address) else self._silences + 1
        return f"head at {self._address()}" if self._silences >= SILENCES else ""


def wait_for_devices(nodes: int, each: int, cpus: int, free: Callable[[], list[tuple[int, int]]]) -> None:
    """Wait until ``nodes`` nodes have ``each`` devices free, and ``cpus`` CPUs for each of the devices.

    Args:
        free: the free devices and CPUs of every live node; the trainer holds its own CPU.

    Raises:
        ClusterError: too few were free for `WAIT_S` seconds.
    """
    until, said = time.monotonic() + WAIT_S, False
    while True:
        now = free()
        if sum(min(devices // each, found // (cpus * each)) for devices, found in now) >= nodes:
            return
        have = (
            f"{nodes} x {each} devices wanted (trainer.nnodes x n_gpus_per_node), {cpus} CPUs beside each; "
            f"free devices and CPUs of each node: {sorted(now)}"
        )
        if time.monotonic() > until:
            raise ClusterError(
                f"the Ray cluster is too small: {have}; ray start --num-cpus=N sets how many CPUs a node has"
            )
        if not said:
            print(f"fail2fix: waiting for the Ray cluster: {have}", flush=True)
            said = True
        time.sleep(LOOK_S)
