"""``extra_info`` of rows: a data set class of the user's own may leave it out, or leave it empty for some rows."""

from __future__ import annotations

import numpy as np
from verl import DataProto


def fill_extra_info(rows: DataProto) -> None:
    """Give every row an ``extra_info`` of its own kind, in place: empty named fields where it has none."""
    given = rows.non_tensor_batch.get("extra_info")
    if given is not None and all(info is not None for info in given):
        return
    filled = np.empty(len(rows), dtype=object)
    for place in range(len(rows)):
        filled[place] = {} if given is None or given[place] is None else given[place]
    rows.non_tensor_batch["extra_info"] = filled
