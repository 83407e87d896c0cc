"""The public sets, one module each: where a set lives, what its columns mean, what is wrong with it.

Knows: columns and traps of each set. Must not know: files, networks, prompts, training. A new set is one module with a
`SETS` tuple and one name in `MODULES`.
"""

from functools import cache
from importlib import import_module

from fail2fix.data.sets.spec import PublicSet
from fail2fix.method.errors import InputError

MODULES = (
    "deepscaler", "gsm8k", "hendrycks_math", "dapo", "leetcode", "mbpp", "deepcoder", "am_distilled",
    "aime", "amc23", "math500", "minerva", "olympiadbench", "humaneval", "livecodebench", "debugbench", "criticbench",
)  # fmt: skip


@cache
def all_sets() -> dict[str, PublicSet]:
    """Every set by name, in the order of `MODULES`."""
    modules = (import_module(f"{__name__}.{module}") for module in MODULES)
    return {each.name: each for module in modules for each in module.SETS}


def find_set(name: str) -> PublicSet:
    """The set called `name`. Raises `InputError` where there is none."""
    known = all_sets()
    if name not in known:
        raise InputError(f"{name!r} is no set known here: use one of {', '.join(known)}")
    return known[name]
