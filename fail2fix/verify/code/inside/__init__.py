"""What runs inside a sandbox: the supervisor, process 1, and what its children make of themselves.

Must not know: anything outside the standard library and this package; a sandbox holds nothing else. The modules are
sent as source text (`harness.py`). Only `values.py` and `pipes.py` are ever imported outside.
"""
