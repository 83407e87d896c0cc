"""Public data sets: where each is published, what its columns mean, which faults its rows have.

Must not know: files, networks, training. To add a set, add a function that reads a row and an entry to a `SETS` table.
"""

from functools import cache
from importlib import import_module

from fail2fix.data.sets.spec import PublicSet
from fail2fix.method.errors import InputError

MODULES = ("training_math", "training_code", "evaluation_math", "evaluation_code", "criticbench")


@cache
def all_sets() -> dict[str, PublicSet]:
    """Every set by name, in the order of `MODULES`."""
    modules = (import_module(f"{__name__}.{module}") for module in MODULES)
    return {each.name: each for module in modules for each in module.SETS}


def find_set(name: str) -> PublicSet:
    """The set called `name`. Raises `InputError` if there is none."""
    known = all_sets()
    if name not in known:
        raise InputError(f"{name!r} is no set known here: use one of {', '.join(known)}")
    return known[name]
