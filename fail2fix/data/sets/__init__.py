"""Public data sets: where each is published (`catalog.yaml`), and functions that read its rows.

Must not know: files of sets, networks, training. To add a set, add an entry to the catalog and a function that turns a
row into a problem.
"""

from functools import cache
from importlib.resources import files
from pkgutil import resolve_name
from typing import Any

from omegaconf import OmegaConf

from fail2fix.data.sets.spec import Beside, Join, PublicSet
from fail2fix.method.errors import InputError

FUNCTIONS = ("read", "mirror_split", "evaluated")


@cache
def all_sets() -> dict[str, PublicSet]:
    """Every set by name, in the order of the catalog."""
    catalog: Any = OmegaConf.to_container(OmegaConf.create((files(__name__) / "catalog.yaml").read_text("utf-8")))
    return {name: _described(name, fields) for name, fields in catalog.items()}


def _described(name: str, fields: dict[str, Any]) -> PublicSet:
    fields |= {key: _function(fields[key]) for key in FUNCTIONS if key in fields}
    fields |= {key: tuple(fields[key]) for key in ("traps", "hub_files") if key in fields}
    if join := fields.get("join"):
        fields["join"] = Join(**join | {"ground_truth": _function(join["ground_truth"])})
    if "beside" in fields:
        fields["beside"] = Beside(**fields["beside"])
    return PublicSet(name=name, **fields)


def _function(path: str) -> Any:
    return resolve_name(f"{__name__}.{path}")


def find_set(name: str) -> PublicSet:
    """The set called `name`. Raises `InputError` if there is none."""
    known = all_sets()
    if name not in known:
        raise InputError(f"{name!r} is no set known here: use one of {', '.join(known)}")
    return known[name]
