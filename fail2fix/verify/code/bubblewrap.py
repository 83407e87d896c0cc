"""The bubblewrap command line (0.8 or newer), which hides almost everything of this machine from a program.

Inside: the C library and one Python, read-only; /proc of its own process namespace; five devices; an empty /tmp of
bounded size, the only writable place, also called /dev/shm; no network, shell, environment or capability; the user
nobody.
"""

import os
import shutil
import subprocess

from fail2fix.verify.code.backend import SandboxUnavailableError
from fail2fix.verify.code.interpreter import Interpreter

NOBODY = 65534
INSTALL = "install bubblewrap (Debian: apt-get install bubblewrap)"
REMEDY = (
    "allow unprivileged user namespaces. In a container: docker run --security-opt seccomp=unconfined (or a profile"
    " that allows clone, unshare, mount, umount2 and pivot_root) --security-opt apparmor=unconfined --security-opt"
    " systempaths=unconfined (podman: unmask=ALL), since under a masked /proc no other can be mounted. On the host,"
    " where these exist: sysctl kernel.apparmor_restrict_unprivileged_userns=0 (or an AppArmor profile of bwrap with"
    " userns), kernel.unprivileged_userns_clone=1, user.max_user_namespaces=10000. Or use a SandboxFusion service"
)
"""Requirements of bubblewrap; its own messages do not always tell which one is missing."""

DEVICES = ("null", "zero", "full", "random", "urandom")
ENVIRONMENT = {
    # The same program gets the same verdict: sets of strings are ordered alike in every run.
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "C.UTF-8",
    "HOME": "/tmp",
    "PATH": "/nonexistent",
}


def find_bwrap() -> str:
    """Path of bwrap. Raises `SandboxUnavailableError` if it is missing or too old."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxUnavailableError(f"programs are only run in a sandbox, and bwrap is missing: {INSTALL}")
    told = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False).stdout.split()
    version = tuple(int(part) for part in told[-1].split(".")[:2]) if told else (0, 0)
    if version < (0, 8):
        raise SandboxUnavailableError(f"{bwrap} is version {'.'.join(map(str, version))}, 0.8 is needed: {INSTALL}")
    return bwrap


def sandbox_uid() -> int:
    """The user of sandboxes outside: ourselves, or nobody if we are root, which process limits do not bind."""
    return os.getuid() or NOBODY


def bwrap_command(bwrap: str, python: Interpreter, source: str, tmp_bytes: int, seccomp_fd: int) -> list[str]:
    """The command that starts `source` under `python` in a new sandbox; no filter if `seccomp_fd` is negative."""
    command = [bwrap, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--as-pid-1"]
    command += ["--cap-drop", "ALL", "--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox"]
    command += _files(python, tmp_bytes)
    command += ["--clearenv"]
    for name, value in (ENVIRONMENT | _library_path(python)).items():
        command += ["--setenv", name, value]
    if seccomp_fd >= 0:
        command += ["--seccomp", str(seccomp_fd)]
    return [*command, "--", python.executable, "-s", "-S", "-c", source]


def _files(python: Interpreter, tmp_bytes: int) -> list[str]:
    options = []
    for here, inside in python.binds:
        options += ["--ro-bind", here, inside]
    for library in ("/lib", "/lib64", "/lib32"):
        if os.path.islink(library):
            options += ["--symlink", os.readlink(library), library]
        elif os.path.isdir(library):
            options += ["--ro-bind", library, library]
    for folder in python.hidden:
        options += ["--size", "4096", "--tmpfs", folder, "--remount-ro", folder]
    for device in DEVICES:
        options += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    options += ["--proc", "/proc", "--symlink", "/proc/self/fd", "/dev/fd", "--symlink", "fd/0", "/dev/stdin"]
    options += ["--symlink", "fd/1", "/dev/stdout", "--symlink", "fd/2", "/dev/stderr"]
    # Locks of process pools are files there.
    options += ["--symlink", "/tmp", "/dev/shm"]
    return [*options, "--size", str(tmp_bytes), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp"]


def _library_path(python: Interpreter) -> dict[str, str]:
    """A Python shown at another place than its own finds its shared library only by this variable."""
    prefix = os.path.dirname(os.path.dirname(python.executable))
    return {} if prefix == "/usr" else {"LD_LIBRARY_PATH": f"{prefix}/lib"}
