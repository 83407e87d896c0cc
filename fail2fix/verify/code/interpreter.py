"""Find the Python that runs inside the sandbox, and the folders of this machine that it needs.

Knows: where a Python keeps its library. Must not know: bubblewrap. The sandbox sees system libraries and that Python's
own, but no site-packages, so nothing that the trainer has installed.
"""

import os
import stat
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fail2fix.verify.code.backend import SandboxUnavailableError

SYSTEM_PYTHON = "/usr/bin/python3"
SYSTEM_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/lib32")


@dataclass(frozen=True)
class Interpreter:
    """`executable` as seen inside; `binds`: (path here, path inside), all read-only; `hidden`: folders
    inside that are shown empty.
    """

    executable: str
    binds: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...] = ()


def find_interpreter(wanted: str, uid: int) -> Interpreter:
    """The Python at `wanted`, else the base of this process's, else the system's.

    `uid`: the user that must be able to read it; a Python in a closed home folder (/root) cannot be shown.

    Raises:
        SandboxUnavailableError: that user can read none of them.
    """
    candidates = [wanted] if wanted else [os.path.realpath(sys.executable), SYSTEM_PYTHON]
    for candidate in candidates:
        found = _describe(candidate)
        if found is not None and all(_readable(Path(here), uid) for here, _ in found.binds):
            return found
    raise SandboxUnavailableError(
        f"no Python that user {uid} can read (tried {', '.join(candidates)}): install Debian's python3, or name one"
    )


def _describe(executable: str) -> Interpreter | None:
    script = "import sys; print(sys.base_prefix, sys.version_info[0], sys.version_info[1], sys.version_info >= (3, 10))"
    try:
        told = subprocess.run(
            [executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    prefix, major, minor, new_enough = told.stdout.rsplit(maxsplit=3)
    if new_enough != "True":
        return None
    name = f"python{major}.{minor}"
    libraries = [folder for folder in SYSTEM_LIBRARIES if os.path.isdir(folder)]
    binds = [(folder, folder) for folder in libraries]
    if os.path.exists("/etc/ld.so.cache"):
        binds.append(("/etc/ld.so.cache", "/etc/ld.so.cache"))
    if prefix == "/usr":
        binary = os.path.realpath(executable)
        return Interpreter(binary, (*binds, (binary, binary)), _packages("/usr/lib", name))
    inside = "/opt/python"
    binds += [(f"{prefix}/bin/{name}", f"{inside}/bin/{name}"), (f"{prefix}/lib", f"{inside}/lib")]
    hidden = _packages(f"{prefix}/lib", name)
    return Interpreter(f"{inside}/bin/{name}", tuple(binds), tuple(h.replace(prefix, inside, 1) for h in hidden))


def _packages(library: str, name: str) -> tuple[str, ...]:
    folders = (f"{library}/{name}/site-packages", f"{library}/{name}/dist-packages", f"{library}/python3/dist-packages")
    return tuple(folder for folder in folders if os.path.isdir(folder))


def _readable(path: Path, uid: int) -> bool:
    """Whether `uid`, of no group of ours, may read `path` through all its parent folders."""
    if uid == os.getuid():
        return os.access(path, os.R_OK)
    with suppress(OSError):
        path = path.resolve(strict=True)
        return all(each.stat().st_mode & stat.S_IXOTH for each in path.parents) and bool(
            path.stat().st_mode & stat.S_IROTH
        )
    return False
