"""Problems drawn from a data set outside the data loader's order: refills and offline pools.

A pure function of its purpose, so that neither a resumption nor the data loader's state changes what is drawn.
"""

from __future__ import annotations

import random
from typing import Any

from verl import DataProto
from verl.utils.dataset.rl_dataset import collate_fn


def drawn_prompts(dataset: Any, problems: int, *purpose: object) -> DataProto:
    """``problems`` different rows of a map-style data set, or all it has, as verl's loader gives them."""
    generator = random.Random(":".join(map(str, purpose)))
    index = generator.sample(range(len(dataset)), min(problems, len(dataset)))
    return DataProto.from_single_dict(collate_fn([dataset[i] for i in index]))


def first_prompts(dataset: Any, problems: int | None) -> DataProto:
    """The first ``problems`` rows in order; all of them for None."""
    count = len(dataset) if problems is None else min(problems, len(dataset))
    return DataProto.from_single_dict(collate_fn([dataset[i] for i in range(count)]))
