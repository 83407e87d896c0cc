"""Programs inside a sandbox: the supervisor (process 1) and its children.

Must not know: anything outside the standard library and this package, since a sandbox holds nothing else. The modules
are sent as source text (`harness.py`). Only `values.py` and `pipes.py` are imported outside.
"""
