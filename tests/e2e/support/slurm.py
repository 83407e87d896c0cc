"""A SLURM of this machine alone, in a folder: one node, one partition, its own key."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
ADMIN = "/usr/sbin:/usr/local/sbin"
# cred_expire: a requeued job waits until its credential has expired, two minutes by default.
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=30
SchedulerParameters=sched_interval=2,batch_sched_delay=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no SLURM here; empty if there can."""
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:{ADMIN}")]
    if lacking:
        return f"no {', '.join(lacking)} here: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.getuid() == 0 else "slurmd needs root"


class Slurm:
    """A running SLURM; every command of it gets ``environment``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{os.environ['PATH']}:{ADMIN}",
        }

    def call(self, *command: str, **environment: str) -> str:
        done = subprocess.run(
            command, env=self.environment | environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def field(self, job: str, name: str) -> str:
        """A field of ``scontrol show job``."""
        words = dict(word.split("=", 1) for word in self.call("scontrol", "show", "job", job).split() if "=" in word)
        return words[name]

    def wait(self, job: str, within_s: float = 400.0) -> str:
        """The job's last state."""
        until = time.monotonic() + within_s
        while (state := self.field(job, "JobState")) in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED"):
            assert time.monotonic() < until, f"job {job} is still {state}"
            time.sleep(1)
        return state


def _free_ports() -> list[int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return [one.getsockname()[1], other.getsockname()[1]]


@contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Start it in an empty folder with a short path; nothing of it stays."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(CONF.format(host=host, ports=_free_ports(), folder=folder))
    slurm = Slurm(folder)
    munge = [
        f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "pid-file", "log-file", "seed-file")
    ]
    daemons = []
    try:
        munged = ["munged", "--foreground", "--force", f"--key-file={key}", *munge]
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D"]):
            with (folder / f"{command[0]}.out").open("w") as output:
                daemons.append(subprocess.Popen(command, env=slurm.environment, stdout=output, stderr=output))
            time.sleep(2)  # each needs the one before
        until = time.monotonic() + 60
        while "idle" not in slurm.call("sinfo", "-h", "-o", "%T"):
            assert time.monotonic() < until, (folder / "slurmd.log").read_text()[-2000:]
            time.sleep(1)
        yield slurm
    finally:
        _end(slurm, daemons)


def _end(slurm: Slurm, daemons: list[subprocess.Popen[bytes]]) -> None:
    family = [psutil.Process(daemon.pid) for daemon in daemons if daemon.poll() is None]
    # slurmstepd and what it runs leave slurmd's family, and keep its environment.
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SLURM_CONF") == slurm.environment["SLURM_CONF"]:
                family.append(process)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)
