"""Doors: places where your own code takes part, each chosen by one config key (`fail2fix/README.md` lists them).

A key's value is a shipped short name, or the dotted path of your own class, function or module::

    fail2fix.risk.rule=my_package.gentle.half_penalty

Knows: import paths and signatures. Must not know: what a door is for.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

from fail2fix.method.errors import InputError

Offer = TypeVar("Offer")


class Door(Generic[Offer]):
    """The door of one config key. Called with the key's section, it returns the object that the key names there.

    ``protocol`` and ``shipped`` are those of `resolve`, which also says what is refused.
    """

    def __init__(self, key: str, protocol: type, **shipped: str) -> None:
        self.key, self.protocol, self.shipped = key, protocol, shipped

    def __call__(self, section: object) -> Offer:
        value = getattr(section, self.key.rpartition(".")[2])
        found: Offer = resolve(self.key, value, self.shipped, self.protocol)
        return found


def resolve(key: str, value: str, shipped: Mapping[str, str], protocol: type) -> Any:
    """The object that a config key names.

    Args:
        key: the config key, or another place where the user gave the value, for messages.
        value: a name of ``shipped``, or a dotted path.
        shipped: short name -> dotted path.
        protocol: what the object must offer. One with ``__call__`` is a function's; otherwise the object (a class, or
            a module) must have every public attribute of it.

    Raises:
        InputError: one line: key, value, what is allowed, and what the object lacks or why it does not load.
    """
    path = shipped.get(value, value)
    allowed = (
        f"must be {', '.join(shipped)}, or the dotted path of your own {protocol.__name__} ({protocol.__module__})"
    )
    if not re.fullmatch(r"\w+(\.\w+)*", path):
        raise InputError(f"{key}={value}: not a name or a dotted path; {allowed}")
    try:
        found = resolve_name(path)
    except Exception as error:  # a module may raise anything while it is imported
        reason = " ".join(str(error).split())
        raise InputError(f"{key}={value}: cannot be loaded ({type(error).__name__}: {reason}); {allowed}") from error
    if problem := _lack(found, protocol):
        raise InputError(f"{key}={value}: {problem}; {allowed}")
    return found


def _lack(found: object, protocol: type) -> str:
    """What ``found`` lacks of a protocol; "" if nothing."""
    if "__call__" in vars(protocol):
        return _misfit(found, protocol.__call__, bound=True)
    is_abstract = bool(getattr(protocol, "__abstractmethods__", ()))
    if is_abstract and not (isinstance(found, type) and issubclass(found, protocol)):
        return f"must be a subclass of {protocol.__name__}"
    attributes = {*dir(protocol), *getattr(protocol, "__annotations__", ())}
    wanted = sorted(name for name in attributes if not name.startswith("_"))
    missing = {name for name in wanted if not hasattr(found, name)} | set(getattr(found, "__abstractmethods__", ()))
    if missing:
        return f"lacks {', '.join(sorted(missing))}"
    # What a class defines takes the instance first; a module's function and a bound method do not.
    bound, functions = not isinstance(found, type), {name: getattr(protocol, name, None) for name in wanted}
    misfits = {n: _misfit(getattr(found, n), f, bound) for n, f in functions.items() if inspect.isfunction(f)}
    return "; ".join(f"{name} {misfit}" for name, misfit in misfits.items() if misfit)


def _misfit(found: object, function: Any, bound: bool) -> str:
    """How ``found`` differs from a function of a protocol; ``bound``: it takes no instance; "" if it fits."""
    parameters = list(inspect.signature(function).parameters)[1 if bound else 0 :]
    called = f"must be a function of ({', '.join(parameters)})"
    if not callable(found):
        return called
    try:
        inspect.signature(found).bind(*parameters)
    except (TypeError, ValueError):
        return called
    return ""
