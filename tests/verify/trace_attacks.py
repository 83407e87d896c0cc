"""Judges the whole attack corpus in this process, all rungs, under an audit hook; prints what it saw as JSON.

What the libraries compile and import for themselves is theirs; anything whose text comes from an answer, starts a
process, opens a connection, loads a pickle or a library, or writes, is listed. Run by `test_attacks`.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from checks import check

from fail2fix.verify.attacks.corpus import corpus

FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
    "socket.",
    "pickle.find_class", "ctypes.", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink",
    "os.chmod",
    "os.truncate", "os.putenv", "os.kill", "shutil.", "urllib.", "code.__new__", "builtins.input", "webbrowser.",
)  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

seen: list[str] = []
counts = {"compile": 0, "exec": 0, "open": 0}
watching = False


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not watching:
        return
    if event in counts:
        counts[event] += 1
    if event.startswith(FORBIDDEN):
        seen.append(f"{event} {arguments!r:.200}")
    elif event == "open" and (set(str(arguments[1] or "r")) & set("wax+") or (arguments[2] or 0) & WRITES):
        seen.append(f"open to write {arguments!r:.200}")
    elif event in ("compile", "exec") and _writes_its_own_code(sys._getframe(1)):
        pass
    elif event == "compile" and not _is_a_librarys(arguments[1]):
        seen.append(f"compile {arguments!r:.200}")
    elif event == "exec" and not _is_a_librarys(arguments[0].co_filename):
        seen.append(f"exec {arguments[0].co_filename}: {arguments[0].co_names!r:.200}")


def _writes_its_own_code(frame: FrameType) -> bool:
    """sympy's polynomials compile one function for each number of names, from a text of their own."""
    return frame.f_code.co_filename.endswith("sympy/polys/monomials.py")


def _is_a_librarys(filename: object) -> bool:
    """Whether code comes from a file of the interpreter or of an installed package: an import."""
    path = Path(os.fsdecode(filename)) if isinstance(filename, str | bytes) else Path("<unknown>")
    return str(path).startswith("<frozen") or (path.is_file() and path.suffix == ".py")


def main(canary: Path) -> None:
    global watching
    logging.disable(logging.CRITICAL)
    attacks = corpus(canary)
    sys.addaudithook(hook)
    importlib.import_module("sympy.physics.units")  # evaluates its own names as it is imported
    for response, gold in ((r"\boxed{2x+2}", "2(x+1)"), (r"\boxed{\frac{x}{2}}", r"0.5x"), (r"\boxed{\pi}", r"2\pi")):
        check(response, gold)
    watching = True
    accepted = [attack.id for attack in attacks if check(attack.response, attack.gold).correct]
    watching = False
    print(json.dumps({"attacks": len(attacks), "accepted": accepted, "seen": seen, "counts": counts}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
