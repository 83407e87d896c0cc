"""verl's worker with `PrefixEngine` for actor and reference (``fail2fix.share_prefixes``)."""

from __future__ import annotations

import os
from typing import Any

from verl.workers.engine import EngineRegistry, FSDPEngineWithLMHead
from verl.workers.engine_workers import ActorRolloutRefWorker

from fail2fix.verl_ext.prefix_engine import BACKEND, MODEL_TYPE, VENDOR

VENDOR_KEY = "VERL_ENGINE_VENDOR"  # verl's override of the vendor in its registry of engines


class PrefixWorker(ActorRolloutRefWorker):
    """verl's worker; its process builds our engine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        choose_engine()
        super().__init__(*args, **kwargs)


def choose_engine() -> None:
    """Let verl build `PrefixEngine` in this process, in the place of its own FSDP2 engine.

    An engine that a vendor brings, and a vendor that the user chose, stay: one line says so.
    """
    vendor = os.environ.get(VENDOR_KEY)
    if vendor == VENDOR:
        return
    theirs = EngineRegistry.get_engine_cls(MODEL_TYPE, BACKEND)
    if vendor is None and theirs is FSDPEngineWithLMHead:
        os.environ[VENDOR_KEY] = VENDOR
        return
    reason = f"{VENDOR_KEY}={vendor} is set" if vendor else f"{theirs.__name__} is this device's engine"
    print(f"fail2fix: fail2fix.share_prefixes: verl's own pass is used: {reason}", flush=True)
